"""Watches of the children of monitors: each lists a kind in pages, then follows its changes, and repairs itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from modelmonitor_operator.backoff import delay_after, spread
from modelmonitor_operator.cache import Key, ObjectCache, key_of
from modelmonitor_operator.gateway import Expired, Gateway, GatewayError, Kind, Object

_log = logging.getLogger(__name__)

FIRST_DELAY = 1.0
MAX_DELAY = 60.0
#: Seconds after which the list is read again although the watch is alive, in case it has lost a change.
RELIST_SECONDS = 1800.0


class Watch:
    """Keeps a kind of object in the cache.

    Parameters
    ----------
    gateway
        Access to the API server.
    cache
        Where the objects are stored.
    kind, namespace
        What is watched; in all namespaces if `namespace` is None.
    notify
        Is called with each object that has changed or is gone.
    listing
        Lock that is held while a list is read, so that one page is in memory at a time.
    """

    def __init__(
        self,
        gateway: Gateway,
        cache: ObjectCache,
        kind: Kind,
        namespace: str | None,
        notify: Callable[[Kind, Object], None],
        listing: asyncio.Lock,
    ) -> None:
        self._listing = listing
        self._gateway = gateway
        self._cache = cache
        self.kind = kind
        self.namespace = namespace
        self._notify = notify
        self._failures = 0
        #: When the watch last received a list, a change or a bookmark, in seconds since 1970.
        self.seen = time.time()
        #: Set once the list has been read for the first time.
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                version = await self._list()
                self.synced.set()
                await self._follow(version)
            except Expired:
                continue
            except GatewayError as error:
                await self._pause(error)

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
                    self._put(resource)
                page.items.clear()
        for key, known in before.items():
            # One that was created while the list was read is not in it.
            if key not in listed and self._cache.version(self.kind, key) == known:
                self._remove(key)
        self.seen = time.time()
        return version

    async def _follow(self, version: str) -> None:
        """Follow the changes since `version` until it is time to list again."""
        loop = asyncio.get_running_loop()
        end = loop.time() + RELIST_SECONDS * spread(0.75, 1.25)
        while loop.time() < end:
            try:
                async for change in self._gateway.watch(self.kind, self.namespace, version):
                    self._failures = 0
                    self.seen = time.time()
                    version = change.resource["metadata"]["resourceVersion"]
                    if change.type == "DELETED":
                        self._delete(change.resource)
                    elif change.type != "BOOKMARK":
                        self._put(change.resource)
            except Expired:
                return
            except GatewayError as error:
                await self._pause(error)

    def _put(self, resource: Object) -> None:
        if self._cache.put(self.kind, resource):
            self._notify(self.kind, resource)

    def _delete(self, resource: Object) -> None:
        key = key_of(resource)
        known = self._cache.get(self.kind, key)
        self._cache.delete(self.kind, key, int(resource["metadata"]["resourceVersion"]))
        if known is not None:
            self._notify(self.kind, known)

    def _remove(self, key: Key) -> None:
        resource = self._cache.get(self.kind, key)
        if resource is not None:
            self._cache.remove(self.kind, key)
            self._notify(self.kind, resource)

    async def _pause(self, error: GatewayError) -> None:
        """Wait before the next attempt: longer after each failure, and not at the same time as other watches."""
        self._failures += 1
        if self._failures > 1:  # once is normal: the connection was silent or was closed
            _log.warning("the watch of %s failed %d times: %s", self.kind.plural, self._failures, error)
        factor = spread(0.5, 1.0)
        await asyncio.sleep(delay_after(self._failures, error, first=FIRST_DELAY, longest=MAX_DELAY, factor=factor))
