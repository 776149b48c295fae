"""The cells of the table: which data, how much of it, and what is asked of the verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from columns import Change, Column, Floats, columns_of


@dataclass(frozen=True)
class Days:
    """How rows fall into days.

    Attributes
    ----------
    reference, current
        Days of both windows; the current one follows the reference.
    deviation
        Of the mean of a day, in standard deviations of the rows.
    memory
        Correlation of the means of neighbouring days: 0 for days on their own, towards 1 for slow seasons.
    weekly
        By how many standard deviations of the rows week-ends lie higher than other days.
    heavy
        Whether days have Student's t distribution with 4 degrees of freedom: now and then, quite another day.
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
        found = np.empty(total)
        level = steps[0]
        for day in range(total):
            if day:
                level = self.memory * level + np.sqrt(1 - self.memory**2) * steps[day]
            found[day] = level
        return found * self.deviation + self.weekly * (np.arange(total) % 7 > 4)


@dataclass(frozen=True)
class Drift:
    """What changes in the current window, in the first column whose name holds `column`."""

    title: str
    column: str
    change: Change


@dataclass(frozen=True)
class Cell:
    """One row of the table.

    Attributes
    ----------
    kind
        Of the columns.
    rows
        Of each window; of each day where there are days.
    seeds
        How many data sets are drawn.
    days
        None: both windows are one file of independent rows.
    drift
        None: nothing has changed, and every alarm is a false one.
    at_least
        Power that is asked for; None: at most the budget of false alarms (no drift), or nothing.
    peers
        On how many of the data sets the rules of other tools are tried as well.
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
        """What seeds the generator, apart from the number of the data set."""
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
    found = []
    for deviation, memory in ((0.05, 0.0), (0.15, 0.0), (0.15, 0.8)):
        for reference in (30, 60, 90):
            for current in (1, 7):
                days = Days(reference, current, deviation, memory)
                found.append(Cell("mixed", 200, 100 if reference < 90 else 60, days, peers=3))
    for reference, current in ((60, 1), (60, 7)):
        found.append(Cell("mixed", 200, 100, Days(reference, current, 0.15, heavy=True), peers=3))
    for reference, current in ((60, 7), (75, 28)):
        found.append(Cell("mixed", 200, 100, Days(reference, current, 0.05, weekly=0.5), peers=3))
    return found


def _power(*, quick: bool) -> list[Cell]:
    seeds, sizes = (20, (1000,)) if quick else (100, (1000, 10_000))
    found = []
    for drift in (SHIFT, NULLS, CATEGORY):
        for rows in sizes:
            asked = 0.95 if rows == 10_000 and drift is not CATEGORY else None
            found.append(Cell("mixed", rows, seeds, drift=drift, at_least=asked, peers=min(seeds, 30)))
        if not quick:
            # The same number of rows in the current window, which is one day of 10,000.
            found.append(Cell("mixed", 2000, 40, Days(30, 5, 0.05), drift=drift))
            found.append(Cell("mixed", 1000, 40, Days(60, 14, 0.05, weekly=0.5), drift=drift))
    return found
