"""Which columns objects have: every object is opened, so that a column of a later one is not overlooked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.arrow_types import is_number, plain_type
from modelmonitor_trainer.data.object_format import AnyFormat, format_at
from modelmonitor_trainer.data.tables import Unreadable, reading, scan
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: Bytes of a text object that are inspected for its columns.
_INSPECTED = 1 << 20
#: Footers that are read at the same time.
_THREADS = 8

#: Column → type, None if it is not known.
Columns = dict[str, pa.DataType | None]


@dataclass(frozen=True)
class SeenColumn:
    """A column of some objects.

    Attributes
    ----------
    type
        Its type in the first object that has one; None if it is not known.
    objects
        How many objects have it.
    number
        Its type in the first object that is known to have numbers in it; None if none is.
    of
        How many objects there are, without those that are empty.
    """

    type: pa.DataType | None
    objects: int
    number: pa.DataType | None = None
    of: int = 0


def columns_of(store: Store, objects: Sequence[ObjectInfo], fmt: AnyFormat) -> dict[str, SeenColumn]:
    """Return the columns of some objects, in the order in which they appear.

    Of Parquet objects the footers are read, of CSV the headers, and of JSON Lines the first rows. An object that cannot
    be read has no columns here.
    """
    return merge_columns(headers_of(store, objects, fmt))


def headers_of(store: Store, objects: Sequence[ObjectInfo], fmt: AnyFormat) -> list[Columns | None]:
    """Return the columns of each object; none of an empty one, None of one that cannot be read."""
    parquet = [info for info in objects if format_at(fmt, info.uri) is DataFormat.PARQUET]
    text = [info for info in objects if format_at(fmt, info.uri) is not DataFormat.PARQUET]
    by_uri = dict(zip([info.uri for info in parquet], _of_parquet(store, parquet), strict=True))
    by_uri |= zip([info.uri for info in text], _of_text(store, text, fmt), strict=True)
    return [by_uri[info.uri] for info in objects]


def merge_columns(headers: Iterable[Columns | None]) -> dict[str, SeenColumn]:
    """Return the columns of some objects, in the order in which they appear."""
    seen: dict[str, SeenColumn] = {}
    filled = 0
    for columns in headers:
        filled += columns is None or bool(columns)
        for name, kind in (columns or {}).items():
            known = seen.get(name, SeenColumn(None, 0))
            number = kind if kind is not None and is_number(plain_type(kind)) else None
            seen[name] = SeenColumn(known.type or kind, known.objects + 1, known.number or number)
    return {name: replace(column, of=filled) for name, column in seen.items()}


def _of_parquet(store: Store, objects: Sequence[ObjectInfo]) -> list[Columns | None]:
    def columns(info: ObjectInfo) -> Columns | None:
        with suppress(Unreadable), reading(info.uri, DataFormat.PARQUET), store.open(info) as file:
            schema = pq.read_schema(file)
            return dict(zip(schema.names, schema.types, strict=True))
        return None

    # Each footer is a request or two.
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(columns, objects))


def _of_text(store: Store, objects: Sequence[ObjectInfo], fmt: AnyFormat) -> Iterator[Columns | None]:
    """Yield the columns of text objects; only the first one with a header is decoded, for the types."""
    headers: dict[bytes, Columns] = {}
    for info in objects:
        columns: Columns | None = None
        with suppress(Unreadable):
            start = _start_of(store, info, fmt)
            header = start.partition(b"\n")[0]
            if format_at(fmt, info.uri) is DataFormat.JSON_LINES and headers:
                columns = _keys_of(start)
            else:
                if header not in headers:
                    with scan(store, info, None, fmt, head=1) as opened:
                        headers[header] = dict(opened.types)
                columns = headers[header]
        yield columns


def _start_of(store: Store, info: ObjectInfo, fmt: AnyFormat) -> bytes:
    with reading(info.uri, fmt), store.open(info) as file:
        stream: BinaryIO = pa.CompressedInputStream(file, "gzip") if info.uri.endswith(".gz") else file
        return bytes(stream.read(_INSPECTED))


def _keys_of(start: bytes) -> Columns:
    """Return the keys of the rows at the start of a JSON Lines object; the last row can be cut off."""
    names: Columns = {}
    for line in start.splitlines():
        with suppress(ValueError):
            row = json.loads(line)
            names |= dict.fromkeys(row) if isinstance(row, dict) else {}
    return names
