"""Pages in a real browser, wide and narrow: nothing is cut off, loaded, or blocked by the content security policy."""

import datetime as dt
import json
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.check.pipeline import check_files
from modelmonitor_trainer.check.sources.files import Files
from modelmonitor_trainer.report.check_page import render
from modelmonitor_trainer.storage.open import open_store
from support.browser import NEEDS_BROWSER, browse, measure, run_frame
from unit.train.conftest import World
from unit.train.test_tasks import Lake

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
HOSTILE = '<script>document.title = "run"</script>\'"><img src=x onerror="document.title=1">'

pytestmark = NEEDS_BROWSER

# The controls of the table of columns, clicked as a reader does; the page itself has no scripts.
CLICKS = """<!doctype html><iframe id="page" src="page.html" style="border: 0; width: 1200px; height: 6000px"></iframe>
<script>
addEventListener("load", () => {{
  const page = document.getElementById("page").contentDocument;
  for (const key of {labels}) page.querySelector(`label[for=${{key}}]`).click();
  const rows = [...page.querySelectorAll(".row")].filter(row => row.getClientRects().length)
    .sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top);
  const measured = rows.map(row => row.querySelector(".name")?.textContent ?? row.textContent);
  document.body.innerHTML = "<pre id=measured>" + JSON.stringify(measured).replaceAll("<", "") + "</pre>";
}});
</script>"""


def lines_of_picture(folder, scheme):
    """Return the lines of a screenshot as they lie in the file; the browser draws for light (1) or dark (0)."""
    picture = folder / f"{scheme}.png"
    options = (f"--screenshot={picture}", "--window-size=1000,800", f"--blink-settings=preferredColorScheme={scheme}")
    browse(folder, f"file://{folder}/page.html", *options)
    data, at, packed = picture.read_bytes(), 8, b""
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        packed += data[at + 8 : at + 8 + length] if data[at + 4 : at + 8] == b"IDAT" else b""
        at += 12 + length
    pixels = zlib.decompress(packed)
    line = len(pixels) // 800
    return [pixels[start : start + line] for start in range(0, len(pixels), line)]


def check_page(folder):
    def table(seed, shift):
        g = np.random.default_rng(seed)
        n = 4000
        return pa.table(
            {
                HOSTILE: g.normal(size=n) + shift,
                "a_column_with_a_name_that_goes_on_" * 7: np.where(g.random(n) < 0.02, np.inf, g.normal(size=n)),
                "words": g.choice(["x" * 300, HOSTILE, "short"], n).tolist(),
                "lacking": pa.array(g.normal(size=n), mask=g.random(n) < 0.1 + shift / 2),
                "whole": g.integers(0, 40, n),
            }
        )

    for name, seed, shift in (("ref", 1, 0.0), ("cur", 2, 0.4)):
        pq.write_table(table(seed, shift), folder / f"{name}.parquet")
    files = Files(str(folder / "ref.parquet"), str(folder / "cur.parquet"))
    return render(check_files(open_store(None), files, Sensitivity(), 1.0, now=dt.datetime(2013, 1, 1, tzinfo=dt.UTC)))


def training_pages(folder):
    world = World(folder)
    world.land(1, 18)
    world.train(1)
    world.land(19, 40, slope=-2.0)
    second = world.train(2)
    world.spec["promotion"]["minHoldoutRows"] = 5000
    world.train(3)
    files = world.results()
    return {
        "comparison": files["runs/u-1/2/report.html"].decode(),
        "card": files[f"versions/{second.version}/card.html"].decode(),
        "undecided": files["runs/u-1/3/report.html"].decode(),
    }


def classes_page(folder):
    lake = Lake(World(folder), "MulticlassClassification")
    lake.land(1, 18)
    lake.world.train(1)
    lake.land(19, 40, turn=-1.0)
    lake.world.train(2)
    return lake.world.results()["runs/u-1/2/report.html"].decode()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return {
        "check": check_page(tmp_path_factory.mktemp("check")),
        "classes": classes_page(tmp_path_factory.mktemp("classes")),
        **training_pages(tmp_path_factory.mktemp("train")),
    }


