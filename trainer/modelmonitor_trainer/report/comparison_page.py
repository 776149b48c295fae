"""Report page of a training: challenger against champion on the hold-out, and the decision of the gate."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelmonitor_api.messages import TrainRequest
from modelmonitor_trainer.model.metrics import title
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.report.check_page import render_page
from modelmonitor_trainer.text import number

_TONES = {
    "Promoted": "good",
    "AwaitingApproval": "good",
    "Rejected": "bad",
    "Inconclusive": "unsure",
    "NothingNew": "unsure",
}
_TITLES = {
    "Promoted": "Promoted",
    "AwaitingApproval": "Passed, awaits approval",
    "Rejected": "Rejected",
    "Inconclusive": "Inconclusive",
    "NothingNew": "Nothing new",
}
#: Side of a square chart, in units of its view box.
SIZE = 240.0
#: Width of the interval chart.
WIDTH = 320.0
#: Slices in the table; the number of the others is given.
_SLICES = 100
#: Trainings in the table of earlier ones.
_TRAININGS = 20


@dataclass(frozen=True)
class Chart:
    """A square chart of two models.

    Attributes
    ----------
    title, x, y
        Title of the chart and labels of its axes.
    lines
        Model → ``d`` of a path.
    dots
        Model → coordinates of points.
    reference
        ``d`` of the line of a model without skill, or of a perfect one.
    ends
        Labels of the ends of both axes: left, right, bottom, top.
    """

    title: str
    x: str
    y: str
    lines: Mapping[str, str]
    dots: Mapping[str, Sequence[tuple[float, float]]]
    reference: str
    ends: tuple[str, str, str, str]


@dataclass(frozen=True)
class IntervalBar:
    """A difference with its interval, in units of the chart.

    Attributes
    ----------
    low, value, high
        Positions of the interval and the estimate.
    zero, margin
        Positions of zero and of minus the margin.
    left, right
        Labels of the ends of the axis.
    """

    low: float
    value: float
    high: float
    zero: float
    margin: float
    left: str
    right: str


def render_comparison(
    request: TrainRequest,
    record: VersionRecord,
    evidence: Mapping[str, Any],
    parameters: Mapping[str, Any],
    outcome: str,
    reason: str,
    message: str,
    earlier: Sequence[VersionRecord] = (),
) -> str:
    """Return the page of a comparison.

    Parameters
    ----------
    request
        Request of the training.
    record
        Record of the version.
    evidence
        Result of :func:`~modelmonitor_trainer.report.comparison_evidence.collect_evidence`.
    parameters
        Contents of the version's ``parameters.json``.
    outcome, reason, message
        Outcome of the training.
    earlier
        Earlier versions, the newest first.
    """
    monitor = request.monitor
    slices = sorted(evidence["slices"], key=lambda part: (not part["worse"], not part["decides"], -part["rows"]))
    return render_page(
        "comparison.html.j2",
        {
            "title": f"{_TITLES[outcome]}: {record.version} of {monitor.name}",
            "tone": _TONES[outcome],
            "heading": f"{_TITLES[outcome]}: {record.version}",
            "sentence": message,
            "subtitle": f"Training {request.number} of {monitor.namespace}/{monitor.name}, "
            f"{record.created:%Y-%m-%d %H:%M} UTC, triggered by {request.reason}",
            "request": request,
            "record": record,
            "evidence": evidence,
            "reason": reason,
            "slices": slices[:_SLICES],
            "more_slices": max(0, len(slices) - _SLICES),
            "bar": interval_bar(evidence["champion"], evidence["margin"]),
            "charts": charts(evidence["curves"]),
            "parameters": parameters,
            "trend": trend([record, *earlier]),
            "metric_title": evidence["metricTitle"],
            "limit": request.spec.retraining.trainer.resources.limits.memory,
            "size": SIZE,
            "width": WIDTH,
        },
    )


def render_inconclusive(
    request: TrainRequest,
    outcome: str,
    reason: str,
    message: str,
    now: dt.datetime,
    earlier: Sequence[VersionRecord] = (),
) -> str:
    """Return the page of a training without a comparison.

    Parameters
    ----------
    request
        Request of the training.
    outcome, reason, message
        Why nothing was compared.
    now
        Current time.
    earlier
        Existing versions, the newest first.
    """
    monitor, spec = request.monitor, request.spec
    return render_page(
        "inconclusive.html.j2",
        {
            "title": f"{_TITLES[outcome]}: training {request.number} of {monitor.name}",
            "tone": _TONES[outcome],
            "heading": f"{_TITLES[outcome]}: no comparison",
            "sentence": message,
            "subtitle": f"Training {request.number} of {monitor.namespace}/{monitor.name}, {now:%Y-%m-%d %H:%M} UTC, "
            f"triggered by {request.reason}",
            "request": request,
            "spec": spec,
            "reason": reason,
            "trend": trend(earlier),
            "metric_title": title(earlier[0].metric) if earlier else "",
            "limit": spec.retraining.trainer.resources.limits.memory,
        },
    )


def trend(records: Sequence[VersionRecord]) -> list[dict[str, Any]]:
    """Return score and cost of each training, the newest first, as the rows of a table.

    ``share`` is the peak memory in percent of the largest one.
    """
    shown = records[:_TRAININGS]
    largest = max((record.peak_memory_bytes or 0 for record in shown), default=0)
    return [
        {
            "version": record.version,
            "created": f"{record.created:%Y-%m-%d %H:%M}",
            "outcome": record.outcome,
            "score": record.score,
            # A score in another metric than that of the column is marked with its metric.
            "other_metric": title(record.metric) if record.metric is not shown[0].metric else "",
            "rows": record.train.rows,
            "seconds": record.train_seconds,
            "mebibytes": None if record.peak_memory_bytes is None else record.peak_memory_bytes / 2**20,
            "share": round(100 * (record.peak_memory_bytes or 0) / largest, 1) if largest else 0.0,
        }
        for record in shown
    ]


def interval_bar(difference: Mapping[str, float] | None, margin: float) -> IntervalBar | None:
    """Return the positions of a difference in its chart; None without a champion."""
    if difference is None:
        return None
    low, value, high = difference["low"], difference["value"], difference["high"]
    extent = max(abs(low), abs(high), 1.5 * margin) or 1.0
    left, right = -1.1 * extent, 1.1 * extent

    def scale(x: float) -> float:
        return round(WIDTH * (x - left) / (right - left), 1)

    return IntervalBar(
        scale(low), scale(value), scale(high), scale(0.0), scale(-margin), f"{left:+.3g}", f"{right:+.3g}"
    )


def charts(curves: Mapping[str, Any]) -> list[Chart]:
    """Return the charts of the curves in the evidence."""
    unit = ("0", "1", "0", "1")
    diagonal = _path([[0.0, 0.0], [1.0, 1.0]])
    result = []
    if "roc" in curves:
        lines = {name: _path(points) for name, points in curves["roc"].items()}
        result.append(Chart("ROC curve", "false positive rate", "true positive rate", lines, {}, diagonal, unit))
    for curve in curves.get("rocByClass", ()):
        lines = {name: _path(points) for name, points in curve["curves"].items()}
        heading = f"ROC curve of {curve['class']}"
        result.append(Chart(heading, "false positive rate", "true positive rate", lines, {}, diagonal, unit))
    if "calibration" in curves:
        points = curves["calibration"]
        lines = {name: _path(bins) for name, bins in points.items()}
        dots = {name: [_position(x, y) for x, y in bins] for name, bins in points.items()}
        result.append(Chart("Calibration", "predicted probability", "observed frequency", lines, dots, diagonal, unit))
    if "residuals" in curves:
        result.append(_residual_chart(curves["residuals"]))
    return result


def _residual_chart(residuals: Mapping[str, Sequence[Sequence[float]]]) -> Chart:
    every = [point for points in residuals.values() for point in points]
    left, right = min(x for x, _ in every), max(x for x, _ in every)
    top = max(abs(y) for _, y in every) or 1.0
    width = (right - left) or 1.0
    dots = {
        name: [_position((x - left) / width, 0.5 + 0.5 * y / top) for x, y in points]
        for name, points in residuals.items()
    }
    ends = (number(left), number(right), number(-top), number(top))
    level = _path([[0.0, 0.5], [1.0, 0.5]])
    return Chart("Residuals", "predicted value", "true value minus predicted value", {}, dots, level, ends)


def _position(x: float, y: float) -> tuple[float, float]:
    return round(SIZE * x, 1), round(SIZE * (1 - y), 1)


def _path(points: Sequence[Sequence[float]]) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in (_position(*point) for point in points))
