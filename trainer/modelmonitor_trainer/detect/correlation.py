"""Correlation drift: changes of Pearson and rank correlations between numeric columns.

The test statistic is the difference of Fisher's z in units of its standard error. Its variance is the larger of that
of normal rows, 1 / (n - 3), times 1.06 for ranks, and of the one estimated from the rows, so that heavy tails and
changes of scale raise no alarm:

* R. A. Fisher, On the "probable error" of a coefficient of correlation, 1921;
* E. C. Fieller, H. O. Hartley, E. S. Pearson, Tests for rank correlation coefficients I, 1957;
* J. H. Steiger, A. R. Hakstian, The asymptotic distribution of elements of a correlation matrix, 1982.

The p-value is that of the normal distribution. The effect size is half the difference of the correlations, so that it
is between 0 and 1 like every other effect. If the reference has enough batches, a change must also exceed a threshold
from pseudo-current windows of the reference, as for single columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.detect.hypotheses import CORRELATION, Hypothesis, HypothesisFamily, family
from modelmonitor_trainer.detect.thresholds import MIN_BLOCKS, gumbel_quantile, pseudo_windows
from modelmonitor_trainer.profile.moments import Moments, correlations, total

PEARSON, RANK = "Pearson correlations", "rank correlations"
#: A pair with fewer rows on a side is not tested.
MIN_ROWS = 100
#: Correlations closer to 1 count as 1 minus this: the z of 1 is infinite.
_EDGE = 1e-6
_Z95 = 1.959963984540054
_RANK_VARIANCE = 1.06


def find_correlation_drift(
    detector: str, names: Sequence[str], reference: Sequence[Moments], current: Sequence[Moments], level: float
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
        Level of the check; the thresholds of each matrix use half of it.
    """
    if len(names) < 2:
        text = "fewer than two numeric columns vary in the reference"
        return [HypothesisFamily(detector, CORRELATION, PEARSON, message=text)]
    return [_matrix(detector, what, names, reference, current, level / 2) for what in (PEARSON, RANK)]


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
) -> HypothesisFamily:
    ranks = what == RANK
    before, now = total(reference, len(names)), total(current, len(names))
    r, z, errors = zip(*(_fisher(moments, ranks=ranks) for moments in (before, now)), strict=True)
    tested = (before.rows >= MIN_ROWS) & (now.rows >= MIN_ROWS) & np.isfinite(z[0]) & np.isfinite(z[1])
    error = np.sqrt(errors[0] + errors[1])
    score = np.abs(z[1] - z[0]) / error
    limits, how = _thresholds(reference, sum(bool(m.rows.any()) for m in current), tested, level, ranks=ranks)
    subjects = []
    pairs = list(combinations(names, 2))
    for index in np.flatnonzero(tested):
        low, high = _interval([float(side[index]) for side in z], [float(side[index]) for side in errors])
        subjects.append(
            Hypothesis(
                name=" and ".join(pairs[index]),
                before=float(r[0][index]),
                now=float(r[1][index]),
                effect=float(r[1][index] - r[0][index]) / 2,
                low=low / 2,
                high=high / 2,
                p_value=math.erfc(float(score[index]) / math.sqrt(2)),
                limit=None if limits is None else float(limits[index]),
            )
        )
    text = f"{len(subjects)} pairs of {len(names)} columns tested on {int(now.rows.max()):,} sampled rows; {how}"
    if not subjects:
        text = f"no pair of columns has {MIN_ROWS} rows and varies on both sides"
    return family(HypothesisFamily(detector, CORRELATION, what, message=text, is_matrix=True), subjects)


def _fisher(moments: Moments, *, ranks: bool) -> tuple[Floats, Floats, Floats]:
    r, variance = correlations(moments.rows, moments.ranks if ranks else moments.values)
    return (r, *fisher_test(r, variance, moments.rows, ranks=ranks))


def _thresholds(
    reference: Sequence[Moments],
    current_blocks: int,
    tested: npt.NDArray[np.bool_],
    level: float,
    *,
    ranks: bool,
) -> tuple[Floats | None, str]:
    """Return the threshold of the size of a change of each pair, and how it was found."""
    filled = [moments for moments in reference if moments.rows.any()]
    if len(filled) < MIN_BLOCKS or not current_blocks or not tested.any():
        return None, "the reference has too few batches to calibrate, so rows count as independent"
    method, chosen = pseudo_windows(len(filled), current_blocks)
    differences, errors = _pseudo_differences(filled, chosen, current_blocks, ranks=ranks)
    # In units of the variation of each pair, at least that of independent rows: days can only add to it.
    squares = np.where(np.isfinite(differences), differences, 0.0)[:, tested] ** 2
    others = np.sqrt((squares.sum(axis=0) - squares).clip(0) / max(1, len(chosen) - 1))
    floor = errors[tested]
    largest = (np.sqrt(squares) / np.maximum(others, floor)).max(axis=1)
    independent = len(chosen) if method == "Contiguous" else len(filled)
    threshold = gumbel_quantile(largest, level, independent)
    limits = np.full(tested.size, np.inf)
    limits[tested] = threshold * np.maximum(np.sqrt(squares.mean(axis=0)), floor) / 2
    return limits, f"calibrated on {len(chosen)} pseudo-current windows of the reference"


def _pseudo_differences(
    blocks: Sequence[Moments], chosen: npt.NDArray[np.bool_], current_blocks: int, *, ranks: bool
) -> tuple[Floats, Floats]:
    """Return the difference of the correlations of each window from the rest, and its standard error; (w, pairs)."""
    rows = np.stack([block.rows for block in blocks])
    sums = np.stack([block.ranks if ranks else block.values for block in blocks])
    differences, variances = [], np.zeros(rows.shape[1])
    # One window at a time: together they would need hundreds of megabytes for a hundred columns.
    for window in chosen:
        (r, here), (others, there) = (
            correlations(part @ rows, np.tensordot(part, sums, axes=1)) for part in (window * 1.0, ~window * 1.0)
        )
        differences.append(r - others)
        variances += np.where(np.isfinite(here + there), here + there, 0.0) / len(chosen)
    size = int(chosen[0].sum())
    scale = np.sqrt((1 / current_blocks + 1 / len(blocks)) / (1 / size + 1 / (len(blocks) - size)))
    return np.stack(differences) * scale, np.sqrt(variances) * scale


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
