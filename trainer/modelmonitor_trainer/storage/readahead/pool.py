"""Background requests: a few threads that run the most urgent request first.

The threads are daemons, unlike those of :mod:`concurrent.futures`: a store that does not respond must not keep a
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
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

#: Requests in flight at a time.
REQUESTS = 16
#: Seconds after which a thread without work ends.
_IDLE_SECONDS = 5.0


class Priority(IntEnum):
    """Order of requests: those that a thread waits for, then writes, then those made ahead."""

    AWAITED = 0
    WRITTEN = 1
    AHEAD = 2


class PooledRequest(Generic[_T]):
    """A request; its future is done when the request is, or when it was abandoned."""

    def __init__(self, work: Callable[[], _T]) -> None:
        self._work = work
        self._taken = False
        self.future: Future[_T] = Future()

    def take(self) -> bool:
        """Return whether the request still has to be run, by the caller; called by one thread at a time."""
        mine = not self._taken and not self.future.done()
        self._taken = True
        return mine

    @property
    def waiting(self) -> bool:
        """Whether no thread has started it."""
        return not self._taken

    def run(self) -> None:
        """Run the request."""
        # An abandoned request has a result already; this one is dropped.
        with suppress(InvalidStateError):
            try:
                result = self._work()
            except BaseException as error:  # noqa: BLE001 - raised again where the result is awaited
                self.future.set_exception(error)
            else:
                self.future.set_result(result)

    def abandon(self, error: BaseException) -> None:
        """Raise an error in those who wait for the result."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)


class RequestPool:
    """Threads that run requests; they are started on demand.

    Parameters
    ----------
    threads
        Number of threads, at most: so many requests are in flight at a time.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._changed = threading.Condition()
        self._queue: list[tuple[Priority, int, PooledRequest[object]]] = []
        self._order = count()
        self._alive = self._busy = 0

    def submit(self, request: PooledRequest[_T], priority: Priority) -> None:
        """Queue a request. One that is queued already may be submitted again with a higher priority."""
        with self._changed:
            heapq.heappush(self._queue, (priority, next(self._order), request))  # type: ignore[misc]  # any result
            self._changed.notify()
            if self._alive < self._threads and self._alive - self._busy < len(self._queue):
                self._alive += 1
                threading.Thread(target=self._run, name="storage", daemon=True).start()

    def _run(self) -> None:
        while (request := self._next()) is not None:
            request.run()
            # The next wait may be long, and the result large.
            del request
            with self._changed:
                self._busy -= 1

    def _next(self) -> PooledRequest[object] | None:
        """Wait for the most urgent request and return it; None after a long time without one."""
        with self._changed:
            while True:
                while self._queue:
                    _, _, request = heapq.heappop(self._queue)
                    if request.take():
                        self._busy += 1
                        return request
                if not self._changed.wait(_IDLE_SECONDS) and not self._queue:
                    self._alive -= 1
                    return None


class AwaitedRequests:
    """Requests whose results threads wait for, so that all of them can be abandoned together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[PooledRequest[Any], int] = {}

    def result(self, request: PooledRequest[_T]) -> _T:
        """Wait for a request and return its result."""
        with self._lock:
            self._requests[request] = self._requests.get(request, 0) + 1
        try:
            return request.future.result()
        finally:
            with self._lock:
                self._requests[request] -= 1
                if not self._requests[request]:
                    del self._requests[request]

    def abandon(self, error: BaseException) -> None:
        """Raise an error in all threads that wait."""
        with self._lock:
            requests = list(self._requests)
        for request in requests:
            request.abandon(error)
