"""A Kubernetes API in memory, behind the gateway's methods, that counts, forgets and dies on demand."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Literal, TypeVar

from modelmonitor_api import names
from modelmonitor_api.messages import CheckVerdict, Failure, RunVerdict, encode_answer
from modelmonitor_api.names import Role
from modelmonitor_api.times import format_time
from modelmonitor_operator.cache import ObjectCache
from modelmonitor_operator.cached_gateway import CachedGateway, Unsettled
from modelmonitor_operator.gateway import Change, Conflict, Kind, Object, Page
from modelmonitor_operator.reconcile import Reconciler
from modelmonitor_operator.settings import Settings
from support.monitors import merged, monitor

START = dt.datetime(2013, 4, 2, 12, tzinfo=dt.UTC)
NAMESPACE = "demo"
SETTINGS = Settings(trainer_image="modelmonitor/trainer:test", rollouts=True)

_T = TypeVar("_T")

Answer = CheckVerdict | RunVerdict | Failure


class Killed(BaseException):
    """The operator's process ended here; nothing of it may catch this."""


class InMemoryCluster:
    """The objects of one namespace, and an operator that reconciles them.

    Attributes
    ----------
    now
        The time, which only tests move.
    writes
        What was written, as (verb, name), status and objects alike, events apart.
    kill_at, kill_side
        The call (1, 2, …) of the gateway that the operator does not survive, and whether the API
        server carried it out.
    """

    def __init__(self) -> None:
        self.now = START
        self.monitors: dict[str, Object] = {}
        self.cron_jobs: dict[str, Object] = {}
        self.jobs: dict[str, Object] = {}
        self.deployments: dict[str, Object] = {}
        self.pods: list[Object] = []
        self.events: list[Object] = []
        self.job_events: list[Object] = []
        self.writes: list[tuple[str, str]] = []
        self.kill_at: int | None = None
        self.kill_side: Literal["before", "after"] = "before"
        self.calls = 0
        self.refuse: dict[str, Exception] = {}
        self._numbers = itertools.count(1)

    # What users and the cluster do

    def add(self, name: str = "flights", **changes: Any) -> None:
        """Apply a monitor."""
        resource = monitor(name, NAMESPACE, schedule="0 6 * * *", **changes)
        resource["metadata"] |= self._meta() | {"generation": 1}
        self.monitors[name] = resource

    def edit(self, name: str = "flights", **changes: Any) -> None:
        """Change the spec."""
        resource = self.monitors[name]
        resource["spec"] = merged(resource["spec"], changes)
        resource["metadata"]["generation"] += 1
        self._touch(resource)

    def annotate(self, annotation: str, value: str, name: str = "flights") -> None:
        """Set an annotation."""
        self.monitors[name]["metadata"].setdefault("annotations", {})[annotation] = value
        self._touch(self.monitors[name])

    def status(self, name: str = "flights") -> Object:
        """Return the status."""
        status: Object = self.monitors[name].get("status", {})
        return status

    def condition(self, kind: str, name: str = "flights") -> tuple[str, str]:
        """Return the status and the reason of a condition."""
        condition = next(c for c in self.status(name)["conditions"] if c["type"] == kind)
        return condition["status"], condition["reason"]

    def of_role(self, role: Role) -> list[Object]:
        """Return the Jobs of a role, by number of training or age."""
        jobs = [job for job in self.jobs.values() if job["metadata"]["labels"].get(names.LABEL_ROLE) == role]
        return sorted(jobs, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))

    def scheduled_check(self, suffix: str) -> str:
        """Create a Job from the CronJob, as its controller or ``kubectl create job --from`` does; return its name."""
        cron_job = self.cron_jobs["flights-check"]
        template = copy.deepcopy(cron_job["spec"]["jobTemplate"])
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "flights-check", "controller": True}
        name = f"flights-check-{suffix}"
        self.jobs[name] = {
            "metadata": {
                **template["metadata"],
                **self._meta(),
                "name": name,
                "namespace": NAMESPACE,
                "ownerReferences": [owner | {"uid": cron_job["metadata"]["uid"]}],
            },
            "spec": template["spec"],
        }
        return name

    def finish(self, name: str, answer: Answer | str | None, *, failed: str | None = None, **terminated: Any) -> None:
        """End a Job, with what its pod left; `failed` is the reason of the Job controller where it failed."""
        job = self.jobs[name]
        text = answer if isinstance(answer, str) or answer is None else encode_answer(answer)
        state = {"exitCode": 0 if failed is None else 1, **({"message": text} if text is not None else {})} | terminated
        uid = job["metadata"]["uid"]
        self.pods.append(
            {
                "metadata": {
                    **self._meta(),
                    "name": f"{name}-pod",
                    "labels": {**job["metadata"]["labels"], "batch.kubernetes.io/controller-uid": uid},
                    "ownerReferences": [{"kind": "Job", "name": name, "uid": uid, "controller": True}],
                },
                "status": {
                    "containerStatuses": [
                        {"name": names.CONTAINER_NAME, "imageID": "sha256:5eed", "state": {"terminated": state}}
                    ]
                },
            }
        )
        kind = "Complete" if failed is None else "Failed"
        condition = {"type": kind, "status": "True", "lastTransitionTime": format_time(self.now)}
        job["status"] = {"conditions": [condition | ({"reason": failed, "message": "failed"} if failed else {})]}

    def pass_time(self, **duration: float) -> None:
        """Let time pass."""
        self.now += dt.timedelta(**duration)

    async def reconcile(self, name: str = "flights") -> None:
        """Let an operator that has just started reconcile a monitor.

        A pass on the cache alone never claims that nothing is to be done when a pass on the API server writes.
        """
        settled = await self._is_settled(name)
        writes = len(self.writes)
        await Reconciler(self, SETTINGS, lambda: self.now).reconcile(NAMESPACE, name)
        assert not settled or self.writes[writes:] == [], "the pass on the cache has overlooked what is to be done"

    async def _is_settled(self, name: str) -> bool:
        """Return whether a pass on a cache that is up to date gets to its end."""
        cache = ObjectCache()
        for kind in Kind:
            for resource in self._objects(kind):
                cache.put(kind, resource)
        try:
            await Reconciler(CachedGateway(cache), SETTINGS, lambda: self.now).reconcile(NAMESPACE, name)
        except Unsettled:
            return False
        return True

    async def settle(self, name: str = "flights") -> None:
        """Reconcile until nothing is written, as the watch events of the operator's own writes would."""
        for _ in range(5):
            before = len(self.writes)
            await self.reconcile(name)
            if len(self.writes) == before:
                return
        raise AssertionError(f"the operator does not come to rest: {self.writes[-6:]}")

    def deploy(self, name: str = "scorer", **spec: Any) -> None:
        """Apply a Deployment of two replicas."""
        template = {"metadata": {}, "spec": {"containers": [{"name": "server"}, {"name": "proxy"}]}}
        self.deployments[name] = {
            "metadata": {**self._meta(), "name": name, "namespace": NAMESPACE, "generation": 1},
            "spec": {"replicas": 2, "template": template} | spec,
        }

    def deployed(self, name: str = "scorer", *, available: int = 2, late: bool = False) -> None:
        """Set the progress that the Deployment controller reports; `late` is beyond the deadline."""
        deployment = self.deployments[name]
        late_condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": 2,
            "updatedReplicas": 2,
            "availableReplicas": available,
            "conditions": [late_condition | {"message": "ReplicaSet has timed out progressing."}] if late else [],
        }

    # What the operator sees: the methods of a Gateway

    async def list_pages(
        self, kind: Kind, namespace: str | None, *, metadata_only: bool = False
    ) -> AsyncIterator[Page]:
        assert namespace in {None, NAMESPACE}
        items = await self._answer(lambda: list(self._objects(kind)))
        if metadata_only:
            items = [{"metadata": item["metadata"]} for item in items]
        yield Page(items, str(next(self._numbers)))

    async def watch(self, kind: Kind, namespace: str | None, version: str) -> AsyncIterator[Change]:
        assert namespace in {None, NAMESPACE}
        versions = {item["metadata"]["uid"]: item for item in self._objects(kind)}
        known = {uid: int(item["metadata"]["resourceVersion"]) for uid, item in versions.items()}
        known = {uid: number for uid, number in known.items() if number <= int(version)}
        while True:
            objects = {item["metadata"]["uid"]: copy.deepcopy(item) for item in self._objects(kind)}
            for uid, item in objects.items():
                number = int(item["metadata"]["resourceVersion"])
                if known.get(uid) != number:
                    yield Change("MODIFIED" if uid in known else "ADDED", item)
                    known[uid] = number
            await asyncio.sleep(0.001)

    def _objects(self, kind: Kind) -> Iterable[Object]:
        kinds = {
            Kind.MONITOR: self.monitors,
            Kind.CRON_JOB: self.cron_jobs,
            Kind.JOB: self.jobs,
            Kind.DEPLOYMENT: self.deployments,
        }
        objects = kinds[kind].values()
        return [each for each in objects if kind is not Kind.DEPLOYMENT or names.LABEL_MONITOR in _labels(each)]

    async def list_jobs(self, namespace: str | None, selector: str) -> list[Object]:
        assert namespace in {None, NAMESPACE}
        return await self._answer(lambda: _selected(self.jobs.values(), selector))

    async def list_pods(self, namespace: str, selector: str) -> list[Object]:
        assert namespace == NAMESPACE
        return await self._answer(lambda: _selected(self.pods, selector))

    async def list_events(self, namespace: str, uid: str) -> list[Object]:
        assert namespace == NAMESPACE
        return await self._answer(lambda: [e for e in self.job_events if e["involvedObject"]["uid"] == uid])

    async def get_monitor(self, namespace: str, name: str) -> Object | None:
        assert namespace == NAMESPACE
        return await self._answer(lambda: self.monitors.get(name))

    async def get_cron_job(self, namespace: str, name: str) -> Object | None:
        assert namespace == NAMESPACE
        return await self._answer(lambda: self.cron_jobs.get(name))

    async def get_job(self, namespace: str, name: str) -> Object | None:
        assert namespace == NAMESPACE
        return await self._answer(lambda: self.jobs.get(name))

    async def get_deployment(self, namespace: str, name: str) -> Object | None:
        assert namespace == NAMESPACE
        return await self._answer(lambda: self.deployments.get(name), "get_deployment")

    async def apply_deployment(self, fields: Object) -> Object:
        def apply() -> Object:
            live = self.deployments[fields["metadata"]["name"]]
            template = fields["spec"]["template"]
            live["metadata"]["labels"] = live["metadata"].get("labels", {}) | fields["metadata"]["labels"]
            live["spec"]["template"]["metadata"]["annotations"] = template["metadata"]["annotations"]
            for mine in template["spec"]["containers"]:
                theirs = next(c for c in live["spec"]["template"]["spec"]["containers"] if c["name"] == mine["name"])
                theirs["env"] = mine["env"]
            live["metadata"]["generation"] += 1
            self._touch(live)
            self.writes.append(("apply", fields["metadata"]["name"]))
            return live

        return await self._answer(apply, "apply_deployment")

    async def apply_cron_job(self, cron_job: Object) -> Object:
        def apply() -> Object:
            name = cron_job["metadata"]["name"]
            seen, present = cron_job["metadata"].get("resourceVersion"), self.cron_jobs.get(name)
            if seen is not None and (present is None or present["metadata"]["resourceVersion"] != seen):
                raise Conflict(f"cronjobs.batch {name!r} has been modified")
            live = {"metadata": self._meta()} if present is None else present
            self.cron_jobs[name] = merged(live, cron_job)
            self._touch(self.cron_jobs[name])
            self.writes.append(("apply", name))
            return self.cron_jobs[name]

        return await self._answer(apply, "apply_cron_job")

    async def create_job(self, job: Object) -> Object:
        def create() -> Object:
            name = job["metadata"]["name"]
            if name in self.jobs:
                raise Conflict(f"jobs.batch {name!r} already exists")
            created = copy.deepcopy(job)
            created["metadata"] |= self._meta()
            self.jobs[name] = created
            self.writes.append(("create", name))
            return created

        return await self._answer(create, "create_job")

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        assert namespace == NAMESPACE

        def delete() -> None:
            if name in self.jobs and self.jobs[name]["metadata"]["uid"] == uid:
                del self.jobs[name]
                self.writes.append(("delete", name))

        await self._answer(delete, "delete_job")

    async def patch_status(self, namespace: str, name: str, resource_version: str, patch: Object) -> Object:
        assert namespace == NAMESPACE

        def write() -> Object:
            resource = self.monitors[name]
            if resource["metadata"]["resourceVersion"] != resource_version:
                raise Conflict("the object has been modified")
            before = resource.get("status")
            resource["status"] = merged(before if isinstance(before, dict) else {}, patch)
            self._touch(resource)
            self.writes.append(("status", name))
            return resource

        return await self._answer(write, "patch_status")

    async def create_event(self, event: Object) -> None:
        await self._answer(lambda: self.events.append(event), "create_event")

    async def _answer(self, act: Callable[[], _T], method: str = "") -> _T:
        self.calls += 1
        if method in self.refuse:
            raise self.refuse[method]
        if self.calls == self.kill_at and self.kill_side == "before":
            raise Killed
        answer = copy.deepcopy(act())
        if self.calls == self.kill_at:
            raise Killed
        return answer

    def _meta(self) -> Object:
        number = next(self._numbers)
        return {
            "uid": f"00000000-0000-0000-0000-{number:012d}",
            "resourceVersion": str(number),
            "creationTimestamp": format_time(self.now),
        }

    def _touch(self, changed: Object) -> None:
        changed["metadata"]["resourceVersion"] = str(next(self._numbers))


def _labels(resource: Object) -> Object:
    labels: Object = resource["metadata"].get("labels") or {}
    return labels


def _selected(objects: Any, selector: str) -> list[Object]:
    """Return the objects with all labels of a selector: ``key``, or ``key=value``."""
    wanted = [part.partition("=") for part in selector.split(",") if part]
    return [
        item
        for item in objects
        if all(
            key in (labels := item["metadata"].get("labels", {})) and (not sign or labels[key] == value)
            for key, sign, value in wanted
        )
    ]
