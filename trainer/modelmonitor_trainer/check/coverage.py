"""The coverage of a check, from what its source left out and what the profiles hold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_trainer.check.data import CheckData, ProfiledData
from modelmonitor_trainer.data.left_out import LeftOut, SideName
from modelmonitor_trainer.data.windows import Batch, Window, days_of
from modelmonitor_trainer.detect.coverage import Coverage, columns_part, days_part, objects_part
from modelmonitor_trainer.detect.gaps import days_after_gap, lacks_more_days, missing_days
from modelmonitor_trainer.profile.window import WindowProfile

_OF_DAYS = frozenset(
    {
        LeftOutReason.UNFINISHED_DAY,
        LeftOutReason.FUTURE_DAY,
        LeftOutReason.MISSING_DAY,
        LeftOutReason.MISSING_HOURS,
        LeftOutReason.NOT_A_DAY,
    }
)
_OF_COLUMNS = frozenset(
    {
        LeftOutReason.NEW_COLUMN,
        LeftOutReason.LOST_COLUMN,
        LeftOutReason.PARTIAL_COLUMN,
        LeftOutReason.UNSUPPORTED_COLUMN,
        LeftOutReason.TIME_COLUMN,
        LeftOutReason.EXCLUDED_COLUMN,
        LeftOutReason.SELECTED_COLUMN,
        LeftOutReason.GROWING_COLUMN,
        LeftOutReason.UNEVEN_COLUMN,
        LeftOutReason.UNDECLARED_COLUMN,
        LeftOutReason.UNDECLARED_KEY,
    }
)


def coverage_of(data: ProfiledData) -> Coverage:
    """Return what a check compared, and what it left out."""
    source, reference, current = data.source, data.rows.reference, data.rows.current
    sides: dict[SideName, Sequence[Batch]] = {"reference": source.rows.reference, "current": source.rows.current}
    files = [item for item in source.left_out if item.reason not in _OF_DAYS | _OF_COLUMNS and "://" in item.name]
    left_out_days = [item for item in source.left_out if item.reason in _OF_DAYS]
    left_out_days += [i for i in source.left_out if i.reason is LeftOutReason.BOTH_SIDES and "://" not in i.name]
    days = None
    if source.current_window is not None:
        missing = [*_missing_days(source, "reference", reference), *_missing_days(source, "current", current)]
        counts: dict[SideName, int] = {side: _days_with_rows(p) for side, p in _profiles(reference, current)}
        days = days_part(counts, [*left_out_days, *missing])
    else:
        files += [
            item for side, profile in _profiles(reference, current) for item in _files_without_rows(side, profile)
        ]
    columns = [item for item in source.left_out if item.reason in _OF_COLUMNS]
    known = {(item.name, item.side) for item in columns} | {(item.name, None) for item in columns if not item.side}
    columns += [
        item
        for side, profile in _profiles(reference, current)
        for item in _partial_columns(profile, side, source.wording.clusters)
        if (item.name, item.side) not in known and (item.name, None) not in known
    ]
    return Coverage(
        objects_part({side: _size(batches) for side, batches in sides.items()}, files),
        days,
        columns_part(len(source.rows.columns), columns),
        (reference.rows if reference else 0, current.rows),
    )


def _profiles(
    reference: WindowProfile | None, current: WindowProfile
) -> Iterator[tuple[SideName, WindowProfile | None]]:
    yield "reference", reference
    yield "current", current


def _size(batches: Iterable[Batch]) -> tuple[int, int]:
    sizes = [info.size for batch in batches for info in batch.objects]
    return len(sizes), sum(sizes)


def _days_with_rows(profile: WindowProfile | None) -> int:
    return sum(block.rows > 0 for block in profile.blocks) if profile else 0


def _files_without_rows(side: SideName, profile: WindowProfile | None) -> list[LeftOut]:
    blocks = profile.blocks if profile else ()
    return [
        LeftOut(LeftOutReason.NO_ROWS, block.block.objects[0].uri, side=side)
        for block in blocks
        if not block.rows and not block.unreadable and block.block.objects
    ]


def _missing_days(source: CheckData, side: SideName, profile: WindowProfile | None) -> list[LeftOut]:
    """Return the days of a side's window without rows, on weekdays that have rows on either side.

    None are expected before the data begin: on the first day of the reference, unless its period is declared. A
    champion is compared with the days that it has learnt, and not with the calendar around them. An interruption of the
    live window does not count once it is over, and single days do not where data arrive irregularly: also in the live
    window, or the reference has lost data since.
    """
    window = source.reference_window if side == "reference" else source.current_window
    if window is None or profile is None or (side == "reference" and source.champion is not None):
        return []
    before, now = ([b.day for b in batches if b.day] for batches in (source.rows.reference, source.rows.current))
    start = window[0] if side == "reference" else max(window[0], min(before or now, default=window[0]))
    arrived = {block.block.day for block in profile.blocks if block.block.day and (block.rows or block.unreadable)}
    weekdays = {day.weekday() for day in (*before, *now)}
    expected = [day for day in days_of((start, window[1])) if day.weekday() in weekdays]
    if side == "reference" and source.current_window is not None:
        live = [day for day in days_of(source.current_window) if day.weekday() in weekdays]
        if lacks_more_days(expected, live, {*arrived, *now}):
            return _as_missing(side, [day for day in expected if day not in arrived])
    days = expected if side == "reference" else days_after_gap(expected, arrived)
    usual = [day for day in days_of((before[0], before[-1])) if day.weekday() in weekdays] if before else expected
    return _as_missing(side, missing_days(days, arrived, usual, set(before) or arrived))


def _as_missing(side: SideName, days: Iterable[dt.date]) -> list[LeftOut]:
    return [LeftOut(LeftOutReason.MISSING_DAY, day.isoformat(), side=side) for day in days]


def missing_hours(
    side: SideName, hours: dict[dt.date, frozenset[int]], expected: frozenset[int]
) -> tuple[LeftOut, ...]:
    """Return the days that lack hours.

    Parameters
    ----------
    side
        The side of the days.
    hours
        Day → hours that have objects.
    expected
        Hours that days have.
    """
    return tuple(
        LeftOut(
            LeftOutReason.MISSING_HOURS,
            day.isoformat(),
            detail=f"{len(present & expected)} of {len(expected)} hours",
            share=len(expected - present) / len(expected),
            side=side,
        )
        for day, present in sorted(hours.items())
        if expected - present
    )


def overlapping_days(reference: Window | None, current: Window) -> tuple[LeftOut, ...]:
    """Return the days that are in both windows."""
    if reference is None:
        return ()
    both = (max(reference[0], current[0]), min(reference[1], current[1]))
    return tuple(LeftOut(LeftOutReason.BOTH_SIDES, day.isoformat(), side="current") for day in days_of(both))


def _partial_columns(profile: WindowProfile | None, side: SideName, clusters: str) -> Iterator[LeftOut]:
    """Yield the columns that some rows of a side lack."""
    for name, column in profile.columns.items() if profile else ():
        share = 1 - int(column.rows.sum()) / profile.rows if profile and profile.rows else 0.0
        if profile is None or share <= 0:
            continue
        having, filled = int((column.rows > 0).sum()), sum(block.rows > 0 for block in profile.blocks)
        if share < 1:
            detail = f"on {having:,} of {filled:,} {clusters}"
            yield LeftOut(LeftOutReason.PARTIAL_COLUMN, name, detail=detail, share=share, side=side)
        elif side == "reference":
            yield LeftOut(LeftOutReason.NEW_COLUMN, name)
        else:
            yield LeftOut(LeftOutReason.LOST_COLUMN, name)
