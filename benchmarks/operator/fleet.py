"""Many monitors on one API server, and what users and the cluster's controllers do to them."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from modelmonitor_api.messages import encode_answer
from modelmonitor_api.names import FIELD_MANAGER, KIND, LABEL_MANAGED_BY, cron_job_name
from modelmonitor_api.times import format_time
from support import monitors
from support.client import Client, Object
from support.jobs import create_from_cron_job, end_pod

NAMESPACES = 50
FEATURES = 20
#: Requests of this program that are sent at the same time.
_THREADS = 8

_Item = TypeVar("_Item")


class Fleet:
    """The monitors of a benchmark, spread over namespaces.

    Parameters
    ----------
    cluster
        Client with administrator rights.
    size
        Number of monitors.
    """

    def __init__(self, cluster: Client, size: int) -> None:
        self._cluster = cluster
        self.keys = [(f"team-{number % NAMESPACES:02}", f"monitor-{number:05}") for number in range(size)]
        self._random = random.Random(size)

    def create_namespaces(self) -> None:
        """Create the namespaces."""
        for namespace in sorted({namespace for namespace, _ in self.keys}):
            self._cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def create(self) -> None:
        """Create the monitors; their schedules do not fire during the benchmark."""
        _in_parallel(lambda key: self._cluster.create(monitor_of_fleet(key[1]), key[0]), self.keys)

    def sample(self, count: int) -> list[tuple[str, str]]:
        """Return some monitors, chosen at random with a fixed seed."""
        return self._random.sample(self.keys, min(count, len(self.keys)))

    def edit(self, key: tuple[str, str], minute: int) -> str:
        """Change the schedule of a monitor and return it."""
        hour = (dt.datetime.now(dt.UTC).hour + 12) % 24
        schedule = f"{minute} {hour} * * *"
        self._cluster.patch(KIND, key[1], key[0], {"spec": {"schedule": schedule}})
        return schedule

    def start_check(self, key: tuple[str, str], suffix: str) -> Object:
        """Create a check Job from a monitor's CronJob, as its controller does, and return it."""
        return create_from_cron_job(self._cluster, key[1], key[0], f"{cron_job_name(key[1])}-{suffix}")

    def jobs(self) -> list[Object]:
        """Return all Jobs."""
        items: list[Object] = []
        token = ""
        while True:
            query = {"labelSelector": f"{LABEL_MANAGED_BY}={FIELD_MANAGER}", "limit": "500"}
            page = self._cluster.call("GET", "/apis/batch/v1/jobs", **query, **({"continue": token} if token else {}))
            items += [_slim(job) for job in page["items"]]
            token = page["metadata"].get("continue", "")
            if not token:
                return items

    def start_pods(self, jobs: Iterable[Object]) -> None:
        """Create the pods of Jobs with their verdicts, so that only the Jobs have yet to end."""
        _in_parallel(self._end_pod, jobs)

    def _end_pod(self, job: Object) -> None:
        metadata = job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
        pod = self._cluster.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{metadata['name']}-pod",
                    "namespace": metadata["namespace"],
                    "labels": metadata["labels"],
                    "ownerReferences": [owner | {"controller": True}],
                },
                "spec": {"restartPolicy": "Never", "containers": [{"name": "modelmonitor", "image": "trainer"}]},
            }
        )
        verdict = monitors.check("NoDrift", champion=monitors.champion())
        end_pod(self._cluster, pod, encode_answer(verdict), container="modelmonitor")

    def end_jobs(self, jobs: Iterable[Object], before: Callable[[Object], Any] = lambda _: None) -> None:
        """End Jobs as the Job controller does; `before` is called for each of them first."""

        def end(job: Object) -> None:
            before(job)
            self.end_job(job)

        _in_parallel(end, jobs)

    def end_job(self, job: Object) -> None:
        """Write the status of a Job that has completed."""
        end_job(self._cluster, job)

    def seed(self, environment: Mapping[str, str]) -> None:
        """Create the monitors with their CronJobs and their first checks, as an operator has left them."""
        from seed import seeder

        _in_parallel(seeder(self._cluster, environment), self.keys)

    def start_checks(self, count: int) -> list[Object]:
        """Create check Jobs of some monitors from their CronJobs and return them."""
        jobs: list[Object] = []
        _in_parallel(lambda key: jobs.append(self.start_check(key, "burst")), self.sample(count))
        return jobs


def end_job(cluster: Client, job: Object) -> None:
    """Write the status of a Job that has completed."""
    now = format_time(dt.datetime.now(dt.UTC))
    condition = {"status": "True", "reason": "CompletionsReached", "lastProbeTime": now, "lastTransitionTime": now}
    status = {
        "startTime": job["metadata"]["creationTimestamp"],
        "completionTime": now,
        "succeeded": 1,
        "conditions": [condition | {"type": kind} for kind in ("SuccessCriteriaMet", "Complete")],
    }
    metadata = job["metadata"]
    cluster.patch("Job", metadata["name"], metadata["namespace"], {"status": status}, subresource="status")


def monitor_of_fleet(name: str) -> Object:
    """Return a monitor of the benchmark."""
    features = [{"name": f"feature_{number:02}", "type": "Numeric"} for number in range(FEATURES)]
    return monitors.monitor(name, model={"features": features})


def _slim(job: Object) -> Object:
    """Return the fields of a Job that are needed to end it."""
    fields = ("name", "namespace", "uid", "labels", "creationTimestamp")
    return {"metadata": {field: job["metadata"][field] for field in fields}}


def _in_parallel(act: Callable[[_Item], Any], items: Iterable[_Item]) -> None:
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(act, items):
            pass
