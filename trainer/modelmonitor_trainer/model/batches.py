"""Out-of-core training: incremental estimators are fitted in batches to a window that does not fit into memory.

Preprocessing is fitted to a sample of the window and then fixed; the estimator is fitted to all rows, batch by batch,
in several passes. The same batches, sample and seed give the same model.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelmonitor_api.spec import (
    Calibration,
    CategoricalEncoding,
    ClassWeights,
    Estimator,
    EstimatorName,
    Feature,
    Task,
)
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.model.categories import merged, respelled
from modelmonitor_trainer.model.columns import frame
from modelmonitor_trainer.model.estimators import build, checked_parameters
from modelmonitor_trainer.model.pipeline import (
    UNKNOWN_CATEGORIES,
    Model,
    features_with_values,
    refuse_missing,
)
from modelmonitor_trainer.text import one_line

#: Estimators with ``partial_fit``.
STREAMING = (EstimatorName.SGD_CLASSIFIER, EstimatorName.SGD_REGRESSOR)
#: Steps of gradient descent after which further passes add little (scikit-learn's user guide recommends 10⁶).
_STEPS = 2_000_000
_FEWEST_PASSES, _MOST_PASSES = 2, 20


@dataclass(frozen=True)
class Batch:
    """Rows of one batch.

    Attributes
    ----------
    arrays
        Feature → values, (n,).
    truth : (n,)
        Class indices, or values.
    """

    arrays: Mapping[str, Array]
    truth: Array


@dataclass(frozen=True)
class Source:
    """Batches of rows, which are read again in every pass.

    Attributes
    ----------
    count
        Number of batches.
    read
        Index of a batch → its rows.
    rows
        Number of rows in all batches.
    class_counts : (k,)
        Number of rows of each class; empty for a regression.
    """

    count: int
    read: Callable[[int], Batch]
    rows: int
    class_counts: Ints


def why_not_in_batches(estimator: Estimator) -> str | None:
    """Return why an estimator cannot be trained in batches, as part of a sentence; None if it can."""
    if estimator.name not in STREAMING:
        return f"{estimator.name} needs all rows at once ({' and '.join(STREAMING)} can be trained in batches)"
    if estimator.search is not None:
        return "a parameter search needs all rows at once (retraining.estimator.search)"
    if estimator.calibration is not Calibration.NONE:
        return "calibration needs all of its rows at once (retraining.estimator.calibration)"
    if estimator.preprocessing.categorical_encoding is CategoricalEncoding.TARGET:
        return "target encoding needs the outcomes of all rows at once (preprocessing.categoricalEncoding)"
    if checked_parameters(estimator).get("early_stopping"):
        return "early_stopping needs a validation set, which batches do not have (retraining.estimator.parameters)"
    return None


def passes_over(rows: int) -> int:
    """Return the number of passes over the rows.

    >>> passes_over(5_000_000), passes_over(500_000), passes_over(1000)
    (2, 4, 20)
    """
    return min(_MOST_PASSES, max(_FEWEST_PASSES, math.ceil(_STEPS / max(1, rows))))


def fit_in_batches(
    estimator: Estimator,
    features: Sequence[Feature],
    task: Task,
    sample: Mapping[str, Array],
    source: Source,
    classes: Sequence[str],
    *,
    seed: int,
) -> Model:
    """Fit the declared estimator in batches.

    Parameters
    ----------
    estimator, features, task, classes, seed
        As for :func:`~modelmonitor_trainer.model.pipeline.fit`.
    sample
        Feature → values of a sample of the whole window, (m,), to which the preprocessing is fitted.
    source
        All rows.

    Returns
    -------
    Model
        The fitted model.

    Raises
    ------
    BadConfiguration
        If the estimator cannot be trained in batches.
    BadData
        If there are missing numbers that are not imputed, or no feature has any value in the sample.
    """
    obstacle = why_not_in_batches(estimator)
    if obstacle is not None:
        raise BadConfiguration(f"{estimator.name} cannot be trained in batches: {obstacle}")
    used = features_with_values(features, sample)
    pipeline = build(estimator, used, seed=seed)
    columns, inner = pipeline["columns"], pipeline["model"]
    class_weights = _class_weights(estimator, source.class_counts)
    classes_seen = np.arange(source.class_counts.size)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            columns.fit(merged(frame(sample, features), features))
            for arrays, truth, order in _shuffle_batches(source, seed):
                rows = respelled(frame(arrays, features), columns)
                refuse_missing(pipeline, rows)
                _partial_fit(inner, columns.transform(rows)[order], truth[order], classes_seen, class_weights)
        except ValueError as error:
            raise BadConfiguration(
                f"{estimator.name} cannot be fitted: {one_line(error)}; change retraining.estimator, or the data"
            ) from error
    ignored = tuple(feature.name for feature in features if feature not in used)
    notes = dict.fromkeys(one_line(warning.message) for warning in caught)
    relevant = tuple(note for note in notes if not note.startswith(UNKNOWN_CATEGORIES))
    return Model(pipeline, tuple(features), task, tuple(classes), ignored, relevant)


def _shuffle_batches(source: Source, seed: int) -> Iterator[tuple[Mapping[str, Array], Array, Ints]]:
    """Yield the batches of every pass in a random order, each with a random order of its rows."""
    for number in range(passes_over(source.rows)):
        generator = np.random.default_rng([seed, number])
        for index in generator.permutation(source.count):
            batch = source.read(int(index))
            if len(batch.truth):
                yield batch.arrays, batch.truth, generator.permutation(len(batch.truth))


def _class_weights(estimator: Estimator, counts: Ints) -> Floats | None:
    """Return the weight of each class, (k,), as scikit-learn's "balanced"; None for equal weights of rows."""
    if estimator.class_weights is ClassWeights.NONE:
        return None
    return np.asarray(counts.sum() / (counts.size * counts))


def _partial_fit(inner: Any, numbers: Array, truth: Array, classes: Ints, class_weights: Floats | None) -> None:
    if not classes.size:
        inner.partial_fit(numbers, truth)
        return
    # A batch can lack a class, so the first call names all of them.
    weights = None if class_weights is None else class_weights[truth]
    inner.partial_fit(numbers, truth, classes=classes, sample_weight=weights)
