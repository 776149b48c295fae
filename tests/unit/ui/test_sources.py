"""Where monitors and results come from: what the caller may list, and what a resource must not decide."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest

from modelmonitor_api.names import GROUP, PLURAL, VERSION
from modelmonitor_trainer.cluster.errors import ClusterError, Denied, Missing, Unreachable
from modelmonitor_trainer.cluster.kubectl import Kubectl
from modelmonitor_trainer.errors import BadConfiguration, StorageUnavailable
from modelmonitor_trainer.storage.s3 import S3Store
from modelmonitor_trainer.ui.sources import CallersCluster, OwnCluster, ParsedMonitors, parse_response
from support import monitors
from unit.cluster.fake_kubectl import FakeKubectl
from unit.cluster.observed import observed

FORBIDDEN = 'Error from server (Forbidden): modelmonitors is forbidden: User "ann" cannot list resource'
ALL = f"get --raw /apis/{GROUP}/{VERSION}/{PLURAL}"
OWN = f"get --raw /apis/{GROUP}/{VERSION}/namespaces/ml/{PLURAL}"


def resource(version: str = "1", **changes: Any) -> dict[str, Any]:
    created = monitors.monitor("flights", "ml", **changes)
    created["metadata"] |= {"uid": "u-1", "generation": 1, "resourceVersion": version}
    return created


def cluster_of(folder: Path, answers: dict[str, Any], **options: Any) -> tuple[CallersCluster, FakeKubectl]:
    fake = FakeKubectl(folder, answers)
    return CallersCluster(Kubectl(program=fake.program), **options), fake


def test_all_namespaces_are_listed(tmp_path: Path) -> None:
    source, _ = cluster_of(tmp_path, {ALL: {"items": [resource()]}})
    listing = source.list()
    assert [(monitor.namespace, monitor.name) for monitor in listing.monitors] == [("ml", "flights")]
    assert listing.note == ""


def test_who_may_list_one_namespace_sees_that_one_and_is_told(tmp_path: Path) -> None:
    answers = {ALL: FORBIDDEN, OWN: {"items": [resource()]}, "config view": ["ml"]}
    source, _ = cluster_of(tmp_path, answers)
    listing = source.list()
    assert len(listing.monitors) == 1
    assert listing.note.startswith("Only namespace ml is shown: modelmonitors is forbidden")


def test_who_may_list_nothing_sees_nothing(tmp_path: Path) -> None:
    source, _ = cluster_of(tmp_path, {ALL: FORBIDDEN, OWN: FORBIDDEN, "config view": ["ml"]})
    with pytest.raises(Denied):
        source.list()


def test_a_given_namespace_is_the_only_one(tmp_path: Path) -> None:
    source, fake = cluster_of(tmp_path, {OWN: {"items": []}}, namespace="ml")
    assert source.list().monitors == ()
    with pytest.raises(Missing, match="only the monitors of namespace ml"):
        source.find("web", "flights")
    assert len(fake.calls()) == 1


def test_a_store_is_opened_once_and_closed_in_the_end(tmp_path: Path) -> None:
    secret = {"metadata": {"name": "s3"}, "data": {"AWS_ACCESS_KEY_ID": "YQ==", "AWS_SECRET_ACCESS_KEY": "Yg=="}}
    source, fake = cluster_of(tmp_path, {"get --raw /api/v1/namespaces/ml/secrets/s3": secret})
    storage = {"credentialsSecretRef": {"name": "s3"}, "endpoint": "http://127.0.0.1:9"}
    monitor = observed(spec={"storage": storage})
    store = source.results(monitor)
    assert isinstance(store, S3Store)
    assert source.results(monitor) is store
    assert len(fake.calls()) == 1
    source.close()


def test_only_monitors_that_have_changed_are_parsed_again() -> None:
    parsed = ParsedMonitors()
    [first] = parsed.observe([resource("1")])
    [same] = parsed.observe([resource("1")])
    [changed] = parsed.observe([resource("2", suspend=True)])
    assert same is first
    assert changed is not first
    assert parsed.observe([]) == ()


@pytest.mark.parametrize(
    ("prefixes", "permitted"),
    [
        ((), False),
        (("s3://elsewhere/",), False),
        (("s3://bucket/result",), False),
        (("s3://bucket/results",), True),
        (("s3://x/", "s3://bucket/"), True),
    ],
)
def test_in_a_pod_only_permitted_results_are_opened(
    monkeypatch: pytest.MonkeyPatch, prefixes: tuple[str, ...], *, permitted: bool
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monitor = observed(spec={"storage": {"resultsURI": "s3://bucket/results/", "endpoint": "http://hostile.example"}})
    source = OwnCluster((), prefixes)
    if not permitted:
        with pytest.raises(BadConfiguration, match=r"with ui.results of the chart"):
            source.results(monitor)
        return
    store = source.results(monitor)
    assert isinstance(store, S3Store)
    with pytest.raises(StorageUnavailable, match=r"http://127\.0\.0\.1:9"):
        store.head("s3://bucket/results/x")
    assert source.results(monitor) is store


def test_outside_of_a_pod_there_is_no_identity(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="this is no pod with a service account"):
        OwnCluster((), (), identity=tmp_path).list()
    with pytest.raises(Missing, match="namespace web is not shown"):
        OwnCluster(("ml",), ()).find("web", "flights")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (http.client.NOT_FOUND, Missing),
        (http.client.FORBIDDEN, Denied),
        (http.client.UNAUTHORIZED, Denied),
        (http.client.SERVICE_UNAVAILABLE, Unreachable),
        (http.client.TOO_MANY_REQUESTS, Unreachable),
        (http.client.BAD_REQUEST, ClusterError),
    ],
)
def test_responses_are_documents_or_errors(status: int, error: type[Exception]) -> None:
    assert parse_response(http.client.OK, b'{"items": []}') == {"items": []}
    with pytest.raises(error, match="because"):
        parse_response(status, json.dumps({"message": "because"}).encode())
    with pytest.raises(ClusterError, match="no JSON"):
        parse_response(status, b"<html>")
