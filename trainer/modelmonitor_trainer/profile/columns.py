"""Column profiles: the statistics that drift tests need, for any number of rows in constant space.

A profile counts rows in cells that were fitted beforehand (:mod:`~modelmonitor_trainer.profile.binning`). Profiles with
the same cells merge by addition, so a window is the sum of its partitions, and its objects can be profiled anywhere.
Counts are exact; moments follow

    T. F. Chan, G. H. Golub, R. J. LeVeque, Updating formulae and a pairwise algorithm for computing
    sample variances, 1979.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from modelmonitor_trainer.arrays import Counts
from modelmonitor_trainer.profile.cardinality import Registers, distinct, no_registers
from modelmonitor_trainer.profile.categories import examples


@dataclass(frozen=True)
class NumericProfile:
    """Profile of a numeric column.

    Attributes
    ----------
    counts
        Rows in each cell; shape (edges + 1,). Infinities are in the outer cells.
    rows, nulls, nans
        All rows; those that are NULL; those that are NaN. Both of the latter count as missing.
    finite, mean, m2
        Number of finite values, their mean, and the sum of their squared deviations from it.
    negative_infinities
        Number of values that are minus infinity.
    minimum, maximum
        Of the values that are neither NULL nor NaN; NaN if there are none.
    below, above
        Values outside the declared range.
    kinds
        Kinds of the values seen: number, text, time, nested, null, other; and remarks on how they are written.
    strays
        Rows of text values that are not numbers, of the EXAMPLES ones with the smallest hash.
    unparsed
        Values of another kind, such as text; they count as NULL.
    """

    counts: Counts
    rows: int = 0
    nulls: int = 0
    nans: int = 0
    finite: int = 0
    negative_infinities: int = 0
    mean: float = 0.0
    m2: float = 0.0
    minimum: float = float("nan")
    maximum: float = float("nan")
    below: int = 0
    above: int = 0
    kinds: frozenset[str] = frozenset()
    strays: Mapping[str, int] = field(default_factory=dict)
    unparsed: int = 0

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return self.nulls + self.nans

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

    @property
    def infinities(self) -> int:
        """Number of values that are infinite, of either sign."""
        return self.present - self.finite

    @property
    def positive_infinities(self) -> int:
        """Number of values that are plus infinity."""
        return self.infinities - self.negative_infinities

    @property
    def deviation(self) -> float:
        """Standard deviation of the finite values; NaN for fewer than two."""
        return float(np.sqrt(self.m2 / (self.finite - 1))) if self.finite > 1 else float("nan")

    def merged(self, other: NumericProfile) -> NumericProfile:
        """Return the profile of the rows of both."""
        finite = self.finite + other.finite
        delta = other.mean - self.mean
        share = other.finite / finite if finite else 0.0
        return NumericProfile(
            counts=self.counts + other.counts,
            rows=self.rows + other.rows,
            nulls=self.nulls + other.nulls,
            nans=self.nans + other.nans,
            finite=finite,
            negative_infinities=self.negative_infinities + other.negative_infinities,
            mean=self.mean + delta * share if self.finite else other.mean,
            m2=self.m2 + other.m2 + (delta * delta * self.finite * share if self.finite and other.finite else 0.0),
            minimum=float(np.fmin(self.minimum, other.minimum)),
            maximum=float(np.fmax(self.maximum, other.maximum)),
            below=self.below + other.below,
            above=self.above + other.above,
            kinds=self.kinds | other.kinds,
            strays=examples([*self.strays.items(), *other.strays.items()]) if self.strays or other.strays else {},
            unparsed=self.unparsed + other.unparsed,
        )


@dataclass(frozen=True)
class CategoricalProfile:
    """Profile of a categorical column.

    Attributes
    ----------
    counts
        Rows of each known category, and last of all others; shape (categories + 1,).
    rows, nulls
        All rows; those that are NULL.
    others, disallowed
        Rows of values that are not known categories, and of values that the contract does not allow; in each case of
        the EXAMPLES values with the smallest hash, so that merging is exact.
    disallowed_rows
        Rows with a value that the contract does not allow.
    buckets
        Rows of the values that are not known categories, by the bucket of their hash; empty if the plan has none.
    registers
        Sketch of all values (:mod:`~modelmonitor_trainer.profile.cardinality`).
    kinds
        As in :class:`NumericProfile`, and "not UTF-8".
    padded
        Rows of values with blanks around them, which do not count.
    unparsed
        Lists and structs, which count as NULL.
    """

    counts: Counts
    rows: int = 0
    nulls: int = 0
    others: Mapping[str, int] = field(default_factory=dict)
    disallowed: Mapping[str, int] = field(default_factory=dict)
    disallowed_rows: int = 0
    kinds: frozenset[str] = frozenset()
    padded: int = 0
    buckets: Counts = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    registers: Registers = field(default_factory=no_registers)
    unparsed: int = 0

    @property
    def distinct(self) -> int:
        """Estimated number of distinct values; the standard error is three per cent."""
        return distinct(self.registers)

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return self.nulls

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    def merged(self, other: CategoricalProfile) -> CategoricalProfile:
        """Return the profile of the rows of both."""
        return CategoricalProfile(
            counts=self.counts + other.counts,
            rows=self.rows + other.rows,
            nulls=self.nulls + other.nulls,
            others=examples([*self.others.items(), *other.others.items()]),
            disallowed=examples([*self.disallowed.items(), *other.disallowed.items()]),
            disallowed_rows=self.disallowed_rows + other.disallowed_rows,
            padded=self.padded + other.padded,
            kinds=self.kinds | other.kinds,
            buckets=self.buckets + other.buckets,
            registers=np.maximum(self.registers, other.registers),
            unparsed=self.unparsed + other.unparsed,
        )


ColumnProfile = NumericProfile | CategoricalProfile


def merge(profiles: Iterable[ColumnProfile]) -> ColumnProfile:
    """Return the profile of all rows, merged in the given order (the last bits depend on it).

    Raises
    ------
    ValueError
        If there are none.
    TypeError
        If they are of different kinds.
    """

    def add(one: ColumnProfile, other: ColumnProfile) -> ColumnProfile:
        if isinstance(one, NumericProfile) and isinstance(other, NumericProfile):
            return one.merged(other)
        if isinstance(one, CategoricalProfile) and isinstance(other, CategoricalProfile):
            return one.merged(other)
        raise TypeError("profiles of a numeric and of a categorical column do not merge")

    parts = list(profiles)
    if not parts:
        raise ValueError("there are no profiles to merge")
    return reduce(add, parts)
