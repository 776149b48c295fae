"""Profiles of columns: what a drift test needs to know of any number of rows, in constant space.

A profile counts rows in cells that were cut beforehand (:mod:`~modelmonitor_trainer.profile.plan`).
Two profiles with the same cells merge by addition, so a window is the sum of its partitions, and the
same tasks (column, cells) → profile may run anywhere. Counts are exact; moments follow

    T. F. Chan, G. H. Golub, R. J. LeVeque, Updating formulae and a pairwise algorithm for computing
    sample variances, 1979.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.data.tables import is_number, is_text
from modelmonitor_trainer.profile import kernel
from modelmonitor_trainer.profile.words import (
    EXAMPLES,
    Registers,
    Vocabulary,
    WordCounts,
    distinct,
    examples,
    no_registers,
    nulls_of,
)

__all__ = ["EXAMPLES", "CategoricalProfile", "ColumnProfile", "NumericProfile", "merge"]

_SECONDS_A_DAY = 86_400


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
        Kinds of the Arrow types seen: number, text, time, nested, null, other.
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
    buckets
        Rows of the values that are not known categories, by the bucket of their hash; empty where the plan has none.
    registers
        Sketch of all values (:mod:`~modelmonitor_trainer.profile.words`).
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
    buckets: Counts = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    registers: Registers = field(default_factory=no_registers)

    @property
    def distinct(self) -> int:
        """About how many different values there are, give or take three per cent."""
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
            kinds=self.kinds | other.kinds,
            buckets=self.buckets + other.buckets,
            registers=np.maximum(self.registers, other.registers),
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


class NumberCounter:
    """Makes the profile of a numeric column part by part.

    Parameters
    ----------
    edges : (k,)
        Cuts between the cells.
    minimum, maximum
        Declared range.
    table
        The same edges for the kernel, where they have been prepared.
    """

    def __init__(
        self,
        edges: Floats,
        minimum: float | None = None,
        maximum: float | None = None,
        table: kernel.CellTable | None = None,
    ) -> None:
        self._edges, self._range = edges, (minimum, maximum)
        self._kinds: set[str] = set()
        self._others = self._rows = 0
        self._slow: NumericProfile | None = None
        table = table or cell_table(edges)
        self._fast = kernel.Binning(table, minimum, maximum) if table else None

    def add(self, column: pa.ChunkedArray) -> None:
        """Look at a part; what is neither number nor time counts as NULL, and its kind is noted."""
        kind = kind_of(column.type)
        self._kinds.add(kind)
        self._rows += len(column)
        if kind not in {"number", "time"}:
            self._others += len(column)
            return
        for part in column.chunks:
            if self._fast:
                self._fast.add(doubles_of(part))
            else:
                found = profile_floats_in_numpy(part, self._edges, *self._range)
                self._slow = self._slow.merged(found) if self._slow else found

    def profile(self) -> NumericProfile:
        """Return the profile of all parts."""
        if self._fast:
            found = NumericProfile(**vars(self._fast.found()))
        else:
            found = self._slow or NumericProfile(np.zeros(self._edges.size + 1, dtype=np.int64))
        return replace(found, rows=self._rows, nulls=found.nulls + self._others, kinds=frozenset(self._kinds))


def cell_table(edges: Floats) -> kernel.CellTable | None:
    """Return the edges as the kernel needs them; None where there is no kernel, or too many edges for it."""
    return kernel.CellTable(edges) if kernel.compiled() and edges.size <= kernel.MAX_EDGES else None


class CategoryCounter:
    """Makes the profile of a categorical column part by part.

    The words of a dictionary are looked up once, however many parts share it.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary, self._found = vocabulary, WordCounts.none(vocabulary)
        self._kinds: set[str] = set()
        self._rows = self._nulls = 0
        self._dictionary: pa.Array | None = None
        self._counts: kernel.CodeCounts | _CodesInNumpy | None = None

    def add(self, column: pa.ChunkedArray) -> None:
        """Count a part of any type that has a text form; nested values count as NULL, and their kind is noted."""
        kind = kind_of(column.type)
        self._kinds.add(kind)
        self._rows += len(column)
        if kind == "nested":
            self._nulls += len(column)
            return
        for chunk in column.chunks:
            array = encoded(chunk)
            if self._counts is None or not _same(self._dictionary, array.dictionary):
                self._look_up()
                self._dictionary, self._counts = array.dictionary, _counting(len(array.dictionary))
            self._counts.add(codes_of(array))

    def _look_up(self) -> None:
        if self._counts is None or self._dictionary is None:
            return
        rows, missing = self._counts.found()
        words = words_of(self._dictionary)
        self._found.add(self._vocabulary, words, rows)
        self._nulls += missing
        if words.null_count:
            self._nulls += int(rows[nulls_of(words)].sum())
        self._dictionary = self._counts = None

    def profile(self) -> CategoricalProfile:
        """Return the profile of all parts."""
        self._look_up()
        found = self._found
        return CategoricalProfile(
            counts=found.counts,
            rows=self._rows,
            nulls=self._nulls,
            others=found.others,
            disallowed=found.disallowed,
            disallowed_rows=found.disallowed_rows,
            kinds=frozenset(self._kinds),
            buckets=found.in_buckets,
            registers=found.registers,
        )


