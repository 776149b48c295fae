"""Counting the rows of a column in the cells of its plan, with the compiled kernel or, where there is none, numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.profile import kernel
from modelmonitor_trainer.profile.arrow_values import codes_of, doubles_of, encoded, floats_of, kind_of, words_of
from modelmonitor_trainer.profile.categories import (
    Vocabulary,
    WordCounts,
    nulls_of,
)
from modelmonitor_trainer.profile.columns import CategoricalProfile, NumericProfile


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
        words = self._vocabulary.in_its_words(words_of(self._dictionary))
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
        negative_infinities=int(np.count_nonzero(values == -np.inf)),
        mean=mean,
        m2=m2,
        minimum=smallest,
        maximum=largest,
        below=int(np.count_nonzero(values < minimum)) if minimum is not None and smallest < minimum else 0,
        above=int(np.count_nonzero(values > maximum)) if maximum is not None and largest > maximum else 0,
    )
