"""The decision rule: false alarms stay within the budget, and real changes are detected."""

import numpy as np
import pyarrow as pa
import pytest

from modelmonitor_api.outcomes import DoubtReason, Verdict
from modelmonitor_api.spec import RateLimit, Sensitivity
from modelmonitor_trainer.detect.calendar import Calendar
from modelmonitor_trainer.detect.drift import DISTRIBUTION, MISSING, Comparison, find_drift, level_of
from modelmonitor_trainer.profile.binning import fit_edges
from modelmonitor_trainer.profile.columns import merge
from modelmonitor_trainer.profile.plans import CategoricalPlan, NumericPlan
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


#: Rows of one batch are not alike: two samples can be compared without knowing how batches vary.
INDEPENDENT = Sensitivity(independent_rows=True)


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


@pytest.mark.parametrize("batches", [(1, 1), (1, 7), (3, 1), (8, 7), (15, 1)])
def test_few_days_that_vary_raise_no_alarm(batches):
    alarms = sum(bool(drift_of_shift(seed, batches, 2000, 0.3).drifted) for seed in range(30))
    assert alarms <= 1


def test_rows_that_are_declared_independent_need_one_batch():
    before, now = columns(np.random.default_rng(0), 1, 10_000, 0), columns(np.random.default_rng(1), 1, 10_000, 0, 0.2)
    compared = [comparison(f"x{i}", r, c) for i, (r, c) in enumerate(zip(before, now, strict=True))]
    assert drift(compared).drifted == ()
    result = drift(compared, INDEPENDENT)
    assert [column.name for column in result.drifted] == ["x0"]
    assert {column.verdict for column in result.columns[1:]} == {Verdict.NO_DRIFT}


@pytest.mark.parametrize(
    ("batches", "rows", "day_effect", "shift"),
    [((30, 5), 2000, 0, 0.2), ((60, 28), 300, 0.1, 0.3), ((60, 1), 500, 0, 1)],
)
def test_only_the_shifted_column_drifts(batches, rows, day_effect, shift):
    for seed in range(5):
        result = drift_of_shift(seed, batches, rows, day_effect, shift)
        assert [column.name for column in result.drifted] == ["x0"]
        assert result.columns[0].name == "x0"


@pytest.mark.parametrize(("batches", "day_effect"), [((8, 7), 0.05), ((30, 1), 0.3), ((60, 7), 0.1)])
def test_a_change_of_the_detectable_effect_is_never_called_no_drift(batches, day_effect):
    """A shift of 0.378 standard deviations moves a normal distribution by 0.15."""
    verdicts = [
        next(column for column in drift_of_shift(seed, batches, 500, day_effect, 0.378).columns if column.name == "x0")
        for seed in range(40)
    ]
    assert sum(column.verdict is Verdict.NO_DRIFT for column in verdicts) <= 4


def test_enough_days_rule_drift_out():
    result = drift_of_shift(0, (30, 7), 500, 0.05)
    assert {column.verdict for column in result.columns} == {Verdict.NO_DRIFT}
    assert all(test.evidence.high < 0.15 for column in result.columns for test in column.tests)


def test_a_limit_decides_every_test():
    """The effect of a column exceeds its limit if and only if it has drifted."""
    for shift in (0.0, 0.2, 0.5):
        for column in drift_of_shift(1, (30, 7), 500, 0.1, shift).columns:
            for test in column.tests:
                assert test.drifted == (test.evidence.effect > test.limit)


def test_few_rows_and_few_days_are_told_apart():
    few_rows = drift_of_shift(0, (30, 7), 8, 0.0)
    assert {doubt.reason for column in few_rows.inconclusive for doubt in column.doubts} == {DoubtReason.TOO_FEW_ROWS}
    few_days = drift_of_shift(0, (3, 2), 20_000, 0.3)
    assert {doubt.reason for column in few_days.inconclusive for doubt in column.doubts} == {DoubtReason.BATCHES_VARY}


def test_one_broken_day_among_many_is_not_called_no_drift():
    g = np.random.default_rng(0)
    before, now = ([g.normal(size=300) for _ in range(days)] for days in (60, 28))
    now[7][:150] = -1.0
    (column,) = drift([comparison("x", before, now)]).columns
    assert column.verdict is Verdict.INCONCLUSIVE
    assert [(doubt.reason, doubt.batches) for doubt in column.doubts] == [(DoubtReason.ODD_BATCHES, (7,))]


def test_significant_but_too_small_to_matter():
    g = np.random.default_rng(0)
    result = drift([comparison("x", [g.normal(size=200_000)], [g.normal(0.05, 1, 200_000)])], INDEPENDENT)
    test = result.columns[0].decisive
    assert test.adjusted_p < 1e-10
    assert not result.drifted
    sensitive = Sensitivity(minimum_effect="0.01", independent_rows=True)
    assert drift([result.columns[0].comparison], sensitive).drifted


def test_missing_values_have_their_own_test():
    g = np.random.default_rng(0)

    def holes(share):
        values = g.normal(size=10_000)
        values[g.random(10_000) < share] = np.nan
        return [values]

    result = drift([comparison("x", holes(0.05), holes(0.12))], INDEPENDENT)
    assert result.columns[0].decisive.what == MISSING
    assert result.columns[0].drifted
    assert not next(t for t in result.columns[0].tests if t.what == DISTRIBUTION).drifted


def test_outliers_neither_hide_nor_cause_drift():
    g = np.random.default_rng(0)
    before = g.normal(size=10_000)
    with_outliers = np.concatenate([g.normal(size=9_990), np.full(10, 1e12)])
    assert not drift([comparison("x", [before], [with_outliers])], INDEPENDENT).drifted
    before[:10] = -1e12
    assert drift([comparison("x", [before], [g.normal(0.3, 1, 10_000)])], INDEPENDENT).drifted


def test_a_changed_share_of_a_category_is_drift():
    g = np.random.default_rng(0)
    before = g.choice(["a", "b", "c"], 10_000, p=[0.5, 0.3, 0.2])
    now = g.choice(["a", "b", "d"], 10_000, p=[0.5, 0.4, 0.1])
    (column,) = drift([comparison("c", [before], [now])], INDEPENDENT).drifted
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


def test_values_that_are_all_missing_are_inconclusive_by_name():
    """Missing values of the target are not tested, but a target without any value is not unchanged."""
    g = np.random.default_rng(0)
    nothing = np.full(500, np.nan)
    target = comparison("y", [g.normal(size=500)] * 10, [nothing] * 7, role="Target")
    feature = comparison("x", [g.normal(size=500) for _ in range(10)], [g.normal(size=500) for _ in range(7)])
    calendars = {role: calendar(feature.reference, feature.current) for role in ("Feature", "Target")}
    result = find_drift([feature, target], Sensitivity(), 1.0, rows=(5000, 3500), calendars=calendars)
    assert [(column.name, column.doubts[0].reason) for column in result.inconclusive] == [("y", DoubtReason.NO_VALUES)]
