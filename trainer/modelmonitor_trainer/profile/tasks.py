"""Profile tasks: pure, picklable units of work that any executor can run.

A task names one object, or one part of a large Parquet object, and everything its result depends on. It holds no
store: :func:`run` opens one per process. A task never submits other tasks. The result of the first part of a large
object names the other parts, and the engine submits them (:mod:`~modelmonitor_trainer.profile.engine`).
"""

from __future__ import annotations

import functools
import multiprocessing
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Generic, Protocol, TypeVar

from modelmonitor_trainer.data.object_format import AnyFormat
from modelmonitor_trainer.data.parquet import Part
from modelmonitor_trainer.data.tables import Unreadable, scan
from modelmonitor_trainer.profile import kernel
from modelmonitor_trainer.profile.cache import Codec
from modelmonitor_trainer.profile.categories import Vocabulary
from modelmonitor_trainer.profile.columns import ColumnProfile, merge
from modelmonitor_trainer.profile.counting import CategoryCounter, Cells, NumberCounter
from modelmonitor_trainer.profile.object_profile import ObjectProfile, empty_profile, from_bytes, to_bytes
from modelmonitor_trainer.profile.plans import PROFILE_VERSION, CategoricalPlan, NumericPlan, Plan
from modelmonitor_trainer.progress import ProgressCallback, no_progress
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")
_P = TypeVar("_P")
_R = TypeVar("_R")


class StoreFactory(Hashable, Protocol):
    """Picklable description of a store; equal ones open equivalent stores."""

    def open(self) -> Store:
        """Return a new store."""
        ...


class ObjectTask(Protocol[_P, _R]):
    """Work on one object in one or more parts."""

    @property
    def info(self) -> ObjectInfo:
        """The object, pinned to its ETag."""
        ...

    def run(self, store: Store, progress: ProgressCallback) -> _P | Unreadable:
        """Return the result of this part, or the error of an object that cannot be decoded."""
        ...

    def others(self, first: _P) -> Sequence[ObjectTask[_P, _R]]:
        """Return the tasks of the other parts, given the result of the first."""
        ...

    def combine(self, parts: Sequence[_P]) -> _R:
        """Return the result of the object from those of its parts, in the order of the object."""
        ...


def run(task: ObjectTask[_P, _R], stores: StoreFactory) -> _P | Unreadable:
    """Run a task in the current process, with a store that is opened once per process.

    Raises
    ------
    ObjectChanged, StorageUnavailable, CredentialsRefused
        As the store does.
    """
    _limit_blas_threads()
    store = _STORES.get(stores, stores.open)
    with store.ahead([task.info]):
        return task.run(store, no_progress)


@functools.cache
def _limit_blas_threads() -> None:
    """Give linear algebra one thread in a worker process, on which the last bits of its results can depend."""
    if multiprocessing.parent_process() is not None:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)


class _Recent(Generic[_K, _V]):
    """The few most recently used values of a process, each made once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[_K, _V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _K, make: Callable[[], _V]) -> _V:
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
            return self._values[key]


class Counters:
    """Factory of the counters of a plan's columns, with their lookup tables; threads can share it."""

    def __init__(self, plan: Plan) -> None:
        self.text = [column.name for column in plan if isinstance(column, CategoricalPlan)]
        self._columns = {column.name: column for column in plan}
        self._cells = {
            c.name: Cells(c.edges, c.minimum, c.maximum, c.dates) for c in plan if isinstance(c, NumericPlan)
        }
        self._vocabularies = {
            c.name: Vocabulary.of(c.categories, c.allowed, c.buckets) for c in plan if isinstance(c, CategoricalPlan)
        }

    def counter(self, name: str) -> NumberCounter | CategoryCounter:
        """Return a new counter of a column."""
        column = self._columns[name]
        if isinstance(column, NumericPlan):
            return NumberCounter(self._cells[name])
        return CategoryCounter(self._vocabularies[name])


_STORES: _Recent[StoreFactory, Store] = _Recent(4)
_COUNTERS: _Recent[tuple[str, bool], Counters] = _Recent(2)


@dataclass(frozen=True)
class PartProfile:
    """Profile of one part of an object.

    Attributes
    ----------
    rows
        Rows of the whole object.
    types
        Columns that the object has.
    columns
        Column → profile of this part.
    others
        The other parts of the object, in the result of the first.
    """

    rows: int
    types: frozenset[str]
    columns: Mapping[str, ColumnProfile]
    others: tuple[Part, ...]


@dataclass(frozen=True)
class ProfileTask:
    """Profile one object, or one part of it.

    Attributes
    ----------
    info
        The object, pinned to its ETag.
    plan, plan_key
        How its columns are profiled, and the digest of that.
    fmt
        Encoding of the object.
    part
        Part of the object; None for the first, which finds the others.
    """

    info: ObjectInfo
    plan: Plan
    plan_key: str
    fmt: AnyFormat
    part: Part | None = None

    def run(self, store: Store, progress: ProgressCallback = no_progress) -> PartProfile | Unreadable:
        """Return the profile of the part, or the error of an object that cannot be decoded."""
        try:
            return self._profile(store, progress)
        except Unreadable as error:
            return error

    def _profile(self, store: Store, progress: ProgressCallback) -> PartProfile:
        counters = _COUNTERS.get((self.plan_key, kernel.compiled()), lambda: Counters(self.plan))
        columns: dict[str, ColumnProfile] = {}
        names = [column.name for column in self.plan]
        with scan(
            store,
            self.info,
            names,
            self.fmt,
            text=counters.text,
            in_parts=True,
            part=self.part,
            progress=progress,
        ) as opened:
            for name, chunks in groupby(opened.chunks, key=itemgetter(0)):
                counter = counters.counter(name)
                for _, values in chunks:
                    counter.add(values)
                profile = counter.profile()
                profile = replace(profile, kinds=profile.kinds | opened.remarks.get(name, frozenset()))
                columns[name] = merge([columns[name], profile]) if name in columns else profile
        return PartProfile(opened.rows, frozenset(opened.types), columns, opened.others)

    def others(self, first: PartProfile) -> Sequence[ProfileTask]:
        """Return the tasks of the other parts, given the result of the first."""
        return [replace(self, part=part) for part in first.others]

    def combine(self, parts: Sequence[PartProfile]) -> ObjectProfile:
        """Return the profile of the object; parts are merged in order, so it does not depend on where they ran."""
        columns: dict[str, ColumnProfile] = {}
        for column in self.plan:
            profiles = [part.columns[column.name] for part in parts if column.name in part.columns]
            if profiles:
                columns[column.name] = merge(profiles)
            elif column.name in parts[0].types:
                columns[column.name] = empty_profile(column)  # a file without row groups
        return ObjectProfile(self.info.uri, parts[0].rows, columns)


def profile_codec(plan: Plan) -> Codec[ObjectProfile]:
    """Return how profiles made with a plan are stored."""
    return Codec("profile", to_bytes, lambda data, info: replace(from_bytes(data, plan), uri=info.uri), PROFILE_VERSION)
