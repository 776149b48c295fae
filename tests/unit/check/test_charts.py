"""Charts of columns, correlations and scores: what is drawn, and where."""

import re
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from modelmonitor_trainer.detect.hypotheses import Hypothesis
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.profile.binning import CategoricalPlan, NumericPlan, fit_edges
from modelmonitor_trainer.report.charts import Bars, Histogram, chart_of, heat_map, scale_of
from support.profiles import profile_categories, profile_numbers


def numeric(edges, values):
    return profile_numbers(pa.chunked_array([pa.array(values, pa.float64())]), edges)


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ([1.0, 2.0, 3.0] * 50, [100.0, 200.0]),
        ([1e300, -1e300, 0.0], [1e300]),
        ([1.0, 2.0], []),
        ([float("inf"), 1.0, 2.0], [1.0]),
        (list(np.random.default_rng(0).lognormal(0, 3, 500)), [1.0]),
    ],
)
def test_histograms_of_any_numbers_are_finite(reference, current):
    edges = fit_edges(np.array(reference))
    chart = chart_of(NumericPlan("x", edges), numeric(edges, reference), numeric(edges, current))
    assert isinstance(chart, Histogram)
    for path in (chart.reference, chart.current):
        coordinates = [float(v) for v in re.findall(r"-?\d+\.?\d*", path)]
        assert all(0 <= v <= 320 for v in coordinates)
        assert "nan" not in path
        assert "inf" not in path


def test_charts_of_nothing():
    edges = np.empty(0)
    assert chart_of(NumericPlan("x", edges), numeric(edges, []), numeric(edges, [])) is None
    assert chart_of(NumericPlan("x", edges), numeric(edges, []), numeric(edges, [1.0])) is None


def test_bars_show_the_largest_categories_and_the_rest():
    plan = CategoricalPlan("c", tuple("abcdefgh"))
    cells = {c: i for i, c in enumerate(plan.categories)}
    one = profile_categories(pa.chunked_array([pa.array(list("aaabcdefgh"))]), cells)
    two = profile_categories(pa.chunked_array([pa.array(list("hhhhx"))]), cells)
    chart = chart_of(plan, one, two)
    assert isinstance(chart, Bars)
    assert {bar.label for bar in chart.bars} >= {"a", "h", "all others"}
    assert sum(bar.reference for bar in chart.bars) == pytest.approx(1)
    assert sum(bar.current for bar in chart.bars) == pytest.approx(1)


@pytest.mark.parametrize(
    ("names", "drawn", "cells", "of"),
    [(["a", "b"], ("a", "b"), 2, 2), (["a", "c"], (), 0, 0)],
    ids=["known", "unknown"],
)
def test_pairs_of_unknown_columns_are_not_drawn(names, drawn, cells, of):
    found = heat_map([Hypothesis("b and a", 0.1, 0.2, 0.05, 0.0, 0.1, 0.5)], names)
    assert (found.names, len(found.cells), found.of) == (drawn, cells, of) if found else cells == 0


def test_a_map_of_many_columns_shows_those_with_most_evidence():
    columns = [f"c{number}" for number in range(40)]
    pairs = [Hypothesis(f"{one} and {other}", 0, 0, 0, 0, 0, 1) for one, other in combinations(reversed(columns), 2)]
    found = heat_map(pairs, columns)
    assert (len(found.names), found.of) == (24, 40)
    assert "c39" in found.names
    assert "c0" not in found.names
    assert len(found.cells) == 24 * 23


@pytest.mark.parametrize(
    ("metric", "low", "score", "high", "promotion_score", "order"),
    [
        ("ROCAUC", 0.69, 0.71, 0.73, 0.78, ["low", "score", "high", "allowed", "promotion_score"]),
        ("LogLoss", 0.6, 0.62, 0.64, 0.5, ["promotion_score", "allowed", "low", "score", "high"]),
    ],
)
def test_a_score_on_its_scale(metric, low, score, high, promotion_score, order):
    found = scale_of(PerformanceResult("d", metric, 900, score, low, high, promotion_score, 0.02))
    places = [getattr(found, name) for name in order]
    assert places == sorted(places)
    assert all(0 < place < 320 for place in places)


def test_scores_without_a_place_are_not_drawn():
    assert scale_of(PerformanceResult("d", "ROCAUC")) is None
    assert scale_of(PerformanceResult("d", "ROCAUC", 900, 0.7, float("-inf"), float("inf"), 0.7)) is None
    alone = scale_of(PerformanceResult("d", "ROCAUC", 900, 0.7, 0.7, 0.7))
    assert (alone.promotion_score, alone.allowed, alone.score) == (None, None, 160)


def places(path):
    """Return the x of every point of a path."""
    return [float(x) for x in re.findall(r"[ML]([\d.]+),", path)]


def drawn(path):
    """Return the y of every place."""
    return [float(y) for y in re.findall(r"[ML][\d.]+,([\d.]+)", path)]


def heights(path):
    """Return the height of every bin of an area."""
    return [96 - float(y) for y in re.findall(r"L[\d.]+,([\d.]+)L", path)]


