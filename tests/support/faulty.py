"""Fault injection for S3: a proxy in front of a real server that can truncate, delay, reject and hang."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.processes import PATIENCE


@dataclass(frozen=True)
class S3Request:
    """A request: its method, path with query, range, and number in the order of arrival, from 0."""

    method: str
    path: str
    range: str
    number: int


@dataclass(frozen=True)
class Fault:
    """How a request fails; with the defaults it is forwarded unchanged.

    Attributes
    ----------
    before
        Called before the request is forwarded.
    refuse
        Status and S3 error code to respond with instead of forwarding the request.
    hang
        Stop responding: "at once", or in the "body", after half of it.
    cut
        Close the connection after half of the response body, or before a response without a body. The server has
        processed the request all the same.
    """

    before: Callable[[], object] | None = None
    refuse: tuple[int, str] | None = None
    hang: str | None = None
    cut: bool = False


@dataclass
class FaultyProxy:
    """A proxy in front of an S3 server.

    Attributes
    ----------
    endpoint
        URL that it listens on.
    requests
        The requests received so far.
    fault
        Returns the fault of a request, if any; called from many threads.
    """

    endpoint: str
    fault: Callable[[S3Request], Fault | None] = lambda _: None
    requests: list[S3Request] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            request = S3Request(self.command, self.path, self.headers.get("Range") or "", len(proxy.requests))
            proxy.requests.append(request)
        fault = proxy.fault(request) or Fault()
        if fault.before is not None:
            fault.before()
        if fault.hang == "at once":
            self._hang()
        elif fault.refuse is not None:
            self._refuse(*fault.refuse)
        else:
            self._forward(body, fault)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _handle  # noqa: N815 - names of the base class

    def _forward(self, body: bytes, fault: Fault) -> None:
        server = http.client.HTTPConnection(self.server.target, timeout=PATIENCE)
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            server.putheader(name, value)
        server.endheaders(body or None)
        response = server.getresponse()
        data = response.read()
        server.close()
        truncated = fault.cut or fault.hang == "body"
        if truncated and not data:
            self.close_connection = True
            return
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if truncated else data)
        if fault.hang == "body":
            self._hang()
        self.close_connection |= truncated

    def _refuse(self, status: int, code: str) -> None:
        error = f"<Error><Code>{code}</Code><Message>injected fault</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(error)))
        self.end_headers()
        self.wfile.write(error)

    def _hang(self) -> None:
        self.wfile.flush()
        self.server.proxy.ended.wait()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    proxy: FaultyProxy
    target: str
    lock: threading.Lock

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnected."""


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """Yield a proxy in front of the server at the URL `target`."""
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
    """Yield the URL of a server that accepts connections but never responds."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
