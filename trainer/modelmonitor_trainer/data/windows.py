"""Partitions, batches and windows of days, and the objects that hold their rows.

A partition is the set of objects below a URI template, whose ``%Y``, ``%m``, ``%d`` and ``%H`` stand for a time in UTC.
A window is a pair of days, both included.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, takewhile

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_api.spec import ModelMonitorSpec, WindowEnd
from modelmonitor_trainer.data.left_out import LeftOut
from modelmonitor_trainer.data.object_names import is_document
from modelmonitor_trainer.data.partition_template import PartitionTemplate, expression_of
from modelmonitor_trainer.data.table_logs import files_of_tables
from modelmonitor_trainer.errors import NotFound
from modelmonitor_trainer.storage.base import ObjectInfo, Store

Window = tuple[dt.date, dt.date]


@dataclass(frozen=True)
class Partition:
    """The rows of one day.

    Attributes
    ----------
    day
        The day, in UTC.
    uri
        The template expanded for that day; for hourly partitions, the part before the hour.
    objects
        Objects below `uri`, sorted by URI.
    """

    day: dt.date
    uri: str
    objects: tuple[ObjectInfo, ...]


@dataclass(frozen=True)
class PartitionSurvey:
    """The partitions of a window, and the objects of its days that belong to none.

    Attributes
    ----------
    partitions
        Partitions that hold objects, in the order of days.
    left_out
        Markers, documents, files that a table has removed, and objects that do not match what follows %H in the
        template.
    """

    partitions: tuple[Partition, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Objects whose rows belong together: a partition, or a single file.

    Attributes
    ----------
    name
        Name in reports: a day or a URI.
    objects
        Objects that hold the rows.
    day
        The day, if it is a partition.
    """

    name: str
    objects: tuple[ObjectInfo, ...]
    day: dt.date | None = None

    @property
    def label(self) -> str:
        """The day if it is one, otherwise the name: days are shorter than the paths that name them."""
        return self.name if self.day is None else self.day.isoformat()


@dataclass(frozen=True)
class TrainingWindows:
    """Training and hold-out window; the latter can be empty.

    Attributes
    ----------
    train, holdout
        First and last day, both included. The hold-out window starts the day after the training window.
    """

    train: Window
    holdout: Window

    @classmethod
    def without_holdout(cls, train: Window) -> TrainingWindows:
        """Return a training window with an empty hold-out after it."""
        return cls(train, (train[1] + dt.timedelta(days=1), train[1]))

    @property
    def holdout_days(self) -> int:
        """Days of the hold-out window; 0 if the champion was trained on all of them."""
        return max(0, (self.holdout[1] - self.holdout[0]).days + 1)


def batches_of_partitions(partitions: Iterable[Partition]) -> tuple[Batch, ...]:
    """Return one batch per partition."""
    return tuple(Batch(partition.day.isoformat(), partition.objects, partition.day) for partition in partitions)


def days_of(window: Window) -> Iterator[dt.date]:
    """Yield the days of a window."""
    for number in range((window[1] - window[0]).days + 1):
        yield window[0] + dt.timedelta(days=number)


def expand(uri_template: str, day: dt.date) -> str:
    """Return the prefix of a day's partition.

    >>> expand("s3://b/f/date=%Y-%m-%d/", dt.date(2013, 1, 2))
    's3://b/f/date=2013-01-02/'
    """
    return PartitionTemplate(uri_template).expand(day)


def partitions(store: Store, uri_template: str, start: dt.date, end: dt.date) -> list[Partition]:
    """Return the partitions from `start` to `end` that hold objects, in the order of days.

    Raises are those of :func:`survey_partitions`.
    """
    return list(survey_partitions(store, uri_template, start, end).partitions)


