"""The conditions of a monitor, each with a reason and a sentence; most are set from the first reconciliation on."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.status import Condition, ModelMonitorStatus
from modelmonitor_policy import Action, Decision
from modelmonitor_policy.champion_watch import current_watch, describe_watch

Truth = Literal["True", "False", "Unknown"]
#: A condition without its times: type, status, reason and message.
Finding = tuple[ConditionType, Truth, str, str]

#: Conditions that are removed without a finding: no Deployment is declared any more, another champion serves.
_OPTIONAL = (ConditionType.ROLLED_OUT, ConditionType.CHAMPION_HEALTHY)


def set_conditions(
    status: ModelMonitorStatus, findings: list[Finding], generation: int, now: dt.datetime
) -> ModelMonitorStatus:
    """Return the status with `findings`; a transition time changes only when the condition's status does."""
    before = {condition.type: condition for condition in status.conditions}
    for optional in _OPTIONAL:
        if not any(kind is optional for kind, *_ in findings):
            before.pop(optional.value, None)
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
    """Return the condition Suspended."""
    if suspended:
        return (
            ConditionType.SUSPENDED,
            "True",
            Reason.SUSPENDED,
            "spec.suspend is true: no checks and no trainings start",
        )
    return (ConditionType.SUSPENDED, "False", Reason.ACTIVE, "Checks run on schedule")


def accepted() -> list[Finding]:
    """Return the conditions of a valid spec whose CronJob is in place."""
    return [
        (ConditionType.READY, "True", Reason.ACCEPTED, "The spec is accepted and the CronJob is in place"),
        (ConditionType.STALLED, "False", Reason.ACCEPTED, "The spec is accepted"),
        (ConditionType.RECONCILING, "False", Reason.ACCEPTED, "All objects match the spec"),
    ]


def refused(status: ModelMonitorStatus, reason: Reason, message: str) -> list[Finding]:
    """Return the conditions of a monitor that the user must change; its existing objects stay."""
    return [
        (ConditionType.READY, "False", reason, message),
        (ConditionType.STALLED, "True", reason, message),
        (ConditionType.RECONCILING, "False", reason, "Waiting for a change of the spec"),
        *training(status, None),
    ]


def of_status(status: ModelMonitorStatus) -> list[Finding]:
    """Return the conditions that follow from the status alone."""
    return [*_drift_detected(status), *_rolled_out(status), *_champion_healthy(status)]


def _drift_detected(status: ModelMonitorStatus) -> list[Finding]:
    check, failure = status.last_check, status.last_check_failure
    kind = ConditionType.DRIFT_DETECTED
    if failure is not None:
        return [(kind, "Unknown", Reason.CHECK_FAILED, f"{failure.reason}: {failure.message}")]
    if check is None:
        return [(kind, "Unknown", Reason.NOT_CHECKED_YET, "No check has ended yet")]
    truth: Truth = {Reason.DRIFT.value: "True", Reason.NO_DRIFT.value: "False"}.get(check.verdict, "Unknown")  # type: ignore[assignment]  # the values are literals
    return [(kind, truth, check.verdict, check.message)]


def training(status: ModelMonitorStatus, decision: Decision | None) -> list[Finding]:
    """Return the condition Training, from the newest training and the newest decision."""
    kind, last = ConditionType.TRAINING, status.last_training
    if last is not None and last.completion_time is None:
        return [
            (
                kind,
                "True",
                last.reason or Reason.TRAINING_STARTED,
                f"Job {last.job_name} is running. {last.message}".strip(),
            )
        ]
    if decision is not None and decision.action is Action.HOLD:
        return [(kind, "False", decision.reason, decision.message)]
    if last is not None and last.outcome is not None:
        reason = Reason.TRAINING_FAILED if last.outcome == "Failed" else last.outcome
        return [(kind, "False", reason, last.message)]
    return [(kind, "False", Reason.NOT_TRIGGERED, "No trigger is active")]


def _rolled_out(status: ModelMonitorStatus) -> list[Finding]:
    """Return whether the Deployment serves the champion; nothing where no Deployment is declared."""
    rollout = status.rollout
    if rollout is None:
        return []
    truth: Truth = "True" if rollout.reason == Reason.ROLLOUT_AVAILABLE else "False"
    return [(ConditionType.ROLLED_OUT, truth, rollout.reason, rollout.message)]


def _champion_healthy(status: ModelMonitorStatus) -> list[Finding]:
    """Return the result of the champion watch; nothing where it is disabled or has no result yet."""
    watch = current_watch(status)
    if watch is None:
        return []
    if watch.worse:
        return [(ConditionType.CHAMPION_HEALTHY, "False", Reason.WORSE_THAN_PREDECESSOR, describe_watch(watch))]
    return [(ConditionType.CHAMPION_HEALTHY, "True", Reason.NOT_WORSE_THAN_PREDECESSOR, describe_watch(watch))]
