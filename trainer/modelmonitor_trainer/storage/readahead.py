"""Reads that are ahead of the reader and writes that are behind the writer, in bounded memory.

A store far away answers late, however little it is asked for, so there must always be several requests on their
way. What they bring is bounded over all open objects together: see the figures below, which add up to 96 MB.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar, cast

from modelmonitor_trainer.errors import StorageUnavailable
from modelmonitor_trainer.storage.base import ObjectInfo
from modelmonitor_trainer.storage.buffers import BufferPool, Content
from modelmonitor_trainer.storage.ranges import BLOCK, ByteRange, RemoteObject, Span
from modelmonitor_trainer.storage.remote_file import RemoteFile
from modelmonitor_trainer.storage.request_pool import PooledRequest, Priority, RequestPool

_T = TypeVar("_T")
_MB = 1024 * 1024
#: Requests on their way at a time.
REQUESTS = 16
#: Bytes that have been asked for, and that nobody has wanted yet.
AHEAD_BYTES = 24 * _MB
#: Bytes that readers have wanted; the same as a block for each of four readers.
WANTED_BYTES = 4 * BLOCK
#: Bytes that are to be written. The ends of open objects are what is left to 96 MB.
BEHIND_BYTES = 7 * _MB
#: Small objects to have ready before they are opened.
_OBJECTS_AHEAD = 64

Fetch = Callable[[ObjectInfo, Span, BufferPool], Content]


class ReadAhead:
    """The traffic of a store.

    Parameters
    ----------
    fetch
        Returns some bytes of an object as it was listed, in a slab if they are many; called by several threads.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._fetchers = RequestPool(REQUESTS)
        self._slabs = BufferPool(AHEAD_BYTES + WANTED_BYTES)
        self._lock = threading.RLock()
        self._written = threading.Condition(self._lock)
        self._objects: dict[str, RemoteObject] = {}
        self._open: list[RemoteObject] = []
        self._upcoming: deque[ObjectInfo] = deque()
        self._early: set[RemoteObject] = set()
        self._passed: set[str] = set()
        self._ahead = 0
        self._wanted: dict[ByteRange, None] = {}
        self._awaited: set[PooledRequest[Any]] = set()
        self._behind = 0
        self._sessions = 0
        self._failure: BaseException | None = None
        #: Tells the writes of this session from those that an earlier one gave up.
        self._epoch = 0

    # Sessions

    @contextmanager
    def session(self, objects: Sequence[ObjectInfo]) -> Iterator[None]:
        """Read these objects in about this order; see :meth:`Store.ahead`."""
        with self._lock:
            self._sessions += 1
            self._upcoming.extend(objects)
            self._fill()
        try:
            yield
            self._flush()
        except BaseException:
            self._give_up()
            raise
        finally:
            with self._lock:
                self._sessions -= 1
                if not self._sessions:
                    self._epoch += 1
                    self._failure = None
                    self._upcoming.clear()
                    self._passed.clear()
                    for remote in list(self._early):
                        self._forget(remote)

    def _give_up(self) -> None:
        """Let whoever waits go on with an error: a store that does not answer must not hold them up."""
        error = StorageUnavailable("reading was given up, because something else went wrong")
        with self._lock:
            if self._sessions > 1:  # whoever has the outer session may go on
                return
            self._upcoming.clear()
            for job in list(self._awaited):
                job.give_up(error)
            # Whoever is at work on what was read comes back for more.
            for remote in self._open:
                remote.given_up = error
            self._objects.clear()
            self._failure = self._failure or error
            self._written.notify_all()

    # Reading

    def open(self, info: ObjectInfo) -> BinaryIO:
        """Return a file over an object; several may be open over the same, in several threads."""
        with self._lock:
            remote = self._objects.get(info.uri)
            if remote is None or remote.info.etag != info.etag:
                remote = self._objects[info.uri] = RemoteObject(info)
            self._hold(remote)
        return cast("BinaryIO", RemoteFile(self, remote))

    def early(self, uri: str, etag: str | None) -> bytes | None:
        """Return the content of an object that has been asked for before it was wanted; None if it has not."""
        with self._lock:
            remote = self._objects.get(uri)
            if remote is None or remote.tail is not None or etag not in {None, remote.info.etag}:
                return None
            self._hold(remote)
        try:
            return self.read(remote, 0, remote.info.size)
        finally:
            self.close(remote)

    def awaited(self, work: Callable[[], _T]) -> _T:
        """Return what `work` returns, done in the background, so that waiting for it can be given up."""
        job = PooledRequest(work)
        with self._lock:
            self._fetchers.submit(job, Priority.AWAITED)
        return self._result(job)

    def expect(self, remote: RemoteObject, spans: Sequence[Span]) -> None:
        """Take note of which bytes of an object will be read, in that order."""
        with self._lock:
            for guessed in remote.expect(spans):
                self._drop(remote, guessed)
            self._fill()

    def read(self, remote: RemoteObject, start: int, end: int) -> bytes:
        """Return some bytes of an object."""
        parts: list[bytes] = []
        while start < end:
            part = self._part(remote, start, end)
            start += len(part)
            if not parts and start == end:
                return part
            parts.append(part)
        return b"".join(parts)

    def close(self, remote: RemoteObject) -> None:
        """Forget an object, once the last file over it is closed."""
        with self._lock:
            remote.handles -= 1
            if not remote.handles:
                self._open.remove(remote)
                self._forget(remote)
                self._fill()
            if not self._open:
                self._slabs.release()

    def _hold(self, remote: RemoteObject) -> None:
        if not remote.handles:
            self._open.append(remote)
            self._early.discard(remote)
            if self._sessions:
                self._passed.add(remote.info.uri)
        remote.handles += 1

    def _part(self, remote: RemoteObject, start: int, end: int) -> bytes:
        """Return bytes from `start` on, as many as lie in one block."""
        with self._lock:
            if remote.given_up is not None:
                raise remote.given_up
            block = remote.find(start)
            if block is None:
                # It was said that this would not be read; that is no error.
                block = ByteRange(start, min(end, start + BLOCK, remote.next_start(start)), 0)
            job = self._claim(remote, block)
        try:
            data = self._result(job)
        except BaseException:
            with self._lock:
                if block.job is job:  # another try asks again
                    block.job = None
                    self._wanted.pop(block, None)
            raise
        # A slab is larger than what lies in it.
        part = data[start - block.start : min(end, block.end) - block.start]
        with self._lock:
            block.unread -= len(part)
            if block.wanted is not None and block.unread <= 0 and block.job is job:
                block.done = True
                self._drop(remote, block)
        return part

    def _claim(self, remote: RemoteObject, block: ByteRange) -> PooledRequest[Content]:
        """Return the request of a block that somebody wants now."""
        for old in remote.wanted(block):
            self._drop(remote, old)
        job = block.job
        if job is None:
            job = self._request(remote, block, Priority.AWAITED)
        elif block.ahead:
            self._come(remote, block)
            if job.waiting:
                self._fetchers.submit(job, Priority.AWAITED)
        if block is not remote.tail:
            self._wanted.pop(block, None)
            self._wanted[block] = None
            while sum(one.weight for one in self._wanted) > WANTED_BYTES and len(self._wanted) > 1:
                oldest = next(iter(self._wanted))
                del self._wanted[oldest]
                oldest.job = None
        self._fill()
        return job

    def _request(self, remote: RemoteObject, block: ByteRange, urgency: Priority) -> PooledRequest[Content]:
        span, info = (block.start, block.end), remote.info
        job = block.job = PooledRequest(lambda: self._fetch(info, span, self._slabs))
        block.unread = block.wanted or 0
        self._fetchers.submit(job, urgency)
        return job

    def _result(self, job: PooledRequest[_T]) -> _T:
        with self._lock:
            self._awaited.add(job)
        try:
            return job.future.result()
        finally:
            with self._lock:
                self._awaited.discard(job)

    def _fill(self) -> None:
        """Ask for what comes next, as far as there is room: for the object that has least of it first."""
        while True:
            candidates = [(remote, block) for remote in self._open if (block := remote.following()) is not None]
            if candidates:
                remote, block = min(candidates, key=lambda found: found[0].ahead)
            else:
                found = self._next_upcoming()
                if found is None:
                    return
                remote, block = found, found.blocks[0]
            if self._ahead + block.weight > AHEAD_BYTES:
                if not candidates:
                    self._upcoming.appendleft(remote.info)
                return
            if not candidates:
                self._objects[remote.info.uri] = remote
                self._early.add(remote)
            self._request(remote, block, Priority.AHEAD)
            block.ahead = True
            self._ahead += block.weight
            remote.ahead += block.weight
            remote.asked += 1

    def _next_upcoming(self) -> RemoteObject | None:
        """Return the next small object that nobody has opened yet."""
        while self._upcoming and len(self._early) < _OBJECTS_AHEAD:
            info = self._upcoming.popleft()
            if 0 < info.size <= BLOCK and info.uri not in self._passed and info.uri not in self._objects:
                return RemoteObject(info)
        return None

    def _come(self, remote: RemoteObject, block: ByteRange) -> None:
        """Note that a block is no longer ahead."""
        block.ahead = False
        self._ahead -= block.weight
        remote.ahead -= block.weight
        remote.asked -= 1

    def _drop(self, remote: RemoteObject, block: ByteRange) -> None:
        """Forget a block; what is on its way counts until it has come."""
        job, block.job = block.job, None
        self._wanted.pop(block, None)
        if not block.ahead or job is None:
            return
        self._come(remote, block)
        if job.waiting:
            job.give_up(StorageUnavailable("nobody wants it any more"))
        elif not job.future.done():
            self._ahead += block.weight
            job.future.add_done_callback(lambda _: self._arrived(block.weight))

    def _arrived(self, size: int) -> None:
        with self._lock:
            self._ahead -= size

    def _forget(self, remote: RemoteObject) -> None:
        self._early.discard(remote)
        for block in remote.blocks:
            self._drop(remote, block)
        if self._objects.get(remote.info.uri) is remote:
            del self._objects[remote.info.uri]

    # Writing

    def write_behind(self, write: Callable[[], object], size: int) -> None:
        """Write in the background; see :meth:`Store.write_behind`."""
        with self._lock:
            in_session = self._sessions > 0
        if not in_session:  # nobody would wait for it
            write()
            return
        with self._lock:
            while self._behind and self._behind + size > BEHIND_BYTES and self._failure is None:
                self._written.wait()
            if self._failure is not None:
                raise self._failure
            self._behind += size
            job, epoch = PooledRequest(write), self._epoch
            job.future.add_done_callback(lambda done: self._has_written(done, size, epoch))
            self._fetchers.submit(job, Priority.WRITTEN)

    def _has_written(self, done: Future[object], size: int, epoch: int) -> None:
        with self._lock:
            self._behind -= size
            if epoch == self._epoch:
                self._failure = self._failure or done.exception()
            self._written.notify_all()

    def _flush(self) -> None:
        with self._lock:
            while self._behind and self._failure is None:
                self._written.wait()
            if self._failure is not None:
                raise self._failure
