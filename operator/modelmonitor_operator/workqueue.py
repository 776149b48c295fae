"""A work queue of keys: without duplicates, one worker per key at a time, failed keys with increasing delays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")

_log = logging.getLogger(__name__)

FIRST_DELAY = 1.0
MAX_DELAY = 300.0


class WorkQueue(Generic[Key]):
    """A work queue, as in client-go: a key that is added while it is being processed is processed once more.

    Parameters
    ----------
    work
        Processes a key. If it raises, the key is retried after 1 s, 2 s, 4 s … 300 s.
    workers
        How many keys are processed at the same time.
    expected
        Errors that are logged in one line; all others are logged with their traceback.
    """

    def __init__(
        self,
        work: Callable[[Key], Awaitable[None]],
        workers: int = 4,
        expected: tuple[type[Exception], ...] = (),
    ) -> None:
        self._work = work
        self._workers = workers
        self._expected = expected
        self._waiting: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._active: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        """Add `key`, to be processed soon and at least once from now."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._waiting.put_nowait(key)

    async def run(self) -> None:
        """Process keys until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._worker())

    async def _worker(self) -> None:
        while True:
            key = await self._waiting.get()
            self._queued.discard(key)
            self._active.add(key)
            try:
                await self._work(key)
                self._failures.pop(key, None)
            except Exception as error:  # noqa: BLE001 - an error of one key must not stop the others
                self._retry_later(key, error)
            finally:
                self._active.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    def _retry_later(self, key: Key, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(FIRST_DELAY * 2 ** min(failures - 1, 16), MAX_DELAY)
        traceback = None if isinstance(error, self._expected) else error
        _log.warning("%s failed %d times, next attempt in %.0f s: %s", key, failures, delay, error, exc_info=traceback)
        asyncio.get_running_loop().call_later(delay, self.add, key)
