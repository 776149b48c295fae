"""Parameter search: scores combinations of a declared space on days after those they were fitted to."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Makes HalvingRandomSearchCV importable, which scikit-learn marks as experimental.
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline

from modelmonitor_api.spec import Estimator, Feature, Metric, Parameter, Search, SearchMethod, Task
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.model.categories import merged
from modelmonitor_trainer.model.columns import frame
from modelmonitor_trainer.model.estimators import build
from modelmonitor_trainer.model.folds import time_folds
from modelmonitor_trainer.model.metrics import Undefined, metric_value, sign
from modelmonitor_trainer.model.pipeline import (
    features_with_values,
    fit_weights,
    refuse_missing,
    without_early_stopping,
)
from modelmonitor_trainer.text import one_line

#: Combinations that are recorded and shown.
_SHOWN = 20
#: Share of the combinations that successive halving keeps, as a divisor.
_FACTOR = 3


@dataclass(frozen=True)
class Candidate:
    """A combination of parameters that was evaluated.

    Attributes
    ----------
    parameters
        Name → value as JSON.
    score
        Mean score over the folds, in units of the metric; NaN if it could not be scored.
    spread
        Standard deviation of the scores.
    """

    parameters: Mapping[str, str]
    score: float
    spread: float


@dataclass(frozen=True)
class SearchResult:
    """Result of a parameter search.

    Attributes
    ----------
    chosen
        The best combination.
    candidates
        The best combinations, best first, starting with the chosen one.
    tried
        Number of combinations that were evaluated.
    seconds
        Duration of the search.
    notes
        Warnings of the library.
    """

    chosen: tuple[Parameter, ...]
    candidates: tuple[Candidate, ...]
    tried: int
    seconds: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON data for the record, without the duration, which is not reproducible."""
        return {
            "tried": self.tried,
            "candidates": [
                {
                    "parameters": dict(candidate.parameters),
                    "score": None if math.isnan(candidate.score) else candidate.score,
                    "spread": None if math.isnan(candidate.spread) else candidate.spread,
                }
                for candidate in self.candidates
            ],
        }


