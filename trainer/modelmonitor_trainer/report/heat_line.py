"""Heat lines: the distance of each day or file of a column as a row of cells, the reference first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from modelmonitor_trainer.detect.batch_distances import BatchDistances

#: Maximum number of cells of a side; neighbouring batches share a cell beyond that, which has the largest distance.
MOST_CELLS = 120
#: Levels of color: 0 for usual distances, and four beyond.
LEVELS = 5
#: Cells between the two sides.
_GAP = 1
#: With fewer batches there is nothing to see.
_FEWEST = 3
#: So many batches at the end of the current window make a change that lasts.
_LASTING = 3


@dataclass(frozen=True)
class Cell:
    """One cell: its position, its level of color (None without rows), and its tooltip."""

    x: int
    level: int | None
    title: str


@dataclass(frozen=True)
class HeatLine:
    """The cells of a column.

    Attributes
    ----------
    cells
        All cells.
    paths
        Level → ``d`` of the strokes along its cells; one cell is one unit long.
    reference_cells, current_start, width
        Units of the reference, where the current window starts, and of all.
    ends
        Names of the first and the last batch of the reference, and of the current window.
    summary
        What it shows, in a sentence.
    """

    cells: tuple[Cell, ...]
    paths: tuple[tuple[int, str], ...]
    reference_cells: int
    current_start: int
    width: int
    ends: tuple[str, str, str, str]
    summary: str


def heat_line_of(
    apart: BatchDistances,
    names: tuple[Sequence[str], Sequence[str]],
    minimum: float,
    detectable: float,
    nouns: tuple[str, str],
) -> HeatLine | None:
    """Return the heat line of a column; None with too few batches.

    Parameters
    ----------
    apart
        The distance of each batch from the reference.
    names
        Of the batches of the reference and of the current window.
    minimum, detectable
        ``minimumEffect``, below which a distance is usual, and ``detectableEffect``: one that is larger than usual by
        that much has the strongest color.
    nouns
        What a batch is, in singular and plural: day and days, or file and files.
    """
    sides = (apart.reference.tolist(), apart.current.tolist())
    if not all(map(len, sides)) or sum(map(len, sides)) < _FEWEST or tuple(map(len, names)) != tuple(map(len, sides)):
        return None
    usual = max(apart.usual, minimum)
    cells: list[Cell] = []
    starts = []
    for side, (values, of_side) in enumerate(zip(sides, names, strict=True)):
        starts.append(len(cells) + _GAP * side)
        for first, merged, name in _merge_cells(values, of_side):
            title = f"{name}: {'no rows' if merged is None else f'distance {merged:.3f}'}"
            cells.append(Cell(starts[-1] + first, _level(merged, usual, detectable), title))
    reference_cells = starts[1] - _GAP
    return HeatLine(
        cells=tuple(cells),
        paths=_paths(cells),
        reference_cells=reference_cells,
        current_start=starts[1],
        width=len(cells) + _GAP,
        ends=(names[0][0], names[0][-1], names[1][0], names[1][-1]),
        summary=_summary(sides[1], names[1], usual, nouns),
    )


def _merge_cells(values: Sequence[float], names: Sequence[str]) -> list[tuple[int, float | None, str]]:
    """Return position, largest distance and name of each cell of a side."""
    size = -(-len(values) // MOST_CELLS)
    merged = []
    for position, start in enumerate(range(0, len(values), size)):
        part = [value for value in values[start : start + size] if not math.isnan(value)]
        last = min(start + size, len(names)) - 1
        name = names[start] if start == last else f"{names[start]} to {names[last]}, at most"
        merged.append((position, max(part) if part else None, name))
    return merged


def _level(distance: float | None, usual: float, detectable: float) -> int | None:
    if distance is None:
        return None
    if distance <= usual:
        return 0
    return min(LEVELS - 1, 1 + int((LEVELS - 1) * (distance - usual) / detectable))


def _paths(cells: Sequence[Cell]) -> tuple[tuple[int, str], ...]:
    """Return the strokes of each level; neighbouring cells of a level are one stroke."""
    strokes: dict[int, list[str]] = {}
    runs = groupby(enumerate(cells), key=lambda item: (item[1].level, item[1].x - item[0]))
    for (level, _), run in runs:
        of_run = [cell.x for _, cell in run]
        if level is not None:
            strokes.setdefault(level, []).append(f"M{of_run[0]} 0h{len(of_run)}")
    return tuple((level, "".join(parts)) for level, parts in sorted(strokes.items()))


def _summary(distances: Sequence[float], names: Sequence[str], usual: float, nouns: tuple[str, str]) -> str:
    """Return what the current batches show; that single ones are beyond the usual is not unusual."""
    one, several = nouns
    beyond = [not math.isnan(distance) and distance > usual for distance in distances]
    count, most = sum(beyond), len(distances)
    reach = f"its own {several} usually are ({usual:.2f})"
    if not count:
        return f"No current {one} is farther from the reference than {reach}."
    lasting = next((back for back, far in enumerate(reversed(beyond)) if not far), most)
    if most == 1:
        text = f"The current {one} is farther from the reference than {reach}"
    elif count == most:
        text = f"Each of the {most} current {several} is farther from the reference than {reach}"
    elif lasting >= _LASTING:
        text = f"Each current {one} since {names[most - lasting]} is farther from the reference than {reach}"
    else:
        verb = "is" if count == 1 else "are"
        text = f"{count} of {most} current {several} {verb} farther from the reference than {reach}"
    largest, name = max(item for item in zip(distances, names, strict=True) if not math.isnan(item[0]))
    return f"{text}; the largest distance is {largest:.2f}, of {name}."
