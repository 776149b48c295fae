"""The S3 store: requests as AWS expects them, and a message and an exception type for every error."""

import datetime as dt
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from modelmonitor_api.names import ExitCode
from modelmonitor_trainer.errors import (
    BadConfiguration,
    CredentialsRefused,
    NotFound,
    ObjectChanged,
    PreconditionFailed,
    StorageUnavailable,
)
from modelmonitor_trainer.storage.base import ObjectInfo
from modelmonitor_trainer.storage.readahead.ranges import BLOCK
from modelmonitor_trainer.storage.s3 import S3Store
from modelmonitor_trainer.storage.s3_errors import translate_error

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

URI = "s3://bucket/key"
WHEN = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def stub():
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with Stubber(client) as stubber:
        yield stubber


@pytest.fixture
def store(stub):
    return S3Store("http://s3.test:9000", None, client=stub.client)


@pytest.mark.parametrize(
    ("code", "status", "kind", "pattern"),
    [
        ("ExpiredToken", 400, CredentialsRefused, "expired"),
        ("InvalidAccessKeyId", 403, CredentialsRefused, "AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", 403, CredentialsRefused, "AWS_SECRET_ACCESS_KEY"),
        ("AccessDenied", 403, CredentialsRefused, "policy"),
        ("RequestTimeTooSkewed", 403, CredentialsRefused, "clock"),
        ("", 403, CredentialsRefused, "lack the permission"),
        ("NoSuchBucket", 404, NotFound, "bucket of s3://bucket/key"),
        ("NoSuchKey", 404, ObjectChanged, "removed"),
        ("InvalidRange", 416, ObjectChanged, "replaced"),
        ("PreconditionFailed", 412, ObjectChanged, "replaced"),
        ("SlowDown", 503, StorageUnavailable, "overloaded"),
        ("InternalError", 500, StorageUnavailable, "try again"),
        ("PermanentRedirect", 301, BadConfiguration, "not followed"),
        ("InvalidRequest", 400, BadConfiguration, "check the URI"),
    ],
)
def test_an_error_response_becomes_an_error_with_a_message(stub, store, code, status, kind, pattern):
    stub.add_client_error("get_object", service_error_code=code, http_status_code=status)
    with pytest.raises(kind, match=pattern) as raised:
        store.read(URI, etag="e")
    assert URI in str(raised.value)


@pytest.mark.parametrize(
    ("error", "kind", "exit_code"),
    [
        (EndpointConnectionError(endpoint_url="http://s3"), StorageUnavailable, ExitCode.UNAVAILABLE),
        (ReadTimeoutError(endpoint_url="http://s3"), StorageUnavailable, ExitCode.UNAVAILABLE),
        (NoCredentialsError(), CredentialsRefused, ExitCode.BAD_CONFIGURATION),
    ],
)
def test_a_connection_error_becomes_an_error_of_the_store(error, kind, exit_code):
    translated = translate_error(error, URI, "http://s3")
    assert type(translated) is kind
    assert translated.exit_code == exit_code


def test_a_listing_joins_pages_and_leaves_out_folder_markers(stub, store):
    def content(key):
        return {"Key": key, "ETag": '"e"', "Size": 1, "LastModified": WHEN}

    stub.add_response(
        "list_objects_v2",
        {"IsTruncated": True, "NextContinuationToken": "t", "Contents": [content("p/b"), content("p/")]},
        {"Bucket": "bucket", "Prefix": "p/"},
    )
    stub.add_response(
        "list_objects_v2",
        {"IsTruncated": False, "Contents": [content("p/a")]},
        {"Bucket": "bucket", "Prefix": "p/", "ContinuationToken": "t"},
    )
    assert store.list("s3://bucket/p/") == [ObjectInfo(f"s3://bucket/p/{key}", "e", 1, WHEN) for key in "ab"]


def test_children_are_folders_and_objects(stub, store):
    stub.add_response(
        "list_objects_v2",
        {"CommonPrefixes": [{"Prefix": "p/x/"}], "Contents": []},
        {"Bucket": "bucket", "Prefix": "p/", "Delimiter": "/"},
    )
    assert store.children("s3://bucket/p/") == ["s3://bucket/p/x/"]


def test_head_is_none_without_an_object_and_refused_without_permission(stub, store):
    stub.add_client_error("head_object", service_error_code="404", http_status_code=404)
    assert store.head(URI) is None
    stub.add_client_error("head_object", service_error_code="403", http_status_code=403)
    with pytest.raises(CredentialsRefused):
        store.head(URI)


