"""The operator can be stopped or killed at any moment, or be down for a while: the result is the same."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

import pytest

from modelmonitor_api import names
from modelmonitor_api.messages import TrainRequest
from modelmonitor_api.names import KIND, ConditionType, Reason, Role
from support import monitors
from support.client import Client
from support.jobs import finish, request_of
from support.monitors import monitor
from support.operator import OperatorProcess
from support.scene import Scene, with_champion


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_between_any_two_steps_changes_nothing(
    own_scene: Scene, operator: OperatorProcess, how: Literal["stop", "kill"]
) -> None:
    scene = own_scene
    scene.create(monitor())
    check = scene.running_job(Role.CHECK)
    operator.restart(how)
    finish(scene.cluster, check, monitors.check("Inconclusive"))
    training = scene.running_job(Role.TRAIN)
    operator.restart(how)
    scene.wait_condition(ConditionType.TRAINING, "True", Reason.NO_CHAMPION)
    finish(scene.cluster, training, monitors.run("Promoted"))
    operator.restart(how)
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.PROMOTED)
    scene.request_check("1", monitors.check("Drift", champion=monitors.run().champion))
    operator.restart(how)
    scene.finish(Role.TRAIN, monitors.run("Rejected", "v2-11111111"))
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.REJECTED)
    operator.restart(how)
    status = scene.settle()["status"]
    assert scene.training_numbers() == [1, 2]
    assert len(scene.jobs(Role.CHECK)) == 2
    actions = [entry["action"] for entry in status["history"]]
    assert actions == ["Rejected", "TrainingStarted", "Promoted", "TrainingStarted"]
    assert status["champion"]["version"] == "v1-0a1b2c3d"
    assert len(status["trainings"]) == 2


def test_the_operator_catches_up_with_what_happened_while_it_was_down(
    own_scene: Scene, operator: OperatorProcess
) -> None:
    scene = own_scene
    scene.create(monitor())
    check = scene.running_job(Role.CHECK)
    scene.wait_ready()
    operator.kill()
    finish(scene.cluster, check, monitors.check("NoDrift"))
    scene.patch({"spec": {"schedule": "5 4 * * *"}})
    scene.create(monitor("second"))
    operator.start()
    training = scene.running_job(Role.TRAIN)
    scene.wait_ready()
    assert scene.cron_job()["spec"]["schedule"] == "5 4 * * *"
    scene.wait_ready("second")
    operator.kill()
    finish(scene.cluster, training, monitors.run("Promoted"))
    scene.cluster.delete("CronJob", names.cron_job_name("flights"), scene.namespace)
    scene.cluster.delete(KIND, "second", scene.namespace)
    operator.start()
    scene.wait(lambda: scene.status().get("champion"), "champion")
    scene.cron_job()
    scene.wait(lambda: scene.cluster.find("CronJob", "second-check", scene.namespace) is None, "end of the second")
    scene.settle()
    assert scene.training_numbers() == [1]


def test_verdicts_of_several_checks_count_in_the_order_of_their_ends(
    own_scene: Scene, operator: OperatorProcess
) -> None:
    scene = own_scene
    with_champion(scene, sensitivity={"consecutiveChecks": 3})
    champion = monitors.champion()
    scene.drift("1")
    scene.annotate(names.ANNOTATION_CHECK_REQUESTED, "2")
    second = scene.running_job(Role.CHECK)
    operator.stop()
    finish(scene.cluster, second, monitors.check("NoDrift", champion=champion))
    operator.start()
    for token in ("3", "4", "5"):
        assert scene.training_numbers() == []
        scene.drift(token)
    scene.running_job(Role.TRAIN)
    scene.wait(lambda: scene.status()["lastCheck"]["consecutiveDrifts"] == 3, "three drifts in a row")


def test_the_next_check_restores_the_champion_of_a_verdict_whose_pod_is_gone(
    own_scene: Scene, operator: OperatorProcess
) -> None:
    scene = own_scene
    scene.create(monitor())
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    training = scene.running_job(Role.TRAIN)
    scene.wait_condition(ConditionType.TRAINING, "True")
    operator.kill()
    finish(scene.cluster, training, monitors.run("Promoted"))
    for pod in scene.cluster.list("Pod", scene.namespace, **{names.LABEL_ROLE: "train"}):
        scene.cluster.delete("Pod", pod["metadata"]["name"], scene.namespace)
    operator.start()
    scene.wait(lambda: scene.status()["lastTraining"].get("outcome") == "Failed", "failed training")
    assert "no verdict" in scene.status()["lastTraining"]["message"]
    scene.request_check("1", monitors.check("NoDrift", champion=monitors.run().champion))
    scene.wait(lambda: scene.status().get("champion"), "champion from the pointer in the object store")
    scene.settle()
    assert scene.training_numbers() == [1]


def test_kills_at_random_moments_never_start_a_training_twice(own_scene: Scene, operator: OperatorProcess) -> None:
    """The sleeps choose the moment of a kill. No assertion depends on what the operator has done by then.

    On a slow machine it has done less, perhaps nothing; what follows waits for conditions.
    """
    scene, generator = own_scene, random.Random(20130101)

    def is_rejected(number: int) -> bool:
        training = scene.status().get("lastTraining", {})
        return (training.get("number"), training.get("outcome")) == (number, "Rejected")

    with_champion(scene, retraining={"budget": {"count": 100, "perDays": 1}})
    for number in range(1, 5):
        scene.annotate(names.ANNOTATION_RETRAIN_REQUESTED, str(number))
        time.sleep(generator.uniform(0, 0.12))
        operator.restart("kill")
        training = scene.running_job(Role.TRAIN)
        assert request_of(training, TrainRequest).number == number
        finish(scene.cluster, training, monitors.run("Rejected"))
        time.sleep(generator.uniform(0, 0.12))
        operator.restart("kill")
        # The condition can be that of the training before, which ended in the same way.
        scene.wait(partial(is_rejected, number), f"end of training {number}")
    scene.settle()
    assert scene.training_numbers() == [1, 2, 3, 4]


def snapshot(scene: Scene) -> dict[str, str]:
    """Return the resourceVersion of every object of a namespace that the operator may write."""
    kinds = (KIND, "CronJob", "Job", "Event")
    objects = [(kind, each["metadata"]) for kind in kinds for each in scene.cluster.list(kind, scene.namespace)]
    return {f"{kind}/{metadata['name']}": metadata["resourceVersion"] for kind, metadata in objects}


def test_a_restart_and_a_resync_with_nothing_changed_write_nothing(
    make_operator: Callable[..., OperatorProcess], cluster: Client, namespace: str
) -> None:
    operator = make_operator(RESYNC_SECONDS="1")
    operator.start()
    scene = Scene(cluster, namespace, f"(log: {operator.log})")
    with_champion(scene)
    scene.drift("1")
    scene.finish(Role.TRAIN, monitors.run("Rejected"))
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.REJECTED)
    scene.create(monitor("corrupted"))
    scene.finish(Role.CHECK, monitors.check("Corrupted"), "corrupted")
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.CORRUPTED_DATA, "corrupted")
    scene.create(monitor("invalid", schedule="61 * * * *"))
    scene.wait_condition(ConditionType.STALLED, "True", name="invalid")
    scene.create(monitor("suspended", suspend=True))
    scene.wait_ready("suspended")
    scene.create(monitor("running"))
    scene.finish(Role.CHECK, monitors.check("NoDrift"), "running")
    scene.wait_condition(ConditionType.TRAINING, "True", name="running")
    for name in ("flights", "corrupted", "invalid", "suspended", "running"):
        scene.settle(name)
    before, writes = snapshot(scene), cluster.writes()
    scene.wait_resyncs()
    operator.restart()
    scene.wait_resyncs()
    assert snapshot(scene) == before
    assert cluster.writes() == writes


def test_an_upgrade_reaches_the_cron_jobs_and_checks_nothing_by_itself(
    make_operator: Callable[..., OperatorProcess], cluster: Client, namespace: str
) -> None:
    old, new = make_operator(TRAINER_IMAGE="trainer:1"), make_operator(TRAINER_IMAGE="trainer:2")
    old.start()
    scene = Scene(cluster, namespace, f"(logs: {old.log}, {new.log})")
    with_champion(scene)
    assert old.stop() == 0
    new.start()

    def image() -> str:
        pod = scene.cron_job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        return str(pod["containers"][0]["image"])

    scene.wait(lambda: image() == "trainer:2", "CronJob with the new image")
    scene.settle()
    assert len(scene.jobs()) == 1
