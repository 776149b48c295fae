"""Data sets of a cell, and how often each rule alarms on them."""

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
    hit = next((column.name for column in columns if drift and drift.column in column.name), None)
    reference: Table = {}
    current: Table = {}
    for column in columns:
        change = drift.change if drift and column.name == hit else Change()
        shifts = cell.days.shifts(generator) if cell.days else np.zeros(2)
        split = cell.days.reference if cell.days else 1
        reference[column.name] = [draw(column, cell.rows, Change(shift), generator) for shift in shifts[:split]]
        current[column.name] = [
            draw(column, cell.rows, Change(change.shift + shift, change.missing, change.moved), generator)
            for shift in shifts[split:]
        ]
    return columns, reference, current


def measure(task: tuple[int, Cell, range]) -> tuple[int, Counter[str]]:
    """Return how often each rule alarms on some data sets of a cell."""
    place, cell, seeds = task
    found: Counter[str] = Counter()
    for seed in seeds:
        columns, reference, current = data_set(cell, seed)
        result = verdict(columns, reference, current)
        found["sets"] += 1
        if cell.drift is None:
            found["ours"] += bool(result.drifted)
            found.update(f"column {column.name}" for column in result.drifted)
        else:
            hit = cell.drift.column
            first = next(column.name for column in columns if hit in column.name)
            found["ours"] += any(column.name == first for column in result.drifted)
        if seed < cell.peers:
            found["peer sets"] += 1
            found.update({rule: int(alarm) for rule, alarm in peers.alarms(columns, reference, current).items()})
    return place, found


def tasks(chosen: list[Cell]) -> Iterator[tuple[int, Cell, range]]:
    """Yield batches of data sets."""
    for place, cell in enumerate(chosen):
        for start in range(0, cell.seeds, _BATCH):
            yield place, cell, range(start, min(cell.seeds, start + _BATCH))
