"""Interruptions of data that arrive by day."""

import datetime as dt

import pytest

from modelmonitor_trainer.detect.gaps import days_after_gap, days_overdue, lacks_more_days, missing_days

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


@pytest.mark.parametrize(
    ("arrived", "since", "overdue"),
    [
        (range(28), 0, None),
        (range(28), 3, None),
        (range(28), 4, 4),
        (range(0, 28, 7), 6, None),  # a day of the week
        (range(0, 28, 7), 15, None),
        (range(0, 28, 7), 16, 16),
        ([number for number in range(27) if number % 7 not in {4, 5}], 7, None),  # without weekends
        ([3], 4, 4),
        ([], 9, None),
    ],
)
def test_days_for_which_unusually_no_data_have_arrived(arrived, since, overdue):
    days = [DAYS[number] for number in arrived]
    last = (days[-1] if days else DAYS[-1]) + dt.timedelta(days=since)
    assert days_overdue(days, last) == overdue


SPARSE = [number for number in range(28) if number not in {2, 5, 6, 11, 17, 20, 25}]  # seven days in six gaps


@pytest.mark.parametrize(
    ("usual", "missing", "reported"),
    [
        (range(28), [3], [3]),
        (range(28), [3, 9, 10], [3, 9, 10]),
        ([number for number in range(28) if number not in {3, 13, 23, 26}], [3], [3]),  # four gaps are few
        (SPARSE, [3, 9, 10, 20], []),
        (SPARSE, [3, *range(8, 13)], []),  # five days: twice the longest gap of two days, and one
        (SPARSE, [3, *range(8, 14)], [*range(8, 14)]),
        (SPARSE, range(22, 28), [*range(22, 28)]),  # the data have stopped arriving
    ],
)
def test_days_without_data_where_these_arrive_as_usual(usual, missing, reported):
    arrived = {day for number, day in enumerate(DAYS) if number not in missing}
    result = missing_days(DAYS, arrived, DAYS, {DAYS[number] for number in usual})
    assert list(result) == [DAYS[number] for number in reported]


@pytest.mark.parametrize("end", [0, 6])
def test_a_window_shows_by_itself_that_data_arrive_irregularly(end):
    """Before the first model there is no reference. Only a gap that lasts is no example of an ordinary one."""
    arrived = {DAYS[number] for number in SPARSE if number < 28 - end}
    assert len(missing_days(DAYS, arrived, DAYS, arrived)) == end


@pytest.mark.parametrize(
    ("earlier", "later", "more"),
    [
        (0, 0, False),
        (7, 0, False),  # a third of 21 days: none of 7 has a chance of 6 %
        (10, 0, True),
        (10, 1, False),
        (21, 1, True),
        (2, 7, False),
    ],
)
def test_days_that_lack_more_data_than_those_after_them(earlier, later, more):
    arrived = {*DAYS[earlier:21], *DAYS[21 + later :]}
    assert lacks_more_days(DAYS[:21], DAYS[21:28], arrived) is more


def test_no_days_lack_none():
    assert not lacks_more_days([], DAYS, set())
