"""The object store: what a store can do, and the one that goes by the scheme of a URI.

URIs are ``s3://bucket/key`` and ``file:///path`` and are taken literally (no percent escapes,
``%Y`` stands for itself). Every read can be pinned to an ETag and every write can be made
conditional on one, on both kinds of store alike.
"""

from __future__ import annotations

import builtins
import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from modelmonitor_api.spec import Storage
from modelmonitor_trainer.errors import (
    BadConfiguration,
    CredentialsRefused,
    NotFound,
    ObjectChanged,
    PreconditionFailed,
    StorageUnavailable,
)

__all__ = [
    "BINARY",
    "HTML",
    "JSON",
    "CredentialsRefused",
    "NotFound",
    "ObjectChanged",
    "ObjectInfo",
    "PreconditionFailed",
    "StorageUnavailable",
    "Store",
    "open_store",
]

JSON = "application/json"
HTML = "text/html; charset=utf-8"
BINARY = "application/octet-stream"


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
        Bytes.
    last_modified
        When it was written, with time zone.
    """

    uri: str
    etag: str
    size: int
    last_modified: dt.datetime


def changed(uri: str) -> ObjectChanged:
    """Return the failure for an object that is another one than was listed."""
    return ObjectChanged(f"{uri} has been replaced since it was listed; run again to use the new content", uri)


def removed(uri: str) -> ObjectChanged:
    """Return the failure for an object that was listed and is no more."""
    return ObjectChanged(f"{uri} has been removed since it was listed; run again to go on without it", uri)


class Store(Protocol):
    """Objects by URI. Every method may raise CredentialsRefused and StorageUnavailable."""

    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        """Return every object whose URI begins with `prefix_uri`, sorted by URI.

        Raises
        ------
        NotFound
            If the bucket does not exist.
        """
        ...

    def children(self, prefix_uri: str) -> builtins.list[str]:
        """Return the URIs one level below: objects, and folders with a slash at their end, sorted.

        `prefix_uri` may end within a name: ``…/date=20`` gives the folders that begin with it.
        """
        ...

    def head(self, uri: str) -> ObjectInfo | None:
        """Return the object at `uri`, or None."""
        ...

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

    def read_versioned(self, uri: str) -> tuple[bytes, str]:
        """Return the content of an object and its ETag, of the same moment."""
        ...

    def open(self, info: ObjectInfo) -> BinaryIO:
        """Return a seekable file over an object as it was listed.

        Reading raises ObjectChanged once the object is another one. A file is for one thread; several may be open over
        one object, and share what they fetch.
        """
        ...

    def ahead(self, objects: Sequence[ObjectInfo]) -> AbstractContextManager[None]:
        """Read these objects in about this order within the ``with`` block.

        A store far away fetches the small ones before they are opened or read. The block ends when everything has
        been written that was to be written behind; if it ends with an exception, nothing is waited for, and threads
        that wait for the store go on with StorageUnavailable.
        """
        ...

    def write_behind(self, uri: str, data: bytes) -> None:
        """Write an object some time before the block of :meth:`ahead` ends; outside of one, now.

        What goes wrong is raised by a later call, or at the end of the block.
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
        """Write an object atomically and return its ETag.

        Parameters
        ----------
        uri, data
            Where and what.
        if_match
            Write only if the present object has this ETag.
        if_absent
            Write only if there is no object.
        content_type
            What a browser takes it for.

        Raises
        ------
        PreconditionFailed
            If the condition does not hold; nothing was written.
        """
        ...

    def delete(self, uri: str) -> None:
        """Remove an object; it is no error if there is none."""
        ...


def scheme_of(uri: str) -> str:
    """Return the scheme of `uri`.

    Raises
    ------
    BadConfiguration
        If it is neither s3 nor file.
    """
    scheme, found, _ = uri.partition("://")
    if not found or scheme not in {"s3", "file"}:
        raise BadConfiguration(f"{uri!r} is not a location that can be read; use s3://bucket/prefix/ or file:///path/")
    return scheme


class _StoreByScheme:
    """The store of every URI; each kind is opened when it is first needed."""

    def __init__(self, openers: dict[str, Callable[[], Store]]) -> None:
        self._openers = openers
        self._stores: dict[str, Store] = {}

    def _store(self, uri: str) -> Store:
        scheme = scheme_of(uri)
        if scheme not in self._stores:
            self._stores[scheme] = self._openers[scheme]()
        return self._stores[scheme]

    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        return self._store(prefix_uri).list(prefix_uri)

    def children(self, prefix_uri: str) -> builtins.list[str]:
        return self._store(prefix_uri).children(prefix_uri)

    def head(self, uri: str) -> ObjectInfo | None:
        return self._store(uri).head(uri)

    def read(self, uri: str, *, etag: str | None = None) -> bytes:
        return self._store(uri).read(uri, etag=etag)

    def read_versioned(self, uri: str) -> tuple[bytes, str]:
        return self._store(uri).read_versioned(uri)

    def open(self, info: ObjectInfo) -> BinaryIO:
        return self._store(info.uri).open(info)

    @contextlib.contextmanager
    def ahead(self, objects: Sequence[ObjectInfo]) -> Iterator[None]:
        by_scheme: dict[str, list[ObjectInfo]] = {scheme: [] for scheme in self._stores}
        for info in objects:
            by_scheme.setdefault(scheme_of(info.uri), []).append(info)
        with contextlib.ExitStack() as all_of_them:
            for scheme, some in by_scheme.items():
                all_of_them.enter_context(self._store(f"{scheme}://").ahead(some))
            yield

    def write_behind(self, uri: str, data: bytes) -> None:
        self._store(uri).write_behind(uri, data)

    def write(
        self,
        uri: str,
        data: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = BINARY,
    ) -> str:
        return self._store(uri).write(uri, data, if_match=if_match, if_absent=if_absent, content_type=content_type)

    def delete(self, uri: str) -> None:
        self._store(uri).delete(uri)


def open_store(storage: Storage | None) -> Store:
    """Return the store that a spec names; files of this machine are always within reach.

    Parameters
    ----------
    storage
        Endpoint and region. None is AWS in the region of the environment. Credentials come from
        the environment or the AWS credential chain, never from the spec.
    """

    def local() -> Store:
        from modelmonitor_trainer.storage.local import LocalStore

        return LocalStore()

    def s3() -> Store:
        from modelmonitor_trainer.storage.s3 import S3Store

        return S3Store(
            endpoint=storage.endpoint if storage else None,
            region=storage.region if storage else None,
        )

    return _StoreByScheme({"file": local, "s3": s3})
