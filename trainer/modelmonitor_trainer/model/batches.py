"""Training in batches: an estimator that learns step by step sees a window that does not fit into memory.

The steps before the estimator are fitted to a sample of the window and stay as they are; the estimator takes the rows
of all days, batch by batch, in several passes. Same batches, sample and seed give the same model.
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
from modelmonitor_trainer.model.columns import frame
from modelmonitor_trainer.model.pipeline import Model, build, checked_parameters, one_line, refuse_missing, with_values

#: Estimators that learn from one batch after another, whatever came before.
STREAMING = (EstimatorName.SGD_CLASSIFIER, EstimatorName.SGD_REGRESSOR)
#: Steps of gradient descent after which further passes over the rows add little (scikit-learn's user guide has 10⁶).
_STEPS = 2_000_000
_FEWEST_PASSES, _MOST_PASSES = 2, 20


@dataclass(frozen=True)
class Batch:
    """Some rows.

    Attributes
    ----------
    arrays
        Feature → (n,) values.
    truth : (n,)
        Places of classes, or values.
    """

    arrays: Mapping[str, Array]
    truth: Array


@dataclass(frozen=True)
class Source:
    """Rows that are read again for every pass.

    Attributes
    ----------
    count
        How many batches there are.
    read
        Number of a batch → its rows.
    rows
        Of all batches.
    class_counts : (k,)
        Rows of each class; empty for a regression.
    """

    count: int
    read: Callable[[int], Batch]
    rows: int
    class_counts: Ints


def why_not_in_batches(estimator: Estimator) -> str | None:
    """Return why an estimator cannot be trained in batches, as the end of a sentence; None where it can."""
    if estimator.name not in STREAMING:
        return f"{estimator.name} needs all rows at once ({' and '.join(STREAMING)} learn in batches)"
    if estimator.search is not None:
        return "a search needs all rows at once (retraining.estimator.search)"
    if estimator.calibration is not Calibration.NONE:
        return "a calibration needs its rows at once (retraining.estimator.calibration)"
    if estimator.preprocessing.categorical_encoding is CategoricalEncoding.TARGET:
        return "a target encoding needs the outcomes of all rows (preprocessing.categoricalEncoding)"
    if checked_parameters(estimator).get("early_stopping"):
        return "early_stopping sets rows aside, which batches cannot (retraining.estimator.parameters)"
    return None


def passes_over(rows: int) -> int:
    """Return how often the rows are gone through.

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
    """Return the declared estimator, fitted batch by batch.

    Parameters
    ----------
    estimator, features, task, classes, seed
        As for :func:`~modelmonitor_trainer.model.pipeline.fit`.
    sample
        Feature → (m,) values of rows of the whole window, which the steps before the estimator are fitted to.
    source
        All rows.

    Raises
    ------
    BadConfiguration
        If the estimator cannot be trained in batches, with what to change.
    BadData
        If there are missing numbers and no step replaces them, or no feature has any value in the sample.
    """
    why = why_not_in_batches(estimator)
    if why is not None:
        raise BadConfiguration(f"the rows cannot be trained on in batches: {why}")
    used = with_values(features, sample)
    pipeline = build(estimator, used, seed=seed)
    columns, inner = pipeline["columns"], pipeline["model"]
    weight_of = _class_weights(estimator, source.class_counts)
    places = np.arange(source.class_counts.size)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            columns.fit(frame(sample, features))
            for arrays, truth, order in _shuffled(source, seed):
                rows = frame(arrays, features)
                refuse_missing(pipeline, rows)
                _learn(inner, columns.transform(rows)[order], truth[order], places, weight_of)
        except ValueError as error:
            raise BadConfiguration(
                f"{estimator.name} cannot be fitted: {one_line(error)}. Change retraining.estimator, or the data"
            ) from error
    ignored = tuple(feature.name for feature in features if feature not in used)
    notes = dict.fromkeys(one_line(warning.message) for warning in said)
    kept = tuple(text for text in notes if not text.startswith("Found unknown categories"))
    return Model(pipeline, tuple(features), task, tuple(classes), ignored, kept)


def _shuffled(source: Source, seed: int) -> Iterator[tuple[Mapping[str, Array], Array, Ints]]:
    """Yield all batches in every pass: in another order each, and their rows too."""
    for number in range(passes_over(source.rows)):
        generator = np.random.default_rng([seed, number])
        for place in generator.permutation(source.count):
            batch = source.read(int(place))
            if len(batch.truth):
                yield batch.arrays, batch.truth, generator.permutation(len(batch.truth))


def _class_weights(estimator: Estimator, counts: Ints) -> Floats | None:
    """Return the weight of each class that makes all count the same; as scikit-learn's "balanced"."""
    if estimator.class_weights is ClassWeights.NONE:
        return None
    return np.asarray(counts.sum() / (counts.size * counts))


def _learn(inner: Any, numbers: Array, truth: Array, places: Ints, weight_of: Floats | None) -> None:
    if not places.size:
        inner.partial_fit(numbers, truth)
        return
    # A batch of early days may lack a class; the first one says which there are.
    inner.partial_fit(numbers, truth, classes=places, sample_weight=None if weight_of is None else weight_of[truth])
