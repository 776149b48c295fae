"""Leaks: a challenger that is too good to be true, and the features that could be why.

A feature that is filled in after the outcome (a cancellation code, a settled amount) gives a perfect score in
the comparison and a useless model in production.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn import metrics as sk
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelmonitor_api.spec import Metric, Task
from modelmonitor_trainer.arrays import Array, Floats
from modelmonitor_trainer.model.metrics import greater_is_better, score_places

#: From here on a score is suspicious.
_PERFECT = 0.999
_PERFECT_R2 = 0.9999
#: An error or loss below this share of the trivial model's is suspicious.
_TINY = 0.001
#: A challenger that leaves less than this share of the error that its predecessors left has learnt something
#: that was not there to be learnt before.
_LEAP = 0.2
#: From here on a feature alone is worth naming, once something is suspicious.
_STRONG = 0.95
#: Rows that are looked at of each side; a leak shows on a few thousand.
_ROWS = 10_000


@dataclass(frozen=True)
class Suspect:
    """A feature that alone predicts the target.

    Attributes
    ----------
    feature
        Its column.
    score
        Of a small tree on this feature only, on hold-out rows: ROC AUC of two classes, balanced accuracy of
        several, R² of values.
    certain
        Whether it is beyond what real data allow, and not only strong.
    """

    feature: str
    score: float
    certain: bool = True


def too_good(metric: Metric, value: float, baseline: float) -> bool:
    """Whether a score is better than real data hardly ever allow.

    Parameters
    ----------
    metric, value
        The score.
    baseline
        That of a trivial model on the same rows.
    """
    if metric is Metric.R2:
        return value > _PERFECT_R2
    if metric in {Metric.LOG_LOSS, Metric.BRIER_SCORE, Metric.MEAN_ABSOLUTE_ERROR, Metric.ROOT_MEAN_SQUARED_ERROR}:
        return value <= _TINY * baseline
    # Where nearly all rows are of one class, a trivial model is nearly perfect too.
    return value > _PERFECT and 1 - value <= (1 - baseline) / 10


def suspicious_gains(metric: Metric, value: float, *earlier: float) -> bool:
    """Whether a score leaves less than a fifth of the error that the best of earlier models left.

    A champion that has grown old may be far worse than its successor, so that its own comparison, when it was
    young, belongs among `earlier`.

    Parameters
    ----------
    metric, value
        The challenger's score.
    earlier
        Scores of the champion; one at least.
    """
    return _left(metric, value) < _LEAP * min(_left(metric, score) for score in earlier)


def _left(metric: Metric, value: float) -> float:
    """Return the error that a score leaves; of R² the root, which is in units of the target."""
    if not greater_is_better(metric):
        return value
    return float(max(1.0 - value, 0.0) ** 0.5) if metric is Metric.R2 else 1.0 - value


def needs_no_leak(metric: Metric, truth: Array, champion: Array) -> bool:
    """Whether a champion by itself scores as well as a feature that holds the answer: the problem is an easy one.

    Parameters
    ----------
    metric
        The declared one, which says whether values or classes are predicted.
    truth, champion : (n,), (n,) or (n, k)
        Outcomes and its scores.
    """
    if metric in {Metric.R2, Metric.MEAN_ABSOLUTE_ERROR, Metric.ROOT_MEAN_SQUARED_ERROR}:
        return score_places(Metric.R2, truth, champion) > _PERFECT_R2
    alike = Metric.ROC_AUC if champion.ndim == 1 else Metric.BALANCED_ACCURACY
    return score_places(alike, truth, champion) > _PERFECT


def suspects(
    train: Mapping[str, Array], train_truth: Array, holdout: Mapping[str, Array], holdout_truth: Array, task: Task
) -> tuple[Suspect, ...]:
    """Return the features that alone predict the target on the hold-out rows, or nearly so, the strongest first.

    Parameters
    ----------
    train, holdout
        Feature → values: floats with NaN, or text with None.
    train_truth, holdout_truth
        Places of classes, or values.
    task
        What is predicted.
    """
    rows, later = _sample(len(train_truth)), _sample(len(holdout_truth))
    truth, truth_later = train_truth[rows], holdout_truth[later]
    if np.unique(truth).size < 2 or np.unique(truth_later).size < 2:
        return ()
    found = []
    for feature, values in train.items():
        before, after = _as_numbers(values[rows], holdout[feature][later], truth, task)
        value = _alone(before, truth, after, truth_later, task)
        if value > _STRONG:
            found.append(Suspect(feature, value, value > (_PERFECT_R2 if task is Task.REGRESSION else _PERFECT)))
    return tuple(sorted(found, key=lambda suspect: (-suspect.score, suspect.feature)))


def _sample(rows: int) -> Array:
    if rows <= _ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, _ROWS, replace=False))


def _as_numbers(before: Array, after: Array, truth: Array, task: Task) -> tuple[Floats, Floats]:
    """Return a feature as one column of numbers; a category becomes the mean truth of its training rows."""
    if before.dtype != object:
        return np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    # Of several classes the mean of places means nothing, but equal categories still get equal numbers.
    weight = truth.astype(np.float64) if task is not Task.MULTICLASS_CLASSIFICATION else truth + 0.5 / (1 + truth)
    sums: dict[object, tuple[float, int]] = {}
    for value, outcome in zip(before, weight, strict=True):
        total, count = sums.get(value, (0.0, 0))
        sums[value] = (total + float(outcome), count + 1)
    means = {value: total / count for value, (total, count) in sums.items()}
    # A category of one row, such as an identifier, explains only itself.
    means = {value: mean if sums[value][1] > 1 else np.nan for value, mean in means.items()}
    numbers = [np.array([means.get(value, np.nan) for value in values], dtype=np.float64) for values in (before, after)]
    return numbers[0], numbers[1]


def _alone(before: Floats, truth: Array, after: Floats, truth_later: Array, task: Task) -> float:
    """Return the score of a small tree on one feature."""
    fitted, asked = (np.where(np.isfinite(values), values, np.nan)[:, None] for values in (before, after))
    if np.unique(before[np.isfinite(before)]).size < 2 and not np.isnan(fitted).any():
        return 0.0
    if np.isnan(fitted).all():
        return 0.0
    if task is Task.REGRESSION:
        tree = DecisionTreeRegressor(max_depth=8, random_state=0).fit(fitted, truth)
        # A straight line is a leak too, and a tree would only draw steps along it.
        return max(float(sk.r2_score(truth_later, tree.predict(asked))), _line(before, truth, after, truth_later))
    tree = DecisionTreeClassifier(max_depth=6, random_state=0).fit(fitted, truth)
    if task is Task.BINARY_CLASSIFICATION:
        return float(sk.roc_auc_score(truth_later, tree.predict_proba(asked)[:, 1]))
    said = tree.predict(asked)
    return float(np.mean([np.mean(said[truth_later == place] == place) for place in np.unique(truth_later)]))


def _line(before: Floats, truth: Array, after: Floats, truth_later: Array) -> float:
    """Return R² of the least-squares line on rows that have the feature; 0 where there is none."""
    had, has = np.isfinite(before), np.isfinite(after)
    if np.unique(before[had]).size < 2 or has.sum() < has.size / 2 or np.unique(truth_later[has]).size < 2:
        return 0.0
    centre, width = before[had].mean(), before[had].std()
    slope, start = np.polyfit((before[had] - centre) / width, truth[had], 1)
    said = start + slope * (after[has] - centre) / width
    return float(sk.r2_score(truth_later[has], said))
