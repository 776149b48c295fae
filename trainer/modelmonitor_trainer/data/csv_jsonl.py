"""CSV and JSON Lines, decoded block by block, so that memory does not depend on the size of an object.

The type of a column is known only at its end: the types of the first block are tried on all others, and a value that
does not fit restarts the read with the next type, in the order in which Arrow tries types on a whole object. The result
is the same as that of a reader of whole objects. How a CSV object is written is recognized from its first bytes
(:mod:`~modelmonitor_trainer.data.csv_dialect`) and from its values (:mod:`~modelmonitor_trainer.data.csv_numbers`).
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json

from modelmonitor_api.spec import CSVOptions, DataFormat
from modelmonitor_trainer.data.arrow_types import is_bytes, is_text
from modelmonitor_trainer.data.csv_dialect import HEAD_BYTES, Dialect, Undeclared, legacy_encoding, recognize
from modelmonitor_trainer.data.csv_numbers import NumberStyle, StyleGuess, notes_on, without_nulls
from modelmonitor_trainer.data.parquet import refuse_repeated
from modelmonitor_trainer.progress import ProgressCallback, no_progress

#: Words that mean a missing value in text formats, unless quoted: those of pandas, and that of databases.
NULL_WORDS = (
    *("", "NA", "NaN", "nan", "NULL", "null", "None", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "-NaN", "-nan"),
    *("1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "\\N"),
)
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
    recognized
        What was recognized of how it is written, unless it is usual.
    """

    schema: pa.Schema
    rows: int
    values: Iterator[tuple[str, pa.ChunkedArray]]
    recognized: tuple[str, ...] = ()


