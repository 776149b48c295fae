"""Numeric Arrow arrays as doubles, whatever type they were written with.

The double of a number is the nearest one to the shortest decimal that the type stands for: 0.1 as 32-bit float, as
decimal and as 64-bit float is the same double. Nothing here calls ``to_numpy``, which would import pandas.
"""

from __future__ import annotations

import ctypes
import functools
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.arrays import Array, Floats

_SECONDS_PER_DAY = 86_400
#: Integers up to this are doubles, and so are powers of ten up to this exponent: a quotient of both is rounded once.
_EXACT_INTEGER, _EXACT_POWER = 2**53, 22
#: Doubles that are inspected one by one, then together, before all of them are.
_FIRST, _FEW = 8, 512
#: Of these, fractions of a usual size that are inspected, and the digits of those that were 32-bit floats.
_FRACTIONS, _USUAL, _MANY_DIGITS, _NARROW_DIGITS = 32, (1e-20, 1e20), 15, 7


def finite_or_nan(array: pa.Array) -> Floats:
    """Return a numeric array as doubles, NaN for what is missing or infinite; (n,)."""
    array = doubles_of(array)
    values = _view(array, np.float64)
    usable = np.isfinite(values)
    if array.null_count:
        usable &= valid_of(array)
    return np.where(usable, values, np.nan)


def floats_of(array: pa.Array) -> tuple[Floats, int]:
    """Return the values of a numeric array that are not NULL, and the number of NULLs.

    Integers beyond 2**53 lose their last digits.
    """
    return present_in(doubles_of(array))


def present_in(array: pa.DoubleArray) -> tuple[Floats, int]:
    """Return the doubles of an array that are not NULL, as they are, and the number of NULLs."""
    values: Floats = _view(array, np.float64)
    if not array.null_count:
        return values, 0
    return values[valid_of(array)], array.null_count


def valid_of(array: pa.Array) -> Array:
    """Return which values of an array are not NULL, shape (n,)."""
    validity, end = array.buffers()[0], array.offset + len(array)
    if validity is None:
        return np.full(len(array), array.null_count == 0)
    bits = np.unpackbits(np.frombuffer(validity, dtype=np.uint8), bitorder="little", count=end)
    return bits[array.offset :].astype(bool)


def truths_of(array: pa.BooleanArray) -> Array:
    """Return which values of an array are true, shape (n,)."""
    end = array.offset + len(array)
    bits = np.unpackbits(np.frombuffer(array.buffers()[1], dtype=np.uint8), bitorder="little", count=end)
    return bits[array.offset :].astype(bool) & valid_of(array)


def doubles_of(array: pa.Array) -> pa.DoubleArray:
    """Return a numeric array as doubles; an array of doubles is returned as it is, unless it holds 32-bit floats.

    Integers beyond 2**53 become the nearest double. Decimals and narrower floats become the double that is nearest to
    the shortest decimal which they stand for. Dates and times are seconds, since 1970 where they are points in time.
    """
    kind = array.type
    if pa.types.is_float64(kind):
        return _from_narrow(array)
    if pa.types.is_dictionary(kind) or isinstance(array, pa.ExtensionArray):
        return doubles_of(array.storage if isinstance(array, pa.ExtensionArray) else array.dictionary_decode())
    if pa.types.is_temporal(kind):
        return _seconds(array)
    if pa.types.is_decimal(kind):
        return _from_narrow(_doubles_of_decimals(array))
    if pa.types.is_float16(kind):
        return _array_of(_halves()[_view(array, np.uint16)], array)
    if pa.types.is_float32(kind):
        # The text of a 32-bit float is the shortest decimal that reads as it, and texts are read as the nearest double.
        array = pc.cast(array, pa.string())
    elif pa.types.is_boolean(kind):
        array = pc.cast(array, pa.uint8())
    return pc.cast(array, pa.float64(), safe=False)


def _from_narrow(array: pa.DoubleArray) -> pa.DoubleArray:
    return doubles_of(pc.cast(array, pa.float32())) if holds_narrow(array) else array


