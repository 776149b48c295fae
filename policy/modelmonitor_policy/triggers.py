"""Triggers: reasons to train. The first active trigger is the one that is reported."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from modelmonitor_api.names import ANNOTATION_RETRAIN_REQUESTED, Reason
from modelmonitor_api.outcomes import TrainingOutcome
from modelmonitor_api.times import format_time
from modelmonitor_policy.expected_gain import last_day_learnt, last_day_tried, learn_decay, point_of
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.observations import CheckObservation
from modelmonitor_policy.training_calendar import Days, days_required, plan_training


@dataclass(frozen=True)
class ActiveTrigger:
    """A reason to train, in one word and in a sentence without its full stop."""

    reason: Reason
    message: str

    @property
    def manual(self) -> bool:
        """Whether a user requested the training; such a training passes the holds that save cost."""
        return self.reason is Reason.REQUESTED


#: A trigger is a function that returns None while it is not active.
Trigger = Callable[[Facts, dt.datetime], ActiveTrigger | None]


def fresh_check(facts: Facts, reason: Reason) -> CheckObservation | None:
    """Return the newest check if it can trigger a training for `reason`.

    At most one completed training responds to a verdict: the check must be newer than the last training. A training
    that *failed* for the same reason does not count as a response, nor one that has not started.
    """
    check, training = facts.check, facts.training
    if check is None or training is None:
        return check
    if (training.failed and training.reason == reason) or training.outcome == TrainingOutcome.NOT_STARTED:
        return check
    return check if check.time > (training.completion or training.start) else None


def requested(facts: Facts, _: dt.datetime) -> ActiveTrigger | None:
    """A user requested a training by annotation."""
    token = facts.requests.retrain
    if token is None:
        return None
    return ActiveTrigger(Reason.REQUESTED, f"the annotation {ANNOTATION_RETRAIN_REQUESTED} is {token!r}")


def no_champion(facts: Facts, _: dt.datetime) -> ActiveTrigger | None:
    """A check found data, and there is no model in production."""
    check = fresh_check(facts, Reason.NO_CHAMPION)
    if facts.champion is not None or check is None or not check.current_rows:
        return None
    return ActiveTrigger(
        Reason.NO_CHAMPION,
        f"there is no champion yet, and the check of {format_time(check.time)} found {check.current_rows} rows",
    )


def performance_drop(facts: Facts, _: dt.datetime) -> ActiveTrigger | None:
    """The champion scores worse than at its promotion."""
    check = fresh_check(facts, Reason.PERFORMANCE_DROP)
    if not facts.spec.triggers.on_performance or check is None or not check.performance_dropped:
        return None
    return ActiveTrigger(
        Reason.PERFORMANCE_DROP, f"the check of {format_time(check.time)} found that the champion's score has dropped"
    )


def _drift_check(facts: Facts) -> CheckObservation | None:
    check = fresh_check(facts, Reason.DRIFT_DETECTED)
    if check is None or not facts.spec.triggers.on_drift or check.verdict != Reason.DRIFT:
        return None
    return check if check.consecutive_drifts else None  # 0: the count started over with another champion


def drift(facts: Facts, _: dt.datetime) -> ActiveTrigger | None:
    """Enough consecutive checks found drift."""
    check = _drift_check(facts)
    if check is None or check.consecutive_drifts < facts.spec.sensitivity.consecutive_checks:
        return None
    earlier = f", as did {check.consecutive_drifts - 1} before it" if check.consecutive_drifts > 1 else ""
    return ActiveTrigger(Reason.DRIFT_DETECTED, f"the check of {format_time(check.time)} found drift{earlier}")


def unconfirmed_drift(facts: Facts) -> str | None:
    """Return a sentence where drift was found, but not yet in enough consecutive checks."""
    check, required = _drift_check(facts), facts.spec.sensitivity.consecutive_checks
    if check is None or check.consecutive_drifts >= required:
        return None
    return (
        f"Drift was found by {check.consecutive_drifts} of the {required} consecutive checks that "
        "sensitivity.consecutiveChecks requires."
    )


def lasting_doubt(facts: Facts, _: dt.datetime) -> ActiveTrigger | None:
    """Drift could not be ruled out by many consecutive checks."""
    check, required = fresh_check(facts, Reason.DRIFT_NOT_RULED_OUT), facts.spec.triggers.after_inconclusive_checks
    if check is None or required is None or check.consecutive_inconclusive < required:
        return None
    return ActiveTrigger(
        Reason.DRIFT_NOT_RULED_OUT,
        f"the last {check.consecutive_inconclusive} checks could not rule drift out; triggers.afterInconclusiveChecks "
        f"is {required}",
    )


def days_tried(facts: Facts, onset: dt.date) -> int:
    """Return how many days from after a change the newest training had."""
    training = facts.training
    if training is None or training.train_end is None or training.failed:
        return 0
    return len(Days(onset, training.train_end))


def period_end(facts: Facts) -> dt.datetime | None:
    """Return when the period of triggers.everyDays ends, counted from the newest model."""
    days = facts.spec.triggers.every_days
    if days is None or facts.champion is None:  # the trigger no_champion covers the time before the first model
        return None
    training = facts.training
    if training is None:
        since = facts.champion.since
    elif training.reason == Reason.PERIOD_ELAPSED and (
        training.failed or training.outcome == TrainingOutcome.NOT_STARTED
    ):
        return training.start  # the period has elapsed, and the training that it triggered did not succeed
    else:
        since = max(training.start, facts.champion.since)
    return since + dt.timedelta(days=days)


def period(facts: Facts, now: dt.datetime) -> ActiveTrigger | None:
    """The period since the last training or promotion has elapsed."""
    end = period_end(facts)
    if end is None or now < end:
        return None
    return ActiveTrigger(
        Reason.PERIOD_ELAPSED,
        f"triggers.everyDays is {facts.spec.triggers.every_days}, and the period ended at {format_time(end)}",
    )


def expected_gain(facts: Facts, _: dt.datetime) -> ActiveTrigger | None:
    """What the champion's age is expected to have cost exceeds the price of a training."""
    check, champion, costs = fresh_check(facts, Reason.EXPECTED_GAIN), facts.champion, facts.spec.costs
    if not facts.spec.triggers.on_expected_gain or costs is None or check is None or check.newest_day is None:
        return None
    if champion is None or champion.train_end is None:
        return None
    calendar = plan_training(facts.spec, check.newest_day, champion_end=champion.train_end)
    since = champion.train_end
    if facts.training is not None and facts.training.train_end is not None:
        since = max(since, last_day_tried(facts.spec, facts.training.train_end))
    days = (last_day_learnt(facts.spec, calendar) - since).days
    promotion, price = facts.spec.promotion, float(costs.training)
    point = point_of(promotion.metric, champion.score)
    decay = learn_decay(facts.comparisons, point=point, confidence=float(promotion.confidence))
    loss = decay.loss(days) * float(costs.metric_point_day)
    if days <= 0 or loss < price:
        return None
    return ActiveTrigger(
        Reason.EXPECTED_GAIN,
        f"{days} days of labelled rows are newer than the last training, and without them the champion is expected to "
        f"have cost {loss:.4g}: models lose {decay.expected_rate:.3g} points a day, by {decay.comparisons} "
        f"comparisons. A training costs {price:g} (spec.costs)",
    )