def open_text(
    opener: Callable[[], BinaryIO],
    uri: str,
    columns: Sequence[str] | None,
    fmt: DataFormat,
    text: Collection[str],
    head: int | None = None,
    *,
    options: CSVOptions | None = None,
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
        Columns to read as text even if they look like numbers ("007") or times.
    head
        Read at most this many rows.
    options
        What is declared of CSV objects.
    size, progress
        Bytes of the object, and the callback for how many have been processed; the first of two passes is half.
    """
    source = _Source(opener, gzipped=uri.endswith(".gz"), size=size, progress=progress)
    if fmt is DataFormat.CSV:
        return _CsvReader(source, columns, text, head, options or CSVOptions()).opened()
    schema, batches, rows, only = _infer_json(source, columns, text, head)
    whole = iter([only]) if only is not None else source.with_progress(batches, second_pass=True)
    return Opened(schema, rows, _values(whole, schema.names))


def csv_header(opener: Callable[[], BinaryIO], uri: str, options: CSVOptions) -> list[str]:
    """Return the names of the columns of a CSV object, repeated ones too."""
    data, whole = _Source(opener, gzipped=uri.endswith(".gz"), size=0, progress=no_progress).head()
    return list(recognize(data, options, None, whole=whole).names)


class _Source:
    """An object that can be read from the start more than once.

    Every reader has its own file: Arrow reads ahead in the background even for an abandoned reader, and closes the file
    when it frees the stream.
    """

    def __init__(self, opener: Callable[[], BinaryIO], *, gzipped: bool, size: int, progress: ProgressCallback) -> None:
        self._opener, self._gzipped, self._size, self._progress = opener, gzipped, size, progress
        self._newest: BinaryIO | None = None
        self._unread: BinaryIO | None = None

    def head(self) -> tuple[bytes, bool]:
        """Return the first bytes of the object, decompressed, and whether that is all of it."""
        file = self._opener()
        data = file.read(HEAD_BYTES + 1)
        whole = len(data) <= HEAD_BYTES
        self._gzipped |= data.startswith(b"\x1f\x8b")
        if self._gzipped:
            decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                data = decompressor.decompress(data, HEAD_BYTES + 1)
            except zlib.error as error:
                raise pa.ArrowInvalid(f"it is not gzip: {error}") from error
            whole &= decompressor.eof and len(data) <= HEAD_BYTES
        file.seek(0)
        self._unread = file
        return data[:HEAD_BYTES], whole

    def stream(self) -> BinaryIO | pa.CompressedInputStream:
        """Return a decompressed stream from the start of the object."""
        file = self._newest = self._unread or self._opener()
        self._unread = None
        return pa.CompressedInputStream(file, "gzip") if self._gzipped else file

    def not_utf8(self) -> bytes:
        """Return bytes around the first ones that are not UTF-8; none if all are."""
        stream, decoder, before = self.stream(), codecs.getincrementaldecoder("utf-8")(), b""
        while data := stream.read(BLOCK_BYTES):
            try:
                decoder.decode(data)
            except UnicodeDecodeError as error:
                at = max(0, len(before) + error.start - HEAD_BYTES // 2)
                return (before + data)[at : at + HEAD_BYTES]
            before = data[-HEAD_BYTES:]
        return b""

    def with_progress(self, batches: Batches, *, second_pass: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield batches and report the progress of this pass of two."""
        for batch in batches():
            file = self._newest
            if file is not None:
                # Arrow closes a file that it has read to its end.
                read = self._size if file.closed else file.tell()
                self._progress((self._size * second_pass + read) // 2)
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


class _CsvReader:
    """Reads a CSV object whose dialect and types are inferred.

    Parameters
    ----------
    source, columns, text, head, options
        As in :func:`open_text`.
    """

    def __init__(
        self,
        source: _Source,
        columns: Sequence[str] | None,
        text: Collection[str],
        head: int | None,
        options: CSVOptions,
    ) -> None:
        self._source, self._columns, self._text, self._head, self._options = source, columns, text, head, options
        self._nulls = NULL_WORDS if options.null_values is None else ("", *options.null_values)
        data, whole = source.head()
        self._dialect: Dialect = recognize(data, options, columns, whole=whole)
        self._decimal = options.decimal or "."
        #: Name of a column → its name in the header, which can have blanks around it.
        self._raw: dict[str, str] = {}
        self._names: list[str] = []
        self._types: dict[str, pa.DataType] = {}
        self._styles: dict[str, NumberStyle] = {}

    def opened(self) -> Opened:
        """Infer all types, and return the object."""
        rows, only = self._infer()
        names = list(self._types)
        schema = pa.schema([(n, pa.float64() if n in self._styles else self._types[n]) for n in names])
        batches = iter([only]) if only is not None else self._source.with_progress(self._batches, second_pass=True)
        comma = ("numbers have decimal commas",) if self._decimal == "," and self._options.decimal is None else ()
        recognized = (*self._dialect.recognized, *comma, *notes_on([*self._styles.items()]))
        return Opened(schema, rows, self._converted(batches), recognized)

    def _header(self) -> tuple[list[str], pa.Schema]:
        """Return the names of all columns, and the schema that the first block suggests."""
        schema = self._stream({}, None).schema
        self._names = [name.removeprefix("\ufeff").strip() for name in schema.names]
        self._raw = dict(zip(self._names, schema.names, strict=True))
        return self._names, schema

    def _infer(self) -> tuple[int, pa.RecordBatch | None]:
        """Determine types and styles; return the number of rows, and the batch if there is only one."""
        self._types = self._first_types()
        while True:
            guesses: dict[str, StyleGuess] = {}
            try:
                rows, only = _count_rows(self._guessing(self._source.with_progress(self._batches), guesses))
            except pa.ArrowInvalid as error:
                if "invalid UTF8" in str(error):
                    self._use_legacy_encoding()
                    return self._infer()
                _widen(self._types, self._names, error)
                continue
            if any(map(is_bytes, self._types.values())):
                self._use_legacy_encoding()
                return self._infer()
            styles = self._decided(guesses)
            if self._options.decimal is None and self._decimal == "." and _has_comma(styles):
                # One column shows that the object has decimal commas, so 1.234 is a thousand in the others.
                self._decimal = ","
                return self._infer()
            self._styles = styles
            return rows, only

    def _decided(self, guesses: Mapping[str, StyleGuess]) -> dict[str, NumberStyle]:
        """Return the styles of the columns that are numbers."""
        styles: dict[str, NumberStyle] = {}
        unsure: list[str] = []
        for name, guess in guesses.items():
            try:
                style = guess.decided(name, points=self._dialect.points)
            except Undeclared:
                unsure.append(name)
                continue
            if style is not None:
                styles[name] = style
        if not _has_comma(styles):  # otherwise they are read again, as numbers with decimal commas
            for name in unsure:
                guesses[name].decided(name, points=False)
        return styles

    def _use_legacy_encoding(self) -> None:
        """Read the object in another encoding from now on."""
        data = self._source.not_utf8()
        if self._options.encoding is not None or self._dialect.encoding != "utf-8" or not data:
            raise pa.ArrowInvalid(f"its text is not {self._dialect.encoding}; correct data.csv.encoding (--encoding)")
        self._dialect = self._dialect.in_legacy_encoding(legacy_encoding(data))

    def _first_types(self) -> dict[str, pa.DataType]:
        """Return the types of the wanted columns that the first block suggests."""
        names, schema = self._header()
        asked = names if self._columns is None else dict.fromkeys(self._columns)
        wanted = [name for name in asked if name in self._raw]
        refuse_repeated(names, wanted)
        types = dict(zip(names, schema.types, strict=True))
        return {name: pa.string() if name in self._text else types[name] for name in wanted}

    def _batches(self) -> Iterator[pa.RecordBatch]:
        types = {self._raw[name]: kind for name, kind in self._types.items()}
        return _limit(self._stream(types, [*types]), self._head)

    def _stream(
        self, types: Mapping[str, pa.DataType], columns: Sequence[str] | None
    ) -> pyarrow.csv.CSVStreamingReader:
        dialect = self._dialect
        # Without threads, which would decode blocks ahead of demand.
        read = pyarrow.csv.ReadOptions(
            block_size=BLOCK_BYTES, use_threads=False, skip_rows=dialect.skipped, encoding=_arrow_encoding(dialect)
        )
        # A block can end within a quoted value that contains a line break.
        parse = pyarrow.csv.ParseOptions(
            delimiter=dialect.separator, escape_char="\\" if dialect.escaped else False, newlines_in_values=True
        )
        convert = pyarrow.csv.ConvertOptions(
            column_types=types,
            include_columns=columns,
            null_values=list(self._nulls),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            decimal_point=self._decimal,
        )
        return pyarrow.csv.open_csv(
            self._source.stream(), read_options=read, parse_options=parse, convert_options=convert
        )

    def _guessing(self, batches: Iterator[pa.RecordBatch], guesses: dict[str, StyleGuess]) -> Iterator[pa.RecordBatch]:
        """Pass batches on, and collect the styles of the columns that are neither numbers nor declared as text."""
        names = [name for name, kind in self._types.items() if kind == pa.string() and name not in self._text]
        guesses |= {name: StyleGuess(self._options.decimal, self._nulls, self._decimal == ",") for name in names}
        for batch in batches:
            for index, name in enumerate(self._types):
                if name in guesses:
                    guesses[name].add(batch.column(index))
            yield batch

    def _converted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.ChunkedArray]]:
        for name, values in _values(batches, [*self._types]):
            if not pa.types.is_dictionary(values.type):
                yield name, values
                continue
            parts = [self._convert(name, chunk) for chunk in values.chunks]
            yield name, pa.chunked_array(parts, parts[0].type)

    def _convert(self, name: str, values: pa.DictionaryArray) -> pa.Array:
        """Return text as numbers where it is, or as the text that the dialect means."""
        words = values.dictionary
        if name in self._styles:
            return self._styles[name].numbers(words, self._nulls).take(values.indices)
        if self._dialect.spaced:
            words = pc.utf8_ltrim_whitespace(words)
            words = without_nulls(words, self._nulls)
        elif self._dialect.quoted:
            words = without_nulls(words, ("",))
        if words is values.dictionary:
            return values
        return pa.DictionaryArray.from_arrays(values.indices, words)


