"""What the chart makes of its values."""

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
    HelmRefused,
    Object,
    container,
    environment,
    helm,
    hooks,
    of_kind,
    render,
    the,
)
from generate.crd import custom_resource_definition
from modelmonitor_operator.gateway import RIGHTS, ROLLOUT_RIGHTS
from modelmonitor_operator.settings import Settings

#: Asked for by OpenShift of whoever makes an object owned by a ModelMonitor; the operator does not call it.
FOR_OPENSHIFT = ("modelmonitor.io", "modelmonitors/finalizers", "update")
#: What the operator itself says that it needs.
NEEDED = {(right.group, right.resource, right.verb) for right in RIGHTS}
#: And where champions are rolled out to Deployments.
NEEDED_FOR_ROLLOUTS = {(right.group, right.resource, right.verb) for right in ROLLOUT_RIGHTS}


def granted(role: Object) -> set[tuple[str, str, str]]:
    """Return what a role allows, as (API group, resource, verb); nothing may be said twice."""
    result: list[tuple[str, str, str]] = []
    for rule in role["rules"]:
        assert rule.keys() == {"apiGroups", "resources", "verbs"}
        result += itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    assert len(set(result)) == len(result)
    return set(result)


@pytest.mark.parametrize("values", VALUES)
def test_lint(values: str) -> None:
    helm("lint", str(CHART), "--strict", "--kube-version", KUBE_VERSION, "--values", str(CHART / "ci" / values))


@pytest.mark.parametrize("values", VALUES)
def test_every_object_has_the_usual_labels_and_a_namespace_of_its_own(values: str) -> None:
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    names = set()
    for found in render(values):
        metadata = found["metadata"]
        assert metadata["labels"].keys() >= {
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/version",
            "app.kubernetes.io/managed-by",
            "helm.sh/chart",
        }
        assert ("namespace" in metadata) == (found["kind"] not in cluster_wide)
        names.add((found["kind"], metadata.get("namespace"), metadata["name"]))
    assert len(names) == len(render(values)), "no object twice"


# Rights


@pytest.mark.parametrize("values", VALUES)
def test_the_operator_may_do_what_it_does_and_nothing_else(values: str) -> None:
    account = the(render(values), "ServiceAccount")["metadata"]
    bindings = of_kind(render(values), "RoleBinding", "ClusterRoleBinding")
    assert bindings
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert (subject["name"], subject["namespace"]) == (account["name"], NAMESPACE)
        (role,) = [
            found
            for found in render(values)
            if found["kind"] == binding["roleRef"]["kind"]
            and found["metadata"]["name"] == binding["roleRef"]["name"]
            and found["metadata"].get("namespace") == binding["metadata"].get("namespace")
        ]
        rollouts = NEEDED_FOR_ROLLOUTS if values == "namespaces-values.yaml" else set()
        assert granted(role) == NEEDED | rollouts | {FOR_OPENSHIFT}


@pytest.mark.parametrize("values", VALUES)
def test_no_role_has_wildcards_or_reaches_into_secrets_and_pods(values: str) -> None:
    roles = [found for found in render(values) if found["kind"] in {"Role", "ClusterRole"}]
    assert roles
    for role in roles:
        for group, resource, verb in granted(role):
            assert "*" not in {group, resource, verb}
            assert resource not in {"secrets", "pods/log", "pods/exec", "serviceaccounts/token", "configmaps"}
            assert verb not in {"impersonate", "escalate", "bind"}


def test_rights_over_monitors_are_added_to_the_roles_of_people() -> None:
    view, edit = of_kind(render(), "ClusterRole")
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert {verb for _, _, verb in granted(view)} == {"get", "list", "watch"}
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit["metadata"]["labels"]
    assert {resource for _, resource, _ in granted(edit)} == {"modelmonitors"}, "the status is the operator's"
    assert not of_kind(render(rbac={"aggregateToView": False, "aggregateToEdit": False}), "ClusterRole")


