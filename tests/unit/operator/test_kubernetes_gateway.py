"""The gateway against an HTTP server with the responses of a Kubernetes API server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stamina
from kubernetes import client, config
from kubernetes.config import incluster_config

from modelmonitor_operator import kubernetes_gateway, line_stream
from modelmonitor_operator.gateway import (
    Conflict,
    Expired,
    Forbidden,
    GatewayError,
    Invalid,
    Kind,
    NotFound,
    Unavailable,
)
from modelmonitor_operator.kubernetes_gateway import KubernetesGateway, identify_cluster

Script = list[tuple[int, Any, dict[str, str]]]


class Server:
    """Responds to one request after the other from a script, and records the requests."""

    def __init__(self) -> None:
        self.script: Script = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        #: Is called before a 401 is sent.
        self.refused: Callable[[], object] = lambda: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                headers = {key.lower(): value for key, value in self.headers.items()}
                outer.requests.append((self.command, self.path, headers, body))
                status, content, extra = outer.script.pop(0)
                if status == HTTPStatus.UNAUTHORIZED:
                    outer.refused()
                text = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for key, value in {"Content-Length": str(len(text)), **extra}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - names of the base class

            def log_message(self, *_: Any) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    def respond_with(self, *script: tuple[int, Any] | tuple[int, Any, dict[str, str]]) -> None:
        """Set the next responses."""
        self.script = [(*step, {})[:3] for step in script]

    def stop(self) -> None:
        """Stop it."""
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def gateway(server: Server) -> Iterator[KubernetesGateway]:
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{server.http.server_port}"
    configuration.api_key = {"BearerToken": "a-token"}
    configuration.api_key_prefix = {"BearerToken": "Bearer"}
    configuration.retries = False
    connected = KubernetesGateway(client.ApiClient(configuration))
    with stamina.set_testing(True, attempts=3):
        yield connected
    connected.close()


def refusal(status: int, message: str = "no") -> tuple[int, Any]:
    """Return the response of an API server that rejects a request."""
    return status, {"kind": "Status", "message": message, "code": status}


async def test_requests_have_the_token_path_and_parameters_of_their_kind(
    server: Server, gateway: KubernetesGateway
) -> None:
    resource = {"metadata": {"namespace": "demo", "name": "flights-check"}}
    server.respond_with((200, resource), (201, resource), (200, resource), (201, {}))
    await gateway.apply_cron_job(resource)
    await gateway.create_job(resource)
    await gateway.patch_status("demo", "flights", "7", {"champion": None})
    await gateway.create_event(resource)
    apply, create, status, event = server.requests
    query = "fieldManager=modelmonitor-operator&force=true&fieldValidation=Strict"
    assert apply[:2] == (
        "PATCH",
        "/apis/batch/v1/namespaces/demo/cronjobs/flights-check?" + query,
    )
    assert apply[2]["content-type"] == "application/apply-patch+yaml"
    assert apply[3] == resource
    assert create[:2] == (
        "POST",
        "/apis/batch/v1/namespaces/demo/jobs?fieldManager=modelmonitor-operator&fieldValidation=Strict",
    )
    assert status[1].startswith("/apis/modelmonitor.io/v1alpha1/namespaces/demo/modelmonitors/flights/status?")
    assert status[2]["content-type"] == "application/merge-patch+json"
    assert status[3] == {"metadata": {"resourceVersion": "7"}, "status": {"champion": None}}
    assert event[:2] == ("POST", "/api/v1/namespaces/demo/events")
    assert {request[2]["authorization"] for request in server.requests} == {"Bearer a-token"}


async def test_lists_are_read_in_pages(server: Server, gateway: KubernetesGateway) -> None:
    first = {"items": [{"n": 1}], "metadata": {"continue": "a+b="}}
    server.respond_with((200, first), (200, {"items": [{"n": 2}], "metadata": {}}))
    assert await gateway.list_jobs("demo", "a=b,c") == [{"n": 1}, {"n": 2}]
    assert server.requests[0][1] == "/apis/batch/v1/namespaces/demo/jobs?labelSelector=a%3Db%2Cc&limit=100"
    assert server.requests[1][1].endswith("&limit=100&continue=a%2Bb%3D")


async def test_a_list_whose_pages_have_expired_is_read_at_once(server: Server, gateway: KubernetesGateway) -> None:
    first = {"items": [{"n": 1}], "metadata": {"continue": "old"}}
    complete = {"items": [{"n": 1}, {"n": 2}], "metadata": {}}
    server.respond_with((200, first), refusal(410, "expired"), (200, complete))
    assert await gateway.list_jobs(None, "a=b") == [{"n": 1}, {"n": 2}]
    assert server.requests[2][1] == "/apis/batch/v1/jobs?labelSelector=a%3Db"


def a_page(*names: str, token: str = "") -> dict[str, Any]:
    """Return a page of a list."""
    return {"items": [{"metadata": {"name": name}} for name in names], "metadata": {"continue": token} | VERSION}


VERSION = {"resourceVersion": "7"}


async def test_a_kind_is_listed_in_pages_with_its_selector(server: Server, gateway: KubernetesGateway) -> None:
    server.respond_with((200, a_page("a", token="more")), (200, a_page("b")))
    pages = [page async for page in gateway.list_pages(Kind.JOB, "demo")]
    assert [[item["metadata"]["name"] for item in page.items] for page in pages] == [["a"], ["b"]]
    assert {page.version for page in pages} == {"7"}
    selector = "labelSelector=app.kubernetes.io/managed-by%3Dmodelmonitor-operator"
    assert server.requests[0][1] == f"/apis/batch/v1/namespaces/demo/jobs?{selector}&limit=100"


async def test_metadata_alone_are_listed_in_larger_pages(server: Server, gateway: KubernetesGateway) -> None:
    server.respond_with((200, a_page("a")))
    assert len([page async for page in gateway.list_pages(Kind.MONITOR, None, metadata_only=True)]) == 1
    assert server.requests[0][1] == "/apis/modelmonitor.io/v1alpha1/modelmonitors?limit=250"
    assert server.requests[0][2]["accept"].startswith("application/json;as=PartialObjectMetadataList")


async def test_a_list_of_no_metadata_is_empty(server: Server, gateway: KubernetesGateway) -> None:
    server.respond_with((200, {"items": None, "metadata": VERSION}))
    [page] = [page async for page in gateway.list_pages(Kind.MONITOR, None, metadata_only=True)]
    assert page.items == []


async def test_pages_that_have_expired_are_reported(server: Server, gateway: KubernetesGateway) -> None:
    server.respond_with((200, a_page("a", token="old")), refusal(410, "expired"))
    with pytest.raises(Expired):
        _ = [page async for page in gateway.list_pages(Kind.JOB, None)]


def events(*changes: tuple[str, Any]) -> bytes:
    """Return the body of a watch."""
    return b"".join(json.dumps({"type": kind, "object": body}).encode() + b"\n" for kind, body in changes)


async def test_a_watch_gives_changes_until_the_server_ends_it(server: Server, gateway: KubernetesGateway) -> None:
    job, bookmark = {"metadata": {"name": "a", "resourceVersion": "8"}}, {"metadata": {"resourceVersion": "9"}}
    server.respond_with((200, events(("ADDED", job), ("BOOKMARK", bookmark))))
    changes = [change async for change in gateway.watch(Kind.JOB, None, "7")]
    assert changes == [("ADDED", job), ("BOOKMARK", bookmark)]
    path, _, query = server.requests[0][1].partition("?")
    assert path == "/apis/batch/v1/jobs"
    assert {"watch=true", "allowWatchBookmarks=true", "resourceVersion=7"} < set(query.split("&"))


async def test_more_changes_than_are_buffered_arrive_in_their_order(server: Server, gateway: KubernetesGateway) -> None:
    count = 5 * line_stream.BUFFERED_LINES
    server.respond_with(
        (200, events(*[("ADDED", {"metadata": {"resourceVersion": str(number)}}) for number in range(count)]))
    )
    seen = 0
    async for change in gateway.watch(Kind.JOB, None, "7"):
        assert change.resource["metadata"]["resourceVersion"] == str(seen)
        seen += 1
    assert seen == count


@pytest.mark.parametrize(
    ("response", "error"),
    [
        ((200, events(("ERROR", {"code": 410, "message": "too old"}))), Expired),
        ((200, events(("ERROR", {"code": 500, "message": "etcd"}))), Unavailable),
        ((200, events(("ADDED", {"metadata": {"name": "a"}}))), Unavailable),
        ((200, events(("ADDED", "a text"))), Unavailable),
        ((200, b'{"type": "ADDED", "object": {"meta\n'), Unavailable),
        ((200, b"<html>a proxy</html>\n"), Unavailable),
        (refusal(410, "too old"), Expired),
        (refusal(403, "no"), Forbidden),
        (refusal(503, "later"), Unavailable),
    ],
)
async def test_errors_of_a_watch_are_raised(
    server: Server, gateway: KubernetesGateway, response: Any, error: type[GatewayError]
) -> None:
    server.respond_with(response)
    with pytest.raises(error, match="WATCH /apis/batch/v1/jobs"):
        _ = [change async for change in gateway.watch(Kind.JOB, None, "7")]


async def test_a_silent_watch_is_given_up(
    server: Server, gateway: KubernetesGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_gateway, "SILENT_SECONDS", 0.2)
    server.respond_with((200, b"", {"Content-Length": "100"}))  # promises a body that never arrives
    with pytest.raises(Unavailable, match="a watch was interrupted"):
        await anext(gateway.watch(Kind.JOB, None, "7"))


async def test_a_missing_object_is_none(server: Server, gateway: KubernetesGateway) -> None:
    server.respond_with(refusal(404), refusal(404), refusal(404))
    assert await gateway.get_monitor("demo", "x") is None
    assert await gateway.get_cron_job("demo", "x") is None
    assert await gateway.get_job("demo", "x") is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotFound), (409, Conflict), (422, Invalid), (400, Invalid), (403, Forbidden), (413, Invalid)],
)
async def test_rejections_carry_the_servers_message_and_are_not_retried(
    server: Server, gateway: KubernetesGateway, status: int, kind: type[GatewayError]
) -> None:
    server.respond_with(refusal(status, "spec.schedule: Invalid value"))
    with pytest.raises(kind, match=rf"jobs: {status} spec\.schedule: Invalid value"):
        await gateway.create_job({"metadata": {"namespace": "demo", "name": "x"}})
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 429, 500, 502, 503, 504])
async def test_temporary_errors_are_retried(server: Server, gateway: KubernetesGateway, status: int) -> None:
    server.respond_with((status, b"<html>a proxy</html>"), refusal(status), (200, {"items": [], "metadata": {}}))
    assert await gateway.list_pods("demo", "a") == []
    server.respond_with(*[refusal(status, "overloaded")] * 3)
    with pytest.raises(Unavailable, match="overloaded"):
        await gateway.list_pods("demo", "a")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>a login page</html>",
        [],
        {"items": [], "metadata": None},
        {"items": 7, "metadata": {}},
        {"kind": "Status", "metadata": {}},
    ],
)
async def test_a_list_that_a_proxy_has_made_up_is_unavailable(
    server: Server, gateway: KubernetesGateway, body: Any
) -> None:
    server.respond_with(*[(200, body)] * 3)
    with pytest.raises(Unavailable, match="GET /apis/batch/v1/jobs"):
        await anext(gateway.list_pages(Kind.JOB, None))


async def test_a_list_without_a_version_cannot_be_followed(server: Server, gateway: KubernetesGateway) -> None:
    server.respond_with((200, {"items": [], "metadata": {}}))
    with pytest.raises(Unavailable, match="the list has no version"):
        await anext(gateway.list_pages(Kind.JOB, None))


async def test_a_token_that_is_replaced_is_used_by_the_next_attempt(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the kubelet replaces it. The API server may refuse the old one at once."""
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("old")
    authority.write_text("not needed without TLS")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.http.server_port))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    api = kubernetes_gateway.connect()
    api.configuration.host = f"http://127.0.0.1:{server.http.server_port}"
    gateway = KubernetesGateway(api)
    empty: tuple[int, Any] = (200, {"items": [], "metadata": {}})
    with stamina.set_testing(True, attempts=2):
        server.respond_with(empty, refusal(401, "Unauthorized"), empty, empty)
        await gateway.list_pods("demo", "a")
        server.refused = lambda: token.write_text("new")
        await gateway.list_pods("demo", "a")
        token.unlink()  # for a moment
        await gateway.list_pods("demo", "a")
    gateway.close()
    assert [headers["authorization"] for _, _, headers, _ in server.requests] == [
        *("Bearer old", "Bearer old"),
        *("Bearer new", "Bearer new"),
    ]


