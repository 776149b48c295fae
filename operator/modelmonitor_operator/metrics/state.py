"""Metrics of what the controller is doing now: its queue and its watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from modelmonitor_operator.gateway import Kind
from modelmonitor_operator.metrics import definitions as d
from modelmonitor_operator.metrics.definitions import Metric
from modelmonitor_operator.workqueue import WorkQueue

#: Namespace (None: all) and kind of a watch, and when it last received something, in seconds since 1970.
WatchTime = tuple[Kind, str | None, float]


class StateCollector(Collector):
    """Reads the state when Prometheus asks for it.

    Parameters
    ----------
    version
        Version of the operator.
    resync_seconds
        Its setting.
    queue
        The queue of passes.
    watches
        Returns the watches.
    """

    def __init__(
        self,
        version: str,
        resync_seconds: float,
        queue: WorkQueue[tuple[str, str]],
        watches: Callable[[], Iterable[WatchTime]],
    ) -> None:
        self._version = version
        self._resync_seconds = resync_seconds
        self._queue = queue
        self._watches = watches

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the metrics."""
        yield _family(d.OPERATOR, [((self._version,), 1.0)])
        depths = self._queue.depths()
        yield _family(d.QUEUE_DEPTH, [((priority.name.lower(),), count) for priority, count in depths.items()])
        yield _family(d.FAILING, [((), self._queue.failing)])
        yield _family(d.RESYNC_INTERVAL, [((), self._resync_seconds)])
        yield _family(d.WATCH, [((kind.plural, namespace or ""), seen) for kind, namespace, seen in self._watches()])


def _family(metric: Metric, samples: Iterable[tuple[tuple[str, ...], float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family
