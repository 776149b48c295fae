"""Cache of per-object results below the results prefix: profiles and cross-moments.

A result is stored under a key, the digest of the plan or scales and of their version, and under a digest of the URI,
ETag and size of the object. An object that is replaced therefore gets a new entry, and no entry is ever stale.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from modelmonitor_trainer.data.recent_values import RecentValues
from modelmonitor_trainer.errors import ModelMonitorError
from modelmonitor_trainer.profile.hashing import digest
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_LOG = logging.getLogger(__name__)
_R = TypeVar("_R")

#: Size of a decoded result, as a multiple of its stored size.
_DECODED_SIZE = 4
#: Results that this process has decoded, with their size in bytes.
_DECODED: RecentValues[tuple[Any, int]] = RecentValues(lambda decoded: decoded[1])


@dataclass(frozen=True)
class Codec(Generic[_R]):
    """How results of one kind are stored.

    Attributes
    ----------
    suffix
        End of the names of their objects: "profile".
    to_bytes, from_bytes
        Serialization; the latter raises ValueError for corrupted bytes.
    version
        Part of the names of the objects; None if the version in the key is enough.
    """

    suffix: str
    to_bytes: Callable[[_R], bytes]
    from_bytes: Callable[[bytes, ObjectInfo], _R]
    version: int | None = None


class ProfileCache:
    """Cache of profiles and cross-moments of objects.

    Parameters
    ----------
    store, prefix
        Where results are stored; None disables the cache.
    """

    def __init__(self, store: Store, prefix: str | None) -> None:
        self._store = store
        self._prefix = prefix

    def entries(self, key: str, codec: Codec[_R]) -> CacheEntries[_R]:
        """Return the entries under a key; one listing replaces a request per miss.

        Parameters
        ----------
        key
            Digest of everything but the object that a result depends on.
        codec
            How the results are stored.
        """
        return CacheEntries(self._store, None if self._prefix is None else f"{self._prefix}{key}/", codec)


class CacheEntries(Generic[_R]):
    """Stored results of one kind under one key; threads can share it.

    Parameters
    ----------
    store, folder
        Where they are stored; None disables the cache.
    codec
        How they are stored.
    """

    def __init__(self, store: Store, folder: str | None, codec: Codec[_R]) -> None:
        self._store, self._folder, self._codec = store, folder, codec
        self._stored: Mapping[str, ObjectInfo] = (
            {} if folder is None else {stored.uri: stored for stored in store.list(folder)}
        )

    def uri(self, info: ObjectInfo) -> str:
        """Return the URI under which the result of an object is stored."""
        version = [] if self._codec.version is None else [str(self._codec.version)]
        name = digest([*version, info.uri, info.etag, str(info.size)])
        return f"{self._folder}{name}.{self._codec.suffix}"

    def stored(self, info: ObjectInfo) -> ObjectInfo | None:
        """Return the stored object that holds the result of `info`, or None."""
        return self._stored.get(self.uri(info))

    def get(self, info: ObjectInfo) -> _R | None:
        """Return the stored result of an object; None if there is none or it cannot be read."""
        uri = self.uri(info)
        stored = self._stored.get(uri)
        if stored is None:
            return None
        key = uri, stored.etag
        try:
            known: tuple[_R, int] | None = _DECODED.find(key)
            if known is None:
                known = self._codec.from_bytes(self._store.read(uri), info), stored.size * _DECODED_SIZE
                _DECODED.put(key, known)
            return known[0]
        except ValueError as error:
            _LOG.warning("the %s %s is corrupted and is computed again: %s", self._codec.suffix, uri, error)
        except ModelMonitorError as error:
            _LOG.warning("the %s %s cannot be read and is computed again: %s", self._codec.suffix, uri, error)
        return None

    def put(self, info: ObjectInfo, result: _R) -> None:
        """Store the result of an object."""
        if self._folder is not None:
            self._store.write_behind(self.uri(info), self._codec.to_bytes(result))
