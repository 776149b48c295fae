"""Counts of a column's rows in the cells of its plan, by the compiled kernel or, without one, by numpy."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.data.arrow_floats import doubles_of, floats_of, holds_narrow, present_in, shortest, truths_of
from modelmonitor_trainer.data.dates import missing_in_dates, seconds_of
from modelmonitor_trainer.data.remarks import AS_TEXT, TRUTH, missing_as
from modelmonitor_trainer.data.text_numbers import text_numbers
from modelmonitor_trainer.profile import kernel
from modelmonitor_trainer.profile.arrow_values import codes_of, encoded, kind_of, kinds_of, padded, words_of
from modelmonitor_trainer.profile.categories import CategoryCounts, Vocabulary, examples, nulls_of, take
from modelmonitor_trainer.profile.columns import CategoricalProfile, NumericProfile
from modelmonitor_trainer.profile.plans import next_double


def bin_counts(values: Floats, edges: Floats) -> Counts:
    """Count the values in each cell.

    Parameters
    ----------
    values : (n,)
        Without NaN; sorted or not.
    edges : (k,)
        Strictly increasing. Cell 0 lies below the first edge, cell i includes its left edge.

    Returns
    -------
    (k + 1,)
        Number of values in each cell.
    """
    # To sort a chunk that is in the processor's cache and search the edges in it is four times faster than to search
    # every value among the edges.
    below = np.searchsorted(np.sort(values), edges, side="left")
    return np.diff(below, prepend=0, append=values.size).astype(np.int64)


class NumberCounter:
    """Builds the profile of a numeric column chunk by chunk.

    Parameters
    ----------
    cells
        Cells of the column, which threads can share.
    """

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._kinds: set[str] = set()
        self._others = self._rows = self._unparsed = 0
        self._strays: Counter[str] = Counter()
        self._counts: dict[bool, _Doubles] = {}

    def add(self, column: pa.ChunkedArray) -> None:
        """Count a chunk; values that are neither numbers nor times count as NULL, and their kind is recorded.

        Text that stands for numbers is counted as these.
        """
        kind = kind_of(column.type)
        self._rows += len(column)
        if kind == "text":
            add = self._add_dates if self._cells.dates else self._add_text
            for chunk in column.chunks:
                add(encoded(chunk))
            return
        self._kinds.add(kind)
        if kind not in {"number", "time"}:
            self._others += len(column)
            self._unparsed += len(column) - column.null_count
            return
        for chunk in column.chunks:
            # A cast of 32-bit floats is cheap; their cells are those of the decimals that they stand for.
            is_double = pa.types.is_float64(chunk.type)
            narrow = pa.types.is_float32(chunk.type) or (is_double and holds_narrow(chunk))
            if narrow not in self._counts:
                self._counts[narrow] = _Doubles(self._cells.narrow if narrow else self._cells)
            doubles = chunk if is_double else pc.cast(chunk, pa.float64()) if narrow else doubles_of(chunk)
            self._counts[narrow].add(doubles)

    def _add_dates(self, coded: pa.DictionaryArray) -> None:
        """Count text that is dates, and record examples of text that is not."""
        words = words_of(coded.dictionary)
        missing = missing_in_dates(words)
        times, rows_of = seconds_of(words), self._rows_of(coded, words)
        self._add_strays(rows_of, pc.and_not(pc.and_(pc.is_null(times), pc.is_valid(words)), missing))
        if times.null_count < len(times):
            self._kinds |= {"time"} | missing_as(rows_of(missing))
        self._counts.setdefault(False, _Doubles(self._cells)).add(times.take(coded.indices))

    def _add_text(self, coded: pa.DictionaryArray) -> None:
        """Count text that stands for numbers, and record examples of text that does not."""
        words = words_of(coded.dictionary)
        parsed = text_numbers(words)
        rows_of = self._rows_of(coded, words)
        self._add_strays(rows_of, parsed.strays)
        if parsed.values.null_count < len(words):
            self._kinds |= {"number", TRUTH if parsed.truth else AS_TEXT} | missing_as(rows_of(parsed.missing))
        self._counts.setdefault(False, _Doubles(self._cells)).add(doubles_of(parsed.values).take(coded.indices))

    @staticmethod
    def _rows_of(coded: pa.DictionaryArray, words: pa.StringArray) -> Callable[[pa.BooleanArray], dict[str, int]]:
        """Return a function from chosen words to the rows of each that occurs."""
        codes = _code_counts(len(words))
        codes.add(codes_of(coded))
        used = codes.result()[0]

        def rows_of(chosen: pa.BooleanArray) -> dict[str, int]:
            indices = np.flatnonzero(truths_of(chosen) & (used > 0))
            return dict(zip(take(words, indices).to_pylist(), used[indices].tolist(), strict=True))

        return rows_of

    def _add_strays(self, rows_of: Callable[[pa.BooleanArray], dict[str, int]], chosen: pa.BooleanArray) -> None:
        """Record text that is not what the column holds."""
        strays = rows_of(chosen)
        if strays:
            self._kinds.add("text")
            self._unparsed += sum(strays.values())
            self._strays = Counter(examples([*self._strays.items(), *strays.items()]))

    def profile(self) -> NumericProfile:
        """Return the profile of all chunks."""
        parts = [counts.profile() for _, counts in sorted(self._counts.items())]
        empty = NumericProfile(np.zeros(self._cells.edges.size + 1, dtype=np.int64))
        profile = reduce(NumericProfile.merged, parts) if parts else empty
        return replace(
            profile,
            rows=self._rows,
            nulls=profile.nulls + self._others,
            kinds=frozenset(self._kinds),
            strays=dict(self._strays),
            unparsed=self._unparsed,
        )


@dataclass(frozen=True)
class Cells:
    """Cells of a numeric column and its declared range.

    Attributes
    ----------
    edges : (k,)
        Cuts between the cells.
    minimum, maximum
        Declared range.
    dates
        Whether text is read as dates.
    """

    edges: Floats
    minimum: float | None = None
    maximum: float | None = None
    dates: bool = False

    @functools.cached_property
    def table(self) -> kernel.CellTable | None:
        """The edges prepared for the kernel; None if there is no kernel or there are too many edges for it."""
        return kernel.CellTable(self.edges) if kernel.compiled() and self.edges.size <= kernel.MAX_EDGES else None

    @functools.cached_property
    def narrow(self) -> NarrowCells:
        """The same cells for 32-bit floats."""
        return NarrowCells(self)


class NarrowCells(Cells):
    """Cells into which a 32-bit float falls as it is, where the decimal that it stands for falls into those of `cells`.

    A float stands for a decimal between its neighbours, so decimals are in the order of their floats: each edge becomes
    the first float whose decimal is not below it. To convert edges costs nothing for each row.

    Attributes
    ----------
    positions : (k + 2,)
        Where the counts of each cell of `cells` begin among those of these cells, of which there can be fewer.
    """

    def __init__(self, cells: Cells) -> None:
        firsts = _first_floats(cells.edges)
        # Only infinity is above an edge that is beyond all 32-bit floats.
        firsts = np.minimum(firsts, np.finfo(np.float64).max)
        edges = firsts[np.concatenate([[True], firsts[1:] != firsts[:-1]])[: firsts.size]]
        low, high = cells.minimum, cells.maximum
        super().__init__(
            edges,
            None if low is None else float(_first_floats(np.array([low]))[0]),
            # The last float whose decimal is not above it is the one before the first that is.
            None if high is None else float(_before(_first_floats(next_double(np.array([high]))))[0]),
        )
        object.__setattr__(self, "positions", np.searchsorted(edges, firsts) + 1)

    positions: Counts

    def counts_of(self, counts: Counts) -> Counts:
        """Return counts in these cells, (j + 1,), as counts in the cells that they were made of, (k + 1,)."""
        ends = np.concatenate([[0], np.cumsum(counts)])
        cuts = np.concatenate([[0], self.positions, [counts.size]])
        inside: Counts = np.diff(ends[cuts])
        return inside


def _first_floats(edges: Floats) -> Floats:
    """Return the smallest 32-bit float whose shortest decimal is not below each edge, as doubles; (k,)."""
    with np.errstate(over="ignore", under="ignore"):
        nearest = edges.astype(np.float32)
        below = np.nextafter(nearest, np.float32(-np.inf))
        above = np.nextafter(nearest, np.float32(np.inf))
    choices = np.where(shortest(nearest) >= edges, nearest, above)
    return np.where(shortest(below) >= edges, below, choices).astype(np.float64)


def _before(floats: Floats) -> Floats:
    with np.errstate(over="ignore", under="ignore"):
        return np.nextafter(floats.astype(np.float32), np.float32(-np.inf)).astype(np.float64)


class _Doubles:
    """Profile of doubles, by the kernel or by numpy."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._in_numpy: NumericProfile | None = None
        table = cells.table
        self._kernel = kernel.Binning(table, cells.minimum, cells.maximum) if table else None

    def add(self, array: pa.DoubleArray) -> None:
        if self._kernel:
            self._kernel.add(array)
        else:
            profile = profile_floats_in_numpy(array, self._cells.edges, self._cells.minimum, self._cells.maximum)
            self._in_numpy = self._in_numpy.merged(profile) if self._in_numpy else profile

    def profile(self) -> NumericProfile:
        if self._kernel:
            profile = NumericProfile(**vars(self._kernel.result()))
        else:
            profile = self._in_numpy or NumericProfile(np.zeros(self._cells.edges.size + 1, dtype=np.int64))
        if not isinstance(self._cells, NarrowCells):
            return profile
        low, high = shortest(np.array([profile.minimum, profile.maximum])).tolist()
        # Rows are set by the counter, which has seen all of them.
        return replace(profile, counts=self._cells.counts_of(profile.counts), minimum=low, maximum=high)


