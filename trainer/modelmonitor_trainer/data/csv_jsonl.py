"""CSV and JSON Lines, decoded block by block, so that memory does not depend on the size of an object.

The type of a column is known only at its end: the types of the first block are tried on all others, and a value that
does not fit restarts the read with the next type, in the order in which Arrow tries types on a whole object. The result
is the same as that of a reader of whole objects.
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
from modelmonitor_trainer.data.arrow_types import is_text
from modelmonitor_trainer.data.parquet import refuse_repeated
from modelmonitor_trainer.progress import ProgressCallback, no_progress

#: Words that mean a missing value in text formats, unless quoted.
NULL_WORDS = ("", "NA", "NaN", "nan", "NULL", "null")
#: Bytes that are decoded at once; no line may be longer.
BLOCK_BYTES = 8 * 1024 * 1024
#: Largest JSON object that is read as a whole because its fields change after the first block.
WHOLE_BYTES = 256 * 1024 * 1024
#: Order in which types are tried for CSV (Arrow's documentation of its CSV reader).
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


@dataclass(frozen=True)
class Opened:
    """A text object whose column types are known.

    Attributes
    ----------
    schema
        The requested columns that the object has.
    rows
        Number of rows; of a head, number of rows read.
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
    progress: ProgressCallback = no_progress,
) -> Opened:
    """Open a text object for reading block by block; an object of several blocks is read twice.

    Parameters
    ----------
    opener, uri
        Opens the object; a name that ends in .gz is decompressed.
    columns
        Columns to read; None for all. Those that the object lacks are left out.
    fmt
        CSV or JSON Lines.
    text
        Columns to read as text from CSV even if they look like numbers ("007").
    head
        Read at most this many rows.
    size, progress
        Bytes of the object, and the callback for how many have been processed; the first of two passes is half.
    """
    source = _Source(opener, gzipped=uri.endswith(".gz"), size=size, progress=progress)
    infer = _infer_csv if fmt is DataFormat.CSV else _infer_json
    schema, batches, rows, only = infer(source, columns, text, head)
    if only is not None:
        return Opened(schema, rows, _values(iter([only]), schema.names))
    return Opened(schema, rows, _values(source.with_progress(batches, second_pass=True), schema.names))


class _Source:
    """An object that can be read from the start more than once.

    Every reader has its own file: Arrow reads ahead in the background even for an abandoned reader, and closes the file
    when it frees the stream.
    """

    def __init__(self, opener: Callable[[], BinaryIO], *, gzipped: bool, size: int, progress: ProgressCallback) -> None:
        self._opener, self._gzipped, self._size, self._progress = opener, gzipped, size, progress
        self._newest: BinaryIO | None = None

    def stream(self) -> BinaryIO | pa.CompressedInputStream:
        """Return a decompressed stream from the start of the object."""
        file = self._newest = self._opener()
        return pa.CompressedInputStream(file, "gzip") if self._gzipped else file

    def with_progress(self, batches: Batches, *, second_pass: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield batches and report the progress of this pass of two."""
        for batch in batches():
            if self._newest is not None:
                self._progress((self._size * second_pass + self._newest.tell()) // 2)
            yield batch

    def require_at_most(self, size: int, why: str) -> None:
        """Raise an error with the text `why` if the stream has more than `size` bytes."""
        stream = self.stream()
        while size >= 0:
            read = len(stream.read(BLOCK_BYTES))
            if not read:
                return
            size -= read
        raise pa.ArrowInvalid(why)


_Inferred = tuple[pa.Schema, Batches, int, pa.RecordBatch | None]


def _infer_csv(source: _Source, columns: Sequence[str] | None, text: Collection[str], head: int | None) -> _Inferred:
    names, types = _first_types(source, text)
    wanted = names if columns is None else [name for name in dict.fromkeys(columns) if name in types]
    refuse_repeated(names, wanted)

    def batches() -> Iterator[pa.RecordBatch]:
        convert = _conversion({name: types[name] for name in wanted}, wanted)
        return _limit(_csv(source, convert), head)

    while True:
        try:
            rows, only = _count_rows(source.with_progress(batches))
        except pa.ArrowInvalid as error:
            _widen(types, names, error)
        else:
            return pa.schema([(name, types[name]) for name in wanted]), batches, rows, only


def _first_types(source: _Source, text: Collection[str]) -> tuple[list[str], dict[str, pa.DataType]]:
    """Return the names of the columns and the types that the first block suggests."""
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
    # Without threads, which would decode blocks ahead of demand.
    read = pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    # A block can end within a quoted value that contains a line break.
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.open_csv(source.stream(), read_options=read, parse_options=parse, convert_options=convert)


def _widen(types: dict[str, pa.DataType], names: Sequence[str], error: pa.ArrowInvalid) -> None:
    """Give the column that did not fit the next type; re-raise errors that are not about types."""
    match = _COLUMN_OF_ERROR.search(str(error))
    name = names[int(match[1])] if match and int(match[1]) < len(names) else None
    if name is None or types[name] not in _LADDER[:-1]:
        raise error
    types[name] = _LADDER[_LADDER.index(types[name]) + 1]


def _infer_json(source: _Source, columns: Sequence[str] | None, _text: Collection[str], head: int | None) -> _Inferred:
    schema = _json(source, None).schema
    for whole_numbers in (pa.int64(), pa.float64()):
        typed = pa.schema(
            [(field.name, whole_numbers if pa.types.is_integer(field.type) else field.type) for field in schema]
        )
        batches = _json_batches(source, typed, columns, head)
        try:
            rows, only = _count_rows(source.with_progress(batches))
        except pa.ArrowInvalid:
            continue
        return _selected(typed, columns), batches, rows, only
    # Fields appear or change after the first block: Arrow infers them only for an object as a whole.
    source.require_at_most(WHOLE_BYTES, "its fields change after the first rows, and it is too large to read at once")
    table = pyarrow.json.read_json(source.stream(), read_options=pyarrow.json.ReadOptions(block_size=BLOCK_BYTES))
    selected = _selected(table.schema, columns)
    parts = table.select(selected.names).slice(0, head).to_batches()
    return selected, lambda: iter(parts), sum(part.num_rows for part in parts), None


def _json_batches(source: _Source, schema: pa.Schema, columns: Sequence[str] | None, head: int | None) -> Batches:
    def batches() -> Iterator[pa.RecordBatch]:
        names = _selected(schema, columns).names
        return _limit((batch.select(names) for batch in _json(source, schema)), head)

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


def _limit(batches: Iterable[pa.RecordBatch], head: int | None) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        part = batch if head is None else batch.slice(0, head)
        yield part
        if head is not None:
            head -= part.num_rows
            if head <= 0:
                return


def _count_rows(batches: Iterator[pa.RecordBatch]) -> tuple[int, pa.RecordBatch | None]:
    """Return the number of rows, and the batch if there is only one."""
    rows = number = 0
    first = None
    for batch in batches:
        rows, number = rows + batch.num_rows, number + 1
        first = batch if number == 1 else None
    return rows, first


def _values(batches: Iterator[pa.RecordBatch], names: Sequence[str]) -> Iterator[tuple[str, pa.ChunkedArray]]:
    for batch in batches:
        for index, name in enumerate(names):
            column = batch.column(index)
            array = column.dictionary_encode() if is_text(column.type) else column
            yield name, pa.chunked_array([array], array.type)
