"""The objects that the chart renders from its values."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import (
    CHART,
    KUBE_VERSION,
    NAMESPACE,
    ROOT,
    VALUES,
    HelmError,
    Object,
    container,
    environment,
    helm,
    hooks,
    of_kind,
    only,
    render,
    without_ui,
)
from generate.crd import custom_resource_definition
from modelmonitor_operator.gateway import RIGHTS, ROLLOUT_RIGHTS
from modelmonitor_operator.health import LIVENESS, READINESS
from modelmonitor_operator.settings import Settings

#: OpenShift requires this right to create objects owned by a ModelMonitor; the operator does not use it.
FOR_OPENSHIFT = ("modelmonitor.io", "modelmonitors/finalizers", "update")
#: The rights that the operator declares.
NEEDED = {(right.group, right.resource, right.verb) for right in RIGHTS}
#: The additional rights for rollouts to Deployments.
NEEDED_FOR_ROLLOUTS = {(right.group, right.resource, right.verb) for right in ROLLOUT_RIGHTS}


def granted(role: Object) -> set[tuple[str, str, str]]:
    """Return the rights of a role as (API group, resource, verb), and check that there are no duplicates."""
    result: list[tuple[str, str, str]] = []
    for rule in role["rules"]:
        assert rule.keys() == {"apiGroups", "resources", "verbs"}
        result += itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    assert len(set(result)) == len(result)
    return set(result)


@pytest.mark.parametrize("values", VALUES)
def test_the_chart_passes_helm_lint(values: str) -> None:
    helm("lint", str(CHART), "--strict", "--kube-version", KUBE_VERSION, "--values", str(CHART / "ci" / values))


@pytest.mark.parametrize("values", VALUES)
def test_every_object_has_the_recommended_labels_and_namespaced_ones_a_namespace(values: str) -> None:
    cluster_wide = {
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    names = set()
    for each in render(values):
        metadata = each["metadata"]
        assert metadata["labels"].keys() >= {
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/version",
            "app.kubernetes.io/managed-by",
            "helm.sh/chart",
        }
        assert ("namespace" in metadata) == (each["kind"] not in cluster_wide)
        names.add((each["kind"], metadata.get("namespace"), metadata["name"]))
    assert len(names) == len(render(values)), "no duplicates"


# RBAC


@pytest.mark.parametrize("values", VALUES)
def test_the_operator_has_exactly_the_rights_that_it_declares(values: str) -> None:
    objects = without_ui(render(values))
    account = only(objects, "ServiceAccount")["metadata"]
    bindings = of_kind(objects, "RoleBinding", "ClusterRoleBinding")
    assert bindings
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert (subject["name"], subject["namespace"]) == (account["name"], NAMESPACE)
        (role,) = [
            each
            for each in render(values)
            if each["kind"] == binding["roleRef"]["kind"]
            and each["metadata"]["name"] == binding["roleRef"]["name"]
            and each["metadata"].get("namespace") == binding["metadata"].get("namespace")
        ]
        rollouts = NEEDED_FOR_ROLLOUTS if values == "namespaces-values.yaml" else set()
        assert granted(role) == NEEDED | rollouts | {FOR_OPENSHIFT}


@pytest.mark.parametrize("values", VALUES)
def test_no_role_has_wildcards_or_access_to_secrets_and_logs(values: str) -> None:
    roles = [each for each in render(values) if each["kind"] in {"Role", "ClusterRole"}]
    assert roles
    for role in roles:
        for group, resource, verb in granted(role):
            assert "*" not in {group, resource, verb}
            assert resource not in {"secrets", "pods/log", "pods/exec", "serviceaccounts/token", "configmaps"}
            assert verb not in {"impersonate", "escalate", "bind"}


def test_monitor_rights_are_aggregated_to_the_view_and_edit_roles() -> None:
    view, edit = of_kind(render(), "ClusterRole")
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert {verb for _, _, verb in granted(view)} == {"get", "list", "watch"}
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit["metadata"]["labels"]
    assert {resource for _, resource, _ in granted(edit)} == {"modelmonitors"}, "only the operator writes the status"
    assert not of_kind(render(rbac={"aggregateToView": False, "aggregateToEdit": False}), "ClusterRole")


def test_rbac_and_service_account_can_be_managed_elsewhere() -> None:
    objects = render(rbac={"create": False}, serviceAccount={"create": False, "name": "mine"})
    assert not of_kind(objects, "Role", "RoleBinding", "ClusterRoleBinding", "ServiceAccount")
    assert only(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


# Namespaces


@pytest.mark.parametrize(
    ("values", "watched", "roles_in"),
    [
        ({}, (NAMESPACE,), {NAMESPACE}),
        ({"watchNamespaces": ["a"]}, ("a",), {"a"}),
        ({"watchNamespaces": ["a", "b", NAMESPACE]}, ("a", "b", NAMESPACE), {"a", "b", NAMESPACE}),
        ({"watchAllNamespaces": True}, (), None),
    ],
)
def test_one_list_determines_the_watched_namespaces_and_the_roles(
    values: dict[str, Any], watched: tuple[str, ...], roles_in: set[str] | None
) -> None:
    objects = render(**values)
    settings = Settings.from_environment(environment(only(objects, "Deployment")))
    assert settings.namespaces == watched
    roles, bindings = of_kind(objects, "Role"), of_kind(objects, "RoleBinding")
    if roles_in is None:
        assert not roles
        assert not bindings
        assert only(objects, "ClusterRoleBinding")["subjects"][0]["namespace"] == NAMESPACE
    else:
        assert {role["metadata"]["namespace"] for role in roles} == roles_in
        assert {binding["metadata"]["namespace"] for binding in bindings} == roles_in
        assert not of_kind(objects, "ClusterRoleBinding")


def test_watch_all_namespaces_excludes_watch_namespaces() -> None:
    with pytest.raises(HelmError, match="watchAllNamespaces and watchNamespaces exclude each other; remove one"):
        render(watchAllNamespaces=True, watchNamespaces=["a"])


# The pod


@pytest.mark.parametrize("values", VALUES)
def test_pods_meet_the_restricted_level(values: str) -> None:
    deployments = of_kind(render(values), "Deployment")
    assert deployments
    (test_pod,) = [each for each in hooks(render(values)) if each["kind"] == "Pod"]
    for pod in (*(each["spec"]["template"]["spec"] for each in deployments), test_pod["spec"]):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["enableServiceLinks"] is False
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        for pod_container in pod["containers"]:
            assert pod_container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert pod_container["resources"]["limits"].keys() == {"memory"}, "no CPU limit"
            assert pod_container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert all(not volume.keys() & {"hostPath", "secret"} for volume in pod.get("volumes", []))


def test_the_user_id_is_set_unless_the_platform_assigns_it() -> None:
    def context(objects: list[Object]) -> Object:
        pod_context = only(objects, "Deployment")["spec"]["template"]["spec"]["securityContext"]
        assert isinstance(pod_context, dict)
        return pod_context

    assert context(render())["runAsUser"] == 65532
    assert not context(render("all-namespaces-values.yaml")).keys() & {"runAsUser", "runAsGroup"}


def test_only_one_operator_runs_at_a_time() -> None:
    spec = only(render(), "Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert not of_kind(render(), "PodDisruptionBudget")


def test_probes_use_the_health_endpoint_of_the_operator() -> None:
    pod_container = container(only(render(), "Deployment"))
    assert {"name": "health", "containerPort": 8080} in pod_container["ports"]
    for probe, path in (("livenessProbe", LIVENESS), ("startupProbe", LIVENESS), ("readinessProbe", READINESS)):
        assert pod_container[probe]["httpGet"] == {"path": path, "port": "health"}
    assert pod_container["command"] == ["python", "-m", "modelmonitor_operator"]


def test_the_environment_sets_what_the_operator_reads() -> None:
    variables = environment(only(render("namespaces-values.yaml"), "Deployment"))
    assert variables == {
        "WATCH_NAMESPACES": "team-a,team-b",
        "TRAINER_IMAGE": f"registry.example/modelmonitor/trainer@sha256:{'0123456789abcdef' * 4}",
        "JOB_IMAGE_PULL_POLICY": "IfNotPresent",
        "IMAGE_PULL_SECRETS": "pull,mirror",
        "METRICS_PORT": "8081",
        "METRICS_FEATURES": "false",
        "RESYNC_SECONDS": "30",
        "MAX_CONCURRENT_TRAININGS": "8",
        "MAX_CONCURRENT_TRAININGS_PER_NAMESPACE": "2",
        "ROLLOUTS": "true",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "plain",
        "HTTPS_PROXY": "http://proxy.example:3128",
    }
    settings = Settings.from_environment(variables)
    assert settings.rollouts
    assert settings.image_pull_secrets == ("pull", "mirror")
    assert settings.resync_seconds == 30


def test_the_environment_with_default_values() -> None:
    settings = Settings.from_environment(environment(only(render(), "Deployment")))
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert settings == Settings(
        trainer_image=f"modelmonitor/trainer:{version}", namespaces=(NAMESPACE,), resync_seconds=60.0
    )


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ({}, f"modelmonitor/operator:{(ROOT / 'VERSION').read_text().strip()}"),
        ({"tag": "dev"}, "modelmonitor/operator:dev"),
        ({"registry": "registry.example:5000", "tag": "dev"}, "registry.example:5000/modelmonitor/operator:dev"),
        ({"repository": "mine", "tag": "dev", "digest": "sha256:" + "0" * 64}, f"mine@sha256:{'0' * 64}"),
    ],
)
def test_image_names_are_built_from_registry_repository_tag_and_digest(image: dict[str, str], name: str) -> None:
    assert container(only(render(image=image), "Deployment"))["image"] == name
    trainer = environment(only(render(trainerImage={"repository": "modelmonitor/operator", **image}), "Deployment"))
    assert trainer["TRAINER_IMAGE"] == name


def test_user_labels_do_not_break_the_selector() -> None:
    spec = only(render(podLabels={"app.kubernetes.io/name": "mine", "team": "x"}), "Deployment")["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert labels["team"] == "x"
    assert spec["selector"]["matchLabels"].items() <= labels.items()


def test_pod_values_are_rendered() -> None:
    template = only(render("namespaces-values.yaml"), "Deployment")["spec"]["template"]
    assert template["metadata"]["labels"]["example.org/mesh"] == "enabled"
    assert template["metadata"]["annotations"]["example.org/scrape"] == "false"
    pod = template["spec"]
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]
    assert pod["topologySpreadConstraints"][0]["maxSkew"] == 1
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["imagePullSecrets"] == [{"name": "pull"}, {"name": "mirror"}]
    assert pod["serviceAccountName"] == "monitor"


# The CustomResourceDefinition


def test_crd_is_the_generated_one_and_is_kept_on_uninstall() -> None:
    crd = only(render(), "CustomResourceDefinition")
    assert crd["spec"] == custom_resource_definition()["spec"]
    assert crd["metadata"]["name"] == "modelmonitors.modelmonitor.io"
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_crd_can_be_annotated_removed_on_uninstall_or_omitted() -> None:
    crds = {"keep": False, "annotations": {"example.org/owner": "platform"}}
    assert only(render(crds=crds), "CustomResourceDefinition")["metadata"]["annotations"] == crds["annotations"]
    assert "annotations" not in only(render(crds={"keep": False}), "CustomResourceDefinition")["metadata"]
    assert not of_kind(render(crds={"enabled": False}), "CustomResourceDefinition")


# The schema of the values


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"watchNamespace": ["a"]}, "watchNamespace"),
        ({"image": {"tags": "x"}}, "tags"),
        ({"image": {"digest": "sha256:short"}}, "digest"),
        ({"image": {"registry": "registry.example/"}}, "registry"),
        ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"crds": {"install": True}}, "install"),
        ({"watchNamespaces": "a,b"}, "watchNamespaces"),
        ({"watchNamespaces": ["A"]}, "watchNamespaces"),
        ({"watchNamespaces": ["a", "a"]}, "watchNamespaces"),
        ({"logLevel": "loud"}, "logLevel"),
        ({"logFormat": "xml"}, "logFormat"),
        ({"resyncSeconds": 0}, "resyncSeconds"),
        ({"resyncSeconds": "1m"}, "resyncSeconds"),
        ({"maxConcurrentTrainings": {"total": -1}}, "total"),
        ({"maxConcurrentTrainings": 3}, "maxConcurrentTrainings"),
        ({"imagePullSecrets": ["pull"]}, "imagePullSecrets"),
        ({"extraEnv": {"A": "b"}}, "extraEnv"),
        ({"livenessProbe": {"path": "/"}}, "path"),
        ({"replicas": 2}, "replicas"),
        ({"nodeSelector": {"disk": 1}}, "nodeSelector"),
    ],
)
def test_the_schema_rejects_invalid_values(values: dict[str, Any], key: str) -> None:
    with pytest.raises(HelmError, match="don't meet the specifications of the schema") as caught:
        render(**values)
    assert key in str(caught.value)


def test_schema_and_values_name_the_same_keys() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(values: dict[str, Any], schema: dict[str, Any], path: str) -> None:
        assert schema["additionalProperties"] is False, path
        for name, described in schema["properties"].items():
            assert described.get("description"), f"{path}{name}"
            if described.get("additionalProperties") is False and "Probe" not in name:
                compare(values[name], described, f"{path}{name}.")
        assert set(values) == set(schema["properties"]), path

    for set_by_a_parent_chart in ("global", "enabled"):
        del schema["properties"][set_by_a_parent_chart]
    compare(values, schema, "")


def test_the_chart_can_be_a_dependency_of_another_chart() -> None:
    parent_values: dict[str, Any] = {"global": {"any": "thing"}, "enabled": True}
    assert render(**parent_values)


# Files generated from the chart and the types


def test_generated_files_are_up_to_date(tmp_path: Path) -> None:
    subprocess.run([ROOT / "hack" / "manifests.sh", tmp_path], check=True, capture_output=True, text=True)
    generated = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert [str(path) for path in generated] == [
        "charts/modelmonitor/README.md",
        "charts/modelmonitor/files/modelmonitors.yaml",
        "docs/reference/messages.md",
        "docs/reference/modelmonitor.md",
        "manifests/crd.yaml",
        "manifests/install.yaml",
    ]
    for path in generated:
        assert (ROOT / path).read_text() == (tmp_path / path).read_text(), f"{path}: run `make manifests`"


def test_no_file_names_a_registry() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["image"]["registry"] == values["trainerImage"]["registry"] == ""
    for each in yaml.safe_load_all((ROOT / "manifests" / "install.yaml").read_text()):
        if each["kind"] == "Deployment":
            assert container(each)["image"].startswith("modelmonitor/operator:")