def search(
    estimator: Estimator,
    features: Sequence[Feature],
    task: Task,
    arrays: Mapping[str, Array],
    truth: Array,
    classes: Sequence[str],
    metric: Metric,
    *,
    seed: int,
    days: Ints | None = None,
) -> SearchResult:
    """Search ``estimator.search.space`` for the best combination of parameters.

    Parameters
    ----------
    estimator, features, task, arrays, truth, classes, seed, days
        As for :func:`~modelmonitor_trainer.model.pipeline.fit`.
    metric
        Metric to optimize.

    Returns
    -------
    SearchResult
        The chosen combination and the best others.

    Raises
    ------
    BadConfiguration
        If no search is declared, the space does not fit the estimator, or no combination could be fitted or scored.
    BadData
        As for :func:`~modelmonitor_trainer.model.pipeline.fit`.
    """
    declared = _validate(estimator, features, seed)
    pipeline = build(estimator, features_with_values(features, arrays), seed=seed)
    rows = merged(frame(arrays, features), features)
    refuse_missing(pipeline, rows)
    without_early_stopping(pipeline["model"], truth, classes)
    start = time.monotonic()
    searcher = _searcher(
        declared, pipeline, time_folds(days, len(truth), declared.folds), _scorer(metric, task, len(classes)), seed
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            searcher.fit(rows, truth, **fit_weights(estimator, truth))
        except ValueError as error:
            raise BadConfiguration(
                f"retraining.estimator.search: no combination could be fitted: {one_line(error)}"
            ) from error
    candidates = _candidates(declared, searcher, sign(metric))
    if math.isnan(candidates[0].score):
        raise BadConfiguration(
            f"retraining.estimator.search: no combination could be scored by {metric} on later days of the training "
            "window, which may have a single class; raise retraining.windowDays, or lower search.folds"
        )
    chosen = tuple(Parameter(name=name, value=value) for name, value in candidates[0].parameters.items())
    notes = tuple(dict.fromkeys(one_line(warning.message) for warning in caught))
    tried = len({tuple(map(str, given.values())) for given in searcher.cv_results_["params"]})
    return SearchResult(chosen, candidates[:_SHOWN], tried, time.monotonic() - start, notes)


def check_search(estimator: Estimator, features: Sequence[Feature], *, seed: int) -> None:
    """Validate a search space before any row is read.

    Raises
    ------
    BadConfiguration
        If a parameter or value is invalid, or a grid has too many combinations.
    """
    if estimator.search is not None:
        _validate(estimator, features, seed)


def with_parameters(estimator: Estimator, chosen: Sequence[Parameter]) -> Estimator:
    """Return an estimator with the parameters that a search has chosen, and without its search."""
    return estimator.model_copy(update={"parameters": [*estimator.parameters, *chosen], "search": None})


def _validate(estimator: Estimator, features: Sequence[Feature], seed: int) -> Search:
    declared = estimator.search
    if declared is None:
        raise BadConfiguration("retraining.estimator.search is not set")
    for searched in declared.space:
        for value in searched.values:
            # Validates names and values like those of estimator.parameters, one by one.
            build(with_parameters(estimator, [Parameter(name=searched.name, value=value)]), features, seed=seed)
    if declared.method is SearchMethod.GRID and _size(declared) > declared.candidates:
        raise BadConfiguration(
            f"retraining.estimator.search: the grid has {_size(declared)} combinations, and candidates is "
            f"{declared.candidates}; raise it, use the method Random, or try fewer values"
        )
    return declared


def _size(declared: Search) -> int:
    return math.prod(len(searched.values) for searched in declared.space)


def _searcher(
    declared: Search,
    pipeline: Pipeline,
    folds: list[tuple[Ints, Ints]],
    scorer: Callable[[Pipeline, Any, Array], float],
    seed: int,
) -> Any:
    """Return the unfitted search of scikit-learn; the caller refits the best combination to all rows."""
    space = {f"model__{searched.name}": _decode(searched.values) for searched in declared.space}
    shared: dict[str, Any] = {"scoring": scorer, "cv": folds, "refit": False, "error_score": np.nan}
    count = min(declared.candidates, _size(declared))
    if declared.method is SearchMethod.GRID:
        return GridSearchCV(pipeline, space, **shared)
    if declared.method is SearchMethod.RANDOM:
        return RandomizedSearchCV(pipeline, space, n_iter=count, random_state=seed, **shared)
    return HalvingRandomSearchCV(
        pipeline, space, n_candidates=count, factor=_FACTOR, min_resources="exhaust", random_state=seed, **shared
    )


def _decode(values: Sequence[str]) -> list[Any]:
    return [Parameter(name="value", value=value).decoded() for value in values]


def _scorer(metric: Metric, task: Task, classes: int) -> Callable[[Pipeline, Any, Array], float]:
    """Return a scorer of which larger values are better, and NaN means undefined."""

    def score(pipeline: Pipeline, rows: Any, truth: Array) -> float:
        try:
            return sign(metric) * metric_value(metric, truth, _scores(pipeline, rows, task, classes))
        except Undefined:
            return float("nan")

    return score


def _scores(pipeline: Pipeline, rows: Any, task: Task, classes: int) -> Floats:
    if task is Task.REGRESSION:
        return np.asarray(pipeline.predict(rows), dtype=np.float64)
    probabilities = np.zeros((len(rows), classes))
    # The early days can lack classes.
    probabilities[:, pipeline.classes_] = pipeline.predict_proba(rows)
    return probabilities[:, 1] if task is Task.BINARY_CLASSIFICATION else probabilities


def _candidates(declared: Search, searcher: Any, direction: float) -> tuple[Candidate, ...]:
    """Return the combinations, best first; ties are in the order in which they were evaluated."""
    results = searcher.cv_results_
    text_of = {
        f"model__{searched.name}": dict(zip(map(repr, _decode(searched.values)), searched.values, strict=True))
        for searched in declared.space
    }
    last = results["iter"] == results["iter"].max() if "iter" in results else np.full(len(results["params"]), True)
    candidates = [
        Candidate(
            {name.removeprefix("model__"): text_of[name][repr(value)] for name, value in given.items()},
            direction * float(mean),
            float(spread),
        )
        for given, mean, spread, kept in zip(
            results["params"], results["mean_test_score"], results["std_test_score"], last, strict=True
        )
        # Scores of successive halving are comparable in the last iteration, where all had the same rows.
        if kept
    ]
    return tuple(sorted(candidates, key=lambda each: math.inf if math.isnan(each.score) else -direction * each.score))
