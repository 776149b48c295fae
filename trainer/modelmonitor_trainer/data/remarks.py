"""Remarks on how the values of a column are written, which profiles keep in addition to the kinds of their types."""

from __future__ import annotations

from collections.abc import Iterable

#: Text that is not UTF-8; numbers that are written as text; words for true and false in a column of numbers.
NOT_UTF8, AS_TEXT, TRUTH = "not UTF-8", "numbers as text", "words for true and false"
#: Numbers in CSV with a mark that can only be a decimal point or a decimal comma, or is read as one for another reason.
POINT, COMMA = "decimal point", "decimal comma"
#: Numbers in CSV with points, or with commas, that can be decimal marks or between thousands: ``1.234``.
POINT_OR_THOUSANDS, COMMA_OR_THOUSANDS = "decimal point or thousands", "decimal comma or thousands"
#: Numbers in CSV whose decimal mark is known, and that have the other one between thousands; and numbers whose decimal
#: mark other objects show.
GROUPED, AS_IN_OTHERS = "thousands", "mark of other files"

_MISSING = "missing: "


def missing_as(words: Iterable[str]) -> frozenset[str]:
    """Return the remarks that words in a column of numbers count as missing."""
    return frozenset(_MISSING + word for word in words)


def missing_words(remarks: Iterable[str]) -> list[str]:
    """Return the words that count as missing according to remarks.

    >>> missing_words(missing_as(["-", "n.a."]) | {AS_TEXT})
    ['-', 'n.a.']
    """
    return sorted(remark.removeprefix(_MISSING) for remark in remarks if remark.startswith(_MISSING))
