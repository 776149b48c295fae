"""Calibration: limits that ordinary variation does not exceed, whatever its distribution, and drift does."""

import datetime as dt

import numpy as np
import pytest
from modelmonitor_trainer.detect.thresholds import Calendar, Series, fit_thresholds, gumbel_quantile, pseudo_windows


def undated(reference, current):
    """Return the calendar of batches that are not days."""
    return Calendar.of([None] * reference, [None] * current)


def days(reference, current, first=dt.date(2013, 1, 1)):
    """Return the calendar of a reference and of the window after it."""
    dates = [first + dt.timedelta(days=day) for day in range(reference + current)]
    return Calendar.of(dates[:reference], dates[reference:])


def numeric(g, shifts, rows=400, split=None, cells=64):
    """Return a series of normal days; those from `split` on are the current window."""
    split = len(shifts) - 1 if split is None else split
    cuts = np.linspace(-2.5, 2.5, cells - 1)
    days = np.stack([np.bincount(np.searchsorted(cuts, g.normal(shift, 1, rows)), minlength=cells) for shift in shifts])
    return Series(days[:split], days[split:].sum(axis=0), ordered=True)


def test_a_constant_series_does_not_change_the_limits_of_others():
    """A column of identifiers, all rare, is pooled into one cell."""
    g = np.random.default_rng(0)
    alone = [numeric(g, [*g.normal(0, 0.1, 30), 2.0])]
    constant = Series(np.full((30, 1), 400), np.array([400]), ordered=False)
    with_it = fit_thresholds([*alone, constant], undated(30, 1), 0.01)
    assert np.isfinite(with_it.limits).all()
    assert with_it.limits[0] == pytest.approx(fit_thresholds(alone, undated(30, 1), 0.01).limits[0])
    assert with_it.exceeded().tolist() == [True, False]


@pytest.mark.parametrize("count", [0, 1, 19])
def test_too_few_batches_are_not_calibrated(count):
    series = Series(np.ones((count, 3), dtype=np.int64), np.ones(3, dtype=np.int64), ordered=False)
    thresholds = fit_thresholds([series], undated(count, 1), 0.01)
    assert thresholds.method == "None"
    assert thresholds.limits.tolist() == [0.0]


def test_no_series_or_no_current_batches_are_not_calibrated():
    assert fit_thresholds([], undated(30, 1), 0.01).method == "None"
    series = Series(np.ones((30, 3), dtype=np.int64), np.zeros(3, dtype=np.int64), ordered=False)
    assert fit_thresholds([series], undated(30, 0), 0.01).method == "None"


@pytest.mark.parametrize(
    ("count", "size", "method", "windows"),
    [(30, 1, "Contiguous", 30), (90, 7, "Contiguous", 12), (30, 7, "Random", 200), (20, 19, "Random", 200)],
)
def test_pseudo_windows_are_as_long_as_the_current_window(count, size, method, windows):
    used, chosen = pseudo_windows(count, size)
    assert (used, chosen.shape) == (method, (windows, count))
    assert set(chosen.sum(axis=1).tolist()) == {min(size, count // 2)}


def test_small_levels_are_extrapolated_and_few_windows_widen_the_quantile():
    g = np.random.default_rng(0)
    largest = g.gumbel(2.0, 0.3, 4000)
    assert gumbel_quantile(largest, 0.01, 10**9) == pytest.approx(2.0 - 0.3 * np.log(-np.log(0.99)), rel=0.03)
    assert gumbel_quantile(largest, 0.001, 30) > gumbel_quantile(largest, 0.01, 30) > gumbel_quantile(largest, 0.01, 90)


@pytest.mark.parametrize(("shift", "expected"), [(0.1, False), (1.5, True)])
def test_only_changes_beyond_the_variation_of_days_exceed_the_limit(shift, expected):
    g = np.random.default_rng(1)
    quiet = [numeric(g, [*g.normal(0, 0.15, 30), 0.1]) for _ in range(9)]
    thresholds = fit_thresholds([*quiet, numeric(g, [*g.normal(0, 0.15, 30), shift])], undated(30, 1), 0.011)
    assert thresholds.exceeded()[:-1].sum() == 0
    assert bool(thresholds.exceeded()[-1]) is expected


@pytest.mark.parametrize(("reference", "current"), [(75, 28), (60, 14), (30, 7)])
def test_pseudo_windows_have_the_weekdays_of_the_current_window(reference, current):
    calendar = days(reference, current)
    method, chosen = pseudo_windows(reference, current, calendar)
    assert method == "Random"
    for window in chosen:
        assert np.bincount(calendar.reference[window]).tolist() == [current // 7] * 7
    assert len(np.unique(chosen, axis=0)) > 190


def test_half_of_a_short_reference_has_all_weekdays():
    _, chosen = pseudo_windows(30, 28, days(30, 28))
    assert set(chosen.sum(axis=1).tolist()) == {15}
    assert {weekday for window in chosen for weekday in np.bincount(days(30, 28).reference[window])} == {2, 3}


def test_too_few_days_of_a_weekday_ignore_weekdays():
    mondays = Calendar(np.zeros(30, dtype=np.int64), np.arange(7))
    assert (pseudo_windows(30, 7, mondays)[1] == pseudo_windows(30, 7)[1]).all()


def weekly(g, count, shift=0.0):
    """Return the means of days, where weekends differ from other days."""
    return np.where(np.arange(count) % 7 < 2, 1.0, 0.0) + g.normal(0, 0.05, count) + shift


def test_a_weekly_pattern_does_not_hide_drift():
    """Windows of random days would have too many or too few weekends, which raises the limit."""
    g = np.random.default_rng(3)
    series = [numeric(g, np.append(weekly(g, 75), weekly(g, 28)), split=75) for _ in range(5)]
    moved = numeric(g, np.append(weekly(g, 75), weekly(g, 28, 0.2)), split=75)
    assert fit_thresholds([*series, moved], days(75, 28), 0.011).exceeded().tolist() == [False] * 5 + [True]
    assert not fit_thresholds([*series, moved], undated(75, 28), 0.011).exceeded().any()


def test_limits_are_below_the_largest_distance():
    """Days differ so much that a multiple of their distance would be above 1, the largest distance."""
    g = np.random.default_rng(4)
    wild = [numeric(g, g.normal(0, 2.0, 31)) for _ in range(10)]
    limits = fit_thresholds(wild, undated(30, 1), 0.011).limits
    assert (limits > 0.9).all()
    assert (limits < 1).all()
