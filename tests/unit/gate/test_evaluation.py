"""The gate's decisions: a table of contests, the slices, the leaks."""

from dataclasses import replace

import numpy as np
import pytest

from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.resource import parse
from modelmonitor_api.spec import Metric, Promotion, Task
from modelmonitor_trainer.gate.comparison import GateInput
from modelmonitor_trainer.gate.evaluation import evaluate
from modelmonitor_trainer.gate.leakage import Suspect, is_suspicious_gain, is_too_good, suspects
from modelmonitor_trainer.gate.slices import compare_slices

ROWS = 3000


def promotion(**changes):
    return parse(Promotion, {"metric": "ROCAUC", **changes})


def contest(champion=0.8, challenger=0.8, *, rows=ROWS, seed=0, **more):
    """Return two models whose classes lie so far apart, with noise that they share."""
    g = np.random.default_rng(seed)
    truth = g.integers(0, 2, rows)
    shared = g.normal(size=rows)

    def scores(strength):
        return 1 / (1 + np.exp(-(strength * (truth - 0.5) + shared + 0.2 * g.normal(size=rows))))

    return GateInput(
        truth=truth,
        challenger=scores(challenger),
        champion=None if champion is None else scores(champion),
        baseline=np.full(rows, 0.5),
        **more,
    )


@pytest.mark.parametrize(
    ("case", "changes", "outcome", "reason"),
    [
        (contest(None, 0.8), {}, GateOutcome.PASSED, GateReason.FIRST_MODEL),
        (contest(0.8, 1.4), {}, GateOutcome.PASSED, GateReason.BETTER),
        (contest(0.8, 1.4), {"requirement": "Better"}, GateOutcome.PASSED, GateReason.BETTER),
        (contest(0.8, 0.8), {"nonInferiorityMargin": "0.02"}, GateOutcome.PASSED, GateReason.NOT_WORSE),
        (contest(0.8, 0.8), {"requirement": "Better"}, GateOutcome.REJECTED, GateReason.NOT_SHOWN_TO_BE_BETTER),
        (contest(0.8, 0.8, rows=600), {}, GateOutcome.REJECTED, GateReason.NOT_SHOWN_TO_BE_AS_GOOD),
        (contest(1.4, 0.8), {}, GateOutcome.REJECTED, GateReason.WORSE),
        (contest(1.4, 0.8), {"requirement": "Better"}, GateOutcome.REJECTED, GateReason.WORSE),
        (contest(None, 0.0), {}, GateOutcome.REJECTED, GateReason.NOT_BETTER_THAN_BASELINE),
        (contest(0.0, -2.0), {}, GateOutcome.REJECTED, GateReason.NOT_BETTER_THAN_BASELINE),
        # Where the champion is compared, a better value than the baseline's is enough; a first model needs more.
        (contest(0.0, 0.15, rows=600, seed=1), {}, GateOutcome.PASSED, GateReason.BETTER),
        (contest(None, 0.15, rows=600, seed=1), {}, GateOutcome.REJECTED, GateReason.NOT_BETTER_THAN_BASELINE),
        (contest(-0.2, -0.2, rows=9000), {}, GateOutcome.REJECTED, GateReason.NOT_BETTER_THAN_BASELINE),
        # Better than a champion that is worse than a constant, but worse than a constant itself.
        (contest(-2.0, -0.5), {}, GateOutcome.REJECTED, GateReason.NOT_BETTER_THAN_BASELINE),
        (contest(0.8, 1.4, rows=499), {}, GateOutcome.INCONCLUSIVE, GateReason.TOO_FEW_ROWS),
        (contest(None, 30.0), {}, GateOutcome.INCONCLUSIVE, GateReason.TOO_GOOD_TO_BE_TRUE),
        (contest(0.8, 30.0), {}, GateOutcome.INCONCLUSIVE, GateReason.TOO_GOOD_TO_BE_TRUE),
        (contest(0.8, 3.2), {}, GateOutcome.INCONCLUSIVE, GateReason.TOO_GOOD_TO_BE_TRUE),
        # The champion's score has decayed; at its promotion it was as good as the challenger.
        (contest(0.0, 3.2, promotion_score=0.97), {}, GateOutcome.PASSED, GateReason.BETTER),
        # An easy problem: the champion scores as well, so the score is not suspicious.
        (contest(30.0, 30.0), {}, GateOutcome.PASSED, GateReason.NOT_WORSE),
    ],
)
def test_decisions(case, changes, outcome, reason):
    result = evaluate(case, promotion(**changes), seed=0)
    assert (result.outcome, result.reason) == (outcome, reason), result.message
    assert result.rows == len(case.truth)
    assert result.message


