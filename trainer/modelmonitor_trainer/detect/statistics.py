"""Tests and effect sizes for drift, as pure functions of counts.

Distances lie between 0 and 1: Kolmogorov-Smirnov for numbers, total variation for categories, the
difference of rates for missing values. Intervals of effects hold with 95 % confidence:

* numbers, upper end: the distance is at least the difference of the rows in one set, that in which the true distance
  is reached. Its standard deviation is at most half of sqrt(1 / n + 1 / m), and chance in all other sets can only
  increase a distance;
* categories, upper end: :func:`~modelmonitor_trainer.detect.total_variation.largest_distance`;
* numbers, lower end: the quantile of Kolmogorov's distribution, which holds for all sets at once;
* categories, lower end: C. McDiarmid, On the method of bounded differences, 1989;
* rates: R. G. Newcombe, Interval estimation for the difference between independent proportions, 1998.

p-values: M. A. Stephens, 1970 (small-sample form of Kolmogorov's distribution), Pearson's chi-square
test of homogeneity, with Yates' correction for rates. Adjustment: Y. Benjamini and
Y. Hochberg, Controlling the false discovery rate, 1995.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.detect.distributions import chi_square_tail, kolmogorov
from modelmonitor_trainer.detect.total_variation import (
    distance_by_chance,
    distance_without_chance,
    largest_distance,
)
from modelmonitor_trainer.profile.binning import LARGEST
from modelmonitor_trainer.profile.plans import next_double

#: One minus the confidence of the intervals of effects.
_ALPHA = 0.05
#: The corresponding quantiles of the normal distribution and of Kolmogorov's.
_TWO_SIDED, _KOLMOGOROV_95 = 1.959963984540054, 1.3581
#: Smallest expected number of rows of a category: in the reference, so that it is among those that have a bin, and on
#: either side. With two the chi-square test keeps its level (simulated for 100 and 1,000 categories), and the distance
#: shows nine tenths of what it shows of a common category.
_MIN_EXPECTED_IN_REFERENCE, _MIN_EXPECTED = 5.0, 2.0


@dataclass(frozen=True)
class Evidence:
    """The result of a test.

    Attributes
    ----------
    effect
        Estimated size of the change.
    low, high
        Its interval.
    p_value
        p-value, assuming independent rows.
    """

    effect: float
    low: float
    high: float
    p_value: float


def ks_bounds(reference: Counts, current: Counts, edges: Floats) -> tuple[float, float]:
    """Return bounds of the two-sample Kolmogorov-Smirnov statistic from counts in bins.

    Parameters
    ----------
    reference, current : (k + 1,)
        Rows in each bin; both have rows.
    edges : (k,)
        Edges between the bins.

    Returns
    -------
    low, high
        The statistic of the rows is between them. They are equal if it is reached at bins of a single value (or
        without rows).
    """
    below_r, below_c = _cumulative_shares(reference), _cumulative_shares(current)
    at_edges = np.abs(below_r - below_c)
    low = float(at_edges.max())
    left_r, right_r, left_c, right_c = below_r[:-1], below_r[1:], below_c[:-1], below_c[1:]
    inside = np.maximum(np.abs(right_r - left_c), np.abs(right_c - left_r))
    single = np.zeros(reference.size, dtype=bool)
    if edges.size > 1:
        single[1:-1] = edges[1:] == next_double(edges[:-1])
    if edges.size:
        # Beyond these there is nothing but an infinity.
        single[0], single[-1] = edges[0] <= -LARGEST, edges[-1] >= LARGEST
    # In a bin where one side has no rows, the difference is monotonic.
    single |= (reference == 0) | (current == 0)
    undecided = inside[~single]
    return low, max(low, float(undecided.max())) if undecided.size else low


def _cumulative_shares(counts: Counts) -> Floats:
    return np.concatenate([[0.0], np.cumsum(counts, dtype=np.float64) / max(1, int(counts.sum()))])


def compare_numbers(reference: Counts, current: Counts, edges: Floats) -> Evidence | None:
    """Compare two numeric columns by the Kolmogorov-Smirnov distance; None if a side has no rows."""
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        return None
    low, high = ks_bounds(reference, current, edges)
    root = np.sqrt(n * m / (n + m))
    # The lower bound, so that the p-value is never smaller than that of the rows.
    p_value = kolmogorov(float((root + 0.12 + 0.11 / root) * low))
    below, above = _KOLMOGOROV_95 / root, _TWO_SIDED / 2 / root
    return Evidence(low, max(0.0, low - below), min(1.0, high + above), p_value)


def compare_categories(reference: Counts, current: Counts) -> Evidence | None:
    """Compare two categorical columns; None if a side has no rows.

    The last bin must hold all values without a bin of their own. The effect is the total variation distance less the
    part that chance adds, which grows with the number of categories. Rare categories are pooled, which hides changes
    among them: :func:`~modelmonitor_trainer.detect.rare_categories.hidden_distance`.
    """
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        return None
    reference, current = _pool_rare(reference, current)
    distance = float(np.abs(reference / n - current / m).sum() / 2)
    by_chance = distance_by_chance(reference, current)
    effect = distance_without_chance(distance, by_chance)
    low = max(0.0, distance - by_chance - math.sqrt(math.log(2 / _ALPHA) / 2 * (1 / n + 1 / m)))
    high = max(effect, largest_distance(reference, current, _TWO_SIDED))
    return Evidence(effect, min(low, effect), high, _homogeneity(reference, current))


def rare_categories(reference: Counts, current: Counts) -> npt.NDArray[np.bool_]:
    """Return which categories to pool: rare ones, and the last bin, that of all others.

    Parameters
    ----------
    reference, current : (k,)
        Rows of each category, and last of all values without a bin.

    Returns
    -------
    (k,)
        Decided by the rows of both sides together, so that it does not depend on drift.

    Notes
    -----
    The last bin must be pooled: it holds values that the reference happens not to contain, of which the current
    window always has more. If the reference has more values than bins, those with a bin are the ones that were common
    in it, some by chance. For the rarest of them, with c rows, having a bin is itself a sign of chance (regression to
    the mean). So a category must be so common on both sides together that it would have had a bin in any sample: with
    e expected rows in the reference, e - 3 sqrt(e) >= c, because its rows vary by at most sqrt(e).
    """
    n, m = int(reference.sum()), int(current.sum())
    both = reference + current
    rare = both * (n / (n + m)) < _MIN_EXPECTED_IN_REFERENCE
    rare |= both * (min(n, m) / (n + m)) < _MIN_EXPECTED
    if reference[-1] and reference.size > 1:
        least = ((3 + np.sqrt(9 + 4 * float(reference[:-1].min()))) / 2) ** 2
        rare |= both * (n / (n + m)) < least
    rare[-1] = True
    return np.asarray(rare)


def _pool_rare(reference: Counts, current: Counts) -> tuple[Counts, Counts]:
    """Return the counts with rare categories pooled in the last bin."""
    rare = rare_categories(reference, current)
    return (
        np.append(reference[~rare], reference[rare].sum()),
        np.append(current[~rare], current[rare].sum()),
    )


def _homogeneity(reference: Counts, current: Counts) -> float:
    """Return the p-value of Pearson's chi-square test of homogeneity."""
    both = (reference + current).astype(np.float64)
    n, m = float(reference.sum()), float(current.sum())
    used = both * (min(n, m) / (n + m)) >= 1.0
    reference, current, both = reference[used], current[used], both[used]
    if both.size < 2:
        return 1.0
    expected_r, expected_c = both * (n / (n + m)), both * (m / (n + m))
    statistic = ((reference - expected_r) ** 2 / expected_r).sum() + ((current - expected_c) ** 2 / expected_c).sum()
    return chi_square_tail(both.size - 1, float(statistic))


