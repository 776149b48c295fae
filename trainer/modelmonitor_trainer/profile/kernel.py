"""Bindings of the compiled kernel (``binning.c``), present if there was a compiler at installation.

It counts what :mod:`~modelmonitor_trainer.profile.counting` counts with numpy. The counts are the same; only the last
digits of sums can differ. It takes about a third of the time and releases the interpreter lock.
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

#: Path of the compiled library.
LIBRARY = Path(__file__).with_name("_binning.so")
#: Largest number of edges that a table of binning.c holds.
MAX_EDGES = 65_534


@dataclass(frozen=True)
class Binned:
    """Result of one or more passes over a column.

    Attributes
    ----------
    counts : (edges + 1,)
        Values in each cell.
    nulls, nans, finite, negative_infinities, below, above
        Number of values that are NULL, NaN, finite, minus infinity, below and above the declared range.
    mean, m2
        Mean of the finite values, and the sum of their squared deviations from it.
    minimum, maximum
        Of the values that are neither NULL nor NaN; NaN if there are none.
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
    """Lookup table of the cells of a column; threads can share it.

    Parameters
    ----------
    edges : (k,)
        Strictly increasing and finite, at most MAX_EDGES. Cell 0 lies below the first edge, cell i includes its
        left edge.

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
    """Accumulates passes over the chunks of a column.

    Parameters
    ----------
    table
        Cells of the column.
    minimum, maximum
        Declared range.
    """

    def __init__(self, table: CellTable, minimum: float | None, maximum: float | None) -> None:
        self._table = table
        self._range = (-np.inf if minimum is None else minimum, np.inf if maximum is None else maximum)
        self._cells = np.zeros((2, table.edges + 2), dtype=np.int64)
        self._moments = _Moments(minimum=np.inf, maximum=-np.inf)
        self._results = self._cells.ctypes.data, ctypes.byref(self._moments)
        self._rows = self._nulls = 0
        self._shift: float | None = None

    def add(self, array: pa.DoubleArray) -> None:
        """Count (n,) doubles; the array can be a slice."""
        validity, data = array.buffers()
        nulls = array.null_count
        if self._shift is None:
            self._shift = _shift_of(array)
        _kernel().modelmonitor_bin(
            self._table.address,
            data.address + 8 * array.offset if data is not None else None,
            validity.address if validity is not None and nulls else None,
            array.offset,
            len(array),
            self._shift or 0.0,
            *self._range,
            *self._results,
        )
        self._rows += len(array)
        self._nulls += nulls
        if self._shift is None and self._moments.finite:
            self._shift = 0.0  # used for these values, so all others must use it too

    def result(self) -> Binned:
        """Return the counts and moments so far."""
        cells, moments = self._cells.sum(axis=0), self._moments
        mean, m2 = _mean_and_m2(moments, self._shift or 0.0)
        missing = int(cells[-1])
        present = self._rows > missing
        return Binned(
            counts=cells[:-1].copy(),
            nulls=self._nulls,
            nans=missing - self._nulls,
            finite=moments.finite,
            negative_infinities=moments.negative_infinities,
            mean=mean,
            m2=m2,
            minimum=moments.minimum if present else float("nan"),
            maximum=moments.maximum if present else float("nan"),
            below=moments.below,
            above=moments.above,
        )


class CodeCounts:
    """Counts how often each word of a dictionary occurs, from arrays of indices into it.

    Parameters
    ----------
    words
        Size of the dictionary.

    Raises
    ------
    RuntimeError
        If there is no compiled kernel.
    """

    def __init__(self, words: int) -> None:
        self._count, self._words = _kernel().modelmonitor_count, words
        self._counts = np.zeros((2, words + 1), dtype=np.int64)

    def add(self, codes: pa.Int32Array) -> None:
        """Count (n,) indices."""
        validity, data = codes.buffers()
        self._count(
            data.address + 4 * codes.offset if data is not None else None,
            validity.address if validity is not None and codes.null_count else None,
            codes.offset,
            len(codes),
            self._words,
            self._counts.ctypes.data,
        )

    def result(self) -> tuple[Counts, int]:
        """Return how often each word occurs, shape (words,), and the number of missing values."""
        counts = self._counts.sum(axis=0)
        return counts[:-1].copy(), int(counts[-1])


def checksums(words: pa.StringArray) -> npt.NDArray[np.uint64]:
    """Return the CRC-32 of each word, shape (n,); NULL counts as the empty string."""
    sums = np.zeros(len(words), dtype=np.uint64)
    _, ends, text = words.buffers()
    if len(words) and text is not None:
        first = ends.address + 4 * words.offset
        _kernel().modelmonitor_checksums(first, text.address, len(words), sums.ctypes.data)
    return sums


def _shift_of(array: pa.DoubleArray) -> float | None:
    """Return a typical value: deviations from it lose no digits to a mean far from zero. None if all are missing.

    It is the median of a few values, so that a single outlier is not chosen.
    """
    some = (array[index].as_py() for index in range(0, len(array), max(1, len(array) // 8)))
    known = sorted(value for value in some if value is not None and math.isfinite(value))
    return float(known[len(known) // 2]) if known else None


def _mean_and_m2(moments: _Moments, shift: float) -> tuple[float, float]:
    """Return the mean and the sum of squared deviations from it, from sums of deviations from `shift`."""
    if not moments.finite:
        return 0.0, 0.0
    distance = moments.sum / moments.finite
    m2 = moments.square_sum - moments.sum * distance
    return shift + distance, m2 if m2 > 0 or np.isnan(m2) else 0.0
