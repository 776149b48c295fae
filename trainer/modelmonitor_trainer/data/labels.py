"""Labelled rows: features and labels joined by key, as arrays for models.

Rows without a label, labels without a row and duplicate keys are counted, not silently dropped.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import Feature, FeatureType, ModelMonitorSpec, Task
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.data.manifest import (
    Manifest,
    PinnedDay,
    days_within,
    feature_columns,
    label_columns,
    objects_of,
)
from modelmonitor_trainer.data.tables import is_number, is_text, read_table
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
    duplicate_keys
        Rows and labels after the first of their key; left out.
    immature
        Rows with a label that are left out because too few rows of their day have one.
    orphaned_labels
        Labels without a row, among those of days whose rows are all in the window.
    """

    feature_rows: int
    label_rows: int
    matched: int
    unlabelled: int = 0
    duplicate_keys: int = 0
    orphaned_labels: int = 0
    immature: int = 0

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
        Features, slices and the join key if there is one; one row per labelled row.
    target
        Labels as they are in the data.
    days : (n,)
        Day of the partition of each row, as days since 1970.
    report
        Result of the join.
    """

    table: pa.Table
    target: pa.ChunkedArray
    days: Ints
    report: JoinReport

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)


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
    """
    text = [feature.name for feature in spec.model.features if feature.type is FeatureType.CATEGORICAL]
    columns = list(dict.fromkeys([*feature_columns(spec), *more]))
    key = spec.data.labels.join_key if spec.data.labels else None
    numeric = {feature.name for feature in spec.model.features if feature.type is FeatureType.NUMERIC}
    as_text = [*text, *(name for name in spec.model.slices if name not in numeric), *([key] if key else [])]
    features = read_table(store, objects_of(manifest.features, window), columns, manifest.fmt, text=as_text)
    days = _days(days_within(manifest.features, window), features.num_rows)
    if key is None:
        return _labelled(features, features.column(spec.model.target), days, usual)
    assert spec.data.labels is not None
    delay = dt.timedelta(days=spec.data.labels.delay_days)
    arrived = days_within(manifest.labels, (window[0], window[1] + delay))
    labels = read_table(
        store, objects_of(arrived, (window[0], window[1] + delay)), label_columns(spec), manifest.fmt, text=[key]
    )
    # Labels of the first days can belong to rows before the window, and late ones to rows after it.
    ours = np.repeat([window[0] + delay <= day.day <= window[1] for day in arrived], [day.rows for day in arrived])
    share = float(spec.data.labels.min_share)
    return join(features, labels, days, key=key, target=spec.model.target, min_share=share, ours=ours)


def join(
    features: pa.Table,
    labels: pa.Table,
    days: Ints,
    *,
    key: str,
    target: str,
    min_share: float = 0.0,
    ours: Array | None = None,
) -> Dataset:
    """Return the rows of `features` that have a label and belong to a mature day, in order.

    Of rows with the same key the first is used, on both sides: scoring a row twice would make the comparison look more
    certain than it is.

    Parameters
    ----------
    features, labels
        Tables to join.
    days : (n,)
        Day of each row of `features`.
    key, target
        Names of the columns.
    min_share
        Smallest share of a day's rows that must have a label; other days are left out.
    ours : (m,)
        Which labels can only belong to rows of `features`; None for all.
    """
    left, right = _key_texts(features.column(key)), _key_texts(labels.column(key))
    known = has_value(labels.column(target))
    label_rows = pa.table({"key": right, "label": np.arange(len(right))}).filter(pc.and_(pc.is_valid(right), known))
    first_label = label_rows.group_by("key", use_threads=False).aggregate([("label", "min")])
    feature_rows = pa.table({"key": left, "row": np.arange(len(left))}).filter(pc.is_valid(left))
    first_row = feature_rows.group_by("key", use_threads=False).aggregate([("row", "min")])
    joined = first_row.join(first_label, keys="key", join_type="inner", use_threads=False).sort_by("row_min")
    rows, matched_labels = joined.column("row_min").to_numpy(), joined.column("label_min").to_numpy()
    unkeyed = np.flatnonzero(left.is_null().to_numpy(zero_copy_only=False)) if left.null_count else np.zeros(0, int)
    expected = np.concatenate([first_row.column("row_min").to_numpy(), unkeyed])
    kept = np.isin(days[rows], _mature(days[expected], days[rows], min_share))
    orphaned = ~np.isin(first_label.column("label_min").to_numpy(), matched_labels)
    if ours is not None:
        orphaned &= ours[first_label.column("label_min").to_numpy()]
    report = JoinReport(
        feature_rows=features.num_rows,
        label_rows=len(known),
        matched=int(kept.sum()),
        unlabelled=expected.size - rows.size,
        duplicate_keys=(feature_rows.num_rows - first_row.num_rows) + (label_rows.num_rows - first_label.num_rows),
        orphaned_labels=int(orphaned.sum()),
        immature=int(rows.size - kept.sum()),
    )
    taken = labels.column(target).take(pa.array(matched_labels[kept]))
    return Dataset(features.take(pa.array(rows[kept])), taken, days[rows[kept]], report)


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


