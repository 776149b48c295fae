"""A seekable file over an object of a remote store."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Protocol

from modelmonitor_trainer.storage.base import Span
from modelmonitor_trainer.storage.readahead.ranges import RemoteObject


class Reader(Protocol):
    """Reads ranges of open objects."""

    def plan(self, remote: RemoteObject, spans: Sequence[Span]) -> None:
        """Plan which ranges of an object will be read, in that order."""
        ...

    def read(self, remote: RemoteObject, start: int, end: int) -> bytes:
        """Return a range of an object."""
        ...

    def close(self, remote: RemoteObject) -> None:
        """Close a file over an object."""
        ...


class RemoteFile(io.RawIOBase):
    """A seekable file over range requests that are pinned to an ETag.

    Parameters
    ----------
    reader
        Reads the ranges.
    remote
        The object.
    """

    def __init__(self, reader: Reader, remote: RemoteObject) -> None:
        super().__init__()
        self._reader = reader
        self._remote = remote
        self._position = 0

    def plan_reads(self, spans: Sequence[Span]) -> None:
        """Announce which bytes will be read, in that order."""
        if spans:
            self._reader.plan(self._remote, spans)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set and return the position of the next read; nothing is fetched."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._remote.info.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readall(self) -> bytes:
        """Return the bytes up to the end."""
        return self.read(max(0, self._remote.info.size - self._position))

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, fewer only at the end."""
        if self.closed:
            raise ValueError("read of a closed file")
        if size is None or size < 0:
            return self.readall()
        end = min(self._remote.info.size, self._position + size)
        data = self._reader.read(self._remote, self._position, end)
        self._position += len(data)
        return data

    def readinto(self, buffer: object, /) -> int:
        """Fill a buffer, and return the number of bytes."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # any writable buffer
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Forget what was fetched, unless another file over the object is open."""
        if not self.closed:
            self._reader.close(self._remote)
        super().close()
