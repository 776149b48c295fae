"""The onset of a change: the day at which distances or scores step up."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.detect.onset import DailySeries, find_onset

FIRST = dt.date(2013, 1, 1)


def series(values: list[float], before: float = 0.05, first: int = 0) -> DailySeries:
    """Return a series from the day `first` on."""
    days = tuple(FIRST + dt.timedelta(days=first + index) for index in range(len(values)))
    return DailySeries(days, np.array(values), before, np.full(len(values), 0.01))


def day(number: int) -> dt.date:
    """Return a day by its number."""
    return FIRST + dt.timedelta(days=number)


@pytest.mark.parametrize(
    ("values", "onset"),
    [
        pytest.param([0.05] * 20 + [0.6] * 8, 20, id="within the window"),
        pytest.param([0.6] * 28, 0, id="before the window"),
        pytest.param([0.05] * 27 + [0.6], 27, id="on the last day"),
        pytest.param([0.05, 0.07, 0.0, 0.09] * 5 + [0.5, 0.62, 0.58, 0.55], 20, id="days vary"),
        pytest.param([0.05] * 10 + [0.1, 0.2, 0.3, 0.4, 0.5, 0.6] + [0.6] * 8, 13, id="gradual: halfway up"),
    ],
)
def test_onset(values: list[float], onset: int) -> None:
    assert find_onset([series(values)]) == day(onset)


def test_several_columns_vote() -> None:
    columns = [series([0.05] * 20 + [0.6] * 8), series([0.05] * 20 + [0.4] * 8), series([0.05] * 4 + [0.2] * 24)]
    assert find_onset(columns) == day(20)


def test_series_of_other_days_are_aligned() -> None:
    labels = series([0.05] * 15 + [0.3] * 6)
    features = series([0.05] * 10 + [0.5] * 13, first=5)
    assert find_onset([labels, features]) == day(15)


def test_nothing_has_no_onset() -> None:
    assert find_onset([]) is None


@given(onset=st.integers(1, 27), seed=st.integers(0, 2**31))
def test_a_clear_step_is_found_within_a_day(onset: int, seed: int) -> None:
    noise = np.abs(np.random.default_rng(seed).normal(0.05, 0.02, 28))
    found = find_onset([series((noise + np.where(np.arange(28) >= onset, 0.4, 0.0)).tolist())])
    assert found is not None
    assert abs((found - day(onset)).days) <= 1