def has_value(outcomes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whether each label is present: neither NULL nor NaN, which some writers use instead."""
    return pc.invert(pc.is_null(outcomes, nan_is_null=True))


def _key_texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return keys as text, so that both sides compare equal for any width or encoding."""
    return values.cast(pa.string())


def _labelled(features: pa.Table, target: pa.ChunkedArray, days: Ints, usual: float) -> Dataset:
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


def _days(pinned: Sequence[PinnedDay], rows: int) -> Ints:
    """Return the day of each row, as days since 1970."""
    first = np.datetime64("1970-01-01")
    numbers = [int((np.datetime64(day.day) - first).astype(int)) for day in pinned]
    days = np.repeat(np.asarray(numbers, dtype=np.int64), [day.rows for day in pinned])
    if days.size != rows:
        raise BadData(f"{rows} rows were read where the manifest has {days.size}; the manifest was edited manually")
    return days


def feature_arrays(table: pa.Table, features: Sequence[Feature]) -> dict[str, Array]:
    """Return features as arrays for models.

    Returns
    -------
    dict
        Feature → (n,) floats with NaN for what is missing or not finite (Numeric), or text with None
        (Categorical).

    Raises
    ------
    BadData
        If the type of a column does not fit the spec.
    """
    return {
        feature.name: (
            _numbers(table.column(feature.name), feature.name)
            if feature.type is FeatureType.NUMERIC
            else texts(table.column(feature.name), feature.name)
        )
        for feature in features
    }


def _numbers(values: pa.ChunkedArray, name: str) -> Floats:
    kind = values.type
    if pa.types.is_null(kind):
        return np.full(len(values), np.nan)
    if not is_number(kind):
        raise BadData(
            f"column {name!r} is {kind} and declared Numeric; write it as a number (of a time, such as its hour), "
            "or declare it Categorical"
        )
    if pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        values = values.cast(pa.int8() if pa.types.is_boolean(kind) else pa.float64())
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def texts(values: pa.ChunkedArray, name: str) -> Array:
    """Return a categorical column as text, None for missing values; (n,) of objects.

    Whole numbers of any type are written without a fraction, and true as ``true``.
    """
    kind = values.type
    if pa.types.is_null(kind):
        return np.full(len(values), None, dtype=object)
    if pa.types.is_temporal(kind) or pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise BadData(
            f"column {name!r} is {kind} and used as categories; write the category itself as text, such as the weekday"
        )
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        return np.array([None if value is None else _text(value) for value in values.to_pylist()], dtype=object)
    # One Python object per category, not per row: for five million rows that would be 250 MB.
    coded = values.cast(pa.string()).combine_chunks().dictionary_encode()
    words = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
    indices: Ints = coded.indices.fill_null(len(words) - 1).to_numpy()
    return np.take(words, indices)


def _text(value: Any) -> str | None:
    """Return the text of one category."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | decimal.Decimal):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value == int(value) else str(value)
    return str(value)


def class_names(target: pa.ChunkedArray, name: str) -> list[str]:
    """Return the classes of a target as text, numbers in numeric order; false and true are 0 and 1."""
    distinct = {value for value in _class_texts(target, name) if value is not None}
    try:
        return sorted(distinct, key=float)
    except ValueError:
        return sorted(distinct)


def class_places(target: pa.ChunkedArray, name: str, classes: Sequence[str]) -> Ints:
    """Return the index of each row's class in `classes`, -1 for any other; (n,)."""
    indices = {value: index for index, value in enumerate(classes)}
    return np.array([indices.get(value, -1) for value in _class_texts(target, name)], dtype=np.int64)


def true_values(target: pa.ChunkedArray, name: str) -> Floats:
    """Return the true values of a regression; (n,).

    Raises
    ------
    BadData
        If they are not finite numbers.
    """
    values = _numbers(target, name)
    if np.isnan(values).any():
        raise BadData(f"the target {name!r} has values that are not finite numbers; correct them or leave the rows out")
    return values


def _class_texts(target: pa.ChunkedArray, name: str) -> Array:
    if pa.types.is_boolean(target.type):
        target = target.cast(pa.int8())
    return texts(target, f"{name} (target)")


def check_binary(classes: Sequence[str], name: str) -> None:
    """Raise an error for a binary target with more than two values.

    Raises
    ------
    BadData
        Naming some of them.
    """
    if len(classes) > 2:
        shown = ", ".join(repr(value) for value in classes[:5])
        raise BadData(
            f"the target {name!r} has {len(classes)} values ({shown}…) and model.task is "
            f"{Task.BINARY_CLASSIFICATION}; make it true/false, or set model.task to {Task.MULTICLASS_CLASSIFICATION}"
        )