@pytest.fixture(scope="module")
def columns_page(tmp_path_factory):
    """A page with seven columns: two drifted, four without drift, one left out."""
    folder = tmp_path_factory.mktemp("columns")
    for name, seed, now in (("ref", 1, False), ("cur", 2, True)):
        g = np.random.default_rng(seed)
        columns = {name: g.normal(size=4000) for name in ("c", "b10", "a", "d")}
        columns["b2"] = g.normal(0.5 if now else 0.0, 1, 4000)
        columns["gaps"] = pa.array(g.normal(size=4000), mask=g.random(4000) < (0.2 if now else 0.02))
        columns["when"] = pa.array([[2013, 1]] * 4000)
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    files = Files(str(folder / "ref.parquet"), str(folder / "cur.parquet"))
    sensitivity = Sensitivity(independent_rows=True)
    return render(check_files(open_store(None), files, sensitivity, 1.0, now=dt.datetime(2013, 1, 1, tzinfo=dt.UTC)))


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("page", ["check", "comparison", "classes", "undecided", "card"])
def test_a_page_in_a_browser(pages, tmp_path, page, width):
    assert f'content="{POLICY}"' in pages[page]
    (tmp_path / "page.html").write_text(pages[page])
    page_facts, logged = measure(tmp_path, width)
    assert page_facts["text"] > 500
    assert page_facts["title"] != "run"
    assert page_facts["width"] <= width, page_facts["out"]
    assert page_facts["out"] == []
    assert logged == []


ALL = ["a", "b2", "b10", "c", "d", "gaps", "when"]


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (["sort-name"], ALL),
        (["sort-name", "show-drifted"], ["b2", "gaps"]),
        (["show-drifted", "sort-missing"], ["gaps", "b2"]),
        (["sort-name", "show-unchanged"], ["a", "b10", "c", "d"]),
        (["sort-name", "show-compared"], ["a", "b2", "b10", "c", "d", "gaps"]),
        (["show-left-out"], ["when"]),
        (["show-inconclusive"], ["No column is of this kind."]),
        (["show-drifted", "show-all", "sort-name"], ALL),
    ],
)
def test_columns_are_sorted_and_filtered_by_clicks(columns_page, tmp_path, labels, shown):
    (tmp_path / "page.html").write_text(columns_page)
    names, logged = run_frame(tmp_path, CLICKS.format(labels=json.dumps(labels)), "--window-size=1400,2000")
    assert names == shown
    assert logged == []


@pytest.mark.parametrize(
    ("broken", "shows"),
    [
        ('<div style="width: 900px">wide</div>', "width"),
        ("<script>1</script>", "log"),
        ('<img src="page.png">', "log"),
    ],
)
def test_the_measurements_detect_errors(pages, tmp_path, broken, shows):
    (tmp_path / "page.html").write_text(pages["card"].replace("</main>", f"{broken}</main>"))
    page_facts, logged = measure(tmp_path, 400)
    assert (page_facts["width"] > 400 and "DIV." in page_facts["out"]) == (shows == "width")
    assert any("Content Security Policy" in line for line in logged) == (shows == "log")


@pytest.mark.parametrize("page", ["check", "classes", "undecided"])
def test_a_page_is_drawn_in_light_and_in_dark(pages, tmp_path, page):
    (tmp_path / "page.html").write_text(pages[page])
    dark, light = (lines_of_picture(tmp_path, scheme) for scheme in (0, 1))
    for lines in (dark, light):
        assert len(set(lines)) > 100, "it is not blank"
    # The first pixel is of the margin, and lies in the file as it is, whatever filter its line has.
    assert max(dark[0][1:4]) < 0x40
    assert min(light[0][1:4]) > 0xC0


def test_a_blank_page_is_detected(tmp_path):
    (tmp_path / "page.html").write_text("<!doctype html>")
    assert len(set(lines_of_picture(tmp_path, 1))) < 10
