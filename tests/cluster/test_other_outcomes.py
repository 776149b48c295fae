"""Trainings that end in neither an automatic promotion nor a rejection, on a real cluster."""

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
    conditions = monitor.status().get("conditions", [])
    return next((dict(condition) for condition in conditions if condition["type"] == kind), {})


def test_a_model_waits_for_approval(release: Kind, month: Lake) -> None:
    monitor = Monitor(release, month, "approved", promotion={"mode": "Manual"})
    last = monitor.wait_training(1)
    assert last["outcome"] == "AwaitingApproval", last
    assert "champion" not in monitor.status(), "it is not approved yet"
    monitor.annotate(ANNOTATION_PROMOTE, last["version"])
    release.wait("the promotion", lambda: monitor.status().get("champion", {}).get("version") == last["version"])
    history = [(entry["action"], entry["reason"]) for entry in monitor.status()["history"]]
    assert history[0] == (Reason.PROMOTED, Reason.REQUESTED), history


def test_an_out_of_memory_training_reports_which_limit_to_raise(release: Kind, month: Lake) -> None:
    """A real OOM kill: the limit is too small for the libraries alone."""
    resources = {"requests": {"cpu": "100m", "memory": "48Mi"}, "limits": {"memory": "48Mi"}}
    monitor = Monitor(release, month, "out-of-memory", retraining={"trainer": {"resources": resources}})

    def backing_off() -> bool:
        return _condition(monitor, ConditionType.TRAINING).get("reason") == Reason.BACKING_OFF

    release.wait("the condition of the training that ran out of memory", backing_off)
    message = _condition(monitor, ConditionType.TRAINING)["message"]
    assert "limit of 48Mi; raise spec.retraining.trainer.resources.limits.memory" in message
    assert monitor.status()["history"][0]["reason"] == FailureReason.OUT_OF_MEMORY


def _version_bound_deployment(version: str) -> Status:
    """Return a Deployment whose pods become ready only with model versions that start with `version`."""
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
    labels = {"app": "version-bound"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "version-bound"},
        "spec": {
            "progressDeadlineSeconds": 10,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def test_a_champion_whose_rollout_fails_is_rolled_back(release: Kind, lake: Lake, month: Lake) -> None:
    release.apply(_version_bound_deployment("v1"))
    rollout = {"rollout": {"deploymentRef": {"name": "version-bound"}}}
    monitor = Monitor(release, month, "unservable", promotion=rollout)

    def rolled_out(version: str) -> bool:
        condition = _condition(monitor, ConditionType.ROLLED_OUT)
        served = monitor.status().get("rollout", {}).get("version", "")
        return condition.get("reason") == Reason.ROLLOUT_AVAILABLE and served.startswith(version)

    first = monitor.wait_training(1)
    release.wait("the rollout of the first champion", lambda: rolled_out("v1-"))
    lake.add_days(30, 20, slope=-0.15)
    monitor.annotate(ANNOTATION_RETRAIN_REQUESTED, "reversed")
    assert monitor.wait_training(2)["outcome"] == "Promoted"
    release.wait("the rollback", lambda: monitor.status()["champion"]["version"] == first["version"])
    release.wait("the rollout of the first champion after the rollback", lambda: rolled_out("v1-"))
    newest = monitor.status()["history"][0]
    assert (newest["action"], newest["reason"]) == (Reason.ROLLED_BACK, Reason.ROLLOUT_FAILED)
    assert "Deployment version-bound did not become available with v2-" in newest["message"]
