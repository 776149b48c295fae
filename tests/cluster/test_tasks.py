"""Several classes and numbers as outcomes, and what is kept of the trainings, on a real cluster."""

from __future__ import annotations

import json

import pytest

from modelmonitor_api.names import ANNOTATION_CHECK_REQUESTED, ANNOTATION_RETRAIN_REQUESTED, Reason
from support.kind import Kind
from support.lake import Lake
from support.live import Monitor, Status


@pytest.fixture(scope="module")
def month(lake: Lake) -> Lake:
    lake.add_days(0, 30)
    return lake


@pytest.fixture(scope="module")
def numbers(release: Kind, month: Lake) -> Monitor:
    """A monitor of a regression that keeps little, and whose challengers must be better."""
    return Monitor(
        release,
        month,
        "minutes",
        model={"task": "Regression", "target": "minutes"},
        retraining={"estimator": {"name": "Ridge"}, "retention": {"versions": 2}},
        promotion={"metric": "R2", "requirement": "Better"},
    )


def _figures(monitor: Monitor, version: str) -> Status:
    prefix = f"results/{monitor.kind.namespace}/{monitor.name}/versions/{version}/"
    return dict(json.loads(monitor.lake.read(f"{prefix}comparison.json")))


def _versions(monitor: Monitor) -> list[str]:
    """Return the numbers of the versions that are on the store."""
    prefix = f"results/{monitor.kind.namespace}/{monitor.name}/versions/"
    found = {key.removeprefix(prefix).partition("/")[0] for key in monitor.lake.keys(prefix)}
    return sorted(name.partition("-")[0] for name in found)


def test_three_classes(release: Kind, month: Lake) -> None:
    monitor = Monitor(
        release,
        month,
        "delays",
        model={"task": "MulticlassClassification", "target": "delay", "slices": ["carrier"]},
        retraining={
            "estimator": {
                "name": "RandomForestClassifier",
                "classWeights": "Balanced",
                "calibration": "Sigmoid",
                "preprocessing": {"categoricalEncoding": "Target", "scaling": "None"},
            }
        },
        promotion={"metric": "LogLoss", "minSliceRows": 100},
    )
    first = monitor.trained(1)
    assert first["outcome"] == "Promoted", first
    figures = _figures(monitor, first["version"])
    assert {row["metric"] for row in figures["metrics"]} >= {"log loss", "accuracy"}, figures["metrics"]
    monitor.annotate(ANNOTATION_RETRAIN_REQUESTED, "again")
    second = monitor.trained(2)
    assert second["outcome"] == "Promoted", second
    compared = _figures(monitor, second["version"])
    assert {item["value"] for item in compared["slices"]} == {"AA", "B6", "UA"}, compared["slices"]


def test_a_number(numbers: Monitor) -> None:
    first = numbers.trained(1)
    assert first["outcome"] == "Promoted", first
    numbers.annotate(ANNOTATION_RETRAIN_REQUESTED, "again")
    second = numbers.trained(2)
    assert second["outcome"] == "Rejected", second
    assert numbers.status()["champion"]["version"] == first["version"]


def test_its_performance_is_checked(numbers: Monitor, lake: Lake) -> None:
    """The relation breaks and the features stay as they are: only the scores show it."""
    lake.add_days(30, 8, slope=-0.15)
    numbers.annotate(ANNOTATION_CHECK_REQUESTED, "broken")
    numbers.kind.wait("the drop", lambda: numbers.status().get("lastCheck", {}).get("performanceDropped"))
    assert "R²" in numbers.status()["lastCheck"]["message"]


def test_old_versions_go_and_the_champion_stays(numbers: Monitor) -> None:
    assert _versions(numbers) == ["v1", "v2"]
    for number in (3, 4):
        numbers.annotate(ANNOTATION_RETRAIN_REQUESTED, f"number-{number}")
        last = numbers.trained(number)
        assert last["outcome"] in {Reason.PROMOTED, Reason.REJECTED}, last
    assert _versions(numbers) == ["v1", "v3", "v4"]