class CategoryCounter:
    """Builds the profile of a categorical column chunk by chunk.

    The words of a dictionary are looked up once, even if many chunks share it.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary, self._totals = vocabulary, CategoryCounts.empty(vocabulary)
        self._kinds: set[str] = set()
        self._rows = self._nulls = self._padded = self._unparsed = 0
        self._dictionary: pa.Array | None = None
        self._counts: kernel.CodeCounts | _CodesInNumpy | None = None

    def add(self, column: pa.ChunkedArray) -> None:
        """Count a chunk of any type with a text form; nested values count as NULL, and their kind is recorded."""
        kind = kind_of(column.type)
        self._kinds.add(kind)
        self._rows += len(column)
        if kind == "nested":
            self._nulls += len(column)
            self._unparsed += len(column) - column.null_count
            return
        for chunk in column.chunks:
            array = encoded(chunk)
            if self._counts is None or not _same(self._dictionary, array.dictionary):
                self._flush()
                self._dictionary, self._counts = array.dictionary, _code_counts(len(array.dictionary))
            self._counts.add(codes_of(array))

    def _flush(self) -> None:
        """Add the counts of the current dictionary to the totals."""
        if self._counts is None or self._dictionary is None:
            return
        rows, missing = self._counts.result()
        self._kinds |= kinds_of(self._dictionary)
        blanks = padded(self._dictionary)
        if blanks is not None:
            self._padded += int(rows[truths_of(blanks)].sum())
        words = self._vocabulary.resolve_aliases(words_of(self._dictionary))
        self._totals.add(self._vocabulary, words, rows)
        self._nulls += missing
        if words.null_count:
            self._nulls += int(rows[nulls_of(words)].sum())
        self._dictionary = self._counts = None

    def profile(self) -> CategoricalProfile:
        """Return the profile of all chunks."""
        self._flush()
        totals = self._totals
        return CategoricalProfile(
            counts=totals.counts,
            rows=self._rows,
            nulls=self._nulls,
            others=totals.others,
            disallowed=totals.disallowed,
            disallowed_rows=totals.disallowed_rows,
            kinds=frozenset(self._kinds),
            buckets=totals.in_buckets,
            registers=totals.registers,
            padded=self._padded,
            unparsed=self._unparsed,
        )


def count_values(array: pa.Array) -> tuple[list[str], Counts, int]:
    """Return the values of an array as text, how often each occurs, and the number of NULLs.

    Values that are written in two ways, such as "1" and "1.0", are there twice.
    """
    array = encoded(array)
    codes = _code_counts(len(array.dictionary))
    codes.add(codes_of(array))
    counts, missing = codes.result()
    words = words_of(array.dictionary)
    if words.null_count:
        absent = nulls_of(words)
        missing += int(counts[absent].sum())
        counts[absent] = 0
    return [word or "" for word in words.to_pylist()], counts, missing


class _CodesInNumpy:
    """:class:`~modelmonitor_trainer.profile.kernel.CodeCounts` without the kernel."""

    def __init__(self, words: int) -> None:
        self._counts, self._missing = np.zeros(words, dtype=np.int64), 0

    def add(self, codes: pa.Int32Array) -> None:
        valid, missing = floats_of(codes)
        self._counts += np.bincount(valid.astype(np.int64), minlength=self._counts.size)
        self._missing += missing

    def result(self) -> tuple[Counts, int]:
        return self._counts.copy(), self._missing


def _code_counts(words: int) -> kernel.CodeCounts | _CodesInNumpy:
    return kernel.CodeCounts(words) if kernel.compiled() else _CodesInNumpy(words)


def _same(one: pa.Array | None, other: pa.Array) -> bool:
    return one is other or (one is not None and len(one) == len(other) and bool(one.equals(other)))


def profile_floats_in_numpy(
    array: pa.Array, edges: Floats, minimum: float | None = None, maximum: float | None = None
) -> NumericProfile:
    """Return what the compiled kernel returns: the same counts, and moments that differ in their last digits only."""
    values, nulls = present_in(array if pa.types.is_float64(array.type) else doubles_of(array))
    is_nan = np.isnan(values)
    nans = int(np.count_nonzero(is_nan))
    if nans:
        values = values[~is_nan]
    if not values.size:
        return NumericProfile(np.zeros(edges.size + 1, dtype=np.int64), rows=len(array), nulls=nulls, nans=nans)
    smallest, largest = float(values.min()), float(values.max())
    finite = values if np.isfinite(smallest) and np.isfinite(largest) else values[np.isfinite(values)]
    # The moments of numbers near the largest double overflow to infinity, and are shown as unknown.
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
