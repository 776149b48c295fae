"""Score over time as SVG geometry: blocks of days, and the champion's score at promotion."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from modelmonitor_api.spec import Metric
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.detect.score_timeline import Period
from modelmonitor_trainer.report.histogram import WIDTH
from modelmonitor_trainer.text import number

#: Height of the chart, in units of its view box; the width is that of every chart.
TIMELINE_HEIGHT = 120.0
#: Margin at the sides, so that marks are not clipped.
_MARGIN = 8.0


@dataclass(frozen=True)
class Mark:
    """A block of days in the chart.

    Attributes
    ----------
    x, y
        Position of the score.
    low, high
        The y of the ends of its interval; that of the score if there is none.
    worse
        Whether the whole interval is worse than tolerated.
    title
        Text of the tooltip.
    """

    x: float
    y: float
    low: float
    high: float
    worse: bool
    title: str


@dataclass(frozen=True)
class Row:
    """A block of days in the table that accompanies the chart."""

    days: str
    rows: int
    score: float | None
    low: float | None
    high: float | None
    worse: bool


@dataclass(frozen=True)
class Timeline:
    """A chart of the score over time.

    Attributes
    ----------
    marks
        Blocks that have a score.
    line
        ``points`` of the line through them.
    promotion_score, allowed
        The y of the score at promotion, and of the worst score that is tolerated; None if unknown.
    promise
        The score at promotion, as text.
    top, bottom
        Labels of the ends of the axis.
    first, last
        First and last day.
    rows
        Every block, for the table.
    days
        Days in a block.
    """

    marks: tuple[Mark, ...]
    line: str
    promotion_score: float | None
    allowed: float | None
    promise: str
    top: str
    bottom: str
    first: str
    last: str
    rows: tuple[Row, ...]
    days: int

    @property
    def summary(self) -> str:
        """Description of the chart in one sentence."""
        worse = sum(row.worse for row in self.rows)
        unit = "days" if self.days == 1 else f"blocks of {self.days} days"
        text = f"Score over time, {self.first} to {self.last}, {len(self.rows)} {unit}"
        return text if self.allowed is None else f"{text}; worse than tolerated in {worse}"


def timeline_of(result: PerformanceResult) -> Timeline | None:
    """Return the chart of the score over time; None if fewer than two blocks have a score."""
    scored = [period for period in result.periods if period.score is not None]
    if len(scored) < 2:
        return None
    # Imported here because it loads scikit-learn, which checks without a score do not need.
    from modelmonitor_trainer.model.metrics import sign

    direction = sign(Metric(result.metric))
    allowed = None if result.promotion_score is None else result.promotion_score - direction * result.max_drop
    low, high = _range(scored, [value for value in (result.promotion_score, allowed) if value is not None])
    start, end = result.periods[0].start, result.periods[-1].end
    span = max(1, (end - start).days + 1)

    def height(value: float) -> float:
        return min(TIMELINE_HEIGHT, max(0.0, TIMELINE_HEIGHT * (high - value) / (high - low)))

    marks = []
    for period in scored:
        assert period.score is not None
        ends = (period.score, period.score) if period.low is None or period.high is None else (period.low, period.high)
        middle = (period.start - start).days + (period.end - period.start).days / 2 + 0.5
        marks.append(
            Mark(
                x=_MARGIN + (WIDTH - 2 * _MARGIN) * middle / span,
                y=height(period.score),
                low=height(ends[0]),
                high=height(ends[1]),
                worse=_worse(period, direction, allowed),
                title=_title(period),
            )
        )
    return Timeline(
        marks=tuple(marks),
        line=" ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in marks),
        promotion_score=None if result.promotion_score is None else height(result.promotion_score),
        allowed=None if allowed is None else height(allowed),
        promise="" if result.promotion_score is None else f"{number(result.promotion_score)} at promotion",
        top=number(high),
        bottom=number(low),
        first=start.isoformat(),
        last=end.isoformat(),
        rows=tuple(
            Row(_days(p.start, p.end), p.rows, p.score, p.low, p.high, _worse(p, direction, allowed))
            for p in result.periods
        ),
        days=(result.periods[0].end - start).days + 1,
    )


def _range(periods: list[Period], lines: list[float]) -> tuple[float, float]:
    """Return the ends of the axis: all scores and lines, and intervals unless they would dwarf the scores."""
    values = [period.score for period in periods if period.score is not None] + lines
    ends = [end for period in periods for end in (period.low, period.high) if end is not None]
    low, high = min(values), max(values)
    # The wide interval of a block with few rows must not flatten all others.
    room = (high - low) or max(abs(high), 1.0) * 0.05
    low, high = max(min([low, *ends]), low - room), min(max([high, *ends]), high + room)
    margin = 0.06 * (high - low) or max(abs(high), 1.0) * 0.05
    return low - margin, high + margin


def _worse(period: Period, direction: float, allowed: float | None) -> bool:
    best = period.high if direction > 0 else period.low
    return allowed is not None and best is not None and direction * (best - allowed) < 0


def _title(period: Period) -> str:
    interval = "" if period.low is None or period.high is None else f" ({number(period.low)} to {number(period.high)})"
    score = "" if period.score is None else number(period.score)
    return f"{_days(period.start, period.end)}: {score}{interval}, {period.rows:,} rows"


def _days(start: dt.date, end: dt.date) -> str:
    return f"{start}" if start == end else f"{start} to {end}"
