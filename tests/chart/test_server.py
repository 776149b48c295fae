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

from chart.helm import CHART, NAMESPACE, ROOT, VALUES, Object, helm, hooks, of_kind, render
from modelmonitor_api.names import API_VERSION, KIND, MAX_MONITOR_NAME
from modelmonitor_api.spec.monitor import S3_ONLY
from modelmonitor_operator.gateway import RIGHTS
from support.apiserver import ApiServer
from support.client import ApiRefused, Client, Credentials
from support.processes import program
from unit.api.specs import INVALID, VALID, spec


@pytest.fixture(scope="module", autouse=True)
def _namespaces(cluster: Client) -> None:
    """The namespaces used by the values files of the chart."""
    for name in (NAMESPACE, "team-a", "team-b"):
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def kubectl(server: ApiServer, *arguments: str, objects: list[Object] | None = None) -> str:
    """Run kubectl on `objects` and return its output; warnings of the server count as errors."""
    done = subprocess.run(
        [program("kubectl"), f"--kubeconfig={server.kubeconfig}", *arguments, "--warnings-as-errors"],
        input=yaml.safe_dump_all(objects) if objects else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def _prometheus_operator(api_server: ApiServer, cluster: Client) -> Iterator[None]:
    """CustomResourceDefinitions with the names of the Prometheus operator's; they accept any fields."""
    names = []
    for kind, plural in (("ServiceMonitor", "servicemonitors"), ("PrometheusRule", "prometheusrules")):
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        name = f"{plural}.monitoring.coreos.com"
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": name},
            "spec": {
                "group": "monitoring.coreos.com",
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}},
                ],
            },
        }
        cluster.apply(definition)
        names.append(name)
    kubectl(api_server, "wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in names))
    yield
    for name in names:
        cluster.delete("CustomResourceDefinition", name)


def monitor(fields: Object, namespace: str, name: str = "one") -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": fields,
    }


# The chart


@pytest.mark.usefixtures("_prometheus_operator")
@pytest.mark.parametrize("values", VALUES)
def test_the_server_accepts_every_object_of_the_chart(api_server: ApiServer, values: str) -> None:
    arguments = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename=-")
    printed = kubectl(api_server, *arguments, objects=render(values))
    assert printed.count("serverside-applied (server dry run)") == len(render(values))


@pytest.mark.parametrize("values", VALUES)
def test_a_restricted_namespace_accepts_the_pods(cluster: Client, values: str) -> None:
    templates = [each["spec"]["template"] for each in of_kind(render(values), "Deployment")]
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]}
        | {"metadata": {**template["metadata"], "name": "a-pod", "namespace": NAMESPACE}}
        for template in templates
    ]
    (test_pod,) = [each for each in hooks(render(values)) if each["kind"] == "Pod"]
    for pod in (*pods, test_pod):
        bare = copy.deepcopy(pod)
        del bare["spec"]["securityContext"]
        cluster.apply(pod, dry_run=True)
        with pytest.raises(ApiRefused, match='violates PodSecurity "restricted'):
            cluster.apply(bare, dry_run=True)


@pytest.fixture(scope="module")
def _rights(cluster: Client) -> Iterator[None]:
    """The RBAC objects of an installation that manages team-a and team-b, and of its `helm test`."""
    kinds = {"ServiceAccount", "Role", "RoleBinding"}
    objects = [each for each in render("namespaces-values.yaml") if each["kind"] in kinds]
    for each in objects:
        cluster.apply(each)
    yield
    for each in objects:
        cluster.delete(each["kind"], each["metadata"]["name"], each["metadata"]["namespace"])


