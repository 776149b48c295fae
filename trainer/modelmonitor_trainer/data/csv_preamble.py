"""Lines before the header of a CSV object: comments, which are left out, and titles, which are refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise

import pyarrow as pa

from modelmonitor_trainer.data.csv_delimiters import (
    SEPARATORS,
    describe_separator,
    parse_records,
    recognize_quote,
    recognize_separator,
)
from modelmonitor_trainer.data.undeclared import Undeclared

#: Lines before a header that are looked for, and the records after them that show where the header is.
_TITLE_LINES, _RECORDS_BELOW = 20, 4
_NUMERAL = re.compile(r"[-+]?([0-9]+([.,][0-9]+)*|[.,][0-9]+)([eE][-+]?[0-9]+)?")


def split_comments(text: str, separator: str | None, wanted: Collection[str] | None) -> tuple[int, str]:
    """Return the number of lines before the header that begin with #, and the text after them.

    The last of them is the header if it has as many values as the line below it.
    """
    lines = text.splitlines(keepends=True)
    count = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if not count or count == len(lines):
        return 0, text
    body = "".join(lines[count:])
    quote = recognize_quote(body, separator)
    chosen = separator or recognize_separator(body, wanted, quote)
    last, first = (parse_records(part, chosen, quote, None, 1) for part in (lines[count - 1], body))
    if not first or len(last[0]) == len(first[0]):
        count, body = count - 1, lines[count - 1] + body
    return count, body


def refuse_titles(text: str, declared: str | None, chosen: str, quote: str) -> None:
    """Refuse an object that begins with lines such as a title, which would be read as its header.

    Raises
    ------
    Undeclared, pyarrow.ArrowInvalid
        If the first line has one value, or the first lines have several numbers of them, and all others more.
    """
    for separator in [declared] if declared else [one for one in dict.fromkeys([chosen, *SEPARATORS]) if one in text]:
        counts = [len(record) for record in parse_records(text, separator, quote, None)]
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
            f"{why} if the separator is {describe_separator(separator)}; remove the lines before the header, or "
            "declare another data.csv.separator (--separator)"
        )


def is_row(names: Sequence[str]) -> bool:
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
