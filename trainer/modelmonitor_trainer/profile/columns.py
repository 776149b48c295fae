"""Profiles of columns: what a drift test needs to know of any number of rows, in constant space.

A profile counts rows in cells that were cut beforehand (:mod:`~modelmonitor_trainer.profile.plan`).
Two profiles with the same cells merge by addition, so a window is the sum of its partitions, and the
same tasks (column, cells) → profile may run anywhere. Counts are exact; moments follow

    T. F. Chan, G. H. Golub, R. J. LeVeque, Updating formulae and a pairwise algorithm for computing
    sample variances, 1979.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.data.tables import is_number, is_text
from modelmonitor_trainer.profile import kernel

#: How many of the values outside the cells are kept by name.
EXAMPLES = 32


@dataclass(frozen=True)
class NumericProfile:
    """Rows of one numeric column.

    Attributes
    ----------
    counts
        Rows in each cell; shape (edges + 1,). Infinities are in the outer cells.
    rows, nulls, nans
        All rows; those that are NULL; those that are NaN, which counts as missing as well.
    finite, mean, m2
        Number of finite values, their mean, and the sum of their squared deviations from it.
    minimum, maximum
        Of the values that are neither NULL nor NaN; NaN where there are none.
    below, above
        Values outside the declared range.
    kinds
        Kinds of the Arrow types seen: number, text, null, other.
    """

    counts: Counts
    rows: int = 0
    nulls: int = 0
    nans: int = 0
    finite: int = 0
    mean: float = 0.0
    m2: float = 0.0
    minimum: float = float("nan")
    maximum: float = float("nan")
    below: int = 0
    above: int = 0
    kinds: frozenset[str] = frozenset()

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return self.nulls + self.nans

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

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
            mean=self.mean + delta * share if self.finite else other.mean,
            m2=self.m2 + other.m2 + (delta * delta * self.finite * share if self.finite and other.finite else 0.0),
            minimum=float(np.fmin(self.minimum, other.minimum)),
            maximum=float(np.fmax(self.maximum, other.maximum)),
            below=self.below + other.below,
            above=self.above + other.above,
            kinds=self.kinds | other.kinds,
        )


@dataclass(frozen=True)
class CategoricalProfile:
    """Rows of one categorical column.

    Attributes
    ----------
    counts
        Rows of each known category, and last of all others; shape (categories + 1,).
    rows, nulls
        All rows; those that are NULL.
    others, disallowed
        Rows of values that are not known categories, and of values that the contract does not
        allow: of each the EXAMPLES values with the smallest hash, so that merging stays exact.
    disallowed_rows
        Rows with a value that the contract does not allow.
    kinds
        As in :class:`NumericProfile`.
    """

    counts: Counts
    rows: int = 0
    nulls: int = 0
    others: Mapping[str, int] = field(default_factory=dict)
    disallowed: Mapping[str, int] = field(default_factory=dict)
    disallowed_rows: int = 0
    kinds: frozenset[str] = frozenset()

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
            others=_examples([*self.others.items(), *other.others.items()]),
            disallowed=_examples([*self.disallowed.items(), *other.disallowed.items()]),
            disallowed_rows=self.disallowed_rows + other.disallowed_rows,
            kinds=self.kinds | other.kinds,
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

    found = list(profiles)
    if not found:
        raise ValueError("there are no profiles to merge")
    return reduce(add, found)


def bin_counts(values: Floats, edges: Floats) -> Counts:
    """Return how many values lie in each cell.

    Parameters
    ----------
    values : (n,)
        Without NaN; sorted or not.
    edges : (k,)
        Strictly increasing. Cell 0 lies below the first edge, cell i holds its left edge.

    Returns
    -------
    (k + 1,)
        Sorting a chunk that is in the processor's cache and finding the edges in it is four times
        faster than finding every value among the edges.
    """
    found = np.searchsorted(np.sort(values), edges, side="left")
    return np.diff(found, prepend=0, append=values.size).astype(np.int64)


def profile_numbers(
    column: pa.ChunkedArray, edges: Floats, minimum: float | None = None, maximum: float | None = None
) -> NumericProfile:
    """Return the profile of a numeric column chunk; what is no number counts as other kind and as NULL."""
    kind = kind_of(column.type)
    empty = NumericProfile(counts=np.zeros(edges.size + 1, dtype=np.int64), kinds=frozenset({kind}))
    if kind != "number":
        return replace(empty, rows=len(column), nulls=len(column))
    parts = [_profile_floats(part, edges, minimum, maximum) for part in column.chunks]
    return replace(reduce(NumericProfile.merged, parts, empty), kinds=frozenset({kind}))


def profile_categories(
    column: pa.ChunkedArray, cells: Mapping[str, int], allowed: frozenset[str] | None = None
) -> CategoricalProfile:
    """Return the profile of a categorical column chunk.

    Parameters
    ----------
    column
        Of any type that has a text form; dictionaries are counted by their codes.
    cells
        Category → its place in ``counts``.
    allowed
        The values that the contract allows; None is all.
    """
    counts = np.zeros(len(cells) + 1, dtype=np.int64)
    nulls = 0
    others: dict[str, int] = {}
    disallowed: dict[str, int] = {}
    for chunk in column.chunks:
        values, found, missing = count_values(chunk)
        nulls += missing
        places = np.fromiter((cells.get(value, -1) for value in values), dtype=np.int64, count=len(values))
        np.add.at(counts, places, found)
        for place in np.flatnonzero((places < 0) & (found > 0)).tolist():
            others[values[place]] = others.get(values[place], 0) + int(found[place])
        if allowed is not None:
            for value, count in zip(values, found.tolist(), strict=True):
                if count and value not in allowed:
                    disallowed[value] = disallowed.get(value, 0) + count
    return CategoricalProfile(
        counts=counts,
        rows=len(column),
        nulls=nulls,
        others=_examples(others.items()),
        disallowed=_examples(disallowed.items()),
        disallowed_rows=sum(disallowed.values()),
        kinds=frozenset({kind_of(column.type)}),
    )


def kind_of(kind: pa.DataType) -> str:
    """Return number, text, null or other: what a change of type is a change of."""
    if pa.types.is_null(kind):
        return "null"
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_text(kind):
        return "text"
    return "number" if is_number(kind) else "other"


def floats_of(array: pa.Array) -> tuple[Floats, int]:
    """Return the values of a numeric array that are not NULL, and the number of NULLs.

    Integers beyond 2**53 lose their last digits. Without ``to_numpy``, which would import pandas.
    """
    array = doubles_of(array)
    validity, data = array.buffers()
    values = np.frombuffer(data, dtype=np.float64, count=array.offset + len(array))[array.offset :]
    if validity is None or not array.null_count:
        return values, 0
    bits = np.frombuffer(validity, dtype=np.uint8)
    valid = np.unpackbits(bits, bitorder="little", count=array.offset + len(array))[array.offset :]
    return values[valid.astype(bool)], array.null_count


def doubles_of(array: pa.Array) -> pa.DoubleArray:
    """Return a numeric array as doubles; what is double already is not copied."""
    if pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.uint8())
    return pc.cast(array, pa.float64(), safe=False)


def count_values(array: pa.Array) -> tuple[list[str], Counts, int]:
    """Return the values of an array as text, how often each occurs, and the number of NULLs.

    Whole numbers are written alike as integers and as floats: a NULL turns the former into the latter
    in some writers, and that is not another category. NaN counts as NULL.
    """
    if not pa.types.is_dictionary(array.type):
        array = _whole_if_possible(array).dictionary_encode()
    codes = array.indices
    words: list[str | None] = pc.cast(_whole_if_possible(array.dictionary), pa.string()).to_pylist()
    if kernel.compiled() and pa.types.is_int32(codes.type):
        counts, missing = kernel.count_codes(codes, len(words))
    else:
        valid, missing = floats_of(codes)
        counts = np.bincount(valid.astype(np.int64), minlength=len(words)).astype(np.int64)
    absent = [i for i, word in enumerate(words) if word is None or word == "nan"]
    if absent and (array.dictionary.null_count or pa.types.is_floating(array.dictionary.type)):
        missing += int(counts[absent].sum())
        counts[absent] = 0
    return [word or "" for word in words], counts, missing


def _whole_if_possible(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        try:
            return pc.cast(values, pa.int64(), safe=True)
        except pa.ArrowInvalid:
            return values
    return values


def _profile_floats(array: pa.Array, edges: Floats, minimum: float | None, maximum: float | None) -> NumericProfile:
    if kernel.compiled():
        found = kernel.bin_column(doubles_of(array), edges, minimum, maximum)
        return NumericProfile(rows=len(array), **vars(found))
    return profile_floats_in_numpy(array, edges, minimum, maximum)


def profile_floats_in_numpy(
    array: pa.Array, edges: Floats, minimum: float | None = None, maximum: float | None = None
) -> NumericProfile:
    """Return what the compiled kernel does: the same counts, and moments that agree but for their last digits."""
    values, nulls = floats_of(array)
    is_nan = np.isnan(values)
    nans = int(np.count_nonzero(is_nan))
    if nans:
        values = values[~is_nan]
    if not values.size:
        return NumericProfile(np.zeros(edges.size + 1, dtype=np.int64), rows=len(array), nulls=nulls, nans=nans)
    smallest, largest = float(values.min()), float(values.max())
    finite = values if np.isfinite(smallest) and np.isfinite(largest) else values[np.isfinite(values)]
    # Numbers near the end of the range have moments beyond it: infinite, and shown as unknown.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(finite.mean()) if finite.size else 0.0
        m2 = float(np.square(finite - mean).sum())
    return NumericProfile(
        counts=bin_counts(values, edges),
        rows=len(array),
        nulls=nulls,
        nans=nans,
        finite=int(finite.size),
        mean=mean,
        m2=m2,
        minimum=smallest,
        maximum=largest,
        below=int(np.count_nonzero(values < minimum)) if minimum is not None and smallest < minimum else 0,
        above=int(np.count_nonzero(values > maximum)) if maximum is not None and largest > maximum else 0,
    )


def _examples(items: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return summed counts of the EXAMPLES values with the smallest hash.

    A value among them in the union is among them in every part, so no count is ever partial.
    """
    total: dict[str, int] = {}
    for value, count in items:
        total[value] = total.get(value, 0) + count
    if len(total) > EXAMPLES:
        kept = heapq.nsmallest(EXAMPLES, ((zlib.crc32(value.encode()), value) for value in total))
        return {value: total[value] for _, value in kept}
    return total
