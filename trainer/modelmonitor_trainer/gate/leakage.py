"""Target leakage: implausibly good scores, and the features that could explain them.

A feature that is filled in after the outcome (a cancellation code, a settled amount) gives a perfect score in the
comparison and a useless model in production.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn import metrics as sk
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelmonitor_api.spec import Metric, Task
from modelmonitor_trainer.arrays import Array, Floats
from modelmonitor_trainer.model.metrics import greater_is_better, metric_value

#: A score above this is suspicious.
_PERFECT = 0.999
_PERFECT_R2 = 0.9999
#: An error or loss below this share of the trivial baseline's is suspicious.
_TINY = 0.001
#: A challenger whose remaining error is below this share of its predecessors' uses information that they did not have.
_MAX_ERROR_RATIO = 0.2
#: A feature that scores above this on its own is named if the model's score is suspicious, and for a first model.
_STRONG = 0.9
#: Rows of each window that are used; a leak shows on a few thousand.
_ROWS = 10_000


@dataclass(frozen=True)
class Suspect:
    """A feature that predicts the target on its own.

    Attributes
    ----------
    feature
        Name of the column.
    score
        Score of a small tree on this feature only, on hold-out rows: ROC AUC for two classes, balanced accuracy for
        several, R² for values.
    certain
        Whether the score is implausible for real data, and not only high.
    """

    feature: str
    score: float
    certain: bool = True


def is_too_good(metric: Metric, value: float, baseline: float) -> bool:
    """Whether a score is implausibly good for real data.

    Parameters
    ----------
    metric, value
        The score, in units of the metric.
    baseline
        Score of a trivial baseline on the same rows.
    """
    if metric is Metric.R2:
        return value > _PERFECT_R2
    if metric in {Metric.LOG_LOSS, Metric.BRIER_SCORE, Metric.MEAN_ABSOLUTE_ERROR, Metric.ROOT_MEAN_SQUARED_ERROR}:
        return value <= _TINY * baseline
    # If nearly all rows are of one class, a trivial baseline is nearly perfect too.
    return value > _PERFECT and 1 - value <= (1 - baseline) / 10


def is_suspicious_gain(metric: Metric, value: float, *earlier: float) -> bool:
    """Whether the remaining error of a score is below a fifth of that of the best earlier score.

    An old champion can be far worse than its successor, so `earlier` should include its score at promotion.

    Parameters
    ----------
    metric, value
        Score of the challenger, in units of the metric.
    earlier
        Scores of the champion; at least one.
    """
    return _remaining_error(metric, value) < _MAX_ERROR_RATIO * min(
        _remaining_error(metric, score) for score in earlier
    )


def _remaining_error(metric: Metric, value: float) -> float:
    """Return the distance of a score from a perfect one; for R² its square root, which is in units of the target."""
    if not greater_is_better(metric):
        return value
    return float(max(1.0 - value, 0.0) ** 0.5) if metric is Metric.R2 else 1.0 - value


def is_easy_problem(metric: Metric, truth: Array, champion: Array) -> bool:
    """Whether the champion scores as well as a leaking feature would, so that a leak explains nothing.

    Parameters
    ----------
    metric
        Metric of the comparison; it shows whether the task is a regression.
    truth, champion : (n,), (n,) or (n, k)
        True outcomes, and scores of the champion.
    """
    if metric in {Metric.R2, Metric.MEAN_ABSOLUTE_ERROR, Metric.ROOT_MEAN_SQUARED_ERROR}:
        return metric_value(Metric.R2, truth, champion) > _PERFECT_R2
    comparable = Metric.ROC_AUC if champion.ndim == 1 else Metric.BALANCED_ACCURACY
    return metric_value(comparable, truth, champion) > _PERFECT


def suspects(
    train: Mapping[str, Array], train_truth: Array, holdout: Mapping[str, Array], holdout_truth: Array, task: Task
) -> tuple[Suspect, ...]:
    """Return the features that predict the target of the hold-out rows on their own, or nearly so, strongest first.

    Parameters
    ----------
    train, holdout
        Feature → values: floats with NaN, or text with None.
    train_truth, holdout_truth
        Class indices, or values.
    task
        Task of the model.
    """
    rows, later = _sample(len(train_truth)), _sample(len(holdout_truth))
    truth, truth_later = train_truth[rows], holdout_truth[later]
    if np.unique(truth).size < 2 or np.unique(truth_later).size < 2:
        return ()
    strong = []
    for feature, values in train.items():
        before, after = _as_numbers(values[rows], holdout[feature][later], truth, task)
        score = _score_alone(before, truth, after, truth_later, task)
        if score > _STRONG:
            strong.append(Suspect(feature, score, score > (_PERFECT_R2 if task is Task.REGRESSION else _PERFECT)))
    return tuple(sorted(strong, key=lambda suspect: (-suspect.score, suspect.feature)))


def _sample(rows: int) -> Array:
    if rows <= _ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, _ROWS, replace=False))


def _as_numbers(before: Array, after: Array, truth: Array, task: Task) -> tuple[Floats, Floats]:
    """Return a feature of both windows as numbers; a category becomes the mean outcome of its training rows."""
    if before.dtype != object:
        return np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    # A mean of class indices has no meaning, but equal categories still get equal numbers.
    weight = truth.astype(np.float64) if task is not Task.MULTICLASS_CLASSIFICATION else truth + 0.5 / (1 + truth)
    sums: dict[object, tuple[float, int]] = {}
    for value, outcome in zip(before, weight, strict=True):
        total, count = sums.get(value, (0.0, 0))
        sums[value] = (total + float(outcome), count + 1)
    means = {value: total / count for value, (total, count) in sums.items()}
    # A category with a single row, such as an identifier, predicts only that row.
    means = {value: mean if sums[value][1] > 1 else np.nan for value, mean in means.items()}
    numbers = [np.array([means.get(value, np.nan) for value in values], dtype=np.float64) for values in (before, after)]
    return numbers[0], numbers[1]


def _score_alone(before: Floats, truth: Array, after: Floats, truth_later: Array, task: Task) -> float:
    """Return the score of a small tree on one feature."""
    x, x_later = (np.where(np.isfinite(values), values, np.nan)[:, None] for values in (before, after))
    if np.unique(before[np.isfinite(before)]).size < 2 and not np.isnan(x).any():
        return 0.0
    if np.isnan(x).all():
        return 0.0
    if task is Task.REGRESSION:
        tree = DecisionTreeRegressor(max_depth=8, random_state=0).fit(x, truth)
        # A linear relationship is a leak too, and a small tree only approximates it by steps.
        r2 = float(sk.r2_score(truth_later, tree.predict(x_later)))
        return max(r2, _score_of_line(before, truth, after, truth_later))
    tree = DecisionTreeClassifier(max_depth=6, random_state=0).fit(x, truth)
    if task is Task.BINARY_CLASSIFICATION:
        return float(sk.roc_auc_score(truth_later, tree.predict_proba(x_later)[:, 1]))
    predicted = tree.predict(x_later)
    return float(np.mean([np.mean(predicted[truth_later == index] == index) for index in np.unique(truth_later)]))


def _score_of_line(before: Floats, truth: Array, after: Floats, truth_later: Array) -> float:
    """Return R² of the least-squares line on the rows that have the feature; 0 if there is no such line."""
    fitted, scored = np.isfinite(before), np.isfinite(after)
    if np.unique(before[fitted]).size < 2 or scored.sum() < scored.size / 2 or np.unique(truth_later[scored]).size < 2:
        return 0.0
    centre, scale = before[fitted].mean(), before[fitted].std()
    slope, intercept = np.polyfit((before[fitted] - centre) / scale, truth[fitted], 1)
    predicted = intercept + slope * (after[scored] - centre) / scale
    return float(sk.r2_score(truth_later[scored], predicted))
