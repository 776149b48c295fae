"""A Deployment follows the champion, and where it does not come up the champion goes back."""

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
from unit.operator.world import NAMESPACE, SETTINGS, World

ROLLOUT = {"metric": "ROCAUC", "rollout": {"deploymentRef": {"name": "scorer"}}}


@pytest.fixture
def world() -> World:
    world = World()
    world.add(promotion=ROLLOUT)
    return world


async def promote(world: World, version: str) -> None:
    """Let a training end that makes `version` the champion."""
    if not world.of_role(Role.CHECK):
        await world.settle()
        world.pass_time(minutes=1)
        [job] = world.of_role(Role.CHECK)
        world.finish(job["metadata"]["name"], check(time=world.now, champion=None))
    else:
        world.annotate(names.ANNOTATION_RETRAIN_REQUESTED, version)
    await world.settle()
    training = world.of_role(Role.TRAIN)[-1]["metadata"]["name"]
    world.pass_time(minutes=9)
    served = champion(version).model_copy(update={"since": world.now})
    world.finish(training, run("Promoted", version, champion=served))
    await world.settle()


def told(world: World) -> tuple[str | None, dict[str, Any]]:
    """Return the version on the pod template, and the environment of the first container."""
    template = world.deployments["scorer"]["spec"]["template"]
    version = template["metadata"].get("annotations", {}).get(names.ANNOTATION_CHAMPION)
    return version, {v["name"]: v["value"] for v in template["spec"]["containers"][0].get("env", [])}


async def test_without_a_rollout_no_deployment_is_looked_at() -> None:
    world = World()
    world.add()
    await promote(world, "v1-11111111")
    assert "RolledOut" not in {c["type"] for c in world.status()["conditions"]}
    assert "rollout" not in world.status()


async def test_the_deployment_is_told_and_watched_until_it_is_available(world: World) -> None:
    world.deploy()
    await promote(world, "v1-11111111")
    version, environment = told(world)
    assert version == "v1-11111111"
    assert environment == {
        "MODELMONITOR_MODEL_VERSION": "v1-11111111",
        "MODELMONITOR_MODEL_URI": ResultsLayout(f"s3://monitors/{NAMESPACE}/flights/").version("v1-11111111").folder,
    }
    assert world.deployments["scorer"]["metadata"]["labels"] == {names.LABEL_MONITOR: "flights"}
    assert world.condition("RolledOut") == ("False", "RolloutProgressing")
    world.deployed(available=1)
    await world.settle()
    assert world.condition("RolledOut") == ("False", "RolloutProgressing")
    world.deployed()
    await world.settle()
    assert world.condition("RolledOut") == ("True", "RolloutAvailable")
    assert world.status()["rollout"]["availableVersion"] == "v1-11111111"
    before = len(world.writes)
    await world.settle()
    assert len(world.writes) == before, "a rollout that is done costs no write"


async def test_pods_that_die_later_are_the_deployments_business(world: World) -> None:
    world.deploy()
    await promote(world, "v1-11111111")
    world.deployed()
    await world.settle()
    world.deployed(available=0, late=False)
    await world.settle()
    assert world.condition("RolledOut") == ("True", "RolloutAvailable")


async def test_a_version_that_does_not_come_up_is_rolled_back_once(world: World) -> None:
    world.deploy()
    await promote(world, "v1-11111111")
    world.deployed()
    await world.settle()
    await promote(world, "v2-22222222")
    assert told(world)[0] == "v2-22222222"
    world.deployed(available=1, late=True)
    await world.settle()
    assert world.condition("RolledOut") == ("False", "RolloutFailed")
    assert "back to v1-11111111" in world.status()["rollout"]["message"]
    [job] = world.of_role(Role.ROLLBACK)
    request = decode_request(job["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_REQUEST])
    assert isinstance(request, RollbackRequest)
    assert (request.to, request.instead_of) == ("v1-11111111", "v2-22222222")
    assert (request.reason, request.message) == ("RolloutFailed", world.status()["rollout"]["message"])
    await world.settle()
    assert len(world.of_role(Role.ROLLBACK)) == 1
    world.pass_time(minutes=1)
    back = champion("v1-11111111").model_copy(update={"since": world.now})
    world.finish(job["metadata"]["name"], run("RolledBack", "v1-11111111", champion=back))
    await world.settle()
    assert told(world)[0] == "v1-11111111"
    world.deployed()
    await world.settle()
    assert world.condition("RolledOut") == ("True", "RolloutAvailable")
    reasons = [event["reason"] for event in world.events]
    assert reasons.count("RolloutFailed") == 1


async def test_a_first_version_that_does_not_come_up_has_nowhere_to_go_back_to(world: World) -> None:
    world.deploy()
    await promote(world, "v1-11111111")
    world.deployed(available=0, late=True)
    await world.settle()
    assert world.condition("RolledOut") == ("False", "RolloutFailed")
    assert not world.of_role(Role.ROLLBACK)


async def test_a_hand_that_changes_the_version_is_put_right(world: World) -> None:
    world.deploy()
    await promote(world, "v1-11111111")
    world.deployed()
    await world.settle()
    world.deployments["scorer"]["spec"]["template"]["metadata"]["annotations"] = {}
    await world.settle()
    assert told(world)[0] == "v1-11111111"


async def test_a_deadline_of_an_earlier_template_is_not_taken_for_this_ones(world: World) -> None:
    world.deploy()
    world.deployed(available=0, late=True)
    await promote(world, "v1-11111111")
    assert world.condition("RolledOut") == ("False", "RolloutProgressing")


@pytest.mark.parametrize(
    ("container", "deployed", "says"),
    [(None, False, "does not exist"), ("model", True, "no container 'model'")],
)
async def test_what_cannot_be_told_is_said(container: str | None, deployed: bool, says: str) -> None:
    world = World()
    target = {"deploymentRef": {"name": "scorer"}} | ({"container": container} if container else {})
    world.add(promotion={"metric": "ROCAUC", "rollout": target})
    if deployed:
        world.deploy()
    await promote(world, "v1-11111111")
    assert world.condition("RolledOut") == ("False", "RolloutBlocked")
    assert says in world.status()["rollout"]["message"]
    assert world.condition("Ready") == ("True", "Accepted")


@pytest.mark.parametrize("error", [Forbidden("deployments is forbidden"), Invalid("spec.template: not so")])
async def test_an_api_server_that_refuses_stops_nothing_else(world: World, error: Exception) -> None:
    world.deploy()
    world.refuse["apply_deployment"] = error
    await promote(world, "v1-11111111")
    assert world.condition("RolledOut") == ("False", "RolloutBlocked")
    assert str(error) in world.status()["rollout"]["message"]
    assert world.condition("Ready") == ("True", "Accepted")


async def test_an_operator_without_the_right_says_which_value_gives_it(world: World) -> None:
    world.deploy()
    await promote(world, "v1-11111111")
    settings = type(SETTINGS)(trainer_image=SETTINGS.trainer_image)
    await Reconciler(world, settings, lambda: world.now).reconcile(NAMESPACE, "flights")
    assert world.condition("RolledOut") == ("False", "RolloutBlocked")
    assert "rollouts.enabled=true" in world.status()["rollout"]["message"]


async def test_a_rollout_that_is_not_wanted_any_more_leaves_no_condition(world: World) -> None:
    world.deploy()
    await promote(world, "v1-11111111")
    world.edit(promotion={"rollout": None})
    await world.settle()
    assert "RolledOut" not in {c["type"] for c in world.status()["conditions"]}
    assert "rollout" not in world.status()
