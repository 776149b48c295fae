"""The canonical text of values: the same data written with other types, or in another format, have the same text.

``docs/explanation/values.md`` is the definition; categories, join keys, classes and allowed values are compared by it.
"""

from __future__ import annotations

import decimal
import math
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.data.arrow_floats import doubles_of, floats_of
from modelmonitor_trainer.data.arrow_types import is_bytes, is_text, plain_type

#: Of text that is not UTF-8: what Windows and old databases write in Western Europe and America.
FALLBACK_ENCODING = "cp1252"
#: Largest double below which every integral one is a 64-bit integer.
_LARGEST_INTEGER = 2.0**63
#: Lengths of UUIDs as text: without hyphens, with them, in braces, and as a URN.
_UUID_LENGTHS = frozenset({32, 36, 38, 45})
_UUID_BYTES = 16
_ASCII = 0x7F
_WHOLE = r"^(-?(?:0|[1-9][0-9]*))\.0+$"
_MIDNIGHT = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]00:00:00(?:\.0+)?$"
_UUID = (
    r"(?i)^(?:urn:uuid:)?\{?([0-9a-f]{8})(?:-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-|"
    r"([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4}))([0-9a-f]{12})\}?$"
)
_UUID_PARTS = r"\1-\2\5-\3\6-\4\7-\8"
#: Text of 32 decimal digits is a number, unless the column has UUIDs, too.
_DIGITS = r"^[0-9]{32}$"
_NUMERAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")


def words_of(values: pa.Array) -> pa.StringArray:
    """Return values of any type that is not nested as canonical text; NaN is NULL.

    Parameters
    ----------
    values
        An array that is not dictionary-encoded.
    """
    values = values.storage if isinstance(values, pa.ExtensionArray) else values
    kind = values.type
    if is_text(kind) or is_bytes(kind):
        return _words_of_text(values) if is_text(kind) else _words_of_bytes(values)
    if pa.types.is_decimal(kind):
        return _without_exponents(_without_zeros(pc.cast(values, pa.string())))
    if pa.types.is_floating(kind):
        return _words_of_floats(doubles_of(values))
    if pa.types.is_temporal(kind):
        return _words_of_times(values)
    return pc.cast(values, pa.string())


