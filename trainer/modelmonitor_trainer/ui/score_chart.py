"""The served score over time as SVG geometry: one mark a check, and what each champion had promised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelmonitor_trainer.report.histogram import WIDTH
from modelmonitor_trainer.text import number
from modelmonitor_trainer.ui.results import StoredCheck

HEIGHT = 120.0
_MARGIN = 8.0


@dataclass(frozen=True)
class ScoreMark:
    """The score of a check: position, ends of its interval, and its tooltip."""

    x: float
    y: float
    low: float
    high: float
    title: str


@dataclass(frozen=True)
class ScoreChart:
    """A chart of the served score.

    Attributes
    ----------
    metric
        Metric of the scores.
    marks
        Checks that scored the champion.
    line
        ``points`` of the line through them.
    promise
        ``d`` of the line of promised scores; empty if none is known.
    top, bottom
        Labels of the ends of the axis.
    first, last
        Days of the first and the last check.
    summary
        What it shows, in a sentence.
    """

    metric: str
    marks: tuple[ScoreMark, ...]
    line: str
    promise: str
    top: str
    bottom: str
    first: str
    last: str
    summary: str


@dataclass(frozen=True)
class _Point:
    """The figures of a check."""

    check: StoredCheck
    score: float
    low: float
    high: float
    promised: float | None
    rows: int


def score_chart_of(checks: Sequence[StoredCheck]) -> ScoreChart | None:
    """Return the chart of checks, oldest first; None with fewer than two scores in the newest metric."""
    metrics = [check.score.metric for check in checks if check.score is not None]
    points = [point for check in checks if (point := _point_of(check, metrics[-1:])) is not None]
    if len(points) < 2:
        return None
    values = [value for point in points for value in (point.low, point.high, point.promised) if value is not None]
    bottom, top = min(values), max(values)
    margin = 0.08 * (top - bottom) or max(abs(top), 1.0) * 0.05
    bottom, top = bottom - margin, top + margin
    start, end = points[0].check.due, points[-1].check.due
    span = max((end - start).total_seconds(), 1.0)

    def across(point: _Point) -> float:
        return _MARGIN + (WIDTH - 2 * _MARGIN) * (point.check.due - start).total_seconds() / span

    def height(value: float) -> float:
        return HEIGHT * (top - value) / (top - bottom)

    marks = tuple(
        ScoreMark(across(point), height(point.score), height(point.low), height(point.high), _title(point))
        for point in points
    )
    return ScoreChart(
        metric=metrics[-1],
        marks=marks,
        line=" ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in marks),
        promise="".join(_promise_steps([(across(point), point.promised) for point in points], height)),
        top=number(top),
        bottom=number(bottom),
        first=f"{start:%Y-%m-%d}",
        last=f"{end:%Y-%m-%d}",
        summary=f"{metrics[-1]} of the champion in {len(points)} checks, from {number(points[0].score)} on "
        f"{start:%Y-%m-%d} to {number(points[-1].score)} on {end:%Y-%m-%d}",
    )


def _point_of(check: StoredCheck, metrics: Sequence[str]) -> _Point | None:
    served = check.score
    if served is None or served.metric not in metrics:
        return None
    try:
        score = float(served.score)
        low = score if served.low is None else float(served.low)
        high = score if served.high is None else float(served.high)
        promised = None if served.promised is None else float(served.promised)
    except ValueError:
        return None
    return _Point(check, score, low, high, promised, served.rows)


def _promise_steps(promises: Sequence[tuple[float, float | None]], height: Callable[[float], float]) -> list[str]:
    """Return the strokes of the promised score, which changes with the champion."""
    steps: list[str] = []
    before: float | None = None
    for x, promised in promises:
        if promised is None:
            before = None
            continue
        if before is None:
            steps.append(f"M{x:.1f} {height(promised):.1f}")
        elif promised == before:
            steps.append(f"H{x:.1f}")
        else:
            steps.append(f"H{x:.1f}V{height(promised):.1f}")
        before = promised
    return steps


def _title(point: _Point) -> str:
    interval = f" ({number(point.low)} to {number(point.high)})" if point.low != point.high else ""
    promised = "" if point.promised is None else f", {number(point.promised)} promised"
    return f"{point.check.due:%Y-%m-%d}: {number(point.score)}{interval}{promised}, {point.rows:,} rows"
