"""Rights taken away, a status lost, two operators at once, an API server that is away: nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelmonitor_api import names
from modelmonitor_api.messages import TrainRequest
from modelmonitor_api.names import KIND, ConditionType, Reason, Role
from support import monitors
from support.apiserver import ApiServer
from support.client import Client, Object
from support.jobs import request_of
from support.monitors import monitor
from support.operator import OperatorProcess
from support.scene import Scene, with_champion

#: The Role that the chart makes for the operator.
ROLE = "modelmonitor"


def without_rule(role: Object, resource: str, verb: str) -> Object:
    """Return a Role that no longer allows a verb on a resource."""
    rules = []
    for rule in role["rules"]:
        if resource in rule["resources"]:
            others = [each for each in rule["resources"] if each != resource]
            rules += [rule | {"resources": others}] if others else []
            rules += [rule | {"resources": [resource], "verbs": [each for each in rule["verbs"] if each != verb]}]
        else:
            rules.append(rule)
    return {"rules": [rule for rule in rules if rule["verbs"]]}


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "retrying"])
def test_a_job_that_was_created_before_the_status_could_not_be_written(
    own_scene: Scene, operator: OperatorProcess, killed: bool
) -> None:
    """The window between creating a training Job and writing it down, held open by taking a right away."""
    scene, cluster = own_scene, own_scene.cluster
    with_champion(scene)
    scene.settle()
    role = cluster.get("Role", ROLE, scene.namespace)
    cluster.patch("Role", ROLE, scene.namespace, without_rule(role, f"{names.PLURAL}/status", "patch"))
    before = scene.status()
    scene.annotate(names.ANNOTATION_RETRAIN_REQUESTED, "1")
    training = scene.running_job(Role.TRAIN)
    assert scene.status() == before
    if killed:
        operator.kill()
    cluster.patch("Role", ROLE, scene.namespace, {"rules": role["rules"]})
    if killed:
        operator.start()
    scene.wait_condition(ConditionType.TRAINING, "True", Reason.REQUESTED)
    scene.wait_handled("retrain", "1")
    assert scene.status()["lastTraining"]["jobName"] == training["metadata"]["name"]
    scene.finish(Role.TRAIN, monitors.run("Rejected"))
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.REJECTED)
    scene.settle()
    assert scene.training_numbers() == [1]


def test_a_training_whose_creation_was_forbidden_starts_later(own_scene: Scene, operator: OperatorProcess) -> None:
    scene, cluster = own_scene, own_scene.cluster
    with_champion(scene)
    role = cluster.get("Role", ROLE, scene.namespace)
    cluster.patch("Role", ROLE, scene.namespace, without_rule(role, "jobs", "create"))
    scene.annotate(names.ANNOTATION_RETRAIN_REQUESTED, "1")
    refused = scene.wait_condition(ConditionType.READY, "False")
    assert "jobs" in refused["message"]
    assert "forbidden" in refused["message"].lower()
    cluster.patch("Role", ROLE, scene.namespace, {"rules": role["rules"]})
    scene.patch({"metadata": {"labels": {"touched": "true"}}})
    scene.running_job(Role.TRAIN)
    scene.wait_ready()
    scene.settle()
    assert scene.training_numbers() == [1]


def test_a_failure_to_post_events_does_not_stop_the_operator(own_scene: Scene, operator: OperatorProcess) -> None:
    scene, cluster = own_scene, own_scene.cluster
    role = cluster.get("Role", ROLE, scene.namespace)
    cluster.patch("Role", ROLE, scene.namespace, without_rule(role, "events", "create"))
    with_champion(scene)
    assert scene.events() == []
    before = scene.settle()["metadata"]["resourceVersion"]
    scene.settle()
    assert scene.monitor()["metadata"]["resourceVersion"] == before


def test_a_lost_status_is_rebuilt_from_the_jobs(own_scene: Scene, operator: OperatorProcess) -> None:
    scene = own_scene
    with_champion(scene)
    scene.annotate(names.ANNOTATION_RETRAIN_REQUESTED, "1")
    scene.finish(Role.TRAIN, monitors.run("Promoted", "v1-44444444"))
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.PROMOTED)
    scene.drift("2")
    scene.finish(Role.TRAIN, monitors.failure())
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.BACKING_OFF)
    before = scene.settle()
    lost = {key: before[key] for key in ("apiVersion", "kind", "metadata", "spec")}
    scene.cluster.replace(lost, subresource="status")
    scene.wait_ready()

    def rebuilt() -> bool:
        after = scene.status()
        for field in ("lastCheck", "lastTraining", "champion", "history", "trainings", "handledRequests"):
            assert after.get(field) == before["status"][field], field
        return True

    scene.wait(rebuilt, "the status as it was")
    scene.settle()
    assert scene.training_numbers() == [1, 2]
    assert len(scene.jobs(Role.CHECK)) == 2


def test_a_status_that_was_edited_manually_starts_no_second_training(
    own_scene: Scene, operator: OperatorProcess
) -> None:
    scene = own_scene
    scene.create(monitor())
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    scene.running_job(Role.TRAIN)
    scene.wait_condition(ConditionType.TRAINING, "True")
    scene.cluster.patch(
        KIND, "flights", scene.namespace, {"status": {"lastTraining": None, "trainings": []}}, subresource="status"
    )
    scene.wait(lambda: scene.status().get("lastTraining", {}).get("number") == 1, "the training, known again")
    scene.settle()
    assert scene.training_numbers() == [1]


def test_the_operator_survives_a_restart_of_the_api_server(
    own_scene: Scene, operator: OperatorProcess, api_server: ApiServer
) -> None:
    scene, pid = own_scene, operator.pid
    scene.create(monitor())
    scene.wait_ready()
    api_server.restart()
    scene.patch({"spec": {"schedule": "5 4 * * *"}})

    def edited() -> bool:
        assert scene.cron_job()["spec"]["schedule"] == "5 4 * * *"
        return True

    scene.wait(edited, "edited CronJob")
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    scene.running_job(Role.TRAIN)
    assert operator.pid == pid


def test_two_operators_at_once_start_one_training(
    make_operator: Callable[..., OperatorProcess], cluster: Client, namespace: str
) -> None:
    operators = [make_operator() for _ in range(2)]
    for each in operators:
        each.start()
    scene = Scene(cluster, namespace, f"(logs: {[str(each.log) for each in operators]})")
    with_champion(scene)
    for number in (1, 2):
        scene.drift(str(number))
        training = scene.running_job(Role.TRAIN)
        assert request_of(training, TrainRequest).number == number
        scene.finish(Role.TRAIN, monitors.run("Rejected"))
        scene.wait_condition(ConditionType.TRAINING, "False", Reason.REJECTED)
    status = scene.settle()["status"]
    assert scene.training_numbers() == [1, 2]
    assert len(scene.jobs(Role.CHECK)) == 3
    actions = [entry["action"] for entry in status["history"]]
    assert actions == ["Rejected", "TrainingStarted"] * 2


def test_an_operator_does_not_change_other_namespaces(own_scene: Scene, cluster: Client) -> None:
    other = f"{own_scene.namespace}-other"
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    created = cluster.create(monitor(), other)
    own_scene.create(monitor())
    own_scene.wait_ready()
    own_scene.settle()
    assert cluster.get(KIND, "flights", other) == created
    assert cluster.list("CronJob", other) == []
    cluster.delete("Namespace", other)


def test_the_operator_reports_missing_rights(make_operator: Callable[..., OperatorProcess]) -> None:
    operator = make_operator(TRAINER_IMAGE="")
    with pytest.raises(Exception, match="TRAINER_IMAGE is not set"):
        operator.start()
    operator.log.write_text("")
