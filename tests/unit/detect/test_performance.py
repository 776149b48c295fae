"""A drop of the score is reported if it is significant and larger than tolerated."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from modelmonitor_api.names import Reason
from modelmonitor_api.spec import Metric, Sensitivity
from modelmonitor_trainer.detect.performance import PerformanceResult, judge
from modelmonitor_trainer.detect.verdict import ExplainedVerdict, decide, with_drop
from modelmonitor_trainer.detect.wording import PARTITIONS
from modelmonitor_trainer.gate.interval import score_deviation
from unit.detect.test_drift import drift_of_shift


def roc_auc_score(truth, predicted):
    """Return the ROC AUC by ranks; scikit-learn's function spends most of its time on validation."""
    positive = np.count_nonzero(truth)
    ranks = stats.rankdata(predicted)[truth].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * (len(truth) - positive)))


def mean_absolute_error(truth, predicted):
    return float(np.mean(np.abs(truth - predicted)))


def days(count, rows, signal, day_effect=0.0, seed=0):
    g = np.random.default_rng(seed)
    data = []
    for _ in range(count):
        truth = g.random(rows) < 0.3
        data.append((truth, g.normal(size=rows) + truth * (signal + g.normal(0, day_effect))))
    return data


def unjudged(promotion_score, max_drop=0.02):
    return PerformanceResult("auc", "ROCAUC", promotion_score=promotion_score, max_drop=max_drop)


def judged(result, data, **options):
    return judge(result, data, roc_auc_score, title="ROC AUC", greater_is_better=True, level=1 / 90, **options)


@pytest.mark.parametrize(("signal", "dropped"), [(1.5, False), (1.4, False), (0.8, True)])
def test_a_significant_drop_beyond_the_tolerance_is_reported(signal, dropped):
    promotion_score = roc_auc_score(*map(np.concatenate, zip(*days(20, 500, 1.5, seed=9), strict=True)))
    result = judged(unjudged(promotion_score), days(20, 500, signal))
    assert result.dropped is dropped
    assert result.low < result.score < result.high
    assert ("has dropped to" in result.message) is dropped


def test_the_deviation_of_the_promotion_score_prevents_false_alarms():
    """A model that has not changed, scored on 300 rows at promotion and on 600 others later."""

    def score(truth, predicted):
        return float(np.sqrt(np.mean((truth - predicted) ** 2)))

    alarms = {True: 0, False: 0}
    for seed in range(200):
        errors = np.random.default_rng(seed).normal(size=900)
        held_out, live = errors[:300], errors[300:]
        promotion_score = score(held_out, np.zeros(300))
        deviation = score_deviation(Metric.ROOT_MEAN_SQUARED_ERROR, held_out, np.zeros(300), None)
        for known in alarms:
            result = replace(
                unjudged(promotion_score, max_drop=0.0), promotion_score_deviation=deviation if known else 0.0
            )
            data = [(live, np.zeros(600))]
            judgement = judge(result, data, score, title="RMSE", greater_is_better=False, level=0.05, independent=True)
            alarms[known] += judgement.dropped
    assert alarms[True] <= 20, "a twentieth of 200, within about three standard deviations"
    assert alarms[False] > 2 * alarms[True], "without the deviation of the promotion score"


def test_a_drop_on_few_rows_is_not_significant():
    result = judged(unjudged(0.85), days(2, 60, 1.1))
    assert result.score < 0.83
    assert not result.dropped


def test_that_the_score_has_held_is_a_claim_which_few_rows_do_not_support():
    promotion_score = roc_auc_score(*map(np.concatenate, zip(*days(60, 500, 1.5, seed=9), strict=True)))
    few, many = (judged(unjudged(promotion_score), days(count, 500, 1.5)) for count in (3, 200))
    assert not few.dropped
    assert not few.held
    assert "; a drop of up to 0." in few.message
    assert many.held
    assert "cannot be ruled out" not in many.message
    assert not judged(unjudged(promotion_score), days(20, 500, 0.8)).held


