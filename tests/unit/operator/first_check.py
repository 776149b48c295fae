"""The first check of a monitor on a cluster in memory."""

from __future__ import annotations

from typing import Any

from modelmonitor_api.names import Role
from support.monitors import check
from unit.operator.in_memory_cluster import InMemoryCluster


async def first_check(cluster: InMemoryCluster, **verdict: Any) -> str:
    """Apply a monitor and let its first check end; return the name of that check's Job."""
    if not cluster.monitors:
        cluster.add()
    await cluster.settle()
    [job] = cluster.of_role(Role.CHECK)
    cluster.pass_time(minutes=1)
    cluster.finish(job["metadata"]["name"], check(**{"time": cluster.now, "champion": None, **verdict}))
    await cluster.settle()
    return str(job["metadata"]["name"])
