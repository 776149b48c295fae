"""The whole loop on a real cluster: one monitor from its first check to a rollback, in the order of its life."""

from __future__ import annotations

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

NAME = "flights"

Status = dict[str, Any]


class Watched:
    """The monitor of these tests."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def status(self) -> Status:
        return dict(self.kind.get("modelmonitor", NAME).get("status", {}))

    def wait(self, what: str, seen: Any, seconds: float = 900) -> Status:
        self.kind.wait(what, lambda: seen(self.status()), seconds)
        return self.status()

    def annotate(self, key: str, value: str) -> None:
        self.kind.kubectl("annotate", "--overwrite", "modelmonitor", NAME, f"{key}={value}")

    def condition(self, kind: ConditionType) -> Status:
        return next(c for c in self.status()["conditions"] if c["type"] == kind)

    def check(self, token: str) -> Status:
        """Ask for a check and wait until it has been taken into account."""
        before = self.status()["lastCheck"]["jobName"]
        self.annotate(ANNOTATION_CHECK_REQUESTED, token)
        return self.wait(f"the check {token}", lambda status: status["lastCheck"]["jobName"] != before)

    def trained(self, number: int) -> Status:
        """Wait until training `number` has ended."""

        def ended(status: Status) -> bool:
            last = status.get("lastTraining", {})
            return last.get("number") == number and "completionTime" in last

        return self.wait(f"training {number}", ended)

    def training_jobs(self) -> list[str]:
        found = self.kind.get("jobs", "--selector", f"modelmonitor.io/monitor={NAME},modelmonitor.io/role=train")
        return [job["metadata"]["name"] for job in found.get("items", [])]


@pytest.fixture(scope="module")
def watched(release: Kind, lake: Lake) -> Watched:
    lake.add_days(0, 30)
    declared = lake.monitor(
        name=NAME,
        namespace=release.namespace,
        data={"reference": None},
        storage={"credentialsSecretRef": {"name": "s3"}},
        retraining={"cooldownSeconds": 0},
    )
    release.apply(declared)
    return Watched(release)


def test_the_first_champion_although_the_operator_is_killed(watched: Watched) -> None:
    watched.wait("the first training's start", lambda status: "lastTraining" in status)
    watched.kind.run(
        *("kubectl", "--namespace", SYSTEM_NAMESPACE, "delete", "pod", "--force", "--grace-period=0"),
        *("--selector", f"app.kubernetes.io/instance={RELEASE}"),
    )
    status = watched.trained(1)
    assert status["lastTraining"]["outcome"] == "Promoted", status["lastTraining"]
    assert status["champion"]["version"] == status["lastTraining"]["version"]
    assert len(watched.training_jobs()) == 1
    assert watched.condition(ConditionType.READY)["status"] == "True"
    assert [entry["action"] for entry in status["history"]] == ["Promoted", "TrainingStarted"]


def test_quiet_data_are_left_alone(watched: Watched, lake: Lake) -> None:
    lake.add_days(30, 2)
    status = watched.check("quiet")
    assert status["lastCheck"]["verdict"] in {"NoDrift", "Inconclusive"}, status["lastCheck"]
    assert len(watched.training_jobs()) == 1


def test_drift_trains_and_a_better_model_is_promoted(watched: Watched, lake: Lake) -> None:
    lake.add_days(32, 20, shift=12, slope=-0.15)
    status = watched.check("drift")
    assert status["lastCheck"]["verdict"] == "Drift", status["lastCheck"]
    assert "temp" in [feature["name"] for feature in status["lastCheck"]["topFeatures"]]
    status = watched.trained(2)
    assert status["lastTraining"]["outcome"] == "Promoted", status["lastTraining"]
    assert float(status["lastTraining"]["comparison"]["low"]) > 0, status["lastTraining"]
    assert "sha256:" in status["lastTraining"]["imageID"]
    assert status["champion"]["version"].startswith("v2-")
    reports = [key for key in lake.keys("results/") if key.endswith(".html")]
    assert len(reports) >= 4, reports


def test_broken_data_train_nobody(watched: Watched, lake: Lake) -> None:
    lake.put("features", 52, {"id": [f"52-{i}" for i in range(200)], "temp": [9999.0] * 200, "carrier": ["AA"] * 200})
    lake.put("labels", 52, {"id": [f"52-{i}" for i in range(200)], "late": [1] * 200})
    status = watched.check("broken")
    assert status["lastCheck"]["verdict"] == "Corrupted", status["lastCheck"]
    assert "2013-02-22" in status["lastCheck"]["message"]
    watched.annotate(ANNOTATION_RETRAIN_REQUESTED, "despite")
    watched.wait(
        "the refusal", lambda _: watched.condition(ConditionType.TRAINING)["reason"] == Reason.CORRUPTED_DATA, 60
    )
    assert len(watched.training_jobs()) == 2


def test_one_step_back(watched: Watched) -> None:
    watched.annotate(ANNOTATION_ROLLBACK_TO, "previous")
    status = watched.wait("the rollback", lambda status: status["champion"]["version"].startswith("v1-"))
    assert status["history"][0]["action"] == Reason.ROLLED_BACK


def test_what_a_user_sees(watched: Watched) -> None:
    line = watched.kind.kubectl("get", "mmon", NAME, "--no-headers").split()
    assert line[:3] == [NAME, "True", "Corrupted"]
    described = watched.kind.kubectl("describe", "mmon", NAME)
    for event in ("TrainingStarted", "Promoted", "Drift", "Corrupted", "RolledBack"):
        assert event in described
    assert "FIELDS:" in watched.kind.kubectl("explain", "mmon.spec.promotion")


def test_helm_test_passes(release: Kind) -> None:
    assert "Succeeded" in release.run("helm", "test", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--timeout", "600s")
