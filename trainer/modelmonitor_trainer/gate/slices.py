"""Slices: the parts of the data on which a challenger must not be worse, so that a good average hides none.

A slice refuses the challenger where two things hold: the drop is larger than ``promotion.maxSliceDrop``, and it
is not chance. Chance is judged with a one-sided bound at the confidence of the comparison, shared among all
slices that are looked at (Bonferroni): with thirty slices, one of them drops by a few hundredths in every
comparison of two equal models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from modelmonitor_api.spec import Metric, Promotion
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.gate.interval import paired_difference
from modelmonitor_trainer.model.metrics import Undefined

#: Values of a column beyond these, the least frequent, are not looked at.
MAX_VALUES = 200
MISSING = "(missing)"


@dataclass(frozen=True)
class SliceResult:
    """Both models on one slice.

    Attributes
    ----------
    column, value, rows
        Which rows.
    champion, challenger
        Scores, in units of the metric; None where they are not defined.
    difference
        How much better the challenger is.
    high
        Upper bound of the difference, one-sided, shared among all slices.
    decides
        Whether it has rows enough to refuse a challenger.
    worse
        Whether it does.
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


def compare_slices(
    truth: Array,
    champion: Array,
    challenger: Array,
    slices: Mapping[str, Array],
    promotion: Promotion,
    seed: int,
    days: Ints | None = None,
) -> tuple[SliceResult, ...]:
    """Return both models on every slice, the largest first within a column.

    Parameters
    ----------
    truth, champion, challenger
        As in :class:`~modelmonitor_trainer.gate.verdict.Contest`.
    slices
        Column → its value in each row, as text; None is a slice of its own.
    promotion
        Says the metric, how many rows decide, and how large a drop may be.
    seed
        Of the bootstrap.
    days : (n,)
        Number of the day of each row, or None.
    """
    parts = list(_parts(slices))
    deciding = sum(kept.size >= promotion.min_slice_rows for _, _, kept in parts)
    level = (1 - float(promotion.confidence)) / max(1, deciding)
    found = []
    for column, value, kept in parts:
        if kept.size < promotion.min_slice_rows:
            found.append(SliceResult(column, value, int(kept.size)))
            continue
        of_days = None if days is None else days[kept]
        result = _compare(promotion.metric, truth[kept], champion[kept], challenger[kept], level, seed, of_days)
        if result is None:
            found.append(SliceResult(column, value, int(kept.size)))
            continue
        before, after, difference, high = result
        worse = difference < -float(promotion.max_slice_drop) and high < 0
        found.append(SliceResult(column, value, int(kept.size), before, after, difference, high, True, worse))
    return tuple(found)


def _compare(
    metric: Metric,
    truth: Array,
    champion: Array,
    challenger: Array,
    level: float,
    seed: int,
    days: Ints | None,
) -> tuple[float, float, float, float] | None:
    """Return both scores, the difference and its upper bound; None where the metric is not defined."""
    try:
        # The upper end of a two-sided interval at 1 - 2 level is a one-sided bound at 1 - level.
        found = paired_difference(metric, truth, champion, challenger, confidence=1 - 2 * level, seed=seed, days=days)
    except Undefined:
        return None
    return found.champion, found.challenger, found.value, found.high


def _parts(slices: Mapping[str, Array]) -> Iterator[tuple[str, str, Array]]:
    """Yield column, value and the places of the rows of each slice."""
    for column, values in slices.items():
        text = np.array([MISSING if value is None else str(value) for value in values], dtype=object)
        distinct, places, counts = np.unique(text.astype(str), return_inverse=True, return_counts=True)
        for number in np.argsort(-counts, kind="stable")[:MAX_VALUES]:
            yield column, str(distinct[number]), np.flatnonzero(places == number)