def test_a_margin_is_at_most_a_tenth_of_what_the_champion_has_gained():
    """The Brier score of a rare class is smaller than the declared margin, for a trivial model already."""
    g = np.random.default_rng(0)
    risk = np.exp(-7 + 2 * g.normal(size=60_000))
    truth = (g.random(60_000) < risk).astype(np.int64)
    good, bad = np.clip(risk, 0, 1), np.clip(risk * np.exp(1.5 * g.normal(size=60_000)), 0, 1)
    case = GateInput(truth=truth, challenger=bad, champion=good, baseline=np.full(60_000, truth.mean()))
    result = evaluate(case, promotion(metric="BrierScore"), seed=0)
    assert result.champion
    assert result.champion.value > -0.005, "within the declared margin"
    assert result.outcome is GateOutcome.REJECTED


def test_few_rows_of_the_rarer_class_are_inconclusive():
    case = contest(0.8, 1.4)
    truth = np.zeros(ROWS, dtype=np.int64)
    truth[:9] = 1
    result = evaluate(replace(case, truth=truth), promotion(), seed=0)
    assert (result.outcome, result.reason) == (GateOutcome.INCONCLUSIVE, GateReason.TOO_FEW_ROWS)
    assert "9 of 3,000 hold-out rows are of the rarer class" in result.message
    more = evaluate(replace(case, truth=truth), promotion(minHoldoutPositives=9), seed=0)
    assert more.reason is not GateReason.TOO_FEW_ROWS


def test_a_champion_that_cannot_be_compared_is_replaced_with_a_reason():
    result = evaluate(contest(None, 0.8, not_compared="it needs 'z'"), promotion(), seed=0)
    assert (result.outcome, result.reason) == (GateOutcome.PASSED, GateReason.CHAMPION_NOT_COMPARED)
    assert result.message.startswith("Not compared with the champion, because it needs 'z': ROC AUC")


def test_a_first_model_names_a_feature_that_nearly_predicts_the_target():
    result = evaluate(contest(None, 0.8, suspects=(Suspect("late", 0.93, certain=False),)), promotion(), seed=0)
    assert result.reason is GateReason.FIRST_MODEL
    assert "'late' alone scores 0.9300: if it is known only after the outcome, it leaks the target" in result.message


def test_the_message_has_the_figures():
    result = evaluate(contest(1.4, 0.8), promotion(), seed=0)
    assert result.champion
    for figure in (result.champion.champion, result.champion.challenger):
        assert f"{figure:.4f}" in result.message
    assert f"{result.champion.low:+.4f}" in result.message
    assert "95%" in result.message
    assert "3,000" in result.message


def test_rows_of_one_class_are_inconclusive():
    case = contest(0.8, 0.8)
    one = GateInput(np.ones(ROWS, dtype=int), case.challenger, case.champion, case.baseline)
    result = evaluate(one, promotion(), seed=0)
    assert (result.outcome, result.reason) == (GateOutcome.INCONCLUSIVE, GateReason.METRIC_UNDEFINED)
    assert "both classes" in result.message


def test_all_criteria_are_reported_although_the_first_failure_decides():
    result = evaluate(contest(1.4, -0.5), promotion(), seed=0)
    assert result.reason is GateReason.NOT_BETTER_THAN_BASELINE
    assert [check.passed for check in result.checks] == [True, False, False, True]


def with_slices(drop, rows=4000, share=0.25):
    """Return a contest in which the challenger is better, but `drop` weaker on one slice."""
    g = np.random.default_rng(0)
    truth = g.integers(0, 2, rows)
    origin = np.where(g.random(rows) < share, "JFK", "EWR").astype(object)
    shared = g.normal(size=rows)
    strength = np.where(origin == "JFK", 1.0 - drop, 2.0)
    old = truth + shared + 0.2 * g.normal(size=rows)
    new = strength * truth + shared + 0.2 * g.normal(size=rows)
    old, new = (1 / (1 + np.exp(-x)) for x in (old, new))
    return GateInput(truth, new, old, np.full(rows, 0.5), {"origin": origin})


def test_a_worse_slice_rejects_a_better_model():
    result = evaluate(with_slices(0.8), promotion(), seed=0)
    assert result.champion
    assert result.champion.low > 0, "better over all"
    assert (result.outcome, result.reason) == (GateOutcome.REJECTED, GateReason.WORSE_ON_A_SLICE)
    assert "origin = JFK" in result.message
    assert [part.worse for part in result.slices] == [False, True]


