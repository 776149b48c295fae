"""Dates in forms that are not read as dates, because they can mean two days or need a language.

``1/2/2024`` is 1 February or January 2, ``01.02.24`` has no century, and ``31-Jan-2024`` is English. Such text is
compared as categories, which differ in every window, so a column of it must be named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from modelmonitor_trainer.data.dates import NEARLY_ALL, missing_words_removed, seconds

_TIME = r"([T ,]+\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?(\s?[AaPp]\.?[Mm]\.?)?)?(\s*(Z|UTC|[+-]\d{2}:?\d{2}))?"
# Parts of one digit and a year of two are dates between slashes only: 1.2.10 and 1-2-10 are versions and codes.
_NUMBERS = re.compile(
    rf"(?P<first>\d{{1,2}})(?P<mark>[-/.])(?P<second>\d{{1,2}})(?P=mark)\d{{4}}{_TIME}"
    rf"|(?P<day>\d{{1,2}})/(?P<month>\d{{1,2}})/\d{{2}}{_TIME}"
    rf"|(?P<one>\d{{2}})(?P<other>[-.])(?P<two>\d{{2}})(?P=other)\d{{2}}{_TIME}"
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WORDS = re.compile(
    rf"(?:[a-z]{{3,9}},?\s)?(?:\d{{1,2}}(?:st|nd|rd|th)?[-\s/.]{_MONTH}|{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?),?[-\s/.]"
    rf"(?:\d{{4}}|\d{{2}}){_TIME}",
    re.IGNORECASE,
)


class DateOrder(Enum):
    """What comes first in dates that are not read."""

    DAY = "the day first"
    MONTH = "the month first"
    EITHER = "day or month first"
    NAMED = "the month as a word"


def order_of(words: Sequence[str]) -> DateOrder | None:
    """Return what comes first in a column of dates that are not read; None if words are none, or are read.

    Parameters
    ----------
    words
        Values of a column of text; nearly all must be dates.
    """
    words = [word.strip() for word in missing_words_removed(words)]
    if not words or sum(seconds(word) is not None for word in words) >= NEARLY_ALL * len(words):
        return None
    matches = [match for word in words if (match := _NUMBERS.fullmatch(word))]
    pairs = [
        (int(match["first"] or match["day"] or match["one"]), int(match["second"] or match["month"] or match["two"]))
        for match in matches
    ]
    enough = NEARLY_ALL * len(words)
    days_first = sum(1 <= first <= 31 and 1 <= second <= 12 for first, second in pairs)
    months_first = sum(1 <= first <= 12 and 1 <= second <= 31 for first, second in pairs)
    if max(days_first, months_first) >= enough:
        if min(days_first, months_first) >= enough:
            return DateOrder.EITHER
        return DateOrder.DAY if days_first > months_first else DateOrder.MONTH
    return DateOrder.NAMED if sum(_WORDS.fullmatch(word) is not None for word in words) >= enough else None
