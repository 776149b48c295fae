"""Rows with their labels, a day at a time: what performance, bias and ablation look at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import DataFormat, FeatureType, ModelMonitorSpec
from modelmonitor_trainer.data.tables import read_table
from modelmonitor_trainer.profile.window import Batch
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_SEED = 20130101


@dataclass(frozen=True)
class LabelledDay:
    """A day's rows with a label.

    Attributes
    ----------
    block
        Which day.
    rows, target
        One row a labelled row, and its outcome as it is in the data.
    read, unlabelled, repeated
        Rows of the day, those without a label, and those beyond the first of their join key.
    """

    block: Batch
    rows: pa.Table
    target: pa.ChunkedArray
    read: int
    unlabelled: int = 0
    repeated: int = 0

    def sampled(self, quota: int, generator: np.random.Generator) -> LabelledDay:
        """Return at most `quota` rows of the day, drawn at random and in their order."""
        if self.rows.num_rows <= quota:
            return self
        chosen = pa.array(np.sort(generator.choice(self.rows.num_rows, quota, replace=False)))
        return LabelledDay(
            self.block, self.rows.take(chosen), self.target.take(chosen), self.read, self.unlabelled, self.repeated
        )


def read_day(
    store: Store,
    spec: ModelMonitorSpec,
    fmt: DataFormat,
    block: Batch,
    columns: Sequence[str],
    arrived: Sequence[Batch],
) -> LabelledDay:
    """Return the rows of a day that have a label.

    A label lies in the partition of its row's day, or in that of the day on which it came: the latter is
    read only where the former has too few labels of these rows. A day of which fewer rows have a label than
    ``data.labels.minShare`` asks for has none.

    Parameters
    ----------
    store, spec, fmt
        What to read.
    block
        The day.
    columns
        Columns of the live rows.
    arrived
        Partitions of labels.

    Raises
    ------
    BadData
        If an object cannot be read, or lacks a column.
    """
    labels = spec.data.labels
    numeric = {feature.name for feature in spec.model.features if feature.type is FeatureType.NUMERIC}
    text = [
        *(feature.name for feature in spec.model.features if feature.type is FeatureType.CATEGORICAL),
        *(name for name in spec.model.slices if name not in numeric),
    ]
    from modelmonitor_trainer.data.labels import has_value, join

    if labels is None:
        wanted = [*columns, spec.model.target]
        rows = read_table(store, block.objects, wanted, fmt, text=text)
        known = rows.filter(has_value(rows.column(spec.model.target)))
        # The outcome is one of the rows' own columns: a row without one has no label yet.
        return LabelledDay(block, known, known.column(spec.model.target), rows.num_rows)
    key = labels.join_key
    rows = read_table(store, block.objects, [*columns, key], fmt, text=[*text, key])
    keys = rows.column(key)
    repeated = len(keys) - keys.null_count - int(pc.count_distinct(keys, mode="only_valid").as_py())
    assert block.day is not None
    for delay in dict.fromkeys((0, labels.delay_days)):
        objects = _objects(arrived, block.day, block.day + dt.timedelta(days=delay))
        known = read_table(store, objects, [key, spec.model.target], fmt, text=[key])
        met = join(rows, known, np.zeros(rows.num_rows, dtype=np.int64), key=key, target=spec.model.target)
        # Until enough have come the day is not mature: those that come first are not like the others.
        if met.rows and met.rows >= float(labels.min_share) * (met.rows + met.report.unlabelled):
            return LabelledDay(block, met.table, met.target, rows.num_rows, met.report.unlabelled, repeated)
    nothing = known.column(spec.model.target).slice(0, 0)
    return LabelledDay(block, rows.slice(0, 0), nothing, rows.num_rows, rows.num_rows, repeated)


def read_days(
    store: Store,
    spec: ModelMonitorSpec,
    fmt: DataFormat,
    blocks: Sequence[Batch],
    columns: Sequence[str],
    arrived: Sequence[Batch],
    limit: int,
) -> Iterator[LabelledDay]:
    """Yield the labelled rows of days, one in memory at a time, and at most `limit` of all: as many of each day."""
    generator = np.random.default_rng(_SEED)
    quota = max(1, limit // max(1, len(blocks)))
    for block in blocks:
        yield read_day(store, spec, fmt, block, columns, arrived).sampled(quota, generator)


def _objects(arrived: Sequence[Batch], first: dt.date, last: dt.date) -> list[ObjectInfo]:
    return [info for block in arrived if block.day and first <= block.day <= last for info in block.objects]
