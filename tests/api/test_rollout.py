"""A Deployment on a real API server, with the real Deployment controller: its fields, its deadline, its owner."""

from __future__ import annotations

from typing import Any

from modelmonitor_api import names
from modelmonitor_api.messages import RollbackRequest
from modelmonitor_api.names import ConditionType, Reason, Role
from support import monitors
from support.client import Object
from support.jobs import request_of
from support.monitors import monitor
from support.scene import Scene

PROMOTION = {"metric": "ROCAUC", "rollout": {"deploymentRef": {"name": "scorer"}}}
ENVIRONMENT = [{"name": "PORT", "value": "8080"}, {"name": names.VARIABLE_MODEL_URI, "value": "s3://by-hand/"}]


def deploy(scene: Scene, **spec: Any) -> None:
    """Create a Deployment of one replica, as a team of their own would."""
    # Pods need one, and its controller does not run here.
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    if scene.cluster.find("ServiceAccount", "default", scene.namespace) is None:
        scene.cluster.create(account, scene.namespace)
    restricted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "server", "image": "scorer:1", "env": ENVIRONMENT, "securityContext": restricted}
    scene.cluster.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "scorer"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "scorer"}},
                "template": {"metadata": {"labels": {"app": "scorer"}}, "spec": {"containers": [container]}},
            }
            | spec,
        },
        scene.namespace,
    )


def promoted(scene: Scene, version: str, **spec: Any) -> None:
    """Create a monitor whose first training makes `version` the champion."""
    scene.create(monitor(promotion=PROMOTION, **spec))
    scene.finish(Role.CHECK, monitors.check("Inconclusive"))
    scene.finish(Role.TRAIN, monitors.run("Promoted", version))


def template(scene: Scene) -> Object:
    """Return the pod template of the Deployment."""
    pod_template: Object = scene.cluster.get("Deployment", "scorer", scene.namespace)["spec"]["template"]
    return pod_template


def names_version(scene: Scene, version: str) -> bool:
    """Whether the pod template of the Deployment names `version`."""
    return bool(template(scene)["metadata"].get("annotations", {}).get(names.ANNOTATION_CHAMPION) == version)


def make_ready(scene: Scene, version: str) -> None:
    """Do what a kubelet does: let the pods of a version become ready."""

    def pods() -> list[Object]:
        all_pods = scene.cluster.list("Pod", scene.namespace, app="scorer")
        return [p for p in all_pods if p["metadata"].get("annotations", {}).get(names.ANNOTATION_CHAMPION) == version]

    [pod] = scene.wait(pods, f"a pod of {version}")
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2013-01-01T00:00:00Z"}
    change = {"status": {"phase": "Running", "conditions": [ready]}}
    scene.cluster.patch("Pod", pod["metadata"]["name"], scene.namespace, change, subresource="status")


def test_the_champion_reaches_the_deployment_and_nothing_else_of_it_changes(scene: Scene) -> None:
    deploy(scene)
    promoted(scene, "v1-11111111")
    scene.wait(lambda: names_version(scene, "v1-11111111"), "the version on the pod template")
    container = template(scene)["spec"]["containers"][0]
    assert {v["name"]: v["value"] for v in container["env"]} == {
        "PORT": "8080",
        names.VARIABLE_MODEL_VERSION: "v1-11111111",
        names.VARIABLE_MODEL_URI: f"s3://monitors/{scene.namespace}/flights/versions/v1-11111111/",
    }
    assert container["image"] == "scorer:1"
    scene.wait_condition(ConditionType.ROLLED_OUT, "False", Reason.ROLLOUT_PROGRESSING)
    make_ready(scene, "v1-11111111")
    # Without a resync: the Deployment's own events lead here.
    scene.wait_condition(ConditionType.ROLLED_OUT, "True", Reason.ROLLOUT_AVAILABLE)
    scene.wait_event(Reason.ROLLOUT_AVAILABLE)
    scene.settle()


def test_a_version_that_does_not_become_available_is_rolled_back(scene: Scene) -> None:
    deploy(scene, progressDeadlineSeconds=2)
    promoted(scene, "v1-11111111")
    make_ready(scene, "v1-11111111")
    scene.wait_condition(ConditionType.ROLLED_OUT, "True", Reason.ROLLOUT_AVAILABLE)
    scene.annotate(names.ANNOTATION_RETRAIN_REQUESTED, "now")
    scene.finish(Role.TRAIN, monitors.run("Promoted", "v2-22222222"))
    scene.wait_condition(ConditionType.ROLLED_OUT, "False", Reason.ROLLOUT_FAILED)
    rollback = scene.running_job(Role.ROLLBACK)
    assert request_of(rollback, RollbackRequest).to == "v1-11111111"
    scene.finish(Role.ROLLBACK, monitors.run("RolledBack", "v1-11111111"))
    scene.wait(lambda: names_version(scene, "v1-11111111"), "the version before on the pod template")
    scene.wait_condition(ConditionType.ROLLED_OUT, "True", Reason.ROLLOUT_AVAILABLE)
    assert scene.status()["champion"]["version"] == "v1-11111111"


def test_a_deployment_that_is_created_later_is_updated(scene: Scene) -> None:
    promoted(scene, "v1-11111111")
    condition = scene.wait_condition(ConditionType.ROLLED_OUT, "False", Reason.ROLLOUT_BLOCKED)
    assert "Deployment scorer does not exist" in condition["message"]
    deploy(scene)
    scene.wait(lambda: names_version(scene, "v1-11111111"), "the version on the pod template")
