"""Objects as Arrow data: whole tables for training, single column chunks for profiles.

Everything is read as it was listed (pinned to the ETag), and an object that cannot be read is
named, with its column where there is one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.csv_jsonl import BLOCK_BYTES, NULL_WORDS, Told, open_text
from modelmonitor_trainer.data.parquet import Part, is_text, open_file, refuse_repeated, spans_of
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.storage.base import ObjectInfo, Store, plan_reads

__all__ = ["MissingColumn", "Scan", "Unreadable", "is_number", "is_text", "read_table", "reading", "scan", "schema_of"]


class MissingColumn(BadData):
    """An object lacks a column.

    Attributes
    ----------
    uri, column
        Which object and which column.
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
    """An object is not what its format says.

    Attributes
    ----------
    uri
        Which object.
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
) -> pa.Table:
    """Return columns of some objects as one table, in the order of the objects.

    Parameters
    ----------
    store
        Where they are.
    objects
        As listed; an object that has been replaced since raises ObjectChanged.
    columns
        Which columns, in this order.
    fmt
        How the objects are encoded.
    text
        Columns that are text whatever they look like in CSV ("007").

    Returns
    -------
    pyarrow.Table
        Of the total rows of the objects. Dictionaries are decoded; integers become floats where another
        object has floats; a column that is NULL throughout one object takes the type of the others.

    Raises
    ------
    MissingColumn, Unreadable
        Both are BadData.
    BadData
        If a column has types in two objects that do not go together.
    """
    whole: pa.Table | None = None
    with store.ahead(objects):
        for info in objects:
            with reading(info.uri, fmt):
                part = _read_object(store, info, columns, fmt, text)
            whole = part if whole is None else _concatenate(whole, part, info.uri)
    if whole is None:
        return pa.table({name: pa.nulls(0) for name in columns})
    return whole


@contextlib.contextmanager
def reading(uri: str, fmt: DataFormat) -> Iterator[None]:
    """Turn the errors of a decoder into Unreadable with the object's name."""
    try:
        yield
    except pa.ArrowMemoryError as error:
        raise MemoryError(str(error)) from error
    # OSError is what pyarrow raises for truncated and damaged pages; our stores raise their own kinds.
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Unreadable(uri, fmt, error) from error


@dataclass(frozen=True)
class Scan:
    """An object that is open for reading column by column.

    Attributes
    ----------
    types
        Column → type, of all columns in Parquet and of the wanted ones in text formats.
    rows
        How many rows there are.
    chunks
        (column, values) a part of the rows and a column at a time, strings as dictionaries. Within a
        column the parts come in the order of the rows. Columns that the object lacks are left out.
    others
        Parts of a large object that are to be scanned each on its own; what is above is the first.
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
    told: Told = lambda _: None,
) -> Iterator[Scan]:
    """Open an object for reading column by column.

    Memory is that of some rows of one column (Parquet) or of one block (text formats). Parameters are those of
    :func:`read_table`; `columns` may be None for all, and of each only the first `head` rows are read if it is given.
    What fails within the ``with`` block is told of this object. A large object is cut where it can be if it is to be
    read `in_parts`: then this is the first part or, if it is given, another `part`. Of text formats, which have no
    parts, `told` is told how many bytes are done with.
    """
    with reading(info.uri, fmt), contextlib.ExitStack() as files:

        def opener() -> BinaryIO:
            return files.enter_context(store.open(info))

        if fmt is DataFormat.PARQUET:
            opened = open_file(opener(), columns, head, whole=not in_parts, part=part)
            yield Scan({field.name: field.type for field in opened.schema}, opened.rows, opened.values, opened.others)
        else:
            found = open_text(opener, info.uri, columns, fmt, text, head, size=info.size, told=told)
            yield Scan({field.name: field.type for field in found.schema}, found.rows, found.values)


def schema_of(
    store: Store, info: ObjectInfo, columns: Sequence[str], fmt: DataFormat, *, text: Collection[str] = ()
) -> tuple[Mapping[str, pa.DataType], int]:
    """Return the types of an object's columns, and its number of rows; of Parquet only the footer is read."""
    with scan(store, info, columns, fmt, text=text) as opened:
        return opened.types, opened.rows


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
            # Here Arrow reads all of them together, in the order in which they lie.
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
    """Return `table` with dictionaries decoded and no metadata, so that parts of it agree."""
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
    """Return columns of a CSV or JSON Lines object; gzip goes by the name of the object.

    The whole object is looked at before a type is chosen: a reader of streams would take the type of
    the first block, and stumble over the first fraction after it.
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
