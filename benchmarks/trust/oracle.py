"""What an oracle would say that knows how much days vary: the least share of Inconclusive that the data allow.

The oracle sees the same distances as a check and makes the same claim, that the 95 % interval of each ends below
``detectableEffect``. It takes the variance between days, and the correlation of neighbouring ones, from the generator
instead of estimating them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from cells import Cell, Days
from columns import Column, columns_of, distance_moved, missing_moved

from modelmonitor_trainer.detect.drift import MISSING, ColumnResult

_TWO_SIDED = 1.959963984540054


def knows(cell: Cell) -> bool:
    """Return whether the oracle has an answer: days differ by random effects alone."""
    days = cell.days
    return days is None or not (days.weekly or days.trend or days.jump or days.odd)


def is_quiet(cell: Cell, result: ColumnResult, detectable: float) -> bool:
    """Return whether the oracle calls a column NoDrift."""
    batches = (cell.days.reference, cell.days.current) if cell.days else (1, 1)
    rows = 1 / (cell.rows * batches[0]) + 1 / (cell.rows * batches[1])
    for test in result.tests:
        moved = _measure_day_effect(
            cell.kind, result.name, cell.days.deviation if cell.days else 0.0, test.what == MISSING
        )
        variance = moved**2 * (_spread(cell.days) if cell.days else 0.0) + rows / 4
        if test.evidence.effect + _TWO_SIDED * float(np.sqrt(variance)) >= detectable:
            return False
    return True


@cache
def _measure_day_effect(kind: str, name: str, deviation: float, missing: bool) -> float:
    """Return the distance that a day effect of one standard deviation moves a column; columns are not hashable."""
    column: Column = next(column for column in columns_of(kind) if column.name == name)
    return missing_moved(column, deviation) if missing else distance_moved(column, deviation)


def _spread(days: Days) -> float:
    """Return the variance of the difference of both windows' means, in units of the variance of a day."""
    weights = np.concatenate([np.full(days.reference, -1 / days.reference), np.full(days.current, 1 / days.current)])
    positions = np.arange(weights.size)
    correlation = days.memory ** np.abs(positions[:, None] - positions) if days.memory else np.eye(weights.size)
    return float(weights @ correlation @ weights)
