"""Rows with their true outcome, batch by batch, for the detectors that need the rows themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import KeyScope
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import LabelJoin, Outcomes
from modelmonitor_trainer.data.join_keys import require_clear_owners
from modelmonitor_trainer.data.label_owners import scope_of
from modelmonitor_trainer.data.row_sampling import sample_batches
from modelmonitor_trainer.data.tables import read_table
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.errors import BadData

if TYPE_CHECKING:
    from modelmonitor_trainer.data.join_keys import KeyReader
    from modelmonitor_trainer.data.label_table import LabelTable
    from modelmonitor_trainer.data.label_window import LabelWindow

_SEED = 20130101
#: Column with the position of each row within its batch, which no column of the data has.
ROW = "\0row"


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
    immature
        Number of rows with a label that are left out because too few rows of the day have one.
    corrected, contradictory
        Number of rows whose label replaced a different one, and of those left out because their labels contradict
        each other.
    sample_of
        Number of rows of which `rows` is a sample; None if it is all of them.
    """

    batch: Batch
    rows: pa.Table
    target: pa.ChunkedArray
    read: int
    unlabelled: int = 0
    repeated: int = 0
    immature: int = 0
    corrected: int = 0
    contradictory: int = 0
    sample_of: int | None = None

    @property
    def labelled(self) -> int:
        """Number of rows with a label, those that are left out included."""
        kept = self.rows.num_rows if self.sample_of is None else self.sample_of
        return kept + self.immature + self.contradictory

    def counts(self) -> LabelledBatch:
        """Return the batch without its rows."""
        kept = self.rows.num_rows if self.sample_of is None else self.sample_of
        return replace(self, rows=self.rows.slice(0, 0), target=self.target.slice(0, 0), sample_of=kept)

    def sampled(self, quota: int, generator: np.random.Generator) -> LabelledBatch:
        """Return at most `quota` random rows of the batch, in their order."""
        if self.rows.num_rows <= quota:
            return self
        chosen = pa.array(np.sort(generator.choice(self.rows.num_rows, quota, replace=False)))
        sample_of = self.rows.num_rows if self.sample_of is None else self.sample_of
        return replace(self, rows=self.rows.take(chosen), target=self.target.take(chosen), sample_of=sample_of)


