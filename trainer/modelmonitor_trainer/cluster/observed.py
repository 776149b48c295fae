"""A monitor as it is observed on a cluster: the resource, its Jobs, and the checks that the cluster remembers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from modelmonitor_api import names
from modelmonitor_api.messages import CheckVerdict, Failure, Malformed, decode_answer
from modelmonitor_api.names import ConditionType, Role
from modelmonitor_api.resource import InvalidSpec, parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import FAILED, Condition, LastCheck, ModelMonitorStatus
from modelmonitor_policy import Facts, JobObservation, Requests, facts_of
from modelmonitor_policy.job_objects import observe_job, role_of

Object = Mapping[str, Any]


@dataclass(frozen=True)
class CheckPoint:
    """A check that has ended.

    Attributes
    ----------
    time
        When it was due, or when a failed one ended.
    verdict
        Its verdict, or Failed.
    message
        Its message.
    effect
        The largest effect among the columns, from 0 to 1; None where it is not known.
    job_name
        Name of its Job.
    """

    time: dt.datetime
    verdict: str
    message: str = ""
    effect: float | None = None
    job_name: str = ""


@dataclass(frozen=True)
class ObservedMonitor:
    """A monitor on a cluster.

    Attributes
    ----------
    namespace, name, uid, generation, annotations, labels
        From its metadata.
    spec
        Its spec; None if it is not valid.
    spec_problem
        Why the spec is not valid; empty if it is.
    status
        Its status; empty if there is none, or none of a known form.
    jobs
        Its Jobs.
    checks
        Checks that have ended, oldest first: those that the status lists, and those whose pods still exist.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    status: ModelMonitorStatus
    spec: ModelMonitorSpec | None = None
    spec_problem: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    jobs: tuple[JobObservation, ...] = ()
    checks: tuple[CheckPoint, ...] = ()

    @property
    def requests(self) -> Requests:
        """Requests in its annotations, handled ones included."""
        return Requests.from_annotations(self.annotations)

    @property
    def pinned(self) -> str | None:
        """Why the champion is pinned; None if it is not."""
        champion = self.status.champion
        return self.requests.pin or (champion.pinned if champion is not None else None)

    def condition(self, kind: ConditionType) -> Condition | None:
        """Return a condition of the status."""
        return next((each for each in self.status.conditions if each.type == kind.value), None)

    def facts(self) -> Facts | None:
        """Return what the policy plans from; None without a valid spec."""
        if self.spec is None:
            return None
        return facts_of(self.spec, self.generation, self.requests, self.status, self.jobs)


def observe_monitor(resource: Object, jobs: Iterable[Object] = (), pods: Sequence[Object] = ()) -> ObservedMonitor:
    """Return a monitor from the objects of the API server.

    Parameters
    ----------
    resource
        The ModelMonitor.
    jobs, pods
        Jobs and pods of monitors of its name; those of a deleted one are left out.
    """
    metadata = resource["metadata"]
    uid = str(metadata["uid"])
    status = _status(resource)
    own = [job for job in jobs if role_of(job) is not None and _is_of(job, uid)]
    spec, problem = _spec(resource)
    return ObservedMonitor(
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata["name"]),
        uid=uid,
        generation=int(metadata.get("generation", 1)),
        status=status,
        spec=spec,
        spec_problem=problem,
        annotations=metadata.get("annotations") or {},
        labels=metadata.get("labels") or {},
        jobs=tuple(observe_job(job) for job in own),
        checks=_checks(status, [pod for pod in pods if _is_of(pod, uid)]),
    )


def _is_of(child: Object, uid: str) -> bool:
    return (child["metadata"].get("labels") or {}).get(names.LABEL_MONITOR_UID) == uid


def _status(resource: Object) -> ModelMonitorStatus:
    try:
        return ModelMonitorStatus.model_validate(resource.get("status") or {})
    except ValidationError:  # the operator, too, ignores it and builds another one
        return ModelMonitorStatus()


def _spec(resource: Object) -> tuple[ModelMonitorSpec | None, str]:
    try:
        return parse(ModelMonitorSpec, resource.get("spec") or {}), ""
    except InvalidSpec as error:
        return None, str(error)


def _checks(status: ModelMonitorStatus, pods: Sequence[Object]) -> tuple[CheckPoint, ...]:
    """Return the checks that have ended, each once, oldest first."""
    points = {
        check.job_name: CheckPoint(check.time, check.verdict, "", _number(check.largest_effect), check.job_name)
        for check in status.recent_checks
    }
    points |= {point.job_name: point for pod in pods if (point := _check_of_pod(pod)) is not None}
    failure, check = status.last_check_failure, status.last_check
    if failure is not None:
        points[failure.job_name] = CheckPoint(failure.time, FAILED, failure.message, job_name=failure.job_name)
    if check is not None:
        points[check.job_name] = point_of(check, check.job_name)
    return ordered(points.values())


def ordered(points: Iterable[CheckPoint]) -> tuple[CheckPoint, ...]:
    """Return checks, each once, oldest first."""
    by_job = {point.job_name: point for point in points}
    return tuple(sorted(by_job.values(), key=lambda point: (point.time, point.job_name)))


def point_of(check: CheckVerdict | LastCheck, job_name: str) -> CheckPoint:
    """Return a check that has returned a verdict."""
    effects = [effect for item in check.top_features if (effect := _number(item.effect)) is not None]
    return CheckPoint(check.time, str(check.verdict), check.message, max(effects, default=None), job_name)


def _check_of_pod(pod: Object) -> CheckPoint | None:
    """Return the check that a pod has ended, from its termination message, which is not trusted."""
    metadata, labels = pod["metadata"], pod["metadata"].get("labels") or {}
    if labels.get(names.LABEL_ROLE) != Role.CHECK.value:
        return None
    states = [s.get("state") or {} for s in (pod.get("status") or {}).get("containerStatuses") or []]
    ended = next((state["terminated"] for state in states if state.get("terminated")), None)
    if ended is None or not ended.get("message"):
        return None
    try:
        answer = decode_answer(str(ended["message"]))
    except Malformed:
        return None
    job = str(labels.get("batch.kubernetes.io/job-name") or metadata["name"])
    if isinstance(answer, CheckVerdict):
        return point_of(answer, job)
    if isinstance(answer, Failure) and ended.get("finishedAt"):
        return CheckPoint(dt.datetime.fromisoformat(ended["finishedAt"]), FAILED, answer.message, job_name=job)
    return None


def _number(text: str | None) -> float | None:
    """Return the number in a text of the status, which can be anything."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
