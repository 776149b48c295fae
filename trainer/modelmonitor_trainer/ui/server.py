"""The HTTP server of the pages: GET alone, a fixed set of addresses, and nothing that another site can use."""

from __future__ import annotations

import datetime as dt
import hmac
import http.client
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from modelmonitor_trainer.cluster.errors import Denied, Missing
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.cluster.page import clean
from modelmonitor_trainer.cluster.report_page import find_training_report, layout_of, safe_page
from modelmonitor_trainer.errors import ModelMonitorError, NotFound
from modelmonitor_trainer.registry.layout import CheckLayout
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.ui.addresses import CHECK, MONITOR, TRAINING, fleet_link
from modelmonitor_trainer.ui.fleet import Query
from modelmonitor_trainer.ui.pages import REPORT_POLICY, RenderedPage, fleet_page, monitor_page, problem_page
from modelmonitor_trainer.ui.results import CheckCache, MonitorResults, read_results
from modelmonitor_trainer.ui.sources import MonitorSource

_LOG = logging.getLogger(__name__)
#: Fields of a search, and characters of one.
_FIELDS, _LONGEST = 20, 200
_COOKIE = "modelmonitor-ui"
#: Seconds after which a connection that sends nothing is closed.
IDLE_SECONDS = 20
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "interest-cohort=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Answer:
    """A response: status, page, and headers of its own."""

    status: int
    page: RenderedPage
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Site:
    """The pages of a source of monitors.

    Attributes
    ----------
    source
        Where monitors and results are from.
    hosts
        Names by which the site may be addressed; a request with another Host is refused, so that a name which
        another site has pointed to this address reaches nothing.
    token
        What a browser must have shown once; None where a proxy in front authenticates.
    clock
        Returns the present time.
    """

    source: MonitorSource
    hosts: frozenset[str]
    token: str | None
    clock: Callable[[], dt.datetime] = field(default=lambda: dt.datetime.now(dt.UTC))
    cache: CheckCache = field(default_factory=CheckCache)

    def answer(self, path: str, host: str | None, cookie: str | None) -> Answer:
        """Return the response to a GET of a path with a query string."""
        where, _, query = path.partition("?")
        if where == "/healthz":
            return Answer(http.client.OK, RenderedPage("ok\n", "default-src 'none'"), {"Content-Type": "text/plain"})
        if _host_name(host) not in self.hosts:
            return _problem(
                http.client.MISDIRECTED_REQUEST,
                "Unknown host",
                f"This server is not {clean(host or '')!r}; use the address that it printed, or permit the name with "
                "--allowed-host.",
            )
        fields = _fields(query)
        if self.token is not None:
            if hmac.compare_digest(fields.get("token", "").encode(), self.token.encode()):
                # The address of the page is then without the token, so that it is not copied with it.
                grant = f"{_COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/"
                return _redirect("./", {"Set-Cookie": grant})
            if not hmac.compare_digest(_cookie_value(cookie).encode(), self.token.encode()):
                sentence = "Open the address that the command printed: it has a token, without which nothing is shown."
                return _problem(http.client.FORBIDDEN, "Not permitted", sentence)
        return self._page(where, fields)

    def _page(self, path: str, fields: Mapping[str, str]) -> Answer:
        try:
            return self._route(path, fields)
        except (Missing, NotFound) as error:
            return _problem(http.client.NOT_FOUND, "Not found", str(error), fleet_link(path))
        except Denied as error:
            return _problem(http.client.FORBIDDEN, "Not permitted", str(error), fleet_link(path))
        except ModelMonitorError as error:
            return _problem(http.client.BAD_GATEWAY, "Not available", str(error), fleet_link(path))

    def _route(self, path: str, fields: Mapping[str, str]) -> Answer:
        if path == "/":
            query = Query(
                fields.get("q", ""), fields.get("namespace", ""), fields.get("state", ""), fields.get("sort", "")
            )
            return Answer(http.client.OK, fleet_page(self.source.list(), query, self.clock()))
        if match := MONITOR.fullmatch(path):
            if not match[3]:  # links of the page are relative to it
                return _redirect(f"{match[2]}/")
            return Answer(http.client.OK, self._monitor(self.source.find(match[1], match[2])))
        if match := CHECK.fullmatch(path):
            monitor = self.source.find(match[1], match[2])
            store = self.source.results(monitor)
            return _report(store, CheckLayout(f"{layout_of(monitor).checks(monitor.uid)}{match[3]}/").report)
        if match := TRAINING.fullmatch(path):
            monitor = self.source.find(match[1], match[2])
            store = self.source.results(monitor)
            return _report(store, find_training_report(store, monitor, int(match[3])))
        return _problem(http.client.NOT_FOUND, "Not found", "There is no such page.", fleet_link(path))

    def _monitor(self, monitor: ObservedMonitor) -> RenderedPage:
        """Return the page of a monitor; without its results if they cannot be opened."""
        try:
            results = read_results(self.source.results(monitor), monitor, self.cache)
        except ModelMonitorError as error:
            results = MonitorResults(problems=(f"The stored results cannot be opened: {error}",))
        return monitor_page(monitor, results, self.clock())


def _fields(query: str) -> dict[str, str]:
    """Return the fields of a query string; none of one with more than the pages have."""
    try:
        return {name: values[-1][:_LONGEST] for name, values in parse_qs(query, max_num_fields=_FIELDS).items()}
    except ValueError:
        return {}


def _report(store: Store, uri: str) -> Answer:
    return Answer(http.client.OK, RenderedPage(safe_page(store.read(uri), uri), REPORT_POLICY))


def _problem(status: int, heading: str, sentence: str, up: str = "") -> Answer:
    return Answer(status, problem_page(heading, clean(sentence), up=up))


def _redirect(location: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(http.client.SEE_OTHER, problem_page("Moved", ""), {"Location": location, **(headers or {})})


def _host_name(host: str | None) -> str:
    """Return the name in a Host header, without the port."""
    text = (host or "").strip().casefold()
    return text.rpartition("]")[0] + "]" if text.startswith("[") else text.partition(":")[0]


def _cookie_value(header: str | None) -> str:
    try:
        morsel = SimpleCookie(header or "").get(_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return secrets.token_urlsafe(24)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; every other method is refused by the base class."""

    protocol_version = "HTTP/1.1"
    server_version = "ModelMonitor"
    sys_version = ""
    timeout = IDLE_SECONDS
    site: Site

    def do_GET(self) -> None:
        self._respond(body=True)

    def do_HEAD(self) -> None:
        self._respond(body=False)

    def _respond(self, *, body: bool) -> None:
        try:
            answer = self.site.answer(self.path, self.headers.get("Host"), self.headers.get("Cookie"))
        except Exception:  # noqa: BLE001 - logged; one page that fails must not end the others
            _LOG.exception("a page failed")
            answer = _problem(http.client.INTERNAL_SERVER_ERROR, "A bug", "The page failed; the log says where.")
        data = answer.page.html.encode()
        self.send_response(answer.status)
        headers = {"Content-Type": "text/html; charset=utf-8", **_HEADERS, **answer.headers}
        headers |= {"Content-Security-Policy": answer.page.policy, "Content-Length": str(len(data))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Log a request at the level of debugging, without the query, which can have a token."""
        _LOG.debug("%s %s", self.command, clean(self.path.partition("?")[0]))


def make_server(site: Site, address: str, port: int) -> ThreadingHTTPServer:
    """Return a server that listens.

    Raises
    ------
    OSError
        If the address or the port is taken or not permitted.
    """
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer((address, port), handler)
    server.daemon_threads = True
    return server
