"""Profiles of objects, each made once in its life: (object, plan) → profile, kept on the store.

The task is pure and small, so it may run anywhere; here it runs on a few threads, and the results
come back in the order of the objects.
"""

from __future__ import annotations

import io
import json
import logging
import os
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.tables import Unreadable, scan
from modelmonitor_trainer.failures import ModelMonitorError
from modelmonitor_trainer.profile.columns import (
    CategoricalProfile,
    ColumnProfile,
    NumericProfile,
    merge,
    profile_categories,
    profile_numbers,
)
from modelmonitor_trainer.profile.plan import (
    PROFILE_VERSION,
    CategoricalPlan,
    ColumnPlan,
    NumericPlan,
    Plan,
    digest,
    plan_to_json,
)
from modelmonitor_trainer.storage.store import ObjectInfo, Store

_LOG = logging.getLogger(__name__)

_NUMERIC_FIELDS = ("rows", "nulls", "nans", "finite", "mean", "m2", "minimum", "maximum", "below", "above")
_CATEGORICAL_FIELDS = ("rows", "nulls", "disallowed_rows")


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


def profile_object(store: Store, info: ObjectInfo, plan: Plan, fmt: DataFormat) -> ObjectProfile:
    """Return the profile of an object, read now."""
    columns = {column.name: column for column in plan}
    cells = {
        column.name: {value: place for place, value in enumerate(column.categories)}
        for column in plan
        if isinstance(column, CategoricalPlan)
    }
    parts: dict[str, list[ColumnProfile]] = {}
    with scan(store, info, list(columns), fmt, text=list(cells)) as opened:
        for name, values in opened.chunks:
            parts.setdefault(name, []).append(_profile_column(columns[name], cells.get(name), values))
    for name in columns.keys() & opened.types.keys() - parts.keys():
        parts[name] = [empty_profile(columns[name])]  # a file without row groups
    return ObjectProfile(info.uri, opened.rows, {name: merge(parts[name]) for name in columns if name in parts})


def _profile_column(column: ColumnPlan, cells: Mapping[str, int] | None, values: Any) -> ColumnProfile:
    if isinstance(column, NumericPlan):
        return profile_numbers(values, column.edges, column.minimum, column.maximum)
    allowed = frozenset(column.allowed) if column.allowed is not None else None
    return profile_categories(values, cells or {}, allowed)


def empty_profile(column: ColumnPlan) -> ColumnProfile:
    """Return the profile of no rows."""
    counts = np.zeros(column.cells, dtype=np.int64)
    return NumericProfile(counts) if isinstance(column, NumericPlan) else CategoricalProfile(counts)


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

    def known(self, plan_key: str) -> frozenset[str]:
        """Return the URIs of the profiles that are kept for a plan: one listing instead of many misses."""
        if self._prefix is None:
            return frozenset()
        return frozenset(info.uri for info in self._store.list(f"{self._prefix}{plan_key}/"))

    def uri(self, plan_key: str, info: ObjectInfo) -> str:
        """Return where the profile of an object is kept."""
        key = digest([str(PROFILE_VERSION), info.uri, info.etag, str(info.size)])
        return f"{self._prefix}{plan_key}/{key}.npz"

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
            self._store.write(uri, to_bytes(profile))


def profile_objects(
    store: Store, objects: Sequence[ObjectInfo], plan: Plan, fmt: DataFormat, cache: ProfileCache
) -> Iterator[ObjectProfile | Unreadable]:
    """Yield the profile of every object, in their order; an object that cannot be read is its error.

    A few threads work ahead of the consumer by a few objects, so memory does not depend on how many
    there are.
    """
    plan_key = digest(plan_to_json(plan))
    known = cache.known(plan_key)

    def task(info: ObjectInfo) -> ObjectProfile | Unreadable:
        uri = cache.uri(plan_key, info)
        found = cache.get(uri, info, plan) if uri in known else None
        if found is not None:
            return found
        try:
            made = profile_object(store, info, plan, fmt)
        except Unreadable as error:
            return error
        cache.put(uri, made)
        return made

    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers, thread_name_prefix="profile") as pool:
        waiting: deque[Future[ObjectProfile | Unreadable]] = deque()
        try:
            for info in objects:
                waiting.append(pool.submit(task, info))
                if len(waiting) >= 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def to_bytes(profile: ObjectProfile) -> bytes:
    """Return a profile as a compressed NumPy archive: counts as arrays, the rest as JSON."""
    names = list(profile.columns)
    header: dict[str, Any] = {"version": PROFILE_VERSION, "uri": profile.uri, "rows": profile.rows, "columns": []}
    for name in names:
        column = profile.columns[name]
        fields = _NUMERIC_FIELDS if isinstance(column, NumericProfile) else _CATEGORICAL_FIELDS
        entry: dict[str, Any] = {"name": name, "kinds": sorted(column.kinds)}
        # repr of a float is exact, and JSON has no word for NaN and the infinities.
        entry |= {key: repr(getattr(column, key)) for key in fields}
        if isinstance(column, CategoricalProfile):
            entry |= {"others": dict(column.others), "disallowed": dict(column.disallowed)}
        header["columns"].append(entry)
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {f"c{number}": profile.columns[name].counts for number, name in enumerate(names)}
    np.savez_compressed(buffer, header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8), **arrays)
    return buffer.getvalue()


def from_bytes(data: bytes, plan: Plan) -> ObjectProfile:
    """Return the profile in `data`, checked against the plan it should follow.

    Raises
    ------
    ValueError
        If it is damaged, or follows another plan.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            header = json.loads(archive["header"].tobytes())
            columns = {
                str(entry["name"]): _column_from(entry, archive[f"c{number}"])
                for number, entry in enumerate(header["columns"])
            }
        profile = ObjectProfile(str(header["uri"]), int(header["rows"]), columns)
    except (zipfile.BadZipFile, KeyError, TypeError, EOFError, OSError, AttributeError) as error:
        raise ValueError(f"the archive is damaged: {error}") from error
    cells = {column.name: column.cells for column in plan}
    for name, found in profile.columns.items():
        if cells.get(name) != found.counts.size or int(found.counts.sum()) != found.present:
            raise ValueError(f"the counts of {name!r} do not add up")
    return profile


def _column_from(entry: dict[str, Any], counts: Any) -> ColumnProfile:
    kinds = frozenset(map(str, entry["kinds"]))
    counts = counts.astype(np.int64)
    if "finite" in entry:
        integers = {key: int(entry[key]) for key in ("rows", "nulls", "nans", "finite", "below", "above")}
        floats = {key: float(entry[key]) for key in ("mean", "m2", "minimum", "maximum")}
        return NumericProfile(
            counts=counts,
            kinds=kinds,
            rows=integers["rows"],
            nulls=integers["nulls"],
            nans=integers["nans"],
            finite=integers["finite"],
            below=integers["below"],
            above=integers["above"],
            **floats,
        )
    return CategoricalProfile(
        counts=counts,
        kinds=kinds,
        others={str(key): int(value) for key, value in entry["others"].items()},
        disallowed={str(key): int(value) for key, value in entry["disallowed"].items()},
        **{key: int(entry[key]) for key in _CATEGORICAL_FIELDS},
    )
