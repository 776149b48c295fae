"""Triggers: reasons to train. The first that applies is the one that is named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from modelmonitor_api.names import ANNOTATION_RETRAIN_REQUESTED, Reason
from modelmonitor_api.status import format_time
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.observations import CheckObservation


@dataclass(frozen=True)
class Trigger:
    """A reason to train, in one word and in a sentence without its full stop."""

    reason: Reason
    message: str

    @property
    def by_hand(self) -> bool:
        """Whether a person asked for it; such a training passes the gates that save cost."""
        return self.reason is Reason.REQUESTED


def fresh_check(facts: Facts, reason: Reason) -> CheckObservation | None:
    """Return the newest check if it may trigger a training for `reason`.

    A verdict is answered by at most one training that comes to an end: it must be newer than
    the last one. A training that *failed* for the same reason has not answered it.
    """
    check, training = facts.check, facts.training
    if check is None or training is None:
        return check
    if training.failed and training.reason == reason:
        return check
    return check if check.time > (training.completion or training.start) else None


def requested(facts: Facts, _: dt.datetime) -> Trigger | None:
    """Somebody asked for it by annotation."""
    if facts.request is None:
        return None
    return Trigger(Reason.REQUESTED, f"the annotation {ANNOTATION_RETRAIN_REQUESTED} is {facts.request!r}")


def no_champion(facts: Facts, _: dt.datetime) -> Trigger | None:
    """A check found data and no model in production."""
    check = fresh_check(facts, Reason.NO_CHAMPION)
    if facts.champion is not None or check is None or not check.current_rows:
        return None
    return Trigger(
        Reason.NO_CHAMPION,
        f"there is no champion yet, and the check of {format_time(check.time)} found {check.current_rows} rows",
    )


def performance_drop(facts: Facts, _: dt.datetime) -> Trigger | None:
    """The champion scores worse than at its promotion."""
    check = fresh_check(facts, Reason.PERFORMANCE_DROP)
    if not facts.spec.triggers.on_performance or check is None or not check.performance_dropped:
        return None
    return Trigger(
        Reason.PERFORMANCE_DROP, f"the check of {format_time(check.time)} found that the champion's score has dropped"
    )


def _drift(facts: Facts) -> CheckObservation | None:
    check = fresh_check(facts, Reason.DRIFT_DETECTED)
    if check is None or not facts.spec.triggers.on_drift or check.verdict != Reason.DRIFT:
        return None
    return check if check.consecutive_drifts else None  # none: the count began anew with another champion


def drift(facts: Facts, _: dt.datetime) -> Trigger | None:
    """Enough checks in a row said Drift."""
    check = _drift(facts)
    if check is None or check.consecutive_drifts < facts.spec.sensitivity.consecutive_checks:
        return None
    in_a_row = f", as did {check.consecutive_drifts - 1} before it" if check.consecutive_drifts > 1 else ""
    return Trigger(Reason.DRIFT_DETECTED, f"the check of {format_time(check.time)} found drift{in_a_row}")


def drift_unconfirmed(facts: Facts) -> str | None:
    """Return a sentence where drift was found but not yet in enough checks in a row."""
    check, needed = _drift(facts), facts.spec.sensitivity.consecutive_checks
    if check is None or check.consecutive_drifts >= needed:
        return None
    return (
        f"Drift was found by {check.consecutive_drifts} of the {needed} checks in a row that "
        "sensitivity.consecutiveChecks asks for."
    )


def period_end(facts: Facts) -> dt.datetime | None:
    """Return when the period of triggers.everyDays ends, counted from the newest model."""
    days = facts.spec.triggers.every_days
    if days is None or facts.champion is None:  # without a champion it is no_champion's business
        return None
    training = facts.training
    if training is None:
        since = facts.champion.since
    elif training.failed and training.reason == Reason.PERIOD_ELAPSED:
        return training.start  # the period had elapsed, and still has no training to show for it
    else:
        since = max(training.start, facts.champion.since)
    return since + dt.timedelta(days=days)


def period(facts: Facts, now: dt.datetime) -> Trigger | None:
    """So many days have passed since the last training or promotion."""
    end = period_end(facts)
    if end is None or now < end:
        return None
    return Trigger(
        Reason.PERIOD_ELAPSED,
        f"triggers.everyDays is {facts.spec.triggers.every_days}, and the period ended at {format_time(end)}",
    )


def new_rows(facts: Facts, _: dt.datetime) -> Trigger | None:
    """So many rows have arrived since the champion's training data."""
    check, wanted = fresh_check(facts, Reason.ENOUGH_NEW_ROWS), facts.spec.triggers.every_new_rows
    if check is None or wanted is None or facts.champion is None or (check.new_rows or 0) < wanted:
        return None
    return Trigger(
        Reason.ENOUGH_NEW_ROWS,
        f"{check.new_rows} rows have arrived since the champion's training data; triggers.everyNewRows is {wanted}",
    )


TRIGGERS: tuple[Callable[[Facts, dt.datetime], Trigger | None], ...] = (
    requested,
    no_champion,
    performance_drop,
    drift,
    period,
    new_rows,
)


def find_trigger(facts: Facts, now: dt.datetime) -> Trigger | None:
    """Return the first trigger that applies."""
    return next((found for trigger in TRIGGERS if (found := trigger(facts, now)) is not None), None)
