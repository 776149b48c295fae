"""Arrow arrays as numbers and words: what of a column is counted, whatever type it was written with."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.data.tables import is_number, is_text
from modelmonitor_trainer.profile.categories import shortened

_SECONDS_A_DAY = 86_400


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
    in some writers, and that is not another category. NaN counts as NULL. Long ones are :func:`shortened`.
    """
    words = pc.cast(_whole_if_possible(dictionary), pa.string())
    if pa.types.is_floating(dictionary.type):
        words = pc.if_else(pc.equal(words, "nan"), pa.scalar(None, pa.string()), words)
    return shortened(words)


def _whole_if_possible(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        try:
            return pc.cast(values, pa.int64(), safe=True)
        except pa.ArrowInvalid:
            return values
    return values
