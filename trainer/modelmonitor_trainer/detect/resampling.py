"""Scores of resampled rows: of groups that are drawn with replacement, and of all rows but those of one group.

:class:`RescoredRows` scores the rows of every resample again, whatever the metric.
:mod:`modelmonitor_trainer.gate.group_scores` computes the same scores from statistics of the groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from modelmonitor_trainer.arrays import Array, Ints

#: (true outcomes, predictions) → score.
Score = Callable[[Array, Array], float]


class GroupedRows(Protocol):
    """Rows in groups; scores are None where the metric is undefined."""

    def whole(self) -> float | None:
        """Return the score of all rows."""
        ...

    def drawn(self, draws: Iterable[Ints]) -> list[float | None]:
        """Return the score of each draw, an array of groups that can repeat."""
        ...

    def without_each(self) -> list[float | None]:
        """Return the score of all rows but those of each group."""
        ...


#: (true outcomes, predictions, group of each row) → rows in groups. Groups are numbered from 0, and none is empty.
Grouping = Callable[[Array, Array, Ints], GroupedRows]


@dataclass(frozen=True)
class RescoredRows(GroupedRows):
    """Rows in groups, scored again for each resample.

    Attributes
    ----------
    score
        The metric; raises ValueError or returns NaN if it is undefined.
    truth : (n,)
        True outcomes, as the score takes them.
    predicted : (n,) or (n, k)
        Predictions.
    groups : (n,)
        Group of each row.
    """

    score: Score
    truth: Array
    predicted: Array
    groups: Ints

    def whole(self) -> float | None:
        """Return the score of all rows."""
        return or_none(self.score, self.truth, self.predicted)

    def drawn(self, draws: Iterable[Ints]) -> list[float | None]:
        """Return the score of each draw."""
        order = np.argsort(self.groups, kind="stable")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(self.groups))])
        rows_of = [order[start:end] for start, end in pairwise(bounds)]
        # Of single rows, a draw is the rows themselves.
        single = len(rows_of) == self.groups.size
        rows = (order[draw] if single else np.concatenate([rows_of[group] for group in draw]) for draw in draws)
        return [or_none(self.score, self.truth[chosen], self.predicted[chosen]) for chosen in rows]

    def without_each(self) -> list[float | None]:
        """Return the score of all rows but those of each group."""
        others = (self.groups != group for group in range(int(self.groups.max()) + 1))
        return [or_none(self.score, self.truth[kept], self.predicted[kept]) for kept in others]


def rescored(score: Score) -> Grouping:
    """Return the grouping that scores the rows of each resample again."""
    return lambda truth, predicted, groups: RescoredRows(score, truth, predicted, groups)


def or_none(score: Score, truth: Array, predicted: Array) -> float | None:
    """Return a score, or None if it is undefined (a single class)."""
    try:
        value = float(score(truth, predicted))
    except ValueError:
        return None
    return value if np.isfinite(value) else None
