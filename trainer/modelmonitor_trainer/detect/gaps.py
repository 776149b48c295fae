"""Gaps in data that arrive by day: an interruption that is over says nothing about how the data are now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Sequence

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
