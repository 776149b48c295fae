"""CSV block by block, so that memory does not depend on the size of an object.

The type of a column is known only at its end: the types of the first block are tried on all others, and a value that
does not fit restarts the read with the next type, in the order in which Arrow tries types on a whole object. The result
is the same as that of a reader of whole objects. How an object is written is recognized from its first bytes
(:mod:`~modelmonitor_trainer.data.csv_dialect`) and from its values (:mod:`~modelmonitor_trainer.data.csv_numbers`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from modelmonitor_api.spec import CSVOptions
from modelmonitor_trainer.data import text_blocks
from modelmonitor_trainer.data.arrow_types import is_bytes
from modelmonitor_trainer.data.csv_dialect import Dialect, Undeclared, legacy_encoding, recognize
from modelmonitor_trainer.data.csv_numbers import NumberStyle, StyleGuess, notes_on, without_nulls
from modelmonitor_trainer.data.parquet import refuse_repeated
from modelmonitor_trainer.data.text_blocks import Opened, TextSource, count_rows, first_rows, values_of
from modelmonitor_trainer.data.text_numbers import NULL_WORDS

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


class CsvReader:
    """Reads a CSV object whose dialect and types are inferred.

    Parameters
    ----------
    source, columns, text, head, options
        As in :func:`.csv_jsonl.open_text`.
    """

    def __init__(
        self,
        source: TextSource,
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
                rows, only = count_rows(self._guessing(self._source.with_progress(self._batches), guesses))
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
        return first_rows(self._stream(types, [*types]), self._head)

    def _stream(
        self, types: Mapping[str, pa.DataType], columns: Sequence[str] | None
    ) -> pyarrow.csv.CSVStreamingReader:
        dialect = self._dialect
        # Without threads, which would decode blocks ahead of demand.
        read = pyarrow.csv.ReadOptions(
            block_size=text_blocks.BLOCK_BYTES,
            use_threads=False,
            skip_rows=dialect.skipped,
            encoding=_arrow_encoding(dialect),
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
        for name, values in values_of(batches, [*self._types]):
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
