"""Correlation drift: changes of Pearson and rank correlations between numeric columns.

The test statistic is the difference of Fisher's z in units of its standard error. Its variance is the larger of that
of normal rows, 1 / (n - 3), times 1.06 for ranks, and of the one estimated from the rows, so that heavy tails and
changes of scale raise no alarm:

* R. A. Fisher, On the "probable error" of a coefficient of correlation, 1921;
* E. C. Fieller, H. O. Hartley, E. S. Pearson, Tests for rank correlation coefficients I, 1957;
* J. H. Steiger, A. R. Hakstian, The asymptotic distribution of elements of a correlation matrix, 1982.

Rows of one batch are alike, so the standard error is at least that of batches as clusters, from a jackknife of the
batches (J. W. Tukey, Bias and confidence in not quite large samples, 1958) without those that are odd. The p-value
accounts for the chance in it (:mod:`~modelmonitor_trainer.detect.clustered`). The effect size is half the difference of
the correlations, so that it is between 0 and 1 like every other effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.detect.batches import ENOUGH_FREEDOM, MEDIAN_SQUARE, MIN_BATCHES_ODD, ODD
from modelmonitor_trainer.detect.clustered import (
    alarm_freedom,
    alarm_variance,
    claim_half_width,
    tail_probability,
    tail_quantile,
)
from modelmonitor_trainer.detect.hypotheses import CORRELATION, Hypothesis, HypothesisFamily, family
from modelmonitor_trainer.profile.moments import Moments, correlations, total

PEARSON, RANK = "Pearson correlations", "rank correlations"
#: A pair with fewer rows on a side is not tested.
MIN_ROWS = 100
#: Correlations closer to 1 count as 1 minus this: the z of 1 is infinite.
_EDGE = 1e-6
_Z95 = 1.959963984540054
_RANK_VARIANCE = 1.06


def find_correlation_drift(
    detector: str,
    names: Sequence[str],
    reference: Sequence[Moments],
    current: Sequence[Moments],
    level: float,
    *,
    independent: bool = False,
) -> list[HypothesisFamily]:
    """Return the families of Pearson and of rank correlations.

    Parameters
    ----------
    detector
        Its name.
    names
        Columns, in the order of the moments.
    reference, current
        Moments of each batch of the windows.
    level
        Level of the check; the limits of each matrix use half of it.
    independent
        Whether rows are independent, so that batches differ by chance alone.
    """
    if len(names) < 2:
        text = "fewer than two numeric columns vary in the reference"
        return [HypothesisFamily(detector, CORRELATION, PEARSON, message=text)]
    if independent:
        reference, current = [total(reference, len(names))], [total(current, len(names))]
    return [
        _matrix(detector, what, names, reference, current, level / 2, independent=independent)
        for what in (PEARSON, RANK)
    ]


def fisher_test(r: Floats, variance: Floats, rows: Floats, *, ranks: bool = False) -> tuple[Floats, Floats]:
    """Return Fisher's z of correlations and its variance.

    Parameters
    ----------
    r, variance, rows : (...,)
        Correlations, their estimated variances, and numbers of rows.
    ranks
        Whether they are rank correlations.
    """
    bounded = np.clip(r, -1 + _EDGE, 1 - _EDGE)
    normal = (_RANK_VARIANCE if ranks else 1.0) / np.maximum(rows - 3, 1)
    return np.arctanh(bounded), np.maximum(normal, variance / (1 - bounded**2) ** 2)


def _matrix(
    detector: str,
    what: str,
    names: Sequence[str],
    reference: Sequence[Moments],
    current: Sequence[Moments],
    level: float,
    *,
    independent: bool,
) -> HypothesisFamily:
    ranks = what == RANK
    before, now = total(reference, len(names)), total(current, len(names))
    r, z, errors = zip(*(_fisher(moments, ranks=ranks) for moments in (before, now)), strict=True)
    tested = (before.rows >= MIN_ROWS) & (now.rows >= MIN_ROWS) & np.isfinite(z[0]) & np.isfinite(z[1])
    spread = _Spread.of(reference, current, ranks=ranks, independent=independent)
    subjects = []
    pairs = list(combinations(names, 2))
    for index in np.flatnonzero(tested):
        by_rows = float(errors[0][index] + errors[1][index])
        variance, freedom = spread.alarm(int(index), by_rows)
        widening = max(1.0, (spread.claim(int(index)) / _Z95) ** 2 / by_rows)
        low, high = _interval([float(side[index]) for side in z], [float(side[index]) * widening for side in errors])
        difference = float(z[1][index] - z[0][index])
        limit = math.sqrt(variance) * tail_quantile(level / max(1, int(tested.sum())), freedom) / 2
        subjects.append(
            Hypothesis(
                name=" and ".join(pairs[index]),
                before=float(r[0][index]),
                now=float(r[1][index]),
                effect=float(r[1][index] - r[0][index]) / 2,
                low=low / 2,
                high=high / 2,
                p_value=tail_probability(difference**2 / variance, freedom),
                limit=math.tanh(limit),
            )
        )
    text = f"{len(subjects)} pairs of {len(names)} columns tested on {int(now.rows.max()):,} sampled rows"
    if not subjects:
        text = f"no pair of columns has {MIN_ROWS} rows and varies on both sides"
    return family(HypothesisFamily(detector, CORRELATION, what, message=text, is_matrix=True), subjects)


def _fisher(moments: Moments, *, ranks: bool) -> tuple[Floats, Floats, Floats]:
    r, variance = correlations(moments.rows, moments.ranks if ranks else moments.values)
    return (r, *fisher_test(r, variance, moments.rows, ranks=ranks))


@dataclass(frozen=True)
class _Spread:
    """The variation of Fisher's z of every pair between batches.

    Attributes
    ----------
    variance : (pairs,)
        Variance of one batch.
    freedom
        Its degrees of freedom.
    weight
        Sum of the squared weights of the batches of both windows.
    current_batches
        Number of batches of the current window.
    independent
        Whether batches differ by chance alone.
    """

    variance: Floats
    freedom: int
    weight: float
    current_batches: int
    independent: bool

    @classmethod
    def of(cls, reference: Sequence[Moments], current: Sequence[Moments], *, ranks: bool, independent: bool) -> _Spread:
        """Return the spread of batches with rows; the current window counts where the reference has few."""
        sides = [[moments for moments in side if moments.rows.any()] for side in (reference, current)]
        before, now = (_jackknife(side, ranks=ranks) for side in sides)
        own = max(0, len(sides[0]) - 1)
        more = min(max(0, len(sides[1]) - 1), max(0, ENOUGH_FREEDOM - own))
        freedom = own + more
        variance = (own * before + more * now) / max(1, freedom)
        weight = sum(1 / max(1, len(side)) for side in sides)
        return cls(variance, freedom, weight, len(sides[1]), independent)

    def alarm(self, pair: int, by_rows: float) -> tuple[float, float]:
        """Return the variance of the difference of z of a pair, and its degrees of freedom."""
        if self.independent:
            return by_rows, alarm_freedom(0, 0.0, 1)
        between = alarm_variance(float(self.variance[pair]), self.freedom) * self.weight
        total = max(between, by_rows)
        return total, alarm_freedom(self.freedom, between / total, self.current_batches)

    def claim(self, pair: int) -> float:
        """Return the half-width of the interval of the difference of z that is due to batches."""
        if self.independent:
            return 0.0
        return claim_half_width(float(self.variance[pair]), self.freedom, self.weight, dated=False)


def _jackknife(batches: Sequence[Moments], *, ranks: bool) -> Floats:
    """Return the variance that one batch adds to z of every pair, (pairs,); 0 with fewer than two batches."""
    if len(batches) < 2:
        return np.zeros(batches[0].rows.size) if batches else np.zeros(1)
    rows = np.stack([batch.rows for batch in batches])
    sums = np.stack([batch.ranks if ranks else batch.values for batch in batches])
    whole_rows, whole_sums = rows.sum(axis=0), sums.sum(axis=0)
    count = len(batches)
    # One batch at a time: together they would need hundreds of megabytes for a hundred columns.
    left_out = np.stack(
        [
            np.arctanh(
                np.clip(correlations(whole_rows - rows[index], whole_sums - sums[index])[0], -1 + _EDGE, 1 - _EDGE)
            )
            for index in range(count)
        ]
    )
    squares = np.square((count - 1) * np.nan_to_num(left_out - left_out.mean(axis=0)))
    if count >= MIN_BATCHES_ODD:
        # np.median would import the module of masked arrays.
        typical = np.sort(squares, axis=0)[count // 2] / MEDIAN_SQUARE
        ordinary = squares <= ODD**2 * np.maximum(typical, 1e-300)
        kept = ordinary.sum(axis=0)
        return np.asarray((squares * ordinary).sum(axis=0) / np.maximum(kept - 1, 1))
    return np.asarray(squares.sum(axis=0) / (count - 1))


def _interval(z: Sequence[float], variances: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two correlations, the second less the first.

    G. Y. Zou, Toward using confidence intervals to compare correlations, 2007.
    """
    before, now = (
        [float(np.tanh(value + side * _Z95 * np.sqrt(variance))) for side in (-1, 0, 1)]
        for value, variance in zip(z, variances, strict=True)
    )
    change = now[1] - before[1]
    return (
        change - float(np.hypot(now[1] - now[0], before[2] - before[1])),
        change + float(np.hypot(now[2] - now[1], before[1] - before[0])),
    )
