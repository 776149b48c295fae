"""A stand-in for S3-compatible stores that differ from S3: it can ignore or refuse the conditions of writes.

Objects are in memory. It verifies no signatures and supports the requests that the product makes.
Faults of the network come from :mod:`support.faulty`, in front of it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

#: What a store does with a condition: as S3, ignore it, or reject the request with a status and an error code.
Treatment = str | tuple[int, str]
ENFORCE, IGNORE = "enforce", "ignore"


@dataclass
class StandIn:
    """A store.

    Attributes
    ----------
    endpoint
        URL that it listens on.
    if_none_match, if_match
        What it does with the conditions of writes.
    exists
        Status and code of a write that would overwrite an object; some stores do not return 412.
    ahead
        How far its clock is ahead.
    objects
        Content and time of the objects, by bucket and key.
    """

    endpoint: str = ""
    if_none_match: Treatment = ENFORCE
    if_match: Treatment = ENFORCE
    exists: tuple[int, str] = (412, "PreconditionFailed")
    ahead: dt.timedelta = dt.timedelta()
    objects: dict[str, tuple[bytes, dt.datetime]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, path: str, data: bytes, if_none_match: str | None, if_match: str | None) -> tuple[int, str] | None:
        """Write an object; return status and code of an error."""
        with self.lock:
            for condition, treatment in ((if_none_match, self.if_none_match), (if_match, self.if_match)):
                if condition is not None and isinstance(treatment, tuple):
                    return treatment
            if if_none_match and self.if_none_match == ENFORCE and path in self.objects:
                return self.exists
            if if_match and self.if_match == ENFORCE:
                if path not in self.objects:
                    return 404, "NoSuchKey"
                if if_match.strip('"') != etag(self.objects[path][0]):
                    return 412, "PreconditionFailed"
            self.objects[path] = data, dt.datetime.now(dt.UTC) + self.ahead
            return None


def etag(data: bytes) -> str:
    """Return the ETag of a content."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        condition = self.headers.get("If-None-Match"), self.headers.get("If-Match")
        error = self.server.store.write(self._path(), data, *condition)
        if error is not None:
            self._fail(*error)
        else:
            self._respond(200, b"", {"ETag": f'"{etag(data)}"'})

    def do_GET(self) -> None:
        path = self._path()
        if "/" not in path.strip("/"):
            self._list(path.strip("/"))
            return
        with self.server.store.lock:
            stored = self.server.store.objects.get(path)
        if stored is None:
            self._fail(404, "NoSuchKey")
            return
        data, written = stored
        modified = format_datetime(written.replace(microsecond=0), usegmt=True)
        headers = {"ETag": f'"{etag(data)}"', "Last-Modified": modified}
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if span is not None:
            first, last = int(span[1]), min(int(span[2]), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            self._respond(206, data[first : last + 1], headers)
        else:
            self._respond(200, data, headers)

    do_HEAD = do_GET  # noqa: N815 - a name of the base class

    def do_DELETE(self) -> None:
        with self.server.store.lock:
            self.server.store.objects.pop(self._path(), None)
        self._respond(204, b"", {})

    def _path(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _list(self, bucket: str) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        with self.server.store.lock:
            objects = dict(self.server.store.objects)
        contents, folders = [], set()
        for path, (data, written) in sorted(objects.items()):
            key = path.removeprefix(f"/{bucket}/")
            rest = key.removeprefix(prefix)
            if not path.startswith(f"/{bucket}/{prefix}"):
                continue
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            contents.append(
                f"<Contents><Key>{escape(key)}</Key><ETag>{etag(data)}</ETag><Size>{len(data)}</Size>"
                f"<LastModified>{written:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
            )
        common = [f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in sorted(folders)]
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(contents + common)}</ListBucketResult>"
        self._respond(200, body.encode(), {"Content-Type": "application/xml"})

    def _fail(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self._respond(status, body if status != 304 else b"", {"Content-Type": "application/xml"})

    def _respond(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    store: StandIn


@contextmanager
def standin_store() -> Iterator[StandIn]:
    """Yield a store on the loopback interface."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.store = store = StandIn(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()
