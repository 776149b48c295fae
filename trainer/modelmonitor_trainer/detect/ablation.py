"""Ablation: which relationships to the target broke, by small models on one or two features and without each.

Models are fitted on parts of the reference and scored on the part left out and on the current rows, each current row
by one of the same models, so that both sides are scored by models of equal strength. What a set of features explains
is the share by which it reduces the loss (log loss, squared error) of the side's mean outcome, so that a change of the
share of positives alone has little effect:

* single features and pairs of the best of them: explained now, less explained before;
* without a feature: what it adds to all others, now less before.

The test is one-sided: if one relationship breaks, the other features explain more of the rest. Losses are compared by
means over rows with days as clusters (see
:mod:`~modelmonitor_trainer.detect.bias`), their difference by Welch's t. The leave-one-out idea is that of
J. Lei, M. G'Sell, A. Rinaldo, R. Tibshirani, L. Wasserman, Distribution-free predictive inference for
regression, 2018, section 6 (LOCO).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import special

from modelmonitor_trainer.arrays import Array, Floats
from modelmonitor_trainer.detect.bias import clustered_mean, independent_mean
from modelmonitor_trainer.detect.hypotheses import ABLATION, Hypothesis, HypothesisFamily, family

#: Sides with fewer labelled rows are not compared.
MIN_ROWS = 500
#: Parts of the reference; days stay together if there are enough.
FOLDS = 3
#: Maximum number of single features, and number of the best ones that are paired.
MAX_FEATURES, PAIRED = 30, 3
_CATEGORIES = 50
_FLOOR = 1e-6


@dataclass(frozen=True)
class Labelled:
    """Rows with an outcome.

    Attributes
    ----------
    columns
        Feature → (n,) floats with NaN, or text with None.
    truth : (n,)
        Indices of the classes, or values.
    days : (n,)
        Number of the cluster of each row.
    """

    columns: dict[str, Array]
    truth: Floats
    days: Array


@dataclass(frozen=True)
class _Sides:
    """Encoded rows of both sides, their parts, and the losses of their mean outcome."""

    matrices: tuple[Floats, Floats]
    truths: tuple[Floats, Floats]
    days: tuple[Array, Array]
    parts: tuple[Array, Array]
    constant: tuple[Floats, Floats]
    classes: int
    categorical: tuple[bool, ...]


def find_broken_relations(
    detector: str, reference: Labelled, current: Labelled, *, classes: int, independent: bool = False
) -> list[HypothesisFamily]:
    """Return which relationships of features to the target have changed.

    Parameters
    ----------
    detector
        Its name.
    reference, current
        Rows of the same columns.
    classes
        Number of classes; 0 for values.
    independent
        Whether rows are independent of each other, so that days differ by chance alone.
    """
    test = HypothesisFamily(detector, ABLATION, "explained share of the loss")
    sizes = [int(side.truth.size) for side in (reference, current)]
    if min(sizes) < MIN_ROWS:
        text = f"{sizes[0]:,} and {sizes[1]:,} labelled rows; {MIN_ROWS} are needed on both sides"
        return [HypothesisFamily(**(vars(test) | {"message": text}))]
    if any(np.unique(side.truth).size < 2 for side in (reference, current)):
        return [HypothesisFamily(**(vars(test) | {"message": "all rows of a side have the same outcome"}))]
    names = _usable(reference)[:MAX_FEATURES]
    if not names:
        return [HypothesisFamily(**(vars(test) | {"message": "no feature has values throughout the reference"}))]
    # The limit applies only to libraries that are loaded by then.
    import sklearn.ensemble  # noqa: F401 - loads its libraries
    from threadpoolctl import threadpool_limits

    # Models this small are slower with several threads, especially on shared cores.
    with threadpool_limits(1):
        subjects = _compare(names, reference, current, classes, independent=independent)
    text = f"{len(subjects)} comparisons of small models on {sizes[0]:,} and {sizes[1]:,} labelled rows"
    return [HypothesisFamily(**(vars(family(test, subjects)) | {"message": text}))]


def _usable(reference: Labelled) -> list[str]:
    """Return the features that a model can be fitted on: with values in all rows that a model is fitted to."""
    parts = _parts(reference.days)
    return [
        name
        for name, values in reference.columns.items()
        if all(_has_values(values[parts != part]) for part in range(FOLDS))
    ]


def _has_values(values: Array) -> bool:
    if values.dtype.kind == "f":
        return not bool(np.isnan(values).all())
    return any(value is not None for value in values)


def _compare(
    names: Sequence[str], reference: Labelled, current: Labelled, classes: int, *, independent: bool
) -> list[Hypothesis]:
    sides = _prepare(names, reference, current, classes)
    alone = {name: _gains(sides, [index]) for index, name in enumerate(names)}
    best = sorted(names, key=lambda name: -float(alone[name][0].mean()))[:PAIRED]
    gains = [(f"{name} alone", *alone[name]) for name in names]
    for one, other in combinations(best if len(names) > 2 else [], 2):
        gains.append((f"{one} with {other}", *_gains(sides, [names.index(one), names.index(other)])))
    if len(names) > 1:
        everything = _gains(sides, list(range(len(names))))
        for index, name in enumerate(names):
            without = _gains(sides, [other for other in range(len(names)) if other != index])
            gains.append((f"what {name} adds", everything[0] - without[0], everything[1] - without[1]))
    return [_subject(name, sides, (before, now), independent=independent) for name, before, now in gains]


def _prepare(names: Sequence[str], reference: Labelled, current: Labelled, classes: int) -> _Sides:
    encoded, categorical = [], []
    for name in names:
        one, other, is_category = _encode(reference.columns[name], current.columns[name])
        encoded.append((one, other))
        categorical.append(is_category)
    both = tuple(np.column_stack([pair[side] for pair in encoded]) for side in (0, 1))
    truths = (reference.truth, current.truth)
    return _Sides(
        matrices=(both[0], both[1]),
        truths=truths,
        days=(reference.days, current.days),
        parts=(_parts(reference.days), _parts(current.days)),
        constant=(_constant_loss(truths[0], classes), _constant_loss(truths[1], classes)),
        classes=classes,
        categorical=tuple(categorical),
    )


def _encode(reference: Array, current: Array) -> tuple[Floats, Floats, bool]:
    """Return a column as numbers: categories by their rank of frequency in the reference, others as missing."""
    if reference.dtype.kind == "f":
        return reference, current, False
    known = np.array([value for value in reference if value is not None], dtype=object).astype(str)
    values, counts = np.unique(known, return_counts=True)
    order = np.lexsort((values, -counts))[:_CATEGORIES]
    rank_of = {str(values[index]): float(rank) for rank, index in enumerate(order)}
    one, other = (
        np.array([rank_of.get(str(value), np.nan) if value is not None else np.nan for value in side], dtype=np.float64)
        for side in (reference, current)
    )
    return one, other, bool(rank_of)


def _parts(days: Array) -> Array:
    """Return the part of each row: whole clusters if there are enough of them."""
    distinct, which = np.unique(days, return_inverse=True)
    return np.asarray((which if distinct.size >= 2 * FOLDS else np.arange(days.size)) % FOLDS)


def _gains(sides: _Sides, chosen: Sequence[int]) -> tuple[Floats, Floats]:
    """Return for each row how much lower its loss is than that of the mean outcome, in units of that loss."""
    losses = [np.full(truth.size, np.nan) for truth in sides.truths]
    for part in range(FOLDS):
        fit = sides.parts[0] != part
        model = _model(sides.classes, [sides.categorical[index] for index in chosen])
        model.fit(sides.matrices[0][fit][:, chosen], sides.truths[0][fit])
        for side in (0, 1):
            rows = sides.parts[side] == part
            if rows.any():
                matrix = sides.matrices[side][rows][:, chosen]
                losses[side][rows] = _loss(model, matrix, sides.truths[side][rows], sides.classes)
    before, now = (
        (constant - loss) / max(float(constant.mean()), _FLOOR)
        for constant, loss in zip(sides.constant, losses, strict=True)
    )
    return before, now


def _model(classes: int, categorical: Sequence[bool]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    model = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return model(
        max_iter=40,
        max_leaf_nodes=8,
        min_samples_leaf=50,
        learning_rate=0.15,
        early_stopping=False,
        categorical_features=list(categorical) if any(categorical) else None,
        random_state=0,
    )


def _loss(model: Any, matrix: Floats, truth: Floats, classes: int) -> Floats:
    if not classes:
        return np.asarray(np.square(model.predict(matrix) - truth), dtype=np.float64)
    scores = model.predict_proba(matrix)
    index = np.searchsorted(model.classes_, truth)
    known = (index < model.classes_.size) & (model.classes_[np.minimum(index, model.classes_.size - 1)] == truth)
    predicted = np.where(known, scores[np.arange(truth.size), np.minimum(index, model.classes_.size - 1)], 0.0)
    # A class that the fitted parts do not contain must not dominate the mean.
    return np.asarray(-np.log(np.clip(predicted, 1e-3, 1.0)), dtype=np.float64)


def _constant_loss(truth: Floats, classes: int) -> Floats:
    if not classes:
        return np.asarray(np.square(truth - truth.mean()), dtype=np.float64)
    shares = np.bincount(truth.astype(np.int64), minlength=classes) / truth.size
    return np.asarray(-np.log(np.clip(shares[truth.astype(np.int64)], 1e-3, 1.0)), dtype=np.float64)


def _subject(name: str, sides: _Sides, gains: tuple[Floats, Floats], *, independent: bool) -> Hypothesis:
    (before, error_r, freedom_r), (now, error_c, freedom_c) = (
        independent_mean(gain) if independent else clustered_mean(gain, days)
        for gain, days in zip(gains, sides.days, strict=True)
    )
    change, variance = now - before, error_r**2 + error_c**2
    error = float(np.sqrt(variance))
    if not error:
        return Hypothesis(name, before, now, change, change, change, 1.0)
    # Welch and Satterthwaite.
    freedom = variance**2 / (error_r**4 / freedom_r + error_c**4 / freedom_c)
    # One-sided: if one relationship breaks, what other features explain grows.
    p_value = float(special.stdtr(freedom, change / error))
    half = float(special.stdtrit(freedom, 0.975)) * error
    return Hypothesis(name, before, now, change, change - half, change + half, p_value)