def test_rights_can_be_left_to_others() -> None:
    objects = render(rbac={"create": False}, serviceAccount={"create": False, "name": "mine"})
    assert not of_kind(objects, "Role", "RoleBinding", "ClusterRoleBinding", "ServiceAccount")
    assert the(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


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
def test_one_list_drives_what_is_watched_and_what_is_allowed(
    values: dict[str, Any], watched: tuple[str, ...], roles_in: set[str] | None
) -> None:
    objects = render(**values)
    settings = Settings.from_environment(environment(the(objects, "Deployment")))
    assert settings.namespaces == watched
    roles, bindings = of_kind(objects, "Role"), of_kind(objects, "RoleBinding")
    if roles_in is None:
        assert not roles
        assert not bindings
        assert the(objects, "ClusterRoleBinding")["subjects"][0]["namespace"] == NAMESPACE
    else:
        assert {role["metadata"]["namespace"] for role in roles} == roles_in
        assert {binding["metadata"]["namespace"] for binding in bindings} == roles_in
        assert not of_kind(objects, "ClusterRoleBinding")


def test_all_namespaces_and_some_exclude_each_other() -> None:
    with pytest.raises(HelmRefused, match="watchAllNamespaces and watchNamespaces exclude each other; remove one"):
        render(watchAllNamespaces=True, watchNamespaces=["a"])


# The pod


@pytest.mark.parametrize("values", VALUES)
def test_pods_fit_the_restricted_level(values: str) -> None:
    deployment = the(render(values), "Deployment")
    (test_pod,) = [found for found in hooks(render(values)) if found["kind"] == "Pod"]
    for pod in (deployment["spec"]["template"]["spec"], test_pod["spec"]):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["enableServiceLinks"] is False
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        for box in pod["containers"]:
            assert box["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert box["resources"]["limits"].keys() == {"memory"}, "no limit on the processor"
            assert box["resources"]["requests"].keys() == {"cpu", "memory"}
        assert all(volume.keys() == {"name", "emptyDir"} for volume in pod.get("volumes", []))


def test_users_are_numbers_unless_the_platform_chooses() -> None:
    def context(objects: list[Object]) -> Object:
        found = the(objects, "Deployment")["spec"]["template"]["spec"]["securityContext"]
        assert isinstance(found, dict)
        return found

    assert context(render())["runAsUser"] == 65532
    assert not context(render("all-namespaces-values.yaml")).keys() & {"runAsUser", "runAsGroup"}


def test_there_is_one_operator_at_a_time() -> None:
    spec = the(render(), "Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert not of_kind(render(), "PodDisruptionBudget")


def test_the_pod_is_probed_where_the_operator_answers() -> None:
    box = container(the(render(), "Deployment"))
    assert box["ports"] == [{"name": "health", "containerPort": 8080}]
    for probe in ("livenessProbe", "startupProbe"):
        assert box[probe]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert box["command"] == ["python", "-m", "modelmonitor_operator"]


def test_the_environment_is_what_the_operator_reads() -> None:
    found = environment(the(render("namespaces-values.yaml"), "Deployment"))
    assert found == {
        "WATCH_NAMESPACES": "team-a,team-b",
        "TRAINER_IMAGE": f"registry.example/modelmonitor/trainer@sha256:{'0123456789abcdef' * 4}",
        "JOB_IMAGE_PULL_POLICY": "IfNotPresent",
        "IMAGE_PULL_SECRETS": "pull,mirror",
        "RESYNC_SECONDS": "30",
        "ROLLOUTS": "true",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "plain",
        "HTTPS_PROXY": "http://proxy.example:3128",
    }
    settings = Settings.from_environment(found)
    assert settings.rollouts
    assert settings.image_pull_secrets == ("pull", "mirror")
    assert settings.resync_seconds == 30


def test_the_environment_of_an_installation_without_values() -> None:
    settings = Settings.from_environment(environment(the(render(), "Deployment")))
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
def test_images(image: dict[str, str], name: str) -> None:
    assert container(the(render(image=image), "Deployment"))["image"] == name
    trainer = environment(the(render(trainerImage={"repository": "modelmonitor/operator", **image}), "Deployment"))
    assert trainer["TRAINER_IMAGE"] == name


def test_labels_of_the_user_do_not_break_the_selector() -> None:
    spec = the(render(podLabels={"app.kubernetes.io/name": "mine", "team": "x"}), "Deployment")["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert labels["team"] == "x"
    assert spec["selector"]["matchLabels"].items() <= labels.items()


def test_values_for_the_pod_arrive() -> None:
    template = the(render("namespaces-values.yaml"), "Deployment")["spec"]["template"]
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


def test_crd_is_the_generated_one_and_stays_when_the_release_goes() -> None:
    crd = the(render(), "CustomResourceDefinition")
    assert crd["spec"] == custom_resource_definition()["spec"]
    assert crd["metadata"]["name"] == "modelmonitors.modelmonitor.io"
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_crd_can_be_annotated_removable_or_left_out() -> None:
    crds = {"keep": False, "annotations": {"example.org/owner": "platform"}}
    assert the(render(crds=crds), "CustomResourceDefinition")["metadata"]["annotations"] == crds["annotations"]
    assert "annotations" not in the(render(crds={"keep": False}), "CustomResourceDefinition")["metadata"]
    assert not of_kind(render(crds={"enabled": False}), "CustomResourceDefinition")


# The schema of the values


@pytest.mark.parametrize(
    ("values", "said"),
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
        ({"imagePullSecrets": ["pull"]}, "imagePullSecrets"),
        ({"extraEnv": {"A": "b"}}, "extraEnv"),
        ({"livenessProbe": {"path": "/"}}, "path"),
        ({"replicas": 2}, "replicas"),
        ({"nodeSelector": {"disk": 1}}, "nodeSelector"),
    ],
)
def test_the_schema_refuses_what_makes_no_sense(values: dict[str, Any], said: str) -> None:
    with pytest.raises(HelmRefused, match="don't meet the specifications of the schema") as caught:
        render(**values)
    assert said in str(caught.value)


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

    for handed_down_by_a_parent_chart in ("global", "enabled"):
        del schema["properties"][handed_down_by_a_parent_chart]
    compare(values, schema, "")


def test_a_parent_chart_may_use_this_one() -> None:
    handed_down: dict[str, Any] = {"global": {"any": "thing"}, "enabled": True}
    assert render(**handed_down)


# Files made from the chart and the types


def test_generated_files_are_up_to_date(tmp_path: Path) -> None:
    subprocess.run([ROOT / "hack" / "manifests.sh", tmp_path], check=True, capture_output=True, text=True)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert [str(path) for path in made] == [
        "charts/modelmonitor/files/modelmonitors.yaml",
        "docs/reference/messages.md",
        "docs/reference/modelmonitor.md",
        "manifests/crd.yaml",
        "manifests/install.yaml",
    ]
    for path in made:
        assert (ROOT / path).read_text() == (tmp_path / path).read_text(), f"{path}: run `make manifests`"


def test_no_file_names_a_registry() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["image"]["registry"] == values["trainerImage"]["registry"] == ""
    for found in yaml.safe_load_all((ROOT / "manifests" / "install.yaml").read_text()):
        if found["kind"] == "Deployment":
            assert container(found)["image"].startswith("modelmonitor/operator:")
