"""Worlds: rows and outcomes of each day from a seed, with the truth about what changed when.

Days are numbers: day 0 is the first that the monitor lives, and days before it are its history. A world can draw any
number of rows of a day, so that models can be judged on rows that no monitor has seen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum

import numpy as np
import pyarrow as pa

from modelmonitor_trainer.arrays import Array, Floats

#: Day 0.
START = dt.date(2023, 1, 1)
#: Days of rows before day 0: a whole training window, the hold-out, and the label delay, with the defaults.
HISTORY = 110
#: Days after which the labels of a day arrive.
DELAY = 3
ROWS = 200
CHANNELS = ("branch", "mail", "phone", "web")
NUMERIC = ("amount", "age", "load")
_Three = tuple[float, float, float]


class Draw(IntEnum):
    """Independent draws of the rows of a day."""

    MONITOR = 0
    JUDGE = 1
    ORACLE = 2


class Kind(StrEnum):
    """What happens in a world."""

    STATIONARY = "stationary"
    SUDDEN = "sudden shift"
    GRADUAL = "gradual change"
    SEASON = "recurring season"
    BACK = "shift and back"
    CORRUPTED = "corrupted weeks"
    CORRECTED = "corrected labels"
    NEW_CLASS = "new class"
    LOST_FEATURE = "lost feature"


@dataclass(frozen=True)
class State:
    """The distribution of the rows of a day, and how outcomes depend on them.

    Attributes
    ----------
    means, weights
        Mean of each numeric feature, whose standard deviation is 1, and its effect on the log-odds.
    third
        Share of the rows with a high load whose outcome is a third class.
    """

    means: _Three = (0.0, 0.0, 0.0)
    weights: _Three = (1.2, -0.6, 0.5)
    third: float = 0.0


@dataclass(frozen=True)
class Change:
    """A change of the world.

    Attributes
    ----------
    onset
        The first day after it.
    last
        The last day before it is undone; None if it lasts.
    sudden
        Whether it is complete on its first day.
    """

    onset: int
    last: int | None = None
    sudden: bool = True


@dataclass(frozen=True)
class World:
    """A world from a seed.

    Attributes
    ----------
    kind, seed
        What happens, and the seed of its rows.
    days
        Days that the monitor lives.
    state
        The state of each day.
    changes
        What changes when.
    corrupted
        Days whose rows arrive corrupted; the outcomes follow the true values.
    wrong
        Share of the labels that arrive wrong, and are corrected a week later.
    lost
        From this day on, the feature ``load`` is not written.
    """

    kind: Kind
    seed: int
    days: int
    state: Callable[[int], State]
    changes: tuple[Change, ...] = ()
    corrupted: frozenset[int] = field(default_factory=frozenset)
    wrong: float = 0.0
    lost: int | None = None

    @property
    def name(self) -> str:
        """Name for messages: with it and the seed, a failure can be repeated."""
        return f"{self.kind}, seed {self.seed}, {self.days} days"

    @property
    def classes(self) -> tuple[str, ...]:
        """Possible outcomes."""
        return ("a", "b", "c") if self.kind is Kind.NEW_CLASS else ("0", "1")

    def rows(self, day: int, count: int = ROWS, draw: Draw = Draw.MONITOR) -> tuple[dict[str, Array], Array]:
        """Return true features and outcomes of a day.

        Parameters
        ----------
        day
            The day.
        count
            Number of rows.
        draw
            Which rows: those that the monitor sees, or others.
        """
        generator = np.random.default_rng([self.seed, HISTORY + day, draw])
        state = self.state(day)
        values: Floats = generator.normal(size=(count, 3)) + np.array(state.means)
        channel = generator.choice(len(CHANNELS), count, p=(0.1, 0.2, 0.3, 0.4))
        odds = values @ np.array(state.weights) + np.array([0.8, 0.0, -0.4, 0.2])[channel] - 0.3
        outcome = (generator.random(count) < 1 / (1 + np.exp(-odds))).astype(np.int64)
        outcome[(values[:, 2] > 1) & (generator.random(count) < state.third)] = 2
        columns: dict[str, Array] = {name: values[:, index] for index, name in enumerate(NUMERIC)}
        return columns | {"channel": np.array(CHANNELS)[channel]}, np.array(self.classes)[outcome]

    def table(self, first: int, last: int, count: int, draw: Draw) -> tuple[pa.Table, Array]:
        """Return rows and outcomes from one day through another, with the columns that are still written then."""
        drawn = [self.rows(day, count, draw) for day in range(first, last + 1)]
        names = [name for name in drawn[0][0] if name != "load" or self.lost is None or last < self.lost]
        table = pa.table({name: np.concatenate([columns[name] for columns, _ in drawn]) for name in names})
        return table, np.concatenate([outcomes for _, outcomes in drawn])

    def is_steady(self, first: int, last: int) -> bool:
        """Return whether all days from one through another have the same state."""
        return len({self.state(day) for day in range(first, last + 1)}) == 1


_SHIFTED = State(means=(1.0, 0.0, 0.0), weights=(-1.2, -0.6, 0.5))
_GRADUAL_DAYS, _BACK_AFTER, _PERIOD = 60, 45, 120
#: Distance of the first days of the two corrupted weeks.
_WEEKS_APART = 40


def world(kind: Kind, seed: int, days: int, onset: int | None = None) -> World:
    """Return a world.

    Parameters
    ----------
    kind, seed, days
        See :class:`World`.
    onset
        When what happens begins; a sixth of the days after the first by default.
    """
    return _MADE[kind](World(kind, seed, days, lambda _: State()), days // 6 if onset is None else onset)


def _sudden(plain: World, start: int) -> World:
    return replace(plain, state=lambda day: _between(day >= start), changes=(Change(start),))


def _gradual(plain: World, start: int) -> World:
    def state(day: int) -> State:
        return _between(min(max((day - start + 1) / _GRADUAL_DAYS, 0), 1))

    return replace(plain, state=state, changes=(Change(start, sudden=False),))


def _season(plain: World, _: int) -> World:
    def state(day: int) -> State:
        wave = float(np.sin(2 * np.pi * day / _PERIOD))
        return State(means=(0.0, 0.0, 0.8 * wave), weights=(1.2, -0.6, 0.5 + 0.7 * wave))

    return replace(plain, state=state, changes=(Change(0, sudden=False),))


def _back(plain: World, start: int) -> World:
    end = start + _BACK_AFTER
    changes = (Change(start, end - 1), Change(end))
    return replace(plain, state=lambda day: _between(start <= day < end), changes=changes)


def _corrupted(plain: World, start: int) -> World:
    weeks = (range(first, first + 7) for first in (start, start + _WEEKS_APART))
    return replace(plain, corrupted=frozenset(day for week in weeks for day in week))


def _new_class(plain: World, start: int) -> World:
    return replace(plain, state=lambda day: State(third=0.8 * (day >= start)), changes=(Change(start),))


_MADE: dict[Kind, Callable[[World, int], World]] = {
    Kind.STATIONARY: lambda plain, _: plain,
    Kind.SUDDEN: _sudden,
    Kind.GRADUAL: _gradual,
    Kind.SEASON: _season,
    Kind.BACK: _back,
    Kind.CORRUPTED: _corrupted,
    Kind.CORRECTED: lambda plain, _: replace(plain, wrong=0.15),
    Kind.NEW_CLASS: _new_class,
    Kind.LOST_FEATURE: lambda plain, start: replace(plain, lost=start),
}


def _between(share: float) -> State:
    """Return a state between the first one and the shifted one."""
    first, last = State(), _SHIFTED
    if share in {0, 1}:
        return last if share else first

    def mixed(one: _Three, other: _Three) -> _Three:
        a, b, c = ((1 - share) * x + share * y for x, y in zip(one, other, strict=True))
        return a, b, c

    return replace(first, means=mixed(first.means, last.means), weights=mixed(first.weights, last.weights))
