"""The product's verdict on two windows, computed with its own profiles and drift rule."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pyarrow as pa
from columns import Column

from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.data.arrow_floats import floats_of
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.calendar import Calendar
from modelmonitor_trainer.detect.drift import Comparison, DriftResult, find_drift
from modelmonitor_trainer.profile.binning import MAX_CATEGORIES, SAMPLE_ROWS, fit_edges
from modelmonitor_trainer.profile.categories import BUCKETS
from modelmonitor_trainer.profile.columns import ColumnProfile
from modelmonitor_trainer.profile.counting import count_values
from modelmonitor_trainer.profile.plans import CategoricalPlan, ColumnPlan, NumericPlan
from modelmonitor_trainer.profile.tasks import Counters
from modelmonitor_trainer.profile.window import BatchProfile, WindowProfile, stack

#: Column → its rows, day by day.
Table = dict[str, list[pa.ChunkedArray]]

SENSITIVITY = Sensitivity()
CHECKS_PER_DAY = 1.0
_FIRST_DAY = dt.date(2013, 1, 1)


def plan_of(column: Column, reference: list[pa.ChunkedArray]) -> ColumnPlan:
    """Return the plan of a column, binned on the first rows of the reference as in a check."""
    chunks = pa.chunked_array([chunk for day in reference for chunk in day.chunks]).slice(0, SAMPLE_ROWS).chunks
    sample = pa.concat_arrays(chunks)
    if not column.categorical:
        return NumericPlan(column.name, fit_edges(floats_of(sample)[0]))
    values, counts, _ = count_values(sample)
    words = Counter({value: count for value, count in zip(values, counts.tolist(), strict=True) if count})
    common = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:MAX_CATEGORIES]
    buckets = BUCKETS if len(words) > MAX_CATEGORIES else 0
    return CategoricalPlan(column.name, tuple(value for value, _ in common), buckets=buckets)


def verdict(columns: list[Column], reference: Table, current: Table, *, dated: bool) -> DriftResult:
    """Return the product's verdict on two windows; `dated` is whether their batches are days, and not files."""
    plans = tuple(plan_of(column, reference[column.name]) for column in columns)
    counters = Counters(plans)
    before = _window(plans, counters, reference, dated=dated)
    now = _window(plans, counters, current, first=len(before.blocks), dated=dated)
    return find_drift(
        [Comparison.of_windows("features", "Feature", plan, before, now) for plan in plans],
        SENSITIVITY,
        CHECKS_PER_DAY,
        rows=(before.rows, now.rows),
        calendars={"Feature": Calendar.of(_days_of(before), _days_of(now))},
    )


def _days_of(window: WindowProfile) -> list[dt.date | None]:
    return [block.block.day for block in window.blocks]


def _window(
    plans: tuple[ColumnPlan, ...], counters: Counters, table: Table, first: int = 0, *, dated: bool
) -> WindowProfile:
    days = len(next(iter(table.values())))
    profiles = {plan.name: [_profile(counters, plan.name, rows) for rows in table[plan.name]] for plan in plans}
    blocks = []
    for day in range(days):
        of_day = {name: by_day[day] for name, by_day in profiles.items()}
        rows = next(iter(of_day.values())).rows
        date = _FIRST_DAY + dt.timedelta(days=first + day) if dated else None
        blocks.append(BatchProfile(Batch(str(day), (), date), rows, of_day, {}))
    return stack(blocks, plans)


def _profile(counters: Counters, name: str, rows: pa.ChunkedArray) -> ColumnProfile:
    counter = counters.counter(name)
    counter.add(rows)
    return counter.profile()
