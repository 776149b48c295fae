"""Recognition of partitions: the template of the days in the names of objects."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.formats import formats_of
from modelmonitor_trainer.data.object_names import is_document, is_marker
from modelmonitor_trainer.data.partition_template import PartitionTemplate
from modelmonitor_trainer.errors import BadConfiguration, NotFound
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: How days are written, the most specific form first; between year, month and day a key may stand, as in month=3.
_DAYS = (
    re.compile(r"(?<!\d)(\d{4})(-)(\d{2})(-)(\d{2})(?!\d)"),
    re.compile(r"(?<!\d)(\d{4})(/(?:[A-Za-z_]+=)?)(\d{1,2})(/(?:[A-Za-z_]+=)?)(\d{1,2})(?!\d)"),
    re.compile(r"(?<!\d)(\d{4})(_)(\d{2})(_)(\d{2})(?!\d)"),
    re.compile(r"(?<!\d)((?:19|20)\d{2})()(\d{2})()(\d{2})(?!\d)"),
)
_HOUR = re.compile(r"((?:[A-Za-z_]+=)?)(\d{1,2})")


@dataclass(frozen=True)
class Partitions:
    """Partitions that were recognized.

    Attributes
    ----------
    template
        Their template.
    days
        Objects of each day, the days in order.
    others
        Objects that belong to no day of the template.
    """

    template: str
    days: dict[dt.date, list[ObjectInfo]]
    others: tuple[str, ...] = ()

    @property
    def first(self) -> dt.date:
        """The first day."""
        return min(self.days)

    @property
    def last(self) -> dt.date:
        """The last day."""
        return max(self.days)

    def sample(self, most: int) -> list[ObjectInfo]:
        """Return an object of each of some days, spread over all of them, the oldest first."""
        days = sorted(self.days)
        count = min(most, len(days))
        chosen = sorted({round(index * (len(days) - 1) / max(1, count - 1)) for index in range(count)})
        return [self.days[days[index]][0] for index in chosen]


def find_partitions(store: Store, uri: str) -> Partitions:
    """Return the partitions below a folder or prefix, or those of a template.

    Raises
    ------
    NotFound
        If there are no data.
    BadConfiguration
        If no day is recognized in their names.
    """
    if "%Y" in uri:
        return _match_partitions(uri, store.list(PartitionTemplate.parse(uri).folder))
    folder = uri.rstrip("/") + "/"
    objects = [info for info in store.list(folder) if not is_marker(info.uri.removeprefix(folder))]
    objects = [info for info in objects if not is_document(info.uri)]
    if not objects and store.head(uri.rstrip("/")) is not None:
        raise BadConfiguration(
            f"{uri} is one file; a monitor reads a partition a day, for example date=2013-01-31/part.parquet. Name the "
            "folder of the partitions. To compare two files, use modelmonitor check"
        )
    if not objects:
        raise NotFound(f"there are no data under {folder}; check the location")
    templates = Counter(template for info in objects if (template := _derive_template(info.uri, folder)) is not None)
    if not templates:
        raise BadConfiguration(
            f"no day is recognized in the names of the {len(objects):,} objects under {folder}, such as "
            f"{objects[0].uri.removeprefix(folder)}; a monitor reads one partition a day, for example "
            "date=2013-01-31/part.parquet. To compare two sets of files, use modelmonitor check"
        )
    return _match_partitions(_with_hours(templates.most_common(1)[0][0], objects), objects)


def most_common_format(store: Store, objects: Sequence[ObjectInfo]) -> DataFormat:
    """Return the format of objects: that of most of them.

    Raises
    ------
    BadConfiguration
        If none has a known format.
    """
    formats = Counter(fmt for fmt in formats_of(store, objects).values() if fmt is not None)
    if not formats:
        raise BadConfiguration(f"{objects[0].uri} is not Parquet, CSV or JSON Lines, which monitors read")
    return formats.most_common(1)[0][0]


def _match_partitions(uri: str, objects: Iterable[ObjectInfo]) -> Partitions:
    template = PartitionTemplate.parse(uri)
    days: dict[dt.date, list[ObjectInfo]] = {}
    others = []
    for info in objects:
        location = template.locate(info.uri)
        if location is None or not location.matches or template.is_marker(location) or is_document(info.uri):
            others.append(info.uri)
        else:
            days.setdefault(location.day, []).append(info)
    if not days:
        raise NotFound(f"there is no partition under {uri}; check the location")
    return Partitions(uri, dict(sorted(days.items())), tuple(others))


def _derive_template(uri: str, folder: str) -> str | None:
    """Return the template that a name matches; None if no day is recognized in it."""
    path = uri.removeprefix(folder)
    for pattern in _DAYS:
        for match in pattern.finditer(path):
            year, first, month, second, day = match.groups()
            if not _is_day(int(year), int(month), int(day)):
                continue
            rest = path[match.end() :]
            inside, slash, _ = rest.partition("/")
            # A day is a folder, or part of the name of a file.
            return f"{folder}{path[: match.start()]}%Y{first}%m{second}%d{inside}{slash}"
    return None


def _with_hours(template: str, objects: Sequence[ObjectInfo]) -> str:
    """Return the template with the hours below a day, if its folders are hours."""
    if not template.endswith("/"):
        return template
    days = PartitionTemplate(template)
    names = set()
    for info in objects:
        location = days.locate(info.uri)
        if location is not None:
            name, slash, _ = location.rest.partition("/")
            match = _HOUR.fullmatch(name)
            if not slash or match is None or int(match[2]) > 23:
                return template
            names.add(match[1])
    return f"{template}{names.pop()}%H/" if len(names) == 1 else template


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return 1900 <= year <= 2100
