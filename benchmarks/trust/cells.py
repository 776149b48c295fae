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
    trend
        Shift from one day to the next, in standard deviations of the rows; the current window continues it.
    jump
        Shift of the second half of the reference and of the current window.
    odd
        Number of days of the reference that lie 4 standard deviations higher or lower.
    """

    reference: int
    current: int
    deviation: float
    memory: float = 0.0
    weekly: float = 0.0
    heavy: bool = False
    trend: float = 0.0
    jump: float = 0.0
    odd: int = 0

    def shifts(self, generator: np.random.Generator, *, odd: bool = True) -> Floats:
        """Return the mean of each day of both windows, (reference + current,), in standard deviations."""
        total = self.reference + self.current
        steps = generator.standard_t(4, total) / np.sqrt(2) if self.heavy else generator.standard_normal(total)
        means = np.empty(total)
        level = steps[0]
        for day in range(total):
            if day:
                level = self.memory * level + np.sqrt(1 - self.memory**2) * steps[day]
            means[day] = level
        days = np.arange(total)
        means = means * self.deviation + self.weekly * (days % 7 > 4) + self.trend * days
        means += self.jump * (days >= self.reference // 2)
        if odd and self.odd:
            chosen = generator.choice(self.reference, self.odd, replace=False)
            means[chosen] += 4 * generator.choice([-1, 1], self.odd)
        return means


@dataclass(frozen=True)
class Drift:
    """A change in the current window, in the first column whose name contains `column`.

    Attributes
    ----------
    title
        Description in the table.
    column
        Part of the name of the column.
    change
        The change; None for the shift that moves the distribution of the column by ``detectableEffect``.
    """

    title: str
    column: str
    change: Change | None


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
    silence
        Whether the share of NoDrift for the changed column is measured, which must be at most 5 %.
    peers
        Number of data sets to which the rules of other tools are applied as well.
    """

    kind: str
    rows: int
    seeds: int
    days: Days | None = None
    drift: Drift | None = None
    at_least: float | None = None
    silence: bool = False
    peers: int = 0

    @property
    def key(self) -> str:
        """Seed of the random generator, together with the number of the data set."""
        silence = "/silence" if self.silence else ""
        return f"{self.kind}/{self.rows}/{self.days}/{self.drift.title if self.drift else ''}{silence}"

    def columns(self) -> list[Column]:
        """Return the columns of the data set."""
        return columns_of(self.kind)


SHIFT = Drift("mean +0.2 sd", "normal", Change(shift=0.2))
LARGE_SHIFT = Drift("mean +1 sd", "normal", Change(shift=1.0))
NULLS = Drift("NULLs 2 % to 7 %", "null-0.02", Change(missing=0.05))
CATEGORY = Drift("10 % of rows change category", "zipf-20", Change(moved=0.1))
#: The column itself moves with the days of the reference: by a trend or a jump.
CARRIED = Drift("carried on", "normal", Change())


def moved(column: str) -> Drift:
    """Return a change of a column by ``detectableEffect``."""
    return Drift(f"{column} moved by 0.15", column, None)


def cells(*, quick: bool) -> list[Cell]:
    """Return the cells of the full table, or of one that takes a minute."""
    return [
        *_independent(quick=quick),
        *_by_days(quick=quick),
        *_few_days(quick=quick),
        *_power(quick=quick),
        *_silence(quick=quick),
    ]


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
    unusual = (Days(60, 7, 0.1, jump=1.0), Days(60, 1, 0.1, odd=6), Days(60, 7, 0.1, odd=6))
    return [*result, *(Cell("mixed", 200, 100, days, peers=3) for days in unusual)]


def _few_days(*, quick: bool) -> list[Cell]:
    """Few partitions: batches are clusters with any number of them."""
    if quick:
        return [Cell("mixed", 500, 10, Days(3, current, 0.3)) for current in (1, 7)]
    return [
        Cell("mixed", 500, 100, Days(reference, current, deviation), peers=3)
        for reference in (1, 3, 8, 15, 19)
        for current in (1, 7)
        for deviation in (0.05, 0.2, 0.3)
    ]


