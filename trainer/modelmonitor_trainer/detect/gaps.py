"""Interruptions of data that arrive by day: those that are over, and one that lasts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Sequence
from itertools import pairwise

#: A gap of so many expected days is an interruption; fewer are single missing days, which may still arrive.
LONG_GAP = 7
#: An interruption is over once so many expected days have followed it: a check needs about a week.
DAYS_AFTER = 7


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
