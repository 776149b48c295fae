"""The conditions of a monitor: every one of them set at first sight, each with a sentence."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.status import ChampionWatch, Condition, ModelMonitorStatus
from modelmonitor_policy import Action, Decision

Truth = Literal["True", "False", "Unknown"]
Finding = tuple[ConditionType, Truth, str, str]

#: Conditions that go when nothing is found: no Deployment is declared any more, another champion serves.
_PASSING = (ConditionType.ROLLED_OUT, ConditionType.CHAMPION_HEALTHY)


def set_conditions(
    status: ModelMonitorStatus, findings: list[Finding], generation: int, now: dt.datetime
) -> ModelMonitorStatus:
    """Return the status with `findings`; a time of transition changes with the truth alone."""
    before = {condition.type: condition for condition in status.conditions}
    for passing in _PASSING:
        if not any(kind is passing for kind, *_ in findings):
            before.pop(passing.value, None)
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


def champion_healthy(status: ModelMonitorStatus) -> list[Finding]:
    """Return what the watch on a new champion means; nothing where nobody looks or nothing can be said yet."""
    seen, champion = watched(status), status.champion
    if seen is None or champion is None:
        return []
    if seen.worse:
        return [(ConditionType.CHAMPION_HEALTHY, "False", Reason.WORSE_THAN_PREDECESSOR, watch_sentence(seen))]
    return [(ConditionType.CHAMPION_HEALTHY, "True", Reason.NOT_WORSE_THAN_PREDECESSOR, watch_sentence(seen))]


def watched(status: ModelMonitorStatus) -> ChampionWatch | None:
    """Return what the newest check found of the champion's promotion; None where it was about another champion."""
    seen = status.last_check.watch if status.last_check is not None else None
    champion = status.champion
    if seen is None or champion is None:
        return None
    return seen if (seen.champion, seen.since) == (champion.version, champion.since) else None


def watch_sentence(seen: ChampionWatch) -> str:
    """Return what a watch found, in a sentence."""
    verdict = "worse than" if seen.worse else "not shown to be worse than"
    return (
        f"The champion {seen.champion} is {verdict} {seen.predecessor} before it: by {seen.metric} the difference is "
        f"{seen.difference} ({seen.low} to {seen.high}) on {seen.rows} rows of {seen.days} days after its hold-out."
    )
