"""Events about the changes between two statuses: one for each transition, none for what stays the same."""

from __future__ import annotations

import datetime as dt
import uuid

from modelmonitor_api import names
from modelmonitor_api.names import ConditionType, FailureReason, Reason
from modelmonitor_api.status import Condition, HandledRequests, ModelMonitorStatus
from modelmonitor_api.times import format_time
from modelmonitor_operator.gateway import Object

_WARNINGS = frozenset(
    {
        Reason.INVALID_SPEC.value,
        Reason.NAME_COLLISION.value,
        Reason.OBJECT_REFUSED.value,
        Reason.DRIFT.value,
        Reason.CORRUPTED.value,
        Reason.CHECK_NOT_STARTED.value,
        Reason.CHECK_FAILED.value,
        Reason.TRAINING_FAILED.value,
        Reason.ROLLBACK_FAILED.value,
        Reason.PROMOTION_FAILED.value,
        Reason.BACKING_OFF.value,
        Reason.ROLLOUT_FAILED.value,
        Reason.ROLLOUT_BLOCKED.value,
        Reason.CORRUPTED_DATA.value,
        Reason.WORSE_THAN_PREDECESSOR.value,
        FailureReason.IMAGE_NOT_PULLED.value,
        FailureReason.CONTAINER_CONFIG_ERROR.value,
        FailureReason.CONTAINER_NOT_STARTED.value,
        FailureReason.UNSCHEDULABLE.value,
        FailureReason.POD_REFUSED.value,
    }
)
#: Conditions whose transitions are posted; the other conditions carry no further information.
_POSTED = (
    ConditionType.READY,
    ConditionType.DRIFT_DETECTED,
    ConditionType.TRAINING,
    ConditionType.SUSPENDED,
    ConditionType.ROLLED_OUT,
    ConditionType.PINNED,
    ConditionType.CHAMPION_HEALTHY,
)
#: The API server's limit for the message of an event.
_MAX_MESSAGE = 1024


def events_between(old: ModelMonitorStatus, new: ModelMonitorStatus, monitor: Object, now: dt.datetime) -> list[Object]:
    """Return the events of a change of status: new entries of the history, started requests, changed conditions."""
    recorded = {(entry.time, entry.action) for entry in old.history}
    events = [(e.action, e.message) for e in reversed(new.history) if (e.time, e.action) not in recorded]
    events += _started_requests(old.handled_requests, new.handled_requests)
    for kind in _POSTED:
        before, after = _condition(old, kind), _condition(new, kind)
        if after is None or (before is not None and (before.status, before.reason) == (after.status, after.reason)):
            continue
        if after.reason not in {reason for reason, _ in events} | _QUIET:
            events.append((after.reason, after.message))
    return [_event(monitor, reason, message, now) for reason, message in events]


def _started_requests(old: HandledRequests, new: HandledRequests) -> list[tuple[str, str]]:
    """Return an event for each request by annotation whose Job was started; trainings are in the history."""
    requests = (
        (Reason.CHECK_STARTED, names.ANNOTATION_CHECK_REQUESTED, old.check, new.check),
        (Reason.ROLLBACK_STARTED, names.ANNOTATION_ROLLBACK_TO, old.rollback, new.rollback),
        (Reason.PROMOTION_STARTED, names.ANNOTATION_PROMOTE, old.promote, new.promote),
    )
    return [
        (reason.value, f"Started for the annotation {annotation}: {after}")
        for reason, annotation, before, after in requests
        if after is not None and after != before
    ]


#: Reasons of conditions that are the normal state, or that the history reports.
_QUIET = frozenset(
    {Reason.NOT_CHECKED_YET.value, Reason.NOT_TRIGGERED.value, Reason.ACTIVE.value, Reason.IN_FLIGHT.value}
    | {Reason.NOT_WORSE_THAN_PREDECESSOR.value}
    | {reason.value for reason in (Reason.NO_CHAMPION, Reason.DRIFT_DETECTED, Reason.PERFORMANCE_DROP)}
    | {Reason.DRIFT_NOT_RULED_OUT.value, Reason.EXPECTED_GAIN.value}
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
