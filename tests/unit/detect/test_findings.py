"""Findings: what is unusual below the threshold of drift is named, and what is ordinary is not."""

import numpy as np
import pytest

from modelmonitor_api.outcomes import FindingKind
from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.detect.findings import crowded_cells, find_unusual
from modelmonitor_trainer.detect.wording import PARTITIONS
from unit.detect.test_drift import INDEPENDENT, comparison, drift

LEVEL = 1 / 90


def findings(before, now, sensitivity=INDEPENDENT):
    """Return the kinds and messages of the findings about a column; each window is a list of batches."""
    result = drift([comparison("x", before, now)], sensitivity)
    names = [f"day {index}" for index in range(len(now))]
    unusual = find_unusual(result.columns, names, 0.03, LEVEL, PARTITIONS)
    assert {finding.column for finding in unusual} <= {"x"}
    return {finding.kind: finding.message for finding in unusual}


def amounts(seed, rows=20_000):
    return np.random.default_rng(seed).lognormal(3, 1, rows)


def test_a_few_rows_that_move_the_mean():
    now = amounts(1)
    now[:200] *= 1000
    unusual = findings([amounts(0)], [now])
    assert unusual.keys() == {FindingKind.MEAN, FindingKind.SPREAD, FindingKind.RANGE}
    assert "the mean is 3" in unusual[FindingKind.MEAN]
    assert "33." in unusual[FindingKind.MEAN]


def test_a_sentinel():
    now = np.random.default_rng(1).normal(size=20_000)
    now[:300] = -999
    unusual = findings([np.random.default_rng(0).normal(size=20_000)], [now])
    assert "the smallest value is -999" in unusual[FindingKind.RANGE]


def test_the_share_of_a_single_value():
    g = np.random.default_rng(0)
    # A number must be common enough in the reference for a bin of its own.
    before, now = (np.where(g.random(20_000) < share, 0.5, g.normal(size=20_000)) for share in (0.008, 0.029))
    assert "the value 0.5 is " in findings([before], [now])[FindingKind.VALUE_SHARE]
    before, now = (g.choice(["a", "b", "c"], 20_000, p=p) for p in ([0.695, 0.3, 0.005], [0.68, 0.3, 0.02]))
    assert "the value 'c' is 2." in findings([before], [now])[FindingKind.VALUE_SHARE]


def test_many_values_are_one_finding():
    g = np.random.default_rng(0)
    values = ["often", *(f"v{index}" for index in range(12))]
    before, now = (g.choice(values, 40_000, p=[1 - 12 * p, *[p] * 12]) for p in (0.005, 0.02))
    result = drift([comparison("x", [before], [now])], Sensitivity())
    (finding,) = find_unusual(result.columns, ["day"], 0.03, LEVEL, PARTITIONS)
    assert finding.message.count("the value 'v") == 3
    assert finding.message.endswith(", and 9 more values are as unusual")


@pytest.mark.parametrize(("before", "now", "found"), [(0.1, 0.2, True), (0.2, 0.1, True), (0.1, 0.13, False)])
def test_a_large_change_of_the_share_of_a_value(before, now, found):
    g = np.random.default_rng(0)

    def days(count, share):
        # Days vary, so that a change of the whole window is no drift.
        return [np.where(g.random(2000) < share, 0.0, g.normal(g.normal(0, 0.5), 1, 2000)) for _ in range(count)]

    unusual = findings(days(12, before), days(5, now), None)
    assert (FindingKind.VALUE_SHARE in unusual) is found, unusual
    assert not found or "the value 0 is " in unusual[FindingKind.VALUE_SHARE]


def test_a_share_that_differs_between_days_is_ordinary():
    g = np.random.default_rng(0)
    shares = [0.05, 0.3, 0.1, 0.35, 0.02, 0.2, 0.08, 0.3]
    before = [np.where(g.random(2000) < share, 0.0, g.normal(size=2000)) for share in shares]
    now = [np.where(g.random(2000) < 0.32, 0.0, g.normal(size=2000))]
    assert FindingKind.VALUE_SHARE not in findings(before, now, None)


@pytest.mark.parametrize(("value", "shown"), [(-999.0, "-999"), (0.123, "0.123"), (9999.0, "9,999")])
def test_a_value_that_is_common_in_the_current_rows_only(value, shown):
    g = np.random.default_rng(0)
    now = g.normal(size=20_000)
    now[:500] = value
    result = drift([comparison("x", [g.normal(size=20_000)], [now])], INDEPENDENT)
    (column,) = result.columns
    assert len(crowded_cells(column)) == 1
    unusual = find_unusual(result.columns, ["day"], 0.03, LEVEL, PARTITIONS, {"x": g.choice(now, 5000)})
    messages = [finding.message for finding in unusual if finding.kind is FindingKind.VALUE_SHARE]
    assert len(messages) == 1
    assert f"the value {shown} is about 2." in messages[0]


def test_a_cell_that_many_values_crowd_is_no_single_value():
    g = np.random.default_rng(0)
    now = g.normal(size=20_000)
    now[:500] = g.uniform(40, 50, 500)
    result = drift([comparison("x", [g.normal(size=20_000)], [now])], INDEPENDENT)
    assert crowded_cells(result.columns[0])
    unusual = find_unusual(result.columns, ["day"], 0.03, LEVEL, PARTITIONS, {"x": now})
    assert FindingKind.VALUE_SHARE not in {finding.kind for finding in unusual}


def test_a_new_value():
    g = np.random.default_rng(0)
    before, now = (g.choice(["a", "b", "n"], 20_000, p=p) for p in ([0.5, 0.5, 0], [0.49, 0.49, 0.02]))
    assert "the value 'n' is 2." in findings([before], [now])[FindingKind.VALUE_SHARE]


def test_a_single_day_is_named():
    g = np.random.default_rng(0)
    before, now = ([g.normal(size=500) for _ in range(days)] for days in (40, 14))
    now[3] = g.normal(0.4, 1, 500)
    assert "1 of 14 days is unlike that of the reference: day 3" in findings(before, now, None)[FindingKind.ODD_BATCH]


@pytest.mark.parametrize("draw", [np.random.Generator.standard_normal, lambda g, n: g.lognormal(0, 1, n)])
def test_ordinary_rows_are_not_unusual(draw):
    for seed in range(20):
        g = np.random.default_rng(seed)
        before, now = ([draw(g, 2000) for _ in range(days)] for days in (30, 7))
        assert findings(before, now, None).keys() <= {FindingKind.RANGE}


def test_a_column_that_has_drifted_has_no_findings():
    g = np.random.default_rng(0)
    assert findings([g.normal(size=10_000)], [g.normal(3, 5, 10_000)]) == {}
