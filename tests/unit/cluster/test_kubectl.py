"""Requests through kubectl: its arguments, its errors, and forwarded ports."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelmonitor_trainer.cluster.errors import ClusterError, Denied, Missing, Unreachable
from modelmonitor_trainer.cluster.kubectl import Kubectl, error_of, in_parallel, monitors_path
from unit.cluster.fake_kubectl import FakeKubectl

FORBIDDEN = 'Error from server (Forbidden): secrets "s3" is forbidden: User "ann" cannot get resource "secrets"'


@pytest.mark.parametrize(
    ("stderr", "kind", "message"),
    [
        ('Error from server (NotFound): modelmonitors "x" not found', Missing, 'modelmonitors "x" not found'),
        (
            "Error from server (NotFound): the server could not find the requested resource",
            Missing,
            "the server could not find the requested resource",
        ),
        (FORBIDDEN, Denied, 'secrets "s3" is forbidden'),
        ("error: You must be logged in to the server (Unauthorized)", ClusterError, "You must be logged in"),
        (
            "Unable to connect to the server: dial tcp: lookup nowhere: no such host",
            Unreachable,
            "kubectl cluster-info",
        ),
        (
            "E0402 memcache.go:265] no list\nThe connection to the server x:8080 was refused - did you specify it?",
            Unreachable,
            "The connection to the server x:8080 was refused",
        ),
        ("Error from server (ServiceUnavailable): etcd is down", Unreachable, "etcd is down"),
        ('error: context "x" does not exist', ClusterError, 'context "x" does not exist'),
        ("", ClusterError, "kubectl failed without a message"),
        ("Error from server: \x1b[31mred", ClusterError, "?[31mred"),
    ],
)
def test_errors(stderr: str, kind: type[ClusterError], message: str) -> None:
    error = error_of(stderr)
    assert type(error) is kind
    assert message in str(error)
    assert "\x1b" not in str(error)


def test_requests_carry_the_options_of_the_caller(tmp_path: Path) -> None:
    fake = FakeKubectl(tmp_path, {"get --raw /api": {"items": [{"a": 1}]}, "config view": ["ml"]})
    kubectl = Kubectl("my config", "prod", fake.program)
    assert kubectl.items("/api/v1/pods", labelSelector="a=b,c=d") == [{"a": 1}]
    assert kubectl.current_namespace() == "ml"
    assert fake.calls()[0] == [
        "--kubeconfig=my config",
        "--context=prod",
        "--request-timeout=30s",
        "get",
        "--raw",
        "/api/v1/pods?labelSelector=a%3Db%2Cc%3Dd",
    ]


def test_a_name_is_never_an_option_of_kubectl(tmp_path: Path) -> None:
    fake = FakeKubectl(tmp_path, {"patch": {}})
    Kubectl(program=fake.program).patch_monitor("ml", "--all", {"spec": {"suspend": True}})
    call = fake.calls()[0]
    assert call[call.index("--") + 1 :] == ["modelmonitors.modelmonitor.io", "--all"]
    assert '--patch={"spec": {"suspend": true}}' in call


def test_a_namespace_stays_one_part_of_a_path() -> None:
    assert monitors_path("a/../b").endswith("/namespaces/a%2F..%2Fb/modelmonitors")


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ClusterError, match="no-such-kubectl is not on the PATH; install kubectl"):
        Kubectl(program="no-such-kubectl").get("/api")


def test_an_answer_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    fake = FakeKubectl(tmp_path, {"get": ["<html>"]})
    with pytest.raises(ClusterError, match="returned no JSON: '<html>"):
        Kubectl(program=fake.program).get("/api")


def test_permissions_are_reviewed_by_the_server(tmp_path: Path) -> None:
    fake = FakeKubectl(tmp_path, {"create --raw": {"status": {"allowed": True}}})
    kubectl = Kubectl(program=fake.program)
    assert kubectl.is_permitted("create", "pods/portforward", "ml")
    fake.answers["create --raw"] = {"status": {}}
    fake.write()
    assert not kubectl.is_permitted("create", "pods/portforward", "ml")


def test_a_port_is_forwarded_while_it_is_used(tmp_path: Path) -> None:
    fake = FakeKubectl(tmp_path, {"port-forward": ["Forwarding from 127.0.0.1:43211 -> 9000"]})
    with Kubectl(program=fake.program).forward("demo", "s3", 9000) as port:
        assert port == 43211
    assert fake.calls()[0][-4:] == ["--namespace=demo", "--address=127.0.0.1", "service/s3", ":9000"]


def test_a_port_that_cannot_be_forwarded_says_why(tmp_path: Path) -> None:
    fake = FakeKubectl(tmp_path, {"port-forward": FORBIDDEN})
    with (
        pytest.raises(Denied, match=r"no port of service s3 in namespace demo can be forwarded.*is forbidden"),
        Kubectl(program=fake.program).forward("demo", "s3", 9000),
    ):
        pass


def test_calls_in_parallel_keep_their_order_and_errors() -> None:
    def refuse() -> None:
        raise Denied("no")

    first, second = in_parallel([lambda: 1, refuse])
    assert first == 1
    assert isinstance(second, Denied)
