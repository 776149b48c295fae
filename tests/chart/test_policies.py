"""The policies of the chart: what the API server refuses, and to whom the operator may connect."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from chart.helm import NAMESPACE, Object, container, of_kind, only, render
from modelmonitor_api.names import KIND
from support import monitors
from support.client import ApiRefused, Client

VALUES = "policy-values.yaml"
KINDS = ("ConfigMap", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
DIGEST = f"@sha256:{'0' * 64}"
#: What the values file permits.
PERMITTED: Object = {
    "storage": {"resultsURI": "s3://ml-results/", "endpoint": "https://s3.example"},
    "data": {
        "live": {"uri": "s3://ml-data/rows/%Y-%m-%d/"},
        "labels": {"uri": "s3://ml-data/labels/%Y-%m-%d/", "joinKey": "id"},
    },
}


def permitted(name: str, namespace: str, **changes: Any) -> Object:
    """Return a monitor that the policy permits, with changes of its spec."""
    created = monitors.monitor(name, namespace, **monitors.merged(PERMITTED, changes))
    created["metadata"]["labels"] = {"team": "growth"}
    return created


@pytest.fixture(scope="module")
def policy(cluster: Client) -> Iterator[Object]:
    """The policy of the chart, in force in namespaces with the label policy=strict; yields its parameters."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    objects = [each for each in of_kind(render(VALUES), *KINDS) if not each["metadata"]["name"].endswith("-extra")]
    for each in objects:
        cluster.apply(each)
    yield only([each for each in objects if each["kind"] == "ConfigMap"], "ConfigMap")
    for each in objects:
        cluster.delete(each["kind"], each["metadata"]["name"], each["metadata"].get("namespace"))


@pytest.fixture(scope="module")
def strict(cluster: Client, policy: Object) -> str:
    """A namespace in which the policy is in force."""
    assert policy
    name = f"strict-{uuid.uuid4().hex[:8]}"
    metadata = {"name": name, "labels": {"policy": "strict"}}
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    # The API server compiles a policy some time after it was written.
    forbidden = permitted("probe", name, storage={"resultsURI": "s3://elsewhere/"})
    wait_until_refused(cluster, forbidden, "the policy of this cluster permits URIs")
    return name


def refusal(cluster: Client, monitor: Object) -> str:
    """Return why the API server refuses a monitor; empty if it does not."""
    try:
        cluster.apply(monitor, dry_run=True)
    except ApiRefused as error:
        return str(error)
    return ""


def wait_until_refused(cluster: Client, monitor: Object, message: str) -> None:
    """Wait until the API server refuses a monitor."""
    end = time.monotonic() + 120
    while message not in refusal(cluster, monitor):
        assert time.monotonic() < end, refusal(cluster, monitor)
        time.sleep(0.2)


def trainer(**changes: Any) -> Object:
    """Return the changes of a spec that has a custom trainer."""
    image = {"image": f"registry.example/ml/trainer{DIGEST}"}
    return {
        "storage": {"credentialsSecretRef": {"name": "s3"}},
        "retraining": {"estimator": None, "trainer": monitors.merged(image, changes)},
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({"storage": {"resultsURI": "s3://ml-results-of-others/"}}, "resultsURI, live.uri, labels.uri: "),
        (
            {"data": {"live": {"uri": "s3://other/%Y-%m-%d/"}}},
            "begin with s3://ml-data/, s3://ml-results/",
        ),
        ({"data": {"labels": {"uri": "s3://other/%Y-%m-%d/"}}}, "permits URIs that begin with"),
        (
            {"storage": {"endpoint": "https://s3.hostile.example"}},
            "storage.endpoint: the policy",
        ),
        (trainer(), ""),
        (
            trainer(image=f"registry.example/other/trainer{DIGEST}"),
            "that begin with registry.example/ml/",
        ),
        (trainer(image="registry.example/ml/trainer:latest"), "requires a digest"),
        ({"retraining": {"trainer": {"resources": {"limits": {"memory": "8Gi"}}}}}, ""),
        ({"retraining": {"trainer": {"resources": {"limits": {"memory": "9Gi"}}}}}, "permits memory up to 8Gi"),
        ({"check": {"resources": {"requests": {"cpu": "4001m"}, "limits": {"memory": "1Gi"}}}}, "permits cpu up to 4"),
        ({"check": {"resources": {"requests": {"cpu": "1"}}}}, "requires limits.memory"),
    ],
)
def test_what_the_policy_refuses(cluster: Client, strict: str, changes: Object, message: str) -> None:
    why = refusal(cluster, permitted("one", strict, **changes))
    assert message in why
    assert bool(message) == bool(why), why


