"""Rows by time: what is fitted comes before what it is scored or calibrated on."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import TimeSeriesSplit

from modelmonitor_trainer.arrays import Ints


def last_days(days: Ints | None, rows: int, share: float) -> npt.NDArray[np.bool_]:
    """Return which rows are of the last `share` of the days.

    Parameters
    ----------
    days : (rows,)
        Number of the day of each row; None: the rows are in order.
    rows
        How many rows there are.
    share
        Between 0 and 1. Where there are fewer days than 1 / `share`, it is the last share of the rows.

    Returns
    -------
    (rows,)
        At least one row, and not all where there are two.
    """
    units = _units(days, rows, math.ceil(1 / share))
    distinct = np.unique(units)
    first = min(distinct.size - 1, max(1, round(distinct.size * (1 - share))))
    found: npt.NDArray[np.bool_] = units >= distinct[first]
    return found


def time_folds(days: Ints | None, rows: int, folds: int) -> list[tuple[Ints, Ints]]:
    """Return pairs of places of rows: those to fit to, and those of the days after them to score on.

    Parameters
    ----------
    days : (rows,)
        Number of the day of each row; None: the rows are in order. Where there are fewer days than `folds` + 1, the
        rows themselves are split, in the order of their days.
    rows
        How many rows there are.
    folds
        How many pairs, at least 2; what is fitted to grows from pair to pair.
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
    """Return the number of the day of each row, or its place in time where there are too few days."""
    if days is not None and np.unique(days).size >= needed:
        return days
    places = np.empty(rows, dtype=np.int64)
    places[np.arange(rows) if days is None else np.argsort(days, kind="stable")] = np.arange(rows)
    return places
