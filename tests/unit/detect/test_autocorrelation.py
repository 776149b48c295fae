"""Autocorrelation of days: fitted to a variogram, and how much it widens drift thresholds."""

import numpy as np
import pytest

from modelmonitor_trainer.detect.autocorrelation import (
    Autocorrelation,
    expected_variance,
    fit_autocorrelation,
    independent_batches,
    variogram,
)


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


@pytest.mark.parametrize("seed", range(3))
def test_the_variance_of_a_difference_agrees_with_a_simulation(seed):
    """Weights of the window after the reference, minus those of the reference."""
    g = np.random.default_rng(seed)
    memory, positions = Autocorrelation(0.2, 0.8, 0.8), np.arange(37)
    kernel = memory.covariance(positions)
    draws = np.linalg.cholesky(kernel) @ g.normal(size=(37, 40_000))
    weights = np.concatenate([np.full(30, -1 / 30), np.full(7, 1 / 7)])
    assert weights @ kernel @ weights == pytest.approx(np.mean((weights @ draws) ** 2), rel=0.03)
    assert expected_variance(kernel[:30, :30]) == pytest.approx(draws[:30].var(axis=0, ddof=1).mean(), rel=0.03)


def test_autocorrelated_days_count_as_fewer_independent_days():
    days = np.arange(90)
    dependent = independent_batches(Autocorrelation(0.0, 1.0, 0.8).covariance(days))
    assert dependent == pytest.approx(90 * (1 - 0.8) / (1 + 0.8), rel=0.1)
    assert independent_batches(Autocorrelation(1.0, 0.0, 0.5).covariance(days)) == pytest.approx(90)


def test_days_that_are_far_apart_are_less_correlated():
    memory = Autocorrelation(0.0, 1.0, 0.8)
    assert independent_batches(memory.covariance(np.arange(10) * 7)) > independent_batches(
        memory.covariance(np.arange(10))
    )


def points(counts):
    return np.cumsum(counts / counts.sum(axis=1, keepdims=True), axis=1)


def of_days(counts, noise=None):
    days = len(counts)
    estimate = variogram(points(counts), np.zeros(days) if noise is None else noise, 0.9, np.arange(days), days)
    return estimate[0] if estimate is not None else None


def test_a_column_that_never_changes_has_no_variogram():
    assert of_days(np.full((30, 4), 25)) is None


def test_days_that_differ_by_chance_alone_have_no_variogram():
    g = np.random.default_rng(0)
    counts = daily_counts(g, np.zeros(60))
    shares = points(counts).mean(axis=0)
    noise = np.full(60, float((shares * (1 - shares)).sum()) / 2000)
    assert of_days(counts, noise) is None
    assert of_days(daily_counts(g, season(g, 60, 0.5)), noise) is not None


def test_chance_rarely_looks_like_variation():
    """Two standard deviations of chance are not variation, so at most some of twenty columns get a variogram."""
    g = np.random.default_rng(1)
    noise = np.full(30, float((np.arange(1, 10) / 10 * (1 - np.arange(1, 10) / 10)).sum()) / 2000)
    estimates = [of_days(g.multinomial(2000, np.full(10, 0.1), size=30), noise) for _ in range(40)]
    assert sum(estimate is not None for estimate in estimates) <= 4


def test_a_season_whose_neighbours_differ_by_chance_alone_has_a_variogram():
    """Neighbours of a slow season are alike; days that are far apart are not."""
    g = np.random.default_rng(2)
    counts = daily_counts(g, np.linspace(-0.3, 0.3, 30))
    shares = points(counts).mean(axis=0)
    gamma = of_days(counts, np.full(30, float((shares * (1 - shares)).sum()) / 2000))
    assert gamma is not None
    assert gamma[0] < 0.1


def test_neighbours_of_a_slow_season_are_alike():
    g = np.random.default_rng(0)
    gamma = of_days(daily_counts(g, season(g, 90, 0.85)))
    assert gamma[0] < 0.5 * gamma[10:].mean()


def test_left_out_days_leave_gaps():
    """Lags are those of the calendar, not of the days that are left."""
    g = np.random.default_rng(0)
    counts = daily_counts(g, np.arange(60) % 2)
    kept = np.array([day for day in range(60) if day % 6])
    estimate = variogram(points(counts)[kept], np.zeros(kept.size), 0.9, kept, 60)
    assert estimate is not None
    gamma, reliability = estimate
    assert reliability == 1
    assert gamma[0] > 10 * gamma[1]
