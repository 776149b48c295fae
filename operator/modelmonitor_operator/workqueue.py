"""A work queue of keys: by priority, fair between groups, without duplicates, one worker per key at a time."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from enum import IntEnum
from typing import Generic, TypeVar

from modelmonitor_operator.backoff import delay_after, spread

Key = TypeVar("Key", bound=Hashable)

_log = logging.getLogger(__name__)

FIRST_DELAY = 1.0
MAX_DELAY = 300.0
#: Every so many picks, the oldest key of another priority comes first, so that no priority waits for ever.
FAIR_SHARE = 5


class Priority(IntEnum):
    """Why a key is in the queue; lower values come first."""

    #: A user has changed something, or a Job has ended: somebody waits for it.
    CHANGE = 0
    #: A monitor is new. Thousands can be applied at once.
    NEW = 1
    #: Time has passed, the operator has started, or an earlier attempt failed.
    RESYNC = 2


class _Lane(Generic[Key]):
    """The waiting keys of one priority. Groups take turns; within a group, the oldest key is first."""

    def __init__(self, group: Callable[[Key], Hashable]) -> None:
        self._group = group
        self._groups: dict[Hashable, dict[Key, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def add(self, key: Key) -> None:
        self._groups.setdefault(self._group(key), {})[key] = None

    def remove(self, key: Key) -> None:
        group = self._group(key)
        del self._groups[group][key]
        if not self._groups[group]:
            del self._groups[group]

    def pop(self) -> Key:
        group = next(iter(self._groups))
        keys = self._groups.pop(group)
        key = next(iter(keys))
        del keys[key]
        if keys:
            self._groups[group] = keys  # at the end: the other groups are next
        return key


class WorkQueue(Generic[Key]):
    """A work queue, as in client-go: a key that is added while it is being processed is processed once more.

    Parameters
    ----------
    work
        Processes a key. If it raises, the key is retried after about 1 s, 2 s, 4 s … 300 s, or later if the error has
        a ``retry_after`` in seconds.
    workers
        How many keys are processed at the same time.
    expected
        Errors that are logged in one line; all others are logged with their traceback.
    group
        Group of a key. Groups of the same priority take turns, so that one with many keys does not delay the others.
    jitter
        Factor of each delay, so that keys that failed together are not retried together.
    share
        Part of a period after which a key is retried that need not wait any longer.
    """

    def __init__(
        self,
        work: Callable[[Key], Awaitable[None]],
        workers: int = 4,
        expected: tuple[type[Exception], ...] = (),
        group: Callable[[Key], Hashable] = lambda _: None,
        jitter: Callable[[], float] = lambda: spread(0.75, 1.25),
        share: Callable[[], float] = lambda: spread(0.0, 1.0),
    ) -> None:
        self._work = work
        self._workers = workers
        self._expected = expected
        self._jitter = jitter
        self._share = share
        self._lanes = {priority: _Lane[Key](group) for priority in Priority}
        self._waiting: dict[Key, Priority] = {}
        self._active: set[Key] = set()
        self._again: dict[Key, Priority] = {}
        self._failures: dict[Key, int] = {}
        self._retries: dict[Key, asyncio.TimerHandle] = {}
        self._picks = itertools.count(1)
        self._turns = itertools.cycle(list(Priority)[1:])
        self._wakeup = asyncio.Event()

    def __len__(self) -> int:
        """Return the number of keys that wait."""
        return len(self._waiting)

    @property
    def failing(self) -> int:
        """Number of keys whose newest attempt failed."""
        return len(self._failures)

    def depths(self) -> dict[Priority, int]:
        """Return the number of keys that wait, by priority."""
        counts = Counter(list(self._waiting.values()))  # a copy: it is called from another thread
        return {priority: counts[priority] for priority in Priority}

    def add(self, key: Key, priority: Priority = Priority.CHANGE) -> None:
        """Add `key`, to be processed at least once from now; a key that waits already gets the higher priority.

        A resync does not shorten the delay of a key that has failed.
        """
        if priority is Priority.RESYNC and key in self._retries:
            return
        if key in self._active:
            self._again[key] = min(priority, self._again.get(key, priority))
            return
        before = self._waiting.get(key)
        if before is not None:
            if before <= priority:
                return
            self._lanes[before].remove(key)
        self._waiting[key] = priority
        self._lanes[priority].add(key)
        self._wakeup.set()

    def forget(self, key: Key) -> None:
        """Forget that `key` has failed, because it no longer exists."""
        self._failures.pop(key, None)
        retry = self._retries.pop(key, None)
        if retry is not None:
            retry.cancel()

    def hasten(self, seconds: float) -> None:
        """Retry the keys that have failed within some seconds, at random times: what stood in their way is gone."""
        loop = asyncio.get_running_loop()
        for key, pending in list(self._retries.items()):
            due = loop.time() + seconds * self._share()
            if due < pending.when():
                pending.cancel()
                self._retries[key] = loop.call_at(due, self._retry, key)

    async def run(self) -> None:
        """Process keys until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._worker())

    async def _worker(self) -> None:
        while True:
            while not self._waiting:
                self._wakeup.clear()
                await self._wakeup.wait()
            key = self._pop()
            self._active.add(key)
            try:
                await self._work(key)
                self.forget(key)
            except Exception as error:  # noqa: BLE001 - an error of one key must not stop the others
                self._retry_later(key, error)
            finally:
                self._active.discard(key)
            again = self._again.pop(key, None)
            if again is not None:
                self.add(key, again)
            # Work that never waits must not keep watches and probes from running.
            await asyncio.sleep(0)

    def _pop(self) -> Key:
        """Remove and return the next key: the highest priority, and now and then that of another."""
        order = list(Priority)
        if next(self._picks) % FAIR_SHARE == 0:
            turn = next(self._turns)
            order = [turn, *(priority for priority in order if priority is not turn)]
        lane = next(self._lanes[priority] for priority in order if self._lanes[priority])
        key = lane.pop()
        del self._waiting[key]
        return key

    def _retry_later(self, key: Key, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = delay_after(failures, error, first=FIRST_DELAY, longest=MAX_DELAY, factor=self._jitter())
        traceback = None if isinstance(error, self._expected) else error
        _log.warning("%s failed %d times, next attempt in %.0f s: %s", key, failures, delay, error, exc_info=traceback)
        pending = self._retries.pop(key, None)
        if pending is not None:
            pending.cancel()
        self._retries[key] = asyncio.get_running_loop().call_later(delay, self._retry, key)

    def _retry(self, key: Key) -> None:
        del self._retries[key]
        self.add(key, Priority.RESYNC)
