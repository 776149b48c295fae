"""Fault injection for the Kubernetes API: a proxy in front of a real API server that bends its responses.

A fault is a value: which requests it meets, how many of them, and what becomes of them. Tests compose faults and hand
them to :meth:`BentApi.bend`. The proxy has the certificate of the API server, so that clients notice no difference.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from support.apiserver import ApiServer
from support.client import Object
from support.processes import PATIENCE

WRITES = ("create", "patch", "delete")
_VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}
_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
}


@dataclass(frozen=True)
class Call:
    """A request: its verb as RBAC has it, resource (with subresource), namespace, page of a list, raw path, token."""

    verb: str
    resource: str
    namespace: str
    page: int
    path: str
    token: str


@dataclass(frozen=True)
class Fault:
    """What becomes of some requests; with the defaults, nothing.

    Attributes
    ----------
    verbs, resources
        The requests that it meets; empty for all. Resources have their subresource: ``modelmonitors/status``.
    page
        Meets this page of lists only, from 1.
    token
        Meets requests with this token only.
    times
        How many requests it meets, or None for all until the faults are replaced.
    seconds
        The request waits before it is forwarded.
    status, retry_after
        Respond with this status instead, and this header.
    written
        Forward the request before the response is bent: it has its effect.
    cut
        Close the connection instead of responding; in a watch, after its first event.
    silent
        Never respond; in a watch, respond, but send nothing more: the connection looks alive.
    error
        In a watch: send this error as its first event, as the server does with 410 for an old version.
    stale
        Respond to a read with the first response that the same read has had since the faults were set.
    limit
        Size of the pages of lists, so that few objects make many pages.
    call
        Is called after the request was forwarded, before the response is sent.
    """

    verbs: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    page: int = 0
    token: str = ""
    times: int | None = 1
    seconds: float = 0.0
    status: int = 0
    retry_after: int | None = None
    written: bool = False
    cut: bool = False
    silent: bool = False
    error: int = 0
    stale: bool = False
    limit: int = 0
    call: Callable[[], object] | None = None

    def meets(self, call: Call) -> bool:
        """Whether the fault concerns a request."""
        return (
            (not self.verbs or call.verb in self.verbs)
            and (not self.resources or call.resource in self.resources)
            and (not self.page or call.page == self.page)
            and (not self.token or call.token == self.token)
        )


@dataclass
class BentApi:
    """A proxy in front of an API server.

    Attributes
    ----------
    url
        URL that it listens on.
    identity
        Its certificate and key.
    writes
        The writes that the API server has accepted, and what it responded.
    """

    url: str = ""
    identity: ssl.SSLContext = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    writes: list[tuple[Call, Object]] = field(default_factory=list)
    _faults: tuple[Fault, ...] = ()
    _met: list[int] = field(default_factory=list)
    _responses: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    _pages: dict[str, int] = field(default_factory=dict)
    _watches: set[socket.socket] = field(default_factory=set)
    _connections: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    #: Set to release the requests that wait in vain; replaced with the faults.
    _released: threading.Event = field(default_factory=threading.Event)

    def bend(self, *faults: Fault) -> None:
        """Replace the faults; cut what waits because of the ones before, and all watches, so that they begin again."""
        with self._lock:
            for connection in self._watches:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._released.set()
            self._released = threading.Event()
            self._faults, self._met = faults, [0] * len(faults)
            self._responses.clear()

    def met(self) -> list[int]:
        """Return how many requests each fault has met."""
        with self._lock:
            return list(self._met)

    def take(self, call: Call) -> tuple[list[Fault], threading.Event]:
        """Return the faults that meet a request, and the event that releases it."""
        with self._lock:
            taken = []
            for index, fault in enumerate(self._faults):
                if fault.meets(call) and (fault.times is None or self._met[index] < fault.times):
                    self._met[index] += 1
                    taken.append(fault)
            return taken, self._released

    @contextmanager
    def watch(self, connection: socket.socket) -> Iterator[None]:
        """Keep the connection of a watch, so that it can be cut."""
        with self._lock:
            self._watches.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._watches.discard(connection)

    @contextmanager
    def connected(self, connection: socket.socket) -> Iterator[None]:
        """Keep a connection, so that it can be cut."""
        with self._lock:
            self._connections.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)

    def certify(self, certificate: Path, key: Path) -> None:
        """Identify itself with another certificate from now on, and cut all connections."""
        identity = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        identity.load_cert_chain(certificate, key)
        with self._lock:
            self.identity = identity
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def page_of(self, token: str) -> int:
        """Return the number of the page that a token of a list continues with."""
        with self._lock:
            return self._pages.get(token, 1)

    def note(self, call: Call, status: int, data: bytes) -> None:
        """Remember what the API server has responded, for what is judged and bent later."""
        if call.verb not in (*WRITES, "get", "list") or status >= 400:
            return
        body = json.loads(data)
        with self._lock:
            if call.verb in WRITES:
                self.writes.append((call, body))
                return
            self._responses.setdefault(call.path, (status, data))
            token = body.get("metadata", {}).get("continue", "")
            if token:
                self._pages[token] = call.page + 1

    def remembered(self, call: Call) -> tuple[int, bytes] | None:
        """Return the first response to the same read since the faults were set."""
        with self._lock:
            return self._responses.get(call.path)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        api = self.server.api
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = (self.headers.get("Authorization") or "").partition(" ")[2]
        call = _call(self.command, self.path, token, api)
        faults, released = api.take(call)
        limit = max((fault.limit for fault in faults), default=0)
        path = _limited(self.path, limit) if limit else self.path
        if any(fault.seconds for fault in faults):
            released.wait(sum(fault.seconds for fault in faults))
        bent = next((f for f in faults if f.status or f.cut or f.silent or f.stale or f.call or f.error), None)
        if call.verb == "watch" and not (bent and bent.status):
            self._watch(path, bent, released)
            return
        if bent is not None and not (bent.written or bent.stale or bent.call):
            self._bend(bent, released)
            return
        status, headers, data = self._forward(path, body)
        stale = api.remembered(call) if bent is not None and bent.stale else None
        api.note(call, status, data)
        if bent is not None and bent.call is not None:
            bent.call()
        if bent is not None and (bent.status or bent.cut or bent.silent):
            self._bend(bent, released)
            return
        if stale is not None:
            status, data = stale
        self._respond(status, data, headers)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815 - names of the base class

    def _connect(self, path: str, body: bytes, timeout: float) -> tuple[http.client.HTTPConnection, Any]:
        target = http.client.HTTPSConnection(*self.server.target, timeout=timeout, context=self.server.trust)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "accept-encoding", "connection"}}
        target.request(self.command, path, body or None, headers)
        return target, target.getresponse()

    def _forward(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        try:
            target, response = self._connect(path, body, PATIENCE)
            with closing(target), response:
                data = response.read()
        except OSError as error:  # the API server is down, or restarts
            return 503, {}, _status(503, f"the API server is not there: {error}")
        kept = {"Content-Type": response.headers.get("Content-Type") or "application/json"}
        if response.headers.get("Retry-After"):
            kept["Retry-After"] = response.headers["Retry-After"]
        return response.status, kept, data

    def _watch(self, path: str, bent: Fault | None, released: threading.Event) -> None:
        """Relay the events of a watch, as far as the fault permits."""
        if bent is not None and bent.silent and not bent.written:
            self._begin_stream()
            released.wait()
            self.close_connection = True
            return
        if bent is not None and bent.error:
            self._begin_stream()
            error = json.loads(_status(bent.error, "injected fault"))
            self._send_chunk(json.dumps({"type": "ERROR", "object": error}).encode() + b"\n")
            self._send_chunk(b"")
            return
        target, response = self._connect(path, b"", 600)
        with closing(target), response, self.server.api.watch(self.connection):
            if response.status != 200:
                self._respond(response.status, response.read(), {"Content-Type": "application/json"})
                return
            self._begin_stream()
            for line in response:
                self._send_chunk(line)
                if bent is not None and bent.cut:
                    self._cut()
                    break
                if bent is not None and bent.silent:  # half-open: it has spoken once
                    released.wait()
                    self.close_connection = True
                    break
            else:
                self._send_chunk(b"")

    def _begin_stream(self) -> None:
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _bend(self, fault: Fault, released: threading.Event) -> None:
        if fault.silent:
            released.wait()
        if fault.silent or fault.cut:
            self._cut()
            return
        headers = {"Content-Type": "application/json"}
        if fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        self._respond(fault.status, _status(fault.status, "injected fault"), headers)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _respond(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    api: BentApi
    target: tuple[str, int]
    trust: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Greet the client in the thread of its connection, so that a slow one delays no other."""
        with self.api.identity.wrap_socket(request, server_side=True) as connection, self.api.connected(connection):
            super().finish_request(connection, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that have disconnected, or were killed."""


@contextmanager
def bent_api(server: ApiServer) -> Iterator[BentApi]:
    """Yield a proxy in front of an API server, with its certificate."""
    certificate = server.credentials.ca_file
    with _Server(("127.0.0.1", 0), _Handler) as proxy:
        proxy.api = api = BentApi(f"https://127.0.0.1:{proxy.server_port}")
        proxy.target = (urlsplit(server.url).hostname or "", urlsplit(server.url).port or 0)
        proxy.trust = ssl.create_default_context(cafile=str(certificate))
        api.certify(certificate, certificate.with_suffix(".key"))
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield api
        finally:
            api.bend()
            proxy.shutdown()
            thread.join()


def _call(method: str, path: str, token: str, api: BentApi) -> Call:
    """Return a request in the words of RBAC."""
    split = urlsplit(path)
    query = parse_qs(split.query)
    parts = split.path.strip("/").split("/")
    rest = parts[2 if parts[0] == "api" else 3 :]
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    resource = "/".join([*rest[:1], *rest[2:]])
    reading = "get" if len(rest) > 1 else "watch" if "watch" in query else "list"
    verb = reading if method == "GET" else _VERBS[method]
    page = api.page_of(query.get("continue", [""])[0])
    return Call(verb, resource, namespace, page, path, token)


def _limited(path: str, limit: int) -> str:
    split = urlsplit(path)
    query = {key: values[0] for key, values in parse_qs(split.query).items()} | {"limit": str(limit)}
    return f"{split.path}?{urlencode(query)}"


def _status(code: int, message: str) -> bytes:
    """Return an error as the API server sends it."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code}
    return json.dumps(status | {"message": message, "reason": _REASONS.get(code, "InternalError")}).encode()
