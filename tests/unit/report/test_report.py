"""The report page: self-contained, escaped, complete for every verdict, and the score over time."""

import datetime as dt
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.check.pipeline import check_files
from modelmonitor_trainer.check.sources.files import Files
from modelmonitor_trainer.detect.hypotheses import BIAS, CORRELATION, Hypothesis, HypothesisFamily
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.detect.result import to_json
from modelmonitor_trainer.detect.score_timeline import Period
from modelmonitor_trainer.report.check_page import render
from modelmonitor_trainer.report.timeline import Timeline, timeline_of
from modelmonitor_trainer.storage.open import open_store

NOW = dt.datetime(2013, 2, 10, 6, tzinfo=dt.UTC)
HOSTILE = '<script>alert("1")</script>\'"><img src=x onerror=alert(1)>{{7*7}}\u202e'


class Tags(HTMLParser):
    """Every tag and attribute of a page, and whether tags are balanced."""

    VOID = frozenset({"meta", "br", "input"})

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.open = set(), set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


@pytest.fixture
def pages(world):
    def shifted(rows):
        return rows | {"x": rows["x"] + 1.5}

    by_verdict = {"NoDrift": render(world.check()[1])}
    world.land_days(34, 40, shifted)
    by_verdict["Drift"] = render(world.check()[1])
    world.land(dt.date(2013, 2, 6), lambda r: r | {"x": r["x"] * 100})
    by_verdict["Corrupted"] = render(world.check()[1])
    del world.spec["data"]["reference"]
    world.land_days(34, 40)
    by_verdict["Inconclusive"] = render(world.check()[1])
    return by_verdict


def test_every_verdict_has_a_page_without_scripts_that_loads_nothing(pages):
    for verdict, page in pages.items():
        tags = parsed(page)
        assert not tags.tags & {"script", "link", "img", "iframe", "object", "form", "a"}, verdict
        assert not {name for name in tags.attributes if name.startswith("on")}
        assert not tags.attributes & {"src", "href"}
        assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
        assert not re.search(r"https?://|url\(|@import", page)
        assert page.index("<h1>") < page.index("<svg") if "<svg" in page else True


def test_the_pages_show_the_result(pages):
    assert "<h1>Drift in 1 of 4 columns</h1>" in pages["Drift"]
    assert "1 of 4 columns has drifted" in pages["Drift"]
    assert "Violations of the feature contract" in pages["Corrupted"]
    assert "OutOfRange" in pages["Corrupted"]
    assert "no reference yet" in pages["Inconclusive"]
    assert "level 0.01111" in pages["NoDrift"]
    assert "date=2013-02-09/part.parquet" in pages["NoDrift"]


def test_hostile_names_and_values_are_escaped(tmp_path, world):
    g = np.random.default_rng(0)
    for side, shift in (("reference", 0.0), ("current", 1.0)):
        words = g.choice([HOSTILE, "</style></svg>b"], 900).tolist()
        path = tmp_path / side / f"<b>{side}.parquet"
        world.put(
            str(path).removeprefix(world.base.removeprefix("file://") + "/"),
            {HOSTILE: words, "<i>x": g.normal(shift, 1, 900)},
        )
    files = Files(str(tmp_path / "reference"), str(tmp_path / "current"))
    page = render(check_files(world.store, files, Sensitivity(), 1.0, now=NOW))
    tags = parsed(page)
    assert not tags.tags & {"script", "img", "b>"}
    assert "onerror" not in tags.attributes
    assert "{{7*7}}" in page
    assert "&lt;script&gt;" in page


def hostile_result(tmp_path, world):
    """A drifted check whose columns have names that are code, quotes and 250 characters."""
    g = np.random.default_rng(0)
    names = [HOSTILE, "long" * 60, "a and b", "x"]
    for side, shift in (("reference", 0.0), ("current", 1.0)):
        world.put(f"{side}/0.parquet", {name: g.normal(shift, 1, 900) for name in names})
    files = Files(f"{world.base}/reference", f"{world.base}/current")
    return check_files(world.store, files, Sensitivity(), 1.0, now=NOW), names


