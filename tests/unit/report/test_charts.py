"""Charts of columns, correlations and scores: what is drawn, and where."""

import re
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from modelmonitor_trainer.detect.hypotheses import Hypothesis
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.profile.binning import fit_edges
from modelmonitor_trainer.profile.plans import CategoricalPlan, NumericPlan
from modelmonitor_trainer.report.charts import Bars, HeatMap, chart_of, heat_map, scale_of
from modelmonitor_trainer.report.histogram import Histogram
from support.profiles import profile_categories, profile_numbers


def numeric(edges, values):
    return profile_numbers(pa.chunked_array([pa.array(values, pa.float64())]), edges)


def histogram(edges, reference, current) -> Histogram:
    """Return the histogram of the values of a reference and of a current window."""
    chart = chart_of(NumericPlan("x", edges), numeric(edges, reference), numeric(edges, current))
    assert isinstance(chart, Histogram)
    return chart


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
    chart = histogram(edges, reference, current)
    for path in (chart.reference, chart.current):
        coordinates = [float(v) for v in re.findall(r"-?\d+\.?\d*", path)]
        assert all(0 <= v <= 320 for v in coordinates)
        assert "nan" not in path
        assert "inf" not in path


def test_a_column_without_values_or_cells_has_no_chart():
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
    ("columns", "drawn"), [(["a", "b"], (("a", "b"), 2, 2)), (["a", "c"], None)], ids=["known", "unknown"]
)
def test_pairs_of_unknown_columns_are_not_drawn(columns, drawn):
    chart = heat_map([Hypothesis("b and a", 0.1, 0.2, 0.05, 0.0, 0.1, 0.5)], columns)
    assert (chart and (chart.names, len(chart.cells), chart.of)) == drawn


def test_a_map_of_many_columns_shows_those_with_most_evidence():
    columns = [f"c{number}" for number in range(40)]
    pairs = [Hypothesis(f"{one} and {other}", 0, 0, 0, 0, 0, 1) for one, other in combinations(reversed(columns), 2)]
    chart = heat_map(pairs, columns)
    assert isinstance(chart, HeatMap)
    assert (len(chart.names), chart.of) == (24, 40)
    assert "c39" in chart.names
    assert "c0" not in chart.names
    assert len(chart.cells) == 24 * 23


@pytest.mark.parametrize(
    ("metric", "low", "score", "high", "promotion_score", "order"),
    [
        ("ROCAUC", 0.69, 0.71, 0.73, 0.78, ["low", "score", "high", "allowed", "promotion_score"]),
        ("LogLoss", 0.6, 0.62, 0.64, 0.5, ["promotion_score", "allowed", "low", "score", "high"]),
    ],
)
def test_a_score_on_its_scale(metric, low, score, high, promotion_score, order):
    scale = scale_of(PerformanceResult("d", metric, 900, score, low, high, promotion_score, 0.02))
    positions = [getattr(scale, name) for name in order]
    assert positions == sorted(positions)
    assert all(0 < position < 320 for position in positions)


def test_scores_that_are_undefined_or_infinite_are_not_drawn():
    assert scale_of(PerformanceResult("d", "ROCAUC")) is None
    assert scale_of(PerformanceResult("d", "ROCAUC", 900, 0.7, float("-inf"), float("inf"), 0.7)) is None
    alone = scale_of(PerformanceResult("d", "ROCAUC", 900, 0.7, 0.7, 0.7))
    assert alone
    assert (alone.promotion_score, alone.allowed, alone.score) == (None, None, 160)


def points(path):
    """Return the points of a path."""
    x = y = 0.0
    for command, numbers in re.findall(r"([MLVH])([\d.,]+)", path):
        first, _, second = numbers.partition(",")
        x, y = {"V": (x, first), "H": (first, y)}.get(command, (first, second))
        x, y = float(x), float(y)
        yield x, y


def x_coordinates(path):
    """Return the x of every point of a path."""
    return [x for x, _ in points(path)]


def y_coordinates(path):
    """Return the y of every point of a path."""
    return [y for _, y in points(path)]


def heights(path):
    """Return the height of every bin of an area."""
    return [96 - float(y) for y in re.findall(r"V([\d.]+)H", path)]


@pytest.mark.parametrize(("scale", "spread"), [(1.0, 12), (0.5, 5), (0.1, 1), (1.0, 90)])
def test_rounded_values_have_smooth_histograms(scale, spread):
    """Bins of another width than the rounding step would alternate between one value and two."""
    values = np.round(np.random.default_rng(0).normal(40, spread, 60_000) / scale) * scale
    edges = fit_edges(values, 1024)
    bins = heights(histogram(edges, values, values).reference)[1:-1]
    assert 10 < len(bins) <= 64
    for before, height, after in zip(bins, bins[1:], bins[2:], strict=False):
        assert height > 0.75 * min(before, after) - 3, "no gap between its neighbours"


def test_histograms_leave_out_infinities():
    values = np.random.default_rng(0).normal(size=5000)
    edges = fit_edges(values, 200)
    plain = histogram(edges, values, values)
    for infinite in (np.inf, -np.inf):
        chart = histogram(edges, values, np.concatenate([values, np.full(500, infinite)]))
        assert chart.reference == plain.reference
        assert x_coordinates(chart.current) == x_coordinates(plain.current)
        assert y_coordinates(chart.current) == pytest.approx(y_coordinates(plain.current), abs=1)
    chart = histogram(edges, values, [np.inf] * 9)
    assert (chart.reference, chart.current, chart.beyond) == (plain.reference, "", "")
    infinities = numeric(edges, [np.inf] * 9)
    assert chart_of(NumericPlan("x", edges), infinities, infinities) is None


