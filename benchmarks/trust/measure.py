"""Data sets of a cell, and the number of alarms of each rule."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator

import numpy as np
import peers
from cells import Cell
from columns import Change, Column, draw
from ours import Table, verdict

_BATCH = 10


def data_set(cell: Cell, seed: int) -> tuple[list[Column], Table, Table]:
    """Return the columns of a cell and the rows of both windows."""
    generator = np.random.default_rng([zlib.crc32(cell.key.encode()), seed])
    columns = cell.columns()
    drift = cell.drift
    changed = next((column.name for column in columns if drift and drift.column in column.name), None)
    reference: Table = {}
    current: Table = {}
    for column in columns:
        change = drift.change if drift and column.name == changed else Change()
        shifts = cell.days.shifts(generator) if cell.days else np.zeros(2)
        split = cell.days.reference if cell.days else 1
        reference[column.name] = [draw(column, cell.rows, Change(shift), generator) for shift in shifts[:split]]
        current[column.name] = [
            draw(column, cell.rows, Change(change.shift + shift, change.missing, change.moved), generator)
            for shift in shifts[split:]
        ]
    return columns, reference, current


def measure(task: tuple[int, Cell, range]) -> tuple[int, Counter[str]]:
    """Return the number of alarms of each rule on some data sets of a cell."""
    index, cell, seeds = task
    alarms: Counter[str] = Counter()
    for seed in seeds:
        columns, reference, current = data_set(cell, seed)
        result = verdict(columns, reference, current)
        alarms["sets"] += 1
        if cell.drift is None:
            alarms["ours"] += bool(result.drifted)
            alarms.update(f"column {column.name}" for column in result.drifted)
        else:
            pattern = cell.drift.column
            first = next(column.name for column in columns if pattern in column.name)
            alarms["ours"] += any(column.name == first for column in result.drifted)
        if seed < cell.peers:
            alarms["peer sets"] += 1
            alarms.update({rule: int(alarm) for rule, alarm in peers.alarms(columns, reference, current).items()})
    return index, alarms


def tasks(chosen: list[Cell]) -> Iterator[tuple[int, Cell, range]]:
    """Yield batches of data sets."""
    for index, cell in enumerate(chosen):
        for start in range(0, cell.seeds, _BATCH):
            yield index, cell, range(start, min(cell.seeds, start + _BATCH))
