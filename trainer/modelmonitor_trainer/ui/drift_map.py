"""Drift of each column over time as a heat map: one line a column, one cell a check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from modelmonitor_trainer.ui.results import FeatureEffect, StoredCheck

#: Lines that are drawn: the columns with the largest effects.
MOST_COLUMNS = 30
#: Effects from which a cell has the next color; the default of ``minimumEffect`` is the first.
LEVELS = (0.03, 0.08, 0.15, 0.3)


@dataclass(frozen=True)
class MapLine:
    """The cells of a column.

    Attributes
    ----------
    name
        The column.
    paths
        Level of color → ``d`` of the strokes along its cells; one cell is one unit long.
    drifted
        ``d`` of the strokes below the cells of checks that found drift.
    largest
        Its largest effect.
    summary
        What it shows, in a sentence.
    """

    name: str
    paths: tuple[tuple[int, str], ...]
    drifted: str
    largest: float
    summary: str


@dataclass(frozen=True)
class DriftMap:
    """A heat map.

    Attributes
    ----------
    lines
        The columns, that with the largest effect first.
    width
        Number of checks.
    first, last
        Days of the first and the last check.
    others
        Number of columns that are not drawn; their effects are smaller.
    """

    lines: tuple[MapLine, ...]
    width: int
    first: str
    last: str
    others: int


def drift_map_of(checks: Sequence[StoredCheck]) -> DriftMap | None:
    """Return the heat map of checks, oldest first; None with fewer than two that compared columns."""
    compared = [check for check in checks if check.effects]
    if len(compared) < 2:
        return None
    names = {name for check in compared for name in check.effects}
    lines = sorted((_line(name, compared) for name in names), key=lambda line: (-line.largest, line.name))
    return DriftMap(
        lines=tuple(lines[:MOST_COLUMNS]),
        width=len(compared),
        first=f"{compared[0].due:%Y-%m-%d}",
        last=f"{compared[-1].due:%Y-%m-%d}",
        others=max(0, len(lines) - MOST_COLUMNS),
    )


def _line(name: str, checks: Sequence[StoredCheck]) -> MapLine:
    effects = [check.effects.get(name) for check in checks]
    strokes: dict[int, list[str]] = {}
    for level, run in groupby(enumerate(effects), key=lambda item: None if item[1] is None else level_of(item[1])):
        cells = [index for index, _ in run]
        if level is not None:
            strokes.setdefault(level, []).append(f"M{cells[0]} 0h{len(cells)}")
    drifted = [index for index, effect in enumerate(effects) if effect is not None and effect.drifted]
    known = [(effect.effect, check) for effect, check in zip(effects, checks, strict=True) if effect is not None]
    largest, check = max(known, key=lambda item: item[0])
    count = f"drifted in {len(drifted)} of {len(known)} checks" if drifted else f"no drift in {len(known)} checks"
    return MapLine(
        name=name,
        paths=tuple((level, "".join(parts)) for level, parts in sorted(strokes.items())),
        drifted="".join(f"M{index} 8h1" for index in drifted),
        largest=largest,
        summary=f"{name}: {count}; largest effect {largest:.2f} on {check.due:%Y-%m-%d}",
    )


def level_of(effect: FeatureEffect) -> int:
    """Return the level of color of an effect, from 0."""
    return sum(effect.effect >= limit for limit in LEVELS)
