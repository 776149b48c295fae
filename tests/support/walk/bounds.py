"""Bounds on what chance allows over all worlds: one-sided, so that a run of everything fails one time in a hundred."""

from __future__ import annotations

from scipy import stats

_LEVEL = 0.01


def too_many(count: int, trials: int, allowed: float) -> bool:
    """Return whether more events were seen in a number of trials than a probability explains."""
    return trials > 0 and float(stats.binom.sf(count - 1, trials, allowed)) < _LEVEL


def too_often(count: int, expected: float) -> bool:
    """Return whether more rare events were seen than their expected number explains."""
    return float(stats.poisson.sf(count - 1, expected)) < _LEVEL
