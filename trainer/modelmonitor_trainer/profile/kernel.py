"""The compiled pass over numeric columns (``binning.c``), where a compiler was there when this was installed.

It counts what :mod:`~modelmonitor_trainer.profile.columns` counts with numpy, and the counts are the same: only the
last digits of sums may differ. It takes about a third of the time, and runs while other threads do.
"""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from modelmonitor_trainer.arrays import Counts, Floats

_LOG = logging.getLogger(__name__)

#: Where the build puts the library.
LIBRARY = Path(__file__).with_name("_binning.so")
#: As in binning.c.
_BUCKETS, _UNROLLED = 8192, 4


@dataclass(frozen=True)
class Binned:
    """What one pass finds.

    Attributes
    ----------
    counts : (edges + 1,)
        Values in each cell.
    nulls, nans, finite, below, above
        How many are NULL, NaN, finite, below and above the declared range.
    mean, m2
        Mean of the finite values, and the sum of their squared deviations from it.
    minimum, maximum
        Of what is neither NULL nor NaN; NaN where there is nothing.
    """

    counts: Counts
    nulls: int
    nans: int
    finite: int
    mean: float
    m2: float
    minimum: float
    maximum: float
    below: int
    above: int


class _Moments(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("nulls", "nans", "finite", "below", "above")),
        *((name, ctypes.c_double) for name in ("sum", "square_sum", "minimum", "maximum")),
    )


def _load(path: Path) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        _LOG.debug("columns are profiled with numpy: %s", error)
        return None
    pointer, whole, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
    library.modelmonitor_bin.restype = library.modelmonitor_count.restype = None
    library.modelmonitor_bin.argtypes = (
        *(pointer, pointer, whole, whole),
        *(pointer, whole, real, real, real),
        *(pointer, pointer, pointer),
    )
    library.modelmonitor_count.argtypes = (pointer, pointer, whole, whole, whole, pointer)
    return library


_KERNEL = _load(LIBRARY)


def compiled() -> bool:
    """Whether there is a compiled kernel."""
    return _KERNEL is not None


def bin_column(array: pa.DoubleArray, edges: Floats, minimum: float | None, maximum: float | None) -> Binned:
    """Return what one pass over a column finds.

    Parameters
    ----------
    array : (n,)
        Of type double; sliced or not.
    edges : (k,)
        Strictly increasing and finite. Cell 0 lies below the first edge, cell i holds its left edge.
    minimum, maximum
        Declared range.

    Raises
    ------
    RuntimeError
        If there is no compiled kernel.
    """
    if _KERNEL is None:
        raise RuntimeError("binning.c was not compiled when modelmonitor-trainer was installed")
    validity, data = array.buffers()
    cells = np.zeros(2 * (edges.size + 2), dtype=np.int64)
    scratch = np.empty(2 * _BUCKETS, dtype=np.int32)
    padded = np.concatenate([edges, np.full(_UNROLLED, np.nan)])
    # Deviations from a value amid the data lose no digits to a mean far from zero.
    shift = float(edges[edges.size // 2]) if edges.size else 0.0
    found = _Moments()
    _KERNEL.modelmonitor_bin(
        data.address + 8 * array.offset if data is not None else None,
        validity.address if validity is not None and array.null_count else None,
        array.offset,
        len(array),
        padded.ctypes.data,
        edges.size,
        shift,
        -np.inf if minimum is None else minimum,
        np.inf if maximum is None else maximum,
        scratch.ctypes.data,
        cells.ctypes.data,
        ctypes.byref(found),
    )
    mean, m2 = _moments(found, shift)
    there = len(array) > found.nulls + found.nans
    return Binned(
        counts=cells[: edges.size + 1].copy(),
        nulls=found.nulls,
        nans=found.nans,
        finite=found.finite,
        mean=mean,
        m2=m2,
        minimum=found.minimum if there else float("nan"),
        maximum=found.maximum if there else float("nan"),
        below=found.below,
        above=found.above,
    )


def count_codes(codes: pa.Int32Array, words: int) -> tuple[Counts, int]:
    """Return how often each code from 0 to `words` - 1 occurs, and how many are missing.

    Raises
    ------
    RuntimeError
        If there is no compiled kernel.
    """
    if _KERNEL is None:
        raise RuntimeError("binning.c was not compiled when modelmonitor-trainer was installed")
    validity, data = codes.buffers()
    counts = np.zeros(2 * (words + 1), dtype=np.int64)
    _KERNEL.modelmonitor_count(
        data.address + 4 * codes.offset if data is not None else None,
        validity.address if validity is not None and codes.null_count else None,
        codes.offset,
        len(codes),
        words,
        counts.ctypes.data,
    )
    return counts[:words].copy(), int(counts[words])


def _moments(found: _Moments, shift: float) -> tuple[float, float]:
    """Return the mean and the sum of squared deviations from sums of deviations from `shift`."""
    if not found.finite:
        return 0.0, 0.0
    distance = found.sum / found.finite
    m2 = found.square_sum - found.sum * distance
    return shift + distance, m2 if m2 > 0 or np.isnan(m2) else 0.0
