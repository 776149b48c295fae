"""Slices: parts of the data on which a challenger must not be worse, even if it is better on average.

A slice rejects the challenger if the drop is larger than ``promotion.maxSliceDrop`` and significant. Significance is
judged with a one-sided bound at the confidence of the comparison, shared among all deciding slices (Bonferroni):
of thirty slices, one drops by a few hundredths in nearly every comparison of two equal models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelmonitor_api.spec import Promotion
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.gate.interval import paired_difference
from modelmonitor_trainer.model.metrics import DROP_SHARE, Undefined, bounded, in_units, metric_value

#: Values of a column that are reported, the most frequent ones; every value with enough rows is compared.
MAX_VALUES = 200
MISSING = "(missing)"


@dataclass(frozen=True)
class SliceResult:
    """Both models on one slice.

    Attributes
    ----------
    column, value, rows
        The slice, and its number of rows.
    champion, challenger
        Scores, in units of the metric; None if they are not defined.
    difference
        Challenger minus champion, positive if the challenger is better.
    high
        One-sided upper bound of the difference, at the confidence that all slices share.
    decides
        Whether the slice has enough rows to reject a challenger.
    worse
        Whether it rejects the challenger.
    undefined
        Why it has no scores although it has enough rows; empty if it has scores.
    """

    column: str
    value: str
    rows: int
    champion: float | None = None
    challenger: float | None = None
    difference: float | None = None
    high: float | None = None
    decides: bool = False
    worse: bool = False
    undefined: str = ""


def compare_slices(
    truth: Array,
    champion: Array,
    challenger: Array,
    slices: Mapping[str, Array],
    promotion: Promotion,
    seed: int,
    days: Ints | None = None,
    baseline: Array | None = None,
) -> tuple[SliceResult, ...]:
    """Compare both models on every slice.

    Parameters
    ----------
    truth, champion, challenger
        As in :class:`~modelmonitor_trainer.gate.evaluation.GateInput`.
    slices
        Column → its value in each row, as text; None counts as a value.
    promotion
        ``spec.promotion``: the metric, the rows that a slice needs to decide, and the tolerated drop.
    seed
        Seed of the bootstrap.
    days : (n,)
        Day number of each row, or None.
    baseline
        Scores of a trivial model, by which the tolerated drop is bounded; None if they are unknown.

    Returns
    -------
    tuple of SliceResult
        By column, the largest slice first.
    """
    parts = list(_parts(slices, promotion.min_slice_rows))
    deciding = sum(rows.size >= promotion.min_slice_rows for _, _, rows in parts)
    level = (1 - float(promotion.confidence)) / max(1, deciding)
    results = []
    for column, value, rows in parts:
        if rows.size < promotion.min_slice_rows:
            results.append(SliceResult(column, value, int(rows.size)))
            continue
        try:
            # The upper end of a two-sided interval at 1 - 2 level is a one-sided bound at 1 - level.
            difference = paired_difference(
                promotion.metric,
                truth[rows],
                champion[rows],
                challenger[rows],
                confidence=1 - 2 * level,
                seed=seed,
                days=None if days is None else days[rows],
            )
        except Undefined as undefined:
            results.append(SliceResult(column, value, int(rows.size), undefined=str(undefined)))
            continue
        trivial = _trivial(baseline, rows, promotion, truth)
        declared = float(promotion.max_slice_drop)
        tolerated = bounded(promotion.metric, declared, difference.champion, trivial, DROP_SHARE)
        worse = difference.value < -tolerated and difference.high < 0
        figures = difference.champion, difference.challenger, difference.value, difference.high
        results.append(SliceResult(column, value, int(rows.size), *figures, decides=True, worse=worse))
    return tuple(results)


def _trivial(baseline: Array | None, rows: Ints, promotion: Promotion, truth: Array) -> float | None:
    """Return the score of a trivial model on a slice, if it is known."""
    return None if baseline is None else metric_value(promotion.metric, truth[rows], baseline[rows])


def judge_slices(slices: Sequence[SliceResult], promotion: Promotion) -> tuple[bool | None, str]:
    """Return whether the challenger is worse on no slice (None if no slice can be compared), and a sentence."""
    relative = in_units(promotion.metric, 1.0, 2.0) != 1.0
    drop = f"{promotion.max_slice_drop} of the champion's error" if relative else f"{promotion.max_slice_drop}"
    deciding = [result for result in slices if result.decides]
    worse = sorted((result for result in deciding if result.worse), key=lambda result: result.difference or 0.0)
    if worse:
        named = "; ".join(
            f"{result.column} = {result.value}: {result.champion:.4f} to {result.challenger:.4f} "
            f"on {result.rows:,} rows"
            for result in worse[:3]
        )
        more = f" and {len(worse) - 3} more" if len(worse) > 3 else ""
        return False, (
            f"Significantly worse on {len(worse)} of {len(deciding)} slices, by more than maxSliceDrop {drop}: "
            f"{named}{more}"
        )
    if deciding:
        return True, f"None of {len(deciding)} slices is significantly worse by more than {drop}"
    if not slices:
        return True, "No slices are declared"
    undefined = next((result.undefined for result in slices if result.undefined), "")
    return None, f"No slice can be compared: {undefined}" if undefined else "No slice has enough rows"


def _parts(slices: Mapping[str, Array], deciding: int) -> Iterator[tuple[str, str, Array]]:
    """Yield column, value and row indices of each slice."""
    for column, values in slices.items():
        text = np.array([MISSING if value is None else str(value) for value in values], dtype=object)
        distinct, codes, counts = np.unique(text.astype(str), return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        rows = np.argsort(codes, kind="stable")
        wanted = max(MAX_VALUES, int((counts >= deciding).sum()))
        for number in np.argsort(-counts, kind="stable")[:wanted]:
            yield column, str(distinct[number]), rows[ends[number] - counts[number] : ends[number]]
