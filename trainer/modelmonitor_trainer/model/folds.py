"""Splits by time: rows to fit to precede the rows to score or calibrate on."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import TimeSeriesSplit

from modelmonitor_trainer.arrays import Ints


def last_days(days: Ints | None, rows: int, share: float) -> npt.NDArray[np.bool_]:
    """Return a mask of the rows of the last `share` of the days.

    Parameters
    ----------
    days : (rows,)
        Day number of each row; None if the rows are in order.
    rows
        Number of rows.
    share
        Between 0 and 1. If there are fewer days than 1 / `share`, the last share of the rows is taken.

    Returns
    -------
    (rows,)
        True for at least one row, and not for all if there are two or more.
    """
    units = _units(days, rows, math.ceil(1 / share))
    distinct = np.unique(units)
    first = min(distinct.size - 1, max(1, round(distinct.size * (1 - share))))
    mask: npt.NDArray[np.bool_] = units >= distinct[first]
    return mask


def time_folds(days: Ints | None, rows: int, folds: int) -> list[tuple[Ints, Ints]]:
    """Return pairs of row indices: rows to fit to, and rows of later days to score on.

    Parameters
    ----------
    days : (rows,)
        Day number of each row; None if the rows are in order. If there are fewer days than `folds` + 1,
        the rows themselves are split, in the order of their days.
    rows
        Number of rows.
    folds
        Number of pairs, at least 2; the rows to fit to grow from pair to pair, as in
        :class:`sklearn.model_selection.TimeSeriesSplit`.
    """
    units = _units(days, rows, folds + 1)
    distinct = np.unique(units)
    pairs = []
    for earlier, later in TimeSeriesSplit(folds).split(distinct):
        pairs.append(
            (
                np.flatnonzero(units <= distinct[earlier[-1]]),
                np.flatnonzero((units >= distinct[later[0]]) & (units <= distinct[later[-1]])),
            )
        )
    return pairs


def _units(days: Ints | None, rows: int, needed: int) -> Ints:
    """Return the day number of each row, or its position in time if there are too few days."""
    if days is not None and np.unique(days).size >= needed:
        return days
    positions = np.empty(rows, dtype=np.int64)
    positions[np.arange(rows) if days is None else np.argsort(days, kind="stable")] = np.arange(rows)
    return positions
