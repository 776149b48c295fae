"""Write-behind: writes that run in the background until a session ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from modelmonitor_trainer.storage.readahead.pool import PooledRequest, Priority, RequestPool

#: Bytes that are waiting to be written, at most.
BEHIND_BYTES = 7 * 1024 * 1024


class WriteBehind:
    """Background writes of sessions; safe for several threads.

    Parameters
    ----------
    pool
        Runs the writes.
    """

    def __init__(self, pool: RequestPool) -> None:
        self._pool = pool
        self._changed = threading.Condition()
        self._sessions = 0
        self._bytes = 0
        self._error: BaseException | None = None
        #: Distinguishes the writes of this session from those that an earlier one abandoned.
        self._epoch = 0

    def begin(self) -> None:
        """Begin a session."""
        with self._changed:
            self._sessions += 1

    def end(self) -> None:
        """End a session; the last one forgets its errors."""
        with self._changed:
            self._sessions -= 1
            if not self._sessions:
                self._epoch += 1
                self._error = None

    def write(self, write: Callable[[], object], size: int) -> None:
        """Run a write of `size` bytes in the background; outside of a session, immediately.

        Waits while too many bytes are waiting to be written, and raises the error of an earlier write.
        """
        with self._changed:
            in_session = self._sessions > 0
        if not in_session:  # no session would wait for it
            write()
            return
        with self._changed:
            while self._bytes and self._bytes + size > BEHIND_BYTES and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            self._bytes += size
            request, epoch = PooledRequest(write), self._epoch
        request.future.add_done_callback(lambda future: self._finish(future, size, epoch))
        self._pool.submit(request, Priority.WRITTEN)

    def flush(self) -> None:
        """Wait until everything is written, and raise the error of a write that failed."""
        with self._changed:
            while self._bytes and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error

    def abandon(self, error: BaseException) -> None:
        """Raise an error in those who wait for writes."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def _finish(self, future: Future[object], size: int, epoch: int) -> None:
        with self._changed:
            self._bytes -= size
            if epoch == self._epoch:
                self._error = self._error or future.exception()
            self._changed.notify_all()
