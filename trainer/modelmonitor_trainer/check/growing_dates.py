"""Columns of dates that grow with the data, such as the times of events, are left out by name before any test."""

from __future__ import annotations

from dataclasses import replace

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_trainer.check.data import ProfiledData, ProfiledPair
from modelmonitor_trainer.data.dates import date_text
from modelmonitor_trainer.data.left_out import LeftOut
from modelmonitor_trainer.detect.growth import growing_dates
from modelmonitor_trainer.profile.columns import NumericProfile
from modelmonitor_trainer.profile.window import WindowProfile


def without_growing_dates(data: ProfiledData) -> ProfiledData:
    """Return a check without the columns of dates that grow; a declared column is always compared."""
    rows, source = data.rows, data.source
    if source.has_contract or rows.reference is None:
        return data
    growing = growing_dates(rows.plan, rows.reference, rows.current)
    if not growing:
        return data
    left_out = [
        LeftOut(LeftOutReason.GROWING_COLUMN, name, detail=_ranges(rows.reference, rows.current, name))
        for name in growing
    ]
    source = replace(
        source,
        features=tuple(feature for feature in source.features if feature.name not in growing),
        rows=replace(source.rows, columns=tuple(c for c in source.rows.columns if c.name not in growing)),
        # That a part of the files lacks such a column does not matter.
        left_out=(*(item for item in source.left_out if item.name not in growing), *left_out),
    )
    plan = tuple(column for column in rows.plan if column.name not in growing)
    sides = [_without(window, growing) for window in (rows.reference, rows.current)]
    return replace(data, source=source, rows=ProfiledPair(plan, sides[0], sides[1]))


def _without(window: WindowProfile, names: list[str]) -> WindowProfile:
    return replace(window, columns={name: column for name, column in window.columns.items() if name not in names})


def _ranges(reference: WindowProfile, current: WindowProfile, name: str) -> str:
    profiles = [window.columns[name].total for window in (reference, current)]
    ends = [f"{date_text(p.minimum)} to {date_text(p.maximum)}" for p in profiles if isinstance(p, NumericProfile)]
    return ", then ".join(ends)
