"""Monitors on a cluster for tables of tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from modelmonitor_api import names
from modelmonitor_api.messages import CheckVerdict, Failure, encode_answer
from modelmonitor_api.names import ConditionType, Role
from modelmonitor_api.status import Condition, LastCheck, ModelMonitorStatus
from modelmonitor_trainer.cluster.observed import ObservedMonitor, observe_monitor
from support.monitors import monitor

NOW = dt.datetime(2013, 4, 2, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
UID = "9a8b7c6d-0000-4000-8000-000000000001"
#: What a terminal would interpret, and what would reorder the text around it.
HOSTILE = "a\x1b[31mb\x07\x9b2Jc\u202ed\r\n\te"


def condition(kind: ConditionType, status: str, reason: str, message: str = "because") -> Condition:
    return Condition(
        type=kind.value,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=NOW - DAY,
        observed_generation=1,
    )


READY = condition(ConditionType.READY, "True", "Accepted")


def last_check(verdict: str = "NoDrift", **fields: Any) -> LastCheck:
    defaults: dict[str, Any] = {
        "time": NOW - 3 * HOUR,
        "completion_time": NOW - 3 * HOUR,
        "job_name": "flights-check-1",
        "verdict": verdict,
        "message": "temp has drifted: effect size 0.31.",
        "data_end": NOW - 9 * HOUR,
    }
    return LastCheck(**(defaults | fields))


def observed(
    *, jobs: Sequence[dict[str, Any]] = (), pods: Sequence[dict[str, Any]] = (), spec: Any = None, **status: Any
) -> ObservedMonitor:
    """Return a monitor whose status has some fields; `spec` are changes of a valid spec, or a whole invalid one."""
    fields = {"conditions": [READY], "observed_generation": 1, **status}
    resource = monitor(**(spec or {})) | {"status": ModelMonitorStatus(**fields).to_wire()}
    resource["metadata"] = {
        "name": "flights",
        "namespace": "ml",
        "uid": UID,
        "generation": 1,
        "annotations": status.pop("annotations", {}),
    }
    return observe_monitor(resource, jobs, pods)


def job(role: Role, name: str, *, ended: dt.datetime | None = None, **annotations: str) -> dict[str, Any]:
    conditions = [{"type": "Complete", "status": "True", "lastTransitionTime": ended.isoformat()}] if ended else []
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "labels": {names.LABEL_ROLE: role.value, names.LABEL_MONITOR_UID: UID},
            "annotations": annotations,
            "creationTimestamp": "2013-04-02T08:00:00Z",
        },
        "status": {"conditions": conditions},
    }


def check_pod(name: str, answer: CheckVerdict | Failure | str) -> dict[str, Any]:
    """Return the pod of a check that has left a termination message."""
    message = answer if isinstance(answer, str) else encode_answer(answer)
    terminated = {"message": message, "finishedAt": "2013-04-01T06:00:00Z"}
    labels = {
        names.LABEL_ROLE: "check",
        names.LABEL_MONITOR_UID: UID,
        "batch.kubernetes.io/job-name": name,
    }
    return {
        "metadata": {"name": f"{name}-x", "labels": labels},
        "status": {"containerStatuses": [{"name": names.CONTAINER_NAME, "state": {"terminated": terminated}}]},
    }
