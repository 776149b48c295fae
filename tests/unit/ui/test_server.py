"""The site: which address shows what, to whom, and what a hostile name, page or request can do."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.cluster.errors import ClusterError, Denied, Unreachable
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.errors import CredentialsRefused
from modelmonitor_trainer.ui.pages import REPORT_POLICY
from modelmonitor_trainer.ui.server import Answer, Site, make_server, new_token
from unit.cluster.observed import NOW, UID, last_check, observed
from unit.ui.monitored import COOKIE, HOST, TOKEN, Monitors, served, site_of, write_check

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e"
PAGE = "<!doctype html><script>alert(1)</script><p>the page of a check</p>"


def monitor_in(folder: Path, **fields: Any) -> ObservedMonitor:
    return observed(spec={"storage": {"resultsURI": f"file://{folder}/"}}, **fields)


def get(site: Site, path: str, host: str = HOST, cookie: str | None = COOKIE) -> Answer:
    return site.answer(path, host, cookie)


def test_the_fleet_links_to_the_page_of_each_monitor(tmp_path: Path) -> None:
    site = site_of(monitor_in(tmp_path, last_check=last_check("Drift")), note="Only namespace ml is shown.")
    answer = get(site, "/")
    assert answer.status == http.client.OK
    assert 'href="monitors/ml/flights/"' in answer.page.html
    assert "1 of 1 monitor need attention" not in answer.page.html
    assert "1 of 1 monitor needs attention" in answer.page.html
    assert "Only namespace ml is shown." in answer.page.html
    assert "No monitor matches" in get(site, "/?q=nothing+like+it").page.html
    assert get(site, "/monitors/ml/flights").headers == {"Location": "flights/"}


def test_an_empty_fleet_says_what_to_do() -> None:
    answer = get(site_of(), "/")
    assert "No ModelMonitor is visible here" in answer.page.html


def test_the_page_of_a_monitor_has_its_charts_its_champions_and_its_pages(tmp_path: Path) -> None:
    effects = [("temp", 0.31, True), (HOSTILE, 0.2, False)]
    names = [write_check(tmp_path, day, "Drift", effects, served(f"0.7{day}"), PAGE) for day in (1, 2, 3)]
    site = site_of(monitor_in(tmp_path, last_check=last_check("Drift")))
    html = get(site, "/monitors/ml/flights/").page.html
    for text in ("Time line", "Served score", "Drift of each column", "drifted in 3 of 3 checks", "Events"):
        assert text in html
    for name in names:
        assert f'href="checks/{name}"' in html
    report = get(site, f"/monitors/ml/flights/checks/{names[0]}")
    assert (report.status, report.page.policy) == (http.client.OK, REPORT_POLICY)
    assert "the page of a check" in report.page.html


def test_results_that_cannot_be_opened_are_said_on_the_page() -> None:
    monitors = Monitors(observed(last_check=last_check("NoDrift")))
    site = Site(monitors, frozenset({"localhost"}), None, clock=lambda: NOW)
    monitors.error = CredentialsRefused("the key is not valid")
    answer = get(site, "/monitors/ml/flights/")
    assert answer.status == http.client.OK
    assert "The stored results cannot be opened: the key is not valid" in answer.page.html
    assert get(site, "/monitors/ml/flights/trainings/3").status == http.client.BAD_GATEWAY


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Denied("you may not list modelmonitors"), http.client.FORBIDDEN),
        (Unreachable("no answer"), http.client.BAD_GATEWAY),
        (ClusterError("odd"), http.client.BAD_GATEWAY),
    ],
)
def test_who_may_see_nothing_is_told_why(error: Exception, status: int) -> None:
    answer = get(site_of(observed(), error=error), "/")
    assert answer.status == status
    assert str(error) in answer.page.html
    assert "flights" not in answer.page.html


@pytest.mark.parametrize(
    "path",
    [
        "/monitors/ml/other/",
        "/monitors/ml/flights/checks/20130402T090000Z-none",
        "/monitors/ml/flights/trainings/7",
        "/monitors/ml/flights/checks/../../../../secret",
        "/monitors/ml/flights/checks/20130402T090000Z-..%2f..%2fversions",
        "/monitors/ml/flights/trainings/../../versions",
        "/monitors/../../etc/passwd",
        "//evil.example/",
        "/favicon.ico",
        "/static/",
    ],
)
def test_other_addresses_are_not_found(tmp_path: Path, path: str) -> None:
    answer = get(site_of(monitor_in(tmp_path)), path)
    assert answer.status == http.client.NOT_FOUND
    assert "All monitors" in answer.page.html


def test_nothing_is_shown_without_the_token() -> None:
    site = site_of(observed(last_check=last_check("Drift")))
    for cookie in (None, "", "modelmonitor-ui=guessed", "modelmonitor-ui", "other=1; modelmonitor-ui=", ";;=\x00"):
        for path in ("/", "/monitors/ml/flights/", "/?token=guessed", "/nothing"):
            answer = get(site, path, cookie=cookie)
            assert answer.status == http.client.FORBIDDEN
            assert "flights" not in answer.page.html
    granted = get(site, f"/monitors/ml/flights/?token={TOKEN}", cookie=None)
    assert granted.status == http.client.SEE_OTHER
    assert granted.headers["Location"] == "./"
    assert granted.headers["Set-Cookie"] == f"{COOKIE}; HttpOnly; SameSite=Strict; Path=/"
    assert get(site, "/", cookie=f"other=1; {COOKIE}").status == http.client.OK


def test_a_token_is_needed_only_where_no_proxy_authenticates() -> None:
    assert get(site_of(observed(), token=None), "/", cookie=None).status == http.client.OK
    assert len({new_token() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:8080", True),
        ("LOCALHOST", True),
        ("evil.example", False),
        ("evil.example:8080", False),
        ("localhost.evil.example", False),
        ("[::1]:8080", False),
        ("", False),
        (None, False),
    ],
)
def test_a_name_that_another_site_points_here_reaches_nothing(host: str | None, *, known: bool) -> None:
    answer = site_of(observed()).answer("/", host, COOKIE)
    assert answer.status == (http.client.OK if known else http.client.MISDIRECTED_REQUEST)


def test_probes_need_neither_name_nor_token() -> None:
    answer = site_of(error=Unreachable("no answer")).answer("/healthz", "10.0.0.7:8080", None)
    assert (answer.status, answer.page.html) == (http.client.OK, "ok\n")


class Scripts(HTMLParser):
    """Collects what a browser would run or load."""

    def __init__(self) -> None:
        super().__init__()
        self.dangerous: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        loads = [name for name, value in attrs if name.startswith("on") or name in {"src", "style", "srcdoc"}]
        away = [value for name, value in attrs if name in {"href", "action"} and re.match(r"\w+:|//", value or "")]
        if tag in {"script", "iframe", "img", "object", "link", "base"} or loads or away:
            self.dangerous.append(f"{tag} {attrs}")


def test_hostile_texts_are_shown_and_do_nothing(tmp_path: Path) -> None:
    write_check(tmp_path, 1, "Drift", [(HOSTILE, 0.3, True)])
    write_check(tmp_path, 2, "Drift", [(HOSTILE, 0.3, True)])
    site = site_of(monitor_in(tmp_path, last_check=last_check(HOSTILE, message=HOSTILE)), note=HOSTILE)
    query = quote(HOSTILE)
    for path in ("/", f"/?q={query}&namespace={query}&sort={query}", "/monitors/ml/flights/", f"/{query}"):
        page = get(site, path).page.html
        parser = Scripts()
        parser.feed(page)
        assert parser.dangerous == []
    assert "&lt;script&gt;" in get(site, "/monitors/ml/flights/").page.html


def test_the_policy_of_a_page_permits_its_own_style_and_nothing_else(tmp_path: Path) -> None:
    answer = get(site_of(monitor_in(tmp_path)), "/monitors/ml/flights/")
    [style] = re.findall("<style>(.*?)</style>", answer.page.html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.page.policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    assert "style=" not in answer.page.html.replace(style, "")


def test_a_search_with_too_many_fields_is_that_of_all() -> None:
    assert get(site_of(observed()), "/?" + "&".join(f"q={index}" for index in range(1000))).status == http.client.OK


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_address_is_answered(path: str) -> None:
    answer = get(site_of(observed()), f"/{path}")
    assert answer.status in {http.client.OK, http.client.NOT_FOUND, http.client.SEE_OTHER}


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A running server."""
    server = make_server(site_of(monitor_in(tmp_path)), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    host, port = server.server_address[:2]
    yield str(host), int(port)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "odd"])
