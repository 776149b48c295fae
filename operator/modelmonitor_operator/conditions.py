"""The conditions of a monitor: every one of them set at first sight, each with a sentence."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.status import Condition, ModelMonitorStatus
from modelmonitor_policy import Action, Decision

Truth = Literal["True", "False", "Unknown"]
Finding = tuple[ConditionType, Truth, str, str]


def set_conditions(
    status: ModelMonitorStatus, findings: list[Finding], generation: int, now: dt.datetime
) -> ModelMonitorStatus:
    """Return the status with `findings`; a time of transition changes with the truth alone."""
    before = {condition.type: condition for condition in status.conditions}
    if not any(kind is ConditionType.ROLLED_OUT for kind, *_ in findings):
        before.pop(ConditionType.ROLLED_OUT.value, None)  # no Deployment is declared any more
    for kind, truth, reason, message in findings:
        old = before.get(kind.value)
        since = old.last_transition_time if old is not None and old.status == truth else now
        before[kind.value] = Condition(
            type=kind.value,
            status=truth,
            reason=reason,
            message=message[:32768],
            last_transition_time=since,
            observed_generation=generation,
        )
    ordered = [before[kind.value] for kind in ConditionType if kind.value in before]
    return status.model_copy(update={"conditions": ordered})


def suspension(suspended: bool) -> Finding:
    """Return what spec.suspend means."""
    if suspended:
        return (
            ConditionType.SUSPENDED,
            "True",
            Reason.SUSPENDED,
            "spec.suspend is true: nothing is checked or trained",
        )
    return (ConditionType.SUSPENDED, "False", Reason.ACTIVE, "Checks run on schedule")


def accepted() -> list[Finding]:
    """Return what an accepted spec with its CronJob in place means."""
    return [
        (ConditionType.READY, "True", Reason.ACCEPTED, "The spec is accepted and the CronJob is in place"),
        (ConditionType.STALLED, "False", Reason.ACCEPTED, "The spec is accepted"),
        (ConditionType.RECONCILING, "False", Reason.ACCEPTED, "The objects are as the spec wants them"),
    ]


def refused(reason: Reason, message: str) -> list[Finding]:
    """Return what a spec that must be changed means; what was in place stays."""
    return [
        (ConditionType.READY, "False", reason, message),
        (ConditionType.STALLED, "True", reason, message),
        (ConditionType.RECONCILING, "False", reason, "Waiting for the spec to be changed"),
    ]


def observed(status: ModelMonitorStatus) -> list[Finding]:
    """Return what the checks mean."""
    check, failure = status.last_check, status.last_check_failure
    kind = ConditionType.DRIFT_DETECTED
    if failure is not None:
        return [(kind, "Unknown", Reason.CHECK_FAILED, f"{failure.reason}: {failure.message}")]
    if check is None:
        return [(kind, "Unknown", Reason.NOT_CHECKED_YET, "No check has ended yet")]
    truth: Truth = {Reason.DRIFT.value: "True", Reason.NO_DRIFT.value: "False"}.get(check.verdict, "Unknown")  # type: ignore[assignment]  # the values are literals
    return [(kind, truth, check.verdict, check.message)]


def training(status: ModelMonitorStatus, decision: Decision | None) -> list[Finding]:
    """Return what the newest training and the newest decision mean."""
    kind, last = ConditionType.TRAINING, status.last_training
    if last is not None and last.completion_time is None:
        return [
            (kind, "True", last.reason or Reason.TRAINING_STARTED, f"Job {last.job_name} runs. {last.message}".strip())
        ]
    if decision is not None and decision.action is Action.HOLD:
        return [(kind, "False", decision.reason, decision.message)]
    if last is not None and last.outcome is not None:
        reason = Reason.TRAINING_FAILED if last.outcome == "Failed" else last.outcome
        return [(kind, "False", reason, last.message)]
    return [(kind, "False", Reason.NOT_TRIGGERED, "Nothing asks for a training")]


def rolled_out(status: ModelMonitorStatus) -> list[Finding]:
    """Return what the Deployment that serves the champion means; nothing where none is declared."""
    rollout = status.rollout
    if rollout is None:
        return []
    truth: Truth = "True" if rollout.reason == Reason.ROLLOUT_AVAILABLE else "False"
    return [(ConditionType.ROLLED_OUT, truth, rollout.reason, rollout.message)]
