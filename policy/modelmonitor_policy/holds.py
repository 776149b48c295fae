"""Holds: reasons to delay a training although a trigger is active."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from modelmonitor_api.names import ANNOTATION_PIN, ANNOTATION_RETRAIN_REQUESTED, Reason
from modelmonitor_api.outcomes import TrainingOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import RetrainingMode
from modelmonitor_api.times import format_time
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.first_training import find_obstacle
from modelmonitor_policy.training_calendar import day_with, days_required, known_from, plan_training
from modelmonitor_policy.triggers import ActiveTrigger, days_tried

FIRST_BACKOFF = dt.timedelta(hours=1)
MAX_BACKOFF = dt.timedelta(hours=32)


@dataclass(frozen=True)
class Hold:
    """Why a training is delayed, and until when; `until` is None where time alone does not end the hold."""

    reason: Reason
    message: str
    until: dt.datetime | None = None


#: A rule returns None where it does not hold the training back.
HoldRule = Callable[[Facts, ActiveTrigger, dt.datetime], Hold | None]


def backoff(failures: int) -> dt.timedelta:
    """Return the delay after a number of consecutive failed trainings: 1 h, 2 h, … 32 h."""
    return min(FIRST_BACKOFF * (1 << min(max(failures, 1) - 1, 16)), MAX_BACKOFF)


def suspended(facts: Facts, _trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Never train while the monitor is suspended."""
    if not facts.spec.suspend:
        return None
    return Hold(Reason.SUSPENDED, "The monitor is suspended; set spec.suspend to false to resume it.")


