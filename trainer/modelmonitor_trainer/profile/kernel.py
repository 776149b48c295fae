"""The compiled passes over columns (``binning.c``), where a compiler was there when this was installed.

They count what :mod:`~modelmonitor_trainer.profile.counting` counts with numpy, and the counts are the same: only the
last digits of sums may differ. They take about a third of the time, and run while other threads do.
"""

from __future__ import annotations

import ctypes
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from modelmonitor_trainer.arrays import Counts, Floats

_LOG = logging.getLogger(__name__)

#: Where the build puts the library.
LIBRARY = Path(__file__).with_name("_binning.so")
#: Edges that a table of binning.c holds at most.
MAX_EDGES = 65_534


@dataclass(frozen=True)
class Binned:
    """What passes over a column found.

    Attributes
    ----------
    counts : (edges + 1,)
        Values in each cell.
    nulls, nans, finite, negative_infinities, below, above
        How many are NULL, NaN, finite, minus infinity, below and above the declared range.
    mean, m2
        Mean of the finite values, and the sum of their squared deviations from it.
    minimum, maximum
        Of what is neither NULL nor NaN; NaN where there is nothing.
    """

    counts: Counts
    nulls: int
    nans: int
    finite: int
    negative_infinities: int
    mean: float
    m2: float
    minimum: float
    maximum: float
    below: int
    above: int


class _Moments(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("finite", "negative_infinities", "below", "above")),
        *((name, ctypes.c_double) for name in ("sum", "square_sum", "minimum", "maximum")),
    )


def _load(path: Path) -> ctypes.CDLL | None:
    pointer, whole, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
    try:
        library = ctypes.CDLL(str(path))
        library.modelmonitor_moments_size.restype = whole
        if library.modelmonitor_moments_size() != ctypes.sizeof(_Moments):
            _LOG.debug("columns are profiled with numpy: the library is of another version")
            return None
        library.modelmonitor_table_size.argtypes = (whole,)
        library.modelmonitor_table_size.restype = whole
        library.modelmonitor_make_table.argtypes = (pointer, whole, pointer)
        library.modelmonitor_bin.argtypes = (
            *(pointer, pointer, pointer, whole, whole),
            *(real, real, real, pointer, pointer),
        )
        library.modelmonitor_count.argtypes = (pointer, pointer, whole, whole, whole, pointer)
        library.modelmonitor_checksums.argtypes = (pointer, pointer, whole, pointer)
    except (OSError, AttributeError) as error:  # none, or one that lacks a function
        _LOG.debug("columns are profiled with numpy: %s", error)
        return None
    library.modelmonitor_make_table.restype = library.modelmonitor_checksums.restype = None
    library.modelmonitor_bin.restype = library.modelmonitor_count.restype = None
    return library


_KERNEL = _load(LIBRARY)


def compiled() -> bool:
    """Whether there is a compiled kernel."""
    return _KERNEL is not None


def _kernel() -> ctypes.CDLL:
    if _KERNEL is None:
        raise RuntimeError("binning.c was not compiled when modelmonitor-trainer was installed")
    return _KERNEL


