"""What others do to a monitor and its children, and a clock that is wrong: the promises hold all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelmonitor_api import names
from modelmonitor_api.names import KIND, ConditionType, FailureReason, Reason, Role
from support import monitors
from support.apiserver import ApiServer
from support.bent_operator import bent_operator
from support.client import Object
from support.jobs import finish
from support.monitors import monitor
from support.promises import AFTER, keep_promises, tell
from support.scene import Scene, with_champion


@pytest.mark.parametrize("seconds", [86400, -86400], ids=["ahead", "behind"])
def test_a_clock_that_is_a_day(api_server: ApiServer, namespace: str, tmp_path: Path, seconds: int) -> None:
    with bent_operator(api_server, tmp_path, f"{namespace}-home", CLOCK_AHEAD_SECONDS=str(seconds)) as bent:
        bent.operator.start()
        scene = Scene(api_server.client, namespace, f"(log: {bent.operator.log})")
        tell(scene)
        keep_promises(scene, bent.api)


def restore(scene: Scene, backup: Object) -> None:
    """Replace the status of a monitor by that of a backup."""
    scene.cluster.replace(scene.monitor() | {"status": backup["status"]}, subresource="status")


def test_a_status_from_an_old_backup_is_brought_up_to_date(scene: Scene) -> None:
    with_champion(scene)
    scene.settle()
    old = scene.monitor()
    scene.drift("1")
    scene.finish(Role.TRAIN, monitors.run("Promoted", AFTER))
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.PROMOTED)
    before = scene.settle()["status"]
    restore(scene, old)

    def restored() -> bool:
        after = scene.status()
        for field in ("lastCheck", "lastTraining", "champion", "history", "trainings", "handledRequests"):
            assert after.get(field) == before[field], field
        return True

    scene.wait(restored, "the status as it was before the backup was restored")
    scene.settle()
    assert scene.training_numbers() == [1]
    assert len(scene.jobs(Role.CHECK)) == 2


def test_a_backup_from_before_a_training_that_runs_starts_no_second_one(scene: Scene) -> None:
    with_champion(scene)
    old = scene.settle()
    scene.drift("1")
    training = scene.running_job(Role.TRAIN)
    scene.wait_condition(ConditionType.TRAINING, "True")
    scene.settle()
    restore(scene, old)
    scene.wait_condition(ConditionType.TRAINING, "True")
    scene.finish(Role.TRAIN, monitors.run("Promoted", AFTER))
    scene.wait(lambda: scene.status()["champion"]["version"] == AFTER, "the new champion")
    scene.settle()
    assert scene.training_numbers() == [1]
    assert scene.jobs(Role.TRAIN)[0]["metadata"]["uid"] == training["metadata"]["uid"]


def test_children_that_a_deleted_monitor_has_left_are_named_and_kept(scene: Scene) -> None:
    """As after ``kubectl delete --cascade=orphan``: they belong to no one, and may be in use."""
    scene.create(monitor())
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    training = scene.running_job(Role.TRAIN)
    scene.wait_condition(ConditionType.TRAINING, "True")
    scene.cluster.delete(KIND, "flights", scene.namespace, policy="Orphan")
    cron_job = names.cron_job_name("flights")

    def orphaned() -> bool:
        return not scene.cluster.get("CronJob", cron_job, scene.namespace)["metadata"].get("ownerReferences")

    scene.wait(orphaned, "orphaned CronJob")
    scene.wait(lambda: scene.cluster.find(KIND, "flights", scene.namespace) is None, "end of the monitor")
    scene.create(monitor())
    collision = scene.wait_condition(ConditionType.READY, "False", Reason.NAME_COLLISION)
    assert cron_job in collision["message"]
    scene.settle()
    assert not scene.status().get("lastTraining"), "a Job of the predecessor is not one of this monitor"
    finish(scene.cluster, training, monitors.run("Promoted", AFTER))
    scene.cluster.delete("CronJob", cron_job, scene.namespace)
    scene.patch({"metadata": {"labels": {"touched": "true"}}})
    scene.wait_ready()
    assert scene.running_job(Role.CHECK)["metadata"]["uid"] != training["metadata"]["uid"]
    scene.settle()
    assert "champion" not in scene.status()


def test_a_monitor_that_is_deleted_while_it_trains_and_created_again(scene: Scene) -> None:
    first = scene.create(monitor())
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    old = scene.running_job(Role.TRAIN)
    scene.cluster.delete(KIND, "flights", scene.namespace)
    second = scene.create(monitor())

    def collected() -> bool:
        return scene.cluster.find("Job", old["metadata"]["name"], scene.namespace) is None

    scene.wait(collected, "end of the training of the deleted monitor")
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    training = scene.running_job(Role.TRAIN)
    assert training["metadata"]["name"] == names.training_job_name("flights", second["metadata"]["uid"], 1)
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    scene.finish(Role.TRAIN, monitors.run("Promoted", AFTER))
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.PROMOTED)
    scene.settle()
    assert scene.training_numbers() == [1]


HOSTILE = {
    "deep": "[" * 4000,
    "null characters": '{"kind": "Run", "outcome": "\\u0000"}',
    "markup": '{"kind": "Run", "outcome": "<script>alert(1)</script>"}',
    "infinity": '{"kind": "Run", "outcome": "Promoted", "version": Infinity}',
}


@pytest.mark.parametrize("verdict", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_verdict_is_a_failure_and_changes_no_champion(scene: Scene, verdict: str) -> None:
    with_champion(scene)
    scene.drift("1")
    scene.finish(Role.TRAIN, verdict)
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.BACKING_OFF)
    status = scene.settle()["status"]
    assert status["history"][0]["reason"] == FailureReason.NO_VERDICT
    assert status["champion"]["version"] == monitors.champion().version
    assert scene.training_numbers() == [1]
