"""ModelMonitors as the operator has left them: checked, trained, with a champion."""

from __future__ import annotations

import datetime as dt
from typing import Any

from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.scores import ServedScore
from modelmonitor_api.status import (
    Champion,
    Condition,
    FeatureEvidence,
    LastCheck,
    LastTraining,
    ModelMonitorStatus,
    RowCounts,
)
from support.monitors import Object, monitor

NOW = dt.datetime(2026, 3, 2, 6, 10, tzinfo=dt.UTC)
_DAY = dt.timedelta(days=1)


def condition(kind: ConditionType, status: str, reason: str, since: dt.datetime = NOW - 9 * _DAY) -> Condition:
    """Return a condition of the first generation."""
    return Condition.model_validate(
        {
            "type": kind.value,
            "status": status,
            "reason": reason,
            "message": "",
            "lastTransitionTime": since,
            "observedGeneration": 1,
        }
    )


def status(**fields: Any) -> ModelMonitorStatus:
    """Return the status of a monitor that has found drift and was trained yesterday; `fields` replace its fields."""
    defaults: Object = {
        "observed_generation": 1,
        "conditions": [
            condition(ConditionType.READY, "True", Reason.ACCEPTED),
            condition(ConditionType.STALLED, "False", Reason.ACCEPTED),
            condition(ConditionType.RECONCILING, "False", Reason.ACCEPTED),
            condition(ConditionType.DRIFT_DETECTED, "True", Reason.DRIFT),
            condition(ConditionType.TRAINING, "False", Reason.COOLING_DOWN),
            condition(ConditionType.SUSPENDED, "False", Reason.ACTIVE),
        ],
        "last_check": LastCheck(
            time=NOW - dt.timedelta(minutes=10),
            start_time=NOW - dt.timedelta(minutes=10),
            completion_time=NOW - dt.timedelta(minutes=8),
            generation=1,
            job_name="flights-check-29540000",
            verdict="Drift",
            reason="Drift",
            rows=RowCounts(reference=90000, current=28000),
            data_end=NOW.replace(hour=0, minute=0),
            drifted_features=2,
            largest_effect="0.3100",
            top_features=[FeatureEvidence(name="temp", effect="0.3100", p_value="1e-40", drifted=True)],
            performance=ServedScore(
                metric="ROCAUC", score="0.7400", low="0.7200", high="0.7600", promised="0.8100", rows=9000
            ),
            performance_dropped=True,
            consecutive_drifts=3,
        ),
        "last_training": LastTraining(
            number=4,
            job_name="flights-0badcafe-train-4",
            reason=Reason.DRIFT_DETECTED,
            start_time=NOW - _DAY,
            completion_time=NOW - _DAY + dt.timedelta(minutes=7),
            outcome="Rejected",
            peak_memory_bytes=700 * 2**20,
        ),
        "champion": Champion(
            version="v3-0badcafe",
            since=NOW - 30 * _DAY,
            metric="ROCAUC",
            score="0.81",
            data_end=NOW.replace(hour=0, minute=0) - 45 * _DAY,
        ),
    }
    return ModelMonitorStatus(**(defaults | fields))


def monitored(
    name: str = "flights",
    namespace: str = "demo",
    state: ModelMonitorStatus | None = None,
    version: int = 1,
    **spec: Any,
) -> Object:
    """Return a monitor with a status, as the API server returns it; `spec` is merged into its spec."""
    resource = monitor(name, namespace, **({"schedule": "0 6 * * *"} | spec))
    resource["metadata"] |= {
        "uid": f"uid-of-{namespace}-{name}",
        "generation": 1,
        "resourceVersion": str(version),
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    resource["status"] = (status() if state is None else state).to_wire()
    return resource
