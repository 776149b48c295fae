"""Charts of a replay as SVG geometry: coordinates are computed here, drawn and escaped by the template."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelmonitor_api.messages import CheckVerdict
from modelmonitor_api.names import Role
from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.replay.result import PolicyKind, PolicyResult, ReplayResult, describe_outcome
from modelmonitor_trainer.replay.simulation import Event
from modelmonitor_trainer.text import number

#: Size of a chart, in units of its view box.
WIDTH, HEIGHT = 960.0, 240.0
#: Policies whose score is drawn: more lines cannot be distinguished.
_LINES = 4
#: Days over which scores are averaged in the chart.
_SMOOTHED_DAYS = 28
#: Quantile of the normal distribution for an interval of 95 %.
_NORMAL = 1.96
#: Styles of lines.
_STYLES = 10
#: Columns of the map of drift.
_FEATURES = 16


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes
    ----------
    name, kind
        Name and kind of the policy; the kind decides the style.
    number
        Number of its style, from 0.
    points
        Points of one or more polylines.
    """

    name: str
    kind: str
    number: int
    points: tuple[str, ...]


@dataclass(frozen=True)
class LineChart:
    """Lines over an axis.

    Attributes
    ----------
    lines
        The lines.
    top, bottom
        Labels of the vertical axis.
    ticks
        Position, in percent of the width, and label of marks on the horizontal axis.
    marker
        Position of a vertical mark; None for none.
    band
        Points of the area between the ends of the first line's intervals; empty for none.
    """

    lines: tuple[Line, ...]
    top: str
    bottom: str
    ticks: tuple[tuple[float, str], ...]
    marker: float | None = None
    band: str = ""


@dataclass(frozen=True)
class Block:
    """A block of a strip: a check, or a training.

    Attributes
    ----------
    x, width
        Position.
    tone
        Class of its style.
    title
        Tooltip.
    """

    x: float
    width: float
    tone: str
    title: str


@dataclass(frozen=True)
class MapRow:
    """Evidence of drift in one feature, by check.

    Attributes
    ----------
    name
        The feature.
    cells
        Position, width, opacity and tooltip of each cell.
    """

    name: str
    cells: tuple[tuple[float, float, float, str], ...]


@dataclass(frozen=True)
class Decisions:
    """What a monitor did over time.

    Attributes
    ----------
    checks, champions
        Strips of checks and of who served.
    trainings
        Trainings and rollbacks, as marks.
    features
        Evidence of drift, the features with the most first.
    ticks
        Months.
    """

    checks: tuple[Block, ...]
    champions: tuple[Block, ...]
    trainings: tuple[Block, ...]
    features: tuple[MapRow, ...]
    ticks: tuple[tuple[float, str], ...]


