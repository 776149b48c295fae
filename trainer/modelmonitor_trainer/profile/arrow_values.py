"""Arrow arrays as numbers and categories: what is counted of a column, whatever type it was written with."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.data import canonical
from modelmonitor_trainer.data.arrow_types import is_text, kind_of
from modelmonitor_trainer.data.canonical import padded
from modelmonitor_trainer.data.remarks import NOT_UTF8
from modelmonitor_trainer.profile.categories import shorten

__all__ = ["codes_of", "encoded", "kind_of", "kinds_of", "padded", "words_of"]


def encoded(array: pa.Array) -> pa.DictionaryArray:
    """Return an array dictionary-encoded."""
    return array if pa.types.is_dictionary(array.type) else canonical.encode(array)


def codes_of(array: pa.DictionaryArray) -> pa.Int32Array:
    """Return the indices into the dictionary."""
    return array.indices if pa.types.is_int32(array.indices.type) else pc.cast(array.indices, pa.int32())


def words_of(dictionary: pa.Array) -> pa.StringArray:
    """Return the values of a dictionary as canonical text, long values shortened.

    Two values of a dictionary can have the same text, such as "1" and "1.0". NaN counts as NULL.
    """
    return shorten(canonical.words_of(dictionary))


def kinds_of(dictionary: pa.Array) -> frozenset[str]:
    """Return what is to be known of the values of a dictionary besides the kind of their type."""
    return frozenset({NOT_UTF8}) if is_text(dictionary.type) and not canonical.is_utf8(dictionary) else frozenset()
