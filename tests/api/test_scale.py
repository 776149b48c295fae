"""Many monitors at once, with one small operator; the figures for a thousand are the benchmarks' business."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from modelmonitor_api.names import KIND
from support.client import Client
from support.monitors import monitor
from support.operator import OperatorProcess
from support.processes import wait_until
from support.scene import Scene

MONITORS = 150


def test_many_monitors(make_operator: Callable[..., OperatorProcess], cluster: Client, namespace: str) -> None:
    operator = make_operator(RESYNC_SECONDS="2", LOG_LEVEL="debug")
    operator.start()
    for number in range(MONITORS):
        # Suspended, because it is the operator that is put to the test and not the Job controller.
        cluster.create(monitor(f"monitor-{number:03}", suspend=True), namespace)

    def ready() -> bool:
        listed = cluster.list(KIND, namespace)
        missing = [each["metadata"]["name"] for each in listed if not each.get("status", {}).get("conditions")]
        assert not missing, f"{len(missing)} of {len(listed)} monitors have no condition yet"
        return True

    wait_until(ready, "conditions of all monitors")
    assert len(cluster.list("CronJob", namespace)) == MONITORS
    scene = Scene(cluster, namespace, f"(log: {operator.log})")
    scene.wait_resyncs()
    scene.settle("monitor-000")

    def passes_on_the_server() -> int:
        return operator.output().count("is read from the API server")

    scene.patch({"spec": {"schedule": "59 23 31 12 *"}}, "monitor-000")
    scene.wait(lambda: scene.cron_job("monitor-000")["spec"]["schedule"] == "59 23 31 12 *", "the edit")
    scene.settle("monitor-000")
    assert passes_on_the_server() > 0, "an edit is a pass on the API server"
    writes, passes = cluster.writes(), passes_on_the_server()
    scene.wait_resyncs()
    assert cluster.writes() == writes, "a resync with nothing changed must not write"
    assert passes_on_the_server() == passes, "what the watches have shown must not be read again"
    assert psutil.Process(operator.pid).memory_info().rss < 128 * 2**20


def test_an_edit_overtakes_new_monitors_and_the_resync(
    make_operator: Callable[..., OperatorProcess], cluster: Client, namespace: str
) -> None:
    operator = make_operator()
    operator.start()
    scene = Scene(cluster, namespace, f"(log: {operator.log})")
    scene.create(monitor("edited", suspend=True))
    scene.wait_ready("edited")
    operator.stop()
    for number in range(MONITORS):
        cluster.create(monitor(f"monitor-{number:03}", suspend=True), namespace)
    scene.patch({"spec": {"schedule": "59 23 31 12 *"}}, "edited")
    operator.start()

    def all_applied() -> bool:
        return len(cluster.list("CronJob", namespace)) == MONITORS + 1

    scene.wait(all_applied, "CronJobs of all monitors")
    # The versions of objects are in the order of their writes.
    versions = {
        each["metadata"]["name"]: int(each["metadata"]["resourceVersion"])
        for each in cluster.list("CronJob", namespace)
    }
    edited = scene.cron_job("edited")
    assert edited["spec"]["schedule"] == "59 23 31 12 *"
    later = [name for name, version in versions.items() if version > int(edited["metadata"]["resourceVersion"])]
    assert len(later) > MONITORS - 40, "at most those whose passes had begun are written before the edit"
