"""Objects as Arrow data: whole tables for training, single column chunks for profiles.

Every read is pinned to the ETag of the listing. Errors name the object, and the column if there is one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import BinaryIO, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.arrow_types import is_number, is_text
from modelmonitor_trainer.data.csv_jsonl import csv_header, open_text
from modelmonitor_trainer.data.decimal_marks import Marks, Remarks, decide_marks, differ_from_own, undeclared
from modelmonitor_trainer.data.object_format import AnyFormat, csv_options, format_at, marks_at, with_marks
from modelmonitor_trainer.data.object_names import FORMATS, suffix_of
from modelmonitor_trainer.data.parquet import Part, open_file, pandas_index, refuse_repeated, spans_of
from modelmonitor_trainer.data.path_columns import path_columns, repeated
from modelmonitor_trainer.data.plain_tables import concatenate, join_chunks, plain_table
from modelmonitor_trainer.data.undeclared import Undeclared
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.progress import ProgressCallback, no_progress
from modelmonitor_trainer.storage.base import ObjectInfo, Store, plan_reads
from modelmonitor_trainer.text import listed

__all__ = ["MissingColumn", "Scan", "Unreadable", "header_of", "is_number", "is_text", "read_table", "reading", "scan"]


#: Values of one object → values of any object.
Converter: TypeAlias = Callable[[pa.ChunkedArray], pa.ChunkedArray]


class MissingColumn(BadData):
    """An object lacks a column.

    Attributes
    ----------
    uri, column
        The object and the missing column.
    """

    def __init__(self, uri: str, column: str, present: Collection[str]) -> None:
        shown = listed([repr(name) for name in present], 20)
        super().__init__(
            f"{uri} has no column {column!r}; it has {shown or 'none'}. Correct the spec, or the job that writes it"
        )
        self.uri = uri
        self.column = column


class Unreadable(BadData):
    """An object cannot be decoded in its declared format.

    Attributes
    ----------
    uri
        The object.
    undeclared
        Whether it can be read once something is declared, which the message names.
    """

    def __init__(self, uri: str, fmt: AnyFormat, why: object) -> None:
        first_line = (str(why).splitlines() or [""])[0]
        if isinstance(why, Undeclared):  # it says what to declare
            super().__init__(f"{uri} cannot be read as {format_at(fmt, uri).value}: {first_line}")
        else:
            first_line = first_line[:200].rstrip(". ")
            declared, named = format_at(fmt, uri), FORMATS.get(suffix_of(uri))
            advice = "Write it again, or correct data.format"
            if named not in {None, declared}:
                advice = f"Write it as {declared.value}, move it elsewhere, or correct data.format"
            super().__init__(f"{uri} cannot be read as {format_at(fmt, uri).value}: {first_line}. {advice}")
        self.uri = uri
        self.undeclared = isinstance(why, Undeclared)


def read_table(
    store: Store,
    objects: Sequence[ObjectInfo],
    columns: Sequence[str],
    fmt: AnyFormat,
    *,
    text: Collection[str] = (),
    derive: Mapping[str, tuple[str, Converter]] | None = None,
) -> pa.Table:
    """Return columns of some objects as one table, in the order of the objects.

    Parameters
    ----------
    store
        Object store.
    objects
        As listed; an object that has been replaced since raises ObjectChanged.
    columns
        Columns to read, in this order.
    fmt
        Encoding of the objects.
    text
        Columns to return as canonical text, whatever their type, even if they look like numbers in CSV ("007").
    derive
        Further column → the column of each object that it is computed from, and the function. It gets the column as it
        is stored, not in canonical form. Objects in which the column has other types can be concatenated.

    Returns
    -------
    pyarrow.Table
        All rows of all objects, in canonical form (:mod:`~.plain_tables`). Integers become floats if another object has
        floats. A column that is entirely NULL in one object takes its type from the others.

    Raises
    ------
    MissingColumn, Unreadable
        Both are BadData.
    BadData
        If a column has incompatible types in two objects.
    """
    derived = derive or {}
    sources = [*columns, *(source for source, _ in derived.values())]
    whole: pa.Table | None = None
    with store.ahead(objects):
        for info, part in _read_objects(store, objects, sources, fmt, text):
            added = {
                name: _derived(function, part.column(source), info.uri) for name, (source, function) in derived.items()
            }
            plain = plain_table(part.select(list(dict.fromkeys(columns))), text)
            table = pa.table({**{name: plain.column(name) for name in plain.column_names}, **added})
            whole = table if whole is None else concatenate(whole, table, info.uri)
    if whole is None:
        return pa.table({name: pa.nulls(0) for name in (*columns, *derived)})
    return whole


def _derived(function: Converter, values: pa.ChunkedArray, uri: str) -> pa.ChunkedArray:
    """Return a column that is computed from another one; an error names the object."""
    try:
        return function(values)
    except BadData as error:
        raise BadData(f"{error} ({uri})") from error


def _read_objects(
    store: Store, objects: Sequence[ObjectInfo], columns: Sequence[str], fmt: AnyFormat, text: Collection[str]
) -> Iterator[tuple[ObjectInfo, pa.Table]]:
    """Yield objects with their columns; CSV once the decimal marks of all objects are decided."""
    if not any(format_at(fmt, info.uri) is DataFormat.CSV for info in objects):
        for info in objects:
            with reading(info.uri, fmt):
                yield info, _read_object(store, info, columns, fmt, text)[0]
        return
    read = []
    for info in objects:
        with reading(info.uri, fmt):
            read.append(_read_object(store, info, columns, fmt, text))
    decided = decide_marks([remarks for _, remarks in read])
    refuse_undecided(fmt, {info.uri: marks for info, marks in zip(objects, decided, strict=True)})
    for info, (table, remarks), marks in zip(objects, read, decided, strict=True):
        if not differ_from_own([remarks], [marks]):
            yield info, table
            continue
        with reading(info.uri, fmt):
            yield info, _read_object(store, info, columns, with_marks(fmt, {info.uri: marks}), text)[0]


def refuse_undecided(fmt: AnyFormat, marks: Mapping[str, Marks]) -> None:
    """Refuse objects whose decimal marks must be declared.

    Raises
    ------
    Unreadable
        If there is one.
    """
    for uri, columns in marks.items():
        for name, mark in columns.items():
            if mark is None:
                raise Unreadable(uri, fmt, undeclared(name))


@contextlib.contextmanager
def reading(uri: str, fmt: AnyFormat) -> Iterator[None]:
    """Convert the errors of a decoder to Unreadable with the object's name."""
    try:
        yield
    except pa.ArrowMemoryError as error:
        raise MemoryError(str(error)) from error
    # pyarrow raises OSError for truncated and corrupted pages; our stores raise errors of their own.
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Unreadable(uri, fmt, error) from error


