"""Profiles: exact counts, and merging that does not depend on how rows were cut into parts."""

import math
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.data.arrow_floats import doubles_of
from modelmonitor_trainer.profile.binning import fit_edges, spread
from modelmonitor_trainer.profile.categories import EXAMPLES
from modelmonitor_trainer.profile.columns import CategoricalProfile, NumericProfile, merge
from modelmonitor_trainer.profile.counting import bin_counts
from modelmonitor_trainer.profile.plans import CategoricalPlan, NumericPlan, plan_from_json, plan_to_json
from support.narrowing import as_type
from support.profiles import profile_categories, profile_numbers

numbers = st.lists(st.one_of(st.none(), st.floats(width=32), st.integers(-3, 3).map(float)), max_size=40)
words = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d", "", "é"])), max_size=40)
edge_sets = st.lists(st.floats(-5, 5), max_size=6, unique=True).map(lambda edges: np.array(sorted(edges)))


def chunked(values, kind=None):
    return pa.chunked_array([pa.array(values, type=kind)])


def alike(one, other):
    for name, value in vars(one).items():
        there = getattr(other, name)
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, there)
        elif isinstance(value, float):
            assert math.isclose(value, there, rel_tol=1e-6, abs_tol=1e-6) or (math.isnan(value) and math.isnan(there))
        else:
            assert value == there, name


@given(st.lists(st.floats(allow_nan=False)), edge_sets)
def test_counts_are_those_of_a_search(values, edges):
    values = np.array(values)
    expected = np.bincount(np.searchsorted(edges, values, side="right"), minlength=edges.size + 1)
    assert np.array_equal(bin_counts(values, edges), expected)


@given(numbers, edge_sets)
def test_a_numeric_profile_accounts_for_every_row(values, edges):
    profile = profile_numbers(chunked(values, pa.float64()), edges, minimum=-1, maximum=1)
    # Doubles that were 32-bit floats count as the decimals that they were.
    there = [v for v in doubles_of(pa.array(values, pa.float64())).to_pylist() if v is not None and not math.isnan(v)]
    assert profile.rows == len(values) == profile.present + profile.missing
    assert profile.counts.sum() == profile.present == len(there)
    assert (profile.below, profile.above) == (sum(v < -1 for v in there), sum(v > 1 for v in there))
    if there:
        assert (profile.minimum, profile.maximum) == (min(there), max(there))


moderate = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=30)


@given(moderate, moderate, moderate, edge_sets)
def test_merging_is_associative_and_equal_to_profiling_all(a, b, c, edges):
    one, two, three = (profile_numbers(chunked(part, pa.float64()), edges) for part in (a, b, c))
    whole = profile_numbers(chunked(a + b + c, pa.float64()), edges)
    alike(one.merged(two).merged(three), one.merged(two.merged(three)))
    merged = as_type(NumericProfile, merge([one, two, three]))
    assert np.array_equal(merged.counts, whole.counts)
    assert (merged.rows, merged.nulls, merged.finite) == (whole.rows, whole.nulls, whole.finite)
    there = [v for v in a + b + c if v is not None]
    if len(there) > 1:
        assert merged.mean == pytest.approx(np.mean(there), rel=1e-9, abs=1e-6)
        assert merged.deviation == pytest.approx(np.std(there, ddof=1), rel=1e-6, abs=1e-4)


@given(words, words, words)
def test_categories_merge_exactly(a, b, c):
    bins, allowed = {"a": 0, "b": 1}, frozenset(["a", "b", "c"])
    parts = [profile_categories(chunked(part, pa.string()), bins, allowed) for part in (a, b, c)]
    whole = profile_categories(chunked(a + b + c, pa.string()), bins, allowed)
    alike(merge(parts), whole)
    alike(parts[0].merged(parts[1]).merged(parts[2]), parts[0].merged(parts[1].merged(parts[2])))
    assert whole.counts.sum() == whole.present
    assert whole.disallowed_rows == sum(v not in allowed for v in a + b + c if v is not None)


def test_examples_of_unknown_values_stay_exact_however_many_there_are():
    values = [f"v{number % 500}" for number in range(5000)]
    parts = [profile_categories(chunked(values[i::7]), {}) for i in range(7)]
    whole = profile_categories(chunked(values), {})
    assert len(whole.others) == EXAMPLES
    assert as_type(CategoricalProfile, merge(parts)).others == whole.others == dict.fromkeys(whole.others, 10)


