"""The decision rule: false alarms stay within the budget, and real changes are detected."""

import numpy as np
import pyarrow as pa
import pytest
from modelmonitor_trainer.detect.thresholds import Calendar, gumbel_quantile, pseudo_windows
from scipy import stats

from modelmonitor_api.spec import RateLimit, Sensitivity
from modelmonitor_trainer.detect.drift import DISTRIBUTION, MISSING, Comparison, find_drift, level_of
from modelmonitor_trainer.profile.binning import CategoricalPlan, NumericPlan, fit_edges
from modelmonitor_trainer.profile.columns import merge
from modelmonitor_trainer.profile.window import ColumnWindow
from support.profiles import profile_categories, profile_numbers


def window(plan, parts):
    cells = {c: i for i, c in enumerate(plan.categories)} if isinstance(plan, CategoricalPlan) else {}
    profiles = []
    for part in parts:
        column = pa.chunked_array([pa.array(part, from_pandas=False)])
        profile = profile_categories(column, cells) if cells else profile_numbers(column, plan.edges)
        profiles.append(profile)
    return ColumnWindow(
        merge(profiles),
        np.array([p.counts for p in profiles]),
        np.array([p.rows for p in profiles]),
        np.array([p.missing for p in profiles]),
    )


def comparison(name, reference, current, role="Feature"):
    """Return the comparison of a column; each window is a list of batches."""
    whole = np.concatenate(reference)
    plan: NumericPlan | CategoricalPlan
    if whole.dtype.kind == "f":
        plan = NumericPlan(name, fit_edges(whole[np.isfinite(whole)], 256))
    else:
        values, counts = np.unique(whole, return_counts=True)
        plan = CategoricalPlan(name, tuple(str(v) for v in values[np.argsort(-counts)][:1000]))
    return Comparison("features", role, plan, window(plan, reference), window(plan, current))


def calendar(reference, current):
    """Return the calendar of columns whose batches are not days."""
    return Calendar.of([None] * reference.counts.shape[0], [None] * current.counts.shape[0])


def drift(comparisons, sensitivity=None, checks_per_day=1.0):
    first = comparisons[0]
    return find_drift(
        comparisons,
        sensitivity or Sensitivity(),
        checks_per_day,
        rows=(int(first.reference.rows.sum()), int(first.current.rows.sum())),
        calendars={"Feature": calendar(first.reference, first.current)},
    )


def columns(g, batches, rows, day_effect, shift=0.0, count=10):
    """Return `count` numeric columns of batches, each with a mean of its own; the first column is shifted."""
    return [
        [g.normal(g.normal(0, day_effect) + (shift if index == 0 else 0), 1, rows) for _ in range(batches)]
        for index in range(count)
    ]


def drift_of_shift(seed, batches, rows, day_effect, shift=0.0):
    """Return the drift of ten columns; `batches` are the numbers of batches of the reference and the current window."""
    g = np.random.default_rng(seed)
    before = columns(g, batches[0], rows, day_effect)
    now = columns(g, batches[1], rows, day_effect, shift)
    return drift([comparison(f"x{i}", r, c) for i, (r, c) in enumerate(zip(before, now, strict=True))])


@pytest.mark.parametrize(
    ("count", "days", "checks", "level"),
    [(1, 90, 1.0, 1 / 90), (1, 90, 24.0, 1 / 2160), (5, 10, 0.5, 0.5), (100, 1, 0.001, 0.5)],
)
def test_the_level_spends_the_budget(count, days, checks, level):
    sensitivity = Sensitivity(false_alarms=RateLimit(count=count, per_days=days))
    assert level_of(sensitivity, checks) == pytest.approx(level)


@pytest.mark.parametrize(
    ("batches", "rows", "day_effect"), [((1, 1), 1000, 0.0), ((30, 1), 200, 0.15), ((30, 7), 100, 0.15)]
)
def test_false_alarms_stay_within_the_budget(batches, rows, day_effect):
    alarms = sum(bool(drift_of_shift(seed, batches, rows, day_effect).drifted) for seed in range(60))
    # At a level of 1/90 three or more of sixty have a probability of 3 %, and the seeds are fixed.
    assert alarms <= 2


