"""The objects of the chart for the pages over the monitors."""

from __future__ import annotations

from typing import Any

import pytest

from chart.helm import NAMESPACE, HelmError, Object, container, of_kind, only, render, without_ui
from modelmonitor_trainer.cli.main import build_parser

VALUES = "ui-values.yaml"
NAME = "test-modelmonitor-ui"


def of_ui(objects: list[Object]) -> list[Object]:
    """Return the objects of the pages."""
    return [each for each in objects if each not in without_ui(objects)]


def test_by_default_there_are_no_pages() -> None:
    assert of_ui(render()) == []


def test_the_pages_can_read_monitors_and_nothing_else() -> None:
    objects = of_ui(render(VALUES))
    rules = [{"apiGroups": ["modelmonitor.io"], "resources": ["modelmonitors"], "verbs": ["get", "list"]}]
    roles = of_kind(objects, "Role", "ClusterRole")
    assert [(role["metadata"]["namespace"], role["rules"]) for role in roles] == [("team-a", rules), ("team-b", rules)]
    account = only(objects, "ServiceAccount")["metadata"]["name"]
    for binding in of_kind(objects, "RoleBinding"):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]
        assert binding["roleRef"]["name"] == NAME
    pod = only(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account

    everywhere = of_ui(render(ui={"enabled": True, "results": ["s3://r/"]}, watchAllNamespaces=True))
    assert only(everywhere, "ClusterRole")["rules"] == rules
    assert not of_kind(everywhere, "Role", "RoleBinding")


def test_the_program_understands_its_arguments() -> None:
    pod = container(only(of_ui(render(VALUES)), "Deployment"))
    args = build_parser().parse_args(pod["args"])
    assert (args.in_cluster, args.address, args.port) == (True, "0.0.0.0", pod["ports"][0]["containerPort"])
    assert args.results == ["s3://results/", "s3://other/models/"]
    assert args.watch_namespace == ["team-a", "team-b"]
    assert args.allowed_host == [NAME, f"{NAME}.{NAMESPACE}", f"{NAME}.{NAMESPACE}.svc", "models.example"]


def test_credentials_are_those_of_a_secret_or_of_the_service_account() -> None:
    deployment = only(of_ui(render(VALUES)), "Deployment")
    variables = {each["name"]: each for each in container(deployment)["env"]}
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert variables[key]["valueFrom"] == {"secretKeyRef": {"name": "results-reader", "key": key}}
    assert variables["AWS_ENDPOINT_URL_S3"]["value"] == "https://s3.example"
    own = only(of_ui(render(ui={"enabled": True, "results": ["s3://r/"]})), "Deployment")
    assert [each["name"] for each in container(own)["env"]] == ["HOME"]


def test_neither_service_selects_the_pods_of_the_other() -> None:
    objects = render(VALUES)
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in of_kind(objects, "Deployment")]
    for owner in of_kind(objects, "Service", "Deployment"):
        selector = owner["spec"]["selector"].get("matchLabels", owner["spec"]["selector"])
        assert sum(selector.items() <= labels.items() for labels in pods) == 1, owner["metadata"]["name"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"enabled": True}, "ui.results is empty, so no results could be shown"),
        ({"enabled": True, "results": ["results/"]}, "results"),
        ({"enabled": True, "results": ["s3://r/"], "port": 9}, "port"),
    ],
)
def test_values_that_cannot_work_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmError, match=message):
        render(ui=values)
