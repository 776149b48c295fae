"""Which row each label belongs to: its key, and for keys that return on other days its day.

A row is identified by its join key and its day, or by its join key alone. What of this holds is declared
(``data.labels.keyScope``) or follows from the data: then a label belongs to the latest row with its key that is not
after the label's partition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelmonitor_api.spec import KeyScope
from modelmonitor_trainer.arrays import Array, Ints

#: Days before the partition of a row in which its label may be: days of both sides can end in different time zones.
EARLY_DAYS = 1


#: Above this share of rows whose keys return on other days, the day is a part of what identifies a row.
RECURRING = 0.5


def scope_of(declared: KeyScope | None, recurring: float, delay_days: int) -> KeyScope | None:
    """Return what a key identifies, where the data show it.

    Parameters
    ----------
    declared
        ``data.labels.keyScope``.
    recurring
        Share of the rows whose key has rows on other days, too.
    delay_days
        Label delay. With a delay, the partition of a label shows its row's day only if that is declared.
    """
    return KeyScope.PARTITION if declared is None and recurring > RECURRING and not delay_days else declared


@dataclass(frozen=True)
class KeyedRows:
    """Rows by key and day; of rows with the same key and day the first counts.

    Attributes
    ----------
    row : (n,)
        Index of each of these rows, in the order of keys and days.
    key, day : (n,)
        Index of its key, and its day as days since 1970.
    recurring
        Number of rows whose key has rows on other days, too.
    """

    row: Ints
    key: Ints
    day: Ints
    recurring: int

    @classmethod
    def of(cls, keys: Ints, days: Ints, rows: Ints, scope: KeyScope | None) -> KeyedRows:
        """Return the rows that count.

        Parameters
        ----------
        keys, days, rows : (n,)
            Index of the key of each row, its day, and its index. Rows are in the order of their days.
        scope
            What a key identifies; None if each day has rows of its own.
        """
        base, span = _range(days)
        codes = keys if scope is KeyScope.WINDOW else keys * span + (days - base)
        _, first = np.unique(codes, return_index=True)
        key, day = keys[first], days[first]
        counts = np.bincount(key, minlength=1)
        return cls(rows[first], key, day, int(counts[counts > 1].sum()))


@dataclass(frozen=True)
class Owners:
    """Labels and the rows that they belong to; a label of the day before a row can occur twice.

    Attributes
    ----------
    label, owner : (n,)
        Index of the label, and of the row in :class:`KeyedRows`.
    early : (n,)
        Whether the label is in a partition before its row.
    ambiguous : (n,)
        Whether the label could be that of an earlier row as well: one that is not older than the label delay.
    """

    label: Ints
    owner: Ints
    early: Array
    ambiguous: Array


def owners_of(rows: KeyedRows, keys: Ints, days: Ints, scope: KeyScope | None, delay_days: int = 0) -> Owners:
    """Return which row each label belongs to.

    Parameters
    ----------
    rows
        The rows.
    keys, days : (m,)
        Index of the key of each label (-1 for a key without rows), and the day of its partition.
    scope
        What a key identifies; None if that is not declared.
    delay_days
        Days after which the label of a row is expected.
    """
    if not rows.row.size or not keys.size:
        nothing = np.zeros(0, dtype=np.int64)
        return Owners(nothing, nothing, nothing.astype(bool), nothing.astype(bool))
    if scope is KeyScope.WINDOW:
        owner = np.searchsorted(rows.key, keys).clip(max=rows.key.size - 1)
        usable = (rows.key[owner] == keys) & (days >= rows.day[owner] - EARLY_DAYS)
        label = np.flatnonzero(usable)
        early = days[label] < rows.day[owner[label]]
        return Owners(label, owner[label], early, np.zeros(label.size, dtype=bool))
    base, span = _range(rows.day)
    codes = rows.key * span + (rows.day - base)
    # The latest row with the key that is not after the label; before all of them, the last row of the key before.
    latest = np.searchsorted(codes, keys * span + (days - base).clip(-1, span - 1), side="right") - 1
    regular = (latest >= 0) & (rows.key[latest] == keys)
    on_time = regular & (rows.day[latest] == days)
    if scope is KeyScope.PARTITION:
        label = np.flatnonzero(on_time)
        no = np.zeros(label.size, dtype=bool)
        return Owners(label, latest[label], no, no)
    before = (latest - 1).clip(min=0)
    ambiguous = regular & (latest > 0) & (rows.key[before] == keys) & (rows.day[before] >= days - delay_days)
    following = (latest + 1).clip(max=rows.key.size - 1)
    ahead = rows.day[following] - days
    # A label that a row of the last day before has is not that of a row of the next day, too.
    numbers = np.unique(rows.day)
    last_before = numbers[(np.searchsorted(numbers, rows.day[following]) - 1).clip(min=0)]
    taken = regular & (rows.day[latest] == last_before)
    early = (rows.key[following] == keys) & (ahead > 0) & (ahead <= EARLY_DAYS) & ~taken
    label = np.concatenate([np.flatnonzero(regular), np.flatnonzero(early)])
    owner = np.concatenate([latest[regular], following[early]])
    is_early = np.arange(label.size) >= np.count_nonzero(regular)
    return Owners(label, owner, is_early, ambiguous[label] & ~is_early)


def _range(days: Ints) -> tuple[int, int]:
    """Return the first day, and the number of days through the last."""
    return (int(days.min()), int(days.max() - days.min()) + 1) if days.size else (0, 1)
