"""Multiclass classification, regression and retention on a real cluster."""

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
def regression(release: Kind, month: Lake) -> Monitor:
    """A regression monitor that retains two versions and requires challengers to be better."""
    return Monitor(
        release,
        month,
        "minutes",
        model={"task": "Regression", "target": "minutes"},
        retraining={"estimator": {"name": "Ridge"}, "retention": {"versions": 2}},
        promotion={"metric": "R2", "requirement": "Better"},
    )


def _comparison(monitor: Monitor, version: str) -> Status:
    prefix = f"results/{monitor.kind.namespace}/{monitor.name}/versions/{version}/"
    return dict(json.loads(monitor.lake.read(f"{prefix}comparison.json")))


def _versions(monitor: Monitor) -> list[str]:
    """Return the regression of the versions in the object store."""
    prefix = f"results/{monitor.kind.namespace}/{monitor.name}/versions/"
    names = {key.removeprefix(prefix).partition("/")[0] for key in monitor.lake.keys(prefix)}
    return sorted(name.partition("-")[0] for name in names)


def test_a_multiclass_model_is_trained_and_compared_by_slice(release: Kind, month: Lake) -> None:
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
    first = monitor.wait_training(1)
    assert first["outcome"] == "Promoted", first
    comparison = _comparison(monitor, first["version"])
    assert {row["metric"] for row in comparison["metrics"]} >= {"log loss", "accuracy"}, comparison["metrics"]
    month.add_days(30, 6)
    monitor.annotate(ANNOTATION_RETRAIN_REQUESTED, "again")
    second = monitor.wait_training(2)
    assert second["outcome"] in {Reason.PROMOTED, Reason.REJECTED}, second
    comparison = _comparison(monitor, second["version"])
    assert {item["value"] for item in comparison["slices"]} == {"AA", "B6", "UA"}, comparison["slices"]


def test_a_regression_challenger_that_is_not_better_is_rejected(regression: Monitor, lake: Lake) -> None:
    first = regression.wait_training(1)
    assert first["outcome"] == "Promoted", first
    lake.add_days(36, 6)  # one more than the hold-out has
    regression.annotate(ANNOTATION_RETRAIN_REQUESTED, "again")
    second = regression.wait_training(2)
    assert second["outcome"] == "Rejected", second
    assert regression.status()["champion"]["version"] == first["version"]


def test_a_drop_in_performance_without_drift_is_detected(regression: Monitor, lake: Lake) -> None:
    """The relationship changes but the features do not, so only the scores show it."""
    lake.add_days(42, 8, slope=-0.15)
    regression.annotate(ANNOTATION_CHECK_REQUESTED, "reversed")
    regression.kind.wait("the drop", lambda: regression.status().get("lastCheck", {}).get("performanceDropped"))
    assert "R²" in regression.status()["lastCheck"]["message"]


def test_retention_deletes_old_versions_but_keeps_the_champion(regression: Monitor, lake: Lake) -> None:
    assert _versions(regression) == ["v1", "v2"]
    for number, day in ((3, 50), (4, 56)):
        lake.add_days(day, 6, slope=-0.15)
        regression.annotate(ANNOTATION_RETRAIN_REQUESTED, f"number-{number}")
        last = regression.wait_training(number)
        assert last["outcome"] in {Reason.PROMOTED, Reason.REJECTED}, last
    assert _versions(regression) == ["v1", "v3", "v4"]