def profile_numbers(
    column: pa.ChunkedArray, edges: Floats, minimum: float | None = None, maximum: float | None = None
) -> NumericProfile:
    """Return the profile of a numeric column chunk; what is no number counts as other kind and as NULL."""
    counter = NumberCounter(edges, minimum, maximum)
    counter.add(column)
    return counter.profile()


def profile_categories(
    column: pa.ChunkedArray, cells: Mapping[str, int], allowed: frozenset[str] | None = None, buckets: int = 0
) -> CategoricalProfile:
    """Return the profile of a categorical column chunk.

    Parameters
    ----------
    column
        Of any type that has a text form; dictionaries are counted by their codes.
    cells
        Category → its place in ``counts``; the places are 0, 1, …
    allowed
        The values that the contract allows; None is all.
    buckets
        How many buckets there are for other values.
    """
    counter = CategoryCounter(Vocabulary.of(sorted(cells, key=cells.__getitem__), allowed, buckets))
    counter.add(column)
    return counter.profile()


def kind_of(kind: pa.DataType) -> str:
    """Return number, text, time, nested, null or other: what a change of type is a change of."""
    if pa.types.is_null(kind):
        return "null"
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_text(kind):
        return "text"
    if pa.types.is_temporal(kind):
        return "time"
    if pa.types.is_nested(kind):
        return "nested"
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
    """Return a numeric array as doubles; what is double already is not copied.

    Integers beyond 2**53 and decimals become the nearest double. Dates and times are seconds, since 1970 where they are
    points in time.
    """
    kind = array.type
    if pa.types.is_float64(kind):
        return array
    if pa.types.is_boolean(kind):
        array = pc.cast(array, pa.uint8())
    elif pa.types.is_temporal(kind):
        return _seconds(array)
    return pc.cast(array, pa.float64(), safe=False)


def _seconds(array: pa.Array) -> pa.DoubleArray:
    """Return dates, times and durations as seconds."""
    units = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
    if pa.types.is_date32(array.type):
        return pc.multiply(pc.cast(pc.cast(array, pa.int32()), pa.float64()), float(_SECONDS_A_DAY))
    if pa.types.is_interval(array.type):  # of months, which have no length
        return pc.cast(pa.nulls(len(array)), pa.float64())
    unit = 1e3 if pa.types.is_date64(array.type) else units[array.type.unit]
    whole = pa.int32() if pa.types.is_time32(array.type) else pa.int64()
    return pc.divide(pc.cast(pc.cast(array, whole), pa.float64(), safe=False), unit)


def encoded(array: pa.Array) -> pa.DictionaryArray:
    """Return an array as a dictionary and places in it."""
    return array if pa.types.is_dictionary(array.type) else _whole_if_possible(array).dictionary_encode()


def codes_of(array: pa.DictionaryArray) -> pa.Int32Array:
    """Return the places in the dictionary."""
    return array.indices if pa.types.is_int32(array.indices.type) else pc.cast(array.indices, pa.int32())


def words_of(dictionary: pa.Array) -> pa.StringArray:
    """Return the values of a dictionary as text.

    Whole numbers are written alike as integers and as floats: a NULL turns the former into the latter
    in some writers, and that is not another category. NaN counts as NULL.
    """
    words = pc.cast(_whole_if_possible(dictionary), pa.string())
    if pa.types.is_floating(dictionary.type):
        words = pc.if_else(pc.equal(words, "nan"), pa.scalar(None, pa.string()), words)
    return words


def count_values(array: pa.Array) -> tuple[list[str], Counts, int]:
    """Return the values of an array as text, how often each occurs, and the number of NULLs."""
    array = encoded(array)
    counting = _counting(len(array.dictionary))
    counting.add(codes_of(array))
    counts, missing = counting.found()
    words = words_of(array.dictionary)
    if words.null_count:
        absent = nulls_of(words)
        missing += int(counts[absent].sum())
        counts[absent] = 0
    return [word or "" for word in words.to_pylist()], counts, missing


class _CodesInNumpy:
    """What :class:`~modelmonitor_trainer.profile.kernel.CodeCounts` does, without the kernel."""

    def __init__(self, words: int) -> None:
        self._counts, self._missing = np.zeros(words, dtype=np.int64), 0

    def add(self, codes: pa.Int32Array) -> None:
        valid, missing = floats_of(codes)
        self._counts += np.bincount(valid.astype(np.int64), minlength=self._counts.size)
        self._missing += missing

    def found(self) -> tuple[Counts, int]:
        return self._counts.copy(), self._missing


def _counting(words: int) -> kernel.CodeCounts | _CodesInNumpy:
    return kernel.CodeCounts(words) if kernel.compiled() else _CodesInNumpy(words)


def _same(one: pa.Array | None, other: pa.Array) -> bool:
    return one is other or (one is not None and len(one) == len(other) and bool(one.equals(other)))


def _whole_if_possible(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        try:
            return pc.cast(values, pa.int64(), safe=True)
        except pa.ArrowInvalid:
            return values
    return values


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
