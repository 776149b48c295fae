"""The whole loop on a real cluster: one monitor from its first training to a rollback, in this order."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from modelmonitor_api.names import (
    ANNOTATION_CHECK_REQUESTED,
    ANNOTATION_RETRAIN_REQUESTED,
    ANNOTATION_ROLLBACK_TO,
    ConditionType,
    Reason,
)
from support.kind import RELEASE, SYSTEM_NAMESPACE, Kind
from support.lake import Lake
from support.processes import program

NAME = "flights"

Status = dict[str, Any]


class FlightsMonitor:
    """The monitor of these tests."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def status(self) -> Status:
        return dict(self.kind.get("modelmonitor", NAME).get("status", {}))

    def wait(self, what: str, condition: Any, seconds: float = 900) -> Status:
        self.kind.wait(what, lambda: condition(self.status()), seconds)
        return self.status()

    def annotate(self, key: str, value: str) -> None:
        self.kind.kubectl("annotate", "--overwrite", "modelmonitor", NAME, f"{key}={value}")

    def condition(self, kind: ConditionType) -> Status:
        return next(c for c in self.status()["conditions"] if c["type"] == kind)

    def check(self, token: str) -> Status:
        """Request a check and wait until its verdict is in the status."""
        before = self.status()["lastCheck"]["jobName"]
        self.annotate(ANNOTATION_CHECK_REQUESTED, token)
        return self.wait(f"the check {token}", lambda status: status["lastCheck"]["jobName"] != before)

    def wait_training(self, number: int) -> Status:
        """Wait until training `number` has ended."""

        def ended(status: Status) -> bool:
            last = status.get("lastTraining", {})
            return last.get("number") == number and "completionTime" in last

        return self.wait(f"training {number}", ended)

    def training_jobs(self) -> list[str]:
        jobs = self.kind.get("jobs", "--selector", f"modelmonitor.io/monitor={NAME},modelmonitor.io/role=train")
        return [job["metadata"]["name"] for job in jobs.get("items", [])]


@pytest.fixture(scope="module")
def flights(release: Kind, lake: Lake) -> FlightsMonitor:
    lake.add_days(0, 30)
    monitor = lake.monitor(
        name=NAME,
        namespace=release.namespace,
        data={"reference": None},
        storage={"credentialsSecretRef": {"name": "s3"}},
        retraining={"cooldownSeconds": 0},
    )
    release.apply(monitor)
    return FlightsMonitor(release)


def test_the_first_champion_is_promoted_although_the_operator_is_killed(flights: FlightsMonitor) -> None:
    flights.wait("the first training's start", lambda status: "lastTraining" in status)
    flights.kind.run(
        *("kubectl", "--namespace", SYSTEM_NAMESPACE, "delete", "pod", "--force", "--grace-period=0"),
        *("--selector", f"app.kubernetes.io/instance={RELEASE}"),
    )
    status = flights.wait_training(1)
    assert status["lastTraining"]["outcome"] == "Promoted", status["lastTraining"]
    assert status["champion"]["version"] == status["lastTraining"]["version"]
    assert len(flights.training_jobs()) == 1
    assert flights.condition(ConditionType.READY)["status"] == "True"
    assert [entry["action"] for entry in status["history"]] == ["Promoted", "TrainingStarted"]


def test_data_without_drift_start_no_training(flights: FlightsMonitor, lake: Lake) -> None:
    lake.add_days(30, 2)
    status = flights.check("no-drift")
    assert status["lastCheck"]["verdict"] in {"NoDrift", "Inconclusive"}, status["lastCheck"]
    assert len(flights.training_jobs()) == 1


def test_drift_trains_and_a_better_model_is_promoted(flights: FlightsMonitor, lake: Lake) -> None:
    lake.add_days(32, 20, shift=12, slope=-0.15)
    status = flights.check("drift")
    assert status["lastCheck"]["verdict"] == "Drift", status["lastCheck"]
    assert "temp" in [feature["name"] for feature in status["lastCheck"]["topFeatures"]]
    status = flights.wait_training(2)
    assert status["lastTraining"]["outcome"] == "Promoted", status["lastTraining"]
    assert float(status["lastTraining"]["comparison"]["low"]) > 0, status["lastTraining"]
    assert "sha256:" in status["lastTraining"]["imageID"]
    assert status["champion"]["version"].startswith("v2-")
    reports = [key for key in lake.keys("results/") if key.endswith(".html")]
    assert len(reports) >= 4, reports


def test_corrupted_data_block_training_even_on_request(flights: FlightsMonitor, lake: Lake) -> None:
    lake.put("features", 52, {"id": [f"52-{i}" for i in range(200)], "temp": [9999.0] * 200, "carrier": ["AA"] * 200})
    lake.put("labels", 52, {"id": [f"52-{i}" for i in range(200)], "late": [1] * 200})
    status = flights.check("corrupted")
    assert status["lastCheck"]["verdict"] == "Corrupted", status["lastCheck"]
    assert "2013-02-22" in status["lastCheck"]["message"]
    flights.annotate(ANNOTATION_RETRAIN_REQUESTED, "despite-corrupted-data")
    flights.wait(
        "the blocked training",
        lambda _: flights.condition(ConditionType.TRAINING)["reason"] == Reason.CORRUPTED_DATA,
        60,
    )
    assert len(flights.training_jobs()) == 2


def test_rollback_to_the_previous_version(flights: FlightsMonitor) -> None:
    flights.annotate(ANNOTATION_ROLLBACK_TO, "previous")
    status = flights.wait("the rollback", lambda status: status["champion"]["version"].startswith("v1-"))
    assert status["history"][0]["action"] == Reason.ROLLED_BACK


def test_kubectl_shows_the_monitor_and_its_events(flights: FlightsMonitor) -> None:
    line = flights.kind.kubectl("get", "mmon", NAME, "--no-headers").split()
    assert line[:3] == [NAME, "True", "Corrupted"]
    described = flights.kind.kubectl("describe", "mmon", NAME)
    for event in ("TrainingStarted", "Promoted", "Drift", "Corrupted", "RolledBack"):
        assert event in described
    assert "FIELDS:" in flights.kind.kubectl("explain", "mmon.spec.promotion")


def test_the_plugin_shows_the_monitor_and_opens_its_pages(flights: FlightsMonitor, tmp_path: Path) -> None:
    """As a user runs it: found by kubectl on the PATH, and with the port of the store forwarded."""
    path = os.pathsep.join([str(Path(sys.executable).parent), str(program("kubectl").parent), os.environ["PATH"]])
    plugin = ["/usr/bin/env", f"PATH={path}", "kubectl", "mmon"]
    target = [NAME, "--namespace", flights.kind.namespace]
    assert "Corrupted" in flights.kind.run(*plugin, "status", *target)
    assert "promoted" in flights.kind.run(*plugin, "history", *target).lower()
    for number, options in enumerate(([], ["--training", "2"])):
        page = tmp_path / f"{number}.html"
        flights.kind.run(*plugin, "report", *target, *options, "--output", page)
        assert "<html" in page.read_text()


def test_helm_test_passes(release: Kind) -> None:
    assert "Succeeded" in release.run("helm", "test", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--timeout", "600s")
