"""Scores from statistics of groups are those of the resampled rows themselves."""

import numpy as np
import pytest

from modelmonitor_api.spec import Metric
from modelmonitor_trainer.detect.resampling import rescored
from modelmonitor_trainer.gate import group_scores
from modelmonitor_trainer.gate.group_scores import grouping_of
from modelmonitor_trainer.model.metrics import metric_value

REGRESSION = [Metric.MEAN_ABSOLUTE_ERROR, Metric.ROOT_MEAN_SQUARED_ERROR]
BINARY = [
    Metric.ROC_AUC,
    Metric.AVERAGE_PRECISION,
    Metric.ACCURACY,
    Metric.BALANCED_ACCURACY,
    Metric.F1,
    Metric.LOG_LOSS,
    Metric.BRIER_SCORE,
]
SEVERAL = [Metric.ROC_AUC, Metric.ACCURACY, Metric.BALANCED_ACCURACY, Metric.F1, Metric.LOG_LOSS]
CASES = [*((m, "regression") for m in REGRESSION), *((m, "binary") for m in BINARY), *((m, "several") for m in SEVERAL)]


def rows(task, count, generator, share=0.3):
    """Return outcomes and predictions, with equal predictions among them."""
    if task == "regression":
        truth = generator.normal(size=count)
        return truth, truth + generator.normal(size=count)
    if task == "binary":
        truth = (generator.random(count) < share).astype(np.int64)
        return truth, np.clip(np.round(generator.normal(0.4 + 0.2 * truth, 0.2), 2), 0, 1)
    truth = generator.choice(4, count, p=[0.6, 0.3, 0.08, 0.02])
    scores = np.round(generator.random((count, 4)) + np.eye(4)[truth] * 0.4, 2) + 0.01
    return truth, scores / scores.sum(axis=1, keepdims=True)


def both(metric, truth, predicted, groups):
    grouping = grouping_of(metric, columns=predicted.ndim)
    assert grouping is not None
    return grouping(truth, predicted, groups), rescored(lambda t, p: metric_value(metric, t, p))(
        truth, predicted, groups
    )


def assert_equal(fast, slow):
    assert [value is None for value in fast] == [value is None for value in slow]
    assert [value for value in fast if value is not None] == pytest.approx(
        [value for value in slow if value is not None], rel=1e-12, abs=1e-12
    )


@pytest.mark.parametrize(("metric", "task"), CASES)
@pytest.mark.parametrize("count", [60, 1500])
def test_resampled_days_have_the_scores_of_their_rows(metric, task, count, monkeypatch):
    g = np.random.default_rng(count)
    truth, predicted = rows(task, count, g)
    groups = g.permutation(np.concatenate([np.arange(12), g.integers(0, 12, count - 12)]))
    fast, slow = both(metric, truth, predicted, groups)
    draws = [g.integers(0, 12, 12) for _ in range(40)]
    assert_equal([fast.whole()], [slow.whole()])
    assert_equal(fast.drawn(draws), slow.drawn(draws))
    assert_equal(fast.without_each(), slow.without_each())
    monkeypatch.setattr(group_scores, "_CHUNK", 1)
    assert_equal(fast.drawn(draws), slow.drawn(draws))


@pytest.mark.parametrize(("metric", "task"), CASES)
def test_resampled_rows_have_their_scores(metric, task):
    g = np.random.default_rng(7)
    truth, predicted = rows(task, 300, g)
    fast, slow = both(metric, truth, predicted, np.arange(300))
    draws = [g.integers(0, 300, 300) for _ in range(20)]
    assert_equal(fast.drawn(draws), slow.drawn(draws))


@pytest.mark.parametrize(("metric", "task"), CASES)
def test_a_score_that_is_undefined_is_none_in_both_ways(metric, task):
    """Of three rows of one class, and of single rows, many metrics are not defined."""
    g = np.random.default_rng(3)
    truth, predicted = rows(task, 6, g)
    if task != "regression":
        truth[:] = 0
        truth[-1] = 1
    groups = np.arange(6) // 2
    fast, slow = both(metric, truth, predicted, groups)
    draws = [np.array([0, 0, 1]), np.array([2, 2, 2]), np.array([0, 1, 2])]
    assert_equal(fast.drawn(draws), slow.drawn(draws))
    assert_equal(fast.without_each(), slow.without_each())


def test_many_groups_are_weighted_instead_of_paired(monkeypatch):
    g = np.random.default_rng(11)
    for task in ("binary", "several"):
        truth, predicted = rows(task, 400, g)
        groups = g.permutation(np.arange(400) % 9)
        paired, _ = both(Metric.ROC_AUC, truth, predicted, groups)
        monkeypatch.setattr(group_scores, "_PAIRED_GROUPS", 2)
        weighted, slow = both(Metric.ROC_AUC, truth, predicted, groups)
        monkeypatch.undo()
        draws = [g.integers(0, 9, 9) for _ in range(20)]
        assert_equal(weighted.drawn(draws), slow.drawn(draws))
        assert_equal(paired.drawn(draws), slow.drawn(draws))


def test_metrics_without_statistics_of_groups_are_left_to_the_rows():
    assert grouping_of(Metric.R2, columns=1) is None
    assert grouping_of(Metric.AVERAGE_PRECISION, columns=2) is None
