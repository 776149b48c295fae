"""A queue of keys: no key twice in it, none worked on twice at a time, failures come back later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")

_log = logging.getLogger(__name__)

FIRST_DELAY = 1.0
LONGEST_DELAY = 300.0


class WorkQueue(Generic[Key]):
    """Works on keys, each as often as it was added while it was not being worked on.

    Parameters
    ----------
    work
        What to do with a key. Where it raises, the key comes back after 1 s, 2 s, 4 s … 300 s.
    workers
        How many keys are worked on at a time.
    expected
        Errors that are part of life and told in a line; any other is told with its traceback.
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
        """Ask for `key` to be worked on, soon and at least once from now."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._waiting.put_nowait(key)

    async def run(self) -> None:
        """PodPurpose until cancelled."""
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
            except Exception as error:  # noqa: BLE001 - one key's error, whatever it is, must not stop the others
                self._retry_later(key, error)
            finally:
                self._active.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    def _retry_later(self, key: Key, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(FIRST_DELAY * 2 ** min(failures - 1, 16), LONGEST_DELAY)
        traceback = None if isinstance(error, self._expected) else error
        _log.warning(
            "%s failed %d times, the next try is in %.0f s: %s", key, failures, delay, error, exc_info=traceback
        )
        asyncio.get_running_loop().call_later(delay, self.add, key)
