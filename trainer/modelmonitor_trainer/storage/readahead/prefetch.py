"""Prefetch of small objects: which of those that a session will read to fetch before they are opened."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence

from modelmonitor_trainer.storage.base import ObjectInfo
from modelmonitor_trainer.storage.readahead.ranges import BLOCK, RemoteObject

#: Small objects to fetch before they are opened.
_OBJECTS_AHEAD = 64


class Prefetch:
    """Queue of announced objects. Guarded by the lock of its scheduler.

    Attributes
    ----------
    fetched
        Objects that were requested and not opened yet.
    """

    def __init__(self) -> None:
        self._upcoming: deque[ObjectInfo] = deque()
        self._opened: set[str] = set()
        self.fetched: set[RemoteObject] = set()

    def announce(self, objects: Sequence[ObjectInfo]) -> None:
        """Add objects in the order in which they will be read."""
        self._upcoming.extend(objects)

    def next_object(self, known: Container[str]) -> RemoteObject | None:
        """Remove and return the next small object that has not been opened; None if none is left or enough are fetched.

        Parameters
        ----------
        known
            URIs of the objects that are fetched or open.
        """
        while self._upcoming and len(self.fetched) < _OBJECTS_AHEAD:
            info = self._upcoming.popleft()
            if 0 < info.size <= BLOCK and info.uri not in self._opened and info.uri not in known:
                return RemoteObject(info)
        return None

    def put_back(self, remote: RemoteObject) -> None:
        """Return an object to the head of the queue, because there is no room for it yet."""
        self._upcoming.appendleft(remote.info)

    def mark_opened(self, remote: RemoteObject) -> None:
        """Note within a session that an object has been opened, so that it is not fetched again after it is closed."""
        self._opened.add(remote.info.uri)

    def cancel(self) -> None:
        """Fetch no more objects."""
        self._upcoming.clear()

    def reset(self) -> None:
        """Forget which objects were announced and opened."""
        self._upcoming.clear()
        self._opened.clear()
