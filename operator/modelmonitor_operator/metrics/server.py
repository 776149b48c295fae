"""The endpoint that Prometheus scrapes: /metrics, and nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric as Family

from modelmonitor_operator.cache import Key, ObjectCache
from modelmonitor_operator.gateway import Kind
from modelmonitor_operator.listener import Listener
from modelmonitor_operator.metrics.exposition import MonitorSamples

_log = logging.getLogger(__name__)

PATH = "/metrics"
#: A scrape that a client has not read after this time ends, so that others can begin. Prometheus gives up after 10 s.
SCRAPE_SECONDS = 60.0


class MetricsServer(Listener):
    """Serves the metrics of the monitors and of the operator.

    One scrape is answered at a time, so that a scrape costs its memory once.

    Parameters
    ----------
    cache
        The monitors.
    registry
        Metrics of the operator itself.
    training_seconds
        Returns what the trainings of a monitor have taken, in seconds.
    features
        Whether single columns have series.
    """

    def __init__(
        self,
        cache: ObjectCache,
        registry: CollectorRegistry,
        training_seconds: Callable[[Key], float] = lambda _: 0.0,
        *,
        features: bool = False,
    ) -> None:
        self._cache = cache
        self._registry = registry
        self._training_seconds = training_seconds
        self._features = features
        self._turn = asyncio.Lock()
        super().__init__({PATH: self._answer})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
        response.enable_compression()
        async with self._turn:
            try:
                async with asyncio.timeout(SCRAPE_SECONDS):
                    await self._send(request, response)
            except TimeoutError:
                _log.warning("a scrape was not read within %.0f s", SCRAPE_SECONDS)
                if request.transport is not None:
                    request.transport.abort()  # otherwise a part would look like the whole
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse) -> None:
        await response.prepare(request)
        pieces = self._pieces(list(self._cache.keys(Kind.MONITOR)))
        # In a thread, so that a fleet of thousands does not delay watches and probes.
        while piece := await asyncio.to_thread(next, pieces, b""):
            await response.write(piece)
        await response.write_eof()

    def _pieces(self, keys: list[Key]) -> Iterator[bytes]:
        """Return the exposition in pieces."""
        samples = MonitorSamples(features=self._features)
        for key in keys:
            resource = self._cache.get(Kind.MONITOR, key)
            if resource is not None:
                samples.add(key, resource, self._training_seconds(key))
        yield from samples.write()
        for family in self._registry.collect():
            yield generate_latest(_Single(family))


class _Single(CollectorRegistry):
    """A registry of one family of metrics, so that each is formatted on its own."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        self._family = family

    def collect(self) -> Iterator[Family]:
        """Return the family."""
        yield self._family