def test_only_reading_is_possible(address: tuple[str, int], method: str) -> None:
    connection = http.client.HTTPConnection(*address, timeout=30)
    connection.request(method, "/", headers={"Host": HOST, "Cookie": COOKIE})
    assert connection.getresponse().status == http.client.NOT_IMPLEMENTED
    connection.close()


def test_a_response_tells_the_browser_to_keep_it_to_itself(address: tuple[str, int]) -> None:
    connection = http.client.HTTPConnection(*address, timeout=30)
    for method in ("GET", "HEAD", "GET"):  # over one connection
        connection.request(method, "/", headers={"Host": HOST, "Cookie": COOKIE})
        response = connection.getresponse()
        body = response.read()
        assert response.status == http.client.OK
        assert (len(body) == int(response.headers["Content-Length"])) == (method == "GET")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Python" not in response.headers["Server"]
    connection.close()


def test_a_page_that_fails_is_an_error_and_the_next_one_is_answered(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(Monitors, "list", fail)
        assert _status(address, "/") == http.client.INTERNAL_SERVER_ERROR
    assert "a page failed" in caplog.text
    assert _status(address, "/") == http.client.OK


def _status(address: tuple[str, int], path: str) -> int:
    connection = http.client.HTTPConnection(*address, timeout=30)
    connection.request("GET", path, headers={"Host": HOST, "Cookie": COOKIE})
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_stored_page_that_is_no_page_is_refused(tmp_path: Path) -> None:
    name = write_check(tmp_path, 1, page="not a page")
    answer = get(site_of(monitor_in(tmp_path)), f"/monitors/ml/flights/checks/{name}")
    assert answer.status == http.client.BAD_GATEWAY
    assert UID in answer.page.html