def test_correlations_are_a_map_and_a_table(tmp_path, world):
    result, names = hostile_result(tmp_path, world)
    subjects = [
        Hypothesis(f"{one} and {other}", 0.5, -0.25, -0.375, -0.4, -0.35, 1e-9, changed=one == HOSTILE)
        for one, other in combinations(names, 2)
    ]
    links = HypothesisFamily(
        *("links", CORRELATION, "Pearson correlations", tuple(subjects), "6 pairs", 1e-9, True), is_matrix=True
    )
    page = render(replace(result, drift=replace(result.drift, relations=(links,))))
    tags = parsed(page)
    assert not tags.tags & {"script", "img", "a"}
    assert not {name for name in tags.attributes if name.startswith("on")}
    drawn = re.findall(r'<rect class="(positive|negative)( changed)?"', page)
    assert sorted(drawn) == sorted(
        [("positive", ""), ("negative", "")] * 3 + [("positive", " changed"), ("negative", " changed")] * 3
    )
    assert "Pearson correlations" in page
    assert "-0.400 to -0.350" in page


def test_the_score_of_the_champion_comes_before_the_columns(tmp_path, world):
    result, _ = hostile_result(tmp_path, world)
    dropped = PerformanceResult("score", "ROCAUC", 900, 0.7, 0.69, 0.71, 0.8, 0.02, True, message="it <b>dropped</b>")
    unknown = PerformanceResult("other", "F1", message="no labels")
    page = render(replace(result, performance=(dropped, unknown)))
    parsed(page)
    assert page.index("Score of the champion") < page.index("<h2>Columns</h2>")
    assert "it &lt;b&gt;dropped" in page
    assert page.count('class="score') == 1


def score_over_days(scores, metric="ROCAUC", promotion_score=0.8):
    """Return a score over days: (score, low, high) or None each."""
    days = [dt.date(2013, 2, 1) + dt.timedelta(days=number) for number in range(len(scores))]
    periods = tuple(
        Period(day, day, 900, *score) if score else Period(day, day, 20)
        for day, score in zip(days, scores, strict=True)
    )
    return PerformanceResult("score", metric, 900, 0.78, 0.77, 0.79, promotion_score, 0.02, periods=periods)


def drawn_timeline(*args, **kwargs) -> Timeline:
    """Return the chart of a score over time; the arguments are those of `score_over_days`."""
    chart = timeline_of(score_over_days(*args, **kwargs))
    assert chart
    return chart


GOOD, BAD = (0.79, 0.77, 0.81), (0.70, 0.68, 0.72)


def test_a_score_over_time():
    chart = drawn_timeline([GOOD, None, BAD])
    assert [mark.worse for mark in chart.marks] == [False, True]
    assert [mark.x for mark in chart.marks] == sorted(mark.x for mark in chart.marks)
    for mark in chart.marks:
        assert 0 <= mark.high < mark.y < mark.low <= 120
    assert chart.promotion_score
    assert chart.allowed
    # A better score is drawn higher, with a smaller y.
    assert chart.promotion_score < chart.allowed < chart.marks[1].y
    assert (chart.first, chart.last, chart.days) == ("2013-02-01", "2013-02-03", 1)
    assert [(row.days, row.rows, row.score) for row in chart.rows][1] == ("2013-02-02", 20, None)
    assert chart.summary == "Score over time, 2013-02-01 to 2013-02-03, 3 days; worse than tolerated in 1"


@pytest.mark.parametrize(
    ("metric", "promotion_score", "worse"),
    [("LogLoss", 0.65, [True, True]), ("LogLoss", 0.76, [False, False]), ("ROCAUC", None, [False, False])],
)
def test_the_direction_of_worse_depends_on_the_metric(metric, promotion_score, worse):
    chart = drawn_timeline([(0.7, 0.69, 0.71), (0.75, 0.74, 0.76)], metric, promotion_score)
    assert [mark.worse for mark in chart.marks] == worse
    assert (chart.allowed is None) == (promotion_score is None)


def test_one_wide_interval_does_not_flatten_the_others():
    chart = drawn_timeline([GOOD, (0.78, -5.0, 6.5), BAD])
    assert chart.marks[2].y - chart.marks[0].y > 30
    assert (chart.marks[1].high, chart.marks[1].low) == (0, 120)


