"""An object store as it was at a time of the past, with results of its own.

Data are listed once, so a replay reads one state of them. Objects that had not arrived do not exist: they are not
listed, and a read of one is an error. Results go to a folder of the replay, and nothing else is written.
"""

from __future__ import annotations

import builtins
import contextlib
import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.errors import BadConfiguration, NotFound
from modelmonitor_trainer.registry.layout import profile_name
from modelmonitor_trainer.replay.arrival import Arrival, Feed, has_arrived, list_feeds
from modelmonitor_trainer.replay.listing import Listing
from modelmonitor_trainer.storage.base import ObjectInfo, Store, WriteRequest

#: Comes before every object has been written, and after.
_NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class PastData:
    """The data of a replay: its feeds, when their objects arrived, and what they hold.

    Attributes
    ----------
    feeds, arrival
        The feeds of the monitor, and what determines when their objects arrived.
    listing
        All objects of the feeds.
    """

    feeds: tuple[Feed, ...]
    arrival: Arrival
    listing: Listing

    @classmethod
    def list(cls, store: Store, spec: ModelMonitorSpec, arrival: Arrival) -> PastData:
        """List the data of a monitor."""
        feeds = list_feeds(spec, arrival)
        folders = sorted({feed.folder for feed in feeds})
        return cls(feeds, arrival, Listing.of(info for folder in folders for info in store.list(folder)))

    def holds(self, uri: str) -> bool:
        """Return whether a URI is that of data, or begins it."""
        return any(uri.startswith(feed.folder) or feed.folder.startswith(uri) for feed in self.feeds)

    def is_there(self, info: ObjectInfo, now: dt.datetime) -> bool:
        """Return whether an object had arrived at a time."""
        # The folder of one feed can be inside that of the other.
        feed = max(
            (feed for feed in self.feeds if info.uri.startswith(feed.folder)),
            key=lambda feed: len(feed.folder),
        )
        return has_arrived(info, feed, self.arrival, now)

    def digest(self, now: dt.datetime) -> str:
        """Return a short digest of the objects that had arrived at a time: other data have another one."""
        content = hashlib.sha256()
        for info in self.listing.objects:
            if self.is_there(info, now):
                content.update(f"{info.uri}\0{info.etag}\0{info.size}\n".encode())
        return content.hexdigest()[:8]


@dataclass(frozen=True)
class ResultsFolder:
    """Where a replay writes.

    Attributes
    ----------
    root
        Prefix of everything that it writes.
    shared
        Prefix of the profiles, which all settings of a replay share.
    """

    root: str
    shared: str

    def locate(self, uri: str) -> str:
        """Return where an object of the results is."""
        name = profile_name(uri) if uri.startswith(self.root) else None
        return uri if name is None else f"{self.shared}{name}"


class PastStore(Store):
    """A store as it was at a time.

    Parameters
    ----------
    store
        The store of the present.
    data, results
        What had arrived when, and where results go.
    now
        The time.
    """

    def __init__(self, store: Store, data: PastData, results: ResultsFolder, now: dt.datetime = _NEVER) -> None:
        self._store, self._data, self._results, self._now = store, data, results, now

    def at(self, now: dt.datetime) -> PastStore:
        """Return the store as it was at another time."""
        return PastStore(self._store, self._data, self._results, now)

    def list(self, prefix_uri: str) -> builtins.list[ObjectInfo]:
        if not self._is_data(prefix_uri):
            located = self._results.locate(prefix_uri)
            objects = self._store.list(located)
            return [replace(info, uri=prefix_uri + info.uri.removeprefix(located)) for info in objects]
        return [info for info in self._data.listing.below(prefix_uri) if self._is_there(info)]

    def children(self, prefix_uri: str) -> builtins.list[str]:
        if not self._is_data(prefix_uri):
            located = self._results.locate(prefix_uri)
            return [prefix_uri + child.removeprefix(located) for child in self._store.children(located)]
        return self._data.listing.children(prefix_uri, self._is_there)

    def head(self, uri: str) -> ObjectInfo | None:
        if not self._is_data(uri):
            info = self._store.head(self._results.locate(uri))
            return info and replace(info, uri=uri)
        info = self._data.listing.find(uri)
        return info if info is not None and self._is_there(info) else None

    def read(self, uri: str, *, etag: str | None = None) -> bytes:
        self._require_arrived(uri)
        return self._store.read(self._results.locate(uri), etag=etag)

    def read_versioned(self, uri: str) -> tuple[bytes, str]:
        self._require_arrived(uri)
        return self._store.read_versioned(self._results.locate(uri))

    def open(self, info: ObjectInfo) -> BinaryIO:
        self._require_arrived(info.uri)
        return self._store.open(replace(info, uri=self._results.locate(info.uri)))

    @contextlib.contextmanager
    def ahead(self, objects: Sequence[ObjectInfo]) -> Iterator[None]:
        for info in objects:
            self._require_arrived(info.uri)
        with self._store.ahead([replace(info, uri=self._results.locate(info.uri)) for info in objects]):
            yield

    def write_behind(self, uri: str, data: bytes) -> None:
        self._store.write_behind(self._locate_write(uri), data)

    def put(self, request: WriteRequest) -> str:
        return self._store.put(replace(request, uri=self._locate_write(request.uri)))

    def delete(self, uri: str) -> None:
        self._store.delete(self._locate_write(uri))

    def require_conditional_writes(self, prefix_uri: str) -> None:
        self._store.require_conditional_writes(self._locate_write(prefix_uri))

    def _is_data(self, uri: str) -> bool:
        # The folder of the replay can be inside that of the data.
        return not uri.startswith(self._results.root) and self._data.holds(uri)

    def _is_there(self, info: ObjectInfo) -> bool:
        return self._data.is_there(info, self._now)

    def _require_arrived(self, uri: str) -> None:
        """Refuse to read data of the future.

        Raises
        ------
        NotFound
            If the object had not arrived, or did not exist when the data were listed.
        """
        if not self._is_data(uri):
            return
        info = self._data.listing.find(uri)
        if info is None or not self._is_there(info):
            raise NotFound(f"{uri} had not arrived at {self._now:%Y-%m-%d %H:%M} UTC, the simulated time")

    def _locate_write(self, uri: str) -> str:
        """Return where an object is written.

        Raises
        ------
        BadConfiguration
            If it is outside the folder of the replay.
        """
        if not uri.startswith(self._results.root):
            raise BadConfiguration(f"a replay writes below {self._results.root} only, not {uri}")
        return self._results.locate(uri)