def is_allowed(cluster: Client, namespace: str, group: str, resource: str, verb: str) -> bool:
    """Return whether the API server authorizes a request of the operator's service account."""
    resource, _, subresource = resource.partition("/")
    review = {
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
    response = cluster.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(response["status"]["allowed"])


@pytest.mark.usefixtures("_rights")
def test_the_operator_has_rights_only_in_the_namespaces_that_it_manages(cluster: Client) -> None:
    for right in RIGHTS:
        for namespace in ("team-a", "team-b"):
            assert is_allowed(cluster, namespace, right.group, right.resource, right.verb)
        for elsewhere in (NAMESPACE, "kube-system", ""):
            assert not is_allowed(cluster, elsewhere, right.group, right.resource, right.verb)
    for resource in ("secrets", "configmaps", "pods/log", "pods/exec", "serviceaccounts/token"):
        assert not any(is_allowed(cluster, "team-a", "", resource, verb) for verb in ("get", "list", "create"))
    assert not is_allowed(cluster, "team-a", "modelmonitor.io", "modelmonitors", "delete")
    assert not is_allowed(cluster, "team-a", "batch", "cronjobs", "delete")


@pytest.mark.usefixtures("_rights")
def test_helm_test_lists_monitors(api_server: ApiServer, cluster: Client, tmp_path: Path) -> None:
    """Runs the command of the `helm test` pod with its arguments and service account."""
    objects = render("namespaces-values.yaml")
    (pod,) = [each for each in hooks(objects) if each["kind"] == "Pod"]
    (pod_container,) = pod["spec"]["containers"]
    assert pod_container["command"] == ["python", "-c"]
    token = cluster.token(pod["spec"]["serviceAccountName"], NAMESPACE)
    kubeconfig = Credentials(api_server.url, token, api_server.credentials.ca_file).write_kubeconfig(
        tmp_path / "config"
    )
    use_kubeconfig = "from kubernetes import config; config.load_incluster_config = config.load_kube_config\n"
    done = subprocess.run(
        [sys.executable, "-c", use_kubeconfig + pod_container["args"][0], *pod_container["args"][1:]],
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
    # The CRD exists before the release, as after an installation from the plain manifests.
    output = helm("install", "mine", str(CHART), "--take-ownership", *common)
    assert f"manages the ModelMonitors of namespace {namespace}." in output
    assert "rollout status deployment/mine-modelmonitor" in output
    assert "WARNING" not in output

    cluster.create(monitor(spec(), namespace))
    output = helm(
        "upgrade", "mine", str(CHART), "--set=watchAllNamespaces=true", "--set=rbac.aggregateToEdit=false", *common
    )
    assert "manages the ModelMonitors of all namespaces." in output
    assert not cluster.list("Role", namespace)

    helm("uninstall", "mine", *common)
    assert cluster.get(KIND, "one", namespace)["spec"]["suspend"] is False
    assert cluster.get("CustomResourceDefinition", "modelmonitors.modelmonitor.io")
    assert not cluster.list("ServiceAccount", namespace)


def test_notes_warn_about_unusual_values(api_server: ApiServer) -> None:
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
    assert "manages the ModelMonitors of namespaces a, b." in notes("watchNamespaces={a,b}")


# The plain manifests


def test_the_server_accepts_the_plain_manifests(api_server: ApiServer, cluster: Client) -> None:
    objects = list(yaml.safe_load_all((ROOT / "manifests" / "install.yaml").read_text()))
    assert objects[0]["kind"] == "Namespace"
    assert not hooks(objects)
    cluster.apply(objects[0])
    arguments = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename=-")
    kubectl(api_server, *arguments, objects=objects)
    assert of_kind(objects, "ClusterRoleBinding")[0]["subjects"][0]["namespace"] == objects[0]["metadata"]["name"]


@pytest.mark.parametrize("sample", sorted((ROOT / "manifests" / "samples").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_server_accepts_the_samples(api_server: ApiServer, sample: Path) -> None:
    kubectl(api_server, "apply", "--dry-run=server", "--validate=strict", f"--filename={sample}")


# The CRD


def test_the_crd_is_established_and_structural(cluster: Client) -> None:
    status = cluster.get("CustomResourceDefinition", "modelmonitors.modelmonitor.io")["status"]
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}, "NonStructuralSchema is never set"


@pytest.mark.parametrize("fields", [*VALID.values()], ids=[*VALID])
def test_the_server_accepts_specs_that_python_accepts(cluster: Client, namespace: str, fields: Object) -> None:
    created = cluster.create(monitor(fields, namespace))
    assert created["spec"]["check"]["activeDeadlineSeconds"] == 900, "defaults are applied to nested fields"


@pytest.mark.parametrize(("fields", "message"), [*INVALID.values()], ids=[*INVALID])
def test_the_server_rejects_specs_that_python_rejects(
    cluster: Client, namespace: str, fields: Object, message: str
) -> None:
    with pytest.raises(ApiRefused) as caught:
        cluster.create(monitor(fields, namespace))
    assert caught.value.status == 422
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("fields", "message"),
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
def test_the_server_reports_the_error(cluster: Client, namespace: str, fields: Object, message: str) -> None:
    with pytest.raises(ApiRefused) as caught:
        cluster.create(monitor(fields, namespace))
    assert message in caught.value.message


def test_monitor_names_leave_room_for_job_names(cluster: Client, namespace: str) -> None:
    cluster.create(monitor(spec(), namespace, name="m" * MAX_MONITOR_NAME))
    with pytest.raises(ApiRefused, match=f"must have at most {MAX_MONITOR_NAME} characters"):
        cluster.create(monitor(spec(), namespace, name="m" * (MAX_MONITOR_NAME + 1)))


def test_kubectl_rejects_a_misspelt_field(api_server: ApiServer, namespace: str) -> None:
    resource = monitor({**spec(), "shedule": "x"}, namespace)
    with pytest.raises(AssertionError, match=r'unknown field "spec\.shedule"'):
        kubectl(api_server, "apply", "--dry-run=server", "--filename=-", objects=[resource])


def largest() -> Object:
    """Return a spec with lists of the maximum length, because the cost of CEL rules grows with the items."""
    name = "x" * 240
    features: list[dict[str, Any]] = [{"name": f"{name}{i}", "type": "Numeric", "minimum": "0"} for i in range(500)]
    detectors = [{"name": f"d{i}", "type": "Performance", "metric": "F1"} for i in range(32)]
    return spec(model__features=features, detectors=detectors, model__slices=[f"{name}{i}" for i in range(8)])


def test_the_largest_monitor_is_validated_like_any_other(cluster: Client, namespace: str) -> None:
    created = cluster.create(monitor(largest(), namespace))
    assert len(created["spec"]["model"]["features"]) == 500
    fields = largest()
    fields["model"]["target"] = fields["model"]["features"][-1]["name"]
    with pytest.raises(ApiRefused, match="the target must not be one of the features"):
        cluster.create(monitor(fields, namespace, name="two"))


def test_the_status_is_written_separately_from_the_spec(cluster: Client, namespace: str) -> None:
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


def test_kubectl_get_and_explain_show_monitors(api_server: ApiServer, cluster: Client, namespace: str) -> None:
    test_the_status_is_written_separately_from_the_spec(cluster, namespace)
    head, row = kubectl(api_server, "get", "mmon", f"--namespace={namespace}").splitlines()
    assert head.split() == ["NAME", "READY", "DRIFT", "LAST-CHECK", "CHAMPION", "LAST-TRAINED", "SUSPENDED", "AGE"]
    assert row.split()[:5] == ["one", "True", "NoDrift", "v1-0", "false"]
    (wide, _) = kubectl(api_server, "get", "modelmonitor", "--output=wide", f"--namespace={namespace}").splitlines()
    assert wide.split()[-3:] == ["SCHEDULE", "NEXT", "REASON"]
    assert "one" in kubectl(api_server, "get", "modelmonitor", f"--namespace={namespace}", "--output=name")
    output = kubectl(api_server, "explain", "modelmonitor.spec.retraining.cooldownSeconds")
    assert "time in seconds between the starts of two trainings." in output


def test_the_crd_fits_the_annotation_of_kubectl_apply(cluster: Client) -> None:
    crd = cluster.get("CustomResourceDefinition", "modelmonitors.modelmonitor.io")
    assert len(json.dumps(crd["spec"])) < 100 * 1024
