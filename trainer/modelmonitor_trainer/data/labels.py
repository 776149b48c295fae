"""Labelled rows: features and labels joined by key.

Of several labels of a key the newest counts. Rows without a label, labels without a row, duplicate keys, corrected and
contradicting labels are counted, not silently dropped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import FeatureType, KeyScope, ModelMonitorSpec
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.data.canonical import canonical
from modelmonitor_trainer.data.join_keys import KeyKind, KeyReader, meet
from modelmonitor_trainer.data.label_owners import EARLY_DAYS, KeyedRows, Owners, owners_of, scope_of
from modelmonitor_trainer.data.label_table import (
    KEY,
    LabelColumns,
    LabelTable,
    has_value,
    outcome_converter,
    read_labels,
)
from modelmonitor_trainer.data.manifest import Manifest, PinnedDay, days_within, objects_of
from modelmonitor_trainer.data.tables import Converter, read_table
from modelmonitor_trainer.data.windows import Window
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.storage.base import Store


@dataclass(frozen=True)
class JoinReport:
    """Result of a join of features and labels.

    Attributes
    ----------
    feature_rows, label_rows
        Rows that were read.
    matched
        Rows with a label: the rows of the data set.
    unlabelled
        Feature rows without a label, or with a label that is NULL.
    immature
        Rows with a label that are left out because too few rows of their day have one.
    orphaned_labels
        Labels without a row, among those of days whose rows are all in the window.
    corrected
        Rows whose label replaced a different one.
    contradictory
        Rows that are left out because their newest labels differ.
    repeated_rows
        Rows that are left out because they repeat the key of another one.
    recurring
        Rows whose key has rows on other days, too.
    ambiguous
        Rows whose label could be that of an earlier row with their key as well.
    stray
        Rows that are left out because their outcome is none of the two classes.
    """

    feature_rows: int
    label_rows: int
    matched: int
    unlabelled: int = 0
    orphaned_labels: int = 0
    immature: int = 0
    corrected: int = 0
    contradictory: int = 0
    repeated_rows: int = 0
    recurring: int = 0
    ambiguous: int = 0
    stray: int = 0

    @property
    def labelled_share(self) -> float:
        """Share of the rows that have a label, mature or not; 0 if there are no rows."""
        labelled = self.matched + self.immature
        return labelled / max(1, labelled + self.unlabelled)


@dataclass(frozen=True)
class Dataset:
    """Labelled rows for training or evaluation.

    Attributes
    ----------
    table
        Features and slices; one row per labelled row.
    target
        Classes as text, or the values of a regression.
    days : (n,)
        Day of the partition of each row, as days since 1970.
    report
        Result of the join.
    entities
        Group of each row as text, or its join key; None if there is neither.
    """

    table: pa.Table
    target: pa.ChunkedArray
    days: Ints
    report: JoinReport
    entities: pa.ChunkedArray | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)

    def take(self, chosen: Ints) -> Dataset:
        """Return some of the rows, with the same report."""
        indices = pa.array(chosen)
        entities = self.entities.take(indices) if self.entities is not None else None
        return Dataset(self.table.take(indices), self.target.take(indices), self.days[chosen], self.report, entities)

    def filter(self, mask: Array) -> Dataset:
        """Return the rows of a mask, with the same report."""
        return self if mask.all() else self.take(np.flatnonzero(mask))


def load(
    store: Store,
    manifest: Manifest,
    window: Window,
    spec: ModelMonitorSpec,
    more: Collection[str] = (),
    *,
    usual: float = 0.0,
) -> Dataset:
    """Return the labelled rows of a window's mature days.

    A day is mature when a share of its rows has a label, because rows whose outcome is known early are not
    representative. The share is ``data.labels.minShare``, or half of the usual share if the target is a column of the
    live rows.

    Parameters
    ----------
    store, manifest, window
        Objects to read, pinned to their ETags.
    spec
        Columns and join key.
    more
        Further columns of the live rows, such as features of an older champion.
    usual
        Share of labelled rows of earlier days, if they are known to be mature.

    Raises
    ------
    ObjectChanged
        If an object was replaced after the manifest was written.
    BadData
        If an object cannot be decoded or lacks a column.
    BadJoinKey
        If the join key cannot identify rows.
    """
    key = spec.data.labels.join_key if spec.data.labels else None
    columns, as_text = _columns(spec, more)
    reader, target = KeyReader(key or ""), spec.model.target
    # The key can be a feature, too.
    derive: dict[str, tuple[str, Converter]] = {
        KEY: (key, reader) if key else (target, outcome_converter(target, spec.model.task))
    }
    objects = objects_of(manifest.features, window)
    features = read_table(store, objects, columns, manifest.fmt, text=as_text, derive=derive)
    days = _days(days_within(manifest.features, window), features.num_rows)
    if key is None:
        return _with_groups(_labelled_rows(features.drop_columns(KEY), features.column(KEY), days, usual), spec)
    assert spec.data.labels is not None
    delay = dt.timedelta(days=spec.data.labels.delay_days)
    period = window[0] - dt.timedelta(days=EARLY_DAYS), window[1] + delay
    arrived = [(day.day, [pinned.info for pinned in day.objects]) for day in days_within(manifest.labels, period)]
    labels = read_labels(store, arrived, LabelColumns.of(spec), manifest.fmt)
    # Labels of the first days can belong to rows before the window, and late ones to rows after it.
    first, last = (days_since_1970(day) for day in (window[0] + delay, window[1]))
    ours = (labels.days >= first) & (labels.days <= last)
    declared = spec.data.labels

    def joined(scope: KeyScope | None) -> Dataset:
        return join(
            features,
            labels,
            days,
            kinds=reader.kinds,
            min_share=float(declared.min_share),
            ours=ours,
            scope=scope,
            delay_days=declared.delay_days,
        )

    dataset = joined(declared.key_scope)
    scope = scope_of(declared.key_scope, dataset.report.recurring / max(1, features.num_rows), declared.delay_days)
    return _with_groups(dataset if scope is declared.key_scope else joined(scope), spec)


def _columns(spec: ModelMonitorSpec, more: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the columns of the live rows to read, and those that are text."""
    features = spec.model.features
    numeric = {feature.name for feature in features if feature.type is FeatureType.NUMERIC}
    group = [spec.data.group_column] if spec.data.group_column else []
    key = [spec.data.labels.join_key] if spec.data.labels else []
    columns = dict.fromkeys([*(feature.name for feature in features), *spec.model.slices, *group, *more])
    text = [feature.name for feature in features if feature.type is FeatureType.CATEGORICAL]
    return [*columns], [*text, *(name for name in spec.model.slices if name not in numeric), *key]


