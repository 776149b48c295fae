"""The site in a real browser, wide and narrow: nothing is cut off, and nothing is blocked by its own policy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelmonitor_api.status import RecentCheck, RecordedDecision
from modelmonitor_trainer.cluster.observed import observe_monitor
from modelmonitor_trainer.ui.server import Site, make_server
from support import monitors
from support.browser import NEEDS_BROWSER, browse, complaints, measure
from unit.cluster.observed import DAY, NOW, last_check, observed
from unit.ui.monitored import COOKIE, TOKEN, served, site_of, write_check

pytestmark = NEEDS_BROWSER

HOSTILE = "<script>document.title = 'run'</script>'\"><img src=x onerror='document.title=1'>"
LONG = "a_column_with_a_name_that_goes_on_" * 7


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with a monitor that has everything, and one that has nothing."""
    folder = tmp_path_factory.mktemp("results")
    for day in range(1, 40):
        effects = [("temp", day / 50, day > 30), (HOSTILE, 0.05, False), (LONG, 0.1, False)]
        score = served(f"{0.8 - day / 400}", low=f"{0.78 - day / 400}", high=f"{0.82 - day / 400}")
        write_check(folder, 40 - day, "Drift" if day > 30 else "NoDrift", effects, score, "<!doctype html><p>page")
    checks = [
        RecentCheck(time=NOW - day * DAY, job_name=f"flights-check-{day}", verdict="Drift" if day < 10 else "NoDrift")
        for day in range(1, 31)
    ]
    decisions = [
        RecordedDecision(time=NOW - 5 * DAY, action="Promoted", reason="Better", message=HOSTILE, version="v2-b"),
        RecordedDecision(time=NOW - 9 * DAY, action="Held", reason="Cooldown", message=LONG),
    ]
    rich = observed(
        spec={"storage": {"resultsURI": f"file://{folder}/"}},
        last_check=last_check("Drift", message=HOSTILE, performance=served("0.7")),
        recent_checks=checks,
        decisions=decisions,
        champion=monitors.champion(),
    )
    bare = monitors.monitor("x" * 63, "y" * 63)
    bare["metadata"] |= {"uid": "other", "generation": 1}
    shown = site_of(rich, observe_monitor(bare))
    shown.hosts = frozenset({"127.0.0.1"})
    return shown


@pytest.fixture(scope="module")
def address(site: Site) -> Iterator[str]:
    """The address of the site, served."""
    server = make_server(site, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("path", ["", "monitors/ml/flights/", "monitors/ml/other/"])
def test_a_page_fits_the_window(site: Site, tmp_path: Path, path: str, width: int) -> None:
    (tmp_path / "page.html").write_text(site.answer(f"/{path}", "127.0.0.1", COOKIE).page.html)
    facts, logged = measure(tmp_path, width)
    assert facts["title"] != "run"
    assert facts["width"] <= width, facts["out"]
    assert (facts["out"], logged) == ([], [])


@pytest.mark.parametrize("path", ["", "monitors/ml/flights/", "monitors/ml/other/"])
def test_a_browser_is_admitted_by_the_token_and_blocks_nothing(address: str, tmp_path: Path, path: str) -> None:
    process = browse(tmp_path, f"{address}/{path}?token={TOKEN}", "--dump-dom")
    # A page that does not exist is logged as such.
    assert [line for line in complaints(process) if "404" not in line] == []
    assert "Open the address that the command printed" not in process.stdout
    assert ("All monitors" if path else "x" * 63) in process.stdout


def test_a_browser_draws_in_both_schemes(address: str, tmp_path: Path) -> None:
    pictures = []
    for scheme in (0, 1):
        picture = tmp_path / f"{scheme}.png"
        options = ("--window-size=1000,800", f"--blink-settings=preferredColorScheme={scheme}")
        browse(tmp_path, f"{address}/?token={TOKEN}", f"--screenshot={picture}", *options)
        pictures.append(picture.read_bytes())
    assert pictures[0] != pictures[1]
