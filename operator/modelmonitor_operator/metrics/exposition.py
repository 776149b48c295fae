"""The text format of Prometheus for many monitors, in pieces, so that a scrape takes little memory.

Each monitor is unpacked once. What it yields is kept in columns, a few bytes a sample, because the format wants all
samples of a metric in one place; then one metric after the other is written out. Formatting with a general library
takes twenty times as long, and the memory of all lines at once.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from modelmonitor_api.names import ConditionType
from modelmonitor_operator.cache import Key
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.metrics.definitions import MONITOR_METRICS, MONITORS, OF_MONITOR, Metric
from modelmonitor_operator.metrics.monitors import conditions_of, read_samples

#: Lines that are put together at a time.
_LINES = 2000
_STATUSES = ("True", "False", "Unknown")


class _Column:
    """The samples of one metric: the position of the monitor, further labels, and the value of each."""

    def __init__(self) -> None:
        self.positions = array("L")
        self.values = array("d")
        self.labels: list[str] = []


class MonitorSamples:
    """The samples of all monitors.

    Parameters
    ----------
    features
        Whether single columns have samples.
    """

    def __init__(self, *, features: bool = False) -> None:
        self._features = features
        self._monitors: list[str] = []
        self._columns = {metric: _Column() for metric in MONITOR_METRICS if metric is not MONITORS}
        self._words: dict[str, str] = {}
        self._conditions: Counter[tuple[str, str, str]] = Counter()
        self._namespaces: set[str] = set()

    def add(self, key: Key, resource: Object, training_seconds: float = 0.0) -> None:
        """Add a monitor with what its trainings have taken so far, in seconds."""
        position = len(self._monitors)
        self._monitors.append(_labels(dict(zip(OF_MONITOR, key, strict=True))))
        self._namespaces.add(key[0])
        for condition in conditions_of(resource):
            self._conditions[key[0], condition["type"], str(condition.get("status"))] += 1
        for metric, (values, value) in read_samples(resource, training_seconds, features=self._features):
            column = self._columns[metric]
            column.positions.append(position)
            column.values.append(value)
            labels = metric.labels[len(OF_MONITOR) :]
            if labels:
                text = "," + _labels(dict(zip(labels, values, strict=True)))
                column.labels.append(self._words.setdefault(text, text))  # the same words occur in many monitors

    def write(self) -> Iterator[bytes]:
        """Return the exposition in pieces; metrics without a sample are left out."""
        yield from _family(MONITORS, self._count_conditions())
        for metric, column in self._columns.items():
            yield from _family(metric, self._lines(metric, column))

    def _lines(self, metric: Metric, column: _Column) -> Iterator[str]:
        monitors, name = self._monitors, metric.name
        if column.labels:
            for position, labels, value in zip(column.positions, column.labels, column.values, strict=True):
                yield f"{name}{{{monitors[position]}{labels}}} {_value(value)}\n"
        else:
            for position, value in zip(column.positions, column.values, strict=True):
                yield f"{name}{{{monitors[position]}}} {_value(value)}\n"

    def _count_conditions(self) -> Iterator[str]:
        """Return how many monitors of each namespace have each condition, zeros included."""
        for namespace in sorted(self._namespaces):
            for kind in ConditionType:
                for status in _STATUSES:
                    values = (namespace, kind.value, status)
                    labels = _labels(dict(zip(MONITORS.labels, values, strict=True)))
                    yield f"{MONITORS.name}{{{labels}}} {self._conditions[values]}\n"


def _family(metric: Metric, lines: Iterable[str]) -> Iterator[bytes]:
    """Return the lines of a metric after those that describe it, in pieces."""
    batch = [f"# HELP {metric.name} {metric.help}\n", f"# TYPE {metric.name} {metric.type}\n"]
    head = len(batch)
    empty = True
    for line in lines:
        empty = False
        batch.append(line)
        if len(batch) >= _LINES + head:
            yield "".join(batch).encode()
            batch.clear()
    if batch and not empty:
        yield "".join(batch).encode()


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _value(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
