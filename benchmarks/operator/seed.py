"""Monitors as they are after their first check, written without an operator: for numbers that would take it an hour."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

from fleet import end_job, monitor_of_fleet

from modelmonitor_api.names import KIND, Role
from modelmonitor_operator import manifests
from modelmonitor_operator.settings import Settings
from modelmonitor_operator.validation import validate_monitor
from modelmonitor_policy import INITIAL_CHECK, StartCheck
from support import monitors
from support.client import Client, Object
from unit.operator.in_memory_cluster import InMemoryCluster

_NAME = "seed"


def settled_status() -> tuple[Object, str, str]:
    """Return the status of a monitor after its first check, and the name and the UID of the Job in it."""

    async def live() -> InMemoryCluster:
        cluster = InMemoryCluster()
        cluster.now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        cluster.add(_NAME)
        cluster.monitors[_NAME]["spec"] = monitor_of_fleet(_NAME)["spec"]
        await cluster.settle(_NAME)
        [job] = cluster.of_role(Role.CHECK)
        cluster.finish(job["metadata"]["name"], monitors.check("NoDrift", champion=monitors.champion()))
        await cluster.settle(_NAME)
        return cluster

    cluster = asyncio.run(live())
    [job] = cluster.of_role(Role.CHECK)
    return cluster.status(_NAME), job["metadata"]["name"], job["metadata"]["uid"]


def seeder(cluster: Client, environment: Mapping[str, str]) -> Callable[[tuple[str, str]], Any]:
    """Return a function that creates a settled monitor with its CronJob and its first check."""
    settings = Settings.from_environment(environment)
    status, job_name, job_uid = settled_status()

    def seed(key: tuple[str, str]) -> None:
        namespace, name = key
        resource = cluster.create(monitor_of_fleet(name), namespace)
        monitor = validate_monitor(resource)
        cluster.create(manifests.cron_job(monitor, settings), namespace)
        manifest = manifests.job_of(monitor, settings, StartCheck(INITIAL_CHECK, requested=False))
        job = cluster.create(manifest, namespace)
        end_job(cluster, job)
        metadata = job["metadata"]
        text = json.dumps(status).replace(job_name, metadata["name"]).replace(job_uid, metadata["uid"])
        cluster.patch(KIND, name, namespace, {"status": json.loads(text)}, subresource="status")

    return seed
