"""Statistical tests of drift against scipy, and the coverage of their intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from modelmonitor_trainer.detect.statistics import (
    Evidence,
    adjusted,
    compare_categories,
    compare_numbers,
    compare_rates,
    detectable_effect,
    ks_bounds,
    population_stability,
    rows_needed,
)
from modelmonitor_trainer.profile.binning import fit_edges
from modelmonitor_trainer.profile.counting import bin_counts


def generator(seed=0):
    return np.random.default_rng(seed)


def evidence_of(evidence: Evidence | None) -> Evidence:
    """Return the evidence of a test that must have been possible."""
    assert evidence
    return evidence


@pytest.mark.parametrize("cells", [4, 32, 1024])
@pytest.mark.parametrize(
    "draw",
    [
        lambda g, n: g.normal(size=n),
        lambda g, n: g.lognormal(0, 2, n),
        lambda g, n: g.standard_t(2, n),
        lambda g, n: g.poisson(3, n).astype(float),
        lambda g, n: np.where(g.random(n) < 0.4, 0.0, g.normal(size=n)),
        lambda g, n: 1e6 + g.normal(size=n) * 1e-3,
    ],
)
def test_the_ks_statistic_lies_within_its_bounds(draw, cells):
    g = generator()
    reference, current = draw(g, 3000), draw(g, 2000) * 1.05
    edges = fit_edges(reference, cells)
    low, high = ks_bounds(bin_counts(reference, edges), bin_counts(current, edges), edges)
    exact = stats.ks_2samp(reference, current).statistic
    assert low - 1e-12 <= exact <= high + 1e-12
    assert high - low <= 2.5 / cells


@given(
    st.lists(st.integers(0, 8).map(float), min_size=1, max_size=60),
    st.lists(st.one_of(st.integers(0, 8).map(float), st.floats(-2, 10)), min_size=1, max_size=60),
    st.integers(2, 16),
)
@settings(max_examples=200)
def test_the_bounds_hold_for_any_samples(reference, current, cells):
    reference, current = np.array(reference), np.array(current)
    edges = fit_edges(reference, cells)
    low, high = ks_bounds(bin_counts(reference, edges), bin_counts(current, edges), edges)
    exact = np.max([abs(np.mean(reference <= v) - np.mean(current <= v)) for v in np.concatenate([reference, current])])
    assert low - 1e-12 <= exact <= high + 1e-12


def test_the_bounds_of_discrete_columns_are_exact():
    g = generator()
    reference, current = g.poisson(2, 5000).astype(float), g.poisson(2.2, 5000).astype(float)
    edges = fit_edges(reference)
    low, high = ks_bounds(bin_counts(reference, edges), bin_counts(current, edges), edges)
    assert low == high == pytest.approx(stats.ks_2samp(reference, current).statistic, abs=1e-12)


@pytest.mark.parametrize(("n", "m", "shift"), [(50, 80, 0.3), (500, 500, 0.1), (5000, 3000, 0.03)])
def test_p_values_of_numbers_are_close_to_scipys(n, m, shift):
    g = generator()
    reference, current = g.normal(size=n), g.normal(shift, size=m)
    edges = np.unique(np.concatenate([reference, current]))
    evidence = evidence_of(compare_numbers(bin_counts(reference, edges), bin_counts(current, edges), edges))
    exact = stats.ks_2samp(reference, current)
    assert evidence.p_value >= exact.pvalue * 0.8
    assert evidence.p_value == pytest.approx(exact.pvalue, rel=0.2, abs=0.02)


def test_chi_square_is_scipys():
    reference, current = np.array([500, 300, 200, 0]), np.array([90, 70, 40, 0])
    evidence = evidence_of(compare_categories(reference, current))
    exact = stats.chi2_contingency(np.array([reference[:3], current[:3]]), correction=False)
    assert evidence.p_value == pytest.approx(exact.pvalue, rel=1e-9)


def test_rates_are_scipys_with_yates_correction():
    evidence = evidence_of(compare_rates(50, 1000, 90, 1000))
    exact = stats.chi2_contingency([[50, 950], [90, 910]], correction=True)
    assert evidence.p_value == pytest.approx(exact.pvalue, rel=1e-9)
    assert evidence.effect == pytest.approx(0.04)
    assert evidence.low < 0.04 < evidence.high


@pytest.mark.parametrize(("a", "n", "b", "m"), [(0, 100, 0, 50), (100, 100, 50, 50), (0, 1, 1, 1)])
def test_rates_of_zero_and_one(a, n, b, m):
    evidence = evidence_of(compare_rates(a, n, b, m))
    assert 0 <= evidence.low <= evidence.effect <= evidence.high <= 1
    assert evidence.p_value > 0.05


def test_empty_sides_are_not_tested():
    assert compare_numbers(np.array([0, 0]), np.array([1, 2]), np.array([0.0])) is None
    assert compare_categories(np.array([3, 1]), np.array([0, 0])) is None
    assert compare_rates(0, 0, 1, 2) is None


def test_rare_values_missing_from_the_reference_are_not_drift():
    g = generator()
    p_values = []
    for _ in range(40):
        reference, current = g.integers(0, 5000, 1000), g.integers(0, 5000, 1000)
        values, counts = np.unique(reference, return_counts=True)
        known = np.isin(current, values)
        now = np.append([np.count_nonzero(current[known] == v) for v in values], np.count_nonzero(~known))
        p_values.append(evidence_of(compare_categories(np.append(counts, 0), now)).p_value)
    assert min(p_values) > 1e-4


@pytest.mark.parametrize(
    ("values", "n", "m"), [(2000, 10_000, 10_000), (10_000, 100_000, 100_000), (5000, 30_000, 300_000)]
)
def test_values_common_by_chance_are_not_drift(values, n, m):
    """With more values than cells, the cells are those of the values that are most frequent in the reference sample."""
    g = generator()
    for _ in range(5):
        reference, current = (g.multinomial(rows, np.full(values, 1 / values)) for rows in (n, m))
        named = np.argsort(-reference, kind="stable")[:1000]
        evidence = evidence_of(
            compare_categories(
                np.append(reference[named], n - reference[named].sum()),
                np.append(current[named], m - current[named].sum()),
            )
        )
        assert evidence.p_value > 1e-3
        assert evidence.effect < 0.03


def test_a_change_of_common_values_is_detected_with_more_values_than_cells():
    g = generator()
    shares = 1 / np.arange(1, 10_001)
    shares /= shares.sum()
    moved = shares * 0.9
    moved[10] += 0.1
    reference, current = g.multinomial(20_000, shares), g.multinomial(20_000, moved)
    named = np.argsort(-reference, kind="stable")[:1000]
    evidence = evidence_of(
        compare_categories(
            np.append(reference[named], 20_000 - reference[named].sum()),
            np.append(current[named], 20_000 - current[named].sum()),
        )
    )
    assert evidence.p_value < 1e-100
    assert evidence.effect == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("mean", [0.1, 1.0, 5.0])
def test_p_values_of_tied_numbers_are_conservative(mean):
    g = generator()
    p_values = []
    for _ in range(300):
        reference, current = g.poisson(mean, 800).astype(float), g.poisson(mean, 500).astype(float)
        edges = fit_edges(reference)
        p_values.append(
            evidence_of(compare_numbers(bin_counts(reference, edges), bin_counts(current, edges), edges)).p_value
        )
    # Three standard deviations of the share of 300 uniform p-values.
    for level in (0.05, 0.2):
        assert np.mean(np.array(p_values) < level) <= level + 3 * np.sqrt(level * (1 - level) / 300)


def test_p_values_of_numbers_are_uniform_without_drift():
    g = generator()
    p_values = []
    for _ in range(400):
        reference, current = g.normal(size=1000), g.normal(size=700)
        edges = fit_edges(reference)
        p_values.append(
            evidence_of(compare_numbers(bin_counts(reference, edges), bin_counts(current, edges), edges)).p_value
        )
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_intervals_of_rates_are_newcombes():
    """Newcombe 1998, table II, method 10, example (a): 56/70 - 48/80 lies in 0.0524 ... 0.3339."""
    evidence = evidence_of(compare_rates(48, 80, 56, 70))
    assert (evidence.low, evidence.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@given(
    st.lists(st.tuples(st.integers(5, 500), st.integers(5, 500)), min_size=2, max_size=30),
)
@settings(max_examples=50)
def test_chi_square_of_any_table_is_scipys(table):
    reference, current = (np.array([*side, 0]) for side in zip(*table, strict=True))
    n, m = reference.sum(), current.sum()
    if ((reference + current)[:-1] * (min(n, m) / (n + m)) < 5).any():
        return  # pooled first
    exact = stats.chi2_contingency(np.array([reference[:-1], current[:-1]]), correction=False)
    assert evidence_of(compare_categories(reference, current)).p_value == pytest.approx(
        exact.pvalue, rel=1e-9, abs=1e-300
    )


def test_total_variation_is_corrected_for_sampling_noise():
    g = generator()
    shares = np.full(500, 1 / 500)
    still = evidence_of(
        compare_categories(np.append(g.multinomial(20_000, shares), 0), np.append(g.multinomial(20_000, shares), 0))
    )
    assert still.effect < 0.03
    moved = shares + np.where(np.arange(500) < 250, 1, -1) * 0.2 / 500
    evidence = evidence_of(
        compare_categories(np.append(g.multinomial(20_000, shares), 0), np.append(g.multinomial(20_000, moved), 0))
    )
    assert evidence.effect == pytest.approx(0.1, abs=0.01)
    assert evidence.low <= 0.1 <= evidence.high


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjustment_is_scipys(p_values):
    assert adjusted(p_values) == pytest.approx(stats.false_discovery_control(p_values, method="bh"))


def test_adjusting_no_p_values():
    assert adjusted([]).size == 0


@pytest.mark.parametrize("n", [200, 1000, 10_000])
def test_a_detectable_effect_is_detected_four_times_in_five(n):
    level, tests, g = 0.011, 40, generator()
    effect = detectable_effect(n, n, level, tests)
    shift = 2 * stats.norm.ppf((1 + effect) / 2)
    hits = 0
    for _ in range(100):
        pair = g.normal(size=n), g.normal(shift, size=n)
        edges = fit_edges(pair[0])
        evidence = evidence_of(compare_numbers(bin_counts(pair[0], edges), bin_counts(pair[1], edges), edges))
        hits += evidence.p_value < level / tests
    assert hits >= 75


def test_rows_needed_are_enough_and_no_more():
    needed = rows_needed(5000, 0.15, 0.011, 40)
    assert needed
    assert detectable_effect(5000, needed, 0.011, 40) <= 0.15 < detectable_effect(5000, needed - 1, 0.011, 40)
    assert rows_needed(200, 0.05, 0.011, 40) is None
    assert rows_needed(0, 0.15, 0.011, 40) is None


def test_population_stability():
    same = population_stability(np.array([10, 20, 30]), np.array([100, 200, 300]))
    assert same == pytest.approx((0, 0), abs=1e-6)
    index, distance = population_stability(np.array([50, 50]), np.array([0, 100]), groups=None)
    assert index > 2
    assert 0.5 < distance < 0.6
    assert np.isnan(population_stability(np.array([0, 0]), np.array([1, 1]))).all()