def _has_comma(styles: Mapping[str, NumberStyle]) -> bool:
    return any(style.decimal == "," for style in styles.values())


def _arrow_encoding(dialect: Dialect) -> str:
    # Arrow decodes UTF-8 without Python.
    return "utf8" if dialect.encoding in {"utf-8", "ascii"} else dialect.encoding


def _widen(types: dict[str, pa.DataType], names: Sequence[str], error: pa.ArrowInvalid) -> None:
    """Give the column that did not fit the next type; re-raise errors that are not about types."""
    match = _COLUMN_OF_ERROR.search(str(error))
    name = names[int(match[1])] if match and int(match[1]) < len(names) else None
    if name is None or types[name] not in _LADDER[:-1]:
        raise error
    types[name] = _LADDER[_LADDER.index(types[name]) + 1]


def _infer_json(source: _Source, columns: Sequence[str] | None, text: Collection[str], head: int | None) -> _Inferred:
    start, _ = source.head()
    if start.lstrip()[:1] == b"[":
        raise pa.ArrowInvalid("it is a JSON array; write one object per line")
    # Arrow takes text that looks like a time for one.
    schema = pa.schema(
        [
            (field.name, pa.string() if field.name in text and pa.types.is_timestamp(field.type) else field.type)
            for field in _json(source, None).schema
        ]
    )
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