def test_conditional_writes_send_their_conditions(stub, store):
    request = {"Bucket": "bucket", "Key": "key", "Body": b"x", "ContentType": "application/octet-stream"}
    stub.add_response("put_object", {"ETag": '"new"'}, request | {"IfMatch": '"old"'})
    assert store.write(URI, b"x", if_match="old") == "new"
    stub.add_client_error(
        "put_object", "PreconditionFailed", http_status_code=412, expected_params=request | {"IfNoneMatch": "*"}
    )
    with pytest.raises(PreconditionFailed):
        store.write(URI, b"x", if_absent=True)
    stub.add_client_error("put_object", "NoSuchKey", http_status_code=404)
    with pytest.raises(PreconditionFailed, match="removed"):
        store.write(URI, b"x", if_match="old")


def test_a_missing_bucket_name_is_explained(store):
    with pytest.raises(BadConfiguration, match="names no bucket"):
        store.read("s3:///key")


class FakeClient:
    """A client of one object in memory that serves ranges as S3 does, and records the requests."""

    def __init__(self, data, etag="e"):
        self.data, self.etag, self.requests = data, etag, []

    def get_object(self, **request):
        self.requests.append(request)
        first, last = (0, len(self.data) - 1)
        if "Range" in request:
            first, last = map(int, request["Range"].removeprefix("bytes=").split("-"))
        body = self.data[first : last + 1]
        return {
            "Body": StreamingBody(io.BytesIO(body), len(body)),
            "ContentLength": len(body),
            "ETag": f'"{self.etag}"',
            "ResponseMetadata": {"HTTPStatusCode": 206 if "Range" in request else 200},
        }


def store_with(client: FakeClient) -> S3Store:
    """Return a store that sends its requests to `client`, which has the one method that reads need."""
    return S3Store(None, None, client=cast("S3Client", client))


def test_large_objects_are_read_in_pinned_blocks():
    size = 17 * 1024 * 1024
    data = bytes(range(256)) * (size // 256)
    client = FakeClient(data)
    store = store_with(client)
    with store.open(ObjectInfo(URI, "e", size, WHEN)) as file:
        assert file.seek(-8, io.SEEK_END) == size - 8
        assert file.read() == data[-8:]
        file.seek(BLOCK - 3)
        assert file.read(6) == data[BLOCK - 3 : BLOCK + 3]
        assert file.tell() == BLOCK + 3
        file.seek(0)
        assert file.read() == data
    assert all(request["IfMatch"] == '"e"' for request in client.requests)


def test_a_store_that_ignores_if_match_is_detected():
    store = store_with(FakeClient(b"other", etag="other"))
    with store.open(ObjectInfo(URI, "e", 5, WHEN)) as file, pytest.raises(ObjectChanged, match="replaced"):
        file.read()
    with pytest.raises(ObjectChanged, match="replaced"):
        store.read(URI, etag="e")
    with pytest.raises(ObjectChanged, match="replaced"):
        store.open(ObjectInfo(URI, "e", 0, WHEN))


def test_a_store_that_ignores_ranges_is_detected_before_it_sends_everything():
    class WholeObjectClient(FakeClient):
        def get_object(self, **request):
            return super().get_object(**{key: value for key, value in request.items() if key != "Range"})

    size = 3 * BLOCK
    store = store_with(WholeObjectClient(bytes(size)))
    with store.open(ObjectInfo(URI, "e", size, WHEN)) as file, pytest.raises(BadConfiguration, match="range requests"):
        file.read()


class RecordingServer(ThreadingHTTPServer):
    """A server that sends one response to every request, and records the paths of the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RecordingHandler)
        self.paths: list[str] = []
        self.authorizations: list[str] = []
        self.response: tuple[int, dict[str, str], bytes] = (200, {"ETag": '"e"'}, b"stolen")


class RecordingHandler(BaseHTTPRequestHandler):
    """Handles the requests of a :class:`RecordingServer`."""

    server: RecordingServer

    def do_GET(self):
        self.server.paths.append(self.path)
        self.server.authorizations.append(self.headers["Authorization"])
        status, headers, body = self.server.response
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


@pytest.fixture
def servers():
    """Two servers on ports of their own."""
    running = []
    for _ in range(2):
        server = RecordingServer()
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        running.append(server)
    yield running
    for server in running:
        server.shutdown()
        server.server_close()


def test_every_store_reads_the_credentials_of_its_time(servers, monkeypatch):
    server = servers[0]
    for key in ("first", "second"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key)
        S3Store(f"http://127.0.0.1:{server.server_port}", "us-east-1").read(URI)
        assert f"Credential={key}/" in server.authorizations[-1]


def test_a_redirect_to_another_host_is_not_followed(servers, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    first, other = servers
    first.response = (307, {"Location": f"http://127.0.0.1:{other.server_port}/bucket/key"}, b"")
    with pytest.raises(BadConfiguration, match="not followed"):
        S3Store(f"http://127.0.0.1:{first.server_port}", "us-east-1").read(URI)
    assert first.paths
    assert not other.paths