def survey_partitions(store: Store, uri_template: str, start: dt.date, end: dt.date) -> PartitionSurvey:
    """Return the partitions from `start` to `end`, and what is left out of them.

    Objects are listed once per month of the window, not once per day; once more for folders without leading zeros.

    Raises
    ------
    BadConfiguration
        If the template lacks a directive for year, month or day, or the objects are those of an unsupported table.
    BadData
        If the log of a Delta table cannot be read.
    """
    template = PartitionTemplate.parse(uri_template)
    objects: dict[str, ObjectInfo] = {}
    for _, days in groupby(days_of((start, end)), key=lambda day: (day.year, day.month)):
        for prefix in template.prefixes(days):
            objects |= {
                info.uri: info
                for info in store.list(prefix)
                if (location := template.locate(info.uri)) and start <= location.day <= end
            }
    files = files_of_tables(store, template.folder, [objects[uri] for uri in sorted(objects)]) if objects else None
    return _by_day(template, files.objects, files.left_out) if files else PartitionSurvey(())


def _by_day(
    template: PartitionTemplate, objects: Iterable[ObjectInfo], left_out: tuple[LeftOut, ...]
) -> PartitionSurvey:
    by_day: dict[dt.date, list[ObjectInfo]] = {}
    others = []
    for info in objects:
        location = template.locate(info.uri)
        if location is None:
            continue
        if template.is_marker(location):
            others.append(LeftOut(LeftOutReason.MARKER, info.uri, info.size))
        elif not location.matches:
            others.append(LeftOut(LeftOutReason.OUTSIDE_PATTERN, info.uri, info.size))
        elif is_document(info.uri):
            others.append(LeftOut(LeftOutReason.NOT_DATA, info.uri, info.size))
        else:
            by_day.setdefault(location.day, []).append(info)
    return PartitionSurvey(
        tuple(Partition(day, template.expand(day), tuple(by_day[day])) for day in sorted(by_day)),
        (*left_out, *others),
    )


def latest_partition(store: Store, uri_template: str, *, until: dt.date | None = None) -> dt.date | None:
    """Return the newest day that has a partition, or None.

    Folders are visited from the newest to the oldest, so the cost does not grow with the number of objects.

    Parameters
    ----------
    store, uri_template
        Object store and template of the partitions.
    until
        Ignore days after this one: the current day, to which data are still being written, and days of the future.
    """
    days = (day for day in _days(store, uri_template) if until is None or day <= until)
    return next((day for day in days if partitions(store, uri_template, day, day)), None)


def earliest_partition(store: Store, uri_template: str, *, until: dt.date) -> dt.date | None:
    """Return the oldest day that has a partition, or None; it costs as much as :func:`latest_partition`."""
    days = takewhile(lambda day: day <= until, _days(store, uri_template, newest_first=False))
    return next((day for day in days if partitions(store, uri_template, day, day)), None)


def days_after(store: Store, uri_template: str, last: dt.date) -> list[dt.date]:
    """Return the days after `last` that have a partition: the current day, and days of the future.

    Objects are listed once per month that has such days, however many these are.
    """
    later = sorted(takewhile(lambda day: day > last, _days(store, uri_template)))
    present: list[dt.date] = []
    for _, group in groupby(later, key=lambda day: (day.year, day.month)):
        days = list(group)
        wanted = set(days)
        surveyed = partitions(store, uri_template, days[0], days[-1])
        present += [partition.day for partition in surveyed if partition.day in wanted]
    return present


def last_whole_day(now: dt.datetime) -> dt.date:
    """Return the last day in UTC that is over: the partition of the current day may still be growing."""
    return now.astimezone(dt.UTC).date() - dt.timedelta(days=1)


def folders_without_day(store: Store, uri_template: str) -> tuple[LeftOut, ...]:
    """Return the folders next to the partitions whose names do not have the form of the template.

    Markers are not among them.
    """
    template = PartitionTemplate.parse(uri_template)
    first = template.components[0]
    # The template can go on within the name of the folder, or end within it.
    whole = f"{template.folder}{first}/" in template.of_day
    expected = re.compile(expression_of(first) + ("" if whole else ".*"), re.DOTALL)
    names = {uri: uri.removeprefix(template.folder).rstrip("/") for uri in store.children(template.folder)}
    others = [uri for uri, name in names.items() if uri.endswith("/") and not expected.fullmatch(name)]
    literal = first.partition("%")[0]
    return tuple(
        LeftOut(_reason_of(names[uri], literal), uri) for uri in others if not names[uri].startswith(("_", "."))
    )


