"""Which columns objects have: every object is opened, so that a column of a later one is not overlooked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.tables import Unreadable, reading, scan
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: Bytes of a text object that are inspected for its columns.
_INSPECTED = 1 << 20


@dataclass(frozen=True)
class SeenColumn:
    """A column of some objects.

    Attributes
    ----------
    type
        Its type in the first object that has one; None if it is not known.
    objects
        How many objects have it.
    """

    type: pa.DataType | None
    objects: int


def columns_of(store: Store, objects: Sequence[ObjectInfo], fmt: DataFormat) -> dict[str, SeenColumn]:
    """Return the columns of some objects, in the order in which they appear.

    Of Parquet objects the footers are read, of CSV the headers, and of JSON Lines the first rows. An object that cannot
    be read has no columns here.
    """
    seen: dict[str, SeenColumn] = {}
    headers: dict[bytes, dict[str, pa.DataType | None]] = {}
    for info in objects:
        with suppress(Unreadable):
            for name, kind in _columns_of(store, info, fmt, headers).items():
                known = seen.get(name, SeenColumn(None, 0))
                seen[name] = SeenColumn(kind if known.type is None else known.type, known.objects + 1)
    return seen


def _columns_of(
    store: Store, info: ObjectInfo, fmt: DataFormat, headers: dict[bytes, dict[str, pa.DataType | None]]
) -> dict[str, pa.DataType | None]:
    if fmt is DataFormat.PARQUET:
        with reading(info.uri, fmt), store.open(info) as file:
            schema = pq.read_schema(file)
            return dict(zip(schema.names, schema.types, strict=True))
    start = _start_of(store, info, fmt)
    if fmt is DataFormat.JSON_LINES and headers:
        return _keys_of(start)
    header = start.partition(b"\n")[0]
    if header not in headers:
        with scan(store, info, None, fmt, head=1) as opened:
            headers[header] = dict(opened.types)
    return headers[header]


def _start_of(store: Store, info: ObjectInfo, fmt: DataFormat) -> bytes:
    with reading(info.uri, fmt), store.open(info) as file:
        stream: BinaryIO = pa.CompressedInputStream(file, "gzip") if info.uri.endswith(".gz") else file
        return bytes(stream.read(_INSPECTED))


def _keys_of(start: bytes) -> dict[str, pa.DataType | None]:
    """Return the keys of the rows at the start of a JSON Lines object; the last row can be cut off."""
    names: dict[str, pa.DataType | None] = {}
    for line in start.splitlines():
        with suppress(ValueError):
            row = json.loads(line)
            names |= dict.fromkeys(row) if isinstance(row, dict) else {}
    return names
