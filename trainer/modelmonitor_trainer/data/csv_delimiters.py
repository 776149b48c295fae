"""Separators and quotes of CSV: recognized from the first records."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Collection, Sequence

from modelmonitor_trainer.data.undeclared import Undeclared

#: Records from which a dialect is recognized.
MAX_RECORDS = 200
SEPARATORS = (",", ";", "\t", "|", "\x01", "\x1f")
#: Separators that are not tried, because text has them too; a question is asked if they could be one.
_UNTRIED = (":", " ", "^", "~", "/", "#")
_DOUBLE_QUOTED = re.compile(r'(?:^|[,;\t|\x01\x1f]) *"', re.MULTILINE)
#: Rows that show that values are in single quotes.
_FEW_ROWS = 2


def recognize_quote(text: str, separator: str | None) -> str:
    """Return the character around values that hold separators: a single quote if all values of a column have it."""
    if "'" not in text or _DOUBLE_QUOTED.search(text):
        return '"'
    lines = [line for line in text.splitlines()[:MAX_RECORDS] if line]
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
        plain, quoted = (parse_records(text, one, quote, None) for quote in ('"', "'"))
        if len(plain) > 1 and len(plain[0]) > 1 and not is_consistent(plain) and is_consistent(quoted):
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


def recognize_separator(text: str, wanted: Collection[str] | None, quote: str = '"') -> str:
    """Return the separator of the records of a text.

    Raises
    ------
    Undeclared
        If there is more than one possibility.
    """
    first = text.partition("\n")[0]
    present = [separator for separator in SEPARATORS if separator in first]
    if wanted:
        having = (sep for sep in present if set(wanted) <= set(header_names(parse_records(text, sep, quote, None, 1))))
        chosen = next(having, None)
        if chosen is not None:
            return chosen
    tried = {separator: parse_with_escapes(text, separator, quote)[0] for separator in dict.fromkeys([",", *present])}
    headers = {separator: header_names(records) for separator, records in tried.items()}
    several = [separator for separator, names in headers.items() if len(names) > 1]
    consistent = [separator for separator in several if is_consistent(tried[separator])]
    if len(consistent) > 1:
        ways = " or ".join(
            f"{describe_separator(separator)} ({len(headers[separator])} columns)" for separator in consistent
        )
        raise Undeclared(f"its separator can be {ways}; declare data.csv.separator (--separator)")
    if consistent:
        return consistent[0]
    if several:
        return "," if "," in several else several[0]
    lines = [record[0] for record in tried[","] if record]
    other = next((char for char in _UNTRIED if _could_separate(char, lines)), None)
    if other is not None:
        raise Undeclared(
            f"it has one column, {lines[0][:60]!r}; if its separator is {describe_separator(other)}, declare "
            "data.csv.separator (--separator), otherwise declare a comma"
        )
    return ","


def parse_with_escapes(text: str, separator: str, quote: str) -> tuple[list[list[str]], bool]:
    """Return the first records of a text, and whether a backslash escapes quotes in them."""
    records = parse_records(text, separator, quote, None)
    # Where quotes are doubled, a backslash is never before a quote that text follows.
    surely = re.search(rf"\\{quote}[^{quote}{re.escape(separator)}\r\n]", text)
    if f"\\{quote}" in text and (surely or not is_consistent(records)):
        escaped = parse_records(text, separator, quote, "\\")
        if is_consistent(escaped):
            return escaped, True
    return records, False


def parse_records(
    text: str, separator: str, quote: str, escape: str | None, most: int = MAX_RECORDS
) -> list[list[str]]:
    """Return at most `most` records of a text, without empty ones."""
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


def header_names(records: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of the first record, without blanks around them."""
    return [name.strip() for name in records[0]] if records else []


def is_consistent(records: Sequence[Sequence[str]]) -> bool:
    """Whether all records have as many values as the first."""
    return all(len(record) == len(records[0]) for record in records)


def _could_separate(char: str, lines: Sequence[str]) -> bool:
    """Whether a character is in every line as often as in the header."""
    parts = [len(line.split()) if char == " " else line.count(char) + 1 for line in lines]
    return len(parts) > 1 and parts[0] > 1 and len(set(parts)) == 1


def describe_separator(separator: str) -> str:
    """Return a separator as messages show it."""
    return {"\t": "a tab", " ": "a blank"}.get(separator, repr(separator))
