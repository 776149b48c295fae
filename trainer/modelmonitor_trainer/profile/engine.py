"""Engines: where the tasks of a window's objects run, and in which order results come back.

Every engine yields results in the order of the objects and merges parts in the order of the object. A result therefore
does not depend on the engine, on the number of workers or on which of them is fastest.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from modelmonitor_trainer.data.tables import Unreadable
from modelmonitor_trainer.errors import OutOfMemory
from modelmonitor_trainer.profile.cache import CacheEntries
from modelmonitor_trainer.profile.tasks import ObjectTask, StoreFactory, run
from modelmonitor_trainer.progress import ProgressCallback, Tick, no_progress
from modelmonitor_trainer.storage.base import Store

_P = TypeVar("_P")
_R = TypeVar("_R")

#: Seconds between two updates of the progress of an object.
_POLL = 0.2


class Engine(Protocol):
    """Runs tasks and yields the results of their objects in order."""

    def run(
        self,
        store: Store,
        tasks: Sequence[ObjectTask[_P, _R]],
        cache: CacheEntries[_R],
        *,
        tick: Tick = no_progress,
    ) -> Iterator[_R | Unreadable]:
        """Yield the result of each task's object, from the cache if it is there.

        Parameters
        ----------
        store
            Store of the calling process.
        tasks
            One per object.
        cache
            Stored results; new ones are added.
        tick
            Receives the bytes that have been processed of the object whose result is next, except the last ones.
        """
        ...


@dataclass(frozen=True)
class ThreadEngine:
    """Runs tasks on threads of this process, with read-ahead.

    Attributes
    ----------
    threads
        Number of threads; None for one per processor, at most four.
    """

    threads: int | None = None

    def run(
        self,
        store: Store,
        tasks: Sequence[ObjectTask[_P, _R]],
        cache: CacheEntries[_R],
        *,
        tick: Tick = no_progress,
    ) -> Iterator[_R | Unreadable]:
        """Yield the result of each task's object; see :meth:`Engine.run`."""
        threads = self.threads or min(4, os.cpu_count() or 1)
        reads = [cache.stored(task.info) or task.info for task in tasks]
        with ThreadPoolExecutor(threads, thread_name_prefix="profile") as pool, store.ahead(reads):

            def start(task: ObjectTask[_P, _R], progress: ProgressCallback) -> Future[Any]:
                return pool.submit(_stored_or_run, store, cache, task, progress)

            def continue_with(task: ObjectTask[_P, _R]) -> Future[_P | Unreadable]:
                return pool.submit(task.run, store, no_progress)

            try:
                yield from _Schedule(start, continue_with, cache, tick).results(tasks, 4 * threads)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class ExecutorEngine:
    """Runs tasks on any executor, for example processes or the workers of a cluster.

    The calling process reads and writes the cache and plans the parts of large objects; workers open their own store.

    Attributes
    ----------
    executor
        Its workers must be able to import this package. It is not shut down.
    stores
        How a worker opens its store.
    in_flight
        Number of objects that are submitted ahead of the one whose result is next.
    """

    executor: Executor
    stores: StoreFactory
    in_flight: int = 32

    def run(
        self,
        store: Store,
        tasks: Sequence[ObjectTask[_P, _R]],
        cache: CacheEntries[_R],
        *,
        tick: Tick = no_progress,
    ) -> Iterator[_R | Unreadable]:
        """Yield the result of each task's object; see :meth:`Engine.run`.

        Raises
        ------
        OutOfMemory
            If a worker process ends unexpectedly.
        """

        def start(task: ObjectTask[_P, _R], _: ProgressCallback) -> Future[Any]:
            stored = cache.get(task.info)
            if stored is None:
                return self.executor.submit(run, task, self.stores)
            done: Future[_Stored[_R]] = Future()
            done.set_result(_Stored(stored))
            return done

        def continue_with(task: ObjectTask[_P, _R]) -> Future[_P | Unreadable]:
            return self.executor.submit(run, task, self.stores)

        with store.ahead([stored for task in tasks if (stored := cache.stored(task.info)) is not None]):
            try:
                yield from _Schedule(start, continue_with, cache, tick).results(tasks, self.in_flight)
            except BrokenExecutor as error:
                raise OutOfMemory(
                    "a worker process ended unexpectedly while it profiled objects, probably because it ran out of "
                    "memory; use fewer workers, or give them more memory"
                ) from error


