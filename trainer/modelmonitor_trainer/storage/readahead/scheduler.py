"""Scheduling of requests: which block to fetch next, within the memory budgets.

A remote store responds late, however small the request, so there must always be several requests in flight.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from modelmonitor_trainer.errors import ModelMonitorError, StorageUnavailable
from modelmonitor_trainer.storage.base import ObjectInfo, Span
from modelmonitor_trainer.storage.readahead.budget import AHEAD_BYTES, DEMAND_BYTES, AheadBudget, DemandBudget
from modelmonitor_trainer.storage.readahead.buffers import BufferPool, Content
from modelmonitor_trainer.storage.readahead.pool import PooledRequest, Priority, RequestPool
from modelmonitor_trainer.storage.readahead.prefetch import Prefetch
from modelmonitor_trainer.storage.readahead.ranges import BLOCK, ByteRange, RemoteObject

Fetch = Callable[[ObjectInfo, Span, BufferPool], Content]


class Scheduler:
    """Open objects and their requests; safe for several threads.

    Parameters
    ----------
    fetch
        Returns a range of an object as it was listed, in a buffer if it is large; called by several threads.
    pool
        Runs the requests.
    """

    def __init__(self, fetch: Fetch, pool: RequestPool) -> None:
        self._fetch = fetch
        self._pool = pool
        self._buffers = BufferPool(AHEAD_BYTES + DEMAND_BYTES)
        # Reentrant: the callback of a request that is done already runs at once.
        self._lock = threading.RLock()
        self._sessions = 0
        self._objects: dict[str, RemoteObject] = {}
        self._open: list[RemoteObject] = []
        self._prefetch = Prefetch()
        self._ahead = AheadBudget()
        self._demand = DemandBudget()

    # Sessions

    def begin(self, objects: Sequence[ObjectInfo]) -> None:
        """Begin a session that reads these objects in about this order."""
        with self._lock:
            self._sessions += 1
            self._prefetch.announce(objects)
            self._fill()

    def end(self) -> None:
        """End a session; the last one forgets what was prefetched."""
        with self._lock:
            self._sessions -= 1
            if not self._sessions:
                self._prefetch.reset()
                for remote in list(self._prefetch.fetched):
                    self._forget(remote)

    def abandon(self, error: ModelMonitorError) -> bool:
        """Raise an error in every later read of the open objects; return whether the session is the only one.

        Within another session nothing happens: the outer one may continue.
        """
        with self._lock:
            if self._sessions > 1:
                return False
            self._prefetch.cancel()
            # A thread that is busy with what it has read will come back for more.
            for remote in self._open:
                remote.abandoned = error
            self._objects.clear()
            return True

    # Objects

    def open(self, info: ObjectInfo) -> RemoteObject:
        """Return an object with one more open file; several files may be open over the same."""
        with self._lock:
            remote = self._objects.get(info.uri)
            if remote is None or remote.info.etag != info.etag:
                remote = self._objects[info.uri] = RemoteObject(info)
            self._add_handle(remote)
            return remote

    def open_prefetched(self, uri: str, etag: str | None) -> RemoteObject | None:
        """Return a small object that is prefetched or open, with one more open file; None if there is none."""
        with self._lock:
            remote = self._objects.get(uri)
            if remote is None or remote.tail is not None or etag not in {None, remote.info.etag}:
                return None
            self._add_handle(remote)
            return remote

    def close(self, remote: RemoteObject) -> None:
        """Remove an open file, and forget the object with its last one."""
        with self._lock:
            remote.handles -= 1
            if not remote.handles:
                self._open.remove(remote)
                self._forget(remote)
                self._fill()
            if not self._open:
                self._buffers.release()

    def _add_handle(self, remote: RemoteObject) -> None:
        if not remote.handles:
            self._open.append(remote)
            self._prefetch.fetched.discard(remote)
            if self._sessions:
                self._prefetch.mark_opened(remote)
        remote.handles += 1

    # Blocks

    def plan(self, remote: RemoteObject, spans: Sequence[Span]) -> None:
        """Plan which ranges of an object will be read, in that order."""
        with self._lock:
            for unplanned in remote.plan(spans):
                self._drop(remote, unplanned)
            self._fill()

    def claim(self, remote: RemoteObject, start: int, end: int) -> tuple[ByteRange, PooledRequest[Content]]:
        """Return the block that contains the byte `start`, which a reader needs now, and its request.

        Raises
        ------
        ModelMonitorError
            If the session of the object was abandoned.
        """
        with self._lock:
            if remote.abandoned is not None:
                raise remote.abandoned
            block = remote.find(start)
            if block is None:
                # Reading it was not planned; that is no error.
                block = ByteRange(start, min(end, start + BLOCK, remote.next_start(start)), 0)
            return block, self._claim_block(remote, block)

    def finish(self, remote: RemoteObject, block: ByteRange, request: PooledRequest[Content], size: int) -> None:
        """Note that bytes of a block have been read; drop the block once all wanted bytes have been."""
        with self._lock:
            block.unread -= size
            if block.wanted is not None and block.unread <= 0 and block.request is request:
                block.done = True
                self._drop(remote, block)

    def fail(self, block: ByteRange, request: PooledRequest[Content]) -> None:
        """Note that a request failed; the next read of the block makes another."""
        with self._lock:
            if block.request is request:
                block.request = None
                self._demand.discard(block)

    def _claim_block(self, remote: RemoteObject, block: ByteRange) -> PooledRequest[Content]:
        for passed in remote.advance(block):
            self._drop(remote, passed)
        request = block.request
        if request is None:
            request = self._request(remote, block, Priority.AWAITED)
        elif block.ahead:
            self._ahead.remove(remote, block)
            if request.waiting:
                self._pool.submit(request, Priority.AWAITED)
        if block is not remote.tail:
            self._demand.add(block)
        self._fill()
        return request

    def _request(self, remote: RemoteObject, block: ByteRange, priority: Priority) -> PooledRequest[Content]:
        span, info = (block.start, block.end), remote.info
        request = block.request = PooledRequest(lambda: self._fetch(info, span, self._buffers))
        block.unread = block.wanted or 0
        self._pool.submit(request, priority)
        return request

    def _fill(self) -> None:
        """Request what comes next while there is room: for the object with the fewest bytes ahead first."""
        while True:
            candidates = [(remote, block) for remote in self._open if (block := remote.following()) is not None]
            if candidates:
                remote, block = min(candidates, key=lambda candidate: candidate[0].ahead_bytes)
            else:
                upcoming = self._prefetch.next_object(self._objects)
                if upcoming is None:
                    return
                remote, block = upcoming, upcoming.blocks[0]
            if not self._ahead.fits(block):
                if not candidates:
                    self._prefetch.put_back(remote)
                return
            if not candidates:
                self._objects[remote.info.uri] = remote
                self._prefetch.fetched.add(remote)
            self._request(remote, block, Priority.AHEAD)
            self._ahead.add(remote, block)

    def _drop(self, remote: RemoteObject, block: ByteRange) -> None:
        """Drop the content of a block; a request in flight counts until it is done."""
        request, block.request = block.request, None
        self._demand.discard(block)
        if not block.ahead or request is None:
            return
        self._ahead.remove(remote, block)
        if request.waiting:
            request.abandon(StorageUnavailable("the block is no longer needed"))
        elif not request.future.done():
            size = block.weight
            self._ahead.reserve(size)
            request.future.add_done_callback(lambda _: self._free(size))

    def _free(self, size: int) -> None:
        with self._lock:
            self._ahead.free(size)

    def _forget(self, remote: RemoteObject) -> None:
        self._prefetch.fetched.discard(remote)
        for block in remote.blocks:
            self._drop(remote, block)
        if self._objects.get(remote.info.uri) is remote:
            del self._objects[remote.info.uri]
