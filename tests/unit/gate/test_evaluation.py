"""The gate's decisions: a table of contests, the slices, the leaks."""

import numpy as np
import pytest

from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.resource import parse
from modelmonitor_api.spec import Metric, Promotion, Task
from modelmonitor_trainer.gate.evaluation import GateInput, evaluate
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
        (contest(0.8, 1.4, rows=499), {}, GateOutcome.INCONCLUSIVE, GateReason.TOO_FEW_ROWS),
        (contest(None, 30.0), {}, GateOutcome.INCONCLUSIVE, GateReason.TOO_GOOD_TO_BE_TRUE),
        (contest(0.8, 30.0), {}, GateOutcome.INCONCLUSIVE, GateReason.TOO_GOOD_TO_BE_TRUE),
        (contest(0.8, 3.2), {}, GateOutcome.INCONCLUSIVE, GateReason.TOO_GOOD_TO_BE_TRUE),
        # The champion has grown old; when it was young it was as good.
        (contest(0.0, 3.2, promotion_score=0.97), {}, GateOutcome.PASSED, GateReason.BETTER),
        # An easy problem, on which the champion was let through: not suspicious any more.
        (contest(30.0, 30.0), {}, GateOutcome.PASSED, GateReason.NOT_WORSE),
    ],
)
def test_decisions(case, changes, outcome, reason):
    found = evaluate(case, promotion(**changes), seed=0)
    assert (found.outcome, found.reason) == (outcome, reason), found.message
    assert found.rows == len(case.truth)
    assert found.message


def test_the_message_has_the_figures():
    found = evaluate(contest(1.4, 0.8), promotion(), seed=0)
    assert found.champion
    for figure in (found.champion.champion, found.champion.challenger):
        assert f"{figure:.4f}" in found.message
    assert f"{found.champion.low:+.4f}" in found.message
    assert "95%" in found.message
    assert "3,000" in found.message


def test_rows_of_one_class_are_inconclusive():
    case = contest(0.8, 0.8)
    one = GateInput(np.ones(ROWS, dtype=int), case.challenger, case.champion, case.baseline)
    found = evaluate(one, promotion(), seed=0)
    assert (found.outcome, found.reason) == (GateOutcome.INCONCLUSIVE, GateReason.METRIC_UNDEFINED)
    assert "both classes" in found.message


def test_all_checks_are_there_though_the_first_decides():
    found = evaluate(contest(1.4, -0.5), promotion(), seed=0)
    assert found.reason is GateReason.NOT_BETTER_THAN_BASELINE
    assert [check.passed for check in found.checks] == [True, False, False, True]


def with_slices(drop, rows=4000, share=0.25):
    """Return a contest in which the challenger is better, but `drop` weaker on one slice."""
    g = np.random.default_rng(0)
    truth = g.integers(0, 2, rows)
    place = np.where(g.random(rows) < share, "JFK", "EWR").astype(object)
    shared = g.normal(size=rows)
    strength = np.where(place == "JFK", 1.0 - drop, 2.0)
    old = truth + shared + 0.2 * g.normal(size=rows)
    new = strength * truth + shared + 0.2 * g.normal(size=rows)
    old, new = (1 / (1 + np.exp(-x)) for x in (old, new))
    return GateInput(truth, new, old, np.full(rows, 0.5), {"origin": place})


def test_a_slice_that_gets_worse_refuses_a_better_model():
    found = evaluate(with_slices(0.8), promotion(), seed=0)
    assert found.champion
    assert found.champion.low > 0, "better over all"
    assert (found.outcome, found.reason) == (GateOutcome.REJECTED, GateReason.WORSE_ON_A_SLICE)
    assert "origin = JFK" in found.message
    assert [part.worse for part in found.slices] == [False, True]


def test_a_slice_with_few_rows_is_reported_and_does_not_decide():
    found = evaluate(with_slices(0.8, share=0.03), promotion(), seed=0)
    assert found.outcome is GateOutcome.PASSED
    assert found.slices[1].value == "JFK"
    assert not found.slices[1].decides
    assert found.slices[1].difference is None


def test_thirty_slices_of_equal_models_do_not_refuse_by_chance():
    """A drop of 0.02 on some slice of two hundred rows is ordinary; only one in twenty comparisons may refuse."""
    refused = 0
    for seed in range(40):
        g = np.random.default_rng(seed)
        case = contest(0.8, 0.8, rows=6000, seed=seed, slices={"s": g.integers(0, 30, 6000).astype(str).astype(object)})
        slices = compare_slices(case.truth, case.champion, case.challenger, case.slices, promotion(minSliceRows=150), 0)
        assert len(slices) == 30
        refused += any(part.worse for part in slices)
    assert refused <= 5