def test_service_accounts_and_labels(cluster: Client, strict: str) -> None:
    identity = permitted("one", strict)
    del identity["spec"]["storage"]["credentialsSecretRef"]
    identity["spec"]["storage"]["serviceAccountName"] = "trainer"
    assert refusal(cluster, identity) == ""
    identity["spec"]["storage"]["serviceAccountName"] = "default"
    assert "storage.serviceAccountName: the policy of this cluster permits trainer" in refusal(cluster, identity)
    unlabelled = permitted("one", strict)
    unlabelled["metadata"]["labels"] = {"owner": "me"}
    assert "requires the labels team" in refusal(cluster, unlabelled)


def test_other_namespaces_are_free(cluster: Client, namespace: str, policy: Object) -> None:
    assert policy
    assert refusal(cluster, permitted("one", namespace, storage={"resultsURI": "s3://elsewhere/"})) == ""


def test_a_monitor_from_before_can_still_be_annotated_and_deleted(
    cluster: Client, namespace: str, policy: Object
) -> None:
    assert policy
    cluster.create(permitted("old", namespace, storage={"resultsURI": "s3://elsewhere/"}))
    cluster.patch("Namespace", namespace, None, {"metadata": {"labels": {"policy": "strict"}}})
    wait_until_refused(cluster, permitted("probe", namespace, storage={"resultsURI": "s3://x/"}), "permits URIs")
    cluster.patch(KIND, "old", namespace, {"metadata": {"annotations": {"modelmonitor.io/rollback-to": "previous"}}})
    with pytest.raises(ApiRefused, match="permits URIs"):
        cluster.patch(KIND, "old", namespace, {"spec": {"suspend": True}})
    cluster.delete(KIND, "old", namespace)


def test_parameters_hold_at_once_and_without_them_nothing_is_permitted(
    cluster: Client, strict: str, policy: Object
) -> None:
    name, home = policy["metadata"]["name"], policy["metadata"]["namespace"]
    monitor = permitted("one", strict)
    cluster.patch("ConfigMap", name, home, {"data": {"allowedURIs": "s3://new/"}})
    wait_until_refused(cluster, monitor, "permits URIs that begin with s3://new/")
    cluster.delete("ConfigMap", name, home)
    wait_until_refused(cluster, monitor, "no params found")
    cluster.apply(policy)


def test_by_default_there_are_no_policies() -> None:
    assert not of_kind(render(), *KINDS, "NetworkPolicy")


def test_the_operator_connects_to_names_and_the_api_server_alone() -> None:
    objects = render(VALUES)
    spec = only(objects, "NetworkPolicy")["spec"]
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (metrics,) = spec["ingress"]
    assert metrics["ports"] == [{"port": "metrics"}]
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    names, api_server, proxy = spec["egress"]
    assert [port["port"] for port in names["ports"]] == [53, 53]
    assert [port["port"] for port in api_server["ports"]] == [443, 6443]
    assert api_server["to"] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    assert proxy["ports"] == [{"port": 3128}]
    closed = only(render(networkPolicy={"enabled": True}, metrics={"enabled": False}), "NetworkPolicy")
    assert closed["spec"]["ingress"] is None


def test_more_volumes_variables_and_objects() -> None:
    objects = render(VALUES)
    pod = only(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["volumes"][1] == {"name": "certificates", "configMap": {"name": "proxy-ca"}}
    operator = container(only(objects, "Deployment"))
    assert operator["volumeMounts"][1]["mountPath"] == "/etc/ssl/proxy"
    assert operator["envFrom"] == [{"configMapRef": {"name": "proxy"}}]
    (extra,) = [each for each in of_kind(objects, "ConfigMap") if each["metadata"]["name"].endswith("-extra")]
    assert extra["metadata"]["namespace"] == NAMESPACE
    assert of_kind(render(extraObjects=["kind: Extra\nmetadata: {name: '{{ .Release.Name }}'}"]), "Extra")
