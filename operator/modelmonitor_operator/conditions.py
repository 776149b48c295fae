"""The conditions of a monitor, each with a reason and a sentence; most are set from the first reconciliation on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal, NamedTuple

from modelmonitor_api.names import ConditionType, Reason, Role
from modelmonitor_api.outcomes import TrainingOutcome
from modelmonitor_api.status import Condition, ModelMonitorStatus
from modelmonitor_policy import Action, Decision, Requests
from modelmonitor_policy.champion_watch import current_watch, describe_watch
from modelmonitor_policy.waiting import find_waiting

Truth = Literal["True", "False", "Unknown"]


class Finding(NamedTuple):
    """A condition without its times."""

    type: ConditionType
    status: Truth
    reason: str
    message: str


#: Conditions that are removed without a finding: no Deployment is declared any more, another champion serves, the
#: champion is released.
_OPTIONAL = (ConditionType.ROLLED_OUT, ConditionType.PINNED, ConditionType.CHAMPION_HEALTHY)


def set_conditions(
    status: ModelMonitorStatus, findings: list[Finding], generation: int, now: dt.datetime
) -> ModelMonitorStatus:
    """Return the status with `findings`; a transition time changes only when the condition's status does."""
    before = {condition.type: condition for condition in status.conditions}
    for optional in _OPTIONAL:
        if not any(finding.type is optional for finding in findings):
            before.pop(optional.value, None)
    for finding in findings:
        old = before.get(finding.type.value)
        since = old.last_transition_time if old is not None and old.status == finding.status else now
        before[finding.type.value] = Condition(
            type=finding.type.value,
            status=finding.status,
            reason=finding.reason,
            message=finding.message[:32768],
            last_transition_time=since,
            observed_generation=generation,
        )
    ordered = [before[kind.value] for kind in ConditionType if kind.value in before]
    return status.model_copy(update={"conditions": ordered, "reason": _standstill(before)})


def _standstill(conditions: Mapping[str, Condition]) -> str | None:
    """Return why a monitor does not check or train, or else the state of its training."""
    ready, suspended, drift, training = (
        conditions.get(kind.value)
        for kind in (
            ConditionType.READY,
            ConditionType.SUSPENDED,
            ConditionType.DRIFT_DETECTED,
            ConditionType.TRAINING,
        )
    )
    if ready is not None and ready.status != "True":
        return ready.reason
    if suspended is not None and suspended.status == "True":
        return suspended.reason
    if drift is not None and drift.reason in {Reason.CHECK_NOT_STARTED, Reason.CHECK_FAILED}:
        return drift.reason
    return training.reason if training is not None else None


def of_suspension(suspended: bool) -> Finding:
    """Return the condition Suspended."""
    if suspended:
        message = "spec.suspend is true: no checks and no trainings start"
        return Finding(ConditionType.SUSPENDED, "True", Reason.SUSPENDED, message)
    return Finding(ConditionType.SUSPENDED, "False", Reason.ACTIVE, "Checks run on schedule")


def of_pin(status: ModelMonitorStatus, requests: Requests) -> list[Finding]:
    """Return the condition Pinned; nothing while the champion is not pinned."""
    champion = status.champion
    pin = requests.pin or (champion.pinned if champion is not None else None)
    if pin is None:
        return []
    name = f"The champion {champion.version}" if champion is not None else "The champion to come"
    message = f"{name} is pinned: {pin}"
    return [Finding(ConditionType.PINNED, "True", Reason.PINNED, message)]


def of_valid_monitor() -> list[Finding]:
    """Return the conditions of a valid spec whose CronJob is in place."""
    return [
        Finding(ConditionType.READY, "True", Reason.ACCEPTED, "The spec is accepted and the CronJob is in place"),
        Finding(ConditionType.STALLED, "False", Reason.ACCEPTED, "The spec is accepted"),
        Finding(ConditionType.RECONCILING, "False", Reason.ACCEPTED, "All objects match the spec"),
    ]


