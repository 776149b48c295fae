"""Scores compared with scikit-learn, and where they are undefined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from modelmonitor_api.spec import Metric, Task, metric_fits
from modelmonitor_trainer.model.metrics import (
    Undefined,
    greater_is_better,
    is_regression,
    metric_value,
    score,
    sign,
    title,
    true_class_probability,
)


@pytest.fixture
def binary():
    g = np.random.default_rng(1)
    truth = g.integers(0, 2, 500)
    return truth, np.clip(0.3 * truth + g.random(500) * 0.7, 0, 1)


@pytest.fixture
def several():
    g = np.random.default_rng(2)
    truth = g.integers(0, 3, 600)
    scores = g.random((600, 3)) + 0.8 * np.eye(3)[truth]
    return truth, scores / scores.sum(axis=1, keepdims=True)


@pytest.fixture
def values():
    g = np.random.default_rng(3)
    truth = g.normal(10, 3, 400)
    return truth, truth + g.normal(size=400)


def test_every_metric_has_a_title_and_a_direction():
    for metric in Metric:
        assert title(metric)
        assert sign(metric) == (1 if greater_is_better(metric) else -1)
    smaller = {metric for metric in Metric if not greater_is_better(metric)}
    assert smaller == {
        Metric.LOG_LOSS,
        Metric.BRIER_SCORE,
        Metric.MEAN_ABSOLUTE_ERROR,
        Metric.ROOT_MEAN_SQUARED_ERROR,
    }
    assert {metric for metric in Metric if is_regression(metric)} == {
        metric for metric in Metric if metric_fits(metric, Task.REGRESSION)
    }


def test_scores_of_two_classes(binary):
    truth, scores = binary
    predicted = (scores >= 0.5).astype(int)
    expected = {
        Metric.ROC_AUC: sk.roc_auc_score(truth, scores),
        Metric.AVERAGE_PRECISION: sk.average_precision_score(truth, scores),
        Metric.ACCURACY: sk.accuracy_score(truth, predicted),
        Metric.BALANCED_ACCURACY: sk.balanced_accuracy_score(truth, predicted),
        Metric.F1: sk.f1_score(truth, predicted),
        Metric.LOG_LOSS: sk.log_loss(truth, scores),
        Metric.BRIER_SCORE: sk.brier_score_loss(truth, scores),
    }
    assert set(expected) == {metric for metric in Metric if metric_fits(metric, Task.BINARY_CLASSIFICATION)}
    for metric, value in expected.items():
        assert metric_value(metric, truth, scores) == pytest.approx(value), metric


def test_scores_of_several_classes(several):
    truth, scores = several
    predicted = scores.argmax(axis=1)
    expected = {
        Metric.ROC_AUC: sk.roc_auc_score(truth, scores, multi_class="ovr", average="macro"),
        Metric.ACCURACY: sk.accuracy_score(truth, predicted),
        Metric.BALANCED_ACCURACY: sk.balanced_accuracy_score(truth, predicted),
        Metric.F1: sk.f1_score(truth, predicted, average="macro"),
        Metric.LOG_LOSS: sk.log_loss(truth, scores),
    }
    assert set(expected) == {metric for metric in Metric if metric_fits(metric, Task.MULTICLASS_CLASSIFICATION)}
    for metric, value in expected.items():
        assert metric_value(metric, truth, scores) == pytest.approx(value), metric


def test_scores_of_regressions(values):
    truth, predicted = values
    expected = {
        Metric.R2: sk.r2_score(truth, predicted),
        Metric.MEAN_ABSOLUTE_ERROR: sk.mean_absolute_error(truth, predicted),
        Metric.ROOT_MEAN_SQUARED_ERROR: sk.root_mean_squared_error(truth, predicted),
    }
    for metric, value in expected.items():
        assert metric_value(metric, truth, predicted) == pytest.approx(value), metric


@pytest.mark.parametrize(
    ("metric", "truth", "scores"),
    [
        (Metric.ROC_AUC, np.array([], dtype=int), np.array([])),
        (Metric.ROC_AUC, np.array([1, 1]), np.array([0.1, 0.9])),
        (Metric.AVERAGE_PRECISION, np.array([0, 0]), np.array([0.1, 0.9])),
        (Metric.ROC_AUC, np.array([1, 1]), np.array([[0.5, 0.5], [0.1, 0.9]])),
        (Metric.R2, np.array([3.0, 3.0]), np.array([3.0, 2.0])),
    ],
)
def test_undefined_scores(metric, truth, scores):
    with pytest.raises(Undefined):
        metric_value(metric, truth, scores)


def test_outcomes_of_any_type(binary, several):
    truth, scores = binary
    for outcomes in (truth.astype(bool), truth.astype(float)):
        assert score(Metric.ROC_AUC, Task.BINARY_CLASSIFICATION, outcomes, scores) == sk.roc_auc_score(truth, scores)
    truth, scores = several
    names = np.array(["a", "b", "c"])
    value = score(Metric.LOG_LOSS, Task.MULTICLASS_CLASSIFICATION, names[truth], scores, names)
    assert value == pytest.approx(sk.log_loss(truth, scores))


def test_a_class_that_the_model_does_not_know_is_always_wrong():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    names = np.array(["a", "b", "new"])
    task = Task.MULTICLASS_CLASSIFICATION
    assert score(Metric.ACCURACY, task, names, scores, names[:2]) == pytest.approx(2 / 3)
    assert true_class_probability(np.array([-1]), scores[:1])[0] == pytest.approx(0, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=40))
def test_losses_are_finite_for_any_predictions(rows):
    truth = np.array([int(row[0]) for row in rows])
    scores = np.array([row[1] for row in rows])
    for metric in (Metric.LOG_LOSS, Metric.BRIER_SCORE, Metric.ACCURACY, Metric.F1, Metric.BALANCED_ACCURACY):
        assert np.isfinite(metric_value(metric, truth, scores))