def test_day_effects_raise_false_alarms_without_calibration():
    """The reference as one batch has no day-to-day variation to calibrate on."""
    g = np.random.default_rng(0)
    alarms = 0
    for _ in range(20):
        before, now = columns(g, 30, 200, 0.3, count=5), columns(g, 1, 6000, 0.3, count=5)
        one = [comparison(f"x{i}", [np.concatenate(r)], c) for i, (r, c) in enumerate(zip(before, now, strict=True))]
        alarms += bool(drift(one).drifted)
    assert alarms >= 15


@pytest.mark.parametrize(
    ("batches", "rows", "day_effect", "shift"), [((1, 1), 10_000, 0, 0.2), ((60, 28), 300, 0.1, 0.3)]
)
def test_only_the_shifted_column_drifts(batches, rows, day_effect, shift):
    for seed in range(5):
        result = drift_of_shift(seed, batches, rows, day_effect, shift)
        assert [column.name for column in result.drifted] == ["x0"]
        assert result.columns[0].name == "x0"


def test_significant_but_too_small_to_matter():
    g = np.random.default_rng(0)
    result = drift([comparison("x", [g.normal(size=200_000)], [g.normal(0.05, 1, 200_000)])])
    test = result.columns[0].decisive
    assert test.adjusted_p < 1e-10
    assert not result.drifted
    assert drift([result.columns[0].comparison], Sensitivity(minimum_effect="0.01")).drifted


def test_missing_values_have_their_own_test():
    g = np.random.default_rng(0)

    def holes(share):
        values = g.normal(size=10_000)
        values[g.random(10_000) < share] = np.nan
        return [values]

    result = drift([comparison("x", holes(0.05), holes(0.12))])
    assert result.columns[0].decisive.what == MISSING
    assert result.columns[0].drifted
    assert not next(t for t in result.columns[0].tests if t.what == DISTRIBUTION).drifted


def test_outliers_neither_hide_nor_cause_drift():
    g = np.random.default_rng(0)
    before = g.normal(size=10_000)
    with_outliers = np.concatenate([g.normal(size=9_990), np.full(10, 1e12)])
    assert not drift([comparison("x", [before], [with_outliers])]).drifted
    before[:10] = -1e12
    assert drift([comparison("x", [before], [g.normal(0.3, 1, 10_000)])]).drifted


def test_a_changed_share_of_a_category_is_drift():
    g = np.random.default_rng(0)
    before = g.choice(["a", "b", "c"], 10_000, p=[0.5, 0.3, 0.2])
    now = g.choice(["a", "b", "d"], 10_000, p=[0.5, 0.4, 0.1])
    (column,) = drift([comparison("c", [before], [now])]).drifted
    assert column.decisive.evidence.effect == pytest.approx(0.2, abs=0.02)
    assert column.comparison.current.total.others == {"d": int((now == "d").sum())}


def test_missing_labels_are_not_target_drift():
    g = np.random.default_rng(0)
    late = g.normal(size=2000)
    late[:1500] = np.nan
    target = comparison("y", [g.normal(size=2000)], [late], role="Target")
    result = find_drift(
        [target],
        Sensitivity(),
        1.0,
        rows=(2000, 2000),
        calendars={"Target": calendar(target.reference, target.current)},
    )
    assert [test.what for test in result.columns[0].tests] == [DISTRIBUTION]
    assert not result.drifted


def test_no_columns():
    result = find_drift([], Sensitivity(), 1.0, rows=(0, 0), calendars={})
    assert (result.tests, result.columns, result.detectable) == (0, (), 1.0)


@pytest.mark.parametrize(
    ("batches", "size", "method", "windows", "each"),
    [
        (90, 7, "Contiguous", 12, 7),
        (30, 1, "Contiguous", 30, 1),
        (90, 28, "Random", 200, 28),
        (30, 28, "Random", 200, 15),
    ],
)
def test_pseudo_windows(batches, size, method, windows, each):
    used, chosen = pseudo_windows(batches, size)
    assert (used, chosen.shape) == (method, (windows, batches))
    assert set(chosen.sum(axis=1)) == {each}
    if method == "Contiguous":
        assert chosen.sum(axis=0).max() == 1
    assert np.array_equal(pseudo_windows(batches, size)[1], chosen)


def test_the_gumbel_quantile_is_on_the_safe_side():
    sample = np.asarray(stats.gumbel_r.rvs(loc=2, scale=0.5, size=20_000, random_state=0))
    exact = stats.gumbel_r.isf(0.01, loc=2, scale=0.5)
    assert gumbel_quantile(sample, 0.01, 10**9) == pytest.approx(exact, rel=0.02)
    assert gumbel_quantile(sample, 0.01, 25) > exact
