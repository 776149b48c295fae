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

from modelmonitor_api.spec import Promotion
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.gate.interval import paired_difference
from modelmonitor_trainer.model.metrics import Undefined, in_units

#: Of values with too few rows to decide, the most frequent are reported; every other value is looked at.
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
    undefined
        Why it has no scores although it has rows enough; empty where it has.
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
) -> tuple[SliceResult, ...]:
    """Return both models on every slice, the largest first within a column.

    Parameters
    ----------
    truth, champion, challenger
        As in :class:`~modelmonitor_trainer.gate.evaluation.GateInput`.
    slices
        Column → its value in each row, as text; None is a slice of its own.
    promotion
        Says the metric, how many rows decide, and how large a drop may be.
    seed
        Of the bootstrap.
    days : (n,)
        Number of the day of each row, or None.
    """
    parts = list(_parts(slices, promotion.min_slice_rows))
    deciding = sum(kept.size >= promotion.min_slice_rows for _, _, kept in parts)
    level = (1 - float(promotion.confidence)) / max(1, deciding)
    found = []
    for column, value, kept in parts:
        if kept.size < promotion.min_slice_rows:
            found.append(SliceResult(column, value, int(kept.size)))
            continue
        try:
            # The upper end of a two-sided interval at 1 - 2 level is a one-sided bound at 1 - level.
            result = paired_difference(
                promotion.metric,
                truth[kept],
                champion[kept],
                challenger[kept],
                confidence=1 - 2 * level,
                seed=seed,
                days=None if days is None else days[kept],
            )
        except Undefined as why:
            found.append(SliceResult(column, value, int(kept.size), undefined=str(why)))
            continue
        tolerated = in_units(promotion.metric, float(promotion.max_slice_drop), result.champion)
        worse = result.value < -tolerated and result.high < 0
        scores = result.champion, result.challenger, result.value, result.high
        found.append(SliceResult(column, value, int(kept.size), *scores, decides=True, worse=worse))
    return tuple(found)


def _parts(slices: Mapping[str, Array], deciding: int) -> Iterator[tuple[str, str, Array]]:
    """Yield column, value and the places of the rows of each slice."""
    for column, values in slices.items():
        text = np.array([MISSING if value is None else str(value) for value in values], dtype=object)
        distinct, places, counts = np.unique(text.astype(str), return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        rows = np.argsort(places, kind="stable")
        wanted = max(MAX_VALUES, int((counts >= deciding).sum()))
        for number in np.argsort(-counts, kind="stable")[:wanted]:
            yield column, str(distinct[number]), rows[ends[number] - counts[number] : ends[number]]