def of_rejected_monitor(status: ModelMonitorStatus, reason: Reason, message: str) -> list[Finding]:
    """Return the conditions of a monitor that the user must change; its existing objects stay."""
    return [
        Finding(ConditionType.READY, "False", reason, message),
        Finding(ConditionType.STALLED, "True", reason, message),
        Finding(ConditionType.RECONCILING, "False", reason, "Waiting for a change of the spec"),
        of_training(status, None),
    ]


def of_status(status: ModelMonitorStatus) -> list[Finding]:
    """Return the conditions that follow from the status alone."""
    return [_drift_detected(status), *_rolled_out(status), *_champion_healthy(status)]


def _drift_detected(status: ModelMonitorStatus) -> Finding:
    check, failure = status.last_check, status.last_check_failure
    kind = ConditionType.DRIFT_DETECTED
    waiting = find_waiting(status, Role.CHECK)
    if check is None and failure is None:
        if waiting is None:
            return Finding(kind, "Unknown", Reason.NOT_CHECKED_YET, "No check has ended yet")
        return Finding(kind, "Unknown", Reason.CHECK_NOT_STARTED, f"{waiting.reason}: {waiting.message}")
    # A verdict stays what it is until the next check has ended; what keeps that one from starting is added.
    added = f" The next check cannot start: {waiting.message}" if waiting is not None else ""
    if failure is not None:
        return Finding(kind, "Unknown", Reason.CHECK_FAILED, f"{failure.reason}: {failure.message}{_stop(added)}")
    assert check is not None
    truths: dict[str, Truth] = {Reason.DRIFT: "True", Reason.NO_DRIFT: "False"}
    return Finding(kind, truths.get(check.verdict, "Unknown"), check.verdict, f"{check.message}{added}")


def _stop(added: str) -> str:
    return f".{added}" if added else ""


def of_training(status: ModelMonitorStatus, decision: Decision | None) -> Finding:
    """Return the condition Training, from the newest training and the newest decision."""
    kind, last = ConditionType.TRAINING, status.last_training
    if last is not None and last.completion_time is None:
        waiting = find_waiting(status, Role.TRAIN)
        if waiting is not None and waiting.reason != Reason.PENDING:
            return Finding(kind, "False", waiting.reason, f"{waiting.message.rstrip('.')}. {last.message}".strip())
        state = f"Job {last.job_name} is running." if waiting is None else waiting.message
        return Finding(kind, "True", last.reason or Reason.TRAINING_STARTED, f"{state} {last.message}".strip())
    if decision is not None and decision.action is Action.HOLD:
        stuck = find_waiting(status, Role.ROLLBACK) or find_waiting(status, Role.PROMOTE)
        cause = f" {stuck.message}." if decision.reason is Reason.IN_FLIGHT and stuck is not None else ""
        return Finding(kind, "False", decision.reason, f"{decision.message}{cause}")
    if last is not None and last.outcome is not None:
        reason = Reason.TRAINING_FAILED if last.outcome == TrainingOutcome.FAILED else last.outcome
        return Finding(kind, "False", reason, last.message)
    return Finding(kind, "False", Reason.NOT_TRIGGERED, "No trigger is active")


def _rolled_out(status: ModelMonitorStatus) -> list[Finding]:
    """Return whether the Deployment serves the champion; nothing where no Deployment is declared."""
    rollout = status.rollout
    if rollout is None:
        return []
    truth: Truth = "True" if rollout.reason == Reason.ROLLOUT_AVAILABLE else "False"
    return [Finding(ConditionType.ROLLED_OUT, truth, rollout.reason, rollout.message)]


def _champion_healthy(status: ModelMonitorStatus) -> list[Finding]:
    """Return whether the champion can be used, and the result of the champion watch; nothing without either."""
    check = status.last_check
    if check is not None and check.champion_problem:
        return [Finding(ConditionType.CHAMPION_HEALTHY, "False", Reason.CHAMPION_UNUSABLE, check.champion_problem)]
    watch = current_watch(status)
    if watch is None:
        return []
    if watch.worse:
        return [Finding(ConditionType.CHAMPION_HEALTHY, "False", Reason.WORSE_THAN_PREDECESSOR, describe_watch(watch))]
    return [Finding(ConditionType.CHAMPION_HEALTHY, "True", Reason.NOT_WORSE_THAN_PREDECESSOR, describe_watch(watch))]
