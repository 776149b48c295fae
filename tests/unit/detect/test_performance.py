"""A drop of the score is reported if it is significant and larger than tolerated."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, roc_auc_score

from modelmonitor_api.names import Reason
from modelmonitor_api.spec import Metric
from modelmonitor_trainer.detect.performance import PerformanceResult, judge
from modelmonitor_trainer.detect.verdict import Verdict, with_drop
from modelmonitor_trainer.gate.interval import score_deviation


def days(count, rows, signal, day_effect=0.0, seed=0):
    g = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        truth = g.random(rows) < 0.3
        found.append((truth, g.normal(size=rows) + truth * (signal + g.normal(0, day_effect))))
    return found


def begun(promotion_score, max_drop=0.02):
    return PerformanceResult("auc", "ROCAUC", promotion_score=promotion_score, max_drop=max_drop)


def judged(result, data):
    return judge(result, data, roc_auc_score, title="ROC AUC", greater_is_better=True, level=1 / 90)


@pytest.mark.parametrize(("signal", "dropped"), [(1.5, False), (1.4, False), (0.8, True)])
def test_a_drop_beyond_tolerance_and_chance(signal, dropped):
    promotion_score = roc_auc_score(*map(np.concatenate, zip(*days(20, 500, 1.5, seed=9), strict=True)))
    found = judged(begun(promotion_score), days(20, 500, signal))
    assert found.dropped is dropped
    assert found.low < found.score < found.high
    assert ("has dropped to" in found.message) is dropped


def test_a_promise_from_few_rows_does_not_cry_wolf():
    """A model that has not changed, scored on 300 rows at promotion and on 600 others later."""

    def score(truth, predicted):
        return float(np.sqrt(np.mean((truth - predicted) ** 2)))

    alarms = {True: 0, False: 0}
    for seed in range(200):
        errors = np.random.default_rng(seed).normal(size=900)
        held_out, live = errors[:300], errors[300:]
        promotion_score = score(held_out, np.zeros(300))
        deviation = score_deviation(Metric.ROOT_MEAN_SQUARED_ERROR, held_out, np.zeros(300), None)
        for told in alarms:
            result = replace(begun(promotion_score, max_drop=0.0), promotion_score_deviation=deviation if told else 0.0)
            data = [(live, np.zeros(600))]
            found = judge(result, data, score, title="RMSE", greater_is_better=False, level=0.05)
            alarms[told] += found.dropped
    assert alarms[True] <= 20, "a twentieth of 200, within four standard deviations"
    assert alarms[False] > 2 * alarms[True], "what the promise's own chance amounts to"


def test_few_rows_do_not_tell_a_drop():
    found = judged(begun(0.85), days(2, 60, 1.1))
    assert found.score < 0.83
    assert not found.dropped


def test_days_that_differ_widen_the_interval():
    still, varying = (judged(begun(0.85), days(20, 300, 1.4, effect)) for effect in (0.0, 0.8))
    assert varying.high - varying.low > 1.8 * (still.high - still.low)


def test_smaller_is_better():
    g = np.random.default_rng(0)
    data = [(g.normal(size=200), g.normal(size=200)) for _ in range(10)]
    found = judge(
        begun(0.5), data, mean_absolute_error, title="Mean absolute error", greater_is_better=False, level=0.01
    )
    assert found.dropped
    assert found.message.startswith("Mean absolute error has risen to 1.")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "0 labelled rows are too few"),
        (days(1, 50, 1), "50 labelled rows are too few"),
        ([(np.zeros(200, bool), np.ones(200))], "not defined on the 200 labelled rows"),
    ],
)
def test_nothing_can_be_said(data, says):
    def score(truth, predicted):
        return roc_auc_score(truth, predicted) if len(set(truth)) > 1 else float("nan")

    found = judge(begun(0.9), data, score, title="ROC AUC", greater_is_better=True, level=0.01)
    assert says in found.message
    assert not found.dropped
    assert found.score is None


def test_without_a_promise_the_score_is_told():
    found = judged(begun(None), days(10, 100, 1))
    assert "no score to compare it with" in found.message
    assert not found.dropped


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
    found = with_drop(Verdict(name, Reason(name), "message"), results)
    assert (found.name, found.reason, found.message) == (*expected, "message")
