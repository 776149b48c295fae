"""The sizes of the data sets. Imports nothing heavy, because a child process inherits the peak memory of its parent."""

from __future__ import annotations

from dataclasses import dataclass

SIDES = ("reference", "current")


@dataclass(frozen=True)
class Shape:
    """Rows and columns of a side, and how they are split into files and row groups."""

    rows: int
    files: int
    group_rows: int
    columns: int = 20

    @property
    def column_names(self) -> list[str]:
        """Names of numeric columns (n0, x0, …) and of categorical ones (c0, …)."""
        if self.columns > 20:
            return [f"x{number}" for number in range(self.columns)]
        return [f"n{number}" for number in range(15)] + [f"c{number}" for number in range(5)]


SHAPES = {
    "tiny": Shape(20_000, 2, 131_072),
    "A": Shape(1_000_000, 4, 131_072),
    "B": Shape(10_000_000, 10, 524_288),
    "C": Shape(200_000, 2, 100_000, columns=500),
}
