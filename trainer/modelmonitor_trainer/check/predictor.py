"""Predictions of the model in production: logged ones, or those of the champion on the same rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelmonitor_api.outcomes import ModelKind
from modelmonitor_api.spec import ModelMonitorSpec, Task
from modelmonitor_trainer.arrays import Array, Floats
from modelmonitor_trainer.data.text_numbers import numbers_of
from modelmonitor_trainer.errors import BadData, NotFound, UnusableModel
from modelmonitor_trainer.registry.layout import MODEL_FILE
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.text import number

if TYPE_CHECKING:
    from modelmonitor_trainer.registry.model_files import LoadedModel
    from modelmonitor_trainer.registry.records import VersionRecord


@dataclass(frozen=True)
class Predictor:
    """A source of predictions.

    Attributes
    ----------
    columns
        Columns of the rows that it needs.
    classes
        Classes in the order of its scores; empty for a regression.
    scores
        Rows → predictions.
    absent
        Columns of the model that are no longer written, and count as missing.
    model
        Loads the model, once; None for logged predictions.
    fingerprint
        Identifies the model; empty for logged predictions.
    """

    columns: tuple[str, ...]
    classes: tuple[str, ...]
    scores: Callable[[pa.Table], Array]
    absent: tuple[str, ...] = ()
    model: Callable[[], LoadedModel] | None = None
    fingerprint: str = ""

    def without(self, absent: Collection[str]) -> Predictor:
        """Return a predictor that takes columns as missing.

        Raises
        ------
        UnusableModel
            If these are logged predictions.
        """
        missing = tuple(name for name in self.columns if name in absent)
        if not missing:
            return self
        if self.model is None:
            raise UnusableModel(f"the prediction column {missing[0]!r} is not written")
        columns, model = tuple(name for name in self.columns if name not in missing), self.model

        def scores(rows: pa.Table) -> Array:
            return model().predict_scores(rows, absent=missing)

        return replace(self, columns=columns, scores=scores, absent=missing)


def predictor_of(registry: ModelRegistry, spec: ModelMonitorSpec, version: str, *, lazily: bool = False) -> Predictor:
    """Return the logged predictions if there are any, otherwise the champion.

    Parameters
    ----------
    registry, spec
        The monitor.
    version
        The champion.
    lazily
        Whether the model is loaded only when it is needed, which is then when its errors are raised.

    Raises
    ------
    BadConfiguration
        If there are no logged predictions, and the champion is not a built-in model.
    NotFound
        If there is no such version.
    UnusableModel
        If the champion's files are damaged.
    """
    column = spec.model.prediction_column
    if column is not None and spec.model.task is not Task.MULTICLASS_CLASSIFICATION:
        known = registry.find_version(version) if version else None
        # Without a built-in model the outcomes are what the spec requires of a binary target: true/false or 1/0.
        return logged_predictor(column, tuple(known.classes) if known and known.classes else ("0", "1"))
    record = registry.version(version)
    model = cache(partial(_load, registry, record))
    if not lazily or record.kind == ModelKind.CUSTOM:
        model()
    columns = tuple(feature.name for feature in record.features)
    fingerprint = f"{record.version} {_digest(record)}"
    return Predictor(
        columns, tuple(record.classes), lambda rows: model().predict_scores(rows), model=model, fingerprint=fingerprint
    )


#: Digest of a version → the model, of the version that was loaded last: a process that checks a monitor many times
#: loads its champion once.
_LOADED: dict[str, LoadedModel] = {}
#: Largest file in bytes of a model that is kept in memory.
_KEPT = 32 * 1024 * 1024


def _load(registry: ModelRegistry, record: VersionRecord) -> LoadedModel:
    """Return a model, the one in memory if it is the same.

    Raises
    ------
    BadConfiguration
        If a custom trainer made it.
    UnusableModel
        If its files are damaged.
    """
    # scikit-learn takes a second to import, and most checks load no model.
    from modelmonitor_trainer.registry.model_files import load_model

    key = _digest(record)
    model = _LOADED.get(key)
    if model is None:
        model = load_model(registry, record.version)
        _LOADED.clear()
        if sum(stored.size for stored in record.files if stored.name == MODEL_FILE) <= _KEPT:
            _LOADED[key] = model
    return model


def _digest(record: VersionRecord) -> str:
    """Return the digest of a version's record, which holds the digests of its files."""
    return hashlib.sha256(record.model_dump_json().encode()).hexdigest()