def canonical(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as canonical text, each distinct value converted once."""
    parts = []
    for chunk in values.chunks:
        coded = chunk if pa.types.is_dictionary(chunk.type) else encode(chunk)
        parts.append(words_of(coded.dictionary).take(coded.indices))
    return pa.chunked_array(parts, pa.string())


def encode(array: pa.Array) -> pa.DictionaryArray:
    """Return an array dictionary-encoded; extension types and views as what they hold."""
    if isinstance(array, pa.ExtensionArray):
        return encode(array.storage)
    kind = array.type
    if pa.types.is_string_view(kind):
        array = array.cast(pa.large_string())
    elif pa.types.is_binary_view(kind):
        array = array.cast(pa.large_binary())
    elif pa.types.is_float16(kind):
        array = doubles_of(array)
    elif pa.types.is_decimal(kind) and not pa.types.is_decimal128(kind) and kind.precision <= 38:
        array = array.cast(pa.decimal128(38, kind.scale))
    elif pa.types.is_interval(kind):
        array = _from_python([None if value is None else str(tuple(value)) for value in array.to_pylist()])
    return array.dictionary_encode()


def numeral(word: str) -> str | None:
    """Return the shortest decimal of text that is a number without leading zeros; None for other text.

    >>> numeral("19.90"), numeral("1e3"), numeral("007")
    ('19.9', '1000', None)
    """
    if not _NUMERAL.fullmatch(word):
        return None
    return _plain(word)


def is_utf8(values: pa.Array) -> bool:
    """Whether the bytes of a text array are UTF-8, as they must be; some writers do not mind."""
    if pa.types.is_string(values.type) and _bytes_of(values).isascii():
        return True
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _words_of_text(values: pa.Array) -> pa.StringArray:
    if not is_utf8(values):
        values = _decode(values.cast(pa.large_binary() if not pa.types.is_string(values.type) else pa.binary()))
    words = values if pa.types.is_string(values.type) else pc.cast(values, pa.string())
    if not len(words):
        return words
    if _may_be_padded(words):
        words = pc.utf8_trim_whitespace(words)
    words = composed(words)
    # Most columns have none of these, which costs less to find out in all bytes at once than to match patterns.
    data = _bytes_of(words)
    if b".0" in data and pc.any(pc.or_(pc.ends_with(words, ".0"), pc.match_substring(words, ".00"))).as_py():
        words = pc.replace_substring_regex(words, _WHOLE, r"\1")
    if b"00:00:00" in data:
        words = pc.replace_substring_regex(words, _MIDNIGHT, r"\1")
    lengths = np.diff(_ends_of(words))
    if lengths.max() >= min(_UUID_LENGTHS) and not _UUID_LENGTHS.isdisjoint(lengths.tolist()):
        words = _with_plain_uuids(words)
    return words


def _ends_of(words: pa.StringArray) -> npt.NDArray[np.int32]:
    """Return where each word begins in the data, and where the last one ends, shape (n + 1,)."""
    return np.frombuffer(words.buffers()[1], dtype=np.int32)[words.offset : words.offset + len(words) + 1]


def _bytes_of(words: pa.StringArray) -> bytes:
    """Return the bytes of all words, one after the other."""
    data = words.buffers()[2]
    if data is None or not len(words):
        return b""
    ends = _ends_of(words)
    return bytes(data.slice(int(ends[0]), int(ends[-1] - ends[0])).to_pybytes())


def composed(words: pa.StringArray) -> pa.StringArray:
    """Return text in Unicode normal form C: macOS and some databases write é as e and an accent."""
    if _bytes_of(words).isascii():
        return words
    return pc.utf8_normalize(words, "NFC")


def _with_plain_uuids(words: pa.StringArray) -> pa.StringArray:
    """Return words, UUIDs among them in lower case with hyphens and without braces."""
    uuids = pc.match_substring_regex(words, _UUID)
    if not pc.any(pc.and_not(uuids, pc.match_substring_regex(words, _DIGITS))).as_py():
        return words
    return pc.if_else(uuids, pc.ascii_lower(pc.replace_substring_regex(words, _UUID, _UUID_PARTS)), words)


def _may_be_padded(words: pa.StringArray) -> bool:
    """Whether a word begins or ends with a blank, or with a character beyond ASCII, which can be one.

    Comparing two bytes of each word costs less than trimming all of them.
    """
    data = words.buffers()[2]
    if data is None or not data.size or not len(words):
        return False
    ends = _ends_of(words)
    filled = ends[1:] > ends[:-1]
    characters = np.frombuffer(data, dtype=np.uint8)
    for edge in (characters[ends[:-1][filled]], characters[ends[1:][filled] - 1]):
        if bool(((edge <= ord(" ")) | (edge > _ASCII)).any()):
            return True
    return False


def padded(dictionary: pa.Array) -> pa.BooleanArray | None:
    """Return which values of a dictionary have blanks around them; None if none has."""
    if not is_text(dictionary.type) or not is_utf8(dictionary):
        return None
    if pa.types.is_string(dictionary.type) and not _may_be_padded(dictionary):
        return None
    blanks = pc.not_equal(pc.binary_length(dictionary), pc.binary_length(pc.utf8_trim_whitespace(dictionary)))
    return blanks if pc.any(blanks).as_py() else None


def _words_of_bytes(values: pa.Array) -> pa.StringArray:
    """Return bytes as the text that they are in UTF-8, or else in hexadecimal; 16 bytes that are no text as a UUID."""
    if pa.types.is_fixed_size_binary(values.type):
        values = values.cast(pa.binary())
    if are_uuids(values):
        return _words_of_uuids(values.cast(pa.binary()).cast(pa.binary(_UUID_BYTES)))
    try:
        return _words_of_text(pc.cast(values, pa.string()))
    except pa.ArrowInvalid:
        return _words_of_text(_from_python([_text_or_hex(value) for value in values.to_pylist()]))


def are_uuids(values: pa.Array) -> bool:
    """Whether values are UUIDs in bytes of any length: all have 16 bytes, and not all are text."""
    values = values.storage if isinstance(values, pa.ExtensionArray) else values
    lengths = pc.min_max(pc.binary_length(values))
    if lengths["min"].as_py() != _UUID_BYTES or lengths["max"].as_py() != _UUID_BYTES:
        return False
    try:
        return pc.all(pc.utf8_is_printable(pc.cast(values, pa.string()))).as_py() is False
    except pa.ArrowInvalid:
        return True


def _words_of_uuids(values: pa.FixedSizeBinaryArray) -> pa.StringArray:
    """Return UUIDs of 16 bytes as text."""
    start, end = values.offset * _UUID_BYTES, (values.offset + len(values)) * _UUID_BYTES
    data = values.buffers()[1]
    digits = b"" if data is None else data[start:end].to_pybytes().hex().encode()
    offsets = np.arange(len(values) + 1, dtype=np.int32) * (2 * _UUID_BYTES)
    words = pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(digits))
    words = pc.replace_substring_regex(words, _UUID, _UUID_PARTS)
    return pc.if_else(pc.is_valid(values), words, pa.scalar(None, pa.string()))


def _text_or_hex(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "0x" + value.hex()


def _decode(values: pa.Array) -> pa.StringArray:
    """Return bytes that were written as text without being UTF-8."""
    return _from_python([None if value is None else _in_fallback(value) for value in values.to_pylist()])


def _in_fallback(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode(FALLBACK_ENCODING, errors="backslashreplace")


def _words_of_floats(values: pa.DoubleArray) -> pa.StringArray:
    numbers, _ = floats_of(values)
    if not numbers.size or _integral(numbers).all():
        return pc.cast(pc.cast(values, pa.int64()), pa.string())
    words = pc.cast(values, pa.string())
    words = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.string()), words)
    if pc.any(pc.match_substring(words, "-0")).as_py():
        words = pc.replace_substring_regex(words, r"^-0$", "0")
    return _without_exponents(words)


def _integral(numbers: Floats) -> np.typing.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return np.asarray((np.floor(numbers) == numbers) & (np.abs(numbers) < _LARGEST_INTEGER))


def _without_zeros(words: pa.StringArray) -> pa.StringArray:
    return pc.replace_substring_regex(words, r"^(-?[0-9]+)(?:\.0+|(\.[0-9]*[1-9])0+)$", r"\1\2")


def _without_exponents(words: pa.StringArray) -> pa.StringArray:
    if not pc.any(pc.match_substring_regex(words, "[0-9][eE]")).as_py():
        return words
    return _from_python([None if word is None else _plain(word) for word in words.to_pylist()])


def _plain(word: str) -> str:
    """Return a number in positional notation, without superfluous zeros."""
    if not math.isfinite(float(word)) and not _NUMERAL.fullmatch(word):
        return word
    text = f"{decimal.Decimal(word):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _words_of_times(values: pa.Array) -> pa.StringArray:
    kind = plain_type(values.type)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        values = values.cast(pa.timestamp(kind.unit))  # the same instants, in UTC
    elif pa.types.is_interval(kind):
        return encode(values).dictionary_decode()
    words = pc.cast(values, pa.string())
    words = pc.replace_substring_regex(words, r"(:[0-9]{2})(?:\.0+|(\.[0-9]*[1-9])0+)$", r"\1\2")
    return pc.replace_substring_regex(words, _MIDNIGHT, r"\1")


def _from_python(values: list[str | None]) -> pa.StringArray:
    return pa.array(values, pa.string())
