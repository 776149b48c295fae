"""Join keys in one canonical form, so that rows and labels meet whatever types they were written with.

Integers, decimals and floats are written without trailing zeros, text without surrounding blanks, times in UTC, and
bytes as their text or their hexadecimal digits, as UUIDs are. Text is read as the other side is typed: "007" is 7 if
the other side has numbers, and is not "7" if both sides have text.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.data.arrow_types import is_text
from modelmonitor_trainer.data.canonical import composed
from modelmonitor_trainer.errors import BadConfiguration, BadData

#: Whole floats from here on are not distinct, by the width of the type in bits.
_EXACT_BELOW = {16: 2.0**11, 32: 2.0**24, 64: 2.0**53}
#: Tolerated share of labels that could be those of several rows.
MAX_AMBIGUOUS = 0.01
_UUID = r"(?i)^(urn:uuid:)?\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?$"
_HEX_ID = r"(?i)^[0-9a-f]{32}$"
#: Lengths of UUIDs as text, with and without hyphens, braces and "urn:uuid:".
_UUID_LENGTHS = (32, 36, 38, 45)
_WHOLE = r"^[+-]?\d+(\.0*)?$"
_FRACTION = r"^[+-]?((\d+\.\d*|\.\d+)([eE][+-]?\d{1,3})?|\d+[eE][+-]?\d{1,3})$"
_TIME = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?)?\s*(Z|z|UTC|[+-]\d{2}:?\d{2})?$"


class BadJoinKey(BadConfiguration):
    """A column cannot identify rows."""


class KeyKind(Enum):
    """What the values of a join key are."""

    TEXT = "text"
    NUMBER = "numbers"
    TIME = "times"
    BYTES = "bytes"


def require_clear_owners(key: str, ambiguous: int, labelled: int, delay_days: int) -> None:
    """Refuse labels that could be those of several rows.

    Parameters
    ----------
    key
        The join key.
    ambiguous, labelled
        Number of labels (or labelled rows) that could be those of an earlier row as well, and of all of them.
    delay_days
        Label delay.

    Raises
    ------
    BadJoinKey
        If they are more than 1 %; names the field that decides.
    """
    if ambiguous <= MAX_AMBIGUOUS * labelled:
        return
    raise BadJoinKey(
        f"the join key {key!r} returns on other days within the label delay ({delay_days} days), so {ambiguous:,} of "
        f"{labelled:,} labels could be those of several rows; set data.labels.keyScope to Partition if a label is in "
        "the partition of its row's day, or to Window if later rows with the same key are repetitions, or join by a "
        "key that identifies a row, such as one that contains the day"
    )


@dataclass
class KeyReader:
    """Converts a join key to its canonical form, object by object.

    Attributes
    ----------
    name
        The column.
    kinds, types
        Kinds and Arrow types of the objects so far.
    rows
        Number of rows of each object.
    example
        A key; empty if there is none.
    """

    name: str
    kinds: set[KeyKind] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    rows: list[int] = field(default_factory=list)
    example: str = ""

    def __call__(self, values: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return keys as text; NULL for missing ones, NaN and empty text.

        Raises
        ------
        BadJoinKey
            If the type cannot identify rows.
        BadData
            If keys are floats too large to be distinct.
        """
        self.rows.append(len(values))
        values = _plain(values)
        if pa.types.is_null(values.type):
            return values.cast(pa.string())
        kind, convert = _conversion(values.type)
        if convert is None:
            raise BadJoinKey(
                f"the join key {self.name!r} is {values.type}, which cannot identify rows; name a column of text, "
                "numbers, times or bytes in data.labels.joinKey"
            )
        self.kinds.add(kind)
        self.types.add(str(values.type))
        try:
            keys = convert(values)
        except _Indistinct as error:
            raise BadData(
                f"the join key {self.name!r} is {values.type} and has values such as {error}, whose last digits are "
                "lost; write it as int64 or as text"
            ) from None
        self.example = self.example or next((key for key in keys.slice(0, 100).to_pylist() if key), "")
        return keys

    def merge(self, other: KeyReader) -> None:
        """Add what another reader of the same column has read."""
        self.kinds |= other.kinds
        self.types |= other.types
        self.rows += other.rows
        self.example = self.example or other.example

    def in_words(self) -> str:
        """Return an example and the types for a sentence.

        >>> KeyReader("id", types={"int64"}, example="7").in_words()
        "'7' (int64)"
        """
        return f"{self.example!r} ({', '.join(sorted(self.types)) or 'NULL'})"


class _Indistinct(Exception):
    """A float stands for several whole numbers."""


