"""How a CSV object is written: encoding, separator, quotes. Recognized from its first bytes where nothing is declared.

A wrong guess is worse than a question, because what is split or decoded wrongly still has values. Where two readings
are possible, :class:`Undeclared` says what to declare.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pyarrow as pa

from modelmonitor_api.spec import CSVOptions
from modelmonitor_trainer.data.canonical import FALLBACK_ENCODING
from modelmonitor_trainer.text import listed

#: Bytes from which a dialect is recognized, and records of them that are compared.
HEAD_BYTES, _RECORDS = 64 * 1024, 200
SEPARATORS = (",", ";", "\t", "|", "\x01", "\x1f")
#: Separators that are not tried, because text has them too; a question is asked if they could be one.
_UNTRIED = (":", " ", "^", "~", "/", "#")
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
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
_DOUBLE_QUOTED = re.compile(r'(?:^|[,;\t|\x01\x1f]) *"', re.MULTILINE)
#: Rows that show that values are in single quotes.
_FEW_ROWS = 2
#: Lines before a header that are looked for, and the records after them that show where the header is.
_TITLE_LINES, _RECORDS_BELOW = 20, 4
_NUMERAL = re.compile(r"[-+]?([0-9]+([.,][0-9]+)*|[.,][0-9]+)([eE][-+]?[0-9]+)?")
#: Characters of Western European text besides letters.
_WESTERN_SIGNS = frozenset("€£§°´’‘“”„–—…«»·²½ºª©®™¿¡×\xa0")
#: Largest share of bytes beyond ASCII that have another one beside them, in text of Western Europe.
_NEIGHBOURS = 0.3


class Undeclared(pa.ArrowInvalid):  # type: ignore[misc]  # pyarrow has no types
    """An object that can be read in more than one way; the message says what to declare."""


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
        return replace(self, encoding=encoding, recognized=(*self.recognized, _encoding_note(encoding)))


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
    other = next((name for magic, name in _OTHER_FILES if head.startswith(magic)), None)
    if other is not None:
        raise pa.ArrowInvalid(f"it begins like {other}")
    encoding = _declared_encoding(options.encoding) if options.encoding else _encoding(head)
    notes = [] if options.encoding or encoding == "utf-8" else [_encoding_note(encoding)]
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    if not whole:
        text = text[: text.rfind("\n") + 1] or text
    line = _SEPARATOR_LINE.match(text)
    body = text[line.end() :] if line else text
    separator = options.separator or (line[1] if line else None)
    comments, body = _split_comments(body, separator, wanted)
    quote = _quote(body, separator)
    chosen = separator or _separator(body, wanted, quote)
    records, escaped = _records(body, chosen, quote)
    if len(records) > 1 and (not _is_consistent(records) or len(records[0]) < 2):
        _refuse_titles(body, separator, chosen, quote)
    if quote != '"':
        notes.append("values are in single quotes")
    if chosen != "," and separator is None:
        notes.append(f"the separator is {_shown(chosen)}")
    if comments:
        notes.append(f"{comments} {'line' if comments == 1 else 'lines'} of comments before the header are left out")
    names = tuple(_names(records))
    if _is_row(names):
        notes.append(
            f"the names of the columns are {listed([repr(name) for name in names], 3)}; if these are values, because "
            "the file has no header, add one"
        )
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


def legacy_encoding(data: bytes) -> str:
    """Return the encoding of text that is not UTF-8, if that can be told.

    Raises
    ------
    Undeclared
        If it cannot.
    """
    text = data.decode(FALLBACK_ENCODING, errors="replace")
    beyond = [index for index, char in enumerate(text) if ord(char) > 127]
    known = set(beyond)
    letters = sum(text[index].isalpha() or text[index] in _WESTERN_SIGNS for index in beyond)
    neighbours = sum(index + 1 in known or index - 1 in known for index in beyond)
    if letters < 0.9 * len(beyond) or neighbours > _NEIGHBOURS * len(beyond) or "\x00" in text:
        raise Undeclared(
            "its text is not UTF-8, and the encoding cannot be told from it; declare data.csv.encoding (--encoding), "
            "such as cp1250, cp1251 or shift_jis"
        )
    return FALLBACK_ENCODING


def _encoding(head: bytes) -> str:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if len(head) > 3 and head.count(0) > len(head) // 4:
        return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return legacy_encoding(head)
    return "utf-8"


def _declared_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise Undeclared(f"data.csv.encoding (--encoding) is {name!r}, which Python does not know") from None


def _encoding_note(encoding: str) -> str:
    if encoding == FALLBACK_ENCODING:
        return "the text is not UTF-8, and is read as Western European (cp1252)"
    return f"the encoding is {encoding}"


def _quote(text: str, separator: str | None) -> str:
    """Return the character around values that hold separators: a single quote if all values of a column have it."""
    if "'" not in text or _DOUBLE_QUOTED.search(text):
        return '"'
    lines = [line for line in text.splitlines()[:_RECORDS] if line]
    for one in [separator] if separator else SEPARATORS:
        header, *rows = [_quoted_values(line, one) for line in lines]
        if header and all(header) and (len(header) > 1 or all(row and all(row) for row in rows)):
            return "'"
        if len(header) < 2 or len(rows) < _FEW_ROWS or any(len(row) != len(header) for row in rows):
            continue
        for values in zip(*rows, strict=True):
            if False not in values and sum(map(bool, values)) >= _FEW_ROWS:
                return "'"
    # Of a file with few values in quotes, only these have separators.
    for one in [separator] if separator else SEPARATORS:
        plain, quoted = (_parsed(text, one, quote, None) for quote in ('"', "'"))
        if len(plain) > 1 and len(plain[0]) > 1 and not _is_consistent(plain) and _is_consistent(quoted):
            return "'"
    return '"'


def _quoted_values(line: str, separator: str) -> list[bool | None]:
    """Return whether each value of a line is in single quotes, None for empty ones; nothing if quotes are amiss."""
    mark = re.escape(separator)
    value = rf" *(?:'(?:[^']|'')*'|[^{mark}']*)"
    if not re.fullmatch(rf"{value}(?:{mark}{value})*", line):
        return []
    values = re.findall(rf"(?:^|{mark})({value})", line)
    return [text.strip().startswith("'") if text.strip() else None for text in values]


def _separator(text: str, wanted: Collection[str] | None, quote: str = '"') -> str:
    """Return the separator of the records of a text.

    Raises
    ------
    Undeclared
        If there is more than one possibility.
    """
    first = text.partition("\n")[0]
    present = [separator for separator in SEPARATORS if separator in first]
    if wanted:
        having = (sep for sep in present if set(wanted) <= set(_names(_parsed(text, sep, quote, None, 1))))
        chosen = next(having, None)
        if chosen is not None:
            return chosen
    tried = {separator: _records(text, separator, quote)[0] for separator in dict.fromkeys([",", *present])}
    headers = {separator: _names(records) for separator, records in tried.items()}
    several = [separator for separator, names in headers.items() if len(names) > 1]
    consistent = [separator for separator in several if _is_consistent(tried[separator])]
    if len(consistent) > 1:
        ways = " or ".join(f"{_shown(separator)} ({len(headers[separator])} columns)" for separator in consistent)
        raise Undeclared(f"its separator can be {ways}; declare data.csv.separator (--separator)")
    if consistent:
        return consistent[0]
    if several:
        return "," if "," in several else several[0]
    lines = [record[0] for record in tried[","] if record]
    other = next((char for char in _UNTRIED if _could_separate(char, lines)), None)
    if other is not None:
        raise Undeclared(
            f"it has one column, {lines[0][:60]!r}; if its separator is {_shown(other)}, declare data.csv.separator "
            "(--separator), otherwise declare a comma"
        )
    return ","


def _split_comments(text: str, separator: str | None, wanted: Collection[str] | None) -> tuple[int, str]:
    """Return the number of lines before the header that begin with #, and the text after them.

    The last of them is the header if it has as many values as the line below it.
    """
    lines = text.splitlines(keepends=True)
    count = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if not count or count == len(lines):
        return 0, text
    body = "".join(lines[count:])
    quote = _quote(body, separator)
    chosen = separator or _separator(body, wanted, quote)
    last, first = (_parsed(part, chosen, quote, None, 1) for part in (lines[count - 1], body))
    if not first or len(last[0]) == len(first[0]):
        count, body = count - 1, lines[count - 1] + body
    return count, body


def _refuse_titles(text: str, declared: str | None, chosen: str, quote: str) -> None:
    """Refuse an object that begins with lines such as a title, which would be read as its header.

    Raises
    ------
    Undeclared, pyarrow.ArrowInvalid
        If the first line has one value, or the first lines have several numbers of them, and all others more.
    """
    for separator in [declared] if declared else [one for one in dict.fromkeys([chosen, *SEPARATORS]) if one in text]:
        counts = [len(record) for record in _parsed(text, separator, quote, None)]
        below = next((index for index in range(len(counts)) if len(set(counts[index:])) == 1), 0)
        if not 0 < below <= _TITLE_LINES or counts[-1] < 2 or len(counts) - below < _RECORDS_BELOW:
            continue
        # Of a header that is shorter by one, the rows have an index, or end with a separator.
        if counts[0] > 1 and (below == 1 or separator != chosen):
            continue
        first = text.lstrip().partition("\n")[0].strip()[:60]
        why = f"its first line, {first!r}, is not its header, because later ones have {counts[-1]} values"
        if declared:
            raise pa.ArrowInvalid(f"{why}; remove the lines before the header")
        raise Undeclared(
            f"{why} if the separator is {_shown(separator)}; remove the lines before the header, or declare another "
            "data.csv.separator (--separator)"
        )


def _is_row(names: Sequence[str]) -> bool:
    """Whether a header looks like a row: all of its names are numbers, or one has a fraction.

    Numbers that count, as pandas writes them for columns without a name, and years are names.
    """
    numbers = [name for name in names if _NUMERAL.fullmatch(name)]
    if any(not name.isdecimal() for name in numbers):
        return True
    if not numbers or len(numbers) < len(names):
        return False
    values = [int(name) for name in numbers]
    return any(after != before + 1 for before, after in pairwise(values)) or (len(values) == 1 and values != [0])


def _records(text: str, separator: str, quote: str) -> tuple[list[list[str]], bool]:
    """Return the first records of a text, and whether a backslash escapes quotes in them."""
    records = _parsed(text, separator, quote, None)
    if f"\\{quote}" in text and not _is_consistent(records):
        escaped = _parsed(text, separator, quote, "\\")
        if _is_consistent(escaped):
            return escaped, True
    return records, False


def _parsed(text: str, separator: str, quote: str, escape: str | None, most: int = _RECORDS) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quotechar=quote, escapechar=escape)
    records: list[list[str]] = []
    # Arrow, which reads the rows, reports what is wrong with the object.
    with contextlib.suppress(csv.Error):
        for record in reader:
            if record:
                records.append(record)
            if len(records) >= most:
                break
    return records


def _names(records: Sequence[Sequence[str]]) -> list[str]:
    return [name.strip() for name in records[0]] if records else []


def _is_consistent(records: Sequence[Sequence[str]]) -> bool:
    return all(len(record) == len(records[0]) for record in records)


def _could_separate(char: str, lines: Sequence[str]) -> bool:
    """Whether a character is in every line as often as in the header."""
    parts = [len(line.split()) if char == " " else line.count(char) + 1 for line in lines]
    return len(parts) > 1 and parts[0] > 1 and len(set(parts)) == 1


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


def _shown(separator: str) -> str:
    return {"\t": "a tab", " ": "a blank"}.get(separator, repr(separator))
