"""Columns that only grow, such as row numbers and points in time, and so differ in every window."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from modelmonitor_trainer.profile.columns import CategoricalProfile, ColumnProfile, NumericProfile
from modelmonitor_trainer.profile.plans import NumericPlan, Plan
from modelmonitor_trainer.profile.window import WindowProfile

#: Batches of the reference of which each must lie above the one before.
_BATCHES = 3
#: Share of the range of all dates that the dates of one day do not reach over if they are of events of that day.
_WIDE = 0.75
#: Smallest number of dates of a day that show how far they reach.
_FEW_DATES = 20
#: Largest gap between the end of the reference and the start of the current window, as a share of the former's range.
_GAP = 0.05
#: How well mean and deviation must agree with those of evenly spaced values, as a share of the range.
_EVEN = 0.02
#: Smallest number of values that are compared with evenly spaced ones.
_MIN_VALUES = 50
#: Years of dates that are written as numbers.
_YEARS = 1970, 2100
#: Share of the values of a column of text that must be dates.
_DATES = 0.95
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}( \d{1,2}:\d{2}.*)?")


#: A column of dates that grows goes on at most this long after its end, or as long as all of the reference: ten years.
_LONGEST_GAP = 10 * 366 * 86_400.0
#: Share of the current dates that must lie beyond nearly all of the reference.
_BEYOND = 0.9


def growing_dates(plan: Plan, reference: WindowProfile, current: WindowProfile) -> list[str]:
    """Return the columns of dates that grow with the data, such as the times of events.

    They do if nearly all current dates are later than nearly all of the reference (or earlier, if the current period
    is), though not by so much that they are likely wrong. A date of birth overlaps; 9999-12-31 is too late.
    """
    grown = []
    for column in plan:
        if not isinstance(column, NumericPlan) or not column.dates:
            continue
        before, now = reference.columns[column.name].total, current.columns[column.name].total
        assert isinstance(before, NumericProfile)
        assert isinstance(now, NumericProfile)
        follows = _follows_days(before, reference, column.name)
        if before.present and now.present and follows and _is_beyond(before, now) and _goes_on(before, now):
            grown.append(column.name)
    return grown


def _follows_days(total: NumericProfile, reference: WindowProfile, name: str) -> bool:
    """Whether dates can be those of the days of the reference: these do not each reach over most of all dates.

    Of batches that are no days, the dates can be any.
    """
    days = [batch.columns[name] for batch in reference.blocks if batch.block.day and name in batch.columns]
    reaches = [_reach(day) for day in days if isinstance(day, NumericProfile) and day.present >= _FEW_DATES]
    wide = sum(reach > _WIDE * _reach(total) for reach in reaches)
    return len(reaches) < _BATCHES or len(days) < len(reference.blocks) or wide <= len(reaches) / 2


def _reach(profile: NumericProfile) -> int:
    """Return how many cells lie between the first and the last tenth of the values."""
    below = np.cumsum(profile.counts) / profile.present
    return int(np.searchsorted(below, _BEYOND) - np.searchsorted(below, 1 - _BEYOND))


def _is_beyond(before: NumericProfile, now: NumericProfile) -> bool:
    """Whether nearly all values of one side are above nearly all of the other, in whole cells."""
    below = np.cumsum(before.counts) / before.present
    now_below = np.cumsum(now.counts) / now.present
    # Cells up to `first` hold nearly all of the reference, and cells before `last` nearly nothing of it.
    first = int(np.searchsorted(below, _BEYOND))
    last = int(np.searchsorted(below, 1 - _BEYOND))
    later, earlier = 1 - float(now_below[first]), float(now_below[last - 1]) if last else 0.0
    return later >= _BEYOND or earlier >= _BEYOND or now.minimum > before.maximum or now.maximum < before.minimum


def _goes_on(before: NumericProfile, now: NumericProfile) -> bool:
    """Whether the periods are near each other, measured by their own lengths."""
    gap = max(now.minimum - before.maximum, before.minimum - now.maximum, 0.0)
    return gap <= max(_LONGEST_GAP, before.maximum - before.minimum)


def growing_columns(reference: WindowProfile, current: WindowProfile) -> list[str]:
    """Return the columns whose current values all continue where those of the reference end.

    They do if no batch lies below the one before and most lie above it, if the values of both windows are evenly
    spaced, one window directly above the other, or if they are dates as numbers, such as 20260131. Text is tested for
    dates that do not occur in the reference.
    """
    return [
        name
        for name in reference.columns
        if name in current.columns
        and _grows(reference.columns[name].total, current.columns[name].total, _profiles(reference, name))
    ]


def _profiles(window: WindowProfile, name: str) -> list[ColumnProfile]:
    return [batch.columns[name] for batch in window.blocks if name in batch.columns]


def _grows(before: ColumnProfile, now: ColumnProfile, batches: Sequence[ColumnProfile]) -> bool:
    if isinstance(before, CategoricalProfile) and isinstance(now, CategoricalProfile):
        return bool(now.present) and not now.counts[:-1].any() and _are_dates(before, now)
    if not isinstance(before, NumericProfile) or not isinstance(now, NumericProfile):
        return False
    if not before.present or not now.present or not now.minimum > before.maximum:
        return False
    if not np.isfinite([before.minimum, before.maximum, now.minimum, now.maximum]).all():
        return False
    numeric = [p for p in batches if isinstance(p, NumericProfile) and p.present]
    if _climbs(numeric) or all(map(_is_date_number, (before.minimum, before.maximum, now.minimum, now.maximum))):
        return True
    gap = now.minimum - before.maximum
    return gap <= _GAP * (before.maximum - before.minimum) and _is_even(before) and _is_even(now)


def _climbs(batches: Sequence[NumericProfile]) -> bool:
    """Whether batches go up in steps, as days do; several may have the same value, as the days of a week do."""
    pairs = list(pairwise(batches))
    above = sum(low.maximum < high.maximum for low, high in pairs)
    return above >= _BATCHES - 1 and all(low.maximum <= high.minimum for low, high in pairs)


def _is_date_number(value: float) -> bool:
    """Whether a number can be a date without separators, such as 20260131."""
    year, rest = divmod(value, 10_000)
    month, day = divmod(rest, 100)
    try:
        return value == int(value) and _YEARS[0] <= dt.date(int(year), int(month), int(day)).year <= _YEARS[1]
    except ValueError:
        return False


def _is_even(profile: NumericProfile) -> bool:
    """Whether values have the mean and the deviation of evenly spaced ones."""
    width = profile.maximum - profile.minimum
    if profile.finite < _MIN_VALUES or not 0 < width < np.inf:
        return False
    middle = (profile.mean - profile.minimum) / width
    return abs(middle - 0.5) < _EVEN and abs(profile.deviation / width - 1 / np.sqrt(12)) < _EVEN


def _are_dates(before: CategoricalProfile, now: CategoricalProfile) -> bool:
    return bool(now.others) and _share_of_dates(now.others) >= _DATES and before.present > 0


def _share_of_dates(words: Mapping[str, int]) -> float:
    return sum(_DATE.fullmatch(word) is not None for word in words) / len(words)
