"""Splits by time: training rows are never later than scored rows, and no day is split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.model.folds import last_days, time_folds

DAYS = st.lists(st.integers(0, 12), min_size=12, max_size=60).map(np.array)


@given(days=DAYS, folds=st.integers(2, 5))
def test_folds_go_forward_in_time(days, folds):
    pairs = time_folds(days, len(days), folds)
    assert len(pairs) == folds
    whole = np.unique(days).size > folds
    before = 0
    for earlier, later in pairs:
        assert earlier.size
        assert later.size
        assert days[earlier].max() <= days[later].min()
        if whole:
            assert days[earlier].max() < days[later].min()
        assert earlier.size > before, "each fold has more training rows than the fold before"
        before = earlier.size
    assert pairs[-1][0].size + pairs[-1][1].size == len(days), "the newest rows are scored"


@given(days=DAYS, share=st.floats(0.05, 0.5))
def test_last_days(days, share):
    later = last_days(days, len(days), share)
    assert later.any()
    assert not later.all()
    assert days[~later].max() <= days[later].min()


@pytest.mark.parametrize(
    ("days", "expected"), [(None, [8, 9]), (np.zeros(10, int), [8, 9]), (np.arange(10) // 2, [8, 9])]
)
def test_rows_in_order_where_there_are_too_few_days(days, expected):
    assert np.flatnonzero(last_days(days, 10, 0.2)).tolist() == expected


def test_rows_out_of_order():
    days = np.array([9, 0, 8, 1, 7, 2, 6, 3, 5, 4])
    assert np.flatnonzero(last_days(days, 10, 0.2)).tolist() == [0, 2]
    (earlier, later), *_ = time_folds(days, 10, 4)
    assert sorted(days[earlier]) == [0, 1]
    assert sorted(days[later]) == [2, 3]
