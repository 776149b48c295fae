"""Rows with their true outcome, batch by batch, for the detectors that need the rows themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import Outcomes
from modelmonitor_trainer.data.row_sampling import sample_batches
from modelmonitor_trainer.data.tables import read_table
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.storage.base import ObjectInfo

_SEED = 20130101


@dataclass(frozen=True)
class LabelledBatch:
    """The labelled rows of a batch.

    Attributes
    ----------
    batch
        The batch.
    rows, target
        Labelled rows, and the outcome of each as it is in the data.
    read, unlabelled, repeated
        Number of rows read, of those without a label, and of those that repeat a join key.
    """

    batch: Batch
    rows: pa.Table
    target: pa.ChunkedArray
    read: int
    unlabelled: int = 0
    repeated: int = 0

    def sampled(self, quota: int, generator: np.random.Generator) -> LabelledBatch:
        """Return at most `quota` random rows of the batch, in their order."""
        if self.rows.num_rows <= quota:
            return self
        chosen = pa.array(np.sort(generator.choice(self.rows.num_rows, quota, replace=False)))
        return replace(self, rows=self.rows.take(chosen), target=self.target.take(chosen))


def read_batch(
    ctx: CheckContext, outcomes: Outcomes, batch: Batch, columns: Sequence[str], labels: Sequence[Batch]
) -> LabelledBatch:
    """Return all labelled rows of a batch.

    A label is in the partition of its row's day, or in that of the day on which it arrived. The latter is read only
    if the former has too few labels. A day with a smaller share of labels than ``data.labels.minShare`` counts as
    unlabelled.

    Parameters
    ----------
    ctx, outcomes
        How to read.
    batch
        The batch.
    columns
        Columns of the rows.
    labels
        Batches of labels.

    Raises
    ------
    BadData
        If an object cannot be read, or lacks a column.
    """
    from modelmonitor_trainer.data.labels import has_value, join

    target, text = outcomes.target.name, outcomes.text_columns
    if outcomes.join is None:
        rows = read_table(ctx.store, batch.objects, [*columns, target], ctx.fmt, text=text)
        known = rows.filter(has_value(rows.column(target)))
        # The outcome is a column of the rows: a row without one has no label yet.
        return LabelledBatch(batch, known, known.column(target), rows.num_rows)
    key = outcomes.join.key
    rows = read_table(ctx.store, batch.objects, [*columns, key], ctx.fmt, text=[*text, key])
    keys = rows.column(key)
    repeated = len(keys) - keys.null_count - int(pc.count_distinct(keys, mode="only_valid").as_py())
    assert batch.day is not None
    for delay in dict.fromkeys((0, outcomes.join.delay_days)):
        objects = _objects(labels, batch.day, batch.day + dt.timedelta(days=delay))
        known = read_table(ctx.store, objects, [key, target], ctx.fmt, text=[key])
        joined = join(rows, known, np.zeros(rows.num_rows, dtype=np.int64), key=key, target=target)
        # Until enough labels have arrived the day is not mature: the first ones are not representative.
        share = outcomes.join.min_share
        if joined.rows and joined.rows >= share * (joined.rows + joined.report.unlabelled):
            return LabelledBatch(batch, joined.table, joined.target, rows.num_rows, joined.report.unlabelled, repeated)
    nothing = known.column(target).slice(0, 0)
    return LabelledBatch(batch, rows.slice(0, 0), nothing, rows.num_rows, rows.num_rows, repeated)


def read_batches(
    ctx: CheckContext,
    outcomes: Outcomes,
    batches: Sequence[Batch],
    columns: Sequence[str],
    labels: Sequence[Batch],
    limit: int,
) -> Iterator[LabelledBatch]:
    """Yield the labelled rows of batches, one batch in memory at a time, and at most `limit` rows in equal shares."""
    generator = np.random.default_rng(_SEED)
    quota = max(1, limit // max(1, len(batches)))
    for batch in batches:
        yield read_batch(ctx, outcomes, batch, columns, labels).sampled(quota, generator)


def sample_labelled(
    ctx: CheckContext,
    outcomes: Outcomes,
    batches: Sequence[Batch],
    rows: Mapping[str, int],
    columns: Sequence[str],
    labels: Sequence[Batch],
    limit: int,
) -> Iterator[LabelledBatch]:
    """Yield a sample of the labelled rows of batches.

    Rows that contain the target are sampled while they are read, in proportion to the size of each batch. Rows that
    are joined with labels need the whole day in memory, and are sampled by :func:`read_batches`.

    Parameters
    ----------
    ctx, outcomes, batches, columns, labels, limit
        As for :func:`read_batches`.
    rows
        Name of a batch → its number of rows.
    """
    if outcomes.join is not None:
        yield from read_batches(ctx, outcomes, batches, columns, labels, limit)
        return
    from modelmonitor_trainer.data.labels import has_value

    target = outcomes.target.name
    names = list(dict.fromkeys([*columns, target]))
    sized = [(batch, rows.get(batch.name, 0)) for batch in batches]
    sampled = sample_batches(ctx.store, sized, names, ctx.fmt, limit, text=outcomes.text_columns)
    for batch, table in zip(batches, sampled, strict=True):
        known = table.filter(has_value(table.column(target)))
        yield LabelledBatch(batch, known, known.column(target), table.num_rows)


def _objects(labels: Sequence[Batch], first: dt.date, last: dt.date) -> list[ObjectInfo]:
    return [info for batch in labels if batch.day and first <= batch.day <= last for info in batch.objects]
