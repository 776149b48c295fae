"""Interruptions of data that arrive by day."""

import datetime as dt

import pytest

from modelmonitor_trainer.detect.gaps import days_after_gap

DAYS = [dt.date(2013, 1, 1) + dt.timedelta(days=number) for number in range(28)]


@pytest.mark.parametrize(
    ("missing", "first"),
    [
        (range(0), 0),
        (range(5, 11), 0),  # six days are no interruption
        (range(5, 12), 12),
        (range(14), 14),  # it began before the window
        (range(14, 21), 21),  # seven days have followed
        (range(14, 22), 0),  # six have
        ([*range(3, 10), 15], 10),  # a day after it is missing all the same
        ([*range(2, 9), *range(11, 19)], 19),
    ],
)
def test_days_after_the_last_interruption_that_is_over(missing, first):
    arrived = {day for number, day in enumerate(DAYS) if number not in missing}
    assert list(days_after_gap(DAYS, arrived)) == DAYS[first:]