def compare_rates(reference: int, n: int, current: int, m: int) -> Evidence | None:
    """Compare two shares, `reference` of `n` rows with `current` of `m`; None if a side has no rows."""
    if not n or not m:
        return None
    p, q = reference / n, current / m
    both = reference + current
    low_p, high_p = _wilson(p, n)
    low_q, high_q = _wilson(q, m)
    signed = q - p
    low = signed - float(np.hypot(q - low_q, high_p - p))
    high = signed + float(np.hypot(high_q - q, p - low_p))
    smallest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    largest = min(1.0, max(abs(low), abs(high)))
    p_value = 1.0
    if 0 < both < n + m:
        variance = both / (n + m) * (1 - both / (n + m)) * (1 / n + 1 / m)
        corrected = max(0.0, abs(signed) - (1 / n + 1 / m) / 2)
        p_value = math.erfc(corrected / math.sqrt(2 * variance))
    return Evidence(abs(signed), smallest, largest, p_value)


def _wilson(share: float, rows: int) -> tuple[float, float]:
    z = _TWO_SIDED
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * float(np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)))
    return centre - half, centre + half


def adjusted(p_values: npt.ArrayLike) -> Floats:
    """Return p-values adjusted with the method of Benjamini and Hochberg."""
    values = np.asarray(p_values, dtype=np.float64)
    if not values.size:
        return values
    order = np.argsort(values)[::-1]
    ranks = np.arange(values.size, 0, -1)
    result = np.empty_like(values)
    result[order] = np.minimum.accumulate(np.minimum(1.0, values[order] * values.size / ranks))
    return result


