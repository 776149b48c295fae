"""URI templates of partitions: which day and hour an object belongs to, and which prefixes to list for some days."""

from __future__ import annotations

import datetime as dt
import os.path
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from modelmonitor_trainer.data.object_names import is_marker
from modelmonitor_trainer.errors import BadConfiguration

_DIRECTIVE = re.compile(r"%([YmdH])")
#: Digits of a directive. Month, day and hour can be without a leading zero, as Spark writes year=2024/month=1/day=5.
_DIGITS = {"Y": r"\d{4}", "m": r"\d{1,2}", "d": r"\d{1,2}", "H": r"\d{1,2}"}


@dataclass(frozen=True)
class Location:
    """Where an object of a partition is.

    Attributes
    ----------
    day
        The day of the partition.
    hour
        Its hour; None if the template has no %H, or the object does not match what follows it.
    rest
        What follows the part of the URI that the template describes.
    matches
        Whether the object matches the whole template, and not only the part before %H.
    """

    day: dt.date
    hour: int | None
    rest: str
    matches: bool


@dataclass(frozen=True)
class PartitionTemplate:
    """A template with %Y, %m, %d and %H, which stand for a time in UTC."""

    uri: str

    @classmethod
    def parse(cls, uri: str) -> PartitionTemplate:
        """Return a template.

        Raises
        ------
        BadConfiguration
            If it lacks a directive for year, month or day.
        """
        template = cls(uri)
        missing = [f"%{d}" for d in "Ymd" if f"%{d}" not in template.of_day]
        if missing:
            raise BadConfiguration(f"{uri} does not identify a day; include %Y, %m and %d (before any %H)")
        return template

    @property
    def of_day(self) -> str:
        """The part that stands for a day: before %H."""
        return self.uri.split("%H", 1)[0]

    @property
    def _day_folder(self) -> str:
        """The part through the folder of a day, if a day is a folder; other objects in it belong to no hour."""
        folder, _, rest = self.of_day.rpartition("/")
        return self.of_day if _DIRECTIVE.search(rest) else f"{folder}/"

    @property
    def has_hours(self) -> bool:
        """Whether a partition is an hour."""
        return "%H" in self.uri

    @property
    def folder(self) -> str:
        """The folder above the first directive, with a slash at the end."""
        return _DIRECTIVE.split(self.uri, maxsplit=1)[0].rpartition("/")[0] + "/"

    @property
    def components(self) -> list[str]:
        """The names from the first to the last that has a directive of a day."""
        names = self.of_day.removeprefix(self.folder).split("/")
        last = max(index for index, name in enumerate(names) if _DIRECTIVE.search(name))
        return names[: last + 1]

    def expand(self, day: dt.date, *, padded_month: bool = True, padded_day: bool = True) -> str:
        """Return the prefix of a day's partition, with or without leading zeros."""
        return _fill(self.of_day, day, padded_month, padded_day)

    def prefixes(self, days: Iterable[dt.date]) -> list[str]:
        """Return prefixes that together begin the URIs of all objects of some days of one month.

        >>> days = [dt.date(2013, 2, 1), dt.date(2013, 2, 12)]
        >>> PartitionTemplate("s3://b/d=%Y-%m-%d/").prefixes(days)
        ['s3://b/d=2013-02-', 's3://b/d=2013-2-']
        """
        known = list(days)
        prefixes = set()
        for month in (True, False):
            for day in (True, False):
                expanded = [_fill(self._day_folder, d, month, day) for d in known]
                matching = [uri for d, uri in zip(known, expanded, strict=True) if self._is_of(uri, d)]
                if matching:
                    prefixes.add(os.path.commonprefix(matching))  # noqa: RUF071 - a prefix of keys is one of characters
        return sorted(p for p in prefixes if not any(p != other and p.startswith(other) for other in prefixes))

    def locate(self, uri: str) -> Location | None:
        """Return where an object is, or None if it belongs to no day."""
        match = self._whole.match(uri)
        before = match or self._day.match(uri)
        if before is None:
            return None
        numbers = {key: int(text) for key, text in before.groupdict().items()}
        try:
            day = dt.date(numbers["Y"], numbers["m"], numbers["d"])
        except ValueError:
            return None  # not a date, for example 2013-02-30
        hour = numbers.get("H")
        if hour is not None and hour > 23:
            return Location(day, None, uri[before.end() :], matches=False)
        return Location(day, hour, uri[before.end() :], matches=match is not None)

    def is_marker(self, location: Location) -> bool:
        """Whether an object below a partition is a marker or unfinished output; the template itself may say _."""
        whole = self.uri if location.matches else self._day_folder
        path = location.rest if whole.endswith("/") else f"x{location.rest}"
        return is_marker(path)

    def _is_of(self, uri: str, day: dt.date) -> bool:
        location = self.locate(uri)
        return location is not None and location.day == day

    @cached_property
    def _whole(self) -> re.Pattern[str]:
        return re.compile(expression_of(self.uri))

    @cached_property
    def _day(self) -> re.Pattern[str]:
        return re.compile(expression_of(self._day_folder))


def _fill(template: str, day: dt.date, padded_month: bool, padded_day: bool) -> str:
    """Return a template with the numbers of a day, with or without leading zeros."""
    month, number = (f"{day.month:02d}", f"{day.day:02d}")
    parts = {
        "Y": f"{day.year:04d}",
        "m": month if padded_month else str(day.month),
        "d": number if padded_day else str(day.day),
    }
    return _DIRECTIVE.sub(lambda match: parts[match[1]], template)


def expression_of(template: str) -> str:
    """Return the regular expression of a template or a part of one; its groups are named Y, m, d and H.

    Leading zeros can be missing, except where another digit is next to the directive.
    """
    return "".join(_expressions(template))


def _expressions(template: str) -> Iterator[str]:
    seen: set[str] = set()
    parts = _DIRECTIVE.split(template)
    for index, text in enumerate(parts):
        if index % 2 == 0:
            yield re.escape(text)
            continue
        before, after = parts[index - 1][-1:], parts[index + 1][:1]
        adjacent = (not before and index > 1) or (not after and index + 2 < len(parts))
        fixed = adjacent or before.isdigit() or after.isdigit()
        digits = r"\d{2}" if fixed and text != "Y" else _DIGITS[text]
        yield rf"(?P={text})" if text in seen else f"(?P<{text}>{digits})"
        seen.add(text)