async def test_a_server_that_is_not_there_is_unavailable(server: Server, gateway: KubernetesGateway) -> None:
    server.http.server_close()
    with pytest.raises(Unavailable, match="GET /api/v1/namespaces/demo/pods"):
        await gateway.list_pods("demo", "a")


async def test_an_event_that_exists_already_is_no_error(server: Server, gateway: KubernetesGateway) -> None:
    server.respond_with(refusal(409))
    await gateway.create_event({"metadata": {"namespace": "demo"}})


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (Unavailable("x"), True),
        (Unavailable("x", 3), 3),
        (Unavailable("x", 3600), kubernetes_gateway.MAX_RETRY_AFTER_SECONDS),
        (Conflict("x"), False),
        (RuntimeError("x"), False),
    ],
)
def test_the_retry_after_header_delays_the_next_attempt(error: Exception, wait: bool | float) -> None:
    assert kubernetes_gateway._retry(error) == wait


async def test_retry_after_is_read(server: Server, gateway: KubernetesGateway) -> None:
    with stamina.set_testing(True, attempts=1):
        server.respond_with((429, {"message": "slow down"}, {"Retry-After": "7"}))
        with pytest.raises(Unavailable) as raised:
            await gateway.list_pods("demo", "a")
    assert raised.value.retry_after == 7


