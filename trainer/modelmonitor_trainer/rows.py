"""Labelled rows: features joined with their outcomes by key, and what could not be joined, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from modelmonitor_api.spec import FeatureType, ModelMonitorSpec, Task
from modelmonitor_trainer.failures import BadData
from modelmonitor_trainer.storage import ObjectInfo, Store
from modelmonitor_trainer.tables import is_number, read_table


@dataclass(frozen=True)
class LabelledRows:
    """Rows whose outcome is known.

    Attributes
    ----------
    features
        One column a feature of the model, in the order of the spec: float64 (NaN for NULL) or object
        (text, None for NULL). Shape (rows, features).
    target
        Outcomes, shape (rows,): bool, text or float64 by the task.
    slices
        One column of text a slice, shape (rows, slices).
    unmatched
        Rows without an outcome.
    duplicates
        Labels that repeat a key; the first counts.
    """

    features: pd.DataFrame
    target: npt.NDArray[np.generic]
    slices: pd.DataFrame
    unmatched: int
    duplicates: int

    def __len__(self) -> int:
        return len(self.features)


def read_labelled(
    store: Store, spec: ModelMonitorSpec, features: Sequence[ObjectInfo], labels: Sequence[ObjectInfo]
) -> LabelledRows:
    """Read rows and join them with their outcomes.

    Parameters
    ----------
    store, spec
        Where they are, and which columns.
    features, labels
        Objects as frozen; a replaced one raises ObjectChanged. `labels` is ignored where the target is a
        column of the live rows.

    Raises
    ------
    BadData
        If a column is missing or has a type that its declaration does not allow.
    """
    model, joined = spec.model, spec.data.labels
    names = [feature.name for feature in model.features]
    texts = [feature.name for feature in model.features if feature.type is FeatureType.CATEGORICAL]
    extra = [joined.join_key] if joined else [model.target]
    table = read_table(
        store, features, list(dict.fromkeys([*names, *model.slices, *extra])), spec.data.format, text=texts
    )
    frame = pd.DataFrame({name: _feature(table, name, name in texts) for name in names})
    slices = pd.DataFrame({name: _text(table.column(name)) for name in model.slices}, index=frame.index)
    duplicates = 0
    if joined is None:
        outcome = pd.Series(_objects(table.column(model.target)), index=frame.index)
    else:
        known = read_table(store, labels, [joined.join_key, model.target], spec.data.format)
        by_key = pd.Series(_objects(known.column(model.target)), index=_objects(known.column(joined.join_key)))
        first = ~by_key.index.duplicated()
        duplicates = int((~first).sum())
        outcome = by_key[first].reindex(_objects(table.column(joined.join_key)))
        outcome.index = frame.index
    there = outcome.notna().to_numpy()
    return LabelledRows(
        features=frame[there].reset_index(drop=True),
        target=_target(outcome[there], spec),
        slices=slices[there].reset_index(drop=True),
        unmatched=int((~there).sum()),
        duplicates=duplicates,
    )


def _feature(table: pa.Table, name: str, categorical: bool) -> pd.Series:
    column = table.column(name)
    if categorical:
        return pd.Series(_text(column), dtype=object)
    if pa.types.is_null(column.type):
        return pd.Series(np.full(len(column), np.nan))
    if not is_number(column.type):
        raise BadData(
            f"feature {name!r} is declared Numeric, and its column is {column.type}; declare it Categorical or write "
            "it as numbers"
        )
    return pd.Series(column.cast(pa.float64(), safe=False).to_pandas().to_numpy(dtype=np.float64, na_value=np.nan))


def _text(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """Return a column as text; numbers and booleans as categories are written out."""
    return np.array(column.cast(pa.string()).to_pylist(), dtype=object)


def _objects(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    values = np.empty(len(column), dtype=object)
    values[:] = column.to_pylist()
    return values


def _target(outcome: pd.Series, spec: ModelMonitorSpec) -> npt.NDArray[np.generic]:
    if spec.model.task is Task.REGRESSION:
        return outcome.to_numpy(dtype=np.float64)
    if spec.model.task is Task.MULTICLASS_CLASSIFICATION:
        return outcome.astype(str).to_numpy(dtype=np.str_)
    values = sorted(outcome.unique().tolist())
    if len(values) > 2:
        raise BadData(
            f"target {spec.model.target!r} has {len(values)} values, and the task is BinaryClassification; correct "
            "spec.model.task, or the labels"
        )
    positive = values[-1] if len(values) == 2 or values[-1:] in ([True], [1]) else object()
    return (outcome == positive).to_numpy(dtype=np.bool_)
