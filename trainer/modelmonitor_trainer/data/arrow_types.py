"""Arrow types by what their values are: numbers, text, bytes, points in time."""

from __future__ import annotations

import pyarrow as pa

#: Kinds of types whose values have to agree.
KINDS = frozenset({"number", "text", "time", "nested", "other"})
#: Length of a UUID in bytes.
_UUID_BYTES = 16


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values: of a dictionary or an extension, that of what it holds."""
    while True:
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        elif isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        else:
            return kind


def is_number(kind: pa.DataType) -> bool:
    """Whether a type counts as numeric: integers, floats, decimals, booleans."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text, plain or dictionary-encoded."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a type is bytes of any length: how writers without a type for text, or for UUIDs, write these."""
    kind = plain_type(kind)
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def is_uuid(kind: pa.DataType) -> bool:
    """Whether a type is the 16 bytes of a UUID."""
    kind = plain_type(kind)
    return bool(pa.types.is_fixed_size_binary(kind) and kind.byte_width == _UUID_BYTES)


def is_date(kind: pa.DataType) -> bool:
    """Whether a type is dates or points in time; times of day and durations are not."""
    kind = plain_type(kind)
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def kind_of(kind: pa.DataType) -> str:
    """Return the kind of an Arrow type: number, text, time, nested, null or other."""
    kind = plain_type(kind)
    if pa.types.is_null(kind):
        return "null"
    if is_text(kind) or is_bytes(kind):
        return "text"
    if pa.types.is_temporal(kind):
        return "time"
    if pa.types.is_nested(kind):
        return "nested"
    return "number" if is_number(kind) else "other"
