"""The chart, the plain manifests, the samples and the CRD against a real API server."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import CHART, NAMESPACE, ROOT, VALUES, Object, helm, hooks, of_kind, render, the
from modelmonitor_api.names import API_VERSION, KIND, MAX_MONITOR_NAME
from modelmonitor_api.spec.monitor import S3_ONLY
from modelmonitor_operator.gateway import RIGHTS
from support.apiserver import ApiServer
from support.client import ApiRefused, Client, Credentials
from support.processes import program
from unit.api.specs import INVALID, VALID, spec


@pytest.fixture(scope="module", autouse=True)
def _namespaces(cluster: Client) -> None:
    """The namespaces that the value sets of the chart name."""
    for name in (NAMESPACE, "team-a", "team-b"):
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def kubectl(server: ApiServer, *arguments: str, objects: list[Object] | None = None) -> str:
    """Run kubectl on `objects` and return what it prints; warnings of the server count as errors."""
    done = subprocess.run(
        [program("kubectl"), f"--kubeconfig={server.kubeconfig}", *arguments, "--warnings-as-errors"],
        input=yaml.safe_dump_all(objects) if objects else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def monitor(written: Object, namespace: str, name: str = "one") -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": written,
    }


# The chart


@pytest.mark.parametrize("values", VALUES)
def test_the_server_takes_every_object_of_the_chart(api_server: ApiServer, values: str) -> None:
    arguments = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename=-")
    printed = kubectl(api_server, *arguments, objects=render(values))
    assert printed.count("serverside-applied (server dry run)") == len(render(values))


@pytest.mark.parametrize("values", VALUES)
def test_a_restricted_namespace_takes_the_pods(cluster: Client, values: str) -> None:
    template = the(render(values), "Deployment")["spec"]["template"]
    metadata = {**template["metadata"], "name": "operator", "namespace": NAMESPACE}
    (test_pod,) = [found for found in hooks(render(values)) if found["kind"] == "Pod"]
    for pod in ({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}, test_pod):
        bare = copy.deepcopy(pod)
        del bare["spec"]["securityContext"]
        cluster.apply(pod, dry_run=True)
        with pytest.raises(ApiRefused, match='violates PodSecurity "restricted'):
            cluster.apply(bare, dry_run=True)


@pytest.fixture(scope="module")
def _rights(cluster: Client) -> Iterator[None]:
    """The rights of an installation that looks after team-a and team-b, and its test's."""
    kinds = {"ServiceAccount", "Role", "RoleBinding"}
    objects = [found for found in render("namespaces-values.yaml") if found["kind"] in kinds]
    for found in objects:
        cluster.apply(found)
    yield
    for found in objects:
        cluster.delete(found["kind"], found["metadata"]["name"], found["metadata"]["namespace"])


def may(cluster: Client, namespace: str, group: str, resource: str, verb: str) -> bool:
    """Return whether the operator's service account has a right, as the API server sees it."""
    resource, _, subresource = resource.partition("/")
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{NAMESPACE}:monitor",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"],
            "resourceAttributes": {
                "namespace": namespace,
                "group": group,
                "resource": resource,
                "subresource": subresource,
                "verb": verb,
            },
        },
    }
    answer = cluster.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", asked)
    return bool(answer["status"]["allowed"])


@pytest.mark.usefixtures("_rights")
def test_the_operator_has_its_rights_where_it_watches_and_nowhere_else(cluster: Client) -> None:
    for right in RIGHTS:
        for namespace in ("team-a", "team-b"):
            assert may(cluster, namespace, right.group, right.resource, right.verb)
        for elsewhere in (NAMESPACE, "kube-system", ""):
            assert not may(cluster, elsewhere, right.group, right.resource, right.verb)
    for resource in ("secrets", "configmaps", "pods/log", "pods/exec", "serviceaccounts/token"):
        assert not any(may(cluster, "team-a", "", resource, verb) for verb in ("get", "list", "create"))
    assert not may(cluster, "team-a", "modelmonitor.io", "modelmonitors", "delete")
    assert not may(cluster, "team-a", "batch", "jobs", "delete")


@pytest.mark.usefixtures("_rights")
def test_helm_test_lists_monitors(api_server: ApiServer, cluster: Client, tmp_path: Path) -> None:
    """What the pod of `helm test` runs, with its arguments and under its service account."""
    objects = render("namespaces-values.yaml")
    (pod,) = [found for found in hooks(objects) if found["kind"] == "Pod"]
    (box,) = pod["spec"]["containers"]
    assert box["command"] == ["python", "-c"]
    token = cluster.token(pod["spec"]["serviceAccountName"], NAMESPACE)
    kubeconfig = Credentials(api_server.url, token, api_server.credentials.ca_file).write_kubeconfig(
        tmp_path / "config"
    )
    outside = "from kubernetes import config; config.load_incluster_config = config.load_kube_config\n"
    done = subprocess.run(
        [sys.executable, "-c", outside + box["args"][0], *box["args"][1:]],
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"0 ModelMonitors in namespace {NAMESPACE}\n"), done.stderr


