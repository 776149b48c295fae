"""Distances between windows as pure functions of counts: Kolmogorov-Smirnov for ordered bins, else total variation."""

from __future__ import annotations

import math

import numpy as np

from modelmonitor_trainer.arrays import Counts, Floats

#: The largest of many sums of shares varies more than any of them, unless they all move together.
_LARGEST = 1.2


def points_of(counts: Counts, *, ordered: bool) -> Floats:
    """Return the distribution functions or the shares of windows, (windows, bins); 0 for one without rows.

    Parameters
    ----------
    counts : (windows, bins)
        Rows in each bin.
    ordered
        Whether bins are ordered. The distribution function at the last bin is left out, because it is always 1.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.cumsum(shares, axis=1)[:, :-1] if ordered else shares


def distances(one: Floats, other: Floats, *, ordered: bool) -> Floats:
    """Return the distance between points, (windows,), each 0 to 1."""
    difference = np.abs(one - other)
    if not difference.shape[-1]:
        return np.zeros(difference.shape[0])
    distance: Floats = difference.max(axis=-1) if ordered else difference.sum(axis=-1) / 2
    return distance


def without_chance(distance: Floats | float, shares: Floats, rows: Floats | float, *, ordered: bool) -> Floats:
    """Return a total variation distance less the part that chance adds; Kolmogorov-Smirnov distances are unchanged.

    Parameters
    ----------
    distance : (windows,)
        Distances between samples.
    shares : (bins,)
        Shares of both together.
    rows : (windows,)
        Harmonic size of the samples, 1 / (1 / n + 1 / m).

    Notes
    -----
    The mean of the absolute value of a normal variable is sqrt(2 / pi) of its standard deviation, and independent parts
    add up in quadrature.
    """
    if ordered:
        return np.asarray(distance, dtype=np.float64)
    spread = float(np.sqrt(shares * (1 - shares)).sum())
    by_chance = np.sqrt(2 / np.pi) * spread / 2 / np.sqrt(np.maximum(rows, 1e-9))
    return np.asarray(np.sqrt(np.maximum(0.0, np.square(distance) - np.square(by_chance))), dtype=np.float64)


def chance_probability(distance: Floats, shares: Floats, rows: Floats, *, ordered: bool) -> Floats:
    """Return the probability of a total variation distance as large by the chance of rows; 0 for ordered bins.

    Among many categories, distances by chance are large and all alike. Their square, less that of their mean, is then
    far from zero although the distance hardly differs from its mean.

    Parameters
    ----------
    distance, shares, rows, ordered
        As for :func:`without_chance`, before chance is taken off.

    Notes
    -----
    Sum of the absolute values of normal variables, as a normal variable: their variance is 1 - 2 / pi of the square of
    their standard deviation.
    """
    if ordered:
        return np.zeros(distance.shape)
    variances = shares * (1 - shares)
    scale = np.sqrt(np.maximum(rows, 1e-9))
    mean = math.sqrt(2 / math.pi) * float(np.sqrt(variances).sum()) / 2 / scale
    deviation = math.sqrt((1 - 2 / math.pi) * float(variances.sum())) / 2 / scale
    z = (distance - mean) / np.maximum(deviation, 1e-12)
    return np.array([math.erfc(value / math.sqrt(2)) / 2 for value in z.tolist()])


def noise_deviation(shares: Floats, *, ordered: bool) -> float:
    """Return the standard deviation of the squared length of the chance of rows, as a share of its mean.

    Parameters
    ----------
    shares : (bins,)
        Shares or distribution function.

    Notes
    -----
    With the covariance S of the points, the squared length has the mean tr S and the variance 2 tr S². S is
    min(F_i, F_j) - F_i F_j for distribution functions and p_i [i = j] - p_i p_j for shares.

    >>> import numpy as np
    >>> round(noise_deviation(np.linspace(0.01, 0.99, 99), ordered=True), 2)  # Brownian bridge: sqrt(4 / 5)
    0.89
    """
    mean = float((shares * (1 - shares)).sum())
    if mean <= 0:
        return 0.0
    squares = np.square(shares)
    if ordered:
        above = np.square(1 - shares)
        after = np.cumsum(above[::-1])[::-1] - above
        trace = float((squares * (2 * after + above)).sum())
    else:
        trace = float(squares.sum() - 2 * (squares * shares).sum() + squares.sum() ** 2)
    return float(np.sqrt(2 * max(0.0, trace))) / mean


def variance_of_distance(by_bin: Floats, bernoulli: Floats, *, ordered: bool) -> float:
    """Return the variance of a distance from the variance of each point, which may be negative by chance.

    Ordered bins: the largest variance of any point. Others: total variation is the largest of all sums of shares, whose
    deviation is at most half the sum of the deviations. Many noisy variances inflate that sum, so it is bounded by that
    of shares which all vary in proportion (the design effect of J. N. K. Rao and A. J. Scott, 1981).
    """
    if not by_bin.size:
        return 0.0
    if ordered:
        return max(0.0, float(by_bin.max()))
    total, chance = max(0.0, float(by_bin.sum())), float(bernoulli.sum())
    if not chance:
        return 0.0
    proportional = total / chance * float(np.sqrt(bernoulli).sum()) ** 2
    return _LARGEST * min(float(np.sqrt(by_bin.clip(0)).sum()) ** 2, proportional) / 4