def holds_narrow(array: pa.DoubleArray) -> bool:
    """Whether doubles are decimals that were 32-bit floats in between: 0.1 became 0.10000000149011612.

    All are such floats, with at most seven digits as these, and some with more than 14 as doubles. Of random doubles,
    one in 500 million is a 32-bit float. A few values show of nearly all columns that they are others.
    """
    if any(_is_wide(array[index].as_py()) for index in range(0, len(array), max(1, len(array) // _FIRST))):
        return False
    few = _some_of(array)
    if not _are_narrow(few):
        return False
    low, high = _USUAL
    # Not np.unique, which imports masked arrays: that takes longer than a small check.
    fractions = few[(few != np.rint(few)) & (np.abs(few) > low) & (np.abs(few) < high)]
    fractions = np.array(sorted({*fractions.tolist()})[:_FRACTIONS])
    return (
        any(_digits(str(value)) >= _MANY_DIGITS for value in fractions.tolist())
        and all(_digits(str(value)) <= _NARROW_DIGITS for value in fractions.astype(np.float32))
        and _are_narrow(present_in(array)[0])
    )


def _some_of(array: pa.DoubleArray) -> Floats:
    """Return values that are not NULL from all parts of an array; all of them if there are few."""
    step = max(1, len(array) // _FEW)
    values: Floats = _view(array, np.float64)[::step]
    if not array.null_count:
        return values
    values = values[valid_of(array)[::step]]
    return values if values.size >= _FRACTIONS else present_in(array)[0]


def _is_wide(value: float | None) -> bool:
    """Whether a double is not a 32-bit float; NULL and NaN are what any type has."""
    return value is not None and not math.isnan(value) and ctypes.c_float(value).value != value


def _digits(number: str) -> int:
    """Return the number of digits of a number, without those that only place its point."""
    return len(number.lstrip("-").partition("e")[0].replace(".", "").strip("0"))


def _are_narrow(values: Floats) -> bool:
    """Whether values are 32-bit floats; NaN is what any type has."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return bool(((values.astype(np.float32) == values) | np.isnan(values)).all())


def shortest(values: Array) -> Floats:
    """Return the doubles nearest to the shortest decimals of 32-bit floats, (n,) each."""
    return np.array([float(str(value)) for value in values.astype(np.float32)], dtype=np.float64)


def _doubles_of_decimals(array: pa.Array) -> pa.DoubleArray:
    """Return the nearest doubles of decimals; the cast of Arrow multiplies, and is one digit off in one of seven."""
    scale = array.type.scale
    if pa.types.is_decimal256(array.type) or abs(scale) > _EXACT_POWER:
        return pc.cast(pc.cast(array, pa.string()), pa.float64())
    if not pa.types.is_decimal128(array.type):
        array = pc.cast(array, pa.decimal128(38, scale))
    halves = _view(array, np.dtype([("low", "<i8"), ("high", "<i8")]))
    low, high = halves["low"], halves["high"]
    small = (high == (low >> 63)) & (np.abs(low) <= _EXACT_INTEGER)
    if array.null_count:
        small |= ~valid_of(array)
    if not small.all() or (scale < 0 and np.abs(low).max(initial=0) * 10.0**-scale > _EXACT_INTEGER):
        return pc.cast(pc.cast(array, pa.string()), pa.float64())
    return _array_of(low / 10.0**scale if scale >= 0 else low * 10.0**-scale, array)


@functools.cache
def _halves() -> Floats:
    """Return the double of each 16-bit float, by its bits."""
    with np.errstate(invalid="ignore"):
        return np.array([float(str(value)) for value in np.arange(1 << 16, dtype=np.uint16).view(np.float16)])


def _view(array: pa.Array, kind: np.typing.DTypeLike) -> Array:
    """Return the values of an array of fixed width, NULL or not, shape (n,)."""
    data, end = array.buffers()[1], array.offset + len(array)
    if data is None:
        return np.zeros(len(array), dtype=kind)
    return np.frombuffer(data, dtype=kind, count=end)[array.offset :]


def _array_of(values: Floats, like: pa.Array) -> pa.DoubleArray:
    """Return doubles as an array that is NULL where another is; without ``pa.array``, which would import pandas."""
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    if not like.null_count:
        return pa.Array.from_buffers(pa.float64(), len(like), [None, buffer])
    bits = pa.py_buffer(np.packbits(valid_of(like), bitorder="little"))
    return pa.Array.from_buffers(pa.float64(), len(like), [bits, buffer])


def _seconds(array: pa.Array) -> pa.DoubleArray:
    """Return dates, times and durations as seconds."""
    units = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
    # Not pc.multiply: a Python number among its arguments imports pandas.
    if pa.types.is_date32(array.type):
        return _array_of(_view(array, np.int32) * float(_SECONDS_PER_DAY), array)
    if pa.types.is_interval(array.type):  # of months, which have no fixed length
        return pc.cast(pa.nulls(len(array)), pa.float64())
    unit = 1e3 if pa.types.is_date64(array.type) else units[array.type.unit]
    return _array_of(_view(array, np.int32 if pa.types.is_time32(array.type) else np.int64) / unit, array)
