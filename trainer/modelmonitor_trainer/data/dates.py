"""Dates and points in time that are written as text, as seconds since 1970.

``2024-01-31``, with a time of day and a zone or without, ``2024/01/31`` and ``31.1.2024`` are recognized. Days and
months between slashes are not: ``1/2/2024`` can be either
(:mod:`~modelmonitor_trainer.data.unread_dates`). Text without a zone is in UTC.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.data.arrow_floats import doubles_of
from modelmonitor_trainer.data.text_numbers import MISSING_IN_NUMBERS
from modelmonitor_trainer.text import number

SECONDS_PER_DAY = 86_400.0
#: Share of words that must be dates for a column to be one of dates.
NEARLY_ALL = 0.95
#: Words that can only mean a missing value where all others are dates; in lower case. MySQL writes zeros, pandas NaT.
_MISSING = MISSING_IN_NUMBERS | {"nat", "0000-00-00", "0000-00-00 00:00:00", "00.00.0000"}
_TIME = r"([T ](?P<hour>\d{2}):(?P<minute>\d{2})(:(?P<second>\d{2})([.,](?P<fraction>\d{1,9}))?)?)?"
_ZONE = r"\s*(?P<zone>Z|z|UTC|[+-]\d{2}:?\d{2})?"
_FORMS = (
    re.compile(rf"(?P<year>\d{{4}})(?P<mark>[-/])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}}){_TIME}{_ZONE}"),
    re.compile(rf"(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}}){_TIME}{_ZONE}"),
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def seconds_of(words: pa.Array) -> pa.DoubleArray:
    """Return text as seconds since 1970, NULL for what is not a date.

    Parameters
    ----------
    words : (n,)
        Text.
    """
    words = pc.if_else(missing_in_dates(words), pa.scalar(None, pa.string()), words)
    try:
        # Arrow reads the usual form a hundred times faster.
        return doubles_of(pc.cast(words, pa.timestamp("us")))
    except pa.ArrowInvalid:
        return pa.array([None if word is None else seconds(word) for word in words.to_pylist()], pa.float64())


def seconds(word: str) -> float | None:
    """Return a date or point in time as seconds since 1970; None if it is not one.

    >>> seconds("1970-01-02"), seconds("2.1.1970"), seconds("1970-01-01T01:00:00+01:00"), seconds("1/2/1970")
    (86400.0, 86400.0, 0.0, None)
    """
    word = word.strip()
    match = next((match for form in _FORMS if (match := form.fullmatch(word))), None)
    if match is None:
        return None
    year, month, day, hour, minute, second = (
        int(match[part] or 0) for part in ("year", "month", "day", "hour", "minute", "second")
    )
    try:
        time = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    except ValueError:
        return None
    zone = re.fullmatch(r"([+-])(\d{2}):?(\d{2})", match["zone"] or "")
    offset = (int(zone[2]) * 3600 + int(zone[3]) * 60) * (-1 if zone[1] == "-" else 1) if zone else 0
    return (time - _EPOCH).total_seconds() + float(f"0.{match['fraction'] or 0}") - offset


def missing_in_dates(words: pa.StringArray) -> pa.BooleanArray:
    """Return which words mean a missing value in a column of dates."""
    return pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(words)), value_set=pa.array(sorted(_MISSING), pa.string()))


def missing_words_removed(words: Sequence[str]) -> list[str]:
    """Return the words that do not mean a missing value in a column of dates."""
    return [word for word in words if word.strip().lower() not in _MISSING]


def are_dates(words: Sequence[str]) -> bool:
    """Whether nearly all words that do not mean a missing value are dates; false if there are none."""
    words = missing_words_removed(words)
    return bool(words) and sum(seconds(word) is not None for word in words) >= NEARLY_ALL * len(words)


def day_text(value: float) -> str:
    """Return the day of seconds since 1970."""
    return date_text(value).partition(" ")[0]


def days_text(duration: float) -> str:
    """Return a number of seconds in days."""
    return f"{number(duration / SECONDS_PER_DAY)} days"


def date_text(value: float) -> str:
    """Return seconds since 1970 as a date, with the time of day if it is not midnight.

    >>> date_text(86400.0), date_text(90061.5), date_text(float("nan"))
    ('1970-01-02', '1970-01-02 01:01:01', 'nan')
    """
    try:
        time = _EPOCH + dt.timedelta(seconds=value)
    except (OverflowError, ValueError):
        return f"{value:.4g}"
    return f"{time:%Y-%m-%d}" if (time - _EPOCH).seconds == 0 else f"{time:%Y-%m-%d %H:%M:%S}"
