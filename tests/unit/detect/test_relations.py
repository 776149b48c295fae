"""Families of hypotheses: bias, correlations, ablation."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from modelmonitor_trainer.detect import ablation
from modelmonitor_trainer.detect.ablation import Labelled, find_broken_relations
from modelmonitor_trainer.detect.bias import Judged, clustered_mean, find_bias, t_test
from modelmonitor_trainer.detect.correlation import find_correlation_drift, fisher_test
from modelmonitor_trainer.detect.hypotheses import Hypothesis, HypothesisFamily, decide, family
from modelmonitor_trainer.profile.binning import fit_edges
from modelmonitor_trainer.profile.counting import bin_counts
from modelmonitor_trainer.profile.moments import correlations, moments_of, scale_of, total
from modelmonitor_trainer.profile.plans import NumericPlan

LEVEL = 1 / 90


def judged_alone(test, minimum=0.03):
    """Decide a test as the only one of its check."""
    return decide(test, 1.0 if test.p_value is None else test.p_value, LEVEL, minimum, 0.15)


def subject(name, p_value, effect=0.2, limit=None):
    return Hypothesis(name, 0.1, 0.3, effect, 0.1, 0.3, p_value, limit=limit)


def test_a_family_has_the_p_value_of_simes_and_adjusts_like_scipy():
    p_values = [0.001, 0.04, 0.2, 0.9]
    tested = family(HypothesisFamily("d", "t", "w"), [subject(str(p), p) for p in p_values])
    assert tested.p_value == pytest.approx(0.004)
    assert sorted(s.adjusted_p for s in tested.subjects) == pytest.approx(
        sorted(stats.false_discovery_control(p_values)), rel=1e-12
    )


@pytest.mark.parametrize(
    ("one", "family_p", "drifted"),
    [
        (subject("a", 1e-6), 1e-6, True),
        (subject("a", 1e-6, effect=-0.2), 1e-6, True),
        (subject("a", 1e-6, effect=0.01), 1e-6, False),
        (subject("a", 1e-6, limit=0.3), 1e-6, False),
        (subject("a", 1e-6), 0.5, False),
        (subject("a", 0.5), 1e-6, False),
    ],
)
def test_which_changes_count(one, family_p, drifted):
    tested = family(HypothesisFamily("d", "t", "w"), [one])
    assert decide(tested, family_p, LEVEL, 0.03, 0.15).drifted is drifted


def test_the_error_of_a_mean_over_equal_days_is_that_of_the_means_of_days():
    g = np.random.default_rng(0)
    days = np.repeat(np.arange(12), 50)
    values = g.normal(size=600) + np.repeat(g.normal(size=12), 50)
    mean, error, freedom = clustered_mean(values, days)
    means = values.reshape(12, 50).mean(axis=1)
    assert (mean, error, freedom) == pytest.approx((means.mean(), stats.sem(means), 11), rel=1e-12)
    assert t_test(mean, error, freedom)[0] == pytest.approx(stats.ttest_1samp(means, 0).pvalue, rel=1e-9)


def biased_rows(seed, off=0.0, day_effect=0.0, days=20, rows=300, bad_slice=0.0):
    g = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(days), rows)
    chance = np.clip(g.uniform(0.1, 0.5, numbers.size), 0.01, 0.99)
    origin = g.choice(np.array(["JFK", "LGA", None], dtype=object), numbers.size)
    real = np.clip(chance + np.repeat(g.normal(0, day_effect, days), rows) + bad_slice * (origin == "JFK"), 0, 1)
    truth = (g.random(numbers.size) < real).astype(float)
    return Judged(truth, chance + off, numbers, {"origin": origin})


def test_bias_overall_and_of_one_slice():
    bias = judged_alone(find_bias("b", biased_rows(0, off=0.06), binary=True))
    assert {s.name for s in bias.changed} == {"all rows", "origin=JFK", "origin=LGA"}
    assert all(s.effect == pytest.approx(0.06, abs=0.02) for s in bias.changed)
    bias = judged_alone(find_bias("b", biased_rows(0, bad_slice=-0.09), binary=True))
    assert bias.changed[0].name == "origin=JFK"
    assert "origin=LGA" not in {s.name for s in bias.changed}


@pytest.mark.parametrize("days", [1, 2, 3, 4, 6, 20])
@pytest.mark.parametrize("effect", [0.05, 0.1])
def test_no_bias_no_alarm(days, effect):
    tests = [find_bias("b", biased_rows(seed, day_effect=effect, days=days), binary=True) for seed in range(60)]
    assert sum(judged_alone(m, 0.0).drifted for m in tests) <= 3


def test_few_days_are_clusters():
    """One day cannot show that there is no bias; several files, or more days, can."""

    def all_rows(**options):
        test = find_bias("b", biased_rows(3, days=options.pop("days", 1)), binary=True, **options)
        return judged_alone(test), next(subject for subject in test.subjects if subject.name == "all rows")

    one_day, one_file, rows = (all_rows(**options) for options in ({}, {"dated": False}, {"independent": True}))
    widths = [subject.high - subject.low for _, subject in (one_day, one_file, rows)]
    assert widths == sorted(widths, reverse=True)
    assert "all rows" in one_day[0].unresolved
    assert "all rows" not in rows[0].unresolved
    assert "1 day as clusters, too few" in one_day[0].message
    assert "rows as independent" in rows[0].message
    assert "all rows" not in all_rows(days=4)[0].unresolved
    assert judged_alone(find_bias("b", biased_rows(0, off=0.15, days=4), binary=True)).drifted


def test_bias_needs_enough_rows():
    rows = biased_rows(0, days=1, rows=50)
    assert "50 usable labelled rows are too few" in find_bias("b", rows, binary=True).message
    nothing = Judged(np.empty(0), np.empty(0), np.empty(0), {})
    assert find_bias("b", nothing, binary=False).p_value is None


# Correlations


def scales_of(matrix, cells=256):
    scales = []
    for index, column in enumerate(matrix.T):
        column = column[np.isfinite(column)]  # noqa: PLW2901 - the finite part of the same column
        plan = NumericPlan(f"x{index}", fit_edges(column, cells))
        scales.append(scale_of(plan, bin_counts(column, plan.edges)))
    return scales


def sample(g, rows, rho=0.0, columns=4, shift=0.0):
    matrix = g.normal(size=(rows, columns)) + shift
    matrix[:, 1] = rho * matrix[:, 0] + np.sqrt(1 - rho**2) * matrix[:, 1]
    return matrix


def moments(matrix, scales):
    return moments_of(list(matrix.T), scales)


def test_correlations_agree_with_numpy_and_merge():
    g = np.random.default_rng(0)
    rows = sample(g, 3000, 0.6)
    rows[g.random(rows.shape) < 0.1] = np.nan
    scales = scales_of(rows)
    whole = moments(rows, scales)
    parts = total([moments(rows[:100], scales), moments(rows[100:100], scales), moments(rows[100:], scales)], 4)
    clipped = np.column_stack([np.clip(rows[:, i], s.low, s.high) for i, s in enumerate(scales)])
    ranked = np.column_stack(
        [
            np.where(
                np.isnan(rows[:, i]),
                np.nan,
                s.ranks[np.searchsorted(s.edges, rows[:, i], side="right").clip(0, s.ranks.size - 1)],
            )
            for i, s in enumerate(scales)
        ]
    )
    for values, sums in ((clipped, "values"), (ranked, "ranks")):
        for result in (whole, parts):
            r, variance = correlations(result.rows, getattr(result, sums))
            for index, (i, j) in enumerate(zip(*np.triu_indices(4, 1), strict=True)):
                both = np.isfinite(values[:, i]) & np.isfinite(values[:, j])
                assert r[index] == pytest.approx(np.corrcoef(values[both, i], values[both, j])[0, 1], abs=1e-9)
                assert result.rows[index] == both.sum()
                assert variance[index] == pytest.approx((1 - r[index] ** 2) ** 2 / both.sum(), rel=0.25)


def test_rank_correlation_is_spearmans_up_to_the_cells():
    g = np.random.default_rng(0)
    rows = np.exp(sample(g, 5000, 0.7, columns=2) * 2)
    sums = moments(rows, scales_of(rows, 1024))
    r, _ = correlations(sums.rows, sums.ranks)
    assert r[0] == pytest.approx(stats.spearmanr(rows[:, 0], rows[:, 1]).statistic, abs=1e-4)


def test_fisher_is_the_textbook_test():
    z, variance = fisher_test(np.array([0.5, 0.3]), np.zeros(2), np.array([103.0, 203.0]))
    p = 2 * stats.norm.sf(abs(z[0] - z[1]) / np.sqrt(variance.sum()))
    expected = 2 * stats.norm.sf(abs(np.arctanh(0.5) - np.arctanh(0.3)) / np.sqrt(1 / 100 + 1 / 200))
    assert p == pytest.approx(expected, rel=1e-12)


def drift_tests(reference, current, scales=None):
    scales = scales or scales_of(np.concatenate(reference))
    names = [s.name for s in scales]
    tests = find_correlation_drift(
        "c", names, [moments(m, scales) for m in reference], [moments(m, scales) for m in current], LEVEL
    )
    return [judged_alone(test) for test in tests if test.subjects]


@pytest.mark.parametrize("batches", [20, 30])
def test_only_the_changed_correlation_is_reported(batches):
    g = np.random.default_rng(1)
    reference = [sample(g, 6000 // batches, 0.6) for _ in range(batches)]
    for test in drift_tests(reference, [sample(g, 3000, 0.2)]):
        assert [s.name for s in test.changed] == ["x0 and x1"]
        assert test.changed[0].effect == pytest.approx(-0.2, abs=0.05)
        assert test.changed[0].low < -0.2 + 0.05 < 0.05 + test.changed[0].high


def alarms(make, batches, seeds=40):
    count = 0
    for seed in range(seeds):
        g = np.random.default_rng(seed)
        count += any(t.drifted for t in drift_tests([make(g) for _ in range(batches)], [make(g)]))
    return count


def common_scale(g):
    return sample(g, 500) * g.lognormal(0, 1, (500, 1))


def day_effects(g):
    return sample(g, 200, 0.5 + 0.1 * g.standard_normal()) + g.normal(0, 0.5, 4)


@pytest.mark.parametrize(
    ("make", "batches"),
    [
        (lambda g: sample(g, 500, 0.5), 1),
        (lambda g: np.exp(2 * sample(g, 500, 0.5)), 1),
        (lambda g: g.standard_t(2, (500, 4)), 1),
        (common_scale, 1),
        (day_effects, 30),
    ],
)
def test_ordinary_rows_do_not_alarm(make, batches):
    assert alarms(make, batches) <= 2


def test_a_few_arbitrary_values_do_not_change_correlations():
    g = np.random.default_rng(0)
    reference, current = [sample(g, 10_000)], sample(g, 10_000)
    current[:10] = 1e9
    current[10] = np.inf
    assert not any(t.drifted for t in drift_tests(reference, [np.where(np.isfinite(current), current, np.nan)]))


def test_constant_columns_and_empty_windows():
    g = np.random.default_rng(0)
    rows = sample(g, 500)
    plan = NumericPlan("x", fit_edges(np.ones(10), 16))
    assert scale_of(plan, bin_counts(np.ones(10), plan.edges)) is None
    assert scale_of(plan, np.zeros(plan.cells, dtype=np.int64)) is None
    scales = scales_of(rows)
    still = rows.copy()
    still[:, 2] = 1.0
    tests = find_correlation_drift(
        "c", [s.name for s in scales], [moments(rows, scales)], [moments(still, scales)], LEVEL
    )
    assert {len(t.subjects) for t in tests} == {3}
    nothing = find_correlation_drift("c", [s.name for s in scales], [moments(rows, scales)], [], LEVEL)
    assert {t.p_value for t in nothing} == {None}
    assert "fewer than two" in find_correlation_drift("c", ["x"], [], [], LEVEL)[0].message


# Ablation


def labelled(seed, slope, days=12, rows=250, regression=False):
    g = np.random.default_rng(seed)
    n = days * rows
    x, z = g.normal(size=n), g.normal(size=n)
    kind = g.choice(np.array(["a", "b", None], dtype=object), n)
    score = slope * x + z
    truth = score + g.normal(size=n) if regression else (g.random(n) < 1 / (1 + np.exp(-score))).astype(float)
    return Labelled({"x": x, "z": z, "kind": kind}, truth, np.repeat(np.arange(days), rows))


@pytest.mark.parametrize("regression", [False, True])
def test_the_broken_relationship_is_named(regression):
    classes = 0 if regression else 2
    tested = find_broken_relations(
        "a", labelled(0, 2, regression=regression), labelled(1, 0, regression=regression), classes=classes
    )[0]
    names = {s.name for s in judged_alone(tested).changed}
    assert {"x alone", "what x adds"} <= names
    assert not {"z alone", "kind alone", "what kind adds"} & names


def test_unchanged_relationships_do_not_alarm():
    for seed in range(2):
        tested = find_broken_relations("a", labelled(seed, 1), labelled(seed + 100, 1), classes=2)[0]
        assert not judged_alone(tested).drifted


def test_ablation_needs_enough_rows_and_two_classes():
    few = find_broken_relations("a", labelled(0, 1), labelled(0, 1, days=1), classes=2)[0]
    assert (few.p_value, "250 labelled rows; 500 are needed" in few.message) == (None, True)
    one = labelled(0, 1)
    same = Labelled(one.columns, np.zeros_like(one.truth), one.days)
    assert "same outcome" in find_broken_relations("a", one, same, classes=2)[0].message
    assert ablation.FOLDS >= 2


def test_ablation_leaves_out_columns_without_values():
    one, other = labelled(0, 1), labelled(1, 1)
    missing = {"empty": np.full(one.truth.size, np.nan), "blank": np.full(one.truth.size, None, dtype=object)}
    sides = [Labelled(missing | side.columns, side.truth, side.days) for side in (one, other)]
    assert find_broken_relations("a", *sides, classes=2) == find_broken_relations("a", one, other, classes=2)
    nothing = [Labelled(missing, side.truth, side.days) for side in (one, other)]
    (family,) = find_broken_relations("a", *nothing, classes=2)
    assert (family.p_value, family.message) == (None, "no feature has values throughout the reference")


def test_small_models_use_one_thread_even_if_scikit_learn_was_not_loaded_before():
    code = """
import numpy as np
from threadpoolctl import threadpool_info
from modelmonitor_trainer.detect import ablation
ablation._compare = lambda *_, **__: print(*(pool["num_threads"] for pool in threadpool_info())) or []
side = ablation.Labelled({"x": np.arange(900.0)}, np.arange(900.0) % 2, np.zeros(900))
ablation.find_broken_relations("a", side, side, classes=2)
"""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert set(process.stdout.split()) == {"1"}
    assert len(process.stdout.split()) > 1