def test_every_slice_with_rows_enough_is_looked_at():
    """Three hundred airports, and the one that gets worse is not among the largest."""
    g = np.random.default_rng(0)
    rows = 30_000
    origin = np.array([f"a{number:03d}" for number in g.integers(0, 299, rows)], dtype=object)
    origin[g.choice(rows, 90, replace=False)] = "small"
    truth = g.integers(0, 2, rows)
    old = np.clip(0.3 + 0.4 * truth + 0.1 * g.normal(size=rows), 0.01, 0.99)
    new = np.where(origin == "small", 1 - old, old)
    found = compare_slices(truth, old, new, {"origin": origin}, promotion(minSliceRows=80), 0)
    assert sum(part.decides for part in found) > 200
    assert [part.value for part in found if part.worse] == ["small"]
    few = compare_slices(truth, old, new, {"origin": origin}, promotion(minSliceRows=5000), 0)
    assert len(few) == 200, "those that do not decide are not all listed"


def test_a_slice_of_one_class_says_so():
    case = contest(0.8, 0.9)
    values = np.where(case.truth == 1, "all late", "none late").astype(object)
    found = evaluate(contest(0.8, 0.9, slices={"kind": values}), promotion(nonInferiorityMargin="0.02"), seed=0)
    assert {part.undefined for part in found.slices} == {"ROC AUC needs rows of both classes"}
    assert found.checks[-1].passed is None
    assert "both classes" in found.checks[-1].sentence


def test_missing_and_strange_slice_values():
    values = np.array([None, "<b>", "JFK"], dtype=object)[np.arange(ROWS) % 3]
    found = evaluate(contest(0.8, 0.9, slices={"origin": values}), promotion(), seed=0)
    assert {part.value for part in found.slices} == {"(missing)", "<b>", "JFK"}


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
        named = np.array(["xyzw"[place] for place in truth], dtype=object)
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
def test_features_that_hold_the_answer_are_named(task, named):
    (train, truth), (later, truth_later) = leaky(task, 0), leaky(task, 1)
    found = suspects(train, truth, later, truth_later, task)
    assert {suspect.feature for suspect in found} == named
    assert all(suspect.score > 0.999 for suspect in found)


def test_a_suspect_makes_a_first_model_inconclusive():
    found = evaluate(contest(None, 0.8, suspects=(Suspect("arr_delay", 1.0),)), promotion(), seed=0)
    assert found.reason is GateReason.TOO_GOOD_TO_BE_TRUE
    assert "arr_delay" in found.message


SURE = Suspect("arr_delay", 1.0)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (contest(0.8, 2.0, suspects=(SURE,)), GateReason.TOO_GOOD_TO_BE_TRUE),
        (contest(0.8, 2.0, suspects=(Suspect("distance", 0.96, certain=False),)), GateReason.BETTER),
        # It was there before, and it brings the new model nothing that the old one has not.
        (contest(2.0, 2.0, suspects=(SURE,)), GateReason.NOT_WORSE),
        (contest(30.0, 32.0, suspects=(SURE,)), GateReason.NOT_WORSE),
    ],
)
def test_a_suspect_counts_where_it_makes_a_challenger_better_than_the_champion(case, reason):
    found = evaluate(case, promotion(nonInferiorityMargin="0.02"), seed=0)
    assert found.reason is reason, found.message


def test_a_leap_names_the_features_that_could_explain_it():
    strong = Suspect("arr_delay", 0.98, certain=False)
    found = evaluate(contest(0.8, 3.2, suspects=(strong,)), promotion(), seed=0)
    assert found.reason is GateReason.TOO_GOOD_TO_BE_TRUE
    assert "arr_delay (0.9800 alone)" in found.message


@pytest.mark.parametrize(
    ("metric", "value", "earlier", "answer"),
    [
        (Metric.ROC_AUC, 0.98, (0.75,), True),
        (Metric.ROC_AUC, 0.94, (0.75,), False),
        (Metric.ROC_AUC, 0.98, (0.5, 0.97), False),  # as good as the champion was when it was young
        (Metric.LOG_LOSS, 0.056, (0.5,), True),
        (Metric.LOG_LOSS, 0.2, (0.5,), False),
        (Metric.ROOT_MEAN_SQUARED_ERROR, 1.0, (30.0,), True),
        (Metric.R2, 0.9989, (0.6,), True),
        (Metric.R2, 0.9, (0.6,), False),
        (Metric.R2, 0.9, (-4.0, 0.85), False),
        (Metric.R2, 1.0, (1.0,), False),
    ],
)
def test_leaps(metric, value, earlier, answer):
    assert is_suspicious_gain(metric, value, *earlier) is answer


def test_days_that_err_together_spare_a_slice():
    """The same drop, once on all days alike and once from a few of them: only the first is not chance."""
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
