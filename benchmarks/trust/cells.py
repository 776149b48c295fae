"""The rows of the table: kind and amount of data, and the bar for the verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from columns import Change, Column, Floats, columns_of


@dataclass(frozen=True)
class Days:
    """How rows are distributed over days.

    Attributes
    ----------
    reference, current
        Number of days of each window; the current window follows the reference.
    deviation
        Standard deviation of the daily means, in standard deviations of the rows.
    memory
        Correlation of the means of neighbouring days: 0 for independent days, towards 1 for slow seasons.
    weekly
        Shift of weekends, in standard deviations of the rows.
    heavy
        Whether daily means have Student's t distribution with 4 degrees of freedom, with occasional outliers.
    """

    reference: int
    current: int
    deviation: float
    memory: float = 0.0
    weekly: float = 0.0
    heavy: bool = False

    def shifts(self, generator: np.random.Generator) -> Floats:
        """Return the mean of each day of both windows, (reference + current,), in standard deviations."""
        total = self.reference + self.current
        steps = generator.standard_t(4, total) / np.sqrt(2) if self.heavy else generator.standard_normal(total)
        means = np.empty(total)
        level = steps[0]
        for day in range(total):
            if day:
                level = self.memory * level + np.sqrt(1 - self.memory**2) * steps[day]
            means[day] = level
        return means * self.deviation + self.weekly * (np.arange(total) % 7 > 4)


@dataclass(frozen=True)
class Drift:
    """A change in the current window, in the first column whose name contains `column`."""

    title: str
    column: str
    change: Change


@dataclass(frozen=True)
class Cell:
    """One row of the table.

    Attributes
    ----------
    kind
        Kind of the columns.
    rows
        Rows per window, or per day if there are days.
    seeds
        Number of data sets.
    days
        If None, each window has one batch of independent rows.
    drift
        If None, nothing has changed, so every alarm is a false one.
    at_least
        Required power. If None, the bar is the false-alarm budget (without drift), or there is none.
    peers
        Number of data sets to which the rules of other tools are applied as well.
    """

    kind: str
    rows: int
    seeds: int
    days: Days | None = None
    drift: Drift | None = None
    at_least: float | None = None
    peers: int = 0

    @property
    def key(self) -> str:
        """Seed of the random generator, together with the number of the data set."""
        return f"{self.kind}/{self.rows}/{self.days}/{self.drift.title if self.drift else ''}"

    def columns(self) -> list[Column]:
        """Return the columns of the data set."""
        return columns_of(self.kind)


SHIFT = Drift("mean +0.2 sd", "normal", Change(shift=0.2))
NULLS = Drift("NULLs 2 % to 7 %", "null-0.02", Change(missing=0.05))
CATEGORY = Drift("10 % of rows change category", "zipf-20", Change(moved=0.1))


def cells(*, quick: bool) -> list[Cell]:
    """Return the cells of the full table, or of one that takes a minute."""
    return [*_independent(quick=quick), *_by_days(quick=quick), *_power(quick=quick)]


def _independent(*, quick: bool) -> list[Cell]:
    sizes = {200: 20, 1000: 20} if quick else {200: 200, 1000: 200, 10_000: 100, 100_000: 20}
    kinds = ["mixed"] if quick else ["normal", "heavy tails", "ties", "categories", "NULLs", "mixed"]
    return [
        Cell(kind, rows, seeds, peers=min(seeds, 5 if rows > 10_000 else 20))
        for kind in kinds
        for rows, seeds in sizes.items()
    ]


def _by_days(*, quick: bool) -> list[Cell]:
    if quick:
        return [Cell("mixed", 200, 20, Days(30, 1, 0.15)), Cell("mixed", 200, 20, Days(30, 7, 0.15, memory=0.8))]
    result = []
    for deviation, memory in ((0.05, 0.0), (0.15, 0.0), (0.15, 0.8)):
        for reference in (30, 60, 90):
            for current in (1, 7):
                days = Days(reference, current, deviation, memory)
                result.append(Cell("mixed", 200, 100 if reference < 90 else 60, days, peers=3))
    for reference, current in ((60, 1), (60, 7)):
        result.append(Cell("mixed", 200, 100, Days(reference, current, 0.15, heavy=True), peers=3))
    for reference, current in ((60, 7), (75, 28)):
        result.append(Cell("mixed", 200, 100, Days(reference, current, 0.05, weekly=0.5), peers=3))
    return result


def _power(*, quick: bool) -> list[Cell]:
    seeds, sizes = (20, (1000,)) if quick else (100, (1000, 10_000))
    result = []
    for drift in (SHIFT, NULLS, CATEGORY):
        for rows in sizes:
            required = 0.95 if rows == 10_000 and drift is not CATEGORY else None
            result.append(Cell("mixed", rows, seeds, drift=drift, at_least=required, peers=min(seeds, 30)))
        if not quick:
            # 10,000 rows in the current window, as above.
            result.append(Cell("mixed", 2000, 40, Days(30, 5, 0.05), drift=drift))
            result.append(Cell("mixed", 1000, 40, Days(60, 14, 0.05, weekly=0.5), drift=drift))
    return result
