"""Gates: reasons to hold a training back although there is a trigger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from modelmonitor_api.names import Reason
from modelmonitor_api.spec import RetrainingMode
from modelmonitor_api.status import format_time
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.triggers import Trigger

FIRST_BACKOFF = dt.timedelta(hours=1)
MAX_BACKOFF = dt.timedelta(hours=32)


@dataclass(frozen=True)
class Hold:
    """Why a training is held back, and when time alone will let it go."""

    reason: Reason
    message: str
    until: dt.datetime | None = None


def backoff(failures: int) -> dt.timedelta:
    """Return how long to wait after so many failed trainings in a row: 1 h, 2 h, … 32 h."""
    return min(FIRST_BACKOFF * (1 << min(max(failures, 1) - 1, 16)), MAX_BACKOFF)


def suspended(facts: Facts, _trigger: Trigger, _now: dt.datetime) -> Hold | None:
    """Nothing is trained while the monitor is suspended."""
    if not facts.spec.suspend:
        return None
    return Hold(Reason.SUSPENDED, "The monitor is suspended; set spec.suspend to false to go on.")


def in_flight(facts: Facts, _trigger: Trigger, _now: dt.datetime) -> Hold | None:
    """One Job at a time may change the champion."""
    if facts.in_flight is None:
        return None
    return Hold(Reason.IN_FLIGHT, f"The Job {facts.in_flight.job_name} ({facts.in_flight.role}) has not ended yet.")


def corrupted(facts: Facts, trigger: Trigger, _now: dt.datetime) -> Hold | None:
    """Broken data train nobody, however much it is asked for."""
    check = facts.check
    if check is None or check.verdict != Reason.CORRUPTED:
        return None
    return Hold(
        Reason.CORRUPTED_DATA,
        f"The check of {format_time(check.time)} found broken data, which no model is trained on: {check.message} "
        f"A training waits ({trigger.message}) until a check finds the data in order.",
    )


def backing_off(facts: Facts, trigger: Trigger, now: dt.datetime) -> Hold | None:
    """Failed trainings are tried again ever later, and at once for a new spec."""
    training = facts.training
    if training is None or training.completion is None or not training.failures or trigger.by_hand:
        return None
    if training.generation != facts.generation:
        return None
    until = training.completion + backoff(training.failures)
    if now >= until:
        return None
    times = "time" if training.failures == 1 else "times in a row"
    why = f": {training.message.rstrip('.')}" if training.message else ""
    return Hold(
        Reason.BACKING_OFF,
        f"Backing off until {format_time(until)}: training has failed {training.failures} {times}, last at "
        f"{format_time(training.completion)}{why}. A change of the spec ends the wait.",
        until,
    )


def cooling_down(facts: Facts, trigger: Trigger, now: dt.datetime) -> Hold | None:
    """Two trainings keep their distance; a first champion is not kept waiting for a failed attempt."""
    training, seconds = facts.training, facts.spec.retraining.cooldown_seconds
    if training is None or trigger.by_hand or (facts.champion is None and training.failed):
        return None
    until = training.start + dt.timedelta(seconds=seconds)
    if now >= until:
        return None
    return Hold(
        Reason.COOLING_DOWN,
        f"Cooling down until {format_time(until)}: the last training started at {format_time(training.start)}; "
        f"retraining.cooldownSeconds is {seconds}. Waiting: {trigger.message}.",
        until,
    )


def budget_exhausted(facts: Facts, trigger: Trigger, now: dt.datetime) -> Hold | None:
    """So many trainings in so many days, and no more."""
    budget = facts.spec.retraining.budget
    window = dt.timedelta(days=budget.per_days)
    counted = sorted((start for start in facts.trainings if start > now - window), reverse=True)
    if trigger.by_hand or len(counted) < budget.count:
        return None
    until = counted[budget.count - 1] + window
    return Hold(
        Reason.BUDGET_EXHAUSTED,
        f"The budget is used up until {format_time(until)}: retraining.budget allows {budget.count} trainings in "
        f"{budget.per_days} days. Waiting: {trigger.message}.",
        until,
    )


def too_few_new_rows(facts: Facts, trigger: Trigger, _now: dt.datetime) -> Hold | None:
    """A training on nearly the same rows would tell nothing new."""
    wanted = facts.spec.retraining.min_new_rows
    if trigger.by_hand or facts.champion is None or not wanted:
        return None
    known = facts.check.new_rows if facts.check else None
    if known is not None and known >= wanted:
        return None
    arrived = "is not known" if known is None else f"is {known}"
    return Hold(
        Reason.TOO_FEW_NEW_ROWS,
        f"The number of rows since the champion's training data {arrived}; retraining.minNewRows is {wanted}. "
        f"Waiting: {trigger.message}.",
    )


def dry_run(facts: Facts, trigger: Trigger, _now: dt.datetime) -> Hold | None:
    """A dry run says what it would have done."""
    retraining = facts.spec.retraining
    if retraining.mode is not RetrainingMode.DRY_RUN:
        return None
    return Hold(
        Reason.DRY_RUN,
        f"A training on {retraining.window_days} days would be started: {trigger.message}. "
        "retraining.mode is DryRun, so nothing is trained.",
    )


def manual_mode(facts: Facts, trigger: Trigger, _now: dt.datetime) -> Hold | None:
    """In manual mode a person decides."""
    if facts.spec.retraining.mode is not RetrainingMode.MANUAL or trigger.by_hand:
        return None
    return Hold(
        Reason.MANUAL_MODE,
        f"A training is called for: {trigger.message}. retraining.mode is Manual; set the annotation "
        "modelmonitor.io/retrain-requested-at to start it.",
    )


HOLDS: tuple[Callable[[Facts, Trigger, dt.datetime], Hold | None], ...] = (
    suspended,
    in_flight,
    corrupted,
    backing_off,
    cooling_down,
    budget_exhausted,
    too_few_new_rows,
    dry_run,
    manual_mode,
)


def find_hold(facts: Facts, trigger: Trigger, now: dt.datetime) -> Hold | None:
    """Return the first gate that holds `trigger` back."""
    return next((held for gate in HOLDS if (held := gate(facts, trigger, now)) is not None), None)
