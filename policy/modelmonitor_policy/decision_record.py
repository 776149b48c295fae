"""The record of decisions: what the status keeps until a pod has written it to the ledger on S3.

The operator does not access the object store. It keeps the newest decisions, suppressed ones included, and gives them
to each pod, which writes them.
"""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.names import Reason
from modelmonitor_api.status import MAX_DECISIONS, ModelMonitorStatus, RecordedDecision
from modelmonitor_policy.decision import Action, Decision

#: The action of a decision against a training that a trigger asks for.
HELD = "Held"


def record_decisions(status: ModelMonitorStatus, decision: Decision, now: dt.datetime) -> ModelMonitorStatus:
    """Return the status with the entries of its history and a hold among its decisions, each once.

    Parameters
    ----------
    status
        The status after everything of this pass has been decided.
    decision
        The decision whether to train. A hold is recorded when its reason changes; a Job in progress is no decision.
    now
        The time.
    """
    recorded = {(entry.time, entry.action): entry for entry in status.decisions}
    seconds = _seconds(status)
    for entry in status.history:
        ended = status.last_training is not None and entry.time == status.last_training.completion_time
        recorded.setdefault(
            (entry.time, entry.action),
            RecordedDecision(
                time=entry.time,
                action=entry.action,
                reason=entry.reason,
                message=entry.message,
                version=entry.version,
                seconds=seconds if ended else None,
            ),
        )
    newest = max(recorded.values(), key=lambda entry: (entry.time, entry.action == HELD), default=None)
    repeated = newest is not None and (newest.action, newest.reason) == (HELD, decision.reason)
    if decision.action is Action.HOLD and decision.reason is not Reason.IN_FLIGHT and not repeated:
        held = RecordedDecision(
            time=now, action=HELD, reason=decision.reason, message=decision.message[:1024], seconds=seconds
        )
        recorded[now, HELD] = held
    ordered = sorted(recorded.values(), key=lambda entry: (entry.time, entry.action == HELD, entry.action))
    return status.model_copy(update={"decisions": ordered[::-1][:MAX_DECISIONS]})


def _seconds(status: ModelMonitorStatus) -> int | None:
    """Return how long the Job of the newest training existed; None while it does."""
    last = status.last_training
    if last is None or last.completion_time is None:
        return None
    return max(0, int((last.completion_time - last.start_time).total_seconds()))
