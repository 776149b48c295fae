"""The chart's values for notifications, as the operator reads them."""

from __future__ import annotations

from typing import Any

import pytest

from chart.helm import HelmError, Object, container, of_kind, only, render, without_ui
from modelmonitor_operator.settings import Settings

VALUES = "notifications-values.yaml"


def variables(objects: list[Object]) -> dict[str, Object]:
    deployment = only(without_ui(objects), "Deployment")
    return {each["name"]: each for each in container(deployment)["env"]}


def test_the_operator_understands_them() -> None:
    environment = variables(render(VALUES))
    assert environment["NOTIFICATIONS_TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "events-token", "key": "token"}}
    settings = Settings.from_environment({name: each["value"] for name, each in environment.items() if "value" in each})
    assert settings.notifications_url == "https://events.example/hooks/ml"
    assert settings.notifications_types == ("Drift", "Corrupted", "Promoted", "TrainingFailed")
    assert settings.pages_url == "https://models.example/ml"


def test_by_default_there_are_none() -> None:
    assert not {"NOTIFICATIONS_URL", "NOTIFICATIONS_TOKEN", "NOTIFICATIONS_TYPES"} & variables(render()).keys()


def test_the_network_policy_lets_the_operator_reach_the_receiver() -> None:
    egress = only(of_kind(render(VALUES), "NetworkPolicy"), "NetworkPolicy")["spec"]["egress"]
    assert {"ports": [{"port": 443}], "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]} in egress
    without = only(of_kind(render(networkPolicy={"enabled": True}), "NetworkPolicy"), "NetworkPolicy")
    assert len(without["spec"]["egress"]) == len(egress) - 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"url": "ftp://events.example"}, "url"),
        ({"url": "https://user:password@events.example"}, "url"),
        ({"url": "https://events.example", "types": ["drift!"]}, "types"),
        ({"urls": []}, "urls"),
    ],
)
def test_values_that_cannot_work_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmError, match=message):
        render(notifications={"cloudEvents": values})


def test_the_host_of_the_pages_is_allowed() -> None:
    ui = {"enabled": True, "results": ["s3://r/"], "externalURL": "https://models.example:8443/ml"}
    deployments = of_kind(render(ui=ui), "Deployment")
    arguments = [argument for each in deployments for argument in container(each).get("args", [])]
    assert "--allowed-host=models.example" in arguments
