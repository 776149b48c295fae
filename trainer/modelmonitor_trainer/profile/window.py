"""Profiles of windows: profiles of batches, stacked so that any group of days can be summed and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from modelmonitor_trainer.arrays import Counts
from modelmonitor_trainer.data.object_format import AnyFormat, format_key
from modelmonitor_trainer.data.tables import Unreadable
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.profile.cache import ProfileCache
from modelmonitor_trainer.profile.columns import CategoricalProfile, ColumnProfile, merge
from modelmonitor_trainer.profile.engine import Engine, ThreadEngine
from modelmonitor_trainer.profile.hashing import digest
from modelmonitor_trainer.profile.object_profile import ObjectProfile, empty_profile
from modelmonitor_trainer.profile.plans import Plan, plan_to_json
from modelmonitor_trainer.profile.tasks import ProfileTask, profile_codec
from modelmonitor_trainer.progress import Tick, no_progress, with_progress_bar
from modelmonitor_trainer.storage.base import ObjectInfo, Store


@dataclass(frozen=True)
class BatchProfile:
    """Profile of one batch.

    Attributes
    ----------
    block
        The batch.
    rows
        Rows of its readable objects.
    columns
        Column → profile of these rows.
    lacking
        Column → URIs of the objects that lack it.
    unreadable
        Error messages of the objects that cannot be decoded.
    """

    block: Batch
    rows: int
    columns: Mapping[str, ColumnProfile]
    lacking: Mapping[str, tuple[str, ...]]
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnWindow:
    """One column over the batches of a window.

    Attributes
    ----------
    total
        Profile of all rows.
    counts : (batches, cells)
        Rows in each cell.
    rows, missing : (batches,)
        All rows, and those without a value.
    buckets : (batches, buckets)
        Rows of values that are not known categories, by hash bucket; no buckets if the plan has none.
    """

    total: ColumnProfile
    counts: Counts
    rows: Counts
    missing: Counts
    buckets: Counts = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))


@dataclass(frozen=True)
class WindowProfile:
    """Profile of a window: its batches, and its columns over them."""

    blocks: tuple[BatchProfile, ...]
    columns: Mapping[str, ColumnWindow]

    @property
    def rows(self) -> int:
        """Rows of the window."""
        return sum(batch.rows for batch in self.blocks)


def profile_objects(
    store: Store,
    objects: Sequence[ObjectInfo],
    plan: Plan,
    fmt: AnyFormat,
    cache: ProfileCache,
    *,
    engine: Engine | None = None,
    tick: Tick = no_progress,
) -> Iterator[ObjectProfile | Unreadable]:
    """Yield the profile of every object in order; for an object that cannot be decoded, its error.

    Parameters are those of :func:`profile_window`; `tick` is that of :meth:`~.engine.Engine.run`.
    """
    plan_key = digest(plan_to_json(plan), *format_key(fmt))
    tasks = [ProfileTask(info, plan, plan_key, fmt) for info in objects]
    entries = cache.entries(plan_key, profile_codec(plan))
    yield from (engine or ThreadEngine()).run(store, tasks, entries, tick=tick)


def profile_window(
    store: Store,
    blocks: Sequence[Batch],
    plan: Plan,
    fmt: AnyFormat,
    cache: ProfileCache,
    *,
    what: str,
    engine: Engine | None = None,
) -> WindowProfile:
    """Return the profile of a window.

    Parameters
    ----------
    store
        Object store.
    blocks
        Objects of the window, by batch.
    plan
        How the columns are profiled.
    fmt
        Encoding of the objects.
    cache
        Profiles of earlier checks; new ones are added.
    what
        Description of the progress bar.
    engine
        Where objects are profiled; threads of this process by default.
    """
    objects = [info for batch in blocks for info in batch.objects]
    owners = [index for index, batch in enumerate(blocks) for _ in batch.objects]
    profiles = with_progress_bar(
        lambda tick: profile_objects(store, objects, plan, fmt, cache, engine=engine, tick=tick),
        sizes=[info.size for info in objects],
        what=what,
        columns=len(plan),
        rows_of=lambda profile: profile.rows if isinstance(profile, ObjectProfile) else 0,
    )
    grouped = groupby(zip(owners, profiles, strict=True), key=lambda item: item[0])
    by_batch = [_profile_batch(blocks[index], [profile for _, profile in items], plan) for index, items in grouped]
    return stack(by_batch, plan)


def stack(blocks: Sequence[BatchProfile], plan: Plan) -> WindowProfile:
    """Return the profiles of batches as one window; columns that no batch has are empty."""
    columns = {}
    for column in plan:
        empty = empty_profile(column)
        profiles = [batch.columns.get(column.name, empty) for batch in blocks]
        columns[column.name] = ColumnWindow(
            total=merge([empty, *profiles]),
            counts=np.array([p.counts for p in profiles], dtype=np.int64).reshape(len(profiles), column.cells),
            rows=np.array([p.rows for p in profiles], dtype=np.int64),
            missing=np.array([p.missing for p in profiles], dtype=np.int64),
            buckets=_buckets(profiles),
        )
    return WindowProfile(tuple(blocks), columns)


def _buckets(profiles: Sequence[ColumnProfile]) -> Counts:
    buckets = [profile.buckets for profile in profiles if isinstance(profile, CategoricalProfile)]
    return np.stack(buckets) if buckets else np.empty((0, 0), dtype=np.int64)


def require_readable(window: WindowProfile, what: str) -> None:
    """Raise an error if an object of a window could not be decoded.

    Raises
    ------
    BadData
        With the error of the first such object.
    """
    for batch in window.blocks:
        if batch.unreadable:
            raise BadData(f"the {what} is broken: {batch.unreadable[0]}")


def _profile_batch(batch: Batch, profiles: Sequence[ObjectProfile | Unreadable], plan: Plan) -> BatchProfile:
    good = [profile for profile in profiles if isinstance(profile, ObjectProfile)]
    # An empty CSV object has no columns, but no row of it lacks one.
    filled = [profile for profile in good if profile.rows]
    columns: dict[str, ColumnProfile] = {}
    lacking: dict[str, tuple[str, ...]] = {}
    for column in plan:
        having = [profile.columns[column.name] for profile in good if column.name in profile.columns]
        if having:
            columns[column.name] = merge(having)
        without = tuple(profile.uri for profile in filled if column.name not in profile.columns)
        if without:
            lacking[column.name] = without
    return BatchProfile(
        block=batch,
        rows=sum(profile.rows for profile in good),
        columns=columns,
        lacking=lacking,
        unreadable=tuple(str(error) for error in profiles if isinstance(error, Unreadable)),
    )
