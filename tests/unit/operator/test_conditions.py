"""Conditions: which apply, and when their transition times change."""

from __future__ import annotations

import datetime as dt

import pytest

from modelmonitor_api.names import ConditionType, Reason, Role
from modelmonitor_api.status import (
    Champion,
    LastCheck,
    LastCheckFailure,
    LastTraining,
    ModelMonitorStatus,
    WaitingJob,
)
from modelmonitor_operator import conditions
from modelmonitor_operator.conditions import Finding, set_conditions
from modelmonitor_policy import Action, Decision, Requests

NOW = dt.datetime(2013, 4, 2, 6, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
READY = ConditionType.READY


def test_a_transition_time_changes_with_the_status_alone() -> None:
    status = set_conditions(ModelMonitorStatus(), [Finding(READY, "True", "Accepted", "fine")], 1, NOW)
    status = set_conditions(status, [Finding(READY, "True", "Other", "still fine")], 2, NOW + HOUR)
    [condition] = status.conditions
    assert (condition.last_transition_time, condition.observed_generation) == (NOW, 2)
    assert (condition.reason, condition.message) == ("Other", "still fine")
    [condition] = set_conditions(status, [Finding(READY, "False", "InvalidSpec", "bad")], 2, NOW + HOUR).conditions
    assert condition.last_transition_time == NOW + HOUR


def test_optional_conditions_disappear_without_a_finding_and_others_stay() -> None:
    findings = [
        Finding(READY, "True", "Accepted", "fine"),
        Finding(ConditionType.ROLLED_OUT, "True", "RolloutAvailable", "serving"),
    ]
    status = set_conditions(ModelMonitorStatus(), findings, 1, NOW)
    assert [condition.type for condition in status.conditions] == ["Ready", "RolledOut"]
    assert [condition.type for condition in set_conditions(status, [], 1, NOW).conditions] == ["Ready"]


@pytest.mark.parametrize(
    ("requests", "champion", "message"),
    [
        (Requests(), None, None),
        (Requests(pin="audit"), None, "The champion to come is pinned: audit"),
        (Requests(pin="audit"), "v1-00000000", "The champion v1-00000000 is pinned: audit"),
    ],
)
def test_pinned(requests: Requests, champion: str | None, message: str | None) -> None:
    status = ModelMonitorStatus(champion=Champion(version=champion, since=NOW) if champion else None)
    assert [finding.message for finding in conditions.of_pin(status, requests)] == ([message] if message else [])
    cli = ModelMonitorStatus(champion=Champion(version="v1-00000000", since=NOW, pinned="by me"))
    (finding,) = conditions.of_pin(cli, Requests())
    assert finding == Finding(ConditionType.PINNED, "True", "Pinned", "The champion v1-00000000 is pinned: by me")


RUNNING = LastTraining(number=1, job_name="train-1", reason="NoChampion", start_time=NOW, message="The first one.")
FAILED = RUNNING.model_copy(update={"completion_time": NOW + HOUR, "outcome": "Failed", "message": "no data"})
HELD = Decision(Action.HOLD, Reason.BACKING_OFF, "Backing off.")
NOTHING = Decision(Action.NOTHING, Reason.NOT_TRIGGERED, "No trigger is active.")


@pytest.mark.parametrize(
    ("training", "decision", "expected"),
    [
        pytest.param(RUNNING, HELD, ("True", "NoChampion", "Job train-1 is running. The first one."), id="running"),
        pytest.param(FAILED, HELD, ("False", "BackingOff", "Backing off."), id="held"),
        pytest.param(FAILED, NOTHING, ("False", "TrainingFailed", "no data"), id="the newest has failed"),
        pytest.param(FAILED, None, ("False", "TrainingFailed", "no data"), id="rejected monitor"),
        pytest.param(None, NOTHING, ("False", "NotTriggered", "No trigger is active"), id="none yet"),
    ],
)
def test_training(training: LastTraining | None, decision: Decision | None, expected: tuple[str, str, str]) -> None:
    finding = conditions.of_training(ModelMonitorStatus(last_training=training), decision)
    assert (finding.status, finding.reason, finding.message) == expected


def waiting(role: Role, reason: str, message: str) -> WaitingJob:
    """Return a Job that has not started."""
    return WaitingJob(job_name="a", uid="a", role=role, reason=reason, message=message)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (waiting(Role.TRAIN, "Pending", "Not yet."), ("True", "NoChampion", "Not yet. The first one.")),
        (waiting(Role.TRAIN, "Queued", "Queued."), ("False", "Queued", "Queued. The first one.")),
        (waiting(Role.TRAIN, "Unschedulable", "No node"), ("False", "Unschedulable", "No node. The first one.")),
        (
            waiting(Role.CHECK, "Unschedulable", "No node"),
            ("True", "NoChampion", "Job train-1 is running. The first one."),
        ),
    ],
)
def test_a_training_that_has_not_started(job: WaitingJob, expected: tuple[str, str, str]) -> None:
    status = ModelMonitorStatus(last_training=RUNNING, waiting_jobs=[job])
    finding = conditions.of_training(status, HELD)
    assert (finding.status, finding.reason, finding.message) == expected


def test_a_check_that_cannot_start() -> None:
    blocked = waiting(Role.CHECK, "ImageNotPulled", "No image")
    verdict = LastCheck(time=NOW, job_name="b", verdict="NoDrift", message="Nothing.")
    failure = LastCheckFailure(time=NOW, job_name="b", reason="BadData", message="Bad")
    statuses = [
        ModelMonitorStatus(waiting_jobs=[blocked]),
        ModelMonitorStatus(waiting_jobs=[blocked], last_check=verdict),
        ModelMonitorStatus(waiting_jobs=[blocked], last_check=verdict, last_check_failure=failure),
    ]
    assert [conditions.of_status(status)[0][1:] for status in statuses] == [
        ("Unknown", "CheckNotStarted", "ImageNotPulled: No image"),
        ("False", "NoDrift", "Nothing. The next check cannot start: No image"),
        ("Unknown", "CheckFailed", "BadData: Bad. The next check cannot start: No image"),
    ]


@pytest.mark.parametrize(
    ("findings", "reason"),
    [
        ([], None),
        ([Finding(ConditionType.TRAINING, "False", "CoolingDown", "")], "CoolingDown"),
        ([Finding(ConditionType.DRIFT_DETECTED, "True", "Drift", "")], "BudgetExhausted"),
        ([Finding(ConditionType.DRIFT_DETECTED, "Unknown", "CheckFailed", "")], "CheckFailed"),
        ([Finding(ConditionType.SUSPENDED, "True", "Suspended", "")], "Suspended"),
        (
            [Finding(READY, "False", "InvalidSpec", ""), Finding(ConditionType.SUSPENDED, "True", "Suspended", "")],
            "InvalidSpec",
        ),
    ],
)
def test_the_reason_of_a_standstill(findings: list[Finding], reason: str | None) -> None:
    training = Finding(ConditionType.TRAINING, "False", "BudgetExhausted", "")
    base = [] if reason is None or findings[0].type is ConditionType.TRAINING else [training]
    assert set_conditions(ModelMonitorStatus(), [*base, *findings], 1, NOW).reason == reason
