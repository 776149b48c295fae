"""The page of a training: the challenger and the champion on the same later rows, and why one of them serves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelmonitor_api.messages import TrainRequest
from modelmonitor_trainer.model.metrics import title
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.report.check_page import render_page

_TONES = {"Promoted": "good", "AwaitingApproval": "good", "Rejected": "bad", "Inconclusive": "unsure"}
_TITLES = {
    "Promoted": "Promoted",
    "AwaitingApproval": "Passed, awaits approval",
    "Rejected": "Rejected",
    "Inconclusive": "Inconclusive",
}
#: Size of a square chart, in units of its view box.
SIZE = 240.0
#: Width of the chart of intervals.
WIDTH = 320.0
#: Slices that are drawn; all are counted.
_SLICES = 100
#: Trainings that are shown for comparison.
_TRAININGS = 20


@dataclass(frozen=True)
class Chart:
    """A square chart of two models.

    Attributes
    ----------
    title, x, y
        What it shows.
    lines
        Model → ``d`` of a path.
    dots
        Model → places of points.
    reference
        ``d`` of the line that a model without skill, or a perfect one, would draw.
    ends
        What the ends of both axes stand for: left, right, bottom, top.
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
    """A difference with its interval, in the units of the chart.

    Attributes
    ----------
    low, value, high
        Where it is drawn.
    zero, margin
        Where no difference is, and the largest loss that counts as none.
    left, right
        What the ends of the axis stand for.
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
    found: Mapping[str, Any],
    parameters: Mapping[str, Any],
    outcome: str,
    reason: str,
    message: str,
    earlier: Sequence[VersionRecord] = (),
) -> str:
    """Return the page.

    Parameters
    ----------
    request
        What was asked.
    record
        The version.
    found
        What :func:`~modelmonitor_trainer.report.comparison_evidence.evidence` returned.
    parameters
        What the version was made with.
    outcome, reason, message
        How the training ended.
    earlier
        Versions before it, the newest first.
    """
    monitor = request.monitor
    slices = sorted(found["slices"], key=lambda part: (not part["worse"], not part["decides"], -part["rows"]))
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
            "found": found,
            "reason": reason,
            "slices": slices[:_SLICES],
            "more_slices": max(0, len(slices) - _SLICES),
            "bar": interval_bar(found["champion"], found["margin"]),
            "charts": charts(found["curves"]),
            "parameters": parameters,
            "trend": trend([record, *earlier]),
            "metric_title": found["metricTitle"],
            "limit": request.spec.retraining.trainer.resources.limits.memory,
            "size": SIZE,
            "width": WIDTH,
        },
    )


def render_undecided(
    request: TrainRequest, reason: str, message: str, now: dt.datetime, earlier: Sequence[VersionRecord] = ()
) -> str:
    """Return the page of a training that came to no comparison.

    Parameters
    ----------
    request
        What was asked.
    reason, message
        Why there was none.
    now
        The present.
    earlier
        The versions that there are, the newest first.
    """
    monitor, spec = request.monitor, request.spec
    return render_page(
        "undecided.html.j2",
        {
            "title": f"{_TITLES['Inconclusive']}: training {request.number} of {monitor.name}",
            "tone": _TONES["Inconclusive"],
            "heading": f"{_TITLES['Inconclusive']}: nothing was compared",
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
    """Return what each training took and gave, the newest first, as the rows of a table.

    ``share`` is its memory in hundredths of the most that any of them has had.
    """
    shown = records[:_TRAININGS]
    most = max((record.peak_memory_bytes or 0 for record in shown), default=0)
    return [
        {
            "version": record.version,
            "made": f"{record.created:%Y-%m-%d %H:%M}",
            "outcome": record.outcome,
            "score": record.score,
            # Another metric's figure does not belong in one column with this one's.
            "other_metric": title(record.metric) if record.metric is not shown[0].metric else "",
            "rows": record.train.rows,
            "seconds": record.train_seconds,
            "mebibytes": None if record.peak_memory_bytes is None else record.peak_memory_bytes / 2**20,
            "share": round(100 * (record.peak_memory_bytes or 0) / most, 1) if most else 0.0,
        }
        for record in shown
    ]


def interval_bar(difference: Mapping[str, float] | None, margin: float) -> IntervalBar | None:
    """Return where a difference is drawn; None where there is no champion."""
    if difference is None:
        return None
    low, value, high = difference["low"], difference["value"], difference["high"]
    reach = max(abs(low), abs(high), 1.5 * margin) or 1.0
    left, right = -1.1 * reach, 1.1 * reach

    def place(x: float) -> float:
        return round(WIDTH * (x - left) / (right - left), 1)

    return IntervalBar(
        place(low), place(value), place(high), place(0.0), place(-margin), f"{left:+.3g}", f"{right:+.3g}"
    )


def charts(curves: Mapping[str, Any]) -> list[Chart]:
    """Return the charts of what is in the evidence."""
    unit = ("0", "1", "0", "1")
    diagonal = _path([[0.0, 0.0], [1.0, 1.0]])
    made = []
    if "roc" in curves:
        lines = {name: _path(points) for name, points in curves["roc"].items()}
        made.append(
            Chart("ROC curve", "share of negatives taken", "share of positives found", lines, {}, diagonal, unit)
        )
    for one in curves.get("rocByClass", ()):
        lines = {name: _path(points) for name, points in one["curves"].items()}
        named = f"ROC curve of {one['class']}"
        made.append(Chart(named, "share of all others taken", "share of its rows found", lines, {}, diagonal, unit))
    if "calibration" in curves:
        points = curves["calibration"]
        lines = {name: _path(found) for name, found in points.items()}
        dots = {name: [_place(x, y) for x, y in found] for name, found in points.items()}
        made.append(Chart("Calibration", "predicted probability", "share that came", lines, dots, diagonal, unit))
    if "residuals" in curves:
        made.append(_residual_chart(curves["residuals"]))
    return made


def _residual_chart(residuals: Mapping[str, Sequence[Sequence[float]]]) -> Chart:
    every = [point for points in residuals.values() for point in points]
    left, right = min(x for x, _ in every), max(x for x, _ in every)
    top = max(abs(y) for _, y in every) or 1.0
    width = (right - left) or 1.0
    dots = {
        name: [_place((x - left) / width, 0.5 + 0.5 * y / top) for x, y in points] for name, points in residuals.items()
    }
    ends = (f"{left:.4g}", f"{right:.4g}", f"{-top:.4g}", f"{top:.4g}")
    level = _path([[0.0, 0.5], [1.0, 0.5]])
    return Chart("Errors", "predicted value", "true less predicted value", {}, dots, level, ends)


def _place(x: float, y: float) -> tuple[float, float]:
    return round(SIZE * x, 1), round(SIZE * (1 - y), 1)


def _path(points: Sequence[Sequence[float]]) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in (_place(*point) for point in points))
