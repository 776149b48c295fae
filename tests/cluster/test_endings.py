"""Trainings that end in neither a promotion nor a rejection, on a real cluster."""

from __future__ import annotations

import pytest

from modelmonitor_api.names import ANNOTATION_PROMOTE, ConditionType, FailureReason, Reason
from support.kind import Kind
from support.lake import Lake
from support.live import Monitor, Status


@pytest.fixture(scope="module")
def month(lake: Lake) -> Lake:
    lake.add_days(0, 30)
    return lake


def _condition(monitor: Monitor, kind: str) -> Status:
    found = monitor.status().get("conditions", [])
    return next((dict(condition) for condition in found if condition["type"] == kind), {})


def test_a_model_waits_for_its_approval(release: Kind, month: Lake) -> None:
    monitor = Monitor(release, month, "approved", promotion={"mode": "Manual"})
    last = monitor.trained(1)
    assert last["outcome"] == "AwaitingApproval", last
    assert "champion" not in monitor.status(), "nobody has approved of it yet"
    monitor.annotate(ANNOTATION_PROMOTE, last["version"])
    release.wait("the promotion", lambda: monitor.status().get("champion", {}).get("version") == last["version"], 120)
    history = [(entry["action"], entry["reason"]) for entry in monitor.status()["history"]]
    assert history[0] == (Reason.PROMOTED, Reason.REQUESTED), history


def test_a_training_killed_for_memory_says_what_to_raise(release: Kind, month: Lake) -> None:
    """The kernel's own killing: the limit does not hold the libraries."""
    resources = {"requests": {"cpu": "100m", "memory": "48Mi"}, "limits": {"memory": "48Mi"}}
    monitor = Monitor(release, month, "starved", retraining={"trainer": {"resources": resources}})

    def told() -> bool:
        return _condition(monitor, ConditionType.TRAINING).get("reason") == Reason.BACKING_OFF

    release.wait("the condition of the starved training", told, 240)
    message = _condition(monitor, ConditionType.TRAINING)["message"]
    assert "limit of 48Mi; raise spec.retraining.trainer.resources.limits.memory" in message
    assert monitor.status()["history"][0]["reason"] == FailureReason.OUT_OF_MEMORY