def test_install_upgrade_and_uninstall_keep_the_monitors(
    api_server: ApiServer, cluster: Client, namespace: str
) -> None:
    common = (f"--namespace={namespace}", f"--kubeconfig={api_server.kubeconfig}")
    # The CRD is there before the release, as it is where somebody came from the plain manifests.
    told = helm("install", "mine", str(CHART), "--take-ownership", *common)
    assert f"looks after the ModelMonitors of the namespace {namespace}." in told
    assert "rollout status deployment/mine-modelmonitor" in told
    assert "WARNING" not in told

    cluster.create(monitor(spec(), namespace))
    told = helm(
        "upgrade", "mine", str(CHART), "--set=watchAllNamespaces=true", "--set=rbac.aggregateToEdit=false", *common
    )
    assert "looks after the ModelMonitors of all namespaces." in told
    assert not cluster.list("Role", namespace)

    helm("uninstall", "mine", *common)
    assert cluster.get(KIND, "one", namespace)["spec"]["suspend"] is False
    assert cluster.get("CustomResourceDefinition", "modelmonitors.modelmonitor.io")
    assert not cluster.list("ServiceAccount", namespace)


def test_notes_warn_of_what_is_unusual(api_server: ApiServer) -> None:
    def notes(*values: str) -> str:
        return helm(
            "install",
            "mine",
            str(CHART),
            "--dry-run=client",
            "--take-ownership",
            f"--namespace={NAMESPACE}",
            f"--kubeconfig={api_server.kubeconfig}",
            *(f"--set={value}" for value in values),
        ).partition("\nNOTES:\n")[2]

    assert "will delete the CustomResourceDefinition and with it every ModelMonitor" in notes("crds.keep=false")
    assert "manifests/crd.yaml of this version" in notes("crds.enabled=false")
    assert "rbac.create is false" in notes("rbac.create=false")
    assert "of the namespaces a, b." in notes("watchNamespaces={a,b}")


# The plain manifests


def test_the_server_takes_the_plain_manifests(api_server: ApiServer, cluster: Client) -> None:
    written = list(yaml.safe_load_all((ROOT / "manifests" / "install.yaml").read_text()))
    assert written[0]["kind"] == "Namespace"
    assert not hooks(written)
    cluster.apply(written[0])
    arguments = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename=-")
    kubectl(api_server, *arguments, objects=written)
    assert of_kind(written, "ClusterRoleBinding")[0]["subjects"][0]["namespace"] == written[0]["metadata"]["name"]


@pytest.mark.parametrize("sample", sorted((ROOT / "manifests" / "samples").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_server_takes_the_samples(api_server: ApiServer, sample: Path) -> None:
    kubectl(api_server, "apply", "--dry-run=server", "--validate=strict", f"--filename={sample}")


# The CRD


def test_the_crd_is_established_and_structural(cluster: Client) -> None:
    status = cluster.get("CustomResourceDefinition", "modelmonitors.modelmonitor.io")["status"]
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}, "NonStructuralSchema is never set"


@pytest.mark.parametrize("written", [*VALID.values()], ids=[*VALID])
def test_the_server_takes_what_python_takes(cluster: Client, namespace: str, written: Object) -> None:
    made = cluster.create(monitor(written, namespace))
    assert made["spec"]["check"]["activeDeadlineSeconds"] == 900, "defaults are filled in from the outside inwards"


@pytest.mark.parametrize(("written", "message"), [*INVALID.values()], ids=[*INVALID])
def test_the_server_refuses_what_python_refuses(cluster: Client, namespace: str, written: Object, message: str) -> None:
    with pytest.raises(ApiRefused) as caught:
        cluster.create(monitor(written, namespace))
    assert caught.value.status == 422
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (spec(schedule=None), "spec.schedule: Required value"),
        (spec(storage__resultsURI="file:///tmp/results/"), S3_ONLY),
        (spec(storage__resultsURI="gs://results/"), "should match"),
        (spec(promotion__metric="Elegance"), 'Unsupported value: "Elegance": supported values: "ROCAUC"'),
        (spec(promotion__metric="R2"), "promotion.metric does not fit model.task"),
        (spec(promotion__confidence=0.95), 'must be of type string: "number"'),
        (spec(promotion__confidence="95"), "should match"),
        (spec(model__features=[]), "should have at least 1 items"),
        (spec(model__features=[{"name": "x", "type": "Numeric"}] * 2), "Duplicate value"),
        (spec(model__slices=["x", "x"]), "Duplicate value"),
        (spec(data__reference={"start": "2013-13-01", "end": "2014-01-01"}), "must be of type date"),
        (spec(check__backoffLimit=11), "less than or equal to 10"),
        (spec(retraining__trainer={"resources": {"limits": {"memory": "lots"}}}), "should match"),
    ],
)
def test_the_server_says_what_is_wrong(cluster: Client, namespace: str, written: Object, said: str) -> None:
    with pytest.raises(ApiRefused) as caught:
        cluster.create(monitor(written, namespace))
    assert said in caught.value.message


