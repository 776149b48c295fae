"""The report page: self-contained, escaped, and complete for every verdict."""

import datetime as dt
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.check.files import Files, check_files
from modelmonitor_trainer.profile.columns import profile_categories, profile_numbers
from modelmonitor_trainer.profile.plan import CategoricalPlan, NumericPlan, fit_edges
from modelmonitor_trainer.report.charts import Bars, Histogram, chart_of
from modelmonitor_trainer.report.check_page import render

NOW = dt.datetime(2013, 2, 10, 6, tzinfo=dt.UTC)
HOSTILE = '<script>alert("1")</script>\'"><img src=x onerror=alert(1)>{{7*7}}\u202e'


class Tags(HTMLParser):
    """Every tag and attribute of a page, and whether tags are balanced."""

    VOID = frozenset({"meta", "rect", "path", "line", "br"})

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
    found = Tags()
    found.feed(page)
    assert found.open == []
    return found


@pytest.fixture
def pages(world):
    def shifted(rows):
        return rows | {"x": rows["x"] + 1.5}

    found = {"NoDrift": render(world.check()[1])}
    world.land_days(34, 40, shifted)
    found["Drift"] = render(world.check()[1])
    world.land(dt.date(2013, 2, 6), lambda r: r | {"x": r["x"] * 100})
    found["Corrupted"] = render(world.check()[1])
    del world.spec["data"]["reference"]
    world.land_days(34, 40)
    found["Inconclusive"] = render(world.check()[1])
    return found


def test_every_verdict_has_a_page_without_scripts_that_loads_nothing(pages):
    for verdict, page in pages.items():
        tags = parsed(page)
        assert not tags.tags & {"script", "link", "img", "iframe", "object", "form", "a"}, verdict
        assert not {name for name in tags.attributes if name.startswith("on")}
        assert not tags.attributes & {"src", "href"}
        assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
        assert not re.search(r"https?://|url\(|@import", page)
        assert page.index("<h1>") < page.index("<svg") if "<svg" in page else True


def test_the_pages_say_what_was_found(pages):
    assert "<h1>Drift</h1>" in pages["Drift"]
    assert "1 of 4 columns has drifted" in pages["Drift"]
    assert "What breaks the contract" in pages["Corrupted"]
    assert "OutOfRange" in pages["Corrupted"]
    assert "nothing to compare with yet" in pages["Inconclusive"]
    assert "level 0.01111" in pages["NoDrift"]
    assert "date=2013-02-09/part.parquet" in pages["NoDrift"]


def test_hostile_names_and_values_stay_text(tmp_path, world):
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


def numeric(edges, values):
    return profile_numbers(pa.chunked_array([pa.array(values, pa.float64())]), edges)


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ([1.0, 2.0, 3.0] * 50, [100.0, 200.0]),
        ([5.0] * 20, [5.0] * 20),
        ([0.0] * 20, [0.0, 1.0]),
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
