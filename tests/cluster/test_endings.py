"""Trainings that end in neither a promotion nor a rejection, on a real cluster."""

from __future__ import annotations

import pytest

from modelmonitor_api.names import (
    ANNOTATION_PROMOTE,
    ANNOTATION_RETRAIN_REQUESTED,
    ConditionType,
    FailureReason,
    Reason,
)
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
    release.wait("the promotion", lambda: monitor.status().get("champion", {}).get("version") == last["version"])
    history = [(entry["action"], entry["reason"]) for entry in monitor.status()["history"]]
    assert history[0] == (Reason.PROMOTED, Reason.REQUESTED), history


def test_a_training_killed_for_memory_says_what_to_raise(release: Kind, month: Lake) -> None:
    """The kernel's own killing: the limit does not hold the libraries."""
    resources = {"requests": {"cpu": "100m", "memory": "48Mi"}, "limits": {"memory": "48Mi"}}
    monitor = Monitor(release, month, "starved", retraining={"trainer": {"resources": resources}})

    def told() -> bool:
        return _condition(monitor, ConditionType.TRAINING).get("reason") == Reason.BACKING_OFF

    release.wait("the condition of the starved training", told)
    message = _condition(monitor, ConditionType.TRAINING)["message"]
    assert "limit of 48Mi; raise spec.retraining.trainer.resources.limits.memory" in message
    assert monitor.status()["history"][0]["reason"] == FailureReason.OUT_OF_MEMORY


def _picky(version: str) -> Status:
    """Return a Deployment whose pods become ready with versions that begin like `version` alone."""
    ready = f"case $MODELMONITOR_MODEL_VERSION in {version}-*) ;; *) exit 1 ;; esac"
    container = {
        "name": "server",
        "image": "modelmonitor/trainer:dev",
        "command": ["sleep", "infinity"],
        "readinessProbe": {"exec": {"command": ["sh", "-c", ready]}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    labels = {"app": "picky"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "picky"},
        "spec": {
            "progressDeadlineSeconds": 10,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def test_a_champion_that_does_not_come_up_is_sent_back(release: Kind, lake: Lake, month: Lake) -> None:
    release.apply(_picky("v1"))
    rollout = {"rollout": {"deploymentRef": {"name": "picky"}}}
    monitor = Monitor(release, month, "unservable", promotion=rollout)

    def rolled_out(version: str) -> bool:
        found = _condition(monitor, ConditionType.ROLLED_OUT)
        served = monitor.status().get("rollout", {}).get("version", "")
        return found.get("reason") == Reason.ROLLOUT_AVAILABLE and served.startswith(version)

    first = monitor.trained(1)
    release.wait("the first champion to come up", lambda: rolled_out("v1-"))
    lake.add_days(30, 20, slope=-0.15)
    monitor.annotate(ANNOTATION_RETRAIN_REQUESTED, "turned")
    assert monitor.trained(2)["outcome"] == "Promoted"
    release.wait("the rollback", lambda: monitor.status()["champion"]["version"] == first["version"])
    release.wait("the first champion to come up again", lambda: rolled_out("v1-"))
    back = monitor.status()["history"][0]
    assert (back["action"], back["reason"]) == (Reason.ROLLED_BACK, Reason.ROLLOUT_FAILED)
    assert "Deployment picky did not become available with v2-" in back["message"]
