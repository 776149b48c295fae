"""Text that stands for numbers: numerals, words for missing values, and words for true and false.

The same numbers are the same data whether a column holds them as numbers or as text. How CSV writes numbers is up to
:mod:`~modelmonitor_trainer.data.csv_numbers`; this is for text that has a type, as in Parquet and JSON Lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.data.arrow_floats import finite_or_nan
from modelmonitor_trainer.data.arrow_types import is_number, is_text, plain_type
from modelmonitor_trainer.data.canonical import encode, words_of
from modelmonitor_trainer.data.truth_words import FALSE, TRUE

#: Words that mean a missing value in text formats, unless quoted: those of pandas, and that of databases.
NULL_WORDS = (
    *("", "NA", "NaN", "nan", "NULL", "null", "None", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "-NaN", "-nan"),
    *("1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "\\N"),
)
#: Words that can only mean a missing value where all others are numbers; in lower case.
_IN_NUMBERS = (
    *("-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "?", "(null)", "[null]", "<null>", "(none)", "(blank)"),
    *("(missing)", "<missing>", "(empty)", "#nv", "#value!", "#ref!", "#div/0!", "#num!", "#name?", "#null!", "#n/v"),
    *("n.a.", "n. a.", "n.a", "n/a.", "n.d.", "nd", "k.a.", "k. a.", "nil", "missing", "unknown", "undefined", "empty"),
    *("not available", "not applicable", "no data", "nan(ind)", "-nan(ind)", "-1.#ind00", "1.#qnan0"),
)
MISSING_IN_NUMBERS = frozenset({*_IN_NUMBERS, *(word.lower() for word in NULL_WORDS)})
#: Numbers without leading zeros: 007 is a code.
_NUMERAL = r"^[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?$|^(?i:[-+]?inf(?:inity)?)$"


@dataclass(frozen=True)
class TextNumbers:
    """Text as numbers.

    Attributes
    ----------
    values : (n,)
        Numbers; NULL for missing values and for text that is no number.
    strays, missing : (n,)
        Which values are text that is neither a number nor missing, and which are words for a missing value.
    truth
        Whether all values are words for true and false, which are 1 and 0.
    """

    values: pa.DoubleArray
    strays: pa.BooleanArray
    missing: pa.BooleanArray
    truth: bool = False


def text_numbers(words: pa.StringArray) -> TextNumbers:
    """Return canonical text, each value once, as numbers."""
    missing = missing_in_numbers(words)
    present = pc.if_else(missing, pa.scalar(None, pa.string()), words)
    matches = pc.match_substring_regex(present, _NUMERAL)
    numerals = pc.if_else(pc.fill_null(matches, False), present, pa.scalar(None, pa.string()))
    values = pc.cast(pc.replace_substring_regex(numerals, r"^\+", ""), pa.float64())
    strays = pc.fill_null(pc.invert(matches), False)
    if not pc.any(strays).as_py():
        return TextNumbers(values, strays, missing)
    truth, lies = (pc.is_in(present, value_set=pa.array(spellings, pa.string())) for spellings in (TRUE, FALSE))
    if pc.all(pc.or_(pc.or_(truth, lies), pc.is_null(present))).as_py():
        none = pa.scalar(None, pa.float64())
        values = pc.if_else(truth, 1.0, pc.if_else(lies, 0.0, none))
        return TextNumbers(values, pc.and_(strays, False), missing, truth=True)
    return TextNumbers(values, strays, missing)


def missing_in_numbers(words: pa.StringArray) -> pa.BooleanArray:
    """Return which words mean a missing value in a column of numbers."""
    return pc.is_in(pc.utf8_lower(words), value_set=pa.array(sorted(MISSING_IN_NUMBERS), pa.string()))


def numbers_of(column: pa.ChunkedArray) -> Floats:
    """Return a column as doubles, NaN for what is missing, infinite or not a number; (n,)."""
    kind = plain_type(column.type)
    if is_text(kind):
        column = pa.chunked_array([_numbers_in(chunk) for chunk in column.chunks], pa.float64())
    elif not is_number(kind):
        return np.full(len(column), np.nan)
    return np.concatenate([np.empty(0), *(finite_or_nan(chunk) for chunk in column.chunks)])


def are_numbers(chunks: Iterable[pa.Array]) -> bool:
    """Whether all values of a column of text are numbers or missing."""
    for chunk in chunks:
        parsed = _parse_words(chunk if pa.types.is_dictionary(chunk.type) else encode(chunk))
        if parsed.truth or pc.any(parsed.strays).as_py():
            return False
    return True


def _numbers_in(array: pa.Array) -> pa.DoubleArray:
    coded = array if pa.types.is_dictionary(array.type) else encode(array)
    return _parse_words(coded).values.take(coded.indices)


def _parse_words(coded: pa.DictionaryArray) -> TextNumbers:
    return text_numbers(words_of(coded.dictionary))