def test_a_slice_with_few_rows_is_reported_and_does_not_decide():
    result = evaluate(with_slices(0.8, share=0.03), promotion(), seed=0)
    assert result.outcome is GateOutcome.PASSED
    assert result.slices[1].value == "JFK"
    assert not result.slices[1].decides
    assert result.slices[1].difference is None


def test_thirty_slices_of_equal_models_are_rarely_rejected():
    """A drop of 0.02 on a slice of two hundred rows is ordinary; one comparison in twenty may be rejected by chance."""
    rejected = 0
    for seed in range(40):
        g = np.random.default_rng(seed)
        case = contest(0.8, 0.8, rows=6000, seed=seed, slices={"s": g.integers(0, 30, 6000).astype(str).astype(object)})
        slices = compare_slices(case.truth, case.champion, case.challenger, case.slices, promotion(minSliceRows=150), 0)
        assert len(slices) == 30
        rejected += any(part.worse for part in slices)
    assert rejected <= 5


def test_every_slice_with_enough_rows_is_tested():
    """Three hundred airports, and the one that gets worse is not among the largest."""
    g = np.random.default_rng(0)
    rows = 30_000
    origin = np.array([f"a{number:03d}" for number in g.integers(0, 299, rows)], dtype=object)
    origin[g.choice(rows, 90, replace=False)] = "small"
    truth = g.integers(0, 2, rows)
    old = np.clip(0.3 + 0.4 * truth + 0.1 * g.normal(size=rows), 0.01, 0.99)
    new = np.where(origin == "small", 1 - old, old)
    slices = compare_slices(truth, old, new, {"origin": origin}, promotion(minSliceRows=80), 0)
    assert sum(part.decides for part in slices) > 200
    assert [part.value for part in slices if part.worse] == ["small"]
    few = compare_slices(truth, old, new, {"origin": origin}, promotion(minSliceRows=5000), 0)
    assert len(few) == 200, "those that do not decide are not all listed"


def test_a_slice_of_one_class_is_undefined():
    case = contest(0.8, 0.9)
    values = np.where(case.truth == 1, "all late", "none late").astype(object)
    result = evaluate(contest(0.8, 0.9, slices={"kind": values}), promotion(nonInferiorityMargin="0.02"), seed=0)
    assert {part.undefined for part in result.slices} == {"ROC AUC needs rows of both classes"}
    assert result.checks[-1].passed is None
    assert "both classes" in result.checks[-1].sentence


def test_missing_and_strange_slice_values():
    values = np.array([None, "<b>", "JFK"], dtype=object)[np.arange(ROWS) % 3]
    result = evaluate(contest(0.8, 0.9, slices={"origin": values}), promotion(), seed=0)
    assert {part.value for part in result.slices} == {"(missing)", "<b>", "JFK"}


@pytest.mark.parametrize(
    ("metric", "value", "baseline", "answer"),
    [
        (Metric.ROC_AUC, 0.9995, 0.5, True),
        (Metric.ROC_AUC, 0.98, 0.5, False),
        (Metric.ACCURACY, 0.9995, 0.9993, False),  # one row in a thousand is positive
        (Metric.ACCURACY, 0.9999, 0.5, True),
        (Metric.LOG_LOSS, 0.0001, 0.6, True),
        (Metric.LOG_LOSS, 0.1, 0.6, False),
        (Metric.R2, 0.99999, 0.0, True),
        (Metric.R2, 0.99, 0.0, False),
        (Metric.ROOT_MEAN_SQUARED_ERROR, 0.0, 12.0, True),
        (Metric.MEAN_ABSOLUTE_ERROR, 0.5, 12.0, False),
    ],
)
def test_too_good(metric, value, baseline, answer):
    assert is_too_good(metric, value, baseline) is answer


def leaky(task, seed=0, rows=3000):
    g = np.random.default_rng(seed)
    if task is Task.REGRESSION:
        truth = g.normal(size=rows)
        leak = 3 * truth - 7
        named = np.array([f"{value:.3f}" for value in truth], dtype=object)  # unique: explains only itself
    else:
        truth = g.integers(0, 2 if task is Task.BINARY_CLASSIFICATION else 4, rows)
        leak = np.where(g.random(rows) < 0.1, np.nan, truth * 10.0 + g.random(rows))
        leak = np.where(np.isnan(leak), -1000.0 - truth, leak)
        named = np.array(["xyzw"[label] for label in truth], dtype=object)
    features = {
        "honest": truth + g.normal(size=rows),
        "leak": leak,
        "named": named,
        "id": np.array([f"{seed}-{row}" for row in range(rows)], dtype=object),
        "constant": np.full(rows, 1.0),
        "empty": np.full(rows, np.nan),
        "nothing": np.full(rows, None, dtype=object),
    }
    return features, truth


