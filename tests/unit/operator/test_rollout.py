"""A Deployment follows the champion, and a champion whose rollout fails is rolled back."""

from __future__ import annotations

from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_api.messages import RollbackRequest, decode_request
from modelmonitor_api.names import Role
from modelmonitor_operator.gateway import Forbidden, Invalid
from modelmonitor_operator.reconcile import Reconciler
from modelmonitor_trainer.registry.layout import ResultsLayout
from support.monitors import champion, check, run
from unit.operator.in_memory_cluster import NAMESPACE, SETTINGS, InMemoryCluster

ROLLOUT = {"metric": "ROCAUC", "rollout": {"deploymentRef": {"name": "scorer"}}}


@pytest.fixture
def cluster() -> InMemoryCluster:
    cluster = InMemoryCluster()
    cluster.add(promotion=ROLLOUT)
    return cluster


async def promote(cluster: InMemoryCluster, version: str) -> None:
    """Let a training end that makes `version` the champion."""
    if not cluster.of_role(Role.CHECK):
        await cluster.settle()
        cluster.pass_time(minutes=1)
        [job] = cluster.of_role(Role.CHECK)
        cluster.finish(job["metadata"]["name"], check(time=cluster.now, champion=None))
    else:
        cluster.annotate(names.ANNOTATION_RETRAIN_REQUESTED, version)
    await cluster.settle()
    training = cluster.of_role(Role.TRAIN)[-1]["metadata"]["name"]
    cluster.pass_time(minutes=9)
    served = champion(version).model_copy(update={"since": cluster.now})
    cluster.finish(training, run("Promoted", version, champion=served))
    await cluster.settle()


def template_of(cluster: InMemoryCluster) -> tuple[str | None, dict[str, Any]]:
    """Return the version on the pod template, and the environment of the first container."""
    template = cluster.deployments["scorer"]["spec"]["template"]
    version = template["metadata"].get("annotations", {}).get(names.ANNOTATION_CHAMPION)
    return version, {v["name"]: v["value"] for v in template["spec"]["containers"][0].get("env", [])}


async def test_without_a_rollout_no_deployment_is_read() -> None:
    cluster = InMemoryCluster()
    cluster.add()
    await promote(cluster, "v1-11111111")
    assert "RolledOut" not in {c["type"] for c in cluster.status()["conditions"]}
    assert "rollout" not in cluster.status()


async def test_the_deployment_is_updated_and_watched_until_it_is_available(cluster: InMemoryCluster) -> None:
    cluster.deploy()
    await promote(cluster, "v1-11111111")
    version, environment = template_of(cluster)
    assert version == "v1-11111111"
    assert environment == {
        "MODELMONITOR_MODEL_VERSION": "v1-11111111",
        "MODELMONITOR_MODEL_URI": ResultsLayout(f"s3://monitors/{NAMESPACE}/flights/").version("v1-11111111").folder,
    }
    assert cluster.deployments["scorer"]["metadata"]["labels"] == {names.LABEL_MONITOR: "flights"}
    assert cluster.condition("RolledOut") == ("False", "RolloutProgressing")
    cluster.deployed(available=1)
    await cluster.settle()
    assert cluster.condition("RolledOut") == ("False", "RolloutProgressing")
    cluster.deployed()
    await cluster.settle()
    assert cluster.condition("RolledOut") == ("True", "RolloutAvailable")
    assert cluster.status()["rollout"]["availableVersion"] == "v1-11111111"
    before = len(cluster.writes)
    await cluster.settle()
    assert len(cluster.writes) == before, "a rollout that is done costs no write"


async def test_pods_that_die_after_the_rollout_cause_no_rollback(cluster: InMemoryCluster) -> None:
    cluster.deploy()
    await promote(cluster, "v1-11111111")
    cluster.deployed()
    await cluster.settle()
    cluster.deployed(available=0, late=False)
    await cluster.settle()
    assert cluster.condition("RolledOut") == ("True", "RolloutAvailable")


