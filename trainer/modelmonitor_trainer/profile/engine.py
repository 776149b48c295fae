"""Profiles of objects, each made once in its life: (object, plan) → profile, kept on the store.

The task is pure and small, so it may run anywhere; here it runs on a few threads, and the results
come back in the order of the objects.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.arrays import Array, Counts
from modelmonitor_trainer.data.csv_jsonl import Told
from modelmonitor_trainer.data.parquet import Part
from modelmonitor_trainer.data.tables import Unreadable, scan
from modelmonitor_trainer.errors import ModelMonitorError
from modelmonitor_trainer.profile.binning import (
    PROFILE_VERSION,
    CategoricalPlan,
    ColumnPlan,
    NumericPlan,
    Plan,
    digest,
    plan_to_json,
)
from modelmonitor_trainer.profile.categories import REGISTERS, Vocabulary
from modelmonitor_trainer.profile.columns import CategoricalProfile, ColumnProfile, NumericProfile, merge
from modelmonitor_trainer.profile.counting import CategoryCounter, NumberCounter, cell_table
from modelmonitor_trainer.profile.serialization import pack, unpack
from modelmonitor_trainer.progress import Tick
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_LOG = logging.getLogger(__name__)

_NUMERIC_COUNTS = ("rows", "nulls", "nans", "finite", "negative_infinities", "below", "above")
_NUMERIC_MOMENTS = ("mean", "m2", "minimum", "maximum")
_CATEGORICAL_FIELDS = ("rows", "nulls", "disallowed_rows")
#: Seconds between two looks at how far a reading is.
_MOMENT = 0.2


@dataclass(frozen=True)
class ObjectProfile:
    """What one object holds.

    Attributes
    ----------
    uri
        Which object.
    rows
        How many rows it has.
    columns
        Column → profile; columns that the object lacks are not in it.
    """

    uri: str
    rows: int
    columns: Mapping[str, ColumnProfile]


class Preparation:
    """What the columns of a plan need to be counted, worked out once; threads may share it."""

    def __init__(self, plan: Plan) -> None:
        self.columns = {column.name: column for column in plan}
        self.text = [column.name for column in plan if isinstance(column, CategoricalPlan)]
        self._tables = {c.name: cell_table(c.edges) for c in plan if isinstance(c, NumericPlan)}
        self._vocabularies = {
            c.name: Vocabulary.of(c.categories, c.allowed, c.buckets) for c in plan if isinstance(c, CategoricalPlan)
        }

    def counter(self, name: str) -> NumberCounter | CategoryCounter:
        """Return what counts a column, from nothing."""
        column = self.columns[name]
        if isinstance(column, NumericPlan):
            return NumberCounter(column.edges, column.minimum, column.maximum, self._tables[name])
        return CategoryCounter(self._vocabularies[name])


@dataclass(frozen=True)
class _PartProfile:
    """What one part of an object holds, and which other parts there are."""

    rows: int
    types: frozenset[str]
    columns: Mapping[str, ColumnProfile]
    others: tuple[Part, ...]


def profile_object(store: Store, info: ObjectInfo, plan: Plan, fmt: DataFormat) -> ObjectProfile:
    """Return the profile of an object, read now."""
    prepared = Preparation(plan)
    first = _profile_part(store, info, prepared, fmt)
    others = [_profile_part(store, info, prepared, fmt, part) for part in first.others]
    return _put_together(info, prepared, [first, *others])


def _profile_part(
    store: Store,
    info: ObjectInfo,
    prepared: Preparation,
    fmt: DataFormat,
    part: Part | None = None,
    told: Told = lambda _: None,
) -> _PartProfile:
    """Return the profile of a part of an object, the first if none is given."""
    found: dict[str, list[ColumnProfile]] = {}
    wanted = list(prepared.columns)
    with scan(store, info, wanted, fmt, text=prepared.text, in_parts=True, part=part, told=told) as opened:
        for name, chunks in groupby(opened.chunks, key=itemgetter(0)):
            counter = prepared.counter(name)
            for _, values in chunks:
                counter.add(values)
            earlier = found.setdefault(name, [])
            earlier[:] = [merge([*earlier, counter.profile()])]
    columns = {name: profiles[0] for name, profiles in found.items()}
    return _PartProfile(opened.rows, frozenset(opened.types), columns, opened.others)


def _put_together(info: ObjectInfo, prepared: Preparation, parts: Sequence[_PartProfile]) -> ObjectProfile:
    """Return parts of an object as its profile: they are merged in the order of the object, whoever made them."""
    columns: dict[str, ColumnProfile] = {}
    for name, column in prepared.columns.items():
        having = [part.columns[name] for part in parts if name in part.columns]
        if having:
            columns[name] = merge(having)
        elif name in parts[0].types:
            columns[name] = empty_profile(column)  # a file without row groups
    return ObjectProfile(info.uri, parts[0].rows, columns)


def empty_profile(column: ColumnPlan) -> ColumnProfile:
    """Return the profile of no rows."""
    counts = np.zeros(column.cells, dtype=np.int64)
    if isinstance(column, NumericPlan):
        return NumericProfile(counts)
    return CategoricalProfile(counts, buckets=np.zeros(column.buckets, dtype=np.int64))


class ProfileCache:
    """Profiles that were made before, beside the results.

    Parameters
    ----------
    store, prefix
        Where they are kept; None keeps nothing.
    """

    def __init__(self, store: Store, prefix: str | None) -> None:
        self._store = store
        self._prefix = prefix

    def known(self, plan_key: str) -> Mapping[str, ObjectInfo]:
        """Return the profiles that are kept for a plan, by their URIs: one listing instead of many misses."""
        if self._prefix is None:
            return {}
        return {info.uri: info for info in self._store.list(f"{self._prefix}{plan_key}/")}

    def uri(self, plan_key: str, info: ObjectInfo) -> str:
        """Return where the profile of an object is kept."""
        key = digest([str(PROFILE_VERSION), info.uri, info.etag, str(info.size)])
        return f"{self._prefix}{plan_key}/{key}.profile"

    def get(self, uri: str, info: ObjectInfo, plan: Plan) -> ObjectProfile | None:
        """Return a kept profile; None where there is none, or it is damaged."""
        try:
            return replace(from_bytes(self._store.read(uri), plan), uri=info.uri)
        except ValueError as error:
            _LOG.warning("the profile %s is damaged and is made anew: %s", uri, error)
        except ModelMonitorError as error:
            _LOG.warning("the profile %s cannot be read and is made anew: %s", uri, error)
        return None

    def put(self, uri: str, profile: ObjectProfile) -> None:
        """Keep a profile."""
        if self._prefix is not None:
            self._store.write_behind(uri, to_bytes(profile))


def profile_objects(
    store: Store,
    objects: Sequence[ObjectInfo],
    plan: Plan,
    fmt: DataFormat,
    cache: ProfileCache,
    *,
    threads: int | None = None,
    tick: Tick = lambda _: None,
) -> Iterator[ObjectProfile | Unreadable]:
    """Yield the profile of every object, in their order; an object that cannot be read is its error.

    A few threads work ahead of the consumer by a few objects, so memory does not depend on how many
    there are. Several may work on a large object. What they find does not depend on how many they are. Of the object
    that the consumer waits for, `tick` is told what has been read meanwhile, but for the last of it.
    """
    workers = threads or min(4, os.cpu_count() or 1)
    work = _Work(store, plan, fmt, cache)
    ahead = [work.known.get(work.uri(info), info) for info in objects]
    with ThreadPoolExecutor(workers, thread_name_prefix="profile") as pool, store.ahead(ahead):
        waiting: deque[_Reading] = deque()
        try:
            for info in objects:
                waiting.append(_Reading(work, pool, info))
                if len(waiting) >= 4 * workers:
                    yield work.finish(waiting.popleft().begun(tick), tick)
            while waiting:
                yield work.finish(waiting.popleft().begun(tick), tick)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Begun:
    """An object of which one part has been read, and the others are being read."""

    info: ObjectInfo
    first: _PartProfile | Unreadable
    others: Sequence[Future[_PartProfile | Unreadable]]


class _Work:
    """The tasks of :func:`profile_objects`."""

    def __init__(self, store: Store, plan: Plan, fmt: DataFormat, cache: ProfileCache) -> None:
        self._store, self._plan, self._fmt, self._cache = store, plan, fmt, cache
        self._plan_key = digest(plan_to_json(plan))
        self._prepared = Preparation(plan)
        self.known = cache.known(self._plan_key)

    def uri(self, info: ObjectInfo) -> str:
        """Return where the profile of an object is kept."""
        return self._cache.uri(self._plan_key, info)

    def begin(self, pool: ThreadPoolExecutor, info: ObjectInfo, told: Told) -> ObjectProfile | _Begun:
        """Return a kept profile; otherwise read the first part, and have `pool` read the others."""
        uri = self.uri(info)
        found = self._cache.get(uri, info, self._plan) if uri in self.known else None
        if found is not None:
            return found
        first = self._part(info, told=told)
        others = () if isinstance(first, Unreadable) else first.others
        return _Begun(info, first, [pool.submit(self._part, info, part) for part in others])

    def _part(
        self, info: ObjectInfo, part: Part | None = None, told: Told = lambda _: None
    ) -> _PartProfile | Unreadable:
        try:
            return _profile_part(self._store, info, self._prepared, self._fmt, part, told)
        except Unreadable as error:
            return error

    def finish(self, begun: ObjectProfile | _Begun, tick: Tick) -> ObjectProfile | Unreadable:
        """Wait for the other parts, put them together, and keep the profile; not for a thread of the pool."""
        if isinstance(begun, ObjectProfile):
            return begun
        parts: list[_PartProfile] = []
        for part in (begun.first, *(other.result() for other in begun.others)):
            if isinstance(part, Unreadable):
                return part
            parts.append(part)
            if len(parts) <= len(begun.others):  # of the last one the object itself tells
                tick(begun.info.size // (len(begun.others) + 1))
        profile = _put_together(begun.info, self._prepared, parts)
        self._cache.put(self.uri(begun.info), profile)
        return profile


class _Reading:
    """An object that a thread of the pool has, or will have, in hand, and how far that one is."""

    def __init__(self, work: _Work, pool: ThreadPoolExecutor, info: ObjectInfo) -> None:
        self._done = 0
        self._future = pool.submit(work.begin, pool, info, self._told)

    def _told(self, done: int) -> None:
        # One that has to begin anew, with other types, is as far as it was.
        self._done = max(self._done, done)

    def begun(self, tick: Tick) -> ObjectProfile | _Begun:
        """Wait for it."""
        ticked = 0
        while not wait([self._future], timeout=_MOMENT).done:
            done = self._done
            tick(done - ticked)
            ticked = done
        return self._future.result()


def to_bytes(profile: ObjectProfile) -> bytes:
    """Return a profile as bytes to keep: counts as arrays, the rest as JSON."""
    names = list(profile.columns)
    header: dict[str, Any] = {"version": PROFILE_VERSION, "uri": profile.uri, "rows": profile.rows, "columns": []}
    for name in names:
        column = profile.columns[name]
        fields = (*_NUMERIC_COUNTS, *_NUMERIC_MOMENTS) if isinstance(column, NumericProfile) else _CATEGORICAL_FIELDS
        entry: dict[str, Any] = {"name": name, "kinds": sorted(column.kinds)}
        # repr of a float is exact, and JSON has no word for NaN and the infinities.
        entry |= {key: repr(getattr(column, key)) for key in fields}
        if isinstance(column, CategoricalProfile):
            entry |= {"others": dict(column.others), "disallowed": dict(column.disallowed)}
            entry |= {"buckets": column.buckets.tolist()}
        header["columns"].append(entry)
    arrays: dict[str, Any] = {f"c{number}": _narrow(profile.columns[name].counts) for number, name in enumerate(names)}
    for number, name in enumerate(names):
        column = profile.columns[name]
        if isinstance(column, CategoricalProfile):
            arrays[f"r{number}"] = column.registers
    return pack(header, arrays)


def _narrow(counts: Counts) -> npt.NDArray[np.unsignedinteger]:
    """Return counts in the narrowest type that holds them: less to compress, and to keep."""
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))


def from_bytes(data: bytes, plan: Plan) -> ObjectProfile:
    """Return the profile in `data`, checked against the plan it should follow.

    Raises
    ------
    ValueError
        If it is damaged, or follows another plan.
    """
    try:
        header, arrays = unpack(data)
        columns = {
            str(entry["name"]): _column_from(entry, arrays, number) for number, entry in enumerate(header["columns"])
        }
        profile = ObjectProfile(str(header["uri"]), int(header["rows"]), columns)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no profile: {error}") from error
    columns_of = {column.name: column for column in plan}
    for name, found in profile.columns.items():
        column = columns_of.get(name)
        if column is None or column.cells != found.counts.size or int(found.counts.sum()) != found.present:
            raise ValueError(f"the counts of {name!r} do not add up")
        if isinstance(found, CategoricalProfile) and isinstance(column, CategoricalPlan):
            in_buckets = int(found.counts[-1]) if column.buckets else 0
            if (
                found.registers.shape != (REGISTERS,)
                or found.buckets.size != column.buckets
                or int(found.buckets.sum()) != in_buckets
            ):
                raise ValueError(f"the buckets of {name!r} do not add up")
    return profile


def _column_from(entry: dict[str, Any], arrays: Mapping[str, Array], number: int) -> ColumnProfile:
    kinds = frozenset(map(str, entry["kinds"]))
    counts = arrays[f"c{number}"].astype(np.int64)
    if "finite" in entry:
        fields: dict[str, Any] = {key: int(entry[key]) for key in _NUMERIC_COUNTS}
        fields |= {key: float(entry[key]) for key in _NUMERIC_MOMENTS}
        return NumericProfile(counts, kinds=kinds, **fields)
    return CategoricalProfile(
        counts=counts,
        kinds=kinds,
        others={str(key): int(value) for key, value in entry["others"].items()},
        disallowed={str(key): int(value) for key, value in entry["disallowed"].items()},
        buckets=np.array(list(map(int, entry["buckets"])), dtype=np.int64),
        registers=arrays[f"r{number}"].astype(np.uint8),
        **{key: int(entry[key]) for key in _CATEGORICAL_FIELDS},
    )
