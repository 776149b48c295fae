"""Requests in the background: a few threads that take the most urgent work first.

The threads are daemons, unlike those of :mod:`concurrent.futures`: a store that does not answer must not keep a
process alive that has been asked to stop.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from enum import IntEnum
from itertools import count
from typing import Generic, TypeVar

_T = TypeVar("_T")

#: Seconds after which a thread without work ends.
_IDLE_SECONDS = 5.0


class Priority(IntEnum):
    """What comes first: what somebody waits for, then what is to be written, then what may be wanted."""

    AWAITED = 0
    WRITTEN = 1
    AHEAD = 2


class PooledRequest(Generic[_T]):
    """A piece of work; its future is done when the work is, or when it has been given up."""

    def __init__(self, work: Callable[[], _T]) -> None:
        self._work = work
        self._taken = False
        self.future: Future[_T] = Future()

    def take(self) -> bool:
        """Return whether the work is still to be done, and by whoever asked; called by one thread at a time."""
        mine = not self._taken and not self.future.done()
        self._taken = True
        return mine

    @property
    def waiting(self) -> bool:
        """Whether nobody has begun."""
        return not self._taken

    def do(self) -> None:
        """Do the work."""
        # Given up meanwhile: what came is of no use to anybody.
        with suppress(InvalidStateError):
            try:
                found = self._work()
            except BaseException as error:  # noqa: BLE001 - raised again where the result is awaited
                self.future.set_exception(error)
            else:
                self.future.set_result(found)

    def give_up(self, error: BaseException) -> None:
        """Let those who wait go on with an error."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)


class RequestPool:
    """Threads that work on jobs, started when there are some.

    Parameters
    ----------
    threads
        How many, at most: that many requests are on their way at a time.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._changed = threading.Condition()
        self._queue: list[tuple[Priority, int, PooledRequest[object]]] = []
        self._order = count()
        self._alive = self._busy = 0

    def submit(self, job: PooledRequest[_T], urgency: Priority) -> None:
        """Have a job done. A job that waits in the queue may be submitted again as a more urgent one."""
        with self._changed:
            heapq.heappush(self._queue, (urgency, next(self._order), job))  # type: ignore[misc]  # any result will do
            self._changed.notify()
            if self._alive < self._threads and self._alive - self._busy < len(self._queue):
                self._alive += 1
                threading.Thread(target=self._run, name="storage", daemon=True).start()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            job.do()
            # The next wait may be long, and the result large.
            del job
            with self._changed:
                self._busy -= 1

    def _next(self) -> PooledRequest[object] | None:
        """Return the most urgent job, once there is one; None when there is none for long."""
        with self._changed:
            while True:
                while self._queue:
                    _, _, job = heapq.heappop(self._queue)
                    if job.take():
                        self._busy += 1
                        return job
                if not self._changed.wait(_IDLE_SECONDS) and not self._queue:
                    self._alive -= 1
                    return None