@dataclass(frozen=True)
class Scan:
    """An object that is open for reading column by column.

    Attributes
    ----------
    types
        Column → type: of all columns in Parquet, and of the wanted columns in text formats.
    rows
        Number of rows of the object; of a sample, number of rows that `chunks` covers.
    chunks
        (column, values), some rows of one column at a time, strings dictionary-encoded. Within a column the
        chunks are in row order. Columns that the object lacks are left out.
    others
        The other parts of a large object, each to be scanned separately; `chunks` covers the first.
    recognized
        What was recognized of how a text object is written, unless it is usual.
    index
        Columns that pandas wrote as the index of its rows.
    remarks
        Column → remarks on how its values are written.
    """

    types: Mapping[str, pa.DataType]
    rows: int
    chunks: Iterator[tuple[str, pa.ChunkedArray]]
    others: tuple[Part, ...] = ()
    recognized: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    remarks: Mapping[str, frozenset[str]] = field(default_factory=dict)


@contextlib.contextmanager
def scan(
    store: Store,
    info: ObjectInfo,
    columns: Sequence[str] | None,
    fmt: AnyFormat,
    *,
    text: Collection[str] = (),
    head: int | None = None,
    in_parts: bool = False,
    part: Part | None = None,
    sample: int | None = None,
    progress: ProgressCallback = no_progress,
) -> Iterator[Scan]:
    """Open an object for reading column by column.

    Memory is bounded by some rows of one column (Parquet) or one block (text formats). Decoding errors within the
    ``with`` block are raised as Unreadable with the name of this object.

    Parameters
    ----------
    store, info, fmt, text
        As in :func:`read_table`.
    columns
        Columns to read; None for all.
    head
        Read only this many rows from the start.
    in_parts
        Whether to cut a large Parquet object into parts and read the first.
    part
        Read this part, from :attr:`Scan.others` of an earlier scan.
    sample
        Read only as much of a Parquet object, spread over all of it, as a sample of this many rows needs. Text formats
        are read as a whole.
    progress
        Receives how many bytes of an object in a text format have been processed.
    """
    with reading(info.uri, fmt), contextlib.ExitStack() as files:

        def opener() -> BinaryIO:
            return files.enter_context(store.open(info))

        kind = format_at(fmt, info.uri)
        if kind is DataFormat.PARQUET:
            opened = open_file(opener(), columns, head, whole=not in_parts, part=part, sample=sample)
            types = {field.name: field.type for field in opened.schema}
            result = Scan(types, opened.rows, opened.values, opened.others, index=pandas_index(opened.schema))
        else:
            lines = open_text(
                opener,
                info.uri,
                columns,
                kind,
                text,
                head,
                options=csv_options(fmt),
                size=info.size,
                progress=progress,
                marks=marks_at(fmt, info.uri),
            )
            types = {field.name: field.type for field in lines.schema}
            result = Scan(types, lines.rows, lines.values, recognized=lines.recognized, remarks=lines.remarks)
        # Columns of the path belong to the first part.
        yield result if part is not None else _with_path_columns(result, info.uri, columns, text, head)