async def test_a_version_that_does_not_become_available_is_rolled_back_once(cluster: InMemoryCluster) -> None:
    cluster.deploy()
    await promote(cluster, "v1-11111111")
    cluster.deployed()
    await cluster.settle()
    await promote(cluster, "v2-22222222")
    assert template_of(cluster)[0] == "v2-22222222"
    cluster.deployed(available=1, late=True)
    await cluster.settle()
    assert cluster.condition("RolledOut") == ("False", "RolloutFailed")
    assert "back to v1-11111111" in cluster.status()["rollout"]["message"]
    [job] = cluster.of_role(Role.ROLLBACK)
    request = decode_request(job["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_REQUEST])
    assert isinstance(request, RollbackRequest)
    assert (request.to, request.instead_of) == ("v1-11111111", "v2-22222222")
    assert (request.reason, request.message) == ("RolloutFailed", cluster.status()["rollout"]["message"])
    await cluster.settle()
    assert len(cluster.of_role(Role.ROLLBACK)) == 1
    cluster.pass_time(minutes=1)
    back = champion("v1-11111111").model_copy(update={"since": cluster.now})
    cluster.finish(job["metadata"]["name"], run("RolledBack", "v1-11111111", champion=back))
    await cluster.settle()
    assert template_of(cluster)[0] == "v1-11111111"
    cluster.deployed()
    await cluster.settle()
    assert cluster.condition("RolledOut") == ("True", "RolloutAvailable")
    reasons = [event["reason"] for event in cluster.events]
    assert reasons.count("RolloutFailed") == 1


async def test_a_first_version_that_does_not_become_available_is_not_rolled_back(cluster: InMemoryCluster) -> None:
    cluster.deploy()
    await promote(cluster, "v1-11111111")
    cluster.deployed(available=0, late=True)
    await cluster.settle()
    assert cluster.condition("RolledOut") == ("False", "RolloutFailed")
    assert not cluster.of_role(Role.ROLLBACK)


async def test_a_manual_change_of_the_version_is_reverted(cluster: InMemoryCluster) -> None:
    cluster.deploy()
    await promote(cluster, "v1-11111111")
    cluster.deployed()
    await cluster.settle()
    cluster.deployments["scorer"]["spec"]["template"]["metadata"]["annotations"] = {}
    await cluster.settle()
    assert template_of(cluster)[0] == "v1-11111111"


async def test_a_deadline_of_an_earlier_template_is_not_taken_for_this_ones(cluster: InMemoryCluster) -> None:
    cluster.deploy()
    cluster.deployed(available=0, late=True)
    await promote(cluster, "v1-11111111")
    assert cluster.condition("RolledOut") == ("False", "RolloutProgressing")


@pytest.mark.parametrize(
    ("container", "deployed", "problem"),
    [(None, False, "does not exist"), ("model", True, "no container 'model'")],
)
async def test_a_deployment_that_cannot_be_updated_is_reported(
    container: str | None, deployed: bool, problem: str
) -> None:
    cluster = InMemoryCluster()
    target = {"deploymentRef": {"name": "scorer"}} | ({"container": container} if container else {})
    cluster.add(promotion={"metric": "ROCAUC", "rollout": target})
    if deployed:
        cluster.deploy()
    await promote(cluster, "v1-11111111")
    assert cluster.condition("RolledOut") == ("False", "RolloutBlocked")
    assert problem in cluster.status()["rollout"]["message"]
    assert cluster.condition("Ready") == ("True", "Accepted")


@pytest.mark.parametrize("error", [Forbidden("deployments is forbidden"), Invalid("spec.template: not so")])
async def test_a_rejected_update_of_the_deployment_stops_nothing_else(
    cluster: InMemoryCluster, error: Exception
) -> None:
    cluster.deploy()
    cluster.refuse["apply_deployment"] = error
    await promote(cluster, "v1-11111111")
    assert cluster.condition("RolledOut") == ("False", "RolloutBlocked")
    assert str(error) in cluster.status()["rollout"]["message"]
    assert cluster.condition("Ready") == ("True", "Accepted")


async def test_a_missing_right_is_reported_with_the_chart_value_that_grants_it(cluster: InMemoryCluster) -> None:
    cluster.deploy()
    await promote(cluster, "v1-11111111")
    settings = type(SETTINGS)(trainer_image=SETTINGS.trainer_image)
    await Reconciler(cluster, settings, lambda: cluster.now).reconcile(NAMESPACE, "flights")
    assert cluster.condition("RolledOut") == ("False", "RolloutBlocked")
    assert "rollouts.enabled=true" in cluster.status()["rollout"]["message"]


async def test_a_rollout_that_is_removed_from_the_spec_leaves_no_condition(cluster: InMemoryCluster) -> None:
    cluster.deploy()
    await promote(cluster, "v1-11111111")
    cluster.edit(promotion={"rollout": None})
    await cluster.settle()
    assert "RolledOut" not in {c["type"] for c in cluster.status()["conditions"]}
    assert "rollout" not in cluster.status()
