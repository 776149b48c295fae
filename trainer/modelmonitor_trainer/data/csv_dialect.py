"""How a CSV object is written: encoding, separator, quotes. Recognized from its first bytes where nothing is declared.

A wrong guess is worse than a question, because what is split or decoded wrongly still has values. Where two readings
are possible, :class:`~modelmonitor_trainer.data.undeclared.Undeclared` says what to declare.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from modelmonitor_api.spec import CSVOptions
from modelmonitor_trainer.data.csv_delimiters import (
    describe_separator,
    header_names,
    is_consistent,
    parse_with_escapes,
    recognize_quote,
    recognize_separator,
)
from modelmonitor_trainer.data.csv_encoding import check_encoding, describe_encoding, recognize_encoding
from modelmonitor_trainer.data.csv_preamble import is_row, refuse_titles, split_comments
from modelmonitor_trainer.text import listed

#: Bytes from which a dialect is recognized.
HEAD_BYTES = 64 * 1024
_OTHER_FILES = (
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "a ZIP or Excel file"),
    (b"\xd0\xcf\x11\xe0", "an Excel file"),
    (b"%PDF", "a PDF file"),
    (b"<!", "an HTML or XML file"),
    (b"<html", "an HTML file"),
    (b"<?xml", "an XML file"),
    (b'{"', "JSON; set the format to JSON Lines"),
)
#: Excel writes the separator into the first line.
_SEPARATOR_LINE = re.compile(r'\A"?sep=(.)"?\r?\n', re.IGNORECASE)
_QUOTED_HEADER = re.compile(r'\A"(?:[^"]|"")*"(?:(.)"(?:[^"]|"")*")*[ ]*\Z')


@dataclass(frozen=True)
class Dialect:
    """How a CSV object is written.

    Attributes
    ----------
    separator, encoding
        As declared or recognized.
    escaped
        Whether a backslash, rather than a second quote, escapes a quote.
    skipped
        Lines before the header.
    spaced
        Whether a blank follows each separator.
    quoted
        Whether all names of the header are quoted, so that missing values can be as well.
    points, commas
        Columns with numbers that are sure to have decimal points, or decimal commas.
    quote
        Character around values that hold separators.
    names
        The header, without blanks around names.
    recognized
        What a reader should know of it.
    """

    separator: str = ","
    encoding: str = "utf-8"
    escaped: bool = False
    skipped: int = 0
    spaced: bool = False
    quoted: bool = False
    points: frozenset[str] = frozenset()
    commas: frozenset[str] = frozenset()
    quote: str = '"'
    names: tuple[str, ...] = ()
    recognized: tuple[str, ...] = field(default=(), compare=False)

    def in_legacy_encoding(self, encoding: str) -> Dialect:
        """Return the same dialect in an encoding that was recognized later."""
        return replace(self, encoding=encoding, recognized=(*self.recognized, describe_encoding(encoding)))


def recognize(head: bytes, options: CSVOptions, wanted: Collection[str] | None, *, whole: bool) -> Dialect:
    """Return the dialect of a CSV object.

    Parameters
    ----------
    head
        Its first bytes, decompressed.
    options
        What is declared.
    wanted
        Columns that it should have; None if unknown.
    whole
        Whether `head` is all of it.

    Raises
    ------
    Undeclared
        If there is more than one possibility.
    pyarrow.ArrowInvalid
        If it is no CSV.
    """
    _refuse_other_files(head)
    encoding = check_encoding(options.encoding) if options.encoding else recognize_encoding(head)
    notes = [] if options.encoding or encoding == "utf-8" else [describe_encoding(encoding)]
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    if not whole:
        text = text[: text.rfind("\n") + 1] or text
    line = _SEPARATOR_LINE.match(text)
    body = text[line.end() :] if line else text
    separator = options.separator or (line[1] if line else None)
    comments, body = split_comments(body, separator, wanted)
    quote = recognize_quote(body, separator)
    chosen = separator or recognize_separator(body, wanted, quote)
    records, escaped = parse_with_escapes(body, chosen, quote)
    if len(records) > 1 and (not is_consistent(records) or len(records[0]) < 2):
        refuse_titles(body, separator, chosen, quote)
    if quote != '"':
        notes.append("values are in single quotes")
    if chosen != "," and separator is None:
        notes.append(f"the separator is {describe_separator(chosen)}")
    names = tuple(header_names(records))
    notes += _notes_on_header(comments, names)
    header = body.partition("\n")[0].rstrip("\r")
    return Dialect(
        separator=chosen,
        encoding=encoding,
        escaped=escaped,
        skipped=int(line is not None) + comments,
        spaced=bool(records) and len(records[0]) > 1 and all(name[:1] == " " for name in records[0][1:]),
        quoted=_QUOTED_HEADER.match(header.replace(quote, '"')) is not None,
        points=_columns_with_mark(names, records[1:], "."),
        commas=_columns_with_mark(names, records[1:], ","),
        quote=quote,
        names=names,
        recognized=tuple(notes),
    )


def _refuse_other_files(head: bytes) -> None:
    """Refuse an object that begins like one of another format.

    Raises
    ------
    pyarrow.ArrowInvalid
        Naming the format.
    """
    other = next((name for magic, name in _OTHER_FILES if head.startswith(magic)), None)
    if other is not None:
        raise pa.ArrowInvalid(f"it begins like {other}")


def _notes_on_header(comments: int, names: Sequence[str]) -> Iterator[str]:
    if comments:
        yield f"{comments} {'line' if comments == 1 else 'lines'} of comments before the header are left out"
    if is_row(names):
        yield (
            f"the names of the columns are {listed([repr(name) for name in names], 3)}; if these are values, because "
            "the file has no header, add one"
        )


def _columns_with_mark(names: Sequence[str], records: Sequence[Sequence[str]], mark: str) -> frozenset[str]:
    """Return the columns of numbers with a decimal mark that cannot be between thousands."""
    decimal = re.escape(mark)
    number = re.compile(rf" *[-+]?[0-9.,]*{decimal}[0-9]+ *")
    thousands = re.compile(rf" *[-+]?[1-9][0-9]{{0,2}}(?:{decimal}[0-9]{{3}})+ *")
    unsure = re.compile(r" *[-+]?[0-9.,]* *")
    columns = {name: [record[index] for record in records if index < len(record)] for index, name in enumerate(names)}
    return frozenset(
        name
        for name, values in columns.items()
        if any(number.fullmatch(v) and v.count(mark) == 1 and not thousands.fullmatch(v) for v in values)
        and (mark == "." or all(map(unsure.fullmatch, values)))
    )
