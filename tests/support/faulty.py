"""A store that fails as the test wants: a real S3 server behind a proxy that cuts, delays, refuses and hangs."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request: its method, its path with the query, its range, and how many came before it."""

    method: str
    path: str
    range: str
    number: int


@dataclass(frozen=True)
class Fault:
    """What becomes of a request; the defaults let it pass.

    Attributes
    ----------
    before
        Is done before it is passed on.
    refuse
        Status and S3 error code to answer with, instead of passing it on.
    hang
        Never answer: "at once", or in the "body", after half of it.
    cut
        Close the connection when half of the body is sent, or instead of an answer that has none: the request has
        been obeyed all the same.
    """

    before: Callable[[], object] | None = None
    refuse: tuple[int, str] | None = None
    hang: str | None = None
    cut: bool = False


@dataclass
class FaultyProxy:
    """A proxy before an S3 server.

    Attributes
    ----------
    endpoint
        Where it listens.
    asked
        The requests that came.
    fault
        Decides on each; called by many threads.
    """

    endpoint: str
    fault: Callable[[Asked], Fault | None] = lambda _: None
    asked: list[Asked] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            asked = Asked(self.command, self.path, self.headers.get("Range") or "", len(proxy.asked))
            proxy.asked.append(asked)
        fault = proxy.fault(asked) or Fault()
        if fault.before is not None:
            fault.before()
        if fault.hang == "at once":
            self._hang()
        elif fault.refuse is not None:
            self._refuse(*fault.refuse)
        else:
            self._pass_on(body, fault)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _handle  # noqa: N815 - names of the base class

    def _pass_on(self, body: bytes, fault: Fault) -> None:
        server = http.client.HTTPConnection(self.server.target, timeout=30)
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            server.putheader(name, value)
        server.endheaders(body or None)
        answer = server.getresponse()
        data = answer.read()
        server.close()
        broken = fault.cut or fault.hang == "body"
        if broken and not data:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if broken else data)
        if fault.hang == "body":
            self._hang()
        self.close_connection |= broken

    def _refuse(self, status: int, code: str) -> None:
        said = f"<Error><Code>{code}</Code><Message>so it is wanted</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _hang(self) -> None:
        self.wfile.flush()
        self.server.proxy.ended.wait()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    proxy: FaultyProxy
    target: str
    lock: threading.Lock

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """Give a proxy before the server at the URL `target`."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.proxy = proxy = FaultyProxy(f"http://127.0.0.1:{server.server_port}")
        server.target, server.lock = target.removeprefix("http://"), threading.Lock()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.ended.set()
            server.shutdown()
            thread.join()


@contextmanager
def silent_store() -> Iterator[str]:
    """Give the URL of a store that accepts connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
