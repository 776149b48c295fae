"""The calendar of a training: which days train, which compare, which wait for labels, and when a training can help.

Operator, trainer and command line use these functions, so that a training waits for the days that it will be given.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from fractions import Fraction

from modelmonitor_api.spec import FinalFit, ModelMonitorSpec, TrainingWindow
from modelmonitor_policy.schedule import next_time

#: Smallest number of rows that a model is trained on.
MIN_TRAIN_ROWS = 100

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Days:
    """Consecutive days; none if `end` is before `start`.

    Attributes
    ----------
    start, end
        First and last day, both included.
    """

    start: dt.date
    end: dt.date

    def __len__(self) -> int:
        return max(0, (self.end - self.start).days + 1)

    def count_from(self, day: dt.date) -> int:
        """Return the number of days that are not before `day`."""
        return len(Days(max(self.start, day), self.end))


@dataclass(frozen=True)
class TrainingCalendar:
    """What a training would use each day for.

    Attributes
    ----------
    train, holdout
        The training window, and the hold-out directly after it. The hold-out can be empty.
    unlabelled
        Days after the hold-out that have rows, but whose labels are not expected yet.
    """

    train: Days
    holdout: Days
    unlabelled: Days


def plan_training(
    spec: ModelMonitorSpec,
    newest: dt.date,
    *,
    newest_labels: dt.date | None = None,
    champion_end: dt.date | None = None,
    change: dt.date | None = None,
) -> TrainingCalendar:
    """Return the calendar of a training.

    The hold-out is the last ``promotion.holdoutDays`` days with mature labels, without days that the champion was
    trained on. The training window is the ``retraining.windowDays`` before it; with ``retraining.window: SinceDrift``
    it begins at the change, if that is later.

    Parameters
    ----------
    spec
        The monitor's spec.
    newest
        The newest day with rows.
    newest_labels
        The newest partition of labels; None if it is not known, or the label is a column of the rows.
    champion_end
        Last day of the champion's training window; None without a champion.
    change
        First day after a change of the data; None if there was none.
    """
    mature = newest - dt.timedelta(days=_delay(spec))
    end = min(mature, newest_labels) if newest_labels is not None else mature
    start = end - dt.timedelta(days=spec.promotion.holdout_days - 1)
    if champion_end is not None:
        start = max(start, champion_end + _DAY)
    train_end = start - _DAY
    train_start = train_end - dt.timedelta(days=spec.retraining.window_days - 1)
    if change is not None and spec.retraining.window is TrainingWindow.SINCE_DRIFT and change <= train_end:
        train_start = max(train_start, change)
    return TrainingCalendar(Days(train_start, train_end), Days(start, end), Days(end + _DAY, newest))


def fits_with_holdout(spec: ModelMonitorSpec) -> bool:
    """Return whether the model that serves has learnt from the hold-out of its promotion, too.

    It is the default of the built-in trainer; a custom trainer fits its model itself.
    """
    declared = spec.promotion.final_fit
    if declared is None:
        return spec.retraining.estimator is not None
    return declared is FinalFit.WITH_HOLDOUT


def days_required(spec: ModelMonitorSpec, before: int = 0) -> int:
    """Return how many days from after a change a training window must hold.

    Parameters
    ----------
    spec
        The monitor's spec: ``minNewShare`` of ``windowDays``.
    before
        Days from after the change that an earlier training had. A training on hardly more repeats it, so the next one
        needs twice as many, or a whole window.
    """
    retraining = spec.retraining
    first = math.ceil(Fraction(retraining.min_new_share) * retraining.window_days)
    return min(max(first, 2 * before), retraining.window_days)


def day_with(spec: ModelMonitorSpec, change: dt.date, count: int) -> dt.date:
    """Return the newest day with rows at which a training window first holds `count` days from `change` on."""
    return change + dt.timedelta(days=count - 1 + spec.promotion.holdout_days + _delay(spec))


def known_from(spec: ModelMonitorSpec, day: dt.date) -> dt.datetime:
    """Return when the first scheduled check is due that sees all rows of `day`: days are those of UTC."""
    after = day + _DAY
    over = dt.datetime(after.year, after.month, after.day, tzinfo=dt.UTC)
    # A check that is due at that very minute counts.
    return next_time(spec.schedule, spec.time_zone, over - dt.timedelta(minutes=1))


def describe_calendar(spec: ModelMonitorSpec) -> tuple[str, ...]:
    """Return the calendar of a training as lines of text, in days before the newest day with rows.

    >>> from modelmonitor_api.resource import parse
    >>> _offsets(Days(dt.date(2013, 1, 1), dt.date(2013, 1, 5)), dt.date(2013, 1, 8))
    'days 7 to 3 before'
    """
    newest = dt.date(2000, 1, 1)
    calendar, delay = plan_training(spec, newest), _delay(spec)
    holdout, required = spec.promotion.holdout_days, days_required(spec)
    whole, beyond = len(calendar.train), holdout + delay
    awaited = f"{_offsets(calendar.unlabelled, newest)} (data.labels.delayDays is {delay})" if delay else "no day"
    lines = [
        "A training on rows through the newest day uses:",
        f"  training window  {_offsets(calendar.train, newest)} (retraining.windowDays is {whole})",
        f"  hold-out         {_offsets(calendar.holdout, newest)} (promotion.holdoutDays is {holdout})",
        f"  awaits labels    {awaited}",
        f"The first training is possible with {1 + beyond} days of rows, and has a whole window with {whole + beyond}.",
    ]
    if required:
        lines.append(
            f"A training responds to a change from day {required + beyond - 1} after it on, when {required} days of "
            f"its window are from after the change (retraining.minNewShare is {spec.retraining.min_new_share})."
        )
    return tuple(lines)


def _offsets(days: Days, newest: dt.date) -> str:
    first, last = ((newest - day).days for day in (days.start, days.end))
    return f"days {first} to {last} before" if last else f"days {first} to 0 before, the newest itself"


def _delay(spec: ModelMonitorSpec) -> int:
    return spec.data.labels.delay_days if spec.data.labels else 0