def _power(*, quick: bool) -> list[Cell]:
    seeds, result = 20 if quick else 100, []
    for drift in (SHIFT, NULLS, CATEGORY):
        required = None if drift is CATEGORY else 0.95
        result.append(Cell("mixed", 2000, seeds, Days(30, 5, 0.0), drift=drift, at_least=required, peers=5))
        if not quick:
            # 10,000 rows in the current window, as above.
            result.append(Cell("mixed", 2000, 40, Days(30, 5, 0.05), drift=drift))
            result.append(Cell("mixed", 1000, 40, Days(60, 14, 0.05, weekly=0.5), drift=drift))
    # Odd days of other columns; the changed one has none.
    for odd in (6,) if quick else (0, 1, 3, 6):
        days = Days(60, 1, 0.05, odd=odd)
        result.append(Cell("mixed", 500, seeds, days, drift=LARGE_SHIFT, at_least=0.95))
    if not quick:
        result.append(Cell("mixed", 500, 40, Days(60, 1, 0.15), drift=LARGE_SHIFT))
        result.append(Cell("mixed", 500, 40, Days(60, 7, 0.1, jump=1.0), drift=LARGE_SHIFT, at_least=0.95))
    return result


def _silence(*, quick: bool) -> list[Cell]:
    """One column has moved by ``detectableEffect``, which no check may call NoDrift."""
    seeds = 20 if quick else 200
    chosen = [
        ("normal", 500, Days(30, 7, 0.1), moved("normal")),
        ("mixed", 50, Days(30, 7, 0.1), moved("pareto")),
        ("mixed", 500, Days(60, 7, 0.1, odd=6), moved("normal")),
        ("mixed", 500, Days(60, 7, 0.1, jump=1.0), CARRIED),
    ]
    if not quick:
        chosen += [
            ("mixed", 10_000, None, moved("normal")),
            ("mixed", 1000, None, moved("zipf-20")),
            ("mixed", 500, Days(30, 7, 0.1), moved("rounded")),
            ("mixed", 500, Days(30, 7, 0.1), moved("zipf-20")),
            ("mixed", 500, Days(30, 7, 0.1), moved("zipf-1000")),
            ("mixed", 500, Days(30, 7, 0.1), moved("even-1000")),
            ("mixed", 500, Days(30, 7, 0.1), moved("zipf-10000")),
            ("categories", 50, Days(30, 7, 0.1), moved("even-100")),
            ("categories", 500, Days(30, 7, 0.1), moved("even-10000")),
            ("categories", 200, None, moved("zipf-1000")),
            ("mixed", 500, Days(30, 7, 0.1), Drift("NULLs 2 % to 17 %", "null-0.02", Change(missing=0.15))),
            ("mixed", 500, Days(60, 7, 0.15, heavy=True), moved("normal")),
            ("mixed", 500, Days(60, 1, 0.15, heavy=True), moved("normal")),
            ("mixed", 500, Days(60, 7, 0.15, memory=0.8), moved("normal")),
            ("mixed", 500, Days(30, 7, 0.15, memory=0.8), moved("normal")),
            ("mixed", 500, Days(60, 7, 0.05, weekly=0.5), moved("normal")),
            ("mixed", 500, Days(60, 1, 0.1, odd=6), moved("normal")),
            ("mixed", 500, Days(30, 7, 0.05, trend=0.025), CARRIED),
            ("mixed", 500, Days(60, 7, 0.05, trend=0.0125), CARRIED),
            *(
                ("mixed", rows, Days(reference, current, deviation), moved("normal"))
                for rows in (50, 1000)
                for reference in (1, 3, 8, 15, 30, 90)
                for current in (1, 7)
                for deviation in (0.05, 0.3)
            ),
        ]
    return [Cell(kind, rows, seeds, days, drift=drift, silence=True) for kind, rows, days, drift in chosen]
