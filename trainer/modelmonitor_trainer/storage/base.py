"""The contract of an object store, which S3 and local folders fulfil alike.

URIs are ``s3://bucket/key`` and ``file:///path`` and are taken literally (no percent escapes, ``%Y`` stands for
itself). Every read can be pinned to an ETag, and every write can be conditional on one.
"""

from __future__ import annotations

import builtins
import datetime as dt
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol, runtime_checkable

from modelmonitor_trainer.errors import ObjectChanged

JSON = "application/json"
HTML = "text/html; charset=utf-8"
BINARY = "application/octet-stream"

#: Bytes from (first) to (one past the last).
Span = tuple[int, int]


@dataclass(frozen=True)
class ObjectInfo:
    """One object as a listing shows it.

    Attributes
    ----------
    uri
        Where it is.
    etag
        Identifies its content; opaque, without quotes.
    size
        Size in bytes.
    last_modified
        When it was written, with time zone, by the clock of the store.
    """

    uri: str
    etag: str
    size: int
    last_modified: dt.datetime


@dataclass(frozen=True)
class WriteRequest:
    """One write, with its conditions.

    Attributes
    ----------
    uri, data
        Where to write what.
    if_match
        Write only if the present object has this ETag.
    if_absent
        Write only if there is no object.
    content_type
        Media type of the content.
    """

    uri: str
    data: bytes
    if_match: str | None = None
    if_absent: bool = False
    content_type: str = BINARY


class Store(Protocol):
    """Objects by URI. Every method may raise CredentialsRefused and StorageUnavailable."""

    @abstractmethod
    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        """Return every object whose URI begins with `prefix_uri`, sorted by URI.

        Raises
        ------
        NotFound
            If the bucket does not exist.
        """
        ...

    @abstractmethod
    def children(self, prefix_uri: str) -> builtins.list[str]:
        """Return the URIs one level below: objects, and folders with a slash at the end, sorted.

        `prefix_uri` may end within a name: ``…/date=20`` matches the folders that begin with it.
        """
        ...

    @abstractmethod
    def head(self, uri: str) -> ObjectInfo | None:
        """Return the object at `uri`, or None."""
        ...

    @abstractmethod
    def read(self, uri: str, *, etag: str | None = None) -> bytes:
        """Return the content of an object.

        Raises
        ------
        NotFound
            If there is none.
        ObjectChanged
            If `etag` is given and is not its ETag.
        """
        ...

    @abstractmethod
    def read_versioned(self, uri: str) -> tuple[bytes, str]:
        """Return the content of an object and the ETag that belongs to it."""
        ...

    @abstractmethod
    def open(self, info: ObjectInfo) -> BinaryIO:
        """Return a seekable file over an object as it was listed.

        Reads raise ObjectChanged once the object has been replaced. A file is for one thread; several may be open over
        one object, and share the bytes that they fetch. See :func:`plan_reads`.
        """
        ...

    @abstractmethod
    def ahead(self, objects: Sequence[ObjectInfo]) -> AbstractContextManager[None]:
        """Read these objects in about this order within the ``with`` block.

        A remote store fetches the small ones before they are opened or read. The block ends once all writes of
        :meth:`write_behind` are done. If it ends with an exception, it waits for nothing, and threads that wait for the
        store continue with StorageUnavailable.
        """
        ...

    @abstractmethod
    def write_behind(self, uri: str, data: bytes) -> None:
        """Write an object before the block of :meth:`ahead` ends; outside of such a block, immediately.

        Errors are raised by a later call, or at the end of the block.
        """
        ...

    def write(
        self,
        uri: str,
        data: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = BINARY,
    ) -> str:
        """Write an object atomically and return its ETag; for the parameters see :class:`WriteRequest`.

        Raises
        ------
        PreconditionFailed
            If the condition does not hold; nothing was written.
        """
        return self.put(WriteRequest(uri, data, if_match, if_absent, content_type))

    @abstractmethod
    def put(self, request: WriteRequest) -> str:
        """Write an object atomically and return its ETag; see :meth:`write`."""
        ...

    @abstractmethod
    def delete(self, uri: str) -> None:
        """Remove an object; it is no error if there is none."""
        ...

    @abstractmethod
    def require_conditional_writes(self, prefix_uri: str) -> None:
        """Verify, once for each prefix, that writes below `prefix_uri` whose condition does not hold are refused.

        Raises
        ------
        BadConfiguration
            If they are not.
        """
        ...


@runtime_checkable
class PlannedFile(Protocol):
    """A file that fetches planned ranges before they are read."""

    def plan_reads(self, spans: Sequence[Span]) -> None:
        """Announce which bytes will be read, in that order."""
        ...


def plan_reads(file: BinaryIO, spans: Sequence[Span]) -> None:
    """Announce which bytes of an open file will be read, in that order.

    A remote store fetches these ahead, and no others. No spans mean that nothing is known. A local file needs no plan
    and ignores it. The plan follows the opening because it usually comes from the footer of the same file.
    """
    if isinstance(file, PlannedFile):
        file.plan_reads(spans)


def changed(uri: str) -> ObjectChanged:
    """Return the error for an object that has been replaced since it was listed."""
    return ObjectChanged(f"{uri} has been replaced since it was listed; run again to use the new content", uri)


def removed(uri: str) -> ObjectChanged:
    """Return the error for an object that has been removed since it was listed."""
    return ObjectChanged(f"{uri} has been removed since it was listed; run again without it", uri)