def test_missing_scores_are_not_drawn_over_time():
    assert timeline_of(PerformanceResult("d", "ROCAUC")) is None
    assert timeline_of(score_over_days([GOOD, None, None])) is None
    constant = drawn_timeline([(0.8, 0.8, 0.8), (0.8, None, None)], promotion_score=None)
    assert [mark.y for mark in constant.marks] == [60, 60]


def test_the_page_shows_the_score_over_time_as_chart_and_table(tmp_path, world):
    result, _ = hostile_result(tmp_path, world)
    page = render(replace(result, performance=(score_over_days([GOOD, None, BAD]),)))
    parsed(page)
    assert 'aria-label="Score over time, 2013-02-01 to 2013-02-03, 3 days; worse than tolerated in 1"' in page
    assert page.count('<g class="worse">') == 1
    assert "The same as a table" in page
    assert "<td>2013-02-02</td>" in page
    assert to_json(replace(result, performance=(score_over_days([GOOD, None]),)))["performance"][0]["periods"] == [
        {"start": "2013-02-01", "end": "2013-02-01", "rows": 900, "score": 0.79, "low": 0.77, "high": 0.81},
        {"start": "2013-02-02", "end": "2013-02-02", "rows": 20, "score": None, "low": None, "high": None},
    ]


def test_infinite_and_missing_shares_are_figures_of_both_sides(tmp_path):
    g = np.random.default_rng(0)
    for name, share in (("ref", 0.0), ("cur", 0.25)):
        x = np.where(g.random(4000) < share, np.inf, g.normal(size=4000))
        pq.write_table(
            pa.table({"x": x, "w": g.choice(["a name of many words", "b"], 4000)}), tmp_path / f"{name}.parquet"
        )
    files = Files(str(tmp_path / "ref.parquet"), str(tmp_path / "cur.parquet"))
    page = render(check_files(open_store(None), files, Sensitivity(), 1.0, now=NOW))
    assert re.search(r'Infinite \(\+∞\)</td><td class="n">0 %</td><td class="n">2[45]\.\d %', page)
    assert "<h4>Missing values</h4>" not in page
    assert "<code>“a name of many words”</code>" in page


def test_the_row_of_a_column_shows_the_decisive_test_first(tmp_path, world):
    g = np.random.default_rng(0)
    before, now = ({"x": pa.array(g.normal(size=5000), mask=g.random(5000) < share)} for share in (0.02, 0.2))
    for name, columns in (("ref", before), ("cur", now)):
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    files = Files(str(tmp_path / "ref.parquet"), str(tmp_path / "cur.parquet"))
    result = check_files(open_store(None), files, Sensitivity(), 1.0, now=dt.datetime(2013, 1, 1, tzinfo=dt.UTC))
    page = render(result)
    assert page.index("<td>missing values</td>") < page.index("<td>distribution</td>")
    assert "<h4>Missing values</h4>" in page
    assert "Adjusted p" in page


def test_heat_maps_come_before_other_relations(tmp_path, world):
    result, _ = hostile_result(tmp_path, world)
    names = [column.name for column in result.drift.columns][:2]
    pair = Hypothesis(" and ".join(names), 0.1, 0.6, 0.25, 0.2, 0.3, 0.001)
    headings = ("Rows", "Outcome", "Prediction")
    bias = HypothesisFamily("b", BIAS, "mean prediction", (replace(pair, name="all rows"),), headings=headings)
    tests = (bias, HypothesisFamily("c", CORRELATION, "Pearson correlations", (pair,), is_matrix=True))
    page = render(replace(result, drift=replace(result.drift, relations=tests)))
    parsed(page)
    assert page.index("Pearson correlations") < page.index("Mean prediction")
    assert '<th>Rows</th><th class="n">Outcome</th><th class="n">Prediction</th>' in page


def test_a_score_without_a_promotion_score_is_not_reported_as_held(tmp_path, world):
    result, _ = hostile_result(tmp_path, world)
    page = render(replace(result, performance=(score_over_days([GOOD, GOOD], promotion_score=None),)))
    assert "not compared" in page
    assert "held" not in page
