"""The promises of the operator, judged by what it has written and what a user sees, and a story that asks for them.

At most one training Job for a decision, one change of the champion, no verdict lost, and a status that is true.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from modelmonitor_api.names import LABEL_NUMBER, LABEL_ROLE, PLURAL, ConditionType, Reason, Role
from support import monitors
from support.bent_api import BentApi
from support.client import Object
from support.scene import Scene

BEFORE, AFTER = monitors.champion().version, "v2-22222222"
#: The parts of the story, in their order.
CREATED, CHECKED, TRAINED, TOLD = "created", "checked", "trained", "told"


def tell(scene: Scene, name: str = "flights", between: Callable[[str], object] = lambda _: None) -> None:
    """Tell the story: a monitor is created, a check finds drift, a training promotes a version.

    Parameters
    ----------
    scene
        Where it happens.
    name
        Name of the monitor.
    between
        Is called before each part, and at the end, with the part.
    """
    between(CREATED)
    scene.create(monitors.monitor(name))
    between(CHECKED)
    scene.finish(Role.CHECK, monitors.check("Drift", champion=monitors.champion()), name)
    between(TRAINED)
    scene.finish(Role.TRAIN, monitors.run("Promoted", AFTER), name)
    between(TOLD)


def keep_promises(scene: Scene, api: BentApi, name: str = "flights") -> None:
    """Assert the promises at the end of the story, after a restart or a fault in the midst of it."""
    scene.wait_condition(ConditionType.TRAINING, "False", Reason.PROMOTED, name)
    status = scene.settle(name)["status"]
    conditions = {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}
    generation = scene.monitor(name)["metadata"]["generation"]
    assert status["observedGeneration"] == generation
    assert conditions["Ready"] == ("True", "Accepted"), conditions
    assert conditions["DriftDetected"] == ("True", "Drift"), conditions
    assert status["lastCheck"]["verdict"] == "Drift"
    assert status["lastTraining"]["number"] == 1
    assert status["lastTraining"]["outcome"] == "Promoted"
    assert status["champion"]["version"] == AFTER
    assert [entry["action"] for entry in status["history"]] == ["Promoted", "TrainingStarted"], status["history"]
    assert len(status["recentJobs"]) == 2, status["recentJobs"]
    assert not status.get("waitingJobs")
    assert scene.training_numbers(name) == [1]
    assert len(scene.jobs(Role.CHECK, name)) == 1
    assert created_trainings(api, scene.namespace, name) == [1]
    assert champions(api, scene.namespace, name) == [BEFORE, AFTER]
    scene.cron_job(name)


def created_trainings(api: BentApi, namespace: str, name: str) -> list[int]:
    """Return the numbers of the training Jobs that were ever created for a monitor, deleted ones included."""
    jobs = _written(api, "create", "jobs", namespace)
    return [
        int(job["metadata"]["labels"][LABEL_NUMBER])
        for job in jobs
        if job["metadata"]["labels"].get(LABEL_ROLE) == Role.TRAIN.value
        and job["metadata"]["ownerReferences"][0]["name"] == name
    ]


def champions(api: BentApi, namespace: str, name: str) -> list[str]:
    """Return the champions that the status of a monitor has named, one after the other."""
    versions = [
        str(monitor["status"].get("champion", {}).get("version", ""))
        for monitor in _written(api, "patch", f"{PLURAL}/status", namespace)
        if monitor["metadata"]["name"] == name
    ]
    return [version for version, _ in groupby(versions) if version]


def _written(api: BentApi, verb: str, resource: str, namespace: str) -> list[Object]:
    return [
        body
        for call, body in list(api.writes)
        if (call.verb, call.resource, call.namespace) == (verb, resource, namespace)
    ]
