"""What this process has read and decoded lately, so that the next check in it reads new objects only.

Keys contain the ETags of the objects, so nothing is ever stale. Memory is bounded; what was not used for longest is
forgotten. Values are shared, so they must not be changed.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from modelmonitor_trainer.data.object_format import AnyFormat, csv_options, format_at, marks_at
from modelmonitor_trainer.storage.base import ObjectInfo

_T = TypeVar("_T")

#: Bytes that are kept in memory of values of one kind.
_BYTES = 16 * 1024 * 1024


class RecentValues(Generic[_T]):
    """Values by key, the most recently used ones that fit in memory; threads can share it.

    Parameters
    ----------
    size
        Returns the bytes of a value.
    limit
        Bytes that are kept. A value of more than half of them is not.
    """

    def __init__(self, size: Callable[[_T], int], limit: int = _BYTES) -> None:
        self._size, self._limit, self._bytes = size, limit, 0
        self._values: OrderedDict[Hashable, _T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, read: Callable[[], _T]) -> _T:
        """Return the value of a key; it is read if it is not in memory."""
        value = self.find(key)
        if value is None:
            value = read()
            self.put(key, value)
        return value

    def find(self, key: Hashable) -> _T | None:
        """Return the value of a key; None if it is not in memory."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: Hashable, value: _T) -> None:
        """Keep a value, and forget others if that is too much."""
        size = self._size(value)
        if size > self._limit // 2:
            return
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._bytes += size
            while self._bytes > self._limit:
                self._bytes -= self._size(self._values.popitem(last=False)[1])

    def clear(self) -> None:
        """Forget all values, as a new process has none."""
        with self._lock:
            self._values.clear()
            self._bytes = 0


def objects_key(objects: Sequence[ObjectInfo], fmt: AnyFormat) -> Hashable:
    """Return what identifies the content of objects, and how they are read."""
    options = json.dumps(csv_options(fmt).to_wire(), sort_keys=True)
    return options, tuple(
        (info.uri, info.etag, info.size, info.last_modified, format_at(fmt, info.uri), _marks(fmt, info.uri))
        for info in objects
    )


def _marks(fmt: AnyFormat, uri: str) -> Hashable:
    return tuple(sorted(marks_at(fmt, uri).items()))
