"""Events: one for each transition, none for what stays the same."""

from __future__ import annotations

import datetime as dt
from typing import Any

from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.status import HandledRequests, HistoryEntry, ModelMonitorStatus
from modelmonitor_operator.conditions import Finding, set_conditions
from modelmonitor_operator.events import events_between

NOW = dt.datetime(2013, 4, 2, 6, tzinfo=dt.UTC)
MONITOR = {"metadata": {"namespace": "demo", "name": "flights", "uid": "u-1", "resourceVersion": "7"}}


def status(*findings: Finding, **fields: Any) -> ModelMonitorStatus:
    """Return a status with conditions."""
    return set_conditions(ModelMonitorStatus(**fields), list(findings), 1, NOW)


def posted(old: ModelMonitorStatus, new: ModelMonitorStatus) -> list[tuple[str, str]]:
    """Return the types and the reasons of the events of a change."""
    return [(event["type"], event["reason"]) for event in events_between(old, new, MONITOR, NOW)]


def entry(action: Reason) -> HistoryEntry:
    """Return an entry of the history."""
    return HistoryEntry(time=NOW, action=action, reason="DriftDetected", message="because")


DRIFT = Finding(ConditionType.DRIFT_DETECTED, "True", Reason.DRIFT, "temp has drifted")
READY = Finding(ConditionType.READY, "True", Reason.ACCEPTED, "fine")


def test_a_changed_condition_is_posted_once() -> None:
    before = status(READY)
    after = status(READY, DRIFT)
    assert posted(before, after) == [("Warning", "Drift")]
    assert posted(after, after) == []
    reworded = status(READY, DRIFT._replace(message="temp and wind have drifted"))
    assert posted(after, reworded) == []


def test_normal_states_are_not_posted() -> None:
    quiet = Finding(ConditionType.TRAINING, "False", Reason.NOT_TRIGGERED, "No trigger is active")
    assert posted(ModelMonitorStatus(), status(quiet)) == []


def test_new_history_is_posted_oldest_first_and_not_again_as_a_condition() -> None:
    failed = Finding(ConditionType.TRAINING, "False", Reason.TRAINING_FAILED, "no data")
    new = status(failed, history=[entry(Reason.TRAINING_FAILED), entry(Reason.TRAINING_STARTED)])
    assert posted(ModelMonitorStatus(), new) == [("Normal", "TrainingStarted"), ("Warning", "TrainingFailed")]
    assert posted(new, new) == []


def test_a_started_request_is_posted_with_its_annotation() -> None:
    old = status(handled_requests=HandledRequests(check="monday", retrain="x"))
    new = status(handled_requests=HandledRequests(check="tuesday", retrain="y", rollback="previous", promote="v9"))
    assert posted(old, new) == [
        ("Normal", "CheckStarted"),
        ("Normal", "RollbackStarted"),
        ("Normal", "PromotionStarted"),
    ]
    [check, *_] = events_between(old, new, MONITOR, NOW)
    assert check["message"] == "Started for the annotation modelmonitor.io/check-requested-at: tuesday"
    assert check["involvedObject"]["uid"] == "u-1"
    assert posted(new, new) == []


def test_a_long_message_is_truncated_to_what_the_api_server_accepts() -> None:
    [event] = events_between(ModelMonitorStatus(), status(DRIFT._replace(message="x" * 3000)), MONITOR, NOW)
    assert len(event["message"]) == 1024
