"""Rows that are no evidence of their own: copies of others, and rows of the hold-out whose entity was trained on.

Rows are compared by hashes of their features and outcome. In coarse data, such as a few categories, different rows are
equal by chance; there, rows of one day repeat each other as well, and equal rows are no copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import KeyScope, ModelMonitorSpec
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.data.labels import Dataset
from modelmonitor_trainer.data.model_arrays import feature_arrays
from modelmonitor_trainer.model.columns import frame

#: Rows are distinctive if this share of the rows of a usual day differ from each other.
_DISTINCT = 0.99
#: A day is a copy, of another one or of itself, if this share of its rows equals earlier ones: half if written twice.
_COPIED_DAY = 0.4
#: If more than this share of the days are copies, that is how these data are, such as snapshots of things that hardly
#: change.
_MAX_COPIES = 0.5
#: Hash of NULL.
_NULL = np.uint64(0)


@dataclass(frozen=True)
class Fingerprints:
    """Hashes of rows.

    Attributes
    ----------
    rows : (n,)
        Hash of the features and the outcome of each row.
    entities : (n,)
        Hash of the group or key of each row; empty if there is neither.
    days : (n,)
        Day of each row.
    filled : (n,)
        Whether a row has a number, if there are numeric features: rows of missing values are equal by chance.
    """

    rows: Array
    entities: Array
    days: Array
    filled: Array

    @classmethod
    def of(cls, dataset: Dataset, spec: ModelMonitorSpec) -> Fingerprints:
        """Return the hashes of the rows of a data set."""
        if not dataset.rows:
            nothing = np.zeros(0, dtype=np.uint64)
            return cls(nothing, nothing, dataset.days, nothing.astype(bool))
        features = frame(feature_arrays(dataset.table, spec.model.features), spec.model.features)
        rows = pd.util.hash_pandas_object(features, index=False).to_numpy() ^ (_hashes(dataset.target) >> np.uint64(1))
        entities = np.zeros(0, dtype=np.uint64) if dataset.entities is None else _hashes(dataset.entities)
        numbers = features.select_dtypes("number")
        filled = numbers.notna().any(axis=1).to_numpy() if numbers.shape[1] else np.ones(len(rows), dtype=bool)
        return cls(rows, entities, dataset.days, filled)

    @classmethod
    def concatenated(cls, parts: Sequence[Fingerprints]) -> Fingerprints:
        """Return the hashes of the rows of several data sets."""
        names = ("rows", "entities", "days", "filled")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Seen:
    """Rows of the hold-out that were trained on, and copies.

    Attributes
    ----------
    column
        Column of the entities.
    entities, copies
        Rows that are left out because their entity was trained on, and because they are copies.
    ungrouped
        Rows that are left out because they have no group: nothing shows that it was not trained on.
    notes
        Sentences on rows that are not left out.
    training_copies
        Rows of the training window that are left out because they are copies of earlier ones.
    """

    column: str = ""
    entities: int = 0
    copies: int = 0
    ungrouped: int = 0
    notes: tuple[str, ...] = field(default=())
    training_copies: int = 0


def without_seen_rows(spec: ModelMonitorSpec, train: Fingerprints, holdout: Dataset) -> tuple[Dataset, Seen]:
    """Return the hold-out without the rows that were trained on, and how many these are."""
    later = Fingerprints.of(holdout, spec)
    labels, group = spec.data.labels, spec.data.group_column
    copied = _copies(train, later)
    known = np.isin(later.entities, train.entities) if later.entities.size else np.zeros(holdout.rows, dtype=bool)
    column = group or (labels.join_key if labels else "")
    notes: tuple[str, ...] = ()
    if group is None:
        if labels is not None and labels.key_scope is KeyScope.WINDOW:
            copied |= known  # the same row once more
        elif known.any():
            note = (
                f"{int(known.sum()):,} of {holdout.rows:,} hold-out rows are of a {column!r} that was trained on; set "
                "data.groupColumn to compare on others only."
            )
            notes = (note,)
        known = np.zeros(holdout.rows, dtype=bool)
    ungrouped = np.zeros(holdout.rows, dtype=bool)
    if group is not None and later.entities.size:
        ungrouped = later.entities == _NULL
    known &= ~ungrouped
    copied &= ~known & ~ungrouped
    seen = Seen(column, int(known.sum()), int(copied.sum()), int(ungrouped.sum()), notes)
    known |= ungrouped
    return holdout.filter(~(known | copied)), seen


def copies_within(train: Fingerprints) -> Array:
    """Return which training rows are copies of earlier ones: of a day that was written twice, or as another day; (n,).

    Only days that consist of them to a large part count: elsewhere rows are equal by chance. None count if rows are
    not distinctive, or if most days are copies.
    """
    copied = _repeats(train) & train.filled
    if not copied.any():
        return copied
    _, day_index, counts = np.unique(train.days, return_inverse=True, return_counts=True)
    is_copy = np.bincount(day_index, weights=copied) / counts >= _COPIED_DAY
    for index in np.flatnonzero(is_copy):
        is_copy[index] = _are_equally_often(train.rows[day_index == index])
    if not is_copy.any() or is_copy.mean() > _MAX_COPIES or not _is_distinctive(train):
        return np.zeros(copied.size, dtype=bool)
    return copied & is_copy[day_index]


def _are_equally_often(rows: Array) -> bool:
    """Whether different rows of a day occur equally often: once, or as often as it was written. Coarse rows do not."""
    counts = np.unique(rows, return_counts=True)[1]
    return bool((counts == np.median(counts)).mean() >= _DISTINCT)


def without_copies(train: Dataset, spec: ModelMonitorSpec) -> Dataset:
    """Return the rows of a window to train on, without those that equal an earlier one."""
    return train.filter(~copies_within(Fingerprints.of(train, spec))) if train.rows else train


def _repeats(rows: Fingerprints) -> Array:
    """Return which rows equal one before them."""
    repeated = np.ones(rows.rows.size, dtype=bool)
    repeated[np.unique(rows.rows, return_index=True)[1]] = False
    return repeated


def _copies(train: Fingerprints, later: Fingerprints) -> Array:
    """Return which later rows equal a training row or an earlier one of them; none if rows are not distinctive."""
    copied: Array = (_repeats(later) | np.isin(later.rows, train.rows)) & later.filled
    if not copied.any() or not _is_distinctive(Fingerprints.concatenated([train, later])):
        return np.zeros(later.rows.size, dtype=bool)
    return copied


def _is_distinctive(rows: Fingerprints) -> bool:
    order = np.lexsort([rows.rows, rows.days])
    hashes, days = rows.rows[order], rows.days[order]
    new = np.ones(order.size, dtype=bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (days[1:] != days[:-1])
    _, day_index, counts = np.unique(days, return_inverse=True, return_counts=True)
    return bool(np.median(np.bincount(day_index, weights=new) / counts) >= _DISTINCT)


def _hashes(values: pa.ChunkedArray) -> Array:
    """Return a hash of each value; that of NULL is one as well."""
    coded = values.combine_chunks()
    coded = coded if pa.types.is_dictionary(coded.type) else coded.dictionary_encode()
    words = pc.cast(coded.dictionary, pa.string()).to_numpy(zero_copy_only=False)
    distinct = np.append(pd.util.hash_array(words.astype(object)), _NULL).astype(np.uint64)
    codes: Array = coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False).astype(np.int64)
    return distinct[codes]
