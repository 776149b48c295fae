"""The guard of warm starts: a full refit replaces the warm start only if it is significantly better."""

import numpy as np
import pytest
from scipy import stats

from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import Metric, Promotion, Task
from modelmonitor_trainer.gate.baseline import baseline_scores, last_period_scores
from modelmonitor_trainer.gate.comparison import GateInput
from modelmonitor_trainer.gate.evaluation import evaluate
from modelmonitor_trainer.gate.interval import paired_difference, shared_confidence
from modelmonitor_trainer.gate.warm_start_guard import compare_with_refit, guarded_confidence

PROMOTION = Promotion(metric="BrierScore", min_holdout_rows=100)


def compare_refit(truth, warm, full, promotion=PROMOTION):
    return compare_with_refit(promotion, truth, warm=warm, full=full, days=None, seed=0)


def test_a_significantly_better_refit_replaces_the_warm_start():
    g = np.random.default_rng(0)
    truth = g.integers(0, 2, 1000)
    good, bad = np.where(truth == 1, 0.8, 0.2), np.full(1000, 0.5)
    comparison = compare_refit(truth, bad, good)
    assert comparison.full_is_better
    assert "replaces it" in comparison.sentence
    assert comparison.difference
    assert comparison.difference.low > 0
    for full in (bad, bad + 0.001 * g.normal(size=1000)):
        other = compare_refit(truth, bad, full)
        assert not other.full_is_better
        assert "which is kept" in other.sentence
    assert not compare_refit(truth, good, bad).full_is_better


def test_a_comparison_that_is_not_possible_keeps_the_warm_start():
    few = compare_refit(np.ones(50, int), np.full(50, 0.1), np.full(50, 0.9))
    assert (few.difference, few.full_is_better) == (None, False)
    one_class = compare_refit(
        np.ones(200, int), np.full(200, 0.1), np.full(200, 0.9), PROMOTION.model_copy(update={"metric": Metric.ROC_AUC})
    )
    assert (one_class.difference, one_class.full_is_better) == (None, False)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_two_comparisons_share_the_error_probability(confidence):
    assert 2 * (1 - shared_confidence(confidence, 2)) == pytest.approx(1 - confidence)


def test_the_last_period_baseline_uses_the_last_days_only():
    days = np.repeat(np.arange(10), 10)
    truth = (days >= 8).astype(int)
    last = last_period_scores(Metric.BRIER_SCORE, Task.BINARY_CLASSIFICATION, truth, days, 2, 2, 3)
    assert last.tolist() == [1.0, 1.0, 1.0]
    longer = last_period_scores(Metric.BRIER_SCORE, Task.BINARY_CLASSIFICATION, truth, days, 4, 2, 1)
    assert longer.tolist() == [0.5]
    value = last_period_scores(Metric.R2, Task.REGRESSION, days.astype(float), days, 1, 0, 1)
    assert value.tolist() == [9.0]
    several = last_period_scores(Metric.LOG_LOSS, Task.MULTICLASS_CLASSIFICATION, truth, days, 2, 3, 1)
    assert several.tolist() == [[0.0, 1.0, 0.0]]


def test_a_model_must_be_better_than_the_last_period_baseline():
    """Its predictions follow an old level of the target, as does the baseline of all training rows."""
    g = np.random.default_rng(1)
    truth = (g.random(2000) < 0.9).astype(int)
    stale = np.where(truth == 1, 0.32, 0.28)
    contest = GateInput(
        truth=truth,
        challenger=stale,
        champion=None,
        baseline=baseline_scores(Metric.BRIER_SCORE, Task.BINARY_CLASSIFICATION, np.arange(10) % 4 // 3, 2, 2000),
        last_period=np.full(2000, 0.9),
    )
    result = evaluate(contest, PROMOTION, seed=0)
    assert result.reason is GateReason.NOT_BETTER_THAN_BASELINE
    assert "last-period baseline" in result.message
    assert result.baseline
    assert result.last_period
    assert result.baseline.low > 0 > result.last_period.high


def test_the_guard_keeps_the_error_probability_of_a_promotion():
    """Three equally good models: choosing the better of two challengers would promote twice as often."""

    def probability(score):
        return 1 / (1 + np.exp(-score))

    promotion = PROMOTION.model_copy(update={"metric": Metric.ROC_AUC})
    times, promoted, naive = 120, 0, 0
    for seed in range(times):
        g = np.random.default_rng(seed)
        signal = g.normal(size=400)
        truth = (g.random(400) < probability(1.5 * signal)).astype(int)
        champion, warm, full = (probability(signal + 0.8 * g.normal(size=400)) for _ in range(3))
        comparison = compare_with_refit(promotion, truth, warm=warm, full=full, days=None, seed=0)

        def better(challenger, confidence, truth=truth, champion=champion):
            return paired_difference(Metric.ROC_AUC, truth, champion, challenger, confidence=confidence, seed=0).low > 0

        promoted += better(full if comparison.full_is_better else warm, guarded_confidence(promotion))
        naive += better(warm, 0.95) or better(full, 0.95)
    # An interval of 95 % lies above zero by chance in 2.5 of 100.
    assert promoted <= stats.binom.ppf(0.999, times, 0.025)
    assert promoted < naive
