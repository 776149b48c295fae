"""Changes of unit and of row count: which partitions are reported, and no others."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from modelmonitor_api.spec import Feature
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.quality import contradictory_labels, duplicate_keys
from modelmonitor_trainer.detect.unit_changes import (
    KNOWN_CHANGES,
    days_with_few_rows,
    row_count_violations,
    unit_changes,
)
from modelmonitor_trainer.profile.binning import fit_edges
from modelmonitor_trainer.profile.plans import NumericPlan
from modelmonitor_trainer.profile.window import BatchProfile, stack
from support.profiles import profile_numbers

FEATURE = Feature(name="x", type="Numeric")


def window(parts, plan, offset=0):
    batches = []
    for number, part in enumerate(parts, offset):
        day = dt.date(2013, 1, 1) + dt.timedelta(days=number)
        profile = profile_numbers(pa.chunked_array([pa.array(part, from_pandas=False)]), plan.edges)
        batches.append(BatchProfile(Batch(str(day), (), day), len(part), {"x": profile}, {}))
    return stack(batches, (plan,))


def violations_of(reference, current):
    plan = NumericPlan("x", fit_edges(np.concatenate(reference), 256))
    return unit_changes([FEATURE], window(current, plan, 100), window(reference, plan))


def temperatures(g, days, rows=200):
    """Return days in °F with a season, weather and hours."""
    season = 55 + 20 * np.sin(np.arange(days) / 60)
    return [g.normal(mean + g.normal(0, 4), 6, rows) for mean in season]


@pytest.mark.parametrize("index", [3, 9])
def test_celsius_for_fahrenheit(index):
    days = temperatures(np.random.default_rng(0), 100)
    current = days[90:]
    current[index] = (current[index] - 32) / 1.8
    (violation,) = violations_of(days[:90], current)
    assert (violation.kind, violation.column) == ("UnitChanged", "x")
    assert violation.blocks == (str(dt.date(2013, 4, 11) + dt.timedelta(days=index)),)
    assert "looks like °C for °F" in violation.message


@pytest.mark.parametrize("change", KNOWN_CHANGES, ids=lambda change: change.words)
def test_every_known_change_of_unit_is_named(change):
    g = np.random.default_rng(0)
    days = [g.normal(500 + g.normal(0, 2), 30, 300) for _ in range(40)]
    broken = days[35] * change.factor + change.offset
    hits = violations_of(days[:30], [*days[30:35], broken, *days[36:]])
    if abs(broken.mean() - 500) < 70:  # it moves such values by less than they vary
        return
    (violation,) = hits
    assert change.words in violation.message


@pytest.mark.parametrize("factor", [100, 1000, 1e6, 1 / 100, 1 / 1000, 1e-6])
@pytest.mark.parametrize("draw", ["normal", "laplace", "logistic"])
def test_a_factor_of_centered_values_is_named(factor, draw):
    g = np.random.default_rng(0)
    days = [getattr(g, draw)(size=300) + g.normal(0, 0.1) for _ in range(40)]
    days[35] = days[35] * factor
    (violation,) = violations_of(days[:30], days[30:])
    assert f"looks like a factor of {'1/' if factor < 1 else ''}{max(factor, 1 / factor):,.0f} in" in violation.message
    assert len(violation.blocks) == 1


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_outliers_of_centered_values_are_not_a_factor(share):
    g = np.random.default_rng(0)
    days = [g.normal(size=300) for _ in range(40)]
    days[35][: int(share * 300)] *= 1000
    assert violations_of(days[:30], days[30:]) == []


def test_all_units_that_explain_a_day_are_named():
    """A mild day in °C is as far from one in °F as metres are from feet."""
    g = np.random.default_rng(0)
    days = [g.normal(72 + g.normal(0, 4), g.uniform(3.7, 7.4), 300) for _ in range(40)]
    days[35] = (g.normal(72, 3.4, 300) - 32) / 1.8
    (violation,) = violations_of(days[:30], days[30:])
    assert "column 'x' looks like m for feet or °C for °F in 2013-04-16" in violation.message


MAKERS = {
    "normal": lambda g: [g.normal(size=200) for _ in range(60)],
    "lognormal": lambda g: [g.lognormal(0, 2, 200) for _ in range(60)],
    "pareto": lambda g: [g.pareto(1.5, 200) for _ in range(60)],
    "t": lambda g: [g.standard_t(2, 200) for _ in range(60)],
    "days": lambda g: [g.normal(g.normal(0, 2), 1, 200) for _ in range(60)],
    "heavy days": lambda g: [g.normal(2 * g.standard_t(2), 1, 200) for _ in range(60)],
    "crisis": lambda g: [g.normal(0, 1 if day < 50 else 30, 200) for day in range(60)],
    "often zero": lambda g: [(g.random(200) < 0.1) * g.normal(0, g.lognormal(), 200) for _ in range(60)],
    "walk": lambda g: [g.normal(mean, 0.3, 200) for mean in g.normal(size=60).cumsum()],
    "weeks": lambda g: [g.gamma(3, (1 + (i % 7 > 4)) * g.lognormal(0, 0.1), 200) for i in range(60)],
    "rain": lambda g: [(g.random() < 0.2) * g.gamma(0.5, g.lognormal(), 200) for _ in range(60)],
    "counter": lambda g: [np.arange(200) + 200.0 * day + g.integers(9) for day in range(60)],
}


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_ordinary_variation_is_not_a_change_of_unit(maker):
    for seed in range(15):
        days = maker(np.random.default_rng(seed))
        assert violations_of(days[:40], days[40:]) == []


@pytest.mark.parametrize(("reference_days", "gap"), [(60, 108), (30, 90), (60, 200), (90, 120)])
def test_a_season_after_a_gap_is_not_a_change_of_unit(reference_days, gap):
    """Winter is the reference, summer comes without the days between: a hot day is not a winter one in kilometres."""
    for seed in range(20):
        g = np.random.default_rng(seed)
        season = [55 - 25 * np.cos(2 * np.pi * (day - 15) / 365) for day in range(365)]
        days = [g.normal(mean + g.normal(0, 6), 6, 200) for mean in season]
        plan = NumericPlan("x", fit_edges(np.concatenate(days[:reference_days]), 256))
        start = reference_days + gap
        days[start] = g.normal(season[start] + 12, 9, 200)  # a hot day
        current = window(days[start : start + 14], plan, start)
        assert unit_changes([FEATURE], current, window(days[:reference_days], plan)) == []


@pytest.mark.parametrize("apart", [2, 20])
def test_single_days_are_not_compared_with_a_day_long_before(apart):
    """A training tests the few days that are odd: a cold day is not the warm one of three weeks before in kilograms."""
    g = np.random.default_rng(0)
    means = [float(mean) for mean in [*np.linspace(46, 20.2, 22), *np.linspace(20.2, 46, 22)]]
    days = [g.normal(mean, mean / 11, 300) for mean in means]
    plan = NumericPlan("x", fit_edges(np.concatenate(days), 256))
    odd = (1, 1 + apart)
    whole = window(days, plan)
    usual = [block for number, block in enumerate(whole.blocks) if number not in odd]
    tested = [block for number, block in enumerate(whole.blocks) if number in odd]
    assert unit_changes([FEATURE], stack(tested, (plan,)), stack(usual, (plan,))) == []


def test_outliers_are_not_a_change_of_unit():
    g = np.random.default_rng(0)
    days = [g.normal(10, 1, 200) for _ in range(30)]
    days[25][0] = 1e12
    days[26][:20] *= 1000
    assert violations_of(days[:20], days[20:]) == []


def test_a_shift_that_matches_no_known_change_is_not_a_violation():
    g = np.random.default_rng(0)
    assert violations_of([g.normal(10, 1, 200) for _ in range(20)], [g.normal(17, 1, 200) for _ in range(5)]) == []


def test_a_short_reference_reports_no_change_of_unit():
    g = np.random.default_rng(0)
    days = [g.normal(10, 1, 200) for _ in range(6)]
    assert violations_of(days[:5], [days[5] * 1000]) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (200, ""),
        (60, ""),
        (700, ""),
        (20, "far fewer than any day before (180 to 219)"),
        (900, "more"),
    ],
)
def test_a_day_of_far_fewer_or_more_rows(rows, message):
    plan = NumericPlan("x", np.array([0.0]))
    reference = window([np.zeros(180 + 3 * i) for i in range(14)], plan)
    hits = row_count_violations(window([np.zeros(200), np.zeros(rows)], plan, 50), reference)
    assert [v.blocks for v in hits] == ([("2013-02-21",)] if message else [])
    assert all(message in v.message for v in hits)


@pytest.mark.parametrize(("rows", "noted"), [(200, False), (125, False), (110, True), (60, True), (20, False)])
def test_a_day_of_which_a_part_has_arrived_is_noted(rows, noted):
    """With 20 rows, it is a violation."""
    plan = NumericPlan("x", np.array([0.0]))
    current = window([np.zeros(200), np.zeros(rows)], plan, 50)
    reference = [np.zeros(180 + 3 * i) for i in range(14)]
    days = days_with_few_rows(current, window(reference, plan))
    assert [day.block.name for day in days] == (["2013-02-21"] if noted else [])
    assert days_with_few_rows(current, window(reference[:5], plan)) == []


def test_keys_that_repeat():
    counted = [("2013-01-01", 1000, 5), ("2013-01-02", 1000, 200), ("2013-01-03", 50, 5)]
    (violation,) = duplicate_keys("id", counted)
    assert violation.blocks == ("2013-01-02",)
    assert "200 of 1,000 rows repeat a 'id' in 2013-01-02" in violation.message
    assert duplicate_keys("id", counted[:1]) == []


def test_contradicting_labels_are_tolerated_up_to_a_share():
    counted = (("2013-01-01", 3), ("2013-01-02", 2))
    assert contradictory_labels("id", counted, 500, 0.01) == []
    (violation,) = contradictory_labels("id", counted, 499, 0.01)
    assert (violation.kind, violation.column, violation.blocks) == (
        "ContradictoryLabels",
        "id",
        ("2013-01-01", "2013-01-02"),
    )
    assert violation.message.startswith("5 of 499 labelled rows have labels that contradict each other, more than ")
    assert "in 2013-01-01 and in 1 more; set data.labels.versionColumn" in violation.message
    assert contradictory_labels("id", (), 0, 0.0) == []
    assert contradictory_labels("id", (("2013-01-01", 1),), 10**6, 0.0)