def test_without_a_cluster_the_operator_reports_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(config.ConfigException):
        kubernetes_gateway.connect()


async def test_events_are_selected_by_the_uid_of_their_object(server: Server, gateway: KubernetesGateway) -> None:
    server.respond_with((200, {"items": [{"reason": "FailedCreate"}], "metadata": {}}))
    assert await gateway.list_events("demo", "u-1") == [{"reason": "FailedCreate"}]
    method, path, _, _ = server.requests[0]
    assert (method, path.partition("?")[0]) == ("GET", "/api/v1/namespaces/demo/events")
    assert "fieldSelector=involvedObject.uid%3Du-1" in path


@pytest.mark.parametrize("status", [200, 404, 409])
async def test_a_job_is_deleted_with_its_pods_unless_another_has_its_name(
    server: Server, gateway: KubernetesGateway, status: int
) -> None:
    server.respond_with((status, {"message": "the UID in the precondition does not match"}))
    await gateway.delete_job("demo", "flights-check", "u-1")
    method, path, _, body = server.requests[0]
    assert (method, path) == ("DELETE", "/apis/batch/v1/namespaces/demo/jobs/flights-check")
    assert body == {"propagationPolicy": "Background", "preconditions": {"uid": "u-1"}}


def test_a_cluster_is_identified_by_its_certificate_authority(tmp_path: Path) -> None:
    authorities = [tmp_path / name for name in ("one.crt", "copy.crt", "other.crt")]
    for path, text in zip(authorities, ("one", "one\n", "other"), strict=True):
        path.write_text(text)
    configurations = [client.Configuration() for _ in authorities]
    for configuration, path in zip(configurations, authorities, strict=True):
        configuration.ssl_ca_cert = str(path)
    one, copy, other = (identify_cluster(client.ApiClient(each)) for each in configurations)
    assert one == copy != other
    without = client.Configuration()
    without.host = "http://blue.invalid"
    assert identify_cluster(client.ApiClient(without)) not in {one, other}
