"""Objects as Arrow data: whole tables for training, single column chunks for profiles.

Every read is pinned to the ETag of the listing. Errors name the object, and the column if there is one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.csv_jsonl import BLOCK_BYTES, NULL_WORDS, open_text
from modelmonitor_trainer.data.parquet import Part, is_text, open_file, refuse_repeated, spans_of
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.progress import ProgressCallback, no_progress
from modelmonitor_trainer.storage.base import ObjectInfo, Store, plan_reads

__all__ = ["MissingColumn", "Scan", "Unreadable", "is_number", "is_text", "read_table", "reading", "scan"]


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
        shown = ", ".join(repr(name) for name in list(present)[:20])
        more = f" and {len(present) - 20} more" if len(present) > 20 else ""
        super().__init__(
            f"{uri} has no column {column!r}; it has {shown or 'none'}{more}. "
            "Correct the spec, or the job that writes it"
        )
        self.uri = uri
        self.column = column


class Unreadable(BadData):
    """An object cannot be decoded in its declared format.

    Attributes
    ----------
    uri
        The object.
    """

    def __init__(self, uri: str, fmt: DataFormat, why: object) -> None:
        first_line = (str(why).splitlines() or [""])[0][:200].rstrip(". ")
        super().__init__(f"{uri} cannot be read as {fmt.value}: {first_line}. Write it again, or correct data.format")
        self.uri = uri


def read_table(
    store: Store,
    objects: Sequence[ObjectInfo],
    columns: Sequence[str],
    fmt: DataFormat,
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
        Columns to read as text from CSV even if they look like numbers ("007").
    derive
        Further column → the column of each object that it is computed from, and the function. Objects in which the
        latter has other types can be concatenated.

    Returns
    -------
    pyarrow.Table
        All rows of all objects. Dictionaries are decoded. Integers become floats if another object has floats. A
        column that is entirely NULL in one object takes its type from the others.

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
        for info in objects:
            with reading(info.uri, fmt):
                part = _read_object(store, info, sources, fmt, text)
            added = {name: function(part.column(source)) for name, (source, function) in derived.items()}
            part = part.select(list(dict.fromkeys(columns)))
            for name, values in added.items():
                part = part.append_column(name, values)
            whole = part if whole is None else _concatenate(whole, part, info.uri)
    if whole is None:
        return pa.table({name: pa.nulls(0) for name in (*columns, *derived)})
    return whole


@contextlib.contextmanager
def reading(uri: str, fmt: DataFormat) -> Iterator[None]:
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
    """

    types: Mapping[str, pa.DataType]
    rows: int
    chunks: Iterator[tuple[str, pa.ChunkedArray]]
    others: tuple[Part, ...] = ()


@contextlib.contextmanager
def scan(
    store: Store,
    info: ObjectInfo,
    columns: Sequence[str] | None,
    fmt: DataFormat,
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

        if fmt is DataFormat.PARQUET:
            opened = open_file(opener(), columns, head, whole=not in_parts, part=part, sample=sample)
            yield Scan({field.name: field.type for field in opened.schema}, opened.rows, opened.values, opened.others)
        else:
            lines = open_text(opener, info.uri, columns, fmt, text, head, size=info.size, progress=progress)
            yield Scan({field.name: field.type for field in lines.schema}, lines.rows, lines.values)


def is_number(kind: pa.DataType) -> bool:
    """Whether a type counts as numeric: integers, floats, decimals, booleans."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def _read_object(
    store: Store, info: ObjectInfo, columns: Sequence[str], fmt: DataFormat, text: Collection[str]
) -> pa.Table:
    with store.open(info) as file:
        if fmt is DataFormat.PARQUET:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            _require(info.uri, columns, parquet.schema_arrow.names)
            refuse_repeated(parquet.schema_arrow.names, columns)
            wanted = list(dict.fromkeys(columns))
            # Arrow reads all of them at once here, in file order.
            chunks = [(group, name) for group in range(parquet.num_row_groups) for name in wanted]
            plan_reads(file, sorted(spans_of(parquet.metadata, parquet.schema_arrow.names, chunks).values()))
            table = parquet.read(columns=wanted)
        else:
            table = _text_table(file, info.uri, columns, fmt, text)
            _require(info.uri, columns, table.column_names)
        return _plain(table.select(list(dict.fromkeys(columns))))


def _require(uri: str, columns: Sequence[str], present: Sequence[str]) -> None:
    for name in columns:
        if name not in present:
            raise MissingColumn(uri, name, present)


def _plain(table: pa.Table) -> pa.Table:
    """Return `table` with dictionaries decoded and without metadata, so that tables of several objects agree."""
    arrays = []
    for column in table.columns:
        kind = column.type
        arrays.append(column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column)
    return pa.table(dict(zip(table.column_names, arrays, strict=True)))


def _concatenate(whole: pa.Table, part: pa.Table, uri: str) -> pa.Table:
    try:
        return pa.concat_tables([whole, part], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        for name in whole.column_names:
            before, here = whole.schema.field(name).type, part.schema.field(name).type
            try:
                pa.unify_schemas([pa.schema([(name, before)]), pa.schema([(name, here)])], promote_options="permissive")
            except (pa.ArrowTypeError, pa.ArrowInvalid):
                raise BadData(
                    f"{uri}: column {name!r} is {here}, and {before} in earlier objects. "
                    "Write it again with the same type"
                ) from error
        raise


def _text_table(
    file: BinaryIO, uri: str, columns: Sequence[str] | None, fmt: DataFormat, text: Collection[str]
) -> pa.Table:
    """Return columns of a CSV or JSON Lines object, decompressed if its name ends in .gz.

    Types are inferred from the whole object: a streaming reader would infer them from the first block and fail at the
    first fraction after it.
    """
    stream = pa.CompressedInputStream(file, "gzip") if uri.endswith(".gz") else file
    if fmt is DataFormat.CSV:
        table = pyarrow.csv.read_csv(
            stream,
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(text, pa.string()),
                null_values=list(NULL_WORDS),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    else:
        table = pyarrow.json.read_json(stream, read_options=pyarrow.json.ReadOptions(block_size=BLOCK_BYTES))
    refuse_repeated(table.column_names, table.column_names if columns is None else columns)
    if columns is None:
        return table
    return table.select([name for name in dict.fromkeys(columns) if name in table.column_names])
