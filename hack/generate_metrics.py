"""Print the reference page of the metrics, generated from their definitions; `make manifests` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelmonitor_operator.metrics.definitions import MONITOR_METRICS, OF_MONITOR, OPERATOR_METRICS, Metric

HEAD = """<!-- Generated from the definitions of the metrics by hack/generate_metrics.py; do not edit. -->
# Metrics

The operator serves metrics for Prometheus under `/metrics` on a port of its own (`metrics.port` of the chart, 8081);
any other path is not found. [Metrics and alerts](../how-to/metrics-and-alerts.md) explains how to scrape them, the
alerts and the dashboards.

The metrics of monitors are read from the operator's cache when Prometheus asks for them, so the series of a deleted
monitor end at once. Labels never hold values of your data. Names of columns are labels only with `metrics.features`,
and of the five columns with the strongest evidence at most. A metric is absent as long as it has no value: before the
first check, without a champion, without labels. Scores have the unit of the monitor's metric
(`modelmonitor_champion_info`). What a pod of an earlier version did not report is absent until the next check or
training.
"""

MONITORS_HEAD = """## Monitors

Every metric has the labels `namespace` and `name` of the monitor, except `modelmonitor_monitors`, which counts. The
last column has the other labels.
"""

OPERATOR_HEAD = """## The operator

Counters begin at zero when the operator starts. Beside these there are the usual metrics of a process
(`process_resident_memory_bytes`, `process_cpu_seconds_total`, `process_start_time_seconds` and others).
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield HEAD
    yield MONITORS_HEAD
    yield from _table(MONITOR_METRICS)
    yield OPERATOR_HEAD
    yield from _table(OPERATOR_METRICS)


def _table(metrics: Iterable[Metric]) -> Iterator[str]:
    yield from ("| Metric | Type | Meaning | Labels |", "|---|---|---|---|")
    for metric in metrics:
        labels = metric.labels[2:] if metric.labels[:2] == OF_MONITOR else metric.labels
        shown = ", ".join(f"`{label}`" for label in labels)
        yield f"| `{metric.name}` | {metric.type} | {metric.help}. | {shown} |"
    yield ""


if __name__ == "__main__":
    print(page(), end="")