def _reason_of(name: str, literal: str) -> LeftOutReason:
    """Return why a folder is left out: one of the same kind, such as date=unknown, or another one."""
    return LeftOutReason.NOT_A_DAY if literal and name.startswith(literal) else LeftOutReason.OUTSIDE_PATTERN


def hours_of(uri_template: str, objects: Iterable[ObjectInfo]) -> frozenset[int]:
    """Return the hours of a day that have objects; none if the template has no %H."""
    template = PartitionTemplate.parse(uri_template)
    locations = (template.locate(info.uri) for info in objects) if template.has_hours else ()
    return frozenset(location.hour for location in locations if location is not None and location.hour is not None)


def live_window(spec: ModelMonitorSpec, latest: dt.date | None, today: dt.date) -> Window:
    """Return the live window of a check.

    Parameters
    ----------
    spec
        ``data.live`` holds the number of days and where the window ends.
    latest
        The newest partition of a day that is over.
    today
        The day of the check in UTC.

    Raises
    ------
    NotFound
        If the window ends with the newest partition and there is none.
    """
    live = spec.data.live
    if live.end is WindowEnd.NOW:
        end = today - dt.timedelta(days=1)
    elif latest is None:
        raise NotFound(
            f"there is no partition under {live.uri} of a day that is over in UTC; check spec.data.live.uri, or wait "
            "for data to arrive"
        )
    else:
        end = latest
    return end - dt.timedelta(days=live.window_days - 1), end


def training_windows(
    spec: ModelMonitorSpec,
    latest: dt.date,
    champion_data_end: dt.date | None,
    *,
    latest_labels: dt.date | None = None,
    change: dt.date | None = None,
) -> TrainingWindows:
    """Return the training window and the hold-out window after it.

    See :func:`~modelmonitor_policy.training_calendar.plan_training`.

    Parameters
    ----------
    spec
        The monitor's spec.
    latest
        The newest live partition.
    champion_data_end
        Last day of the champion's training window, None without a champion.
    latest_labels
        The newest partition of labels; None if the label is a column of the live rows.
    change
        First day after a change of the data; None if there was none.
    """
    # Imported late: it takes a tenth of the start of a check, which plans no training.
    from modelmonitor_policy.training_calendar import plan_training

    calendar = plan_training(spec, latest, newest_labels=latest_labels, champion_end=champion_data_end, change=change)
    train, holdout = calendar.train, calendar.holdout
    return TrainingWindows(train=(train.start, train.end), holdout=(holdout.start, holdout.end))


def _days(store: Store, uri_template: str, *, newest_first: bool = True) -> Iterator[dt.date]:
    """Yield the days that have a folder or object, in order."""
    template = PartitionTemplate.parse(uri_template)
    base = template.folder.removesuffix("/")
    seen = set()
    for numbers in _matches(store, base, template.components, {}, newest_first):
        try:
            day = dt.date(numbers["Y"], numbers["m"], numbers["d"])
        except ValueError:
            continue  # not a date, for example 2013-02-30
        if day not in seen:
            seen.add(day)
            yield day


def _matches(
    store: Store, base: str, components: list[str], known: dict[str, int], greatest_first: bool
) -> Iterator[dict[str, int]]:
    """Yield the values of the directives in `components` below `base`, in order."""
    component, *rest = components
    literal = component.partition("%")[0]
    pattern = re.compile(expression_of(component))
    matches: dict[str, dict[str, int]] = {}
    for child in store.children(f"{base}/{literal}"):
        name = child.rstrip("/").rpartition("/")[2]
        match = pattern.match(name)
        if match:
            numbers = {key: int(text) for key, text in match.groupdict().items()}
            if all(known.get(key, number) == number for key, number in numbers.items()):
                matches[match[0] if not rest else name] = known | numbers
    for name, numbers in sorted(matches.items(), key=lambda item: _order(item[1]), reverse=greatest_first):
        if rest:
            yield from _matches(store, f"{base}/{name}", rest, numbers, greatest_first)
        else:
            yield numbers


def _order(numbers: dict[str, int]) -> tuple[int, int, int]:
    return numbers.get("Y", 0), numbers.get("m", 0), numbers.get("d", 0)