def read_batches(
    ctx: CheckContext,
    outcomes: Outcomes,
    batches: Sequence[Batch],
    columns: Sequence[str],
    labels: Sequence[Batch],
    limit: int,
) -> Iterator[LabelledBatch]:
    """Yield the labelled rows of batches, at most `limit` of them in equal shares.

    A day with a smaller share of labels than ``data.labels.minShare`` counts as unlabelled. Without a join, one batch
    is in memory at a time; with one, two days and the chosen rows.

    Parameters
    ----------
    ctx, outcomes
        How to read.
    batches
        The batches, by day where labels are joined.
    columns
        Columns of the rows; :data:`ROW` stands for their positions.
    labels
        Batches of labels.
    limit
        Maximum number of rows.

    Raises
    ------
    BadData
        If an object cannot be read or lacks a column, or no row has a label although there are labels.
    BadJoinKey
        If the join key cannot identify rows.
    """
    if outcomes.join is not None:
        joined = join_batches(ctx, outcomes, outcomes.join, batches, columns, labels, limit)
        joined.require_labels()
        yield from joined.batches
        return
    quota = max(1, limit // max(1, len(batches)))
    generator = np.random.default_rng(_SEED)
    for batch in batches:
        yield _with_target(ctx, outcomes, batch, columns).sampled(quota, generator)


def _with_target(ctx: CheckContext, outcomes: Outcomes, batch: Batch, columns: Sequence[str]) -> LabelledBatch:
    """Return the labelled rows of a batch whose rows have the outcome as a column."""
    from modelmonitor_trainer.data.label_table import has_value

    target = outcomes.target.name
    names = [name for name in (*columns, target) if name != ROW]
    rows = read_table(ctx.store, batch.objects, names, ctx.fmt, text=outcomes.text_columns)
    if ROW in columns:
        rows = _with_positions(rows)
    known = rows.filter(has_value(rows.column(target)))
    # A row without an outcome has no label yet.
    return LabelledBatch(batch, known, known.column(target), rows.num_rows)


def _with_positions(rows: pa.Table) -> pa.Table:
    return rows.append_column(ROW, pa.array(np.arange(rows.num_rows)))


@dataclass(frozen=True)
class JoinedBatches:
    """Rows and labels of some days.

    Attributes
    ----------
    batches
        Labelled rows of each day.
    labels
        Number of labels that have arrived in the partitions from the first of the days on.
    unmatched
        Number of those that can only belong to a row of these days, and have none.
    problem
        Why no row has a label although labels have arrived; empty if some have.
    """

    batches: tuple[LabelledBatch, ...]
    labels: int = 0
    unmatched: int = 0
    problem: str = ""

    def require_labels(self) -> None:
        """Raise an error if no row has a label although labels have arrived.

        Raises
        ------
        BadData
            With an example of each side.
        """
        if self.problem:
            raise BadData(self.problem)


def join_batches(
    ctx: CheckContext,
    outcomes: Outcomes,
    join: LabelJoin,
    batches: Sequence[Batch],
    columns: Sequence[str],
    labels: Sequence[Batch],
    limit: int,
) -> JoinedBatches:
    """Return the rows of batches that have a label, at most `limit` in equal shares.

    Parameters are those of :func:`read_batches`.
    """
    from modelmonitor_trainer.data.label_table import LabelColumns
    from modelmonitor_trainer.data.label_window import LabelWindow

    assert outcomes.task is not None
    join = replace(join, scope=scope_of(join.scope, _recurring(ctx, join.key, batches[-2:]), join.delay_days))
    quota = max(1, limit // max(1, len(batches)))
    window = LabelWindow(
        ctx.store,
        labels,
        LabelColumns(join.key, outcomes.target.name, outcomes.task, join.version),
        ctx.fmt,
        scope=join.scope,
        delay_days=join.delay_days,
    )
    earlier = _keys_of_earlier_days(ctx, join.key, batches) if join.scope is KeyScope.WINDOW else {}
    days: list[_Day] = []
    joined: list[LabelledBatch] = []
    for index in reversed(range(len(batches))):
        days.append(_Day.read(ctx, outcomes, join, batches[index], columns, window, earlier.get(index)))
        # The rows of a day come first where its labels are concerned, and the day after it second.
        if len(days) > 1:
            joined.append(days.pop(0).joined(window, join, quota, index + 1))
    joined += [day.joined(window, join, quota, 0) for day in days]
    require_clear_owners(join.key, window.ambiguous, window.matched, join.delay_days)
    ordered = tuple(joined[::-1])
    known = [batch.day for batch in batches if batch.day]
    unmatched = window.unmatched(min(known) + dt.timedelta(days=join.delay_days), max(known)) if known else 0
    problem = _why_none(ordered, window, days[-1].reader if days else None)
    return JoinedBatches(ordered, sum(window.read.values()), unmatched, problem)


def _recurring(ctx: CheckContext, key: str, batches: Sequence[Batch]) -> float:
    """Return the share of the keys of the last batch that the one before has, too; 0 for fewer than two batches."""
    if len(batches) < 2:
        return 0.0
    before, last = (_keys(ctx, key, batch) for batch in batches)
    return float(pc.mean(pc.is_in(last, value_set=before)).as_py() or 0.0) if len(last) else 0.0


def _keys_of_earlier_days(ctx: CheckContext, key: str, batches: Sequence[Batch]) -> dict[int, pa.Array]:
    """Return for each batch which of its keys an earlier one has, too: index of the batch → keys."""
    seen, repeated = pa.array([], pa.string()), {}
    for index, batch in enumerate(batches):
        keys = _keys(ctx, key, batch)
        known = pc.is_in(keys, value_set=seen)
        repeated[index] = keys.filter(known)
        seen = pa.concat_arrays([seen, keys.filter(pc.invert(known))])
    return repeated


def _keys(ctx: CheckContext, key: str, batch: Batch) -> pa.Array:
    """Return the different keys of a batch."""
    from modelmonitor_trainer.data.label_table import KEY, read_keys

    rows, _ = read_keys(ctx.store, batch.objects, key, ctx.fmt)
    return pc.unique(rows.column(KEY).cast(pa.string()).drop_null())


@dataclass(frozen=True)
class _Day:
    """The rows of a day and the labels that arrived since.

    Attributes
    ----------
    batch, rows, reader, labels
        The day, its rows with their key as text, what converted the key, and labels of these rows.
    repeated
        Number of rows that repeat the key of a row of an earlier day and are no longer among the rows.
    """

    batch: Batch
    rows: pa.Table
    reader: KeyReader
    labels: list[LabelTable]
    repeated: int = 0

    @classmethod
    def read(
        cls,
        ctx: CheckContext,
        outcomes: Outcomes,
        join: LabelJoin,
        batch: Batch,
        columns: Sequence[str],
        window: LabelWindow,
        earlier: pa.Array | None,
    ) -> _Day:
        """Read the rows of a day and take their labels from the window; leave out rows with keys of `earlier` days."""
        from modelmonitor_trainer.data.join_keys import KeyReader
        from modelmonitor_trainer.data.label_table import KEY, read_keys

        assert batch.day is not None
        names = [name for name in columns if name != ROW]
        if names:
            reader, text = KeyReader(join.key), [*outcomes.text_columns, join.key]
            rows = read_table(ctx.store, batch.objects, names, ctx.fmt, text=text, derive={KEY: (join.key, reader)})
        else:
            rows, reader = read_keys(ctx.store, batch.objects, join.key, ctx.fmt)
        if ROW in columns:
            rows = _with_positions(rows)
        read = rows.num_rows
        if earlier is not None:
            rows = rows.filter(pc.invert(pc.is_in(rows.column(KEY), value_set=earlier)))
        return cls(batch, rows, reader, window.take(rows.column(KEY), reader, batch.day), repeated=read - rows.num_rows)

    def joined(self, window: LabelWindow, join: LabelJoin, quota: int, index: int) -> LabelledBatch:
        """Return the labelled rows of the day, at most `quota` random ones."""
        from modelmonitor_trainer.data.label_table import KEY
        from modelmonitor_trainer.data.label_window import join_day
        from modelmonitor_trainer.data.labels import distinct

        assert self.batch.day is not None
        keys = self.rows.column(KEY)
        labels = [*self.labels, *window.early(keys, self.reader, self.batch.day)]
        if not labels:
            nothing = pa.chunked_array([pa.nulls(0, pa.string())])
            count, repeated = self.rows.num_rows, len(keys) - keys.null_count - distinct(keys) + self.repeated
            return LabelledBatch(self.batch, self.rows.slice(0, 0), nothing, count + self.repeated, count, repeated)
        joined_rows = join_day(self.rows, self.reader, labels, self.batch.day, join.min_share, join.scope)
        report = joined_rows.report
        batch = LabelledBatch(
            self.batch,
            joined_rows.table,
            joined_rows.target,
            read=self.rows.num_rows + self.repeated,
            unlabelled=report.unlabelled if joined_rows.rows or report.contradictory else self.rows.num_rows,
            repeated=report.repeated_rows + self.repeated,
            immature=report.immature,
            corrected=report.corrected,
            contradictory=report.contradictory,
        )
        return batch.sampled(quota, np.random.default_rng([_SEED, index]))


def _why_none(batches: Sequence[LabelledBatch], window: LabelWindow, rows: KeyReader | None) -> str:
    """Return why no key is on both sides although labels have arrived, with an example of each side; or nothing."""
    met = sum(batch.labelled for batch in batches)
    read = sum(batch.read for batch in batches)
    days = {batch.batch.day for batch in batches}
    # Labels that arrived later can be of later rows.
    labels = sum(count for day, count in window.read.items() if day in days)
    if rows is None or met or not read or not labels:
        return ""
    return (
        f"none of {read:,} rows has a label, although {labels:,} labels arrived: the join key {rows.name!r} is "
        f"{rows.in_words()} in the rows and {window.reader.in_words()} in the labels; check data.labels.joinKey, write "
        "the key alike on both sides, or wait for late labels"
    )


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
    from modelmonitor_trainer.data.label_table import has_value

    target = outcomes.target.name
    names = list(dict.fromkeys([*columns, target]))
    sized = [(batch, rows.get(batch.name, 0)) for batch in batches]
    sampled = sample_batches(ctx.store, sized, names, ctx.fmt, limit, text=outcomes.text_columns)
    for batch, table in zip(batches, sampled, strict=True):
        known = table.filter(has_value(table.column(target)))
        yield LabelledBatch(batch, known, known.column(target), table.num_rows)
