"""Interruptions of data that arrive by day: those that are over, and one that lasts."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Container, Sequence
from itertools import groupby, pairwise

#: A gap of so many expected days is an interruption; fewer are single missing days, which may still arrive.
LONG_GAP = 7
#: An interruption is over once so many expected days have followed it: a check needs about a week.
DAYS_AFTER = 7
#: Data arrive irregularly, not on each expected day, from this share of days without data and so many gaps on.
IRREGULAR_SHARE, IRREGULAR_GAPS = 0.1, 5
#: Level of the test whether one window lacks more days than another.
LEVEL = 0.05


def days_after_gap(expected: Sequence[dt.date], arrived: Container[dt.date]) -> Sequence[dt.date]:
    """Return the days after the last interruption that is over; all days if there is none.

    Parameters
    ----------
    expected
        Days on which data are expected, in order.
    arrived
        Days that have data.
    """
    for end in range(len(expected) - DAYS_AFTER, LONG_GAP - 1, -1):
        if expected[end] in arrived and not any(day in arrived for day in expected[end - LONG_GAP : end]):
            return expected[end:]
    return expected


def missing_days(
    expected: Sequence[dt.date], arrived: Container[dt.date], usual: Sequence[dt.date], known: Container[dt.date]
) -> Sequence[dt.date]:
    """Return the days without data that should have had some.

    Where data arrive irregularly, days without data are ordinary; those of a gap that is more than twice as long as any
    before, and a day, are not.

    Parameters
    ----------
    expected
        Days on which data are expected, in order.
    arrived
        Those of them that have data.
    usual, known
        Days that show how data arrive, in order, and those of them that have data.
    """
    gaps, others = _gaps(expected, arrived), _gaps(usual, known)
    # A gap that lasts may be the end of the data.
    ended = [gap for gap in others if gap[-1] != usual[-1]]
    is_irregular = len(ended) >= IRREGULAR_GAPS and sum(map(len, ended)) >= IRREGULAR_SHARE * len(usual)
    longest = 2 * max(map(len, ended)) + 1 if is_irregular else 0
    return [day for gap in gaps if len(gap) > longest for day in gap]


def lacks_more_days(earlier: Sequence[dt.date], later: Sequence[dt.date], arrived: Container[dt.date]) -> bool:
    """Return whether so few of the later days are without data that the earlier ones must have lost some.

    A one-sided binomial test with the earlier days' share, which is exact where the later days are few.

    Parameters
    ----------
    earlier, later
        Days on which data are expected.
    arrived
        Days that have data.
    """
    if not earlier:
        return False
    lacking_earlier, lacking_later = (sum(day not in arrived for day in days) for days in (earlier, later))
    share, count = lacking_earlier / len(earlier), len(later)
    return sum(math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(lacking_later + 1)) < LEVEL


def _gaps(days: Sequence[dt.date], arrived: Container[dt.date]) -> list[list[dt.date]]:
    """Return the runs of days without data."""
    runs = (list(run) for empty, run in groupby(days, key=lambda day: day not in arrived) if empty)
    return list(runs)


def days_overdue(days: Sequence[dt.date], last: dt.date) -> int | None:
    """Return for how many days no data have arrived, if that is unusual; None if it is not.

    It is unusual from more than twice the largest gap between days with data on, and a day.

    Parameters
    ----------
    days
        Days that have data, in order.
    last
        The last day that is over.
    """
    if not days:
        return None
    largest = max((later - earlier for earlier, later in pairwise(days)), default=dt.timedelta(days=1)).days
    overdue = (last - days[-1]).days
    return overdue if overdue > 2 * largest + 1 else None