class CellTable:
    """Where the cells of a column begin, worked out once; threads may share it.

    Parameters
    ----------
    edges : (k,)
        Strictly increasing and finite, at most MAX_EDGES. Cell 0 lies below the first edge, cell i holds its left edge.

    Raises
    ------
    RuntimeError
        If there is no compiled kernel.
    """

    def __init__(self, edges: Floats) -> None:
        kernel, edges = _kernel(), np.ascontiguousarray(edges, dtype=np.float64)
        # Of doubles, because it must be aligned for them.
        self._bytes = np.empty(-(-kernel.modelmonitor_table_size(edges.size) // 8), dtype=np.float64)
        self.address: int = self._bytes.ctypes.data
        self.edges = edges.size
        kernel.modelmonitor_make_table(edges.ctypes.data, edges.size, self.address)


class Binning:
    """Passes over the parts of a column, one after the other.

    Parameters
    ----------
    table
        Its cells.
    minimum, maximum
        Declared range.
    """

    def __init__(self, table: CellTable, minimum: float | None, maximum: float | None) -> None:
        self._table = table
        self._range = (-np.inf if minimum is None else minimum, np.inf if maximum is None else maximum)
        self._cells = np.zeros((2, table.edges + 2), dtype=np.int64)
        self._found = _Moments(minimum=np.inf, maximum=-np.inf)
        self._rows = self._nulls = 0
        self._shift: float | None = None

    def add(self, array: pa.DoubleArray) -> None:
        """Look at (n,) values of type double; sliced or not."""
        validity, data = array.buffers()
        nulls = array.null_count
        if self._shift is None:
            self._shift = _amid(array)
        _kernel().modelmonitor_bin(
            self._table.address,
            data.address + 8 * array.offset if data is not None else None,
            validity.address if validity is not None and nulls else None,
            array.offset,
            len(array),
            self._shift or 0.0,
            *self._range,
            self._cells.ctypes.data,
            ctypes.byref(self._found),
        )
        self._rows += len(array)
        self._nulls += nulls
        if self._shift is None and self._found.finite:
            self._shift = 0.0  # what it was for these, and now must be for all

    def found(self) -> Binned:
        """Return what has been found so far."""
        cells, found = self._cells.sum(axis=0), self._found
        mean, m2 = _moments(found, self._shift or 0.0)
        missing = int(cells[-1])
        there = self._rows > missing
        return Binned(
            counts=cells[:-1].copy(),
            nulls=self._nulls,
            nans=missing - self._nulls,
            finite=found.finite,
            negative_infinities=found.negative_infinities,
            mean=mean,
            m2=m2,
            minimum=found.minimum if there else float("nan"),
            maximum=found.maximum if there else float("nan"),
            below=found.below,
            above=found.above,
        )


def bin_column(array: pa.DoubleArray, edges: Floats, minimum: float | None, maximum: float | None) -> Binned:
    """Return what one pass over a column finds; parameters are those of CellTable and Binning."""
    passes = Binning(CellTable(edges), minimum, maximum)
    passes.add(array)
    return passes.found()


class CodeCounts:
    """How often each of some words occurs in arrays of their places.

    Parameters
    ----------
    words
        How many there are.

    Raises
    ------
    RuntimeError
        If there is no compiled kernel.
    """

    def __init__(self, words: int) -> None:
        self._count, self._words = _kernel().modelmonitor_count, words
        self._counts = np.zeros((2, words + 1), dtype=np.int64)

    def add(self, codes: pa.Int32Array) -> None:
        """Count (n,) places."""
        validity, data = codes.buffers()
        self._count(
            data.address + 4 * codes.offset if data is not None else None,
            validity.address if validity is not None and codes.null_count else None,
            codes.offset,
            len(codes),
            self._words,
            self._counts.ctypes.data,
        )

    def found(self) -> tuple[Counts, int]:
        """Return how often each word occurs, shape (words,), and how many values are missing."""
        counts = self._counts.sum(axis=0)
        return counts[:-1].copy(), int(counts[-1])


def count_codes(codes: pa.Int32Array, words: int) -> tuple[Counts, int]:
    """Return how often each code from 0 to `words` - 1 occurs, and how many are missing."""
    counts = CodeCounts(words)
    counts.add(codes)
    return counts.found()


def checksums(words: pa.StringArray) -> npt.NDArray[np.uint64]:
    """Return the CRC-32 of each word, shape (n,); NULLs are words without letters."""
    found = np.zeros(len(words), dtype=np.uint64)
    _, ends, text = words.buffers()
    if len(words) and text is not None:
        first = ends.address + 4 * words.offset
        _kernel().modelmonitor_checksums(first, text.address, len(words), found.ctypes.data)
    return found


def _amid(array: pa.DoubleArray) -> float | None:
    """Return a value amid the data, so that deviations from it lose no digits to a mean far from zero; None if unknown.

    The middle one of a few, so that no single wild value is taken.
    """
    some = (array[place].as_py() for place in range(0, len(array), max(1, len(array) // 8)))
    known = sorted(value for value in some if value is not None and math.isfinite(value))
    return float(known[len(known) // 2]) if known else None


def _moments(found: _Moments, shift: float) -> tuple[float, float]:
    """Return the mean and the sum of squared deviations from sums of deviations from `shift`."""
    if not found.finite:
        return 0.0, 0.0
    distance = found.sum / found.finite
    m2 = found.square_sum - found.sum * distance
    return shift + distance, m2 if m2 > 0 or np.isnan(m2) else 0.0