def detectable_effect(n: int, m: int, level: float, tests: int) -> float:
    """Return the smallest Kolmogorov-Smirnov distance that is detected with a power of 80 %.

    Parameters
    ----------
    n, m
        Rows of both sides.
    level, tests
        Level of the check and number of tests in it; the worst case of the adjustment is assumed.

    Notes
    -----
    The asymptotic critical value, and 0.84 of the largest standard deviation that a difference of two
    empirical distribution functions can have (1/2).
    """
    if not n or not m:
        return 1.0
    return min(1.0, _critical(level, tests) * float(np.sqrt(1 / n + 1 / m)))


def rows_needed(other: int, effect: float, level: float, tests: int) -> int | None:
    """Return the number of rows at which `effect` is detectable; None if no number is enough.

    Parameters
    ----------
    other
        Rows of the other side.
    effect, level, tests
        As in :func:`detectable_effect`.
    """
    left = (effect / _critical(level, tests)) ** 2 - 1 / other if other and effect > 0 else -1.0
    return int(np.ceil(1 / left)) if left > 0 else None


def _critical(level: float, tests: int) -> float:
    return float(np.sqrt(-np.log(level / max(1, tests) / 2) / 2)) + 0.84 * 0.5


def population_stability(reference: Counts, current: Counts, groups: int | None = 10) -> tuple[float, float]:
    """Return the population stability index and the Jensen-Shannon distance (base 2).

    For comparison with other tools; no decision depends on them. Neighbouring bins are merged to about `groups` groups
    of equal mass in the reference (None: every bin is a group); empty groups count as half a row.
    """
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        return float("nan"), float("nan")
    if groups is None:
        groups = reference.size
        group = np.arange(groups)
    else:
        group = np.minimum((np.cumsum(reference) - reference) * groups // n, groups - 1).astype(np.int64)
    before, now = np.bincount(group, reference, groups), np.bincount(group, current, groups)
    used = before + now > 0
    p, q = np.maximum(before[used], 0.5) / n, np.maximum(now[used], 0.5) / m
    p, q = p / p.sum(), q / q.sum()
    index = float(((p - q) * np.log(p / q)).sum())
    middle = (p + q) / 2
    divergence = float((p * np.log2(p / middle) + q * np.log2(q / middle)).sum() / 2)
    return index, float(np.sqrt(max(0.0, divergence)))
