"""Batches with the rows of another one: a day that was written again as the next one, or a file that was copied.

Their distributions are those of ordinary rows, so no test notices. Two batches are taken for copies if the profiles of
all of their columns are equal, which does not happen by chance once they have many rows and values.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelmonitor_trainer.profile.columns import ColumnProfile, NumericProfile
from modelmonitor_trainer.profile.window import BatchProfile, WindowProfile

#: Batches with fewer rows, or fewer cells with rows, can be equal by chance.
_MIN_ROWS, _MIN_CELLS = 50, 30


def repeated_batches(
    reference: WindowProfile | None, current: WindowProfile
) -> list[tuple[BatchProfile, BatchProfile]]:
    """Return the batches of the current window that repeat another one of either window, with the first of those."""
    distinct: dict[tuple[float, ...], list[BatchProfile]] = {}
    pairs = []
    for is_current, batch in _batches(reference, current):
        if batch.rows < _MIN_ROWS:
            continue
        known = distinct.setdefault(_fingerprint(batch), [])
        same = next((other for other in known if _are_equal(batch, other)), None)
        if same is None:
            known.append(batch)
        elif is_current and _has_many_values(batch):
            pairs.append((batch, same))
    return pairs


def _batches(reference: WindowProfile | None, current: WindowProfile) -> Iterator[tuple[bool, BatchProfile]]:
    yield from ((False, batch) for batch in (reference.blocks if reference else ()))
    yield from ((True, batch) for batch in current.blocks)


def _fingerprint(batch: BatchProfile) -> tuple[float, ...]:
    """Return what is quickly compared; copies have the same."""
    return batch.rows, *(_moment(batch.columns[name]) for name in sorted(batch.columns))


def _moment(column: ColumnProfile) -> float:
    return column.m2 if isinstance(column, NumericProfile) else float(column.missing)


def _are_equal(one: BatchProfile, other: BatchProfile) -> bool:
    return one.columns.keys() == other.columns.keys() and all(
        column.missing == other.columns[name].missing and np.array_equal(column.counts, other.columns[name].counts)
        for name, column in one.columns.items()
    )


def _has_many_values(batch: BatchProfile) -> bool:
    return sum(int(np.count_nonzero(column.counts)) for column in batch.columns.values()) >= _MIN_CELLS