def meet(
    left: pa.ChunkedArray, right: pa.ChunkedArray, kinds: AbstractSet[KeyKind]
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return both sides with text written as the kinds of either side are.

    Parameters
    ----------
    left, right
        Keys from a :class:`KeyReader`.
    kinds
        Kinds of both sides.
    """
    return written_as(left, kinds), written_as(right, kinds)


def written_as(keys: pa.ChunkedArray, kinds: AbstractSet[KeyKind]) -> pa.ChunkedArray:
    """Return keys with text written as the other kinds are."""
    if KeyKind.TEXT not in kinds:
        return keys
    for kind, convert in (
        (KeyKind.NUMBER, _numbers_in_text),
        (KeyKind.TIME, _times_in_text),
        (KeyKind.BYTES, _bytes_in_text),
    ):
        if kind in kinds:
            keys = convert(keys)
    return keys


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values without dictionaries, runs and extension types."""
    while True:
        kind = values.type
        if pa.types.is_dictionary(kind):
            values = values.cast(kind.value_type)
        elif pa.types.is_run_end_encoded(kind):
            values = pa.chunked_array([pc.run_end_decode(chunk) for chunk in values.chunks], type=kind.value_type)
        elif isinstance(kind, pa.BaseExtensionType):
            values = pa.chunked_array([chunk.storage for chunk in values.chunks], type=kind.storage_type)
        else:
            return values


def _conversion(kind: pa.DataType) -> tuple[KeyKind, Callable[[pa.ChunkedArray], pa.ChunkedArray] | None]:
    """Return the kind of a type, and the function that converts its values; None if they cannot identify rows."""
    types = pa.types
    known: tuple[tuple[bool, KeyKind, Callable[[pa.ChunkedArray], pa.ChunkedArray]], ...] = (
        (is_text(kind), KeyKind.TEXT, _of_text),
        (types.is_integer(kind), KeyKind.NUMBER, lambda values: values.cast(pa.string())),
        (types.is_boolean(kind), KeyKind.TEXT, lambda values: values.cast(pa.string())),
        (types.is_floating(kind), KeyKind.NUMBER, _of_floats),
        (types.is_decimal(kind), KeyKind.NUMBER, _of_decimals),
        (types.is_fixed_size_binary(kind), KeyKind.BYTES, _of_bytes),
        (types.is_binary(kind) or types.is_large_binary(kind), KeyKind.BYTES, _of_bytes),
        (types.is_binary_view(kind), KeyKind.BYTES, _of_bytes),
        (types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind), KeyKind.TIME, _of_times),
    )
    return next(((name, convert) for matches, name, convert in known if matches), (KeyKind.TEXT, None))


def _of_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    words = [composed(pc.utf8_trim_whitespace(chunk)) for chunk in values.cast(pa.string()).chunks]
    keys = pa.chunked_array(words, pa.string())
    lengths = pc.binary_length(keys)
    keys = pc.if_else(pc.equal(lengths, 0), pa.scalar(None, pa.string()), keys)
    # Literal searches first: they cost a tenth of a regular expression.
    if _any(pc.match_substring(keys, ".0")):
        keys = pc.replace_substring_regex(keys, r"^([+-]?\d+)\.0+$", r"\1")
    if _any(pc.is_in(lengths, value_set=pa.array(_UUID_LENGTHS, lengths.type))):
        keys = _replace_keys(keys, _HEX_ID, pc.utf8_lower)
        keys = _replace_keys(
            keys, _UUID, lambda texts: pc.replace_substring_regex(pc.utf8_lower(texts), r"urn:uuid:|[{}-]", "")
        )
    return keys


def _of_floats(values: pa.ChunkedArray) -> pa.ChunkedArray:
    exact = _EXACT_BELOW[values.type.bit_width]
    numbers = values.cast(pa.float64())
    numbers = pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))
    large = pc.greater_equal(pc.abs(numbers), exact)
    if _any(large):
        raise _Indistinct(f"{numbers.filter(large)[0].as_py():.17g}")
    whole = pc.equal(pc.floor(numbers), numbers)
    keys = pc.if_else(whole, numbers, pa.scalar(None, pa.float64())).cast(pa.int64()).cast(pa.string())
    if not _any(pc.invert(whole)):
        return keys
    # The shortest decimal of the type as it was written: 0.1 is 0.1 as float32, too.
    return pc.coalesce(keys, _of_objects(_finite(values), lambda value: _decimal_text(Decimal(value))))


