"""Read-ahead of a remote store: sessions, files, and the reads of their threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, TypeVar, cast

from modelmonitor_trainer.errors import StorageUnavailable
from modelmonitor_trainer.storage.base import ObjectInfo, Span
from modelmonitor_trainer.storage.readahead.file import RemoteFile
from modelmonitor_trainer.storage.readahead.pool import (
    REQUESTS,
    AwaitedRequests,
    PooledRequest,
    Priority,
    RequestPool,
)
from modelmonitor_trainer.storage.readahead.ranges import RemoteObject
from modelmonitor_trainer.storage.readahead.scheduler import Fetch, Scheduler
from modelmonitor_trainer.storage.readahead.writer import WriteBehind

_T = TypeVar("_T")


class ReadAhead:
    """Reads and background writes of a store.

    Parameters
    ----------
    fetch
        Returns a range of an object as it was listed, in a buffer if it is large; called by several threads.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._pool = RequestPool(REQUESTS)
        self._awaited = AwaitedRequests()
        self._scheduler = Scheduler(fetch, self._pool)
        self._writer = WriteBehind(self._pool)

    @contextmanager
    def session(self, objects: Sequence[ObjectInfo]) -> Iterator[None]:
        """Read these objects in about this order; see :meth:`~modelmonitor_trainer.storage.base.Store.ahead`."""
        self._writer.begin()
        self._scheduler.begin(objects)
        try:
            yield
            self._writer.flush()
        except BaseException:
            self._abandon()
            raise
        finally:
            self._writer.end()
            self._scheduler.end()

    def open(self, info: ObjectInfo) -> BinaryIO:
        """Return a file over an object; several may be open over the same, in several threads."""
        return cast("BinaryIO", RemoteFile(self, self._scheduler.open(info)))

    def read_prefetched(self, uri: str, etag: str | None) -> bytes | None:
        """Return the content of an object that was prefetched; None if it was not."""
        remote = self._scheduler.open_prefetched(uri, etag)
        if remote is None:
            return None
        try:
            return self.read(remote, 0, remote.info.size)
        finally:
            self.close(remote)

    def run(self, work: Callable[[], _T]) -> _T:
        """Run `work` in the background and wait for it, so that waiting can be abandoned."""
        request = PooledRequest(work)
        self._pool.submit(request, Priority.AWAITED)
        return self._awaited.result(request)

    def write_behind(self, write: Callable[[], object], size: int) -> None:
        """Run a write of `size` bytes in the background; outside of a session, immediately."""
        self._writer.write(write, size)

    # Reader of files

    def plan(self, remote: RemoteObject, spans: Sequence[Span]) -> None:
        """Plan which ranges of an object will be read, in that order."""
        self._scheduler.plan(remote, spans)

    def read(self, remote: RemoteObject, start: int, end: int) -> bytes:
        """Return a range of an object."""
        parts: list[bytes] = []
        while start < end:
            part = self._read_block(remote, start, end)
            start += len(part)
            if not parts and start == end:
                return part
            parts.append(part)
        return b"".join(parts)

    def close(self, remote: RemoteObject) -> None:
        """Close a file; forget the object with its last one."""
        self._scheduler.close(remote)

    def _read_block(self, remote: RemoteObject, start: int, end: int) -> bytes:
        """Return the bytes from `start` on that are in one block."""
        block, request = self._scheduler.claim(remote, start, end)
        try:
            data = self._awaited.result(request)
        except BaseException:
            self._scheduler.fail(block, request)
            raise
        # A buffer may be larger than its content.
        part = data[start - block.start : min(end, block.end) - block.start]
        self._scheduler.finish(remote, block, request, len(part))
        return part

    def _abandon(self) -> None:
        """Raise an error in the threads that wait: a store that does not respond must not hold them up."""
        error = StorageUnavailable("reading was abandoned because of another error")
        if self._scheduler.abandon(error):
            self._awaited.abandon(error)
            self._writer.abandon(error)