def damage_of_model(registry: ModelRegistry, version: str) -> str:
    """Return why the file of a version cannot be used, without loading it; empty if it is what was written."""
    record = registry.find_version(version) if version else None
    if record is None or record.kind == "Custom":
        return ""
    try:
        registry.read_file(record, MODEL_FILE)
    except (BadData, NotFound) as error:
        return f"the champion cannot be used: version {version} cannot be loaded: {error}"
    return ""


def logged_predictor(column: str, classes: Sequence[str] = ("0", "1")) -> Predictor:
    """Return the predictions in a column of the rows."""
    return Predictor((column,), tuple(classes), lambda rows: _logged_predictions(rows.column(column), column))


def _logged_predictions(values: pa.ChunkedArray, name: str) -> Floats:
    try:
        return numbers_of(values.cast(pa.float64()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadData(
            f"the prediction column {name!r} is {values.type}, not numeric; log the score of the positive class, or "
            "the predicted value"
        ) from error


def true_outcomes(target: pa.ChunkedArray, name: str, task: Task, classes: Sequence[str]) -> Array:
    """Return outcomes as indices into `classes` (-1 for an unknown class), or as values; (n,)."""
    from modelmonitor_trainer.data.classes import class_indices
    from modelmonitor_trainer.data.model_arrays import true_values

    if task is Task.REGRESSION:
        return true_values(target, name)
    return class_indices(target, name, classes)


def usable_rows(truth: Array, scores: Array, task: Task) -> Array:
    """Return which rows can be scored; (n,) of booleans.

    Rows of a class that the model does not know, and rows without a finite prediction, cannot.
    """
    usable = np.ones(truth.size, dtype=bool) if task is Task.REGRESSION else truth >= 0
    finite = np.isfinite(scores)
    return usable & (finite if scores.ndim == 1 else finite.all(axis=1))


@dataclass
class Unusable:
    """Labelled rows that cannot be compared with a prediction.

    Attributes
    ----------
    name, task, classes
        The target, and the task and the classes of the model.
    rows
        Number of labelled rows.
    outcomes
        Outcomes that are no classes → their rows.
    predictions
        Number of rows without a finite prediction.
    """

    name: str
    task: Task
    classes: tuple[str, ...]
    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    predictions: int = 0

    def add(self, target: pa.ChunkedArray, scores: Array) -> None:
        """Count the labelled rows of a batch.

        Parameters
        ----------
        target : (n,)
            Outcomes as they are in the data.
        scores : (n,) or (n, k)
            Predictions.
        """
        from modelmonitor_trainer.data.classes import unknown_outcomes

        self.rows += len(target)
        finite = np.isfinite(scores)
        self.predictions += int((~(finite if scores.ndim == 1 else finite.all(axis=1))).sum())
        if self.task is not Task.REGRESSION:
            self.outcomes += unknown_outcomes(target, self.name, self.classes)

    def require_usable(self) -> None:
        """Raise an error if the other rows would give a wrong picture.

        Raises
        ------
        BadData
            If too many outcomes are no classes of the model, or no prediction is usable.
        """
        from modelmonitor_trainer.data.classes import require_known

        require_known(self.outcomes, self.rows, self.name, self.classes, self.task)
        if self.rows and self.predictions == self.rows:
            raise BadData(
                f"the predictions of all {self.rows:,} labelled rows are missing or not finite; check what writes them"
            )

    def note(self) -> str:
        """Return which rows are left out, as the end of a sentence; empty if there are none."""
        from modelmonitor_trainer.data.classes import stray_note

        text = stray_note(self.outcomes, self.classes, self.task)
        if self.predictions:
            text += f"; {self.predictions:,} rows are left out, because their prediction is missing or not finite"
        return text


def require_probabilities(scores: Array) -> None:
    """Raise an error if the scores of a binary task are not probabilities.

    Parameters
    ----------
    scores : (n,)
        Finite.

    Raises
    ------
    BadData
        Naming their range.
    """
    if scores.size and not 0 <= scores.min() <= scores.max() <= 1:
        raise BadData(
            f"the predictions range from {number(scores.min())} to {number(scores.max())}, so they are not "
            "probabilities; log the probability of the positive class"
        )
