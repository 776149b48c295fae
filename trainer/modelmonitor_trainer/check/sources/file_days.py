"""The day of a file, from its path: files of days are compared as the partitions of a monitor are."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from modelmonitor_trainer.data.left_out import SideName
from modelmonitor_trainer.data.windows import Batch, days_of
from modelmonitor_trainer.storage.base import ObjectInfo
from modelmonitor_trainer.text import listed

#: Largest share of the days that are missing between others; if more are, files are not expected every day.
_FEW_MISSING = 0.25
#: Number of missing days that a note names.
_SHOWN = 5
_ISO = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)")
_HIVE = re.compile(r"(?<![^/])year=(\d{4})/month=(\d{1,2})/day=(\d{1,2})(?![^/])")


def day_of(uri: str) -> dt.date | None:
    """Return the day that a path names last; None if it names none.

    >>> day_of("s3://data/date=2013-01-05/part-0.parquet")
    datetime.date(2013, 1, 5)
    >>> day_of("s3://data/year=2013/month=1/day=5/part-0.parquet")
    datetime.date(2013, 1, 5)
    >>> day_of("january.csv")
    """
    matches = [*_ISO.finditer(uri), *_HIVE.finditer(uri)]
    for match in sorted(matches, key=lambda match: -match.start()):
        try:
            return dt.date(*(int(part) for part in match.groups()))
        except ValueError:
            continue
    return None


def batches_of_days(files: Sequence[ObjectInfo], most: int) -> tuple[Batch, ...] | None:
    """Return the files of each day as a batch; None if some have no day, or there are more than `most` days."""
    days = [day_of(info.uri) for info in files]
    if None in days or len(set(days)) > most:
        return None
    dated = sorted(((day, info) for day, info in zip(days, files, strict=True) if day), key=lambda item: item[0])
    batches = []
    for day, group in groupby(dated, key=lambda item: item[0]):
        objects = tuple(info for _, info in group)
        batches.append(Batch(listed([info.uri for info in objects], 1), objects, day))
    return tuple(batches)


def notes_on_gaps(sides: Mapping[SideName, Sequence[Batch]]) -> tuple[str, ...]:
    """Return which days between the first and the last one of a side have no files.

    Days count on weekdays that have files on any side.
    """
    days = {side: [batch.day for batch in batches if batch.day] for side, batches in sides.items()}
    weekdays = {day.weekday() for of_side in days.values() for day in of_side}
    notes = []
    for side, present in days.items():
        expected = days_of((min(present), max(present))) if present else ()
        missing = [d.isoformat() for d in expected if d.weekday() in weekdays and d not in set(present)]
        if 0 < len(missing) <= _FEW_MISSING * (len(present) + len(missing)):
            notes.append(
                f"No {side} files are of {listed(missing, _SHOWN)}, although those before and after are there."
            )
    return tuple(notes)
