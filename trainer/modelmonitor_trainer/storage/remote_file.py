"""A file over an object that is elsewhere."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from modelmonitor_trainer.storage.ranges import RemoteObject, Span

if TYPE_CHECKING:
    from modelmonitor_trainer.storage.readahead import ReadAhead


def plan_reads(file: BinaryIO, spans: Sequence[Span]) -> None:
    """Tell a file which bytes of it will be read, in that order.

    They are fetched ahead, and no others; no spans at all mean that it is not known. Files of this machine do not care.
    """
    # What a store opens passes for a BinaryIO, and RawIOBase is none for mypy.
    opened: object = file
    if isinstance(opened, RemoteFile):
        opened.plan_reads(spans)


class RemoteFile(io.RawIOBase):
    """A seekable file over ranged requests that are pinned to an ETag.

    Parameters
    ----------
    traffic, remote
        Who reads, and what.
    """

    def __init__(self, traffic: ReadAhead, remote: RemoteObject) -> None:
        super().__init__()
        self._traffic = traffic
        self._remote = remote
        self._position = 0

    def plan_reads(self, spans: Sequence[Span]) -> None:
        """Take note of which bytes will be read, in that order."""
        if spans:
            self._traffic.expect(self._remote, spans)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set and return where the next read begins; nothing is fetched."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._remote.info.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readall(self) -> bytes:
        """Return the bytes up to the end."""
        return self.read(max(0, self._remote.info.size - self._position))

    def read(self, size: int | None = -1, /) -> bytes:
        """Return as many bytes as asked for, fewer only at the end."""
        if self.closed:
            raise ValueError("read of a closed file")
        if size is None or size < 0:
            return self.readall()
        end = min(self._remote.info.size, self._position + size)
        data = self._traffic.read(self._remote, self._position, end)
        self._position += len(data)
        return data

    def readinto(self, buffer: object, /) -> int:
        """Fill a buffer, and return how much of it."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # any writable buffer
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Forget what was fetched, unless another file over the object is open."""
        if not self.closed:
            self._traffic.close(self._remote)
        super().close()
