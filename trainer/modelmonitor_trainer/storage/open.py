"""Opening of stores: by the scheme of a URI, from a configuration that can be sent to another process."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from modelmonitor_api.spec import Storage
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.storage.base import ObjectInfo, Store, WriteRequest


@dataclass(frozen=True)
class StoreConfig:
    """How to open a store; plain values, so that a worker process can be given it and open its own store.

    Credentials are not part of it: they come from the environment or the AWS credential chain.

    Attributes
    ----------
    endpoint
        URL of an S3-compatible store; None is that of the environment, or AWS.
    region
        Region; None is that of the environment.
    """

    endpoint: str | None = None
    region: str | None = None

    @classmethod
    def of(cls, storage: Storage | None) -> StoreConfig:
        """Return the configuration that a spec declares."""
        return cls(storage.endpoint, storage.region) if storage else cls()

    def open(self) -> SchemeRouter:
        """Return the store."""
        return SchemeRouter(self)


def open_store(storage: Storage | None) -> Store:
    """Return the store that a spec declares; local files are always accessible.

    Parameters
    ----------
    storage
        Endpoint and region. None is AWS in the region of the environment.
    """
    return StoreConfig.of(storage).open()


def scheme_of(uri: str) -> str:
    """Return the scheme of `uri`.

    Raises
    ------
    BadConfiguration
        If it is neither s3 nor file.
    """
    scheme, separator, _ = uri.partition("://")
    if not separator or scheme not in {"s3", "file"}:
        raise BadConfiguration(f"{uri!r} is not a supported location; use s3://bucket/prefix/ or file:///path/")
    return scheme


class SchemeRouter(Store):
    """A store that passes each call to the store of the URI's scheme, which is opened when it is first needed.

    Data and results of a monitor may have different schemes.

    Attributes
    ----------
    config
        Opens the same store in another process.
    """

    def __init__(self, config: StoreConfig) -> None:
        self.config = config
        self._stores: dict[str, Store] = {}

    def _store(self, uri: str) -> Store:
        scheme = scheme_of(uri)
        if scheme not in self._stores:
            self._stores[scheme] = _open_scheme(scheme, self.config)
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
        with contextlib.ExitStack() as stack:
            for scheme, group in by_scheme.items():
                stack.enter_context(self._store(f"{scheme}://").ahead(group))
            yield

    def write_behind(self, uri: str, data: bytes) -> None:
        self._store(uri).write_behind(uri, data)

    def put(self, request: WriteRequest) -> str:
        return self._store(request.uri).put(request)

    def delete(self, uri: str) -> None:
        self._store(uri).delete(uri)

    def require_conditional_writes(self, prefix_uri: str) -> None:
        self._store(prefix_uri).require_conditional_writes(prefix_uri)


def _open_scheme(scheme: str, config: StoreConfig) -> Store:
    # boto3 takes half a second to import, and a check of local files does without it.
    if scheme == "file":
        from modelmonitor_trainer.storage.local import LocalStore

        return LocalStore()
    from modelmonitor_trainer.storage.s3 import S3Store

    return S3Store(endpoint=config.endpoint, region=config.region)
