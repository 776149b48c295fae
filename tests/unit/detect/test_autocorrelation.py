"""Autocorrelation of days: fitted to a variogram, and how much it widens drift thresholds."""

import numpy as np
import pytest
from modelmonitor_trainer.detect.thresholds import Calendar, Series, fit_thresholds, pseudo_windows

from modelmonitor_trainer.detect.autocorrelation import Autocorrelation, fit_autocorrelation, variogram


def season(g, days, phi, deviation=0.15):
    level, levels = g.normal(), []
    for _ in range(days):
        levels.append(level)
        level = phi * level + np.sqrt(1 - phi * phi) * g.normal()
    return np.array(levels) * deviation


def daily_counts(g, shifts, rows=2000, cells=32):
    cuts = np.linspace(-2.5, 2.5, cells - 1)
    return np.stack([np.bincount(np.searchsorted(cuts, g.normal(s, 1, rows)), minlength=cells) for s in shifts])


@pytest.mark.parametrize(
    "truth", [Autocorrelation(0.3, 0.7, 0.8), Autocorrelation(0.0, 1.0, 0.5), Autocorrelation(1.0, 0.0, 0.1)]
)
def test_fit_recovers_the_autocorrelation_of_an_exact_variogram(truth):
    lags = np.arange(1, 60)
    fitted = fit_autocorrelation(truth.own + truth.shared * (1 - truth.phi**lags))
    assert (fitted.own, fitted.shared) == pytest.approx((truth.own, truth.shared), abs=1e-9)
    assert not truth.shared or fitted.phi == truth.phi


def test_the_stretch_agrees_with_a_simulation():
    g = np.random.default_rng(0)
    memory, size = Autocorrelation(0.2, 0.8, 0.8), 7
    _, chosen = pseudo_windows(30, size)
    draws = np.linalg.cholesky(memory.covariance(37)) @ g.normal(size=(37, 40_000))
    after = np.mean((draws[30:].mean(axis=0) - draws[:30].mean(axis=0)) ** 2) / (1 / size + 1 / 30)
    near = np.mean([np.mean((draws[:30][w].mean(axis=0) - draws[:30][~w].mean(axis=0)) ** 2) for w in chosen])
    expected = np.sqrt(after / (near / (1 / size + 1 / 23)))
    assert memory.stretch(chosen, size) == pytest.approx(expected, rel=0.02)


def test_independent_days_are_not_stretched():
    memory = Autocorrelation(1.0, 0.0, 0.5)
    assert memory.stretch(pseudo_windows(30, 7)[1], 7) == pytest.approx(1.0)
    assert memory.independent(np.eye(30)) == pytest.approx(30)


def test_autocorrelated_days_count_as_fewer_independent_days():
    assert Autocorrelation(0.0, 1.0, 0.8).independent(np.eye(90)) == pytest.approx(90 * (1 - 0.8) / (1 + 0.8), rel=0.1)


def test_runs_of_days_are_more_independent_than_days():
    memory = Autocorrelation(0.0, 1.0, 0.8)
    runs = np.kron(np.eye(10), np.full((1, 7), 1 / 7))
    assert memory.independent(np.eye(70)) / 70 < 0.2
    assert 5 < memory.independent(runs) < 10
    assert Autocorrelation(1.0, 0.0, 0.1).independent(runs) == pytest.approx(10)


def test_a_trend_in_the_reference_does_not_hide_drift():
    """A steady rise in the reference does not make a larger rise in the current window ordinary."""
    g = np.random.default_rng(5)
    trend = np.concatenate([np.linspace(0, 0.5, 75), np.full(28, 1.5)])
    counts = daily_counts(g, trend + g.normal(0, 0.15, 103))
    series = Series(counts[:75], counts[75:].sum(axis=0), ordered=True)
    assert fit_thresholds([series], Calendar.of([None] * 75, [None] * 28), 0.011).exceeded().all()


def test_a_column_that_never_changes_has_no_variogram():
    assert not variogram(np.full((30, 4), 25), ordered=True).any()
    assert not variogram(np.zeros((30, 4), dtype=np.int64), ordered=False).any()


@pytest.mark.parametrize("days", [30, 60])
def test_a_slow_season_does_not_alarm(days):
    """Seven days after 30 or 60: thresholds from random windows of seven days would average the season out."""
    g = np.random.default_rng(days)
    alarms = 0
    for _ in range(20):
        series = []
        for _ in range(8):
            counts = daily_counts(g, season(g, days + 7, 0.8))
            series.append(Series(counts[:days], counts[days:].sum(axis=0), ordered=True))
        alarms += bool(fit_thresholds(series, Calendar.of([None] * days, [None] * 7), 0.011).exceeded().any())
    assert alarms <= 2


def test_a_weekly_pattern_is_not_autocorrelation():
    g = np.random.default_rng(0)
    days = np.arange(70)
    counts = daily_counts(g, np.where(days % 7 < 2, 1.0, 0.0) + g.normal(0, 0.1, 70))
    weekly = variogram(counts, ordered=True, weekdays=days % 7)
    assert weekly.max() < 2
    plain = variogram(counts, ordered=True)
    assert plain[6] < 0.2 * plain[2]