def in_flight(facts: Facts, _trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Run one Job at a time that can change the champion."""
    job = facts.in_flight
    if job is None:
        return None
    return Hold(Reason.IN_FLIGHT, f"The Job {job.job_name} ({job.role}) has not ended yet.")


def pinned(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Do not train what could not be promoted."""
    if facts.pin is None or facts.champion is None or trigger.manual:
        return None
    return Hold(
        Reason.PINNED,
        f"The champion {facts.champion.version} is pinned ({facts.pin}), so no training could replace it. Remove the "
        f"annotation {ANNOTATION_PIN}, or run modelmonitor unpin, to release it. Pending: {trigger.message}.",
    )


def corrupted(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Never train on corrupted data, not even on request."""
    check = facts.check
    if check is None or check.verdict != Reason.CORRUPTED:
        return None
    return Hold(
        Reason.CORRUPTED_DATA,
        f"The check of {format_time(check.time)} found corrupted data, which blocks training: {check.message} "
        f"The training starts after the next check that finds valid data. Pending: {trigger.message}.",
    )


#: Triggers that respond to a change, which a training can only learn from days after it.
_RESPONSES = frozenset({Reason.DRIFT_DETECTED, Reason.PERFORMANCE_DROP})


def waiting_for_new_data(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Do not respond to a change before the training window holds enough days from after it."""
    check, champion, spec = facts.check, facts.champion, facts.spec
    if trigger.reason not in _RESPONSES or champion is None or check is None:
        return None
    onset, newest = check.drift_onset, check.newest_day
    if onset is None or newest is None:
        return None
    calendar = plan_training(spec, newest, champion_end=champion.train_end)
    days_after, required = calendar.train.count_from(onset), days_required(spec, days_tried(facts, onset))
    if days_after >= required:
        return None
    enough = day_with(spec, onset, required)
    labels = spec.data.labels
    beyond = f"promotion.holdoutDays ({spec.promotion.holdout_days})"
    if labels is not None and labels.delay_days:
        beyond += f" and data.labels.delayDays ({labels.delay_days})"
    return Hold(
        Reason.WAITING_FOR_NEW_DATA,
        f"Waiting until {format_time(known_from(spec, enough))} for data from after the change of {onset}: a training "
        f"window would end on {calendar.train.end} and hold {days_after} days from after it, and {required} are needed "
        f"(retraining.minNewShare is {spec.retraining.min_new_share}). Days reach it after {beyond}, so the rows of "
        f"{enough} must have arrived. Pending: {trigger.message}.",
    )


def tried_already(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Do not repeat a response whose window held the change as well as a window can, on nearly the same days."""
    check, champion, training, spec = facts.check, facts.champion, facts.training, facts.spec
    if trigger.reason not in _RESPONSES or champion is None or check is None or training is None:
        return None
    onset, newest, tried = check.drift_onset, check.newest_day, training.train_end
    if onset is None or newest is None or tried is None or training.failed:
        return None
    if training.generation != facts.generation or 2 * days_tried(facts, onset) <= spec.retraining.window_days:
        return None
    end, required = plan_training(spec, newest, champion_end=champion.train_end).train.end, days_required(spec)
    if (end - tried).days >= required:
        return None
    enough = day_with(spec, tried + dt.timedelta(days=1), required)
    return Hold(
        Reason.WAITING_FOR_NEW_DATA,
        f"Waiting until {format_time(known_from(spec, enough))} for newer data: the last training "
        f"({training.outcome}) was on days through {tried}, long after the change of {onset}, and another would end "
        f"{max(0, (end - tried).days)} days later; {required} are needed (retraining.minNewShare is "
        f"{spec.retraining.min_new_share}). Pending: {trigger.message}.",
    )


#: Triggers that come back while nothing gets better. Periods and numbers of rows are declared, and are kept to.
_RECURRING = _RESPONSES | {Reason.NO_CHAMPION, Reason.CHANGE_PARTLY_LEARNT, Reason.DRIFT_NOT_RULED_OUT}
#: Hold-outs to wait for after rejections in a row: 1, 2, 4, 8.
MAX_HOLDOUTS = 8


def rejected_before(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """After a rejection, wait for a hold-out of new days, and for twice as many after each further one.

    A comparison on nearly the same days would repeat the last one, and each repetition is a chance to be promoted by
    luck. Without a champion, the wait does not grow.
    """
    check, champion, training, spec = facts.check, facts.champion, facts.training, facts.spec
    if trigger.reason not in _RECURRING or check is None or check.newest_day is None or training is None:
        return None
    tried = training.train_end
    if not training.rejections or tried is None or training.generation != facts.generation:
        return None
    if check.drift_onset is not None and check.drift_onset > tried:
        return None  # another change, which the rejected model had not seen
    champion_end = champion.train_end if champion is not None else None
    end = plan_training(spec, check.newest_day, champion_end=champion_end).train.end
    holdouts = min(1 << (training.rejections - 1), MAX_HOLDOUTS) if champion is not None else 1
    required = holdouts * spec.promotion.holdout_days
    if (end - tried).days >= required:
        return None
    enough = day_with(spec, tried + dt.timedelta(days=1), required)
    failed = "model of the last training" if training.rejections == 1 else f"last {training.rejections} models"
    return Hold(
        Reason.WAITING_FOR_NEW_DATA,
        f"Waiting until {format_time(known_from(spec, enough))} for newer data: the {failed} did not pass, on days "
        f"through {tried}, and another would end {max(0, (end - tried).days)} days later; {required} are needed "
        f"(promotion.holdoutDays is {spec.promotion.holdout_days}; the wait doubles after each rejection of a "
        f"challenger). Pending: {trigger.message}.",
    )


def nothing_new(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Do not train on the days that the champion was trained on, unless the spec has changed since."""
    check, champion, training = facts.check, facts.champion, facts.training
    if trigger.manual or champion is None or champion.train_end is None or check is None or check.newest_day is None:
        return None
    if training is None or training.generation != facts.generation:
        return None
    end = plan_training(facts.spec, check.newest_day, champion_end=champion.train_end).train.end
    if end > champion.train_end:
        return None
    enough = day_with(facts.spec, champion.train_end, 2)
    return Hold(
        Reason.NOTHING_NEW,
        f"Waiting until {format_time(known_from(facts.spec, enough))} for new training data: a training window would "
        f"end on {end}, as the champion's does, because the days after it are the hold-out. "
        f"Pending: {trigger.message}.",
    )


def backing_off(facts: Facts, trigger: ActiveTrigger, now: dt.datetime) -> Hold | None:
    """Retry failed trainings with increasing delays, and at once after a change of the spec."""
    training = facts.training
    if training is None or training.completion is None or not training.failures or trigger.manual:
        return None
    if training.generation != facts.generation:
        return None
    until = training.completion + backoff(training.failures)
    if now >= until:
        return None
    times = "time" if training.failures == 1 else "times in a row"
    cause = f": {training.message.rstrip('.')}" if training.message else ""
    return Hold(
        Reason.BACKING_OFF,
        f"Backing off until {format_time(until)}: training has failed {training.failures} {times}, last at "
        f"{format_time(training.completion)}{cause}. A change of the spec ends the wait.",
        until,
    )


def cooling_down(facts: Facts, trigger: ActiveTrigger, now: dt.datetime) -> Hold | None:
    """Keep a minimum time between trainings, except after a failed attempt at the first champion."""
    training, seconds = facts.training, facts.spec.retraining.cooldown_seconds
    if training is None or trigger.manual or (facts.champion is None and training.failed):
        return None
    trained_nothing = training.outcome in {TrainingOutcome.NOTHING_NEW, TrainingOutcome.NOT_STARTED}
    if trained_nothing or training.outcome_reason == GateReason.TOO_FEW_ROWS:
        return None
    until = training.start + dt.timedelta(seconds=seconds)
    if now >= until:
        return None
    return Hold(
        Reason.COOLING_DOWN,
        f"Cooling down until {format_time(until)}: the last training started at {format_time(training.start)}, and "
        f"retraining.cooldownSeconds is {seconds}. Pending: {trigger.message}.",
        until,
    )


def budget_exhausted(facts: Facts, trigger: ActiveTrigger, now: dt.datetime) -> Hold | None:
    """Limit the number of trainings in a sliding window of days."""
    budget = facts.spec.retraining.budget
    window = dt.timedelta(days=budget.per_days)
    counted = sorted((start for start in facts.trainings if start > now - window), reverse=True)
    if trigger.manual or len(counted) < budget.count:
        return None
    until = counted[budget.count - 1] + window
    return Hold(
        Reason.BUDGET_EXHAUSTED,
        f"The retraining budget is exhausted until {format_time(until)}: retraining.budget allows {budget.count} "
        f"trainings in {budget.per_days} days. Pending: {trigger.message}.",
        until,
    )


def too_few_new_rows(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Do not train again on nearly the same rows."""
    required = facts.spec.retraining.min_new_rows
    if trigger.manual or facts.champion is None or not required:
        return None
    rows = facts.check.new_rows if facts.check else None
    if rows is not None and rows >= required:
        return None
    count = "unknown" if rows is None else str(rows)
    return Hold(
        Reason.TOO_FEW_NEW_ROWS,
        f"Waiting for more rows: the number of rows since the champion's training data is {count}, and "
        f"retraining.minNewRows is {required}. Pending: {trigger.message}.",
    )


def dry_run(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Report in a dry run what would have been done."""
    retraining = facts.spec.retraining
    if retraining.mode is not RetrainingMode.DRY_RUN:
        return None
    return Hold(
        Reason.DRY_RUN,
        f"A training on {retraining.window_days} days would start: {trigger.message}. "
        "retraining.mode is DryRun, so no training starts.",
    )


def manual_mode(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Leave the decision to the user in manual mode."""
    if facts.spec.retraining.mode is not RetrainingMode.MANUAL or trigger.manual:
        return None
    return Hold(
        Reason.MANUAL_MODE,
        f"A training is due: {trigger.message}. retraining.mode is Manual; set the annotation "
        f"{ANNOTATION_RETRAIN_REQUESTED} to start it.",
    )


def queued(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Wait until as many other trainings have ended as the limits of the operator require."""
    if facts.queued is None:
        return None
    return Hold(
        Reason.TRAINING_QUEUED,
        f"Queued since {format_time(facts.queued.time)}: {facts.queued.message} (maxConcurrentTrainings of the chart). "
        f"Trainings start in the order of their decisions. Pending: {trigger.message}.",
    )


def waiting_for_first_data(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Do not start a first training that cannot succeed by what the newest check has seen."""
    if facts.champion is not None or facts.check is None or trigger.manual:
        return None
    obstacle = find_obstacle(facts.spec, facts.check)
    if obstacle is None:
        return None
    return Hold(Reason.WAITING_FOR_FIRST_DATA, f"{obstacle} Pending: {trigger.message}.")


def waiting_for_more_data(facts: Facts, trigger: ActiveTrigger, _now: dt.datetime) -> Hold | None:
    """Do not repeat a training that had too few rows before there are newer days."""
    check, training = facts.check, facts.training
    if training is None or check is None or trigger.manual or training.outcome_reason != GateReason.TOO_FEW_ROWS:
        return None
    if training.generation != facts.generation or training.newest_day is None or check.newest_day is None:
        return None
    if check.newest_day > training.newest_day:
        return None
    after = training.newest_day + dt.timedelta(days=1)
    return Hold(
        Reason.WAITING_FOR_FIRST_DATA if facts.champion is None else Reason.WAITING_FOR_NEW_DATA,
        f"Waiting until {format_time(known_from(facts.spec, after))} for the rows of {after}: the last training had "
        f"too few. {training.message} Pending: {trigger.message}.",
    )


HOLDS: tuple[HoldRule, ...] = (
    suspended,
    in_flight,
    pinned,
    corrupted,
    waiting_for_first_data,
    waiting_for_more_data,
    waiting_for_new_data,
    tried_already,
    rejected_before,
    nothing_new,
    backing_off,
    cooling_down,
    budget_exhausted,
    too_few_new_rows,
    dry_run,
    manual_mode,
    queued,
)


def find_hold(facts: Facts, trigger: ActiveTrigger, now: dt.datetime) -> Hold | None:
    """Return the first hold that delays `trigger`."""
    return next((hold for rule in HOLDS if (hold := rule(facts, trigger, now)) is not None), None)