@pytest.mark.parametrize(
    ("task", "named"),
    [
        (Task.BINARY_CLASSIFICATION, {"leak", "named"}),
        (Task.MULTICLASS_CLASSIFICATION, {"leak", "named"}),
        (Task.REGRESSION, {"leak"}),
    ],
)
def test_features_that_leak_the_target_are_named(task, named):
    (train, truth), (later, truth_later) = leaky(task, 0), leaky(task, 1)
    suspicious = suspects(train, truth, later, truth_later, task)
    assert {suspect.feature for suspect in suspicious} == named
    assert all(suspect.score > 0.999 for suspect in suspicious)


def test_a_suspect_makes_a_first_model_inconclusive():
    result = evaluate(contest(None, 0.8, suspects=(Suspect("arr_delay", 1.0),)), promotion(), seed=0)
    assert result.reason is GateReason.TOO_GOOD_TO_BE_TRUE
    assert "arr_delay" in result.message


SURE = Suspect("arr_delay", 1.0)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (contest(0.8, 2.0, suspects=(SURE,)), GateReason.TOO_GOOD_TO_BE_TRUE),
        (contest(0.8, 2.0, suspects=(Suspect("distance", 0.96, certain=False),)), GateReason.BETTER),
        # The champion has the same feature and scores as well.
        (contest(2.0, 2.0, suspects=(SURE,)), GateReason.NOT_WORSE),
        (contest(30.0, 32.0, suspects=(SURE,)), GateReason.NOT_WORSE),
    ],
)
def test_a_suspect_counts_where_it_makes_a_challenger_better_than_the_champion(case, reason):
    result = evaluate(case, promotion(nonInferiorityMargin="0.02"), seed=0)
    assert result.reason is reason, result.message


def test_a_suspicious_gain_names_the_features_that_could_explain_it():
    strong = Suspect("arr_delay", 0.98, certain=False)
    result = evaluate(contest(0.8, 3.2, suspects=(strong,)), promotion(), seed=0)
    assert result.reason is GateReason.TOO_GOOD_TO_BE_TRUE
    assert "arr_delay (0.9800 alone)" in result.message


@pytest.mark.parametrize(
    ("metric", "value", "earlier", "answer"),
    [
        (Metric.ROC_AUC, 0.98, (0.75,), True),
        (Metric.ROC_AUC, 0.94, (0.75,), False),
        (Metric.ROC_AUC, 0.98, (0.5, 0.97), False),  # as good as the champion at its promotion
        (Metric.LOG_LOSS, 0.056, (0.5,), True),
        (Metric.LOG_LOSS, 0.2, (0.5,), False),
        (Metric.ROOT_MEAN_SQUARED_ERROR, 1.0, (30.0,), True),
        (Metric.R2, 0.9989, (0.6,), True),
        (Metric.R2, 0.9, (0.6,), False),
        (Metric.R2, 0.9, (-4.0, 0.85), False),
        (Metric.R2, 1.0, (1.0,), False),
    ],
)
def test_suspicious_gains(metric, value, earlier, answer):
    assert is_suspicious_gain(metric, value, *earlier) is answer


def test_a_slice_that_is_worse_on_few_days_is_not_rejected():
    """The same drop on all days, and on a few days only: only the first is significant."""
    case = with_slices(0.8)
    g = np.random.default_rng(1)
    days = g.integers(0, 14, len(case.truth))
    alike = compare_slices(case.truth, case.champion, case.challenger, case.slices, promotion(), 0, days)
    assert [part.worse for part in alike] == [False, True]
    swapped = np.where(np.isin(days, (3, 9)), 1 - case.champion, case.champion)
    few = compare_slices(case.truth, case.champion, swapped, case.slices, promotion(), 0, days)
    assert all(part.difference is not None and part.difference < -0.02 for part in few)
    assert not any(part.worse for part in few)
    rows_only = compare_slices(case.truth, case.champion, swapped, case.slices, promotion(), 0)
    assert all(part.worse for part in rows_only)