def _with_groups(dataset: Dataset, spec: ModelMonitorSpec) -> Dataset:
    """Return a data set with the declared groups as its entities."""
    if spec.data.group_column is None:
        return dataset
    return replace(dataset, entities=canonical(dataset.table.column(spec.data.group_column)))


def join(
    features: pa.Table,
    labels: LabelTable,
    days: Ints,
    *,
    kinds: Collection[KeyKind] = (),
    min_share: float = 0.0,
    ours: Array | None = None,
    scope: KeyScope | None = None,
    delay_days: int = 0,
) -> Dataset:
    """Return the rows of `features` that have a label and belong to a mature day, in order.

    Of rows with the same key and day the first is used: scoring a row twice would make the comparison look more certain
    than it is. Of the labels of a row the newest is used; :func:`~modelmonitor_trainer.data.label_owners.owners_of`
    describes which labels these are. Rows whose newest labels differ are left out.

    Parameters
    ----------
    features
        Rows, with their key as text in the column :data:`~modelmonitor_trainer.data.label_table.KEY`.
    labels
        Labels from any partition.
    days : (n,)
        Day of each row of `features`, as days since 1970.
    kinds
        Kinds of the keys of `features`.
    min_share
        Smallest share of a day's rows that must have a label; other days are left out.
    ours : (m,)
        Which labels can only belong to rows of `features`; None for all.
    scope, delay_days
        What a key identifies, and the label delay; see
        :func:`~modelmonitor_trainer.data.label_owners.owners_of`.
    """
    # Of no objects at all the keys have no type.
    left, right = (side.cast(pa.string()) for side in meet(features.column(KEY), labels.keys, {*kinds, *labels.kinds}))
    present = np.flatnonzero(pc.is_valid(left).to_numpy())
    keys = pc.unique(left.drop_null())
    codes: Ints = pc.index_in(left.drop_null(), value_set=keys).to_numpy().astype(np.int64)
    rows = KeyedRows.of(codes, days[present], present, scope)
    positions = pc.index_in(right, value_set=keys)
    meets = pc.is_valid(positions).to_numpy()
    owners = owners_of(rows, pc.fill_null(positions, -1).to_numpy().astype(np.int64), labels.days, scope, delay_days)
    newest = _newest(labels, owners)
    # In the order of the rows.
    order = np.argsort(rows.row[newest.owner])
    labelled = rows.row[newest.owner][order]
    repeated = np.setdiff1d(present, rows.row, assume_unique=True)
    expected = np.delete(np.arange(features.num_rows), repeated)
    kept = np.isin(days[labelled], _mature(days[expected], days[labelled], min_share))
    contradictory, corrected = newest.contradictory[order], newest.corrected[order]
    agreed = kept & ~contradictory
    chosen = labelled[agreed]
    report = JoinReport(
        feature_rows=features.num_rows,
        label_rows=labels.read,
        matched=int(agreed.sum()),
        unlabelled=expected.size - labelled.size,
        orphaned_labels=distinct(right.filter(pa.array(~meets if ours is None else ~meets & ours))),
        immature=int((~kept).sum()),
        corrected=int((agreed & corrected).sum()),
        contradictory=int((kept & contradictory).sum()),
        repeated_rows=repeated.size,
        recurring=rows.recurring,
        ambiguous=int(np.unique(owners.owner[owners.ambiguous]).size),
    )
    taken = labels.values.take(pa.array(newest.label[order][agreed]))
    ours_only = features.take(pa.array(chosen))
    return Dataset(ours_only.drop_columns(KEY), taken, days[chosen], report, left.take(pa.array(chosen)))