@dataclass(frozen=True)
class _Stored(Generic[_R]):
    """A result from the cache."""

    result: _R


def _stored_or_run(
    store: Store, cache: CacheEntries[_R], task: ObjectTask[_P, _R], progress: ProgressCallback
) -> _Stored[_R] | _P | Unreadable:
    stored = cache.get(task.info)
    return task.run(store, progress) if stored is None else _Stored(stored)


class _Progress:
    """Bytes of an object that have been processed, and how many of them have been reported."""

    def __init__(self) -> None:
        self._done = self._reported = 0

    def update(self, done: int) -> None:
        """Record how many bytes a worker has processed."""
        # A text object that is read again with other types does not go back.
        self._done = max(self._done, done)

    def take(self) -> int:
        """Return the bytes that were processed since the last call."""
        done = self._done
        more, self._reported = done - self._reported, done
        return more


@dataclass
class _Submitted(Generic[_P, _R]):
    """An object whose tasks have been submitted; those of the other parts once the first part is done."""

    task: ObjectTask[_P, _R]
    first: Future[Any]
    progress: _Progress
    others: list[Future[_P | Unreadable]] | None = None

    def cancel(self) -> None:
        for future in (self.first, *(self.others or ())):
            future.cancel()


class _Schedule(Generic[_P, _R]):
    """Submits tasks some objects ahead, and the parts of large objects as soon as they are known.

    Parameters
    ----------
    start
        Submits the first task of an object, or returns its stored result.
    continue_with
        Submits the task of another part.
    cache, tick
        As in :meth:`Engine.run`.
    """

    def __init__(
        self,
        start: Callable[[ObjectTask[_P, _R], ProgressCallback], Future[Any]],
        continue_with: Callable[[ObjectTask[_P, _R]], Future[_P | Unreadable]],
        cache: CacheEntries[_R],
        tick: Tick,
    ) -> None:
        self._start, self._continue_with, self._cache, self._tick = start, continue_with, cache, tick
        self._queue: deque[_Submitted[_P, _R]] = deque()

    def results(self, tasks: Iterable[ObjectTask[_P, _R]], in_flight: int) -> Iterator[_R | Unreadable]:
        """Yield the results in the order of the tasks."""
        try:
            for task in tasks:
                progress = _Progress()
                self._queue.append(_Submitted(task, self._start(task, progress.update), progress))
                if len(self._queue) >= in_flight:
                    yield self._next_result()
            while self._queue:
                yield self._next_result()
        finally:
            for submitted in self._queue:
                submitted.cancel()

    def _next_result(self) -> _R | Unreadable:
        head = self._queue[0]
        first = self._wait(head.first, head.progress)
        self._submit_parts()
        others = head.others or []
        parts: list[_P] = []
        if not isinstance(first, _Stored):
            for future in (head.first, *others):
                part = self._wait(future, head.progress)
                if isinstance(part, Unreadable):
                    self._queue.popleft().cancel()
                    return part
                parts.append(part)
                if len(parts) <= len(others):  # the caller counts the last bytes with the object
                    self._tick(head.task.info.size // (len(others) + 1))
        self._queue.popleft()
        if isinstance(first, _Stored):
            stored: _R = first.result
            return stored
        result = head.task.combine(parts)
        self._cache.put(head.task.info, result)
        return result

    def _wait(self, future: Future[Any], progress: _Progress) -> Any:
        """Return the result of a future; meanwhile submit parts and report progress."""
        while not future.done():
            unplanned = [submitted.first for submitted in self._queue if submitted.others is None]
            wait({future, *unplanned}, timeout=_POLL, return_when=FIRST_COMPLETED)
            self._submit_parts()
            self._tick(progress.take())
        return future.result()

    def _submit_parts(self) -> None:
        """Submit the other parts of the objects whose first part is done."""
        for submitted in self._queue:
            if submitted.others is not None or not submitted.first.done():
                continue
            submitted.others = []
            if submitted.first.cancelled() or submitted.first.exception() is not None:
                continue  # raised when it is this object's turn
            first = submitted.first.result()
            if not isinstance(first, _Stored | Unreadable):
                submitted.others = [self._continue_with(task) for task in submitted.task.others(first)]
