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
from modelmonitor_trainer.data.csv_dialect import Dialect, recognize
from modelmonitor_trainer.data.csv_encoding import legacy_encoding
from modelmonitor_trainer.data.csv_numbers import NumberStyle, PointGuess, StyleGuess, notes_on, without_nulls
from modelmonitor_trainer.data.csv_swallowed import SwallowedRows
from modelmonitor_trainer.data.decimal_marks import Marks, mark_by_itself, undeclared
from modelmonitor_trainer.data.parquet import refuse_repeated
from modelmonitor_trainer.data.remarks import AS_IN_OTHERS, COMMA, POINT, missing_as
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
    source, columns, text, head, options, marks
        As in :func:`.csv_jsonl.open_text`.
    """

    def __init__(
        self,
        source: TextSource,
        columns: Sequence[str] | None,
        text: Collection[str],
        head: int | None,
        options: CSVOptions,
        marks: Marks,
    ) -> None:
        self._source, self._columns, self._text, self._head, self._options = source, columns, text, head, options
        self._nulls = NULL_WORDS if options.null_values is None else ("", *options.null_values)
        data, whole = source.head()
        self._dialect: Dialect = recognize(data, options, columns, whole=whole)
        self._given_marks = marks
        #: Mark with which Arrow reads numbers; columns with the other one are read as text.
        self._decimal = options.decimal or "."
        #: Name of a column → its name in the header, which can have blanks around it.
        self._raw: dict[str, str] = {}
        self._names: list[str] = []
        self._types: dict[str, pa.DataType] = {}
        self._styles: dict[str, NumberStyle] = {}
        #: Column → words for missing values, of columns of numbers.
        self._missing: dict[str, frozenset[str]] = {}
        #: What the marks of numbers show, once it is known; and the decimal mark of each column that has marks.
        self._remarks: dict[str, frozenset[str]] = {}
        self._marks: dict[str, str] | None = None if options.decimal is None else {}
        #: Columns of numbers whose marks only their text shows, and those whose text does not show them either.
        self._as_text: set[str] = set()
        self._unmarked: set[str] = set()

    def opened(self) -> Opened:
        """Infer all types, and return the object."""
        rows, only = self._infer()
        names = list(self._types)
        schema = pa.schema([(n, pa.float64() if n in self._styles else self._types[n]) for n in names])
        batches = iter([only]) if only is not None else self._source.with_progress(self._batches, second_pass=True)
        comma = ("numbers have decimal commas",) if self._decimal == "," and self._options.decimal is None else ()
        recognized = (*self._dialect.recognized, *comma, *notes_on([*self._styles.items()]))
        return Opened(schema, rows, self._convert_columns(batches), recognized, self._all_remarks())

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
            texts, points = self._guesses()
            swallowed = SwallowedRows(self._names, self._dialect.separator, self._nulls)
            try:
                batches = self._source.with_progress(self._batches)
                rows, only = count_rows(self._guessing(batches, {**texts, **points}, swallowed))
            except pa.ArrowInvalid as error:
                if "invalid UTF8" in str(error):
                    self._use_legacy_encoding()
                    return self._infer()
                _widen(self._types, self._names, error)
                continue
            if any(map(is_bytes, self._types.values())):
                self._use_legacy_encoding()
                return self._infer()
            if self._retype(texts, points):
                continue
            swallowed.refuse(rows)
            if self._marks is None:
                self._remarks, self._marks = self._decide_marks(texts, points)
                if "," in self._marks.values():
                    # Arrow reads these faster than text.
                    self._decimal = ","
                    return self._infer()
            styles = {name: guess.style(self._marks.get(name, self._decimal)) for name, guess in texts.items()}
            self._styles = {name: style for name, style in styles.items() if style is not None}
            self._missing = {name: texts[name].all_missing() for name in self._styles}
            return rows, only

    def _guesses(self) -> tuple[dict[str, StyleGuess], dict[str, PointGuess]]:
        """Return what is still to be found out of columns of text, and of columns of numbers."""
        declared, known = self._options.null_values is not None, self._marks or {}
        texts = {
            name: StyleGuess(self._options.decimal or known.get(name), self._nulls, declared)
            for name, kind in self._types.items()
            if kind == pa.string() and name not in self._text
        }
        if self._marks is not None:
            return texts, {}
        fractions = [name for name, kind in self._types.items() if kind == pa.float64() and name not in self._unmarked]
        return texts, {name: PointGuess(name in self._dialect.points) for name in fractions}

    def _retype(self, texts: Mapping[str, StyleGuess], points: Mapping[str, PointGuess]) -> bool:
        """Give columns another type whose numbers do not show what their marks are; return whether there are any."""
        unsure = {name for name, guess in points.items() if guess.some and not guess.sure}
        unmarked = {name for name in self._as_text & texts.keys() if not texts[name].styles}
        self._as_text = (self._as_text | unsure) - unmarked
        self._unmarked |= unmarked
        self._types |= dict.fromkeys(unsure, pa.string()) | dict.fromkeys(unmarked, pa.float64())
        return bool(unsure | unmarked)

    def _decide_marks(
        self, texts: Mapping[str, StyleGuess], points: Mapping[str, PointGuess]
    ) -> tuple[dict[str, frozenset[str]], dict[str, str]]:
        """Return what the marks of numbers show, and the decimal mark of each column that has marks.

        Raises
        ------
        Undeclared
            If the mark of a column cannot be decided from all objects.
        """
        remarks = {name: guess.remarks for name, guess in texts.items() if guess.remarks}
        remarks |= {name: frozenset({POINT}) for name, guess in points.items() if guess.sure}
        shown = frozenset[str]().union(*remarks.values())
        own = mark_by_itself([shown & {POINT, COMMA} or self._shown_by_others()])
        marks: dict[str, str] = {}
        for name, of_column in remarks.items():
            sure = of_column & {POINT, COMMA}
            if not sure:
                mark = self._given_marks.get(name, own)
                if mark is None:
                    raise undeclared(name)
                sure = frozenset({POINT if mark == "." else COMMA})
                if name in self._given_marks:
                    remarks[name] = sure | {AS_IN_OTHERS}
                elif not shown & {POINT, COMMA} and self._shown_by_others():
                    remarks[name] = sure
            marks[name] = "," if COMMA in sure else "."
        return remarks, marks

    def _shown_by_others(self) -> frozenset[str]:
        """Return the marks that are shown by columns which are not read."""
        others = {POINT: self._dialect.points - self._types.keys(), COMMA: self._dialect.commas - self._types.keys()}
        return frozenset(mark for mark, names in others.items() if names)

    def _all_remarks(self) -> dict[str, frozenset[str]]:
        remarks = dict(self._remarks)
        for name, words in self._missing.items():
            remarks[name] = remarks.get(name, frozenset()) | missing_as(words.difference(self._nulls))
        return remarks

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
        as_text = {*self._text, *self._as_text, *self._with_other_mark()}
        return {name: pa.string() if name in as_text else types[name] for name in wanted}

    def _with_other_mark(self) -> Iterator[str]:
        """Yield the columns that Arrow would read with the wrong mark."""
        return (name for name, mark in (self._marks or {}).items() if mark != self._decimal)

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
            delimiter=dialect.separator,
            quote_char=dialect.quote,
            escape_char="\\" if dialect.escaped else False,
            newlines_in_values=True,
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

    def _guessing(
        self,
        batches: Iterator[pa.RecordBatch],
        guesses: Mapping[str, StyleGuess | PointGuess],
        swallowed: SwallowedRows,
    ) -> Iterator[pa.RecordBatch]:
        """Pass batches on, show the values of some columns to their guesses, and look for rows within values."""
        for batch in batches:
            swallowed.add([*self._types], batch)
            for index, name in enumerate(self._types):
                if name in guesses:
                    guesses[name].add(batch.column(index))
            yield batch

    def _convert_columns(self, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.ChunkedArray]]:
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
            return self._styles[name].numbers(words, self._missing[name]).take(values.indices)
        trimmed = pc.utf8_trim_whitespace(words)
        padded = pc.not_equal(pc.binary_length(words), pc.binary_length(trimmed))
        if pc.any(padded).as_py():
            # Only words without quotes mean a missing value, and these can have blanks around them.
            words = pc.if_else(padded, without_nulls(trimmed, self._nulls, words), words)
            if self._dialect.spaced:
                words = pc.utf8_ltrim_whitespace(words)
        if self._dialect.quoted:
            words = without_nulls(words, ("",))
        if words is values.dictionary:
            return values
        return pa.DictionaryArray.from_arrays(values.indices, words)


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
