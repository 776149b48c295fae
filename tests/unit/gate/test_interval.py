"""Intervals of a difference: DeLong against brute force, coverage, seeds, days."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score, roc_auc_score

from modelmonitor_api.spec import Metric, Task, metric_fits
from modelmonitor_trainer.gate.bootstrap import RankedRows
from modelmonitor_trainer.gate.delong import delong_components, delong_variance
from modelmonitor_trainer.gate.interval import paired_difference, score_deviation
from modelmonitor_trainer.model.metrics import Undefined, metric_value, sign


def two_models(seed, rows=400, *, better=0.0):
    """Return truth, and two scores that share some of their noise."""
    g = np.random.default_rng(seed)
    truth = g.integers(0, 2, rows)
    shared = g.normal(size=rows)
    old, new = (truth * (0.8 + more) + shared + 0.5 * g.normal(size=rows) for more in (0.0, better))
    return truth, 1 / (1 + np.exp(-old)), 1 / (1 + np.exp(-new))


def brute_components(truth, scores):
    positive, negative = scores[truth == 1], scores[truth == 0]
    wins = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    return wins.mean(axis=1), wins.mean(axis=0)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 8), min_size=2, max_size=30),
    st.lists(st.integers(0, 8), min_size=2, max_size=30),
)
def test_delong_components_are_those_of_brute_force(positive, negative):
    truth = np.array([1] * len(positive) + [0] * len(negative))
    scores = np.array(positive + negative, dtype=float)
    fast, slow = delong_components(truth, scores), brute_components(truth, scores)
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    assert fast[0].mean() == pytest.approx(roc_auc_score(truth, scores))
    assert fast[1].mean() == pytest.approx(roc_auc_score(truth, scores))


def test_delong_variance_is_that_of_the_covariance_matrices():
    truth, old, new = two_models(5, 300)
    by_class = [np.stack([brute_components(truth, s)[k] for s in (old, new)]) for k in (0, 1)]
    covariance = sum(np.cov(part) / part.shape[1] for part in by_class)
    contrast = np.array([-1, 1])
    assert delong_variance(truth, old, new) == pytest.approx(contrast @ covariance @ contrast)


def auc_by_ranks(truth, scores):
    positive = np.count_nonzero(truth)
    ranks = stats.rankdata(scores)[truth == 1].sum()
    return (ranks - positive * (positive + 1) / 2) / (positive * (len(truth) - positive))


def test_delong_agrees_with_a_bootstrap():
    truth, old, new = two_models(6, 2000, better=0.1)
    difference = paired_difference(Metric.ROC_AUC, truth, old, new, confidence=0.95, seed=0)
    assert difference.method == "DeLong"
    g = np.random.default_rng(0)
    drawn = [g.integers(0, 2000, 2000) for _ in range(400)]
    values = [auc_by_ranks(truth[d], new[d]) - auc_by_ranks(truth[d], old[d]) for d in drawn]
    assert difference.high - difference.low == pytest.approx(2 * 1.96 * np.std(values), rel=0.12)


def test_the_coverage_of_the_interval_is_its_confidence():
    """Equal models: an interval of 90 % must miss zero in about a tenth of all comparisons."""
    missed = 0
    for seed in range(300):
        truth, old, new = two_models(seed)
        difference = paired_difference(Metric.ROC_AUC, truth, old, new, confidence=0.9, seed=0)
        missed += not difference.low <= 0 <= difference.high
    assert 14 <= missed <= 48, missed  # 30 expected; beyond four standard deviations


@pytest.mark.parametrize("metric", [m for m in Metric if metric_fits(m, Task.BINARY_CLASSIFICATION)])
def test_a_better_model_is_better_by_every_metric(metric):
    g = np.random.default_rng(0)
    truth = g.integers(0, 2, 600)
    old = np.clip(0.4 + 0.2 * truth + 0.3 * g.normal(size=600), 0.01, 0.99)
    new = np.clip(0.2 + 0.6 * truth + 0.2 * g.normal(size=600), 0.01, 0.99)
    difference = paired_difference(metric, truth, old, new, confidence=0.95, seed=0)
    assert 0 < difference.low < difference.value < difference.high
    assert difference.value == pytest.approx(
        sign(metric) * (metric_value(metric, truth, new) - metric_value(metric, truth, old))
    )
    turned = paired_difference(metric, truth, new, old, confidence=0.95, seed=0)
    assert turned.high < 0
    assert (difference.champion, difference.challenger) == (turned.challenger, turned.champion)


@pytest.mark.parametrize("metric", [Metric.R2, Metric.MEAN_ABSOLUTE_ERROR, Metric.ROOT_MEAN_SQUARED_ERROR])
def test_a_better_regression_is_better_by_every_metric(metric):
    g = np.random.default_rng(1)
    truth = 1e6 + g.normal(size=500)  # far from zero: digits must not be lost
    old, new = truth + g.normal(size=500), truth + 0.5 * g.normal(size=500)
    difference = paired_difference(metric, truth, old, new, confidence=0.95, seed=0)
    assert 0 < difference.low < difference.value < difference.high


@pytest.mark.parametrize("metric", [m for m in Metric if metric_fits(m, Task.MULTICLASS_CLASSIFICATION)])
def test_several_classes(metric):
    g = np.random.default_rng(2)
    truth = g.integers(0, 3, 300)
    old, new = (g.random((300, 3)) + strength * np.eye(3)[truth] for strength in (0.2, 1.0))
    old, new = (scores / scores.sum(axis=1, keepdims=True) for scores in (old, new))
    difference = paired_difference(metric, truth, old, new, confidence=0.95, seed=0)
    assert 0 < difference.low < difference.high


def test_f1_of_several_classes_when_the_third_does_not_occur():
    """With rows and predictions of two classes, it is still the mean over both, not the F1 of the second."""
    g = np.random.default_rng(0)
    truth = g.integers(0, 2, 200)
    scores = np.column_stack([1.0 - truth, truth, np.full(200, -9.0)]) + 0.9 * g.normal(size=(200, 3))
    scores[:, 2] = -9.0
    macro = f1_score(truth, scores.argmax(axis=1), average="macro")
    difference = paired_difference(Metric.F1, truth, scores, scores[:, [1, 0, 2]], confidence=0.95, seed=0)
    assert difference.champion == pytest.approx(macro)
    assert difference.low < difference.value < difference.high, "the bootstrap is of the same score"
    assert (difference.low + difference.high) / 2 == pytest.approx(difference.value, abs=0.02)


@pytest.mark.parametrize("metric", [Metric.BALANCED_ACCURACY, Metric.LOG_LOSS, Metric.BRIER_SCORE])
def test_a_bootstrap_keeps_the_classes_shares(metric):
    """Both models err on a rare class only; if its share varied between samples, both scores would vary with it."""
    truth = np.repeat([0, 1], [980, 20])
    old, new = np.where(truth == 1, 0.2, 0.1), np.where(truth == 1, 0.7, 0.1)
    difference = paired_difference(metric, truth, old, new, confidence=0.95, seed=0)
    assert difference.low == pytest.approx(difference.high), (
        "within a class all rows are alike, so resampling changes nothing"
    )


@pytest.mark.parametrize("metric", [Metric.ROC_AUC, Metric.F1, Metric.LOG_LOSS, Metric.AVERAGE_PRECISION])
def test_the_same_rows_give_the_same_interval(metric):
    truth, old, new = two_models(7, 200)
    first, second = (paired_difference(metric, truth, old, new, confidence=0.95, seed=3) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("metric", [Metric.ROC_AUC, Metric.ACCURACY, Metric.LOG_LOSS])
def test_equal_models_do_not_differ(metric):
    truth, old, _ = two_models(8, 200)
    difference = paired_difference(metric, truth, old, old, confidence=0.95, seed=0)
    assert (difference.low, difference.value, difference.high) == (0, 0, 0)


def test_many_rows_are_thinned_without_narrowing_the_interval():
    g = np.random.default_rng(0)
    truth = g.normal(size=60_000)
    old, new = truth + g.normal(size=60_000), truth + g.normal(size=60_000)
    difference = paired_difference(Metric.MEAN_ABSOLUTE_ERROR, truth, old, new, confidence=0.95, seed=0)
    error = np.abs(truth - old) - np.abs(truth - new)
    assert difference.high - difference.low == pytest.approx(2 * 1.96 * error.std() / 60_000**0.5, rel=0.1)
    assert difference.value == pytest.approx(error.mean())


def test_day_effects_widen_the_interval():
    g = np.random.default_rng(0)
    days = np.repeat(np.arange(14), 200)
    truth = g.normal(size=days.size)
    storm = g.normal(size=14)[days]
    old = truth + g.normal(size=days.size)
    new = truth + (0.2 + np.abs(storm)) * g.normal(size=days.size)
    alone = paired_difference(Metric.MEAN_ABSOLUTE_ERROR, truth, old, new, confidence=0.95, seed=0)
    together = paired_difference(Metric.MEAN_ABSOLUTE_ERROR, truth, old, new, confidence=0.95, seed=0, days=days)
    assert together.method == "jackknife over days"
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    few = paired_difference(Metric.MEAN_ABSOLUTE_ERROR, truth, old, new, confidence=0.95, seed=0, days=days % 7)
    assert few == alone


@pytest.mark.parametrize("metric", [Metric.ROC_AUC, Metric.AVERAGE_PRECISION])
@pytest.mark.parametrize("classes", [2, 3])
def test_weighted_scores_are_those_of_repeated_rows(metric, classes):
    if metric is Metric.AVERAGE_PRECISION and classes > 2:
        return
    g = np.random.default_rng(0)
    truth = g.integers(0, classes, 200)
    scores = np.round(g.random((200, classes)) + 0.3 * np.eye(classes)[truth], 1)  # with ties
    scores = scores[:, 1] if classes == 2 else scores
    weights = g.integers(0, 3, (5, 200)).astype(float)
    values = RankedRows.of(metric, truth, scores).scores(weights)
    for row, value in zip(weights, values, strict=True):
        again = np.repeat(np.arange(200), row.astype(int))
        assert value == pytest.approx(metric_value(metric, truth[again], scores[again]))


@pytest.mark.parametrize("metric", [Metric.ROC_AUC, Metric.ACCURACY, Metric.LOG_LOSS, Metric.AVERAGE_PRECISION])
@pytest.mark.parametrize("day_effect", [0.0, 1.0])
def test_the_deviation_of_a_score_agrees_with_scores_of_other_samples(metric, day_effect):
    def rows(seed):
        g = np.random.default_rng(seed)
        truth, days = g.integers(0, 2, 800), np.arange(800) % 16
        signal = 1.0 + day_effect * g.normal(size=16)[days]
        return truth, 1 / (1 + np.exp(-(signal * (truth - 0.5) + g.normal(size=800)))), days

    drawn = [rows(seed) for seed in range(200)]
    true = np.std([metric_value(metric, truth, scores) for truth, scores, _ in drawn])
    estimate = np.median([score_deviation(metric, *one) for one in drawn[:8]])
    assert 0.8 * true < estimate < 1.4 * true, "the larger of the deviations over days and over rows"


def test_the_deviation_of_many_rows_uses_all_of_them():
    truth, scores, _ = two_models(0, rows=60_000)
    few = score_deviation(Metric.LOG_LOSS, truth[:15_000], scores[:15_000], None)
    assert few
    assert score_deviation(Metric.LOG_LOSS, truth, scores, None) == pytest.approx(few / 2, rel=0.35)
    assert score_deviation(Metric.ROC_AUC, np.zeros(50, dtype=int), np.zeros(50), None) is None


def test_one_class_has_no_interval():
    with pytest.raises(Undefined, match="both classes"):
        paired_difference(Metric.ROC_AUC, np.ones(9), np.ones(9), np.ones(9), confidence=0.95, seed=0)
