"""Counters and durations of the operator since its start."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

from modelmonitor_api.outcomes import TrainingOutcome
from modelmonitor_api.status import ModelMonitorStatus
from modelmonitor_operator.cache import Key
from modelmonitor_operator.gateway import GatewayError
from modelmonitor_operator.metrics import definitions as d
from modelmonitor_operator.metrics.definitions import Metric
from modelmonitor_operator.words import known_word

_MIB = 2**20
#: Upper bounds of the histograms: seconds of a pass, seconds of a training, and bytes.
_PASS_SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 30)
_TRAINING_SECONDS = (30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
_TRAINING_BYTES = tuple(size * _MIB for size in (256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536))

#: Errors of a pass that are not the API server's.
UNEXPECTED = "Unexpected"


class Activity:
    """What the operator has done since its start.

    Attributes
    ----------
    registry
        Its metrics, and those of the process.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # a series of each counter that says when it was created: the process has one
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._decisions = self._counter(d.DECISIONS)
        self._durations = self._histogram(d.TRAINING_DURATION, _TRAINING_SECONDS)
        self._memory = self._histogram(d.TRAINING_MEMORY, _TRAINING_BYTES)
        self._passes = self._histogram(d.RECONCILE_DURATION, _PASS_SECONDS)
        self._errors = self._counter(d.RECONCILE_ERRORS)
        self._requests = self._counter(d.REQUESTS)
        self._notifications = self._counter(d.NOTIFICATIONS)
        self._training_seconds: dict[Key, float] = {}
        # Series that begin at zero, so that their first increase is seen.
        for outcome in TrainingOutcome:
            self._durations.labels(outcome.value)
            self._memory.labels(outcome.value)

    @contextlib.contextmanager
    def count_errors(self) -> Iterator[None]:
        """Count an exception that ends a pass, and let it through."""
        try:
            yield
        except Exception as error:
            self._errors.labels(type(error).__name__ if isinstance(error, GatewayError) else UNEXPECTED).inc()
            raise

    @contextlib.contextmanager
    def measure_pass(self, source: str) -> Iterator[None]:
        """Measure a pass that gets to its end."""
        start = time.perf_counter()
        yield
        self._passes.labels(source).observe(time.perf_counter() - start)

    def count_request(self, verb: str, code: str) -> None:
        """Count a request to the API server; can be called from any thread."""
        self._requests.labels(verb, code).inc()

    def count_notification(self, outcome: str) -> None:
        """Count an attempt to deliver a notification."""
        self._notifications.labels(outcome).inc()

    def count_changes(self, key: Key, old: ModelMonitorStatus, new: ModelMonitorStatus) -> None:
        """Count the decisions, and the training that has ended, between two versions of a status."""
        recorded = {(entry.time, entry.action) for entry in old.decisions}
        for entry in new.decisions:
            if (entry.time, entry.action) not in recorded:
                self._decisions.labels(known_word(entry.action), known_word(entry.reason)).inc()
        before, last = old.last_training, new.last_training
        if last is None or last.completion_time is None or last.outcome is None:
            return
        if before is not None and (before.number, before.completion_time) == (last.number, last.completion_time):
            return
        seconds = max(0.0, (last.completion_time - last.start_time).total_seconds())
        outcome = known_word(last.outcome)
        self._durations.labels(outcome).observe(seconds)
        self._training_seconds[key] = self._training_seconds.get(key, 0.0) + seconds
        if last.peak_memory_bytes is not None:
            self._memory.labels(outcome).observe(last.peak_memory_bytes)

    def training_seconds(self, key: Key) -> float:
        """Return how long the trainings of a monitor took."""
        return self._training_seconds.get(key, 0.0)

    def forget(self, key: Key) -> None:
        """Forget a monitor that no longer exists."""
        self._training_seconds.pop(key, None)

    def _counter(self, metric: Metric) -> Counter:
        # The library adds the suffix itself.
        return Counter(metric.name.removesuffix("_total"), metric.help, metric.labels, registry=self.registry)

    def _histogram(self, metric: Metric, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(metric.name, metric.help, metric.labels, registry=self.registry, buckets=buckets)
