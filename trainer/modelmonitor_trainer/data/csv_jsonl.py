"""CSV and JSON Lines, decoded block by block, so that memory does not depend on how large an object is.

What a column holds is known only at its end: the types of the first block are tried on all others, and the first value
that does not fit makes the next type be tried from the beginning, in the order in which Arrow tries types on a whole
object. So what is read is what a reader of whole objects reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.parquet import is_text, refuse_repeated

#: What stands for a missing value in text formats unless it is quoted.
NULL_WORDS = ("", "NA", "NaN", "nan", "NULL", "null")
#: Bytes that are decoded at once; no line may be longer.
BLOCK_BYTES = 8 * 1024 * 1024
#: Bytes of JSON whose fields change after the first block, up to which they are read as a whole.
WHOLE_BYTES = 256 * 1024 * 1024
#: In this order types of CSV are tried (Arrow's documentation of its CSV reader).
_LADDER = (
    pa.null(),
    pa.int64(),
    pa.bool_(),
    pa.date32(),
    pa.time32("s"),
    pa.timestamp("s"),
    pa.timestamp("ns"),
    pa.float64(),
    pa.string(),
)
_COLUMN_OF_ERROR = re.compile(r"In CSV column #(\d+)")

Batches = Callable[[], Iterator[pa.RecordBatch]]
#: Takes how many bytes of an object are done with.
Told = Callable[[int], None]


@dataclass(frozen=True)
class Opened:
    """A text object whose types are settled.

    Attributes
    ----------
    schema
        All columns that were asked for and are there.
    rows
        How many rows there are; of a head, how many were looked at.
    values
        (column, values) block by block.
    """

    schema: pa.Schema
    rows: int
    values: Iterator[tuple[str, pa.ChunkedArray]]


def open_text(
    opener: Callable[[], BinaryIO],
    uri: str,
    columns: Sequence[str] | None,
    fmt: DataFormat,
    text: Collection[str],
    head: int | None = None,
    *,
    size: int = 0,
    told: Told = lambda _: None,
) -> Opened:
    """Open a text object for reading block by block; it is read twice if it has more than one.

    Parameters
    ----------
    opener, uri
        Opens the object; gzip goes by the name.
    columns
        Which columns; None is all. Those that are not there are left out.
    fmt
        CSV or JSON Lines.
    text
        Columns that are text whatever they look like in CSV ("007").
    head
        How many rows at most; None is all.
    size, told
        Bytes of the object, and what is told how many of them are done with: to have read it once is half the work.
    """
    source = _Source(opener, gzipped=uri.endswith(".gz"), size=size, told=told)
    settle = _settled_csv if fmt is DataFormat.CSV else _settled_json
    schema, batches, rows, only = settle(source, columns, text, head)
    if only is not None:
        return Opened(schema, rows, _values(iter([only]), schema.names))
    return Opened(schema, rows, _values(source.telling(batches, again=True), schema.names))


class _Source:
    """An object that can be read from its beginning more than once.

    Every reader has a file of its own: Arrow reads ahead in the background, even for a reader that is not asked any
    more, and it closes the file below a stream when it forgets the stream.
    """

    def __init__(self, opener: Callable[[], BinaryIO], *, gzipped: bool, size: int, told: Told) -> None:
        self._opener, self._gzipped, self._size, self._told = opener, gzipped, size, told
        self._newest: BinaryIO | None = None

    def stream(self) -> BinaryIO | pa.CompressedInputStream:
        """Return what is in it, from the beginning."""
        file = self._newest = self._opener()
        return pa.CompressedInputStream(file, "gzip") if self._gzipped else file

    def telling(self, batches: Batches, *, again: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield what is read from a stream, and tell how far that is; `again` where it has been read before."""
        for batch in batches():
            if self._newest is not None:
                self._told((self._size * again + self._newest.tell()) // 2)
            yield batch

    def require_at_most(self, size: int, why: str) -> None:
        """Make sure that there are no more bytes than `size`."""
        stream = self.stream()
        while size >= 0:
            read = len(stream.read(BLOCK_BYTES))
            if not read:
                return
            size -= read
        raise pa.ArrowInvalid(why)


_Settled = tuple[pa.Schema, Batches, int, pa.RecordBatch | None]


def _settled_csv(source: _Source, columns: Sequence[str] | None, text: Collection[str], head: int | None) -> _Settled:
    names, types = _first_types(source, text)
    wanted = names if columns is None else [name for name in dict.fromkeys(columns) if name in types]
    refuse_repeated(names, wanted)

    def batches() -> Iterator[pa.RecordBatch]:
        convert = _conversion({name: types[name] for name in wanted}, wanted)
        return _headed(_csv(source, convert), head)

    while True:
        try:
            rows, only = _passed(source.telling(batches))
        except pa.ArrowInvalid as error:
            _widen(types, names, error)
        else:
            return pa.schema([(name, types[name]) for name in wanted]), batches, rows, only


def _first_types(source: _Source, text: Collection[str]) -> tuple[list[str], dict[str, pa.DataType]]:
    """Return the names of the columns, and the types that the first block shows."""
    opened = _csv(source, _conversion(dict.fromkeys(text, pa.string()), None))
    return opened.schema.names, {field.name: field.type for field in opened.schema}


def _conversion(types: Mapping[str, pa.DataType], columns: Sequence[str] | None) -> pyarrow.csv.ConvertOptions:
    return pyarrow.csv.ConvertOptions(
        column_types=types,
        include_columns=columns,
        null_values=list(NULL_WORDS),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )


def _csv(source: _Source, convert: pyarrow.csv.ConvertOptions) -> pyarrow.csv.CSVStreamingReader:
    # Without threads, which would decode blocks that nobody has asked for yet.
    read = pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    # A quoted line break may lie at the end of a block.
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.open_csv(source.stream(), read_options=read, parse_options=parse, convert_options=convert)


def _widen(types: dict[str, pa.DataType], names: Sequence[str], error: pa.ArrowInvalid) -> None:
    """Let the column that did not fit have the next type; what is no matter of types is raised again."""
    found = _COLUMN_OF_ERROR.search(str(error))
    name = names[int(found[1])] if found and int(found[1]) < len(names) else None
    if name is None or types[name] not in _LADDER[:-1]:
        raise error
    types[name] = _LADDER[_LADDER.index(types[name]) + 1]


def _settled_json(source: _Source, columns: Sequence[str] | None, _text: Collection[str], head: int | None) -> _Settled:
    schema = _json(source, None).schema
    for whole_numbers in (pa.int64(), pa.float64()):
        typed = pa.schema(
            [(field.name, whole_numbers if pa.types.is_integer(field.type) else field.type) for field in schema]
        )
        batches = _json_batches(source, typed, columns, head)
        try:
            rows, only = _passed(source.telling(batches))
        except pa.ArrowInvalid:
            continue
        return _selected(typed, columns), batches, rows, only
    # Fields that come or change after the first block: Arrow settles them only for an object as a whole.
    source.require_at_most(
        WHOLE_BYTES, "its fields change after the first rows, and it is too large to look at as a whole"
    )
    table = pyarrow.json.read_json(source.stream(), read_options=pyarrow.json.ReadOptions(block_size=BLOCK_BYTES))
    selected = _selected(table.schema, columns)
    parts = table.select(selected.names).slice(0, head).to_batches()
    return selected, lambda: iter(parts), sum(part.num_rows for part in parts), None


def _json_batches(source: _Source, schema: pa.Schema, columns: Sequence[str] | None, head: int | None) -> Batches:
    def batches() -> Iterator[pa.RecordBatch]:
        names = _selected(schema, columns).names
        return _headed((batch.select(names) for batch in _json(source, schema)), head)

    return batches


def _json(source: _Source, schema: pa.Schema | None) -> pyarrow.json.JSONStreamingReader:
    return pyarrow.json.open_json(
        source.stream(),
        read_options=pyarrow.json.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "error"
        ),
    )


def _selected(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    if columns is None:
        return schema
    return pa.schema([schema.field(name) for name in dict.fromkeys(columns) if name in schema.names])


def _headed(batches: Iterable[pa.RecordBatch], head: int | None) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        part = batch if head is None else batch.slice(0, head)
        yield part
        if head is not None:
            head -= part.num_rows
            if head <= 0:
                return


def _passed(batches: Iterator[pa.RecordBatch]) -> tuple[int, pa.RecordBatch | None]:
    """Return how many rows there are, and the batch if there is only one."""
    rows = number = 0
    first = None
    for batch in batches:
        rows, number = rows + batch.num_rows, number + 1
        first = batch if number == 1 else None
    return rows, first


def _values(batches: Iterator[pa.RecordBatch], names: Sequence[str]) -> Iterator[tuple[str, pa.ChunkedArray]]:
    for batch in batches:
        for place, name in enumerate(names):
            column = batch.column(place)
            array = column.dictionary_encode() if is_text(column.type) else column
            yield name, pa.chunked_array([array], array.type)
