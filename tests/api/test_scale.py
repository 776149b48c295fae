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
    operator = make_operator(RESYNC_SECONDS="2")
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
    writes = cluster.writes()
    scene.wait_resyncs()
    assert cluster.writes() == writes, "a resync with nothing changed must not write"
    assert psutil.Process(operator.pid).memory_info().rss < 128 * 2**20