def scores_over_time(result: ReplayResult) -> LineChart | None:
    """Return the smoothed score of a few policies; None if nothing was scored."""
    chosen = _choose_policies(result)
    if not chosen or len(result.periods) < 2:
        return None
    length = (result.periods[0][1] - result.periods[0][0]).days + 1
    window = max(1, _SMOOTHED_DAYS // length)
    series = [_smooth(np.array(policy.served, dtype=float), window) for policy in chosen]
    reach = _reach(np.array(chosen[0].served, dtype=float), window)
    certain = result.own.mean is not None and result.own.mean.low is not None
    if not certain:  # too few values for an interval
        reach = np.zeros_like(reach)
    # What is better when greater is at most 1, and no error is below 0.
    least, most = (-np.inf, 1.0) if result.greater_is_better else (0.0, np.inf)
    ends = np.maximum(series[0] - reach, least), np.minimum(series[0] + reach, most)
    low, high = float(np.min([*series, ends[0]])), float(np.max([*series, ends[1]]))
    margin = 0.05 * (high - low) or 0.01
    low, high = max(low - margin, least), min(high + margin, most)
    middles = [start + (end - start) / 2 for start, end in result.periods]
    positions = [_day_position(day, result) for day in middles]
    styles = _styles(result)
    lines = tuple(
        Line(policy.name, policy.kind.value, styles[policy.name], (_points(positions, values, low, high),))
        for policy, values in zip(chosen, series, strict=True)
    )
    around = [*positions, *reversed(positions)]
    band = _points(around, np.concatenate([ends[1], ends[0][::-1]]), low, high) if certain else ""
    return LineChart(lines, number(high), number(low), _months(result), band=band)


def regret_by_price(result: ReplayResult) -> LineChart | None:
    """Return how far each policy is from the oracle, by the price of a training; None without an oracle."""
    curve = result.curve
    if curve is None:
        return None
    own = result.own.name
    ranked = sorted(curve.regrets, key=lambda name: float(np.mean(np.sqrt(np.maximum(0, curve.regrets[name])))))
    names = list(dict.fromkeys([own, *ranked]))[:_STYLES]
    # Regrets grow with the price: a square root shows what happens at low prices, too.
    values = {name: np.sqrt(np.maximum(0.0, np.array(curve.regrets[name]))) for name in names if name in curve.regrets}
    highest = max(float(series.max()) for series in values.values()) or 1.0
    typical = float(np.median([series.max() for series in values.values()]))
    highest = min(highest, 2.5 * typical) or highest
    logs = np.log(np.array(curve.prices))
    positions = [WIDTH * float((x - logs[0]) / (logs[-1] - logs[0])) for x in logs]
    kinds, styles = {policy.name: policy.kind.value for policy in result.policies}, _styles(result)
    lines = [
        Line(name, kinds[name], styles[name], (_points(positions, np.minimum(series, highest), 0.0, highest),))
        for name, series in values.items()
    ]
    ticks = tuple(
        (100 * (math.log(price) - logs[0]) / (logs[-1] - logs[0]), result.prices.describe(price))
        for price in curve.prices[:: max(1, len(curve.prices) // 4)]
    )
    marker = None
    if result.prices.training > 0:
        marker = WIDTH * float((math.log(result.prices.training) - logs[0]) / (logs[-1] - logs[0]))
    return LineChart(tuple(lines), result.prices.describe(highest**2), "0", ticks, marker)


def chart_decisions(result: ReplayResult) -> Decisions:
    """Return what the monitor did over time."""
    events = result.own.events
    checks = [event for event in events if event.job.role is Role.CHECK]
    width = max(1.2, WIDTH / max(1, len(checks)))
    strip = tuple(
        Block(_time(event.time, result), width, _tone(event), f"{event.time:%Y-%m-%d}: {describe_outcome(event)}")
        for event in checks
    )
    changes = tuple(
        Block(max(5.0, _time(event.time, result)), 0, _tone(event), _title(event))
        for event in events
        if event.job.role is not Role.CHECK
    )
    return Decisions(strip, _tenures(result), changes, _features(checks, width, result), _months(result))


def _choose_policies(result: ReplayResult) -> list[PolicyResult]:
    """Return the monitor, the oracle, the best of the others, and never retraining."""
    scored = [policy for policy in result.policies if policy.served and policy.cost is not None]
    others = sorted(
        (policy for policy in scored[1:] if policy.kind is not PolicyKind.ORACLE), key=lambda policy: policy.cost or 0.0
    )
    never = [policy for policy in others if policy.name == "never retrain"]
    oracle = [policy for policy in scored if policy.kind is PolicyKind.ORACLE]
    chosen = {policy.name: policy for policy in [*scored[:1], *oracle, *others[:1], *never, *others[1:]]}
    return list(chosen.values())[:_LINES]


def _styles(result: ReplayResult) -> dict[str, int]:
    """Return the number of the style of each policy, the same in all charts."""
    return {policy.name: number % _STYLES for number, policy in enumerate(result.policies)}


def _smooth(values: Floats, window: int) -> Floats:
    """Return centred means over a window, which is shorter at the ends."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    index = np.arange(values.size)
    low, high = np.maximum(0, index - window // 2), np.minimum(values.size, index + (window + 1) // 2)
    means: Floats = (sums[high] - sums[low]) / (high - low)
    return means


def _reach(values: Floats, window: int) -> Floats:
    """Return half the width of the 95 % interval of each mean over a window, of periods that are independent."""
    squares = np.maximum(0.0, _smooth(values**2, window) - _smooth(values, window) ** 2)
    index = np.arange(values.size)
    low, high = np.maximum(0, index - window // 2), np.minimum(values.size, index + (window + 1) // 2)
    counts = np.maximum(2, high - low)
    reach: Floats = _NORMAL * np.sqrt(squares / (counts - 1))
    return reach


def _points(positions: Sequence[float], values: Floats, low: float, high: float) -> str:
    heights = HEIGHT * (high - values) / (high - low)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(positions, heights, strict=True))


def _day_position(day: dt.date, result: ReplayResult) -> float:
    span = max(1, (result.last - result.first).days + 1)
    return WIDTH * ((day - result.first).days + 0.5) / span


def _time(time: dt.datetime, result: ReplayResult) -> float:
    start = dt.datetime.combine(result.first, dt.time(), dt.UTC)
    span = max(1, (result.last - result.first).days + 1)
    return WIDTH * ((time - start) / dt.timedelta(days=1)) / span


def _months(result: ReplayResult) -> tuple[tuple[float, str], ...]:
    """Return the first days of months, at most about twelve."""
    firsts = []
    day = result.first.replace(day=1)
    while day <= result.last:
        if day >= result.first:
            firsts.append(day)
        day = (day + dt.timedelta(days=32)).replace(day=1)
    step = max(1, -(-len(firsts) // 12))
    return tuple(
        (100 * _day_position(day, result) / WIDTH, f"{day:%b %Y}" if day.month == 1 or index == 0 else f"{day:%b}")
        for index, day in enumerate(firsts[::step])
    )


def _tenures(result: ReplayResult) -> tuple[Block, ...]:
    """Return who served when, by the evaluation periods."""
    blocks: list[Block] = []
    start = 0
    models = result.own.models
    for index in range(1, len(models) + 1):
        if index == len(models) or models[index] != models[start]:
            first, last = result.periods[start][0], result.periods[index - 1][1]
            half = WIDTH * 0.5 / max(1, (result.last - result.first).days + 1)
            x, end = _day_position(first, result) - half, _day_position(last, result) + half
            blocks.append(Block(x, end - x, f"turn-{len(blocks) % 2}", f"{models[start]}: {first} to {last}"))
            start = index
    return tuple(blocks)


def _features(checks: Sequence[Event], width: float, result: ReplayResult) -> tuple[MapRow, ...]:
    """Return the evidence of drift by feature; checks report their strongest features only."""
    cells: dict[str, list[tuple[float, float, float, str]]] = {}
    weight: dict[str, float] = {}
    for event in checks:
        if not isinstance(event.answer, CheckVerdict):
            continue
        for feature in event.answer.top_features:
            effect = float(feature.effect)
            title = f"{event.time:%Y-%m-%d}: effect {effect:.2f}{', drifted' if feature.drifted else ''}"
            shade = min(1.0, 0.15 + effect) if feature.drifted else min(0.35, 0.05 + 0.5 * effect)
            cells.setdefault(feature.name, []).append((_time(event.time, result), width, shade, title))
            weight[feature.name] = weight.get(feature.name, 0.0) + (effect if feature.drifted else 0.0)
    ranked = sorted(cells, key=lambda name: -weight[name])
    return tuple(MapRow(name, tuple(cells[name])) for name in ranked[:_FEATURES] if weight[name] > 0)


_TONES = {
    "NoDrift": "good",
    "Drift": "bad",
    "PerformanceDrop": "bad",
    "Corrupted": "broken",
    "ChampionUnusable": "broken",
    "Inconclusive": "unsure",
    "Failed": "broken",
    "Promoted": "good",
    "Rejected": "bad",
    "RolledBack": "broken",
}


def _tone(event: Event) -> str:
    return _TONES.get(describe_outcome(event), "unsure")


def _title(event: Event) -> str:
    trigger = event.job.trigger.partition(":")[0]
    return (
        f"{event.time:%Y-%m-%d}: {event.job.role.value}{f' ({trigger})' if trigger else ''}: {describe_outcome(event)}"
    )
