"""Profiles of windows: partitions stacked, so that any group of days can be summed and compared."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.arrays import Counts
from modelmonitor_trainer.data.windows import Partition
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.profile.binning import Plan
from modelmonitor_trainer.profile.columns import CategoricalProfile, ColumnProfile, merge
from modelmonitor_trainer.profile.engine import ObjectProfile, ProfileCache, empty_profile, profile_objects
from modelmonitor_trainer.progress import shown
from modelmonitor_trainer.storage.base import ObjectInfo, Store


@dataclass(frozen=True)
class Batch:
    """Rows that belong together: a partition, or a file where there are no partitions.

    Attributes
    ----------
    name
        What a report calls it: a day or a URI.
    objects
        Where its rows are.
    day
        Which day, if it is a partition.
    """

    name: str
    objects: tuple[ObjectInfo, ...]
    day: dt.date | None = None


@dataclass(frozen=True)
class BatchProfile:
    """What one block holds.

    Attributes
    ----------
    block
        Which one.
    rows
        Of all its readable objects.
    columns
        Column → profile of its rows.
    lacking
        Column → objects that lack it.
    unreadable
        What is wrong with the objects that cannot be read.
    """

    block: Batch
    rows: int
    columns: Mapping[str, ColumnProfile]
    lacking: Mapping[str, tuple[str, ...]]
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnWindow:
    """One column over the blocks of a window.

    Attributes
    ----------
    total
        Profile of all rows.
    counts : (blocks, cells)
        Rows in each cell.
    rows, missing : (blocks,)
        All rows, and those without a value.
    buckets : (blocks, buckets)
        Rows of values without a cell, by their hash; no buckets where the plan has none.
    """

    total: ColumnProfile
    counts: Counts
    rows: Counts
    missing: Counts
    buckets: Counts = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))


@dataclass(frozen=True)
class WindowProfile:
    """A window: its blocks, and its columns over them."""

    blocks: tuple[BatchProfile, ...]
    columns: Mapping[str, ColumnWindow]

    @property
    def rows(self) -> int:
        """Rows of the window."""
        return sum(block.rows for block in self.blocks)


def batches_of_partitions(partitions: Iterable[Partition]) -> tuple[Batch, ...]:
    """Return partitions as blocks."""
    return tuple(Batch(partition.day.isoformat(), partition.objects, partition.day) for partition in partitions)


def profile_window(
    store: Store, blocks: Sequence[Batch], plan: Plan, fmt: DataFormat, cache: ProfileCache, *, what: str
) -> WindowProfile:
    """Return the profile of a window.

    Parameters
    ----------
    store, blocks, plan, fmt
        What to read, and how.
    cache
        Profiles made before.
    what
        What a progress bar calls the window.
    """
    objects = [info for block in blocks for info in block.objects]
    owners = [place for place, block in enumerate(blocks) for _ in block.objects]
    found = shown(
        lambda tick: profile_objects(store, objects, plan, fmt, cache, tick=tick),
        sizes=[info.size for info in objects],
        what=what,
        columns=len(plan),
        rows_of=lambda made: made.rows if isinstance(made, ObjectProfile) else 0,
    )
    grouped = groupby(zip(owners, found, strict=True), key=lambda item: item[0])
    profiled = [_profile_block(blocks[place], [made for _, made in items], plan) for place, items in grouped]
    return stack(profiled, plan)


def stack(blocks: Sequence[BatchProfile], plan: Plan) -> WindowProfile:
    """Return block profiles as one window; columns that no block has are empty."""
    columns = {}
    for column in plan:
        empty = empty_profile(column)
        profiles = [block.columns.get(column.name, empty) for block in blocks]
        columns[column.name] = ColumnWindow(
            total=merge([empty, *profiles]),
            counts=np.array([p.counts for p in profiles], dtype=np.int64).reshape(len(profiles), column.cells),
            rows=np.array([p.rows for p in profiles], dtype=np.int64),
            missing=np.array([p.missing for p in profiles], dtype=np.int64),
            buckets=_buckets(profiles),
        )
    return WindowProfile(tuple(blocks), columns)


def _buckets(profiles: Sequence[ColumnProfile]) -> Counts:
    found = [profile.buckets for profile in profiles if isinstance(profile, CategoricalProfile)]
    return np.stack(found) if found else np.empty((0, 0), dtype=np.int64)


def require_readable(window: WindowProfile, what: str) -> None:
    """Make sure that every object of a window could be read.

    Raises
    ------
    BadData
        Naming the first that could not.
    """
    for block in window.blocks:
        if block.unreadable:
            raise BadData(f"the {what} is broken: {block.unreadable[0]}")


def _profile_block(block: Batch, made: Sequence[ObjectProfile | Exception], plan: Plan) -> BatchProfile:
    good = [profile for profile in made if isinstance(profile, ObjectProfile)]
    columns: dict[str, ColumnProfile] = {}
    lacking: dict[str, tuple[str, ...]] = {}
    for column in plan:
        having = [profile.columns[column.name] for profile in good if column.name in profile.columns]
        if having:
            columns[column.name] = merge(having)
        without = tuple(profile.uri for profile in good if column.name not in profile.columns)
        if without:
            lacking[column.name] = without
    return BatchProfile(
        block=block,
        rows=sum(profile.rows for profile in good),
        columns=columns,
        lacking=lacking,
        unreadable=tuple(str(error) for error in made if not isinstance(error, ObjectProfile)),
    )