@pytest.mark.parametrize("plain_reference", [True, False])
def test_infinities_of_both_signs_draw_no_bars_at_the_ends(plain_reference):
    values = np.random.default_rng(0).normal(size=5000)
    with_infinities = np.concatenate([values, [np.inf] * 5, [-np.inf] * 2000])
    reference = values if plain_reference else with_infinities
    edges = fit_edges(reference, 200)
    chart = histogram(edges, reference, with_infinities)
    y = y_coordinates(chart.current + chart.beyond)
    assert min(y) < 10, "the middle"
    assert min(y[:5] + y[-5:]) > 75, "the ends"
    if plain_reference:  # whose cells are those of the values alone
        plain = histogram(edges, reference, values)
        assert y_coordinates(chart.current) == pytest.approx(y_coordinates(plain.current), abs=1e-9)


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
def test_a_constant_has_bars_of_its_value_and_of_other_values(current, shares):
    edges = fit_edges(np.full(50, 5.0))
    chart = chart_of(NumericPlan("x", edges), numeric(edges, [5.0] * 50), numeric(edges, current))
    assert isinstance(chart, Bars)
    assert {bar.label: (bar.reference, bar.current) for bar in chart.bars} == shares


def test_ranges_without_current_rows_have_no_dashed_line_above_zero():
    values = np.random.default_rng(0).normal(size=5000)
    edges = fit_edges(values, 200)
    wide = np.concatenate([values, np.linspace(9, 10, 300)])
    chart = histogram(edges, wide, values)
    assert all(96 - y > 0 for y in y_coordinates(chart.beyond)[2:-1])


def test_values_outside_the_reference_are_dashed():
    g = np.random.default_rng(0)
    before, now = g.normal(0, 1, 5000), g.normal(4, 1, 5000)
    edges = fit_edges(before, 200)
    chart = histogram(edges, before, now)
    assert chart.beyond
    # All current values outside the reference lie to the right of it.
    assert max(x_coordinates(chart.current)) == pytest.approx(min(x_coordinates(chart.beyond)))
    assert max(x_coordinates(chart.beyond)) == 320
    inside = histogram(edges, before, g.normal(0, 0.8, 5000))
    assert inside.beyond == ""
    assert max(x_coordinates(inside.current)) == 320


@pytest.mark.parametrize(("step", "bins"), [(0.0, 32), (1.15, 28)])
def test_values_in_steps_leave_no_gaps(step, bins):
    g = np.random.default_rng(0)
    speed = np.clip(g.normal(16, 6, 20_000), 0, 33)
    values = np.round(speed / step) * step if step else speed
    edges = fit_edges(values, 1024)
    chart = histogram(edges, values, values)
    assert len(x_coordinates(chart.current + chart.beyond)) // 2 == pytest.approx(bins, abs=2)


def test_the_ends_of_a_histogram_say_what_lies_beyond():
    values = np.random.default_rng(0).normal(size=20_000)
    chart = histogram(fit_edges(values, 1024), values, values)
    assert (chart.below, chart.above) == (True, True)
    assert "below -2.6" in chart.beyond_ends
    assert chart.beyond_ends.count("(0.5 % → 0.5 %)") == 2
    flat = histogram(fit_edges(np.arange(5.0), 8), [0.0, 1.0, 2.0, 3.0, 4.0] * 50, [0.0, 4.0] * 50)
    assert (flat.low, flat.high, flat.below, flat.above, flat.beyond_ends) == ("0", "4", False, False, "")


def test_a_few_values_far_away_do_not_flatten_the_others():
    values = np.random.default_rng(0).normal(size=20_000)
    current = np.concatenate([values, np.full(400, 1e6)])
    chart = histogram(fit_edges(values, 1024), values, current)
    assert float(chart.high) < 10
    assert "(0 % → 2" in chart.beyond_ends
    assert chart.above
    assert "and above 5" in chart.beyond_ends
    many = histogram(fit_edges(values, 1024), values, np.concatenate([values, np.full(5000, 100.0)]))
    assert float(many.high) > 50


def test_numbers_of_a_chart_are_written_as_people_write_them():
    values = np.random.default_rng(0).normal(29_640, 1000, 5000)
    chart = histogram(fit_edges(values, 200), values, values)
    assert re.fullmatch(r"2\d,\d{3}", chart.low)
    assert re.fullmatch(r"3\d,\d{3}", chart.high)


def test_categories_that_changed_most_are_drawn_with_the_largest():
    plan = CategoricalPlan("x", tuple("abcdefghij"))
    rows = [90, 80, 70, 60, 50, 40, 30, 20, 12, 1]
    cells = {value: index for index, value in enumerate(plan.categories)}
    before, now = (
        profile_categories(
            pa.chunked_array([pa.array([v for v, n in zip(plan.categories, counts, strict=True) for _ in range(n)])]),
            cells,
        )
        for counts in (rows, [*rows[:9], 15])
    )
    chart = chart_of(plan, before, now)
    assert isinstance(chart, Bars)
    assert [bar.label for bar in chart.bars][:4] == ["a", "b", "c", "d"]
    assert "j" in {bar.label for bar in chart.bars}
    assert {bar.is_value for bar in chart.bars[:-1]} == {True}
    assert (chart.bars[-1].label, chart.bars[-1].is_value) == ("all others", False)