def test_days_that_differ_widen_the_interval():
    still, varying = (judged(unjudged(0.85), days(20, 300, 1.4, effect)) for effect in (0.0, 0.8))
    assert varying.high - varying.low > 1.8 * (still.high - still.low)


@pytest.mark.parametrize("count", [1, 3, 7, 8])
def test_few_days_that_vary_are_no_drop(count):
    """Rows of one day have one day effect: taken as independent, every third set of few days would be a drop."""
    promotion_score = roc_auc_score(*map(np.concatenate, zip(*days(60, 500, 1.5, seed=99), strict=True)))
    sets = [judged(unjudged(promotion_score), days(count, 300, 1.5, 0.3, seed)) for seed in range(8)]
    assert not any(result.dropped for result in sets)
    alone, independent = sets[0], judged(unjudged(promotion_score), days(count, 300, 1.5, 0.3), independent=True)
    assert alone.high - alone.low > 1.2 * (independent.high - independent.low)


def test_a_large_drop_shows_on_three_days():
    assert judged(unjudged(0.85), days(3, 300, 0.5)).dropped


def test_smaller_is_better():
    g = np.random.default_rng(0)
    data = [(g.normal(size=200), g.normal(size=200)) for _ in range(10)]
    result = judge(
        unjudged(0.5), data, mean_absolute_error, title="Mean absolute error", greater_is_better=False, level=0.01
    )
    assert result.dropped
    assert result.message.startswith("Mean absolute error has risen to 1.")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "0 labelled rows are too few"),
        (days(1, 50, 1), "50 labelled rows are too few"),
        ([(np.zeros(200, bool), np.ones(200))], "not defined on the 200 labelled rows"),
    ],
)
def test_a_score_that_cannot_be_judged(data, message):
    def score(truth, predicted):
        return roc_auc_score(truth, predicted) if len(set(truth)) > 1 else float("nan")

    result = judge(unjudged(0.9), data, score, title="ROC AUC", greater_is_better=True, level=0.01)
    assert message in result.message
    assert not result.dropped
    assert result.score is None


def test_a_score_without_a_promotion_score_is_reported():
    result = judged(unjudged(None), days(10, 100, 1))
    assert "no score to compare it with" in result.message
    assert not result.dropped


@pytest.mark.parametrize(
    ("name", "dropped", "expected"),
    [
        ("NoDrift", True, ("PerformanceDrop", "PerformanceDrop")),
        ("Inconclusive", True, ("PerformanceDrop", "Inconclusive")),
        ("Drift", True, ("Drift", "Drift")),
        ("Corrupted", True, ("Corrupted", "Corrupted")),
        ("NoDrift", False, ("NoDrift", "NoDrift")),
        ("Inconclusive", False, ("Inconclusive", "Inconclusive")),
    ],
)
def test_a_drop_is_a_verdict_where_there_is_no_graver_one(name, dropped, expected):
    results = [PerformanceResult("a", "ROCAUC"), PerformanceResult("b", "F1", dropped=dropped)]
    verdict = with_drop(ExplainedVerdict(name, Reason(name), "message"), results)
    assert (verdict.name, verdict.reason, verdict.message) == (*expected, "message")


@pytest.mark.parametrize(
    ("possible", "max_drop", "scale", "unsure"),
    [
        (None, 0.02, 1.0, False),
        (0.12, 0.02, 1.0, False),
        (0.16, 0.02, 1.0, True),
        (0.16, 0.3, 1.0, False),  # what is tolerated
        (0.16, 0.02, 4.0, False),  # a loss of 4
        (0.7, 0.02, 4.0, True),
    ],
)
def test_a_score_that_may_have_dropped_is_not_silent(possible, max_drop, scale, unsure):
    result = replace(unjudged(0.8, max_drop), possible_drop=possible, scale=scale, message="ROC AUC is 0.78")
    drift = drift_of_shift(0, (30, 7), 500, 0.05)
    verdict = decide(drift, (), [result], Sensitivity(), rows=(15_000, 3500), wording=PARTITIONS)
    assert verdict.name == ("Inconclusive" if unsure else "NoDrift")
    assert ("ROC AUC is 0.78." in verdict.message) is unsure