@pytest.mark.parametrize(("scale", "spread"), [(1.0, 12), (0.5, 5), (0.1, 1), (1.0, 90)])
def test_whole_numbers_and_other_steps_draw_no_teeth(scale, spread):
    """Bins of another width than the steps hold now one value and now two."""
    drawn = np.random.default_rng(0).normal(40, spread, 60_000)
    values = np.round(drawn / scale) * scale
    edges = fit_edges(values, 1024)
    found = chart_of(NumericPlan("x", edges), numeric(edges, values), numeric(edges, values))
    bins = heights(found.reference)[1:-1]
    assert 10 < len(bins) <= 64
    for before, height, after in zip(bins, bins[1:], bins[2:], strict=False):
        assert height > 0.75 * min(before, after) - 3, "no gap between its neighbours"


def test_infinities_are_no_part_of_a_histogram():
    values = np.random.default_rng(0).normal(size=5000)
    edges = fit_edges(values, 200)
    plain = chart_of(NumericPlan("x", edges), numeric(edges, values), numeric(edges, values))
    for infinite in (np.inf, -np.inf):
        some = np.concatenate([values, np.full(500, infinite)])
        found = chart_of(NumericPlan("x", edges), numeric(edges, values), numeric(edges, some))
        assert found.reference == plain.reference
        assert places(found.current) == places(plain.current)
        assert drawn(found.current) == pytest.approx(drawn(plain.current), abs=1)
    alone = numeric(edges, [np.inf] * 9)
    found = chart_of(NumericPlan("x", edges), numeric(edges, values), alone)
    assert (found.reference, found.current, found.beyond) == (plain.reference, "", "")
    assert chart_of(NumericPlan("x", edges), alone, alone) is None


@pytest.mark.parametrize("plain_reference", [True, False])
def test_infinities_of_both_signs_draw_no_bars_at_the_ends(plain_reference):
    values = np.random.default_rng(0).normal(size=5000)
    some = np.concatenate([values, [np.inf] * 5, [-np.inf] * 2000])
    reference = values if plain_reference else some
    edges = fit_edges(reference, 200)
    found = chart_of(NumericPlan("x", edges), numeric(edges, reference), numeric(edges, some))
    y = drawn(found.current + found.beyond)
    assert min(y) < 10, "the middle"
    assert min(y[:5] + y[-5:]) > 75, "the ends"
    if plain_reference:  # whose cells are those of the values alone
        plain = chart_of(NumericPlan("x", edges), numeric(edges, reference), numeric(edges, values))
        assert drawn(found.current) == pytest.approx(drawn(plain.current), abs=1e-9)


def test_a_reference_of_infinities_alone_draws_nothing():
    edges = fit_edges(np.array([np.inf] * 50))
    assert chart_of(NumericPlan("x", edges), numeric(edges, [np.inf]), numeric(edges, [1.0, 2.0])) is None


@pytest.mark.parametrize(
    ("current", "shares"),
    [
        ([5.0] * 4, {"5": (1, 1)}),
        ([5.0, 5.0, 5.0, 7.0], {"5": (1, 0.75), "above 5": (0, 0.25)}),
        ([1.0, 6.0, 7.0, 8.0], {"below 5": (0, 0.25), "5": (1, 0), "above 5": (0, 0.75)}),
        ([5.0, np.inf], {"5": (1, 1)}),
        ([], {"5": (1, 0)}),
    ],
)
def test_a_constant_is_drawn_as_a_bar_beside_what_is_not_it(current, shares):
    edges = fit_edges(np.full(50, 5.0))
    found = chart_of(NumericPlan("x", edges), numeric(edges, [5.0] * 50), numeric(edges, current))
    assert isinstance(found, Bars)
    assert {bar.label: (bar.reference, bar.current) for bar in found.bars} == shares


def test_where_no_rows_are_nothing_is_dashed():
    values = np.random.default_rng(0).normal(size=5000)
    edges = fit_edges(values, 200)
    wide = np.concatenate([values, np.linspace(9, 10, 300)])
    found = chart_of(NumericPlan("x", edges), numeric(edges, wide), numeric(edges, values))
    assert all(96 - y > 0 for y in drawn(found.beyond)[2:-1])


def test_what_lies_outside_of_the_reference_is_dashed():
    g = np.random.default_rng(0)
    before, now = g.normal(0, 1, 5000), g.normal(4, 1, 5000)
    edges = fit_edges(before, 200)
    found = chart_of(NumericPlan("x", edges), numeric(edges, before), numeric(edges, now))
    assert found.beyond
    # Left of the reference there are no rows to be seen, right of it there are.
    assert max(places(found.current)) == pytest.approx(min(places(found.beyond)))
    assert max(places(found.beyond)) == 320
    alike = chart_of(NumericPlan("x", edges), numeric(edges, before), numeric(edges, g.normal(0, 0.8, 5000)))
    assert alike.beyond == ""
    assert max(places(alike.current)) == 320


@pytest.mark.parametrize(("step", "bins"), [(0.0, 32), (1.15, 28)])
def test_values_in_steps_leave_no_gaps(step, bins):
    g = np.random.default_rng(0)
    speed = np.clip(g.normal(16, 6, 20_000), 0, 33)
    values = np.round(speed / step) * step if step else speed
    edges = fit_edges(values, 1024)
    profile = numeric(edges, values)
    found = chart_of(NumericPlan("x", edges), profile, profile)
    assert len(places(found.current + found.beyond)) // 2 == pytest.approx(bins, abs=2)
