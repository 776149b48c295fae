"""The first training: whether it can succeed by what the newest check has seen, and if not, from when on it can."""

from __future__ import annotations

import datetime as dt
import math

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import FirstTrainingData
from modelmonitor_api.times import format_time
from modelmonitor_policy.observations import CheckObservation
from modelmonitor_policy.training_calendar import MIN_TRAIN_ROWS, Days, day_with, known_from, plan_training


def find_obstacle(spec: ModelMonitorSpec, check: CheckObservation) -> str | None:
    """Return why a first training cannot succeed yet, with the time from which it can; None if nothing is known.

    Parameters
    ----------
    spec
        The monitor's spec.
    check
        The newest check. What it could not determine is no obstacle.
    """
    data, newest = check.first_training, check.newest_day
    if data is None or newest is None or data.first_day is None:
        return None
    if spec.data.labels is not None and data.newest_labels is None:
        return (
            f"Waiting for labels: none have arrived under {spec.data.labels.uri}. Check data.labels.uri, or "
            "wait for the next check."
        )
    calendar = plan_training(spec, newest, newest_labels=data.newest_labels)
    days = calendar.train.count_from(data.first_day)
    if days < 1:
        return _too_few_days(spec, data.first_day, newest)
    return _too_few_train_rows(spec, data, days) or _too_few_holdout_rows(spec, data, len(calendar.holdout))


def _too_few_days(spec: ModelMonitorSpec, first: dt.date, newest: dt.date) -> str:
    delay = f" and data.labels.delayDays ({spec.data.labels.delay_days})" if spec.data.labels else ""
    return (
        f"Waiting until {_possible(spec, first, 1)} for a first training window: rows exist from {first} through "
        f"{newest} ({_count(len(Days(first, newest)))}), and the window ends before promotion.holdoutDays "
        f"({spec.promotion.holdout_days}){delay}. To train earlier, lower them."
    )


def _too_few_train_rows(spec: ModelMonitorSpec, data: FirstTrainingData, days: int) -> str | None:
    rows = data.train_rows
    if rows is None or rows >= MIN_TRAIN_ROWS or data.first_day is None:
        return None
    whole = min(days, spec.retraining.window_days)
    needed = math.ceil(MIN_TRAIN_ROWS * whole / rows) if rows else None
    if needed is None or needed > spec.retraining.window_days:
        when = "Waiting for more rows"
    else:
        when = f"Waiting until about {_possible(spec, data.first_day, needed)} for more rows"
    return (
        f"{when}: a first training window of {_count(whole)} has {rows} rows, and at least {MIN_TRAIN_ROWS} are "
        "needed. To train earlier, lower promotion.holdoutDays."
    )


def _too_few_holdout_rows(spec: ModelMonitorSpec, data: FirstTrainingData, days: int) -> str | None:
    rows, needed = data.holdout_rows, spec.promotion.min_holdout_rows
    if rows is None or rows >= needed:
        return None
    return (
        f"Waiting for more rows: the hold-out of {_count(days)} has {rows} rows, and promotion.minHoldoutRows is "
        f"{needed}. Raise promotion.holdoutDays, or lower promotion.minHoldoutRows."
    )


def _count(days: int) -> str:
    return "one day" if days == 1 else f"{days} days"


def _possible(spec: ModelMonitorSpec, first: dt.date, days: int) -> str:
    """Return when a training window first holds `days` days from the first one on."""
    return format_time(known_from(spec, day_with(spec, first, days)))
