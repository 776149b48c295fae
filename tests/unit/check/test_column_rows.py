"""The table of columns on the report page: the headline agrees with it; it is filtered and sorted without scripts."""

import datetime as dt
import html
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.check.pipeline import check_files
from modelmonitor_trainer.check.sources.files import Files
from modelmonitor_trainer.detect.verdict import decide
from modelmonitor_trainer.detect.wording import FILES
from modelmonitor_trainer.report.check_page import render
from modelmonitor_trainer.report.column_rows import rows_of
from modelmonitor_trainer.storage.open import open_store
from unit.detect.test_drift import INDEPENDENT, comparison, drift

NOW = dt.datetime(2013, 2, 10, 6, tzinfo=dt.UTC)
FIRST = dt.date(2013, 1, 1)


def check(folder, table, days=(20, 6), sensitivity=None, **more):
    """Return the result of a check of days; `table` makes the rows of a day from a generator and its number."""
    for number in range(sum(days)):
        side = folder / ("reference" if number < days[0] else "current")
        side.mkdir(exist_ok=True)
        rows = table(np.random.default_rng(number), number - days[0])
        pq.write_table(pa.table(rows), side / f"{FIRST + dt.timedelta(days=number)}.parquet")
    files = Files(str(folder / "reference"), str(folder / "current"), **more)
    return check_files(open_store(None), files, sensitivity or Sensitivity(), 1.0, now=NOW)


def mixed(g, day):
    """One column drifts, another one in the last three days, one wanders, one has gaps, two do not change."""
    rows = 400
    return {
        "x2": g.normal(1.0 if day >= 0 else 0.0, 1, rows),
        "x10": g.normal(size=rows),
        "late": g.normal(1.0 if day >= 3 else 0.0, 1, rows),
        "wanders": g.normal(g.normal(0, 0.7), 1, rows),
        "gaps": pa.array(g.normal(size=rows), mask=g.random(rows) < (0.15 if day >= 0 else 0.02)),
        "plan": g.choice(["12.5 %", "50", "pro"], rows, p=[0.2, 0.3, 0.5]),
        "when": pa.array([NOW + dt.timedelta(days=day)] * rows),
    }


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return check(tmp_path_factory.mktemp("mixed"), mixed)


def heading(page):
    return html.unescape(page.partition("<h1>")[2].partition("</h1>")[0])


def test_the_headline_counts_what_the_table_shows(result):
    page = render(result)
    shown = re.findall(r'<(?:details|div) class="row (\S+)"', page)
    assert shown.count("drifted") >= 2
    assert shown.count("left-out") == 1
    drifted, compared, unsure = (shown.count("drifted"), len(shown) - 1, shown.count("inconclusive"))
    assert heading(page) == f"Drift in {drifted} of {compared} columns; {unsure} inconclusive"
    for key, count in (("all", len(shown)), ("drifted", drifted), ("compared", compared), ("left-out", 1)):
        assert re.search(rf'for="show-{key}">[^<]* <b>{count}</b>', page), key


def test_no_drift_is_claimed_of_the_columns_that_were_compared():
    g = np.random.default_rng(0)
    same = comparison("same", [g.normal(size=5000)], [g.normal(size=5000)])
    gone = comparison("gone", [g.normal(size=5000)], [np.empty(0)])
    decided = decide(drift([same, gone], INDEPENDENT), (), (), INDEPENDENT, rows=(5000, 5000), wording=FILES)
    assert decided.name == "NoDrift"
    assert decided.message.startswith("No change of 0.15 or more in 1 column, ")
    assert decided.message.endswith(" Not compared: gone.")


def test_the_headline_of_no_drift_names_what_was_left_out(tmp_path):
    def table(g, day):
        return {"x": g.normal(size=900), "when": pa.array([NOW + dt.timedelta(days=day)] * 900)}

    result = check(tmp_path, table)
    assert heading(render(result)) == "No drift in 1 column; 1 left out"


def test_rows_can_be_sorted_and_filtered_by_style_rules_alone(result):
    page = render(result)
    rows = rows_of(result)
    assert "<script" not in page
    for key, order in {"name": "n", "effect": "f", "missing": "m"}.items():
        assert f"#sort-{key}:checked ~ .list .row {{ order: var(--{order}); }}" in page
    for state in ("drifted", "inconclusive", "unchanged", "left-out"):
        assert f"#show-{state}:checked ~ .list .row:not(.{state})" in page
    by_name = sorted(rows, key=lambda row: row.orders["name"])
    assert [row.name for row in by_name] == ["gaps", "late", "plan", "wanders", "when", "x2", "x10"]
    by_missing = sorted(rows, key=lambda row: row.orders["missing"])
    assert by_missing[0].name == "gaps"
    by_effect = sorted(rows, key=lambda row: row.orders["effect"])
    effects = [row.shown.evidence.effect for row in by_effect if row.shown]
    assert effects == sorted(effects, reverse=True)
    assert by_effect[-1].name == "when"
    for key in ("evidence", "name", "effect", "missing"):
        assert sorted(row.orders[key] for row in rows) == list(range(len(rows)))


def test_drifted_columns_come_first_and_then_inconclusive_ones(result):
    states = [row.state for row in rows_of(result)]
    order = ("drifted", "inconclusive", "unchanged", "left-out")
    assert states == sorted(states, key=order.index)
    assert "inconclusive" in states


def test_the_row_of_an_inconclusive_column_shows_the_test_in_doubt_and_why(result):
    (wanders,) = (row for row in rows_of(result) if row.name == "wanders")
    assert wanders.state == "inconclusive"
    assert wanders.shown is not None
    assert wanders.shown.doubts
    assert "vary" in wanders.reasons[0]


def test_the_heat_line_shows_when_a_change_began(result):
    rows = {row.name: row for row in rows_of(result)}
    summaries = {name: row.heat.summary for name, row in rows.items() if row.heat}
    assert summaries["late"].startswith("Each current day since 2013-01-24 is farther")
    assert summaries["x2"].startswith("Each of the 6 current days is farther")
    assert rows["gaps"].measure == "missing values"
    page = render(result)
    assert "<title>2013-01-24: distance 0." in page


def test_a_category_cannot_be_mistaken_for_a_percentage(result):
    page = render(result)
    assert re.search(r'“12\.5 %”</code></td>\s*<td class="bar">.*?</td>\s*<td class="n">\d+(\.\d)? %</td>', page)
    assert re.search(r"<th>Value</th><th></th><th class=\"n\">Reference</th><th class=\"n\">Current</th>", page)


def test_shares_are_shown_of_both_sides(result):
    (gaps,) = (row for row in rows_of(result) if row.name == "gaps")
    before, now = gaps.missing
    assert 1 < float(before.removesuffix(" %")) < 3
    assert 13 < float(now.removesuffix(" %")) < 17
    assert f">{before} → {now}</span>" in render(result)


def test_hundreds_of_columns_are_a_reasonable_file(tmp_path):
    names = [f"column_{number}" for number in range(300)]
    result = check(tmp_path, lambda g, _day: {name: g.normal(size=60) for name in names}, days=(60, 14))
    page = render(result)
    assert page.count("<details class=") >= 300
    assert len(page) < 300 * 6_000
    assert all(f"<b>{name}</b>" in page for name in names)


def test_left_out_columns_are_rows_with_their_reason(result):
    (when,) = (row for row in rows_of(result) if row.state == "left-out")
    assert when.name == "when"
    assert "It grows with the data" in when.reasons[0]
    assert "It grows with the data" in render(result)