def test_names_leave_room_for_those_of_jobs(cluster: Client, namespace: str) -> None:
    cluster.create(monitor(spec(), namespace, name="m" * MAX_MONITOR_NAME))
    with pytest.raises(ApiRefused, match=f"must have at most {MAX_MONITOR_NAME} characters"):
        cluster.create(monitor(spec(), namespace, name="m" * (MAX_MONITOR_NAME + 1)))


def test_a_misspelt_field_is_refused_by_kubectl(api_server: ApiServer, namespace: str) -> None:
    written = monitor({**spec(), "shedule": "x"}, namespace)
    with pytest.raises(AssertionError, match=r'unknown field "spec\.shedule"'):
        kubectl(api_server, "apply", "--dry-run=server", "--filename=-", objects=[written])


def largest() -> Object:
    """Return a spec in which every list is as long as it may be: rules are paid for by the item."""
    name = "x" * 240
    features: list[dict[str, Any]] = [{"name": f"{name}{i}", "type": "Numeric", "minimum": "0"} for i in range(500)]
    detectors = [{"name": f"d{i}", "type": "Performance", "metric": "F1"} for i in range(32)]
    return spec(model__features=features, detectors=detectors, model__slices=[f"{name}{i}" for i in range(8)])


def test_the_largest_monitor_is_taken_and_refused_like_any_other(cluster: Client, namespace: str) -> None:
    made = cluster.create(monitor(largest(), namespace))
    assert len(made["spec"]["model"]["features"]) == 500
    written = largest()
    written["model"]["target"] = written["model"]["features"][-1]["name"]
    with pytest.raises(ApiRefused, match="the target must not be one of the features"):
        cluster.create(monitor(written, namespace, name="two"))


def test_status_is_written_apart_from_the_spec(cluster: Client, namespace: str) -> None:
    cluster.create(monitor(spec(), namespace))
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Accepted",
        "message": "",
        "lastTransitionTime": "2013-04-01T06:00:00Z",
        "observedGeneration": 1,
    }
    drift = {**condition, "type": "DriftDetected", "reason": "NoDrift", "status": "False"}
    status = {
        "observedGeneration": 1,
        "conditions": [condition, drift],
        "champion": {"version": "v1-0", "since": "2013-04-01T06:00:00Z"},
    }
    changed = cluster.patch(KIND, "one", namespace, {"status": status, "spec": {"suspend": True}}, subresource="status")
    assert changed["spec"]["suspend"] is False
    assert changed["status"] == status, "the server adds no defaults to the status"
    assert changed["metadata"]["generation"] == 1
    bad = {"conditions": [{**condition, "status": "Maybe"}]}
    with pytest.raises(ApiRefused, match="Unsupported value"):
        cluster.patch(KIND, "one", namespace, {"status": bad}, subresource="status")


def test_get_and_explain(api_server: ApiServer, cluster: Client, namespace: str) -> None:
    test_status_is_written_apart_from_the_spec(cluster, namespace)
    head, row = kubectl(api_server, "get", "mmon", f"--namespace={namespace}").splitlines()
    assert head.split() == ["NAME", "READY", "DRIFT", "LAST-CHECK", "CHAMPION", "LAST-TRAINED", "SUSPENDED", "AGE"]
    assert row.split()[:5] == ["one", "True", "NoDrift", "v1-0", "false"]
    (wide, _) = kubectl(api_server, "get", "modelmonitor", "--output=wide", f"--namespace={namespace}").splitlines()
    assert wide.split()[-3:] == ["SCHEDULE", "NEXT", "REASON"]
    assert "one" in kubectl(api_server, "get", "modelmonitor", f"--namespace={namespace}", "--output=name")
    told = kubectl(api_server, "explain", "modelmonitor.spec.retraining.cooldownSeconds")
    assert "Time between the starts of two trainings." in told


def test_a_json_copy_fits_the_annotation_of_kubectl_apply(cluster: Client) -> None:
    crd = cluster.get("CustomResourceDefinition", "modelmonitors.modelmonitor.io")
    assert len(json.dumps(crd["spec"])) < 100 * 1024