def _with_path_columns(
    opened: Scan, uri: str, columns: Sequence[str] | None, text: Collection[str], head: int | None
) -> Scan:
    """Return an object with the wanted columns that only its path has."""
    values = path_columns(uri, columns, opened.types, text)
    if not values:
        return opened
    rows = opened.rows if head is None else min(opened.rows, head)
    more = chain.from_iterable(repeated(name, value, rows) for name, value in values.items())
    types = {**opened.types, **{name: value.type for name, value in values.items()}}
    return replace(opened, types=types, chunks=chain(opened.chunks, more))


def absent_columns(store: Store, objects: Sequence[ObjectInfo], names: Sequence[str], fmt: AnyFormat) -> list[str]:
    """Return the columns that some of the objects lack.

    Raises
    ------
    Unreadable
        If an object cannot be decoded.
    """
    absent = []
    for info in objects if names else ():
        with scan(store, info, names, fmt, head=0) as opened:
            absent += [name for name in names if name not in opened.types and name not in absent]
    return absent


def header_of(store: Store, info: ObjectInfo, fmt: AnyFormat) -> list[str]:
    """Return the names of the columns of a Parquet or CSV object, repeated ones too.

    Raises
    ------
    Unreadable
        If the object cannot be decoded.
    """
    with reading(info.uri, fmt), contextlib.ExitStack() as files:

        def opener() -> BinaryIO:
            return files.enter_context(store.open(info))

        if format_at(fmt, info.uri) is DataFormat.PARQUET:
            return list(pq.read_schema(opener()).names)
        return csv_header(opener, info.uri, csv_options(fmt))


def _read_object(
    store: Store, info: ObjectInfo, columns: Sequence[str], fmt: AnyFormat, text: Collection[str]
) -> tuple[pa.Table, Remarks]:
    wanted = list(dict.fromkeys(columns))
    if format_at(fmt, info.uri) is not DataFormat.PARQUET:
        with scan(store, info, wanted, fmt, text=text) as opened:
            if not opened.rows:  # an empty object has no header
                return pa.table({name: pa.array([], opened.types.get(name, pa.null())) for name in wanted}), {}
            _require(info.uri, columns, list(opened.types))
            parts: dict[str, list[pa.Array]] = {name: [] for name in wanted}
            for name, values in opened.chunks:
                parts[name] += values.chunks
            table = pa.table({name: join_chunks(parts[name], opened.types[name]) for name in wanted})
        return table, opened.remarks
    with store.open(info) as file:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        values = path_columns(info.uri, columns, parquet.schema_arrow.names, text)
        _require(info.uri, columns, [*parquet.schema_arrow.names, *values])
        refuse_repeated(parquet.schema_arrow.names, columns)
        stored = [name for name in wanted if name not in values]
        # Arrow reads all of them at once here, in file order.
        chunks = [(group, name) for group in range(parquet.num_row_groups) for name in stored]
        plan_reads(file, sorted(spans_of(parquet.metadata, parquet.schema_arrow.names, chunks).values()))
        table = parquet.read(columns=stored)
    for name, value in values.items():
        table = table.append_column(name, pa.repeat(value, table.num_rows))
    return table.select(wanted), {}


def _require(uri: str, columns: Sequence[str], present: Sequence[str]) -> None:
    for name in columns:
        if name not in present:
            raise MissingColumn(uri, name, present)
