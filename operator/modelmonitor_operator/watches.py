"""Watches of monitors and their children: each lists a kind in pages, follows its changes, and repairs itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from enum import Enum

from modelmonitor_operator.backoff import delay_after, spread
from modelmonitor_operator.cache import Key, ObjectCache, key_of
from modelmonitor_operator.gateway import Expired, Gateway, GatewayError, Kind, Object, Unavailable

_log = logging.getLogger(__name__)

FIRST_DELAY = 1.0
MAX_DELAY = 60.0
#: Seconds after which the list is read again although the watch is alive, in case it has lost a change.
RELIST_SECONDS = 1800.0


class Sight(Enum):
    """How a watch has come to know of an object."""

    #: It was in a list, and may have been so for long.
    LISTED = "listed"
    #: It has just been created or changed.
    CHANGED = "changed"
    #: It is gone.
    GONE = "gone"


class Watch:
    """Keeps a kind of object in the cache. Nothing but its cancellation ends it.

    Parameters
    ----------
    gateway
        Access to the API server.
    cache
        Where the objects are stored.
    kind, namespace
        What is watched; in all namespaces if `namespace` is None.
    notify
        Is called with each object that is new, has changed or is gone.
    listing
        Lock that is held while a list is read, so that one page is in memory at a time.
    on_recovery
        Is called when the watch works again after several failures.
    """

    def __init__(
        self,
        gateway: Gateway,
        cache: ObjectCache,
        kind: Kind,
        namespace: str | None,
        notify: Callable[[Kind, Object, Sight], None],
        listing: asyncio.Lock,
        on_recovery: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_recovery = on_recovery
        self._listing = listing
        self._gateway = gateway
        self._cache = cache
        self.kind = kind
        self.namespace = namespace
        self._notify = notify
        self._failures = 0
        #: When the watch last received a list, a change or a bookmark, in seconds since 1970.
        self.seen = time.time()
        #: The same on a clock that nobody sets.
        self._heard = time.monotonic()
        #: Set once the list has been read for the first time.
        self.synced = asyncio.Event()

    def __str__(self) -> str:
        return f"the watch of {self.kind.plural}" + (f" in {self.namespace}" if self.namespace else "")

    def silence(self) -> float:
        """Return the seconds since the watch last received something, or since it was created."""
        return time.monotonic() - self._heard

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                version = await self._list()
                self.synced.set()
                await self._follow(version)
            except GatewayError as error:
                await self._pause(error)
            except Exception as error:  # noqa: BLE001 - without its watch, the operator would be blind and seem healthy
                await self._pause(error, unexpected=True)

    async def _list(self) -> str:
        """Read the list into the cache and return its version."""
        listed: set[Key] = set()
        version = ""
        before = {key: self._cache.version(self.kind, key) for key in self._cache.keys(self.kind, self.namespace)}
        async with self._listing:
            async for page in self._gateway.list_pages(self.kind, self.namespace):
                version = page.version
                for resource in page.items:
                    listed.add(key_of(resource))
                    self._put(resource, Sight.LISTED)
                page.items.clear()
        for key, known in before.items():
            # One that was created while the list was read is not in it.
            if key not in listed and self._cache.version(self.kind, key) == known:
                self._remove(key)
        self._note_receipt()
        return version

    async def _follow(self, version: str) -> None:
        """Follow the changes since `version` until it is time to list again."""
        loop = asyncio.get_running_loop()
        end = loop.time() + RELIST_SECONDS * spread(0.75, 1.25)
        while loop.time() < end:
            try:
                version = await self._receive(version)
            except Expired:
                raise
            except GatewayError as error:
                await self._pause(error)

    async def _receive(self, version: str) -> str:
        """Take the changes since `version` until the server ends the stream; return the newest version."""
        received = False
        async for change in self._gateway.watch(self.kind, self.namespace, version):
            received = True
            self._note_receipt()
            self._recover()
            version = change.resource["metadata"]["resourceVersion"]
            if change.type == "DELETED":
                self._delete(change.resource)
            elif change.type != "BOOKMARK":
                self._put(change.resource, Sight.CHANGED)
        if not received:
            raise Unavailable(f"WATCH {self.kind.plural}: the server ended the stream without an event")
        # A server, or a proxy, that ends its streams at once is not hammered.
        await asyncio.sleep(FIRST_DELAY * spread(0.5, 1.0))
        return version

    def _recover(self) -> None:
        failures, self._failures = self._failures, 0
        if failures > 1:  # what was logged
            _log.info("%s works again after %d failures", self, failures)
            self._on_recovery()

    def _note_receipt(self) -> None:
        self.seen, self._heard = time.time(), time.monotonic()

    def _put(self, resource: Object, sight: Sight) -> None:
        try:
            if self._cache.put(self.kind, resource):
                self._notify(self.kind, resource, sight)
        except Exception:  # noqa: BLE001 - one object must not hide the others
            _log.exception("%s skips %s, which it cannot read", self, key_of(resource))

    def _delete(self, resource: Object) -> None:
        key, version = key_of(resource), int(resource["metadata"]["resourceVersion"])
        known = self._cache.version(self.kind, key)
        self._cache.delete(self.kind, key, version)
        if known is not None and known <= version:  # a successor of the same name stays
            self._notify(self.kind, resource, Sight.GONE)

    def _remove(self, key: Key) -> None:
        resource = self._cache.get(self.kind, key)
        if resource is not None:
            self._cache.remove(self.kind, key)
            self._notify(self.kind, resource, Sight.GONE)

    async def _pause(self, error: Exception, *, unexpected: bool = False) -> None:
        """Wait before the next attempt: longer after each failure, and not at the same time as other watches."""
        self._failures += 1
        if self._failures > 1 or unexpected:  # once is normal: the connection was silent or was closed
            since, trace = self.silence(), error if unexpected else None
            text = "%s failed %d times and has received nothing for %.0f s: %s"
            _log.warning(text, self, self._failures, since, error, exc_info=trace)
        factor = spread(0.5, 1.0)
        await asyncio.sleep(delay_after(self._failures, error, first=FIRST_DELAY, longest=MAX_DELAY, factor=factor))
