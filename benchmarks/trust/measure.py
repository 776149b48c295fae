"""Data sets of a cell, and the number of alarms of each rule."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cache

import numpy as np
import oracle
import peers
from cells import Cell
from columns import Change, Column, columns_of, draw, shift_that_moves
from ours import SENSITIVITY, Table, verdict

from modelmonitor_api.outcomes import Verdict
from modelmonitor_trainer.detect.drift import ColumnResult

_BATCH = 10


def data_set(cell: Cell, seed: int) -> tuple[list[Column], Table, Table, str | None]:
    """Return the columns of a cell, the rows of both windows, and the column that changes."""
    generator = np.random.default_rng([zlib.crc32(cell.key.encode()), seed])
    columns = cell.columns()
    drift = cell.drift
    changed = next((column for column in columns if drift and drift.column in column.name), None)
    reference: Table = {}
    current: Table = {}
    for column in columns:
        change = _change(cell, column) if column is changed else Change()
        odd = column is not changed or cell.silence
        shifts = cell.days.shifts(generator, odd=odd) if cell.days else np.zeros(2)
        split = cell.days.reference if cell.days else 1
        reference[column.name] = [draw(column, cell.rows, Change(shift), generator) for shift in shifts[:split]]
        current[column.name] = [
            draw(column, cell.rows, Change(change.shift + shift, change.missing, change.moved), generator)
            for shift in shifts[split:]
        ]
    return columns, reference, current, changed.name if changed else None


def _change(cell: Cell, column: Column) -> Change:
    assert cell.drift is not None
    return Change(shift=_shift(cell.kind, column.name)) if cell.drift.change is None else cell.drift.change


@cache
def _shift(kind: str, name: str) -> float:
    """Return the shift that moves a column by ``detectableEffect``; columns are not hashable."""
    (column,) = (column for column in columns_of(kind) if column.name == name)
    return shift_that_moves(column, float(SENSITIVITY.detectable_effect))


def measure(task: tuple[int, Cell, range]) -> tuple[int, Counter[str]]:
    """Return the number of alarms of each rule on some data sets of a cell."""
    index, cell, seeds = task
    alarms: Counter[str] = Counter()
    for seed in seeds:
        columns, reference, current, changed = data_set(cell, seed)
        result = verdict(columns, reference, current, dated=cell.days is not None)
        alarms["sets"] += 1
        if cell.silence:
            alarms["ours"] += any(column.name == changed and _quiet(column) for column in result.columns)
        elif cell.drift is None:
            alarms["ours"] += bool(result.drifted)
            alarms.update(f"column {column.name}" for column in result.drifted)
        else:
            alarms["ours"] += any(column.name == changed for column in result.drifted)
        alarms["unchanged"] += sum(column.name != changed for column in result.columns)
        alarms["quiet"] += sum(column.name != changed and _quiet(column) for column in result.columns)
        if oracle.knows(cell):
            alarms["oracle"] += sum(
                column.name != changed and oracle.is_quiet(cell, column, float(SENSITIVITY.detectable_effect))
                for column in result.columns
            )
        if seed < cell.peers:
            alarms["peer sets"] += 1
            alarms.update({rule: int(alarm) for rule, alarm in peers.alarms(columns, reference, current).items()})
    return index, alarms


def _quiet(column: ColumnResult) -> bool:
    return column.verdict is Verdict.NO_DRIFT


def tasks(chosen: list[Cell]) -> Iterator[tuple[int, Cell, range]]:
    """Yield batches of data sets."""
    for index, cell in enumerate(chosen):
        for start in range(0, cell.seeds, _BATCH):
            yield index, cell, range(start, min(cell.seeds, start + _BATCH))