def test_infinities_are_counted_and_kept_out_of_the_moments():
    profile = profile_numbers(chunked([1.0, math.inf, -math.inf, 3.0, math.nan]), np.array([2.0]))
    assert profile.counts.tolist() == [2, 2]
    assert (profile.finite, profile.mean, profile.nans) == (2, 2.0, 1)
    assert (profile.infinities, profile.negative_infinities, profile.positive_infinities) == (2, 1, 1)
    low = profile_numbers(chunked([-math.inf, -math.inf, 0.0]), np.array([2.0]))
    assert (low.negative_infinities, low.positive_infinities) == (2, 0)
    both = as_type(NumericProfile, merge([profile, low]))
    assert (both.negative_infinities, both.positive_infinities) == (3, 1)
    assert (profile.minimum, profile.maximum) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, None], pa.int64()),
        pa.array([1, 2, None], pa.uint8()),
        pa.array([1.0, 2.0, None], pa.float32()),
        pa.array([1, 2, None], pa.decimal128(5, 2)),
        pa.array([9, 1, 2, None])[1:],
    ],
)
def test_every_kind_of_number(column):
    profile = profile_numbers(pa.chunked_array([column]), np.array([2.0]))
    assert (profile.counts.tolist(), profile.nulls, profile.kinds) == ([1, 1], 1, frozenset({"number"}))


def test_values_that_are_no_numbers_are_missing_with_their_kind():
    profile = profile_numbers(chunked(["one", "two"]), np.array([1.5]))
    assert (profile.rows, profile.missing, profile.kinds) == (2, 2, frozenset({"text"}))


def test_a_category_is_the_same_as_integer_float_and_text():
    bins = {"1": 0, "2": 1, "true": 2}
    for column in (["1", "2", "2", None], [1, 2, 2, None], [1.0, 2.0, 2.0, None], [1.0, 2.0, 2.0, math.nan]):
        assert profile_categories(chunked(column), bins).counts.tolist() == [1, 2, 0, 0]
    assert profile_categories(chunked([True, False]), bins).others == {"false": 1}
    dictionary = pa.array(["2", "1", "2", None]).dictionary_encode()[1:]
    profile = profile_categories(pa.chunked_array([dictionary]), bins)
    assert (profile.counts.tolist(), profile.nulls) == ([1, 1, 0, 0], 1)


def test_profiles_of_different_kinds_do_not_merge():
    with pytest.raises(TypeError, match="do not merge"):
        merge([NumericProfile(np.zeros(1, int)), CategoricalProfile(np.zeros(1, int))])
    with pytest.raises(ValueError, match="no profiles"):
        merge([])


@given(st.lists(st.one_of(st.floats(width=32), st.floats(), st.just(sys.float_info.max))), st.integers(2, 20))
def test_edges_increase_and_give_common_values_their_own_bin(values, bins):
    sample = np.array(values, dtype=float)
    edges = fit_edges(sample, bins)
    assert np.all(edges[1:] > edges[:-1])
    assert np.all(np.isfinite(edges))
    finite = sample[np.isfinite(sample)]
    for value in np.unique(finite):
        if np.count_nonzero(finite == value) >= max(2, math.ceil(finite.size / bins)) and value < sys.float_info.max:
            assert value in edges
            assert np.nextafter(value, math.inf) in edges


def test_bins_have_equal_mass_on_smooth_data():
    sample = np.random.default_rng(0).lognormal(0, 2, 102_400)
    counts = bin_counts(sample, fit_edges(sample, 1024))
    assert counts.size == 1024
    assert counts.min() >= 90
    assert counts.max() <= 110


@given(st.integers(1, 200))
def test_spread_visits_everything_once(count):
    order = list(spread(count))
    assert sorted(order) == list(range(count))
    if count >= 4:
        assert max(order[:4]) - min(order[:4]) >= count // 2


@given(edge_sets, st.lists(st.text(), unique=True, max_size=5))
def test_plans_survive_storage(edges, categories):
    plan = (
        NumericPlan("x", edges, -1.5, None),
        CategoricalPlan("c", tuple(categories), ("a",)),
        CategoricalPlan("d", (), None),
    )
    restored = plan_from_json(plan_to_json(plan))
    numeric = as_type(NumericPlan, restored[0])
    assert np.array_equal(numeric.edges, edges)
    assert (numeric.minimum, numeric.maximum) == (-1.5, None)
    assert restored[1:] == plan[1:]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"version": 0, "columns": []}',
        b'{"version": 1, "columns": [{"name": "x", "edges": "AAAA", "minimum": null, "maximum": null}]}',
        b'{"version": 1, "columns": [{"name": "x", "categories": 3, "allowed": null}]}',
        b'{"version": 1}',
        b"\xff",
    ],
)
def test_corrupted_plans_are_rejected(data):
    with pytest.raises(ValueError):  # noqa: PT011 - json's own error is a ValueError too, and the caller makes no difference
        plan_from_json(data)


def test_a_plan_without_dates_is_stored_as_before():
    """Its digest is part of the keys of cached profiles."""
    numeric = NumericPlan("x", np.array([0.0, 1.0]), 0.0)
    stored = plan_to_json((numeric,))
    assert b"dates" not in stored
    dates = NumericPlan("x", np.array([0.0, 1.0]), 0.0, dates=True)
    (restored,) = plan_from_json(plan_to_json((dates,)))
    assert isinstance(restored, NumericPlan)
    assert restored.dates
    (restored,) = plan_from_json(stored)
    assert isinstance(restored, NumericPlan)
    assert not restored.dates
