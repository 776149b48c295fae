"""What a check of a monitor leaves out: objects, folders, days, hours, and columns that the spec does not declare."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.check.coverage import missing_hours, overlapping_days
from modelmonitor_trainer.check.data import MonitorData
from modelmonitor_trainer.data.left_out import LeftOut, SideName, of_side
from modelmonitor_trainer.data.object_names import folder_keys, is_time
from modelmonitor_trainer.data.partition_template import PartitionTemplate
from modelmonitor_trainer.data.tables import Unreadable, scan
from modelmonitor_trainer.data.windows import (
    Batch,
    Window,
    batches_of_partitions,
    days_after,
    folders_without_day,
    hours_of,
    survey_partitions,
)
from modelmonitor_trainer.storage.base import Store

#: An hour is expected if this share of the days of the reference has it.
_USUAL = 0.8


@dataclass(frozen=True)
class SideSurvey:
    """The batches of one side, and the objects of its days that are not read."""

    batches: tuple[Batch, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def survey(store: Store, uri: str, window: Window | None, side: SideName) -> SideSurvey:
    """Return the partitions of a window and what is left out of them; nothing without a window."""
    if window is None:
        return SideSurvey()
    surveyed = survey_partitions(store, uri, *window)
    return SideSurvey(batches_of_partitions(surveyed.partitions), of_side(side, surveyed.left_out))


def left_out_of_monitor(
    store: Store, monitor: MonitorData, window: Window, reference: Sequence[Batch], live: Sequence[Batch]
) -> Iterator[LeftOut]:
    """Yield what is left out apart from the objects of the days: folders, days, hours and columns.

    Parameters
    ----------
    store
        Object store.
    monitor
        The monitor.
    window
        The live window.
    reference, live
        The batches of both sides.
    """
    spec = monitor.spec
    uri = spec.data.live.uri
    yield from folders_without_day(store, uri)
    for day in days_after(store, uri, monitor.last_day):
        today = day == monitor.last_day + dt.timedelta(days=1)
        reason = LeftOutReason.UNFINISHED_DAY if today else LeftOutReason.FUTURE_DAY
        yield LeftOut(reason, day.isoformat(), side="current")
    if monitor.champion is None and spec.data.reference is not None:
        yield from overlapping_days((spec.data.reference.start, spec.data.reference.end), window)
    yield from _hours(uri, reference, live)
    yield from _undeclared_columns(store, spec, live)


def _hours(uri: str, reference: Sequence[Batch], live: Sequence[Batch]) -> Iterator[LeftOut]:
    """Yield the days that lack hours which most days have: of the reference, or of the live window without one."""
    by_side: dict[SideName, dict[dt.date, frozenset[int]]] = {
        "reference": {batch.day: hours_of(uri, batch.objects) for batch in reference if batch.day},
        "current": {batch.day: hours_of(uri, batch.objects) for batch in live if batch.day},
    }
    expected = _usual(by_side["reference"].values() or by_side["current"].values())
    for side, hours in by_side.items():
        yield from missing_hours(side, hours, expected)


def _usual(days: Iterable[frozenset[int]]) -> frozenset[int]:
    known = list(days)
    counts = Counter(hour for hours in known for hour in hours)
    return frozenset(hour for hour, count in counts.items() if count >= _USUAL * len(known))


def _undeclared_columns(store: Store, spec: ModelMonitorSpec, live: Sequence[Batch]) -> Iterator[LeftOut]:
    """Yield the columns of the newest live object, and the keys of folders, that the spec does not declare."""
    declared = {feature.name for feature in spec.model.features}
    declared |= {spec.model.target, spec.model.prediction_column or "", *spec.model.slices}
    declared |= {spec.data.labels.join_key} if spec.data.labels else set()
    objects = [info for batch in live for info in batch.objects]
    template = PartitionTemplate.parse(spec.data.live.uri)
    rests = [location.rest for info in objects if (location := template.locate(info.uri)) is not None]
    values: dict[str, list[str | None]] = {}
    for rest in rests:
        for key, value in folder_keys(rest).items():
            values.setdefault(key, []).append(value)
    for key in folder_keys(template.folder).keys() - declared:
        yield LeftOut(LeftOutReason.SELECTED_COLUMN, key, detail="fixed by data.live.uri")
    for key, known in values.items():
        if key not in declared:
            reason = LeftOutReason.TIME_COLUMN if is_time(key, known) else LeftOutReason.UNDECLARED_KEY
            yield LeftOut(reason, key, detail="a key of the folders")
    # An object that cannot be read is reported when its rows are.
    with suppress(Unreadable):
        for info in objects[-1:]:
            with scan(store, info, None, spec.data.format, head=1) as opened:
                for name, kind in opened.types.items():
                    if name not in declared:
                        yield LeftOut(LeftOutReason.UNDECLARED_COLUMN, name, detail=str(kind))
