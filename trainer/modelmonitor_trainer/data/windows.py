"""Partitions, batches and windows of days, and the objects that hold their rows.

A partition is the set of objects below a URI template, whose ``%Y``, ``%m``, ``%d`` and ``%H`` stand for a time in UTC.
A window is a pair of days, both included.
"""

from __future__ import annotations

import datetime as dt
import os.path
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from modelmonitor_api.spec import ModelMonitorSpec, WindowEnd
from modelmonitor_trainer.errors import BadConfiguration, NotFound
from modelmonitor_trainer.storage.base import ObjectInfo, Store

Window = tuple[dt.date, dt.date]

_PATTERNS = {"Y": r"(?P<Y>\d{4})", "m": r"(?P<m>\d{2})", "d": r"(?P<d>\d{2})", "H": r"\d{2}"}
_DIRECTIVE = re.compile(r"%([YmdH])")


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
    fixed = uri_template.split("%H", 1)[0]
    parts = {"Y": f"{day.year:04d}", "m": f"{day.month:02d}", "d": f"{day.day:02d}"}
    return _DIRECTIVE.sub(lambda match: parts[match[1]], fixed)


def partitions(store: Store, uri_template: str, start: dt.date, end: dt.date) -> list[Partition]:
    """Return the partitions from `start` to `end` that hold objects, in the order of days.

    Objects are listed once per month of the window, not once per day.

    Raises
    ------
    BadConfiguration
        If the template lacks a directive for year, month or day.
    """
    _check_template(uri_template)
    present: list[Partition] = []
    by_month = groupby(days_of((start, end)), key=lambda day: (day.year, day.month))
    for _, days in by_month:
        prefixes = {expand(uri_template, day): day for day in days}
        # Directives have fixed widths, so every prefix has the same length.
        length = len(next(iter(prefixes)))
        objects: dict[dt.date, list[ObjectInfo]] = {}
        shared = os.path.commonprefix(list(prefixes))  # noqa: RUF071 - a prefix of keys is one of characters
        for info in store.list(shared):
            day = prefixes.get(info.uri[:length])
            if day is not None and _holds_rows(info.uri):
                objects.setdefault(day, []).append(info)
        present += [Partition(day, uri, tuple(objects[day])) for uri, day in prefixes.items() if day in objects]
    return present


def latest_partition(store: Store, uri_template: str, *, until: dt.date | None = None) -> dt.date | None:
    """Return the newest day that has a partition, or None.

    Folders are visited from the newest to the oldest, so the cost does not grow with the number of objects.

    Parameters
    ----------
    store, uri_template
        Object store and template of the partitions.
    until
        Ignore days after this one (a partition dated into the future by mistake).
    """
    _check_template(uri_template)
    days = (day for day in _days_downwards(store, uri_template) if until is None or day <= until)
    return next((day for day in days if partitions(store, uri_template, day, day)), None)


def live_window(spec: ModelMonitorSpec, latest: dt.date | None, today: dt.date) -> Window:
    """Return the live window of a check.

    Parameters
    ----------
    spec
        ``data.live`` holds the number of days and where the window ends.
    latest
        The newest partition.
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
        raise NotFound(f"there is no partition under {live.uri}; check spec.data.live.uri, or wait for data to arrive")
    else:
        end = latest
    return end - dt.timedelta(days=live.window_days - 1), end


def training_windows(
    spec: ModelMonitorSpec,
    latest: dt.date,
    champion_data_end: dt.date | None,
    *,
    latest_labels: dt.date | None = None,
) -> TrainingWindows:
    """Return the training window and the hold-out window after it.

    The data end with the last mature day: old enough for its labels, and not after the newest labels. The hold-out
    window is the last ``promotion.holdoutDays`` of them, but never includes a day that the champion was trained on. The
    training window is the ``retraining.windowDays`` before it.

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
    """
    labels = spec.data.labels
    end = latest - dt.timedelta(days=labels.delay_days if labels else 0)
    if latest_labels is not None:
        end = min(end, latest_labels)
    start = end - dt.timedelta(days=spec.promotion.holdout_days - 1)
    if champion_data_end is not None:
        start = max(start, champion_data_end + dt.timedelta(days=1))
    train_end = start - dt.timedelta(days=1)
    train_start = train_end - dt.timedelta(days=spec.retraining.window_days - 1)
    return TrainingWindows(train=(train_start, train_end), holdout=(start, end))


def _check_template(uri_template: str) -> None:
    missing = [f"%{d}" for d in "Ymd" if f"%{d}" not in uri_template.split("%H", 1)[0]]
    if missing:
        raise BadConfiguration(f"{uri_template} does not identify a day; include %Y, %m and %d (before any %H)")


def _holds_rows(uri: str) -> bool:
    """Whether an object holds data, as opposed to a marker such as _SUCCESS or a hidden file."""
    return not uri.rpartition("/")[2].startswith(("_", "."))


def _days_downwards(store: Store, uri_template: str) -> Iterator[dt.date]:
    """Yield the days that have a folder or object, newest first."""
    components = uri_template.split("%H", 1)[0].split("/")
    first = next(i for i, component in enumerate(components) if _DIRECTIVE.search(component))
    last = max(i for i, component in enumerate(components) if _DIRECTIVE.search(component))
    base = "/".join(components[:first])
    for numbers in _matches_downwards(store, base, components[first : last + 1], {}):
        try:
            yield dt.date(numbers["Y"], numbers["m"], numbers["d"])
        except ValueError:
            continue  # not a date, for example 2013-02-30


def _matches_downwards(
    store: Store, base: str, components: list[str], known: dict[str, int]
) -> Iterator[dict[str, int]]:
    """Yield the values of the directives in `components` below `base`, the greatest first."""
    component, *rest = components
    literal = _DIRECTIVE.split(component, maxsplit=1)[0]
    pattern = re.compile(_regular_expression(component))
    matches: dict[str, dict[str, int]] = {}
    for child in store.children(f"{base}/{literal}"):
        name = child.rstrip("/").rpartition("/")[2]
        match = pattern.match(name)
        if match:
            numbers = {key: int(text) for key, text in match.groupdict().items()}
            if all(known.get(key, number) == number for key, number in numbers.items()):
                matches[match[0] if not rest else name] = known | numbers
    for name, numbers in sorted(matches.items(), key=lambda item: _order(item[1]), reverse=True):
        if rest:
            yield from _matches_downwards(store, f"{base}/{name}", rest, numbers)
        else:
            yield numbers


def _regular_expression(component: str) -> str:
    seen: set[str] = set()
    parts = []
    for index, text in enumerate(_DIRECTIVE.split(component)):
        if index % 2 == 0:
            parts.append(re.escape(text))
        else:
            parts.append(rf"(?P={text})" if text in seen else _PATTERNS[text])
            seen.add(text)
    return "".join(parts)


def _order(numbers: dict[str, int]) -> tuple[int, int, int]:
    return numbers.get("Y", 0), numbers.get("m", 0), numbers.get("d", 0)