def new_rows(facts: Facts, _: dt.datetime) -> ActiveTrigger | None:
    """Enough rows have arrived since the champion's training data."""
    check, required = fresh_check(facts, Reason.ENOUGH_NEW_ROWS), facts.spec.triggers.every_new_rows
    if check is None or required is None or facts.champion is None or (check.new_rows or 0) < required:
        return None
    return ActiveTrigger(
        Reason.ENOUGH_NEW_ROWS,
        f"{check.new_rows} rows have arrived since the champion's training data; triggers.everyNewRows is {required}",
    )


def partly_learnt(facts: Facts, _: dt.datetime) -> ActiveTrigger | None:
    """The champion was trained on days from before and after a change, and twice as many from after it are possible."""
    champion, check = facts.champion, fresh_check(facts, Reason.CHANGE_PARTLY_LEARNT)
    if not facts.spec.triggers.on_drift or champion is None or check is None or check.newest_day is None:
        return None
    if champion.change_point is None or champion.train_end is None:
        return None
    learnt = len(Days(champion.change_point, champion.train_end))
    tried = max(learnt, days_tried(facts, champion.change_point))
    required = days_required(facts.spec, tried)
    if 4 * required < 5 * tried:
        return None  # a window cannot hold many more, and a few days hardly change a model
    calendar = plan_training(facts.spec, check.newest_day, champion_end=champion.train_end)
    if calendar.train.count_from(champion.change_point) < required:
        return None
    return ActiveTrigger(
        Reason.CHANGE_PARTLY_LEARNT,
        f"the champion was trained on {learnt} days from after the change of {champion.change_point}, and {required} "
        "are possible now",
    )


TRIGGERS: tuple[Trigger, ...] = (
    requested,
    no_champion,
    performance_drop,
    drift,
    partly_learnt,
    lasting_doubt,
    expected_gain,
    period,
    new_rows,
)


def find_trigger(facts: Facts, now: dt.datetime) -> ActiveTrigger | None:
    """Return the first active trigger."""
    return next((active for trigger in TRIGGERS if (active := trigger(facts, now)) is not None), None)
