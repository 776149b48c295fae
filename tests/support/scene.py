"""A namespace with ModelMonitors, and their Jobs, conditions and events."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from modelmonitor_api import names
from modelmonitor_api.messages import CheckVerdict, Failure, RunVerdict, TrainRequest
from modelmonitor_api.names import KIND, PLURAL, ConditionType, Reason, Role
from modelmonitor_api.status import Champion
from support import jobs, monitors
from support.client import Client, Object
from support.processes import PATIENCE, wait_until

#: Number of consecutive polls without a change after which a monitor counts as settled.
_STABLE_POLLS = 10


class Scene:
    """A namespace with ModelMonitors that an operator watches.

    Parameters
    ----------
    cluster
        Client with administrator rights.
    namespace
        Name of the namespace.
    hint
        Added to the messages of timeouts, such as the path of the operator's log.
    """

    def __init__(self, cluster: Client, namespace: str, hint: str = "") -> None:
        self.cluster = cluster
        self.namespace = namespace
        self._hint = hint

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until `condition` returns a true value, and return it."""
        return wait_until(condition, what, hint=self._hint)

    # Monitors

    def create(self, monitor: Object) -> Object:
        """Create a monitor and return it."""
        return self.cluster.create(monitor, self.namespace)

    def monitor(self, name: str = "flights") -> Object:
        """Return the current state of a monitor."""
        return self.cluster.get(KIND, name, self.namespace)

    def status(self, name: str = "flights") -> Object:
        """Return the status of a monitor, or {} before there is one."""
        status: Object = self.monitor(name).get("status") or {}
        return status

    def patch(self, change: Object, name: str = "flights") -> Object:
        """Merge `change` into a monitor."""
        return self.cluster.patch(KIND, name, self.namespace, change)

    def annotate(self, annotation: str, value: str, name: str = "flights") -> Object:
        """Set an annotation of a monitor."""
        return self.patch({"metadata": {"annotations": {annotation: value}}}, name)

    def condition(self, kind: ConditionType, name: str = "flights") -> Object:
        """Return a condition of a monitor; raises AssertionError if there is none yet."""
        matching = [each for each in self.status(name).get("conditions", ()) if each["type"] == kind.value]
        assert matching, f"{name} has no condition {kind.value} yet"
        condition: Object = matching[0]
        return condition

    def wait_condition(
        self, kind: ConditionType, status: str | None = None, reason: Reason | str | None = None, name: str = "flights"
    ) -> Object:
        """Wait until a condition has `status` and `reason` for the current generation, and return it."""

        def expected_condition() -> Object:
            generation = self.monitor(name)["metadata"]["generation"]
            condition = self.condition(kind, name)
            assert condition["observedGeneration"] == generation, condition
            assert status is None or condition["status"] == status, condition
            assert reason is None or condition["reason"] == str(reason), condition
            return condition

        what = f"condition {kind.value}={status} {reason or ''} of {name}"
        condition: Object = self.wait(expected_condition, what)
        return condition

    def wait_ready(self, name: str = "flights") -> Object:
        """Wait until a monitor is ready and return it."""
        self.wait_condition(ConditionType.READY, "True", name=name)
        return self.monitor(name)

    def settle(self, name: str = "flights") -> Object:
        """Wait until neither a monitor nor its Jobs change any more, and return the monitor.

        On a busy machine each poll takes longer, so the operator has more time as well. To wait for a change, wait for
        the change itself instead.
        """

        def versions() -> list[str]:
            objects = [self.monitor(name), *self.jobs(name=name)]
            return [each["metadata"]["resourceVersion"] for each in objects]

        end, previous, same = time.monotonic() + PATIENCE, versions(), 0
        while same < _STABLE_POLLS:
            assert time.monotonic() < end, f"{name} does not settle {self._hint}"
            time.sleep(0.1)
            current = versions()
            previous, same = current, same + 1 if current == previous else 0
        return self.monitor(name)

    def wait_resyncs(self, count: int = 2) -> None:
        """Wait until the operator has listed the monitors `count` more times; it does so in every resync."""
        before = self.cluster.lists(PLURAL)
        self.wait(lambda: self.cluster.lists(PLURAL) >= before + count, f"{count} resyncs")

    # Children

    def cron_job(self, name: str = "flights") -> Object:
        """Wait for the CronJob of a monitor, and return it."""

        def existing() -> Object | None:
            return self.cluster.find("CronJob", names.cron_job_name(name), self.namespace)

        cron_job: Object = self.wait(existing, f"CronJob of {name}")
        return cron_job

    def jobs(self, role: Role | None = None, name: str = "flights") -> list[Object]:
        """Return the Jobs of a monitor, oldest first."""
        labels = {names.LABEL_MONITOR: name} | ({names.LABEL_ROLE: role.value} if role else {})
        unsorted = self.cluster.list("Job", self.namespace, **labels)
        return sorted(unsorted, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))

    def running_job(self, role: Role, name: str = "flights") -> Object:
        """Wait until a Job of a monitor is running, and return it; there must be only one."""

        def running_one() -> Object | None:
            running = [job for job in self.jobs(role, name) if not jobs.finished(job)]
            assert len(running) <= 1, f"{len(running)} Jobs run at the same time: {jobs.names(running)}"
            return running[0] if running else None

        job: Object = self.wait(running_one, f"running {role.value} Job of {name}")
        return job

    def finish(
        self,
        role: Role,
        answer: CheckVerdict | RunVerdict | Failure | str = "",
        name: str = "flights",
        **ending: Any,
    ) -> Object:
        """Finish the running Job of `role`, wait until the status includes its result, and return the Job."""
        job = jobs.finish(self.cluster, self.running_job(role, name), answer, **ending)
        uid = job["metadata"]["uid"]

        def recorded() -> bool:
            return any(recent["uid"] == uid for recent in self.status(name).get("recentJobs", ()))

        self.wait(recorded, f"end of Job {job['metadata']['name']} in the status of {name}")
        return job

    def request_check(self, token: str, answer: CheckVerdict | Failure, name: str = "flights", **ending: Any) -> Object:
        """Request a check by annotation and finish it with `answer`; no other one may be running."""
        running = [job for job in self.jobs(Role.CHECK, name) if not jobs.finished(job)]
        assert not running, f"{jobs.names(running)} could be mistaken for the requested check"
        self.annotate(names.ANNOTATION_CHECK_REQUESTED, token, name)
        return self.finish(Role.CHECK, answer, name, **ending)

    def wait_handled(self, request: str, token: str, name: str = "flights") -> None:
        """Wait until the status contains the token of a request by annotation."""
        self.wait(
            lambda: self.status(name).get("handledRequests", {}).get(request) == token, f"{request}={token} in status"
        )

    def training_numbers(self, name: str = "flights") -> list[int]:
        """Return the numbers of all trainings of a monitor whose Jobs exist."""
        return sorted(jobs.request_of(job, TrainRequest).number for job in self.jobs(Role.TRAIN, name))

    def drift(self, token: str, name: str = "flights") -> Object:
        """Request a check by annotation and finish it with the verdict Drift, of the champion if there is one."""
        present = self.status(name).get("champion")
        champion = Champion.model_validate(present) if present else monitors.champion()
        return self.request_check(token, monitors.check("Drift", champion=champion), name)

    # Events

    def events(self, name: str = "flights") -> list[Object]:
        """Return the events about a monitor."""
        return [
            event
            for event in self.cluster.list("Event", self.namespace)
            if event["involvedObject"]["kind"] == KIND and event["involvedObject"]["name"] == name
        ]

    def wait_event(self, reason: Reason, name: str = "flights") -> Object:
        """Wait for an event with `reason` about a monitor, and return it."""

        def matching() -> Object | None:
            return next((event for event in self.events(name) if event["reason"] == reason.value), None)

        event: Object = self.wait(matching, f"event {reason.value} about {name}")
        return event


def with_champion(scene: Scene, **changes: Any) -> None:
    """Create a monitor with an existing champion, and wait until its first check has found no drift."""
    scene.create(monitors.monitor(**changes))
    scene.finish(Role.CHECK, monitors.check("NoDrift", champion=monitors.champion()))
    scene.wait_condition(ConditionType.DRIFT_DETECTED, "False", Reason.NO_DRIFT)
    assert scene.status()["champion"]["version"] == monitors.champion().version
    assert scene.jobs(Role.TRAIN) == []
