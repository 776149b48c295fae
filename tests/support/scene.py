"""One namespace, seen the way a user and a test look at it: monitors, their Jobs, conditions and events."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from modelmonitor_api import names
from modelmonitor_api.messages import CheckVerdict, Failure, RunVerdict, TrainRequest
from modelmonitor_api.names import KIND, PLURAL, ConditionType, Reason, Role
from support import jobs, monitors
from support.client import Client, Object
from support.processes import PATIENCE, wait_until

#: So many looks in a row without a change count as rest.
_LOOKS_AT_REST = 10


class Scene:
    """A namespace with ModelMonitors that an operator looks after.

    Parameters
    ----------
    cluster
        Client of an administrator.
    namespace
        The namespace.
    hint
        Says where to read on when something expected did not happen.
    """

    def __init__(self, cluster: Client, namespace: str, hint: str = "") -> None:
        self.cluster = cluster
        self.namespace = namespace
        self._hint = hint

    def wait(self, look: Callable[[], Any], what: str) -> Any:
        """Wait until `look` returns something true, and return it."""
        return wait_until(look, what, hint=self._hint)

    # Monitors

    def create(self, monitor: Object) -> Object:
        """Create a monitor and return it."""
        return self.cluster.create(monitor, self.namespace)

    def monitor(self, name: str = "flights") -> Object:
        """Return a monitor as it is now."""
        return self.cluster.get(KIND, name, self.namespace)

    def status(self, name: str = "flights") -> Object:
        """Return its status, empty where there is none yet."""
        found: Object = self.monitor(name).get("status") or {}
        return found

    def patch(self, change: Object, name: str = "flights") -> Object:
        """Merge `change` into a monitor."""
        return self.cluster.patch(KIND, name, self.namespace, change)

    def annotate(self, annotation: str, value: str, name: str = "flights") -> Object:
        """Set an annotation of a monitor."""
        return self.patch({"metadata": {"annotations": {annotation: value}}}, name)

    def condition(self, kind: ConditionType, name: str = "flights") -> Object:
        """Return a condition of a monitor; an AssertionError where there is none yet."""
        found = [each for each in self.status(name).get("conditions", ()) if each["type"] == kind.value]
        assert found, f"{name} has no condition {kind.value} yet"
        condition: Object = found[0]
        return condition

    def wait_condition(
        self, kind: ConditionType, status: str | None = None, reason: Reason | str | None = None, name: str = "flights"
    ) -> Object:
        """Wait until a condition has `status` and `reason`, for the present spec, and return it."""

        def look() -> Object:
            generation = self.monitor(name)["metadata"]["generation"]
            found = self.condition(kind, name)
            assert found["observedGeneration"] == generation, found
            assert status is None or found["status"] == status, found
            assert reason is None or found["reason"] == str(reason), found
            return found

        found: Object = self.wait(look, f"condition {kind.value}={status} {reason or ''} of {name}")
        return found

    def wait_ready(self, name: str = "flights") -> Object:
        """Wait until a monitor is ready and return it."""
        self.wait_condition(ConditionType.READY, "True", name=name)
        return self.monitor(name)

    def settle(self, name: str = "flights") -> Object:
        """Wait until neither a monitor nor its Jobs change any more, and return the monitor.

        On a busy machine each look takes longer, so the operator has more time as well. A test that expects a change
        waits for that change and not for rest.
        """

        def versions() -> list[str]:
            objects = [self.monitor(name), *self.jobs(name=name)]
            return [each["metadata"]["resourceVersion"] for each in objects]

        end, seen, same = time.monotonic() + PATIENCE, versions(), 0
        while same < _LOOKS_AT_REST:
            assert time.monotonic() < end, f"{name} does not come to rest {self._hint}"
            time.sleep(0.1)
            now = versions()
            seen, same = now, same + 1 if now == seen else 0
        return self.monitor(name)

    def wait_resyncs(self, count: int = 2) -> None:
        """Wait until the operator has listed the monitors `count` times more; it does so with every resync."""
        before = self.cluster.lists(PLURAL)
        self.wait(lambda: self.cluster.lists(PLURAL) >= before + count, f"{count} resyncs")

    # Children

    def cron_job(self, name: str = "flights") -> Object:
        """Return the CronJob of a monitor, waiting for it."""

        def look() -> Object | None:
            return self.cluster.find("CronJob", names.cron_job_name(name), self.namespace)

        found: Object = self.wait(look, f"CronJob of {name}")
        return found

    def jobs(self, role: Role | None = None, name: str = "flights") -> list[Object]:
        """Return the Jobs of a monitor, oldest first."""
        labels = {names.LABEL_MONITOR: name} | ({names.LABEL_ROLE: role.value} if role else {})
        found = self.cluster.list("Job", self.namespace, **labels)
        return sorted(found, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))

    def running_job(self, role: Role, name: str = "flights") -> Object:
        """Return the one Job of a monitor that has not ended, waiting for it."""

        def look() -> Object | None:
            running = [job for job in self.jobs(role, name) if not jobs.finished(job)]
            assert len(running) <= 1, f"{len(running)} Jobs run at once: {jobs.names(running)}"
            return running[0] if running else None

        found: Object = self.wait(look, f"Job of {name} that runs to {role.value}")
        return found

    def finish(
        self,
        role: Role,
        answer: CheckVerdict | RunVerdict | Failure | str = "",
        name: str = "flights",
        **ending: Any,
    ) -> Object:
        """End the Job of `role` that runs, waiting for it to be made and for the status to know its end; return it."""
        job = jobs.finish(self.cluster, self.running_job(role, name), answer, **ending)
        uid = job["metadata"]["uid"]

        def known() -> bool:
            return any(recent["uid"] == uid for recent in self.status(name).get("recentJobs", ()))

        self.wait(known, f"end of Job {job['metadata']['name']} in the status of {name}")
        return job

    def request_check(self, token: str, answer: CheckVerdict | Failure, name: str = "flights", **ending: Any) -> Object:
        """Ask for a check by annotation and end it with `answer`."""
        self.annotate(names.ANNOTATION_CHECK_REQUESTED, token, name)
        return self.finish(Role.CHECK, answer, name, **ending)

    def wait_handled(self, request: str, token: str, name: str = "flights") -> None:
        """Wait until the status echoes the token of a request by annotation."""
        self.wait(
            lambda: self.status(name).get("handledRequests", {}).get(request) == token, f"{request}={token} in status"
        )

    def training_numbers(self, name: str = "flights") -> list[int]:
        """Return the numbers of all trainings of a monitor whose Jobs are there."""
        return sorted(jobs.request_of(job, TrainRequest).number for job in self.jobs(Role.TRAIN, name))

    def drift(self, token: str, name: str = "flights") -> Object:
        """Ask for a check by annotation and end it with the verdict Drift."""
        return self.request_check(token, monitors.check("Drift", champion=monitors.champion()), name)

    # Events

    def events(self, name: str = "flights") -> list[Object]:
        """Return the events about a monitor."""
        return [
            event
            for event in self.cluster.list("Event", self.namespace)
            if event["involvedObject"]["kind"] == KIND and event["involvedObject"]["name"] == name
        ]

    def wait_event(self, reason: Reason, name: str = "flights") -> Object:
        """Wait for an event of `reason` about a monitor, and return it."""

        def look() -> Object | None:
            return next((event for event in self.events(name) if event["reason"] == reason.value), None)

        found: Object = self.wait(look, f"event {reason.value} about {name}")
        return found


def with_champion(scene: Scene, **changes: Any) -> None:
    """Create a monitor whose first check finds a champion of long ago and no drift, and wait until that is known."""
    scene.create(monitors.monitor(**changes))
    scene.finish(Role.CHECK, monitors.check("NoDrift", champion=monitors.champion()))
    scene.wait_condition(ConditionType.DRIFT_DETECTED, "False", Reason.NO_DRIFT)
    assert scene.status()["champion"]["version"] == monitors.champion().version
    assert scene.jobs(Role.TRAIN) == []
