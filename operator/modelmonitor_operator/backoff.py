"""Delays between attempts: longer after each failure, and spread at random."""

from __future__ import annotations

import random


def spread(low: float, high: float) -> float:
    """Return a random factor, so that what happens at the same time once does not do so again."""
    return random.uniform(low, high)  # noqa: S311 - it spreads load over time, and nobody gains by predicting it


def delay_after(failures: int, error: Exception, *, first: float, longest: float, factor: float) -> float:
    """Return the seconds to wait before the next attempt.

    Parameters
    ----------
    failures
        Failed attempts in a row, this one included: the delay doubles with each.
    error
        How the last one failed. Its ``retry_after``, if it has one, is kept to.
    first, longest
        The delay after the first failure, and the longest one, in seconds.
    factor
        Factor of the delay, from :func:`spread`.
    """
    delay = min(first * (1 << min(failures - 1, 16)), longest) * factor
    return min(max(delay, getattr(error, "retry_after", None) or 0.0), longest)
