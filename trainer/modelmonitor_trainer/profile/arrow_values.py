"""Arrow arrays as numbers and categories: what is counted of a column, whatever type it was written with."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.data.tables import is_number, is_text
from modelmonitor_trainer.profile.categories import shorten


def kind_of(kind: pa.DataType) -> str:
    """Return the kind of an Arrow type: number, text, time, nested, null or other."""
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


def encoded(array: pa.Array) -> pa.DictionaryArray:
    """Return an array dictionary-encoded."""
    return array if pa.types.is_dictionary(array.type) else _as_integers_if_exact(array).dictionary_encode()


def codes_of(array: pa.DictionaryArray) -> pa.Int32Array:
    """Return the indices into the dictionary."""
    return array.indices if pa.types.is_int32(array.indices.type) else pc.cast(array.indices, pa.int32())


def words_of(dictionary: pa.Array) -> pa.StringArray:
    """Return the values of a dictionary as text.

    Integers and integral floats are written the same way: a NULL makes some writers turn the former into the latter,
    and that is not another category. NaN counts as NULL. Long values are shortened
    (:func:`~modelmonitor_trainer.profile.categories.shorten`).
    """
    words = pc.cast(_as_integers_if_exact(dictionary), pa.string())
    if pa.types.is_floating(dictionary.type):
        words = pc.if_else(pc.equal(words, "nan"), pa.scalar(None, pa.string()), words)
    return shorten(words)


def _as_integers_if_exact(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        try:
            return pc.cast(values, pa.int64(), safe=True)
        except pa.ArrowInvalid:
            return values
    return values