@dataclass(frozen=True)
class _Newest:
    """The newest label of each row that has one.

    Attributes
    ----------
    owner, label : (n,)
        Index of the row, ascending, and of the label.
    contradictory, corrected : (n,)
        Whether other labels are as new and differ, and whether older ones differ.
    """

    owner: Ints
    label: Ints
    contradictory: Array
    corrected: Array


def _newest(labels: LabelTable, owners: Owners) -> _Newest:
    """Return the newest label of each row."""
    parts = (owners.early, labels.versions_in_order()[owners.label], labels.arrival[owners.label])
    early, versions, arrival = parts
    # The last key of lexsort is the first to sort by.
    order = np.lexsort([arrival, versions, ~early, owners.owner])
    owner = owners.owner[order]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    sizes = np.diff(starts, append=order.size)
    last = order[starts + sizes - 1]
    newest = np.repeat(last, sizes)
    values: Ints = labels.values.combine_chunks().dictionary_encode().indices.to_numpy()[owners.label]
    other = values[order] != values[newest]
    as_new = np.ones(order.size, dtype=bool)
    for part in parts:
        as_new &= part[order] == part[newest]
    differs = [
        np.logical_or.reduceat(mask, starts) if order.size else mask for mask in (other & as_new, other & ~as_new)
    ]
    return _Newest(owners.owner[last], owners.label[last], *differs)


def distinct(keys: pa.ChunkedArray) -> int:
    """Return the number of different keys, NULL not counted."""
    return int(pc.count_distinct(keys, mode="only_valid").as_py()) if len(keys) else 0


def _mature(days: Ints, labelled: Ints, min_share: float) -> Ints:
    """Return the days of which at least `min_share` of the rows are labelled.

    Parameters
    ----------
    days, labelled : (n,), (m,)
        Day of each row, and of each row with a label.
    """
    numbers, counts = np.unique(days, return_counts=True)
    shares = np.bincount(np.searchsorted(numbers, labelled), minlength=numbers.size) / counts
    return numbers[shares >= min_share]


def _labelled_rows(features: pa.Table, target: pa.ChunkedArray, days: Ints, usual: float) -> Dataset:
    """Return the rows with a value in their target column, except on days with less than half of the usual share."""
    known = has_value(target).to_numpy(zero_copy_only=False) if len(target) else np.zeros(0, dtype=bool)
    numbers, counts = np.unique(days, return_counts=True)
    shares = np.bincount(np.searchsorted(numbers, days[known]), minlength=numbers.size) / counts
    # Not the median: half of the days of a short window can be immature.
    usual = max(usual, float(np.quantile(shares, 0.75)) if shares.size else 0.0)
    kept = known & np.isin(days, _mature(days, days[known], usual / 2))
    matched = int(kept.sum())
    report = JoinReport(len(known), len(known), matched, int((~known).sum()), immature=int(known.sum()) - matched)
    chosen = pa.array(kept)
    return Dataset(features.filter(chosen), target.filter(chosen), days[kept], report)


def days_since_1970(day: dt.date) -> int:
    """Return a day as days since 1970."""
    return (day - dt.date(1970, 1, 1)).days


def _days(pinned: Sequence[PinnedDay], rows: int) -> Ints:
    """Return the day of each row, as days since 1970."""
    days = np.repeat(
        np.array([days_since_1970(day.day) for day in pinned], dtype=np.int64), [day.rows for day in pinned]
    )
    if days.size != rows:
        raise BadData(f"{rows} rows were read where the manifest has {days.size}; the manifest was edited manually")
    return days
