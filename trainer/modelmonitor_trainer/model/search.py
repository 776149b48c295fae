"""The search for parameters: combinations of a declared space, scored on days after those they were fitted to."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Makes HalvingRandomSearchCV importable, which scikit-learn still counts as an experiment.
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline

from modelmonitor_api.spec import Estimator, Feature, Metric, Parameter, Search, SearchMethod, Task
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.model.columns import frame
from modelmonitor_trainer.model.folds import time_folds
from modelmonitor_trainer.model.metrics import Undefined, score_places, sign
from modelmonitor_trainer.model.pipeline import build, one_line, refuse_missing, weights, with_values

#: Combinations that are kept for the record and shown.
_SHOWN = 20
_FACTOR = 3


@dataclass(frozen=True)
class Candidate:
    """A combination that was tried.

    Attributes
    ----------
    parameters
        Name → value in JSON.
    score
        Mean of its scores, NaN where it could not be scored.
    spread
        Standard deviation of its scores.
    """

    parameters: Mapping[str, str]
    score: float
    spread: float


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    chosen
        The best combination.
    candidates
        The best that were tried, best first; the chosen one is the first of them.
    tried
        How many were tried.
    seconds
        How long it took.
    notes
        What the library had to say.
    """

    chosen: tuple[Parameter, ...]
    candidates: tuple[Candidate, ...]
    tried: int
    seconds: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, for the record; without the time, which differs every time."""
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
) -> Found:
    """Return the best combination of ``estimator.search``.

    Parameters
    ----------
    estimator, features, task, arrays, truth, classes, seed, days
        As for :func:`~modelmonitor_trainer.model.pipeline.fit`.
    metric
        What it is scored by.

    Raises
    ------
    BadConfiguration
        If there is nothing to search, the space does not fit the estimator, or no combination could be fitted or
        scored.
    BadData
        If the rows cannot be used.
    """
    declared = _checked(estimator, features, seed)
    pipeline = build(estimator, with_values(features, arrays), seed=seed)
    rows = frame(arrays, features)
    refuse_missing(pipeline, rows)
    begun = time.monotonic()
    looking = _method(
        declared, pipeline, time_folds(days, len(truth), declared.folds), _scorer(metric, task, len(classes)), seed
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            looking.fit(rows, truth, **weights(estimator, truth))
        except ValueError as error:
            raise BadConfiguration(
                f"retraining.estimator.search: no combination could be fitted: {one_line(error)}"
            ) from error
    candidates = _candidates(declared, looking, sign(metric))
    if math.isnan(candidates[0].score):
        raise BadConfiguration(
            f"retraining.estimator.search: no combination could be scored by {metric} on later days of the training "
            "window, which may hold one class only; raise retraining.windowDays, or lower search.folds"
        )
    chosen = tuple(Parameter(name=name, value=value) for name, value in candidates[0].parameters.items())
    notes = tuple(dict.fromkeys(one_line(warning.message) for warning in said))
    tried = len({tuple(map(str, given.values())) for given in looking.cv_results_["params"]})
    return Found(chosen, candidates[:_SHOWN], tried, time.monotonic() - begun, notes)


def check_search(estimator: Estimator, features: Sequence[Feature], *, seed: int) -> None:
    """Refuse a search space that cannot be used before any row is read.

    Raises
    ------
    BadConfiguration
        Naming the parameter, or how many combinations there are.
    """
    if estimator.search is not None:
        _checked(estimator, features, seed)


def with_parameters(estimator: Estimator, chosen: Sequence[Parameter]) -> Estimator:
    """Return an estimator with parameters that a search has chosen among its own."""
    return estimator.model_copy(update={"parameters": [*estimator.parameters, *chosen], "search": None})


def _checked(estimator: Estimator, features: Sequence[Feature], seed: int) -> Search:
    declared = estimator.search
    if declared is None:
        raise BadConfiguration("retraining.estimator.search is not set, so there is nothing to search")
    for searched in declared.space:
        for value in searched.values:
            # Refuses names and values as those of estimator.parameters, one by one.
            build(with_parameters(estimator, [Parameter(name=searched.name, value=value)]), features, seed=seed)
    if declared.method is SearchMethod.GRID and _size(declared) > declared.candidates:
        raise BadConfiguration(
            f"retraining.estimator.search: the grid has {_size(declared)} combinations, and candidates is "
            f"{declared.candidates}; raise it, use the method Random, or try fewer values"
        )
    return declared


def _size(declared: Search) -> int:
    return math.prod(len(searched.values) for searched in declared.space)


def _method(
    declared: Search,
    pipeline: Pipeline,
    folds: list[tuple[Ints, Ints]],
    scorer: Callable[[Pipeline, Any, Array], float],
    seed: int,
) -> Any:
    """Return scikit-learn's search; what is best is fitted by us, to all rows."""
    space = {f"model__{searched.name}": _values(searched.values) for searched in declared.space}
    shared: dict[str, Any] = {"scoring": scorer, "cv": folds, "refit": False, "error_score": np.nan}
    count = min(declared.candidates, _size(declared))
    if declared.method is SearchMethod.GRID:
        return GridSearchCV(pipeline, space, **shared)
    if declared.method is SearchMethod.RANDOM:
        return RandomizedSearchCV(pipeline, space, n_iter=count, random_state=seed, **shared)
    return HalvingRandomSearchCV(
        pipeline, space, n_candidates=count, factor=_FACTOR, min_resources="exhaust", random_state=seed, **shared
    )


def _values(written: Sequence[str]) -> list[Any]:
    return [Parameter(name="value", value=value).decoded() for value in written]


def _scorer(metric: Metric, task: Task, classes: int) -> Callable[[Pipeline, Any, Array], float]:
    """Return a score of which larger is better; NaN where it is not defined."""

    def score(pipeline: Pipeline, rows: Any, truth: Array) -> float:
        try:
            return sign(metric) * score_places(metric, truth, _scores(pipeline, rows, task, classes))
        except Undefined:
            return float("nan")

    return score


def _scores(pipeline: Pipeline, rows: Any, task: Task, classes: int) -> Floats:
    if task is Task.REGRESSION:
        return np.asarray(pipeline.predict(rows), dtype=np.float64)
    said = np.zeros((len(rows), classes))
    # Early days may not have seen all classes.
    said[:, pipeline.classes_] = pipeline.predict_proba(rows)
    return said[:, 1] if task is Task.BINARY_CLASSIFICATION else said


def _candidates(declared: Search, looking: Any, direction: float) -> tuple[Candidate, ...]:
    """Return what was tried, the best first; of equals the one that was tried first."""
    results = looking.cv_results_
    written = {
        f"model__{searched.name}": dict(zip(map(repr, _values(searched.values)), searched.values, strict=True))
        for searched in declared.space
    }
    last = results["iter"] == results["iter"].max() if "iter" in results else np.full(len(results["params"]), True)
    found = [
        Candidate(
            {name.removeprefix("model__"): written[name][repr(value)] for name, value in given.items()},
            direction * float(mean),
            float(spread),
        )
        for given, mean, spread, kept in zip(
            results["params"], results["mean_test_score"], results["std_test_score"], last, strict=True
        )
        # Scores of a search that halves are compared where all had the same rows.
        if kept
    ]
    return tuple(sorted(found, key=lambda one: math.inf if math.isnan(one.score) else -direction * one.score))
