"""Events for what has changed between two statuses: transitions only, never a repetition."""

from __future__ import annotations

import datetime as dt
import uuid

from modelmonitor_api import names
from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.status import Condition, ModelMonitorStatus, format_time
from modelmonitor_operator.gateway import Object

_WARNINGS = frozenset(
    {
        Reason.INVALID_SPEC.value,
        Reason.NAME_COLLISION.value,
        Reason.OBJECT_REFUSED.value,
        Reason.DRIFT.value,
        Reason.CORRUPTED.value,
        Reason.CHECK_FAILED.value,
        Reason.TRAINING_FAILED.value,
        Reason.ROLLBACK_FAILED.value,
        Reason.PROMOTION_FAILED.value,
        Reason.BACKING_OFF.value,
        Reason.ROLLOUT_FAILED.value,
        Reason.ROLLOUT_BLOCKED.value,
        Reason.CORRUPTED_DATA.value,
        Reason.WORSE_THAN_PREDECESSOR.value,
    }
)
#: Conditions whose transitions are worth an event; the others say the same again.
_TOLD = (
    ConditionType.READY,
    ConditionType.DRIFT_DETECTED,
    ConditionType.TRAINING,
    ConditionType.SUSPENDED,
    ConditionType.ROLLED_OUT,
    ConditionType.CHAMPION_HEALTHY,
)
#: The kubelet's limit for the message of an event.
_MAX_MESSAGE = 1024


def events_between(old: ModelMonitorStatus, new: ModelMonitorStatus, monitor: Object, now: dt.datetime) -> list[Object]:
    """Return the events of a change of status."""
    seen = {(entry.time, entry.action) for entry in old.history}
    told = [(e.action, e.message) for e in reversed(new.history) if (e.time, e.action) not in seen]
    for kind in _TOLD:
        before, after = _condition(old, kind), _condition(new, kind)
        changed = after is not None and (
            before is None or (before.status, before.reason) != (after.status, after.reason)
        )
        if changed and after is not None and after.reason not in {reason for reason, _ in told} | _QUIET:
            told.append((after.reason, after.message))
    return [_event(monitor, reason, message, now) for reason, message in told]


#: Reasons of conditions that are the normal state, or whose story the history tells.
_QUIET = frozenset(
    {Reason.NOT_CHECKED_YET.value, Reason.NOT_TRIGGERED.value, Reason.ACTIVE.value, Reason.IN_FLIGHT.value}
    | {Reason.NOT_WORSE_THAN_PREDECESSOR.value}
    | {reason.value for reason in (Reason.NO_CHAMPION, Reason.DRIFT_DETECTED, Reason.PERFORMANCE_DROP)}
    | {reason.value for reason in (Reason.PERIOD_ELAPSED, Reason.ENOUGH_NEW_ROWS, Reason.REQUESTED)}
    | {reason.value for reason in (Reason.PROMOTED, Reason.REJECTED, Reason.AWAITING_APPROVAL)}
)


def _condition(status: ModelMonitorStatus, kind: ConditionType) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == kind.value), None)


def _event(monitor: Object, reason: str, message: str, now: dt.datetime) -> Object:
    metadata = monitor["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": metadata["namespace"], "name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}"},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
        "type": "Warning" if reason in _WARNINGS else "Normal",
        "reason": reason,
        "message": message[:_MAX_MESSAGE],
        "firstTimestamp": format_time(now),
        "lastTimestamp": format_time(now),
        "count": 1,
        "source": {"component": names.FIELD_MANAGER},
    }
