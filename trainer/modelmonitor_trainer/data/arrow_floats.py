"""Numeric Arrow arrays as doubles, whatever type they were written with.

Nothing here calls ``to_numpy``, which would import pandas.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.data.tables import is_number

_SECONDS_PER_DAY = 86_400


def numbers_of(column: pa.ChunkedArray) -> Floats:
    """Return a column as doubles, NaN for what is missing, infinite or not a number; (n,)."""
    if not is_number(column.type):
        return np.full(len(column), np.nan)
    return np.concatenate([np.empty(0), *(_finite_or_nan(chunk) for chunk in column.chunks)])


def _finite_or_nan(array: pa.Array) -> Floats:
    array = doubles_of(array)
    validity, data = array.buffers()
    end = array.offset + len(array)
    values = np.frombuffer(data, dtype=np.float64, count=end)[array.offset :]
    usable = np.isfinite(values)
    if validity is not None and array.null_count:
        bits = np.unpackbits(np.frombuffer(validity, dtype=np.uint8), bitorder="little", count=end)
        usable &= bits[array.offset :].astype(bool)
    return np.where(usable, values, np.nan)


def floats_of(array: pa.Array) -> tuple[Floats, int]:
    """Return the values of a numeric array that are not NULL, and the number of NULLs.

    Integers beyond 2**53 lose their last digits.
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
    """Return a numeric array as doubles; an array of doubles is returned as it is.

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
        return pc.multiply(pc.cast(pc.cast(array, pa.int32()), pa.float64()), float(_SECONDS_PER_DAY))
    if pa.types.is_interval(array.type):  # of months, which have no fixed length
        return pc.cast(pa.nulls(len(array)), pa.float64())
    unit = 1e3 if pa.types.is_date64(array.type) else units[array.type.unit]
    whole = pa.int32() if pa.types.is_time32(array.type) else pa.int64()
    return pc.divide(pc.cast(pc.cast(array, whole), pa.float64(), safe=False), unit)
