"""A random walk of a monitor on a real API server: users act, Jobs end, requests fail, the operator dies.

A seed gives the steps. What must never happen is judged after each step, and what must be true in the end whenever the
faults are taken away. When exactly the operator does its part is up to the machine, so that a walk repeats the steps
and not each interleaving of them.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from modelmonitor_api import names
from modelmonitor_api.messages import CheckVerdict, Failure, RunVerdict
from modelmonitor_api.names import KIND, Role
from modelmonitor_api.status import MAX_RECENT_JOBS, Champion
from support import jobs, monitors
from support.bent_api import Fault
from support.bent_operator import Bent
from support.client import ApiRefused, Object
from support.scene import Scene

_NAME = "flights"
#: Roles whose Jobs move the champion, one at a time.
_MOVERS = (Role.TRAIN, Role.ROLLBACK, Role.PROMOTE)
#: Everything fails until the fault is taken away, as if the operator were not there.
AWAY = (Fault(times=None, status=503),)


class Broken(AssertionError):
    """A promise was broken; the text says after which steps."""


class Walk:
    """A walk of one monitor.

    Parameters
    ----------
    scene
        The namespace of the monitor.
    bent
        The operator, which is started again when it is killed, and its proxy.
    seed
        Seed of the steps.
    faults
        Faults that may be set, by name.
    """

    def __init__(self, scene: Scene, bent: Bent, seed: int, faults: Mapping[str, Sequence[Fault]]) -> None:
        self._scene, self._bent, self._seed = scene, bent, seed
        self._random = random.Random(seed)
        self._faults = {**faults, "away": AWAY}
        self._steps: list[str] = []
        self._count = 0
        self._champion: Champion | None = None
        self._statuses: list[Object] = []
        #: Numbers of trainings that may be used again: their Jobs were deleted, and with the status nothing knows them.
        self._forgotten: set[int] = set()
        #: The trainings that had been created when the monitor had settled in a state in which none may start.
        self._held: int | None = None
        self._actions: dict[str, Callable[[], object]] = {
            "end the check": self._end_check,
            "end the training": self._end_training,
            "end the move": self._end_move,
            "request a check": lambda: self._request(names.ANNOTATION_CHECK_REQUESTED),
            "request a training": lambda: self._request(names.ANNOTATION_RETRAIN_REQUESTED),
            "request a rollback": lambda: self._annotate(names.ANNOTATION_ROLLBACK_TO, f"v{self._count}-0a1b2c3d"),
            "withdraw the rollback": lambda: self._annotate(names.ANNOTATION_ROLLBACK_TO, None),
            "edit": lambda: self._edit({"retraining": {"windowDays": 60 + self._count}}),
            "edit the schedule": lambda: self._edit({"schedule": f"{self._count % 60} 3 1 1 *"}),
            "suspend": lambda: self._edit({"suspend": True}),
            "resume": lambda: self._edit({"suspend": False}),
            "delete the CronJob": self._delete_cron_job,
            "edit the CronJob": self._edit_cron_job,
            "delete the training Job": self._delete_training,
            "create again": self._create_again,
            "lose the status": lambda: self._write_status({}),
            "restore a status": self._restore_status,
        }
        # The story goes on most of the time.
        self._weights = [8, 8, 4, 4, 4, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 1]

    def run(self, steps: int) -> None:
        """Walk some steps.

        Raises
        ------
        Broken
            With the seed and the steps, if a promise is broken.
        """
        try:
            self._create()
            for number in range(1, steps + 1):
                self._step(number, last=number == steps)
        except (AssertionError, ApiRefused) as error:
            taken = "\n  ".join(self._steps)
            raise Broken(
                f"{error}\nrepeat it with: make walk-operator SEED={self._seed} STEPS={len(self._steps)}\n  {taken}"
            ) from error

    def _step(self, number: int, *, last: bool) -> None:
        """Draw first, whatever state the monitor is in, so that the seed alone decides the steps."""
        self._count = number
        draw = self._random.random
        action = self._random.choices(list(self._actions), self._weights)[0]
        fault = self._random.choice(list(self._faults)) if draw() < 0.4 else None
        crash, heal = draw() < 0.2, draw() < 0.5
        words = [f"{number}: {action}", f"under {fault}" if fault else "", "crash" if crash else "", "heal" * heal]
        self._steps.append(", ".join(filter(None, words)))
        if fault is not None:
            self._bent.api.bend(*self._faults[fault])
        before, self._held = self._held, None
        self._actions[action]()
        if crash:
            self._bent.operator.crash()
        self._judge_safety()
        if heal or last:
            self._bent.api.bend()
            self._scene.wait(self._is_true, "a status that is true")
            self._scene.settle()
            self._is_true()
            self._judge_safety()
            self._held = held = self._count_if_held()
            if action not in {"end the check", "create again"} and before is not None and held is not None:
                assert held == before, "a training started although the monitor was suspended or its data corrupted"

    # What is judged

    def _judge_safety(self) -> None:
        uid = self._uid()
        moving = [job for role in _MOVERS for job in self._scene.jobs(role) if not jobs.finished(job)]
        moving = [job for job in moving if job["metadata"]["labels"][names.LABEL_MONITOR_UID] == uid]
        assert len(moving) <= 1, f"{jobs.names(moving)} run at the same time"
        replaced = self._replaced()
        created = [job for job in self._created(uid) if job["metadata"]["uid"] not in replaced]
        numbers = Counter(int(job["metadata"]["labels"][names.LABEL_NUMBER]) for job in created)
        twice = {number for number, count in numbers.items() if count > 1} - self._forgotten
        assert not twice, f"the trainings {twice} have been created twice"
        tokens = Counter(job["metadata"].get("annotations", {}).get(names.ANNOTATION_TOKEN) for job in created)
        again = {token for token, count in tokens.items() if token and count > 1}
        assert not again or self._forgotten, f"the requests {again} have started two trainings"

    def _is_true(self) -> bool:
        """Assert that the status says what has happened."""
        monitor = self._scene.monitor()
        status, uid = monitor.get("status") or {}, monitor["metadata"]["uid"]
        assert status.get("observedGeneration") == monitor["metadata"]["generation"], "the status is of an older spec"
        ready = next(each for each in status["conditions"] if each["type"] == "Ready")
        assert ready["status"] == "True", ready
        own = [job for job in self._scene.jobs() if job["metadata"]["labels"][names.LABEL_MONITOR_UID] == uid]
        recent = {each["uid"] for each in status.get("recentJobs", ())}
        lost = [job for job in _newest_ended(own) if job["metadata"]["uid"] not in recent]
        assert not lost, f"the results of {jobs.names(lost)} are not in the status"
        running = [job for job in self._scene.jobs(Role.TRAIN) if job in own and not jobs.finished(job)]
        last = status.get("lastTraining", {})
        if running:
            number = int(running[0]["metadata"]["labels"][names.LABEL_NUMBER])
            assert (last.get("number"), last.get("outcome")) == (number, None), f"training {number} runs: {last}"
        else:
            assert not last or last.get("outcome"), f"no training runs: {last}"
        champion = status.get("champion", {}).get("version")
        expected = self._champion.version if self._champion else None
        assert champion == expected, f"the champion is {expected}, and the status names {champion}"
        self._scene.cron_job()
        return True

    def _count_if_held(self) -> int | None:
        """Return how many trainings there have been, if none may start until something happens; otherwise None."""
        monitor = self._scene.monitor()
        corrupted = (monitor["status"].get("lastCheck") or {}).get("verdict") == "Corrupted"
        held = monitor["spec"].get("suspend") or corrupted
        return len(self._created(self._uid())) if held else None

    def _created(self, uid: str) -> list[Object]:
        """Return the training Jobs that the operator has ever created for a monitor."""
        written = [
            body for call, body in list(self._bent.api.writes) if (call.verb, call.resource) == ("create", "jobs")
        ]
        labels = {names.LABEL_MONITOR_UID: uid, names.LABEL_ROLE: Role.TRAIN.value}
        return [job for job in written if labels.items() <= job["metadata"]["labels"].items()]

    def _replaced(self) -> set[str]:
        """Return the UIDs of the Jobs that the operator has deleted: for an older spec, before they had started."""
        written = [
            body for call, body in list(self._bent.api.writes) if (call.verb, call.resource) == ("delete", "jobs")
        ]
        return {str((body.get("details") or body["metadata"])["uid"]) for body in written}

    def _uid(self) -> str:
        return str(self._scene.monitor()["metadata"]["uid"])

    # What happens

    def _create(self) -> None:
        self._champion, self._statuses, self._forgotten, self._held = None, [], set(), None
        self._scene.create(monitors.monitor(_NAME, retraining={"budget": {"count": 100, "perDays": 1}}))

    def _running(self, *roles: Role) -> Object | None:
        """Return a Job that runs, if there is one and it has a pod."""
        uid = self._uid()
        for role in roles:
            for job in self._scene.jobs(role):
                metadata = job["metadata"]
                current = metadata["labels"][names.LABEL_MONITOR_UID] == uid and "deletionTimestamp" not in metadata
                if current and not jobs.finished(job):
                    return job
        return None

    def _end(self, answer: CheckVerdict | RunVerdict | Failure | str, *roles: Role) -> bool:
        job = self._running(*roles)
        if job is None or self._scene.wait(lambda: self._start_of(job), "pod of a Job") == "gone":
            return False
        try:
            jobs.finish(self._scene.cluster, job, answer)
        except ApiRefused as error:
            if error.status != 404:  # it has just been replaced
                raise
            return False
        return True

    def _start_of(self, job: Object) -> str | None:
        """Return whether a Job has a pod, or is gone: the operator replaces those that have not started."""
        metadata = job["metadata"]
        current = self._scene.cluster.find("Job", metadata["name"], self._scene.namespace)
        if current is None or current["metadata"]["uid"] != metadata["uid"]:
            return "gone"
        labels = {"batch.kubernetes.io/controller-uid": metadata["uid"]}
        return "pod" if self._scene.cluster.list("Pod", self._scene.namespace, **labels) else None

    def _end_check(self) -> None:
        verdicts: tuple[monitors.Verdict, ...] = ("Drift", "Drift", "Drift", "NoDrift", "Corrupted", "Inconclusive")
        verdict = monitors.check(self._random.choice(verdicts), champion=self._champion)
        hostile = '{"kind": "Check", "verdict": "\\u0000' + "x" * 3000
        answers: list[CheckVerdict | Failure | str] = [*[verdict] * 5, monitors.failure(), hostile]
        self._end(self._random.choice(answers), Role.CHECK)

    def _end_training(self) -> None:
        ending = self._random.choice(["Promoted", "Promoted", "Rejected", "failure", "silence"])
        if ending == "Promoted":
            self._move(Role.TRAIN, outcome="Promoted")
        else:
            endings: dict[str, RunVerdict | Failure | str] = {
                "Rejected": monitors.run("Rejected"),
                "failure": monitors.failure(),
                "silence": "",
            }
            self._end(endings[ending], Role.TRAIN)

    def _end_move(self) -> None:
        self._move(Role.ROLLBACK, Role.PROMOTE, outcome="RolledBack")

    def _move(self, *roles: Role, outcome: monitors.Outcome) -> None:
        verdict = monitors.run(outcome, f"v{self._count}-22222222")
        assert verdict.champion is not None
        since = dt.datetime.now(dt.UTC).replace(microsecond=0)
        champion = verdict.champion.model_copy(update={"since": since})
        if self._end(verdict.model_copy(update={"champion": champion}), *roles):
            self._champion = champion

    def _annotate(self, annotation: str, value: str | None) -> None:
        self._scene.patch({"metadata": {"annotations": {annotation: value}}})

    def _request(self, annotation: str) -> None:
        self._annotate(annotation, f"token-{self._count}")

    def _edit(self, spec: Object) -> None:
        self._scene.patch({"spec": spec})

    def _delete_cron_job(self) -> None:
        self._scene.cluster.delete("CronJob", names.cron_job_name(_NAME), self._scene.namespace)

    def _edit_cron_job(self) -> None:
        name = names.cron_job_name(_NAME)
        if self._scene.cluster.find("CronJob", name, self._scene.namespace) is not None:
            self._scene.cluster.patch("CronJob", name, self._scene.namespace, {"spec": {"schedule": "1 1 1 1 *"}})

    def _delete_training(self) -> None:
        job = self._running(Role.TRAIN)
        if job is not None:
            self._forgotten.add(int(job["metadata"]["labels"][names.LABEL_NUMBER]))
            self._scene.cluster.delete("Job", job["metadata"]["name"], self._scene.namespace)

    def _create_again(self) -> None:
        self._scene.cluster.delete(KIND, _NAME, self._scene.namespace)
        self._create()

    def _write_status(self, status: Object) -> None:
        """Replace the status, as a restored backup does; the operator may write at the same time."""

        def written() -> bool:
            monitor = self._scene.monitor()
            self._statuses.append(monitor.get("status") or {})
            try:
                self._scene.cluster.replace(monitor | {"status": status}, subresource="status")
            except ApiRefused as error:
                if error.status != 409:
                    raise
                return False
            return True

        self._scene.wait(written, "status that is replaced")

    def _restore_status(self) -> None:
        if self._statuses:
            self._write_status(self._random.choice(self._statuses))


def _newest_ended(own: Sequence[Object]) -> list[Object]:
    """Return the ended Jobs that the status must know; it forgets all but the newest."""
    ended = [job for job in own if jobs.finished(job)]
    return sorted(ended, key=_end_of, reverse=True)[: MAX_RECENT_JOBS // 2]


def _end_of(job: Object) -> str:
    return max(str(each["lastTransitionTime"]) for each in job["status"]["conditions"])