def _finite(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the shortest text of finite fractions, NULL for all others."""
    numbers = values.to_numpy(zero_copy_only=False)
    chosen = np.isfinite(numbers) & (np.floor(numbers) != numbers)
    texts = np.full(len(numbers), None, dtype=object)
    texts[chosen] = [str(number) for number in numbers[chosen]]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _of_decimals(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if values.type.scale < 0:
        return _of_objects(values, _decimal_text)
    return _without_zeros(values.cast(pa.string()))


def _of_bytes(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return bytes that are printable text as that text, and others as hexadecimal digits."""
    if pa.types.is_fixed_size_binary(values.type) and values.type.byte_width and len(values):
        return _of_text(pa.chunked_array([_of_fixed_bytes(chunk) for chunk in values.chunks], pa.string()))
    return _of_text(_of_objects(values, _text_or_hex))


def _of_fixed_bytes(array: pa.FixedSizeBinaryArray) -> pa.StringArray:
    width = array.type.byte_width
    raw = array.buffers()[1][array.offset * width : (array.offset + len(array)) * width]
    digits = pa.Array.from_buffers(
        pa.binary(2 * width), len(array), [None, pa.py_buffer(raw.to_pybytes().hex().encode())]
    ).cast(pa.binary())
    keys = pc.if_else(pc.is_null(array), pa.scalar(None, pa.string()), digits.cast(pa.string()))
    codes = np.frombuffer(raw, dtype=np.uint8).reshape(len(array), width)
    # No control characters but zeros at the end: text, which numpy and CHAR(n) pad like this.
    controls = ((codes < 0x20) | (codes == 0x7F)) & (codes != 0)
    text = ~controls.any(axis=1) & (codes[:, 0] != 0)
    if not text.any():
        return keys
    indices = np.flatnonzero(text)
    written = pa.array([_text_or_hex(array[int(index)].as_py()) for index in indices], pa.string())
    return pc.replace_with_mask(keys, pa.array(text), written)


def _text_or_hex(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        text = value.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() and (text or not value) else value.hex()


def _of_times(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return dates and times in UTC, without a fraction or a time of day that is zero."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp(values.type.unit))  # in UTC
    keys = pc.replace_substring_regex(values.cast(pa.string()), r"\.0*$|(\.\d*[1-9])0+$", r"\1")
    return pc.replace_substring_regex(keys, r" 00:00:00$", "")


def _numbers_in_text(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    keys = _replace_keys(
        keys, _WHOLE, lambda texts: pc.replace_substring_regex(texts, r"^\+?(-?)0*(\d+?)(\.0*)?$", r"\1\2")
    )
    return _replace_keys(keys, _FRACTION, lambda texts: _of_objects(texts, lambda value: _decimal_text(Decimal(value))))


def _times_in_text(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    def convert(texts: pa.ChunkedArray) -> pa.ChunkedArray:
        try:
            return _of_times(pa.chunked_array([pa.array(utc_times(texts.to_pylist()), pa.timestamp("us"))]))
        except ValueError:
            return texts

    return _replace_keys(keys, _TIME, convert)


def utc_times(texts: Sequence[str]) -> list[dt.datetime]:
    """Return times that are text, in UTC and without a zone; text without a zone is in UTC.

    Raises
    ------
    ValueError
        If text is no time in the format of ISO 8601.
    """
    parsed = [dt.datetime.fromisoformat(re.sub(r"\s*(Z|z|UTC)$", "+00:00", text).replace(",", ".")) for text in texts]
    return [time.astimezone(dt.UTC).replace(tzinfo=None) if time.tzinfo else time for time in parsed]


def _bytes_in_text(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text without the prefixes of bytes: ``0x``, and a backslash with an x as PostgreSQL writes it."""
    return _replace_keys(
        keys, r"^(0x|\\x)[0-9a-fA-F]+$", lambda keys: pc.utf8_lower(pc.replace_substring_regex(keys, r"^..", ""))
    )


def _replace_keys(
    keys: pa.ChunkedArray, pattern: str, convert: Callable[[pa.ChunkedArray], pa.ChunkedArray]
) -> pa.ChunkedArray:
    """Return keys with those that match a pattern converted."""
    matches = pc.fill_null(pc.match_substring_regex(keys, pattern), False)
    if not _any(matches):
        return keys
    converted = convert(keys.filter(matches))
    if isinstance(converted, pa.ChunkedArray):
        converted = converted.combine_chunks()
    whole = keys.combine_chunks()
    return pa.chunked_array([pc.replace_with_mask(whole, matches.combine_chunks(), converted)])


def _of_objects(values: pa.ChunkedArray, convert: Callable[..., str | None]) -> pa.ChunkedArray:
    texts = [None if value is None else convert(value) for value in values.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _decimal_text(value: Decimal) -> str:
    """Return a number without an exponent and without zeros at the end."""
    text = f"{value:f}" if value else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _without_zeros(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(keys, r"\.0*$|(\.\d*[1-9])0+$", r"\1")


def _any(mask: pa.ChunkedArray) -> bool:
    return bool(pc.any(mask).as_py())
