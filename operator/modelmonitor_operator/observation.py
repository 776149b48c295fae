"""What is there: a monitor's Jobs, how they ended, and what their pods said."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Mapping

from modelmonitor_api import names
from modelmonitor_api.messages import Failure, Malformed, decode_answer
from modelmonitor_api.names import FailureReason, Role
from modelmonitor_api.status import parse_time
from modelmonitor_operator.gateway import Gateway, Object
from modelmonitor_operator.manifests import selector
from modelmonitor_operator.manifests.pod import TRUSTED_CONTAINERS
from modelmonitor_policy.observations import Answer, JobObservation


async def observe_jobs(gateway: Gateway, monitor: Object, known: Collection[str]) -> list[JobObservation]:
    """Return a monitor's Jobs, those that ended first in the order of their end.

    Any Job with our labels counts, whoever made it: ``kubectl create job --from=cronjob/…`` too.

    Parameters
    ----------
    gateway
        The way to the API server. Pods are asked for once, and only where a Job has news.
    monitor
        The ModelMonitor.
    known
        UIDs of Jobs whose end has been taken into account.
    """
    namespace, labels = monitor["metadata"]["namespace"], selector(monitor)
    jobs = [job for job in await gateway.list_jobs(namespace, labels) if _role(job) is not None]
    news = [job for job in jobs if _end(job) is not None and job["metadata"]["uid"] not in known]
    pods = await gateway.list_pods(namespace, labels) if news else []
    ended = {job["metadata"]["uid"]: _pods_of(job, pods) for job in news}
    facts = [_fact(job, ended.get(job["metadata"]["uid"])) for job in jobs]
    return sorted(facts, key=lambda fact: (fact.finished is None, fact.finished or fact.started, fact.name))


def job_observation(job: Object) -> JobObservation:
    """Return a Job that was just created, or met under the name of one we wanted to create.

    It counts as running: whether it has ended is for the next look at all Jobs.
    """
    return dataclasses.replace(_fact(job, None), finished=None)


def belongs_to(child: Object, monitor: Object) -> bool:
    """Whether a monitor controls an object."""
    owners = child["metadata"].get("ownerReferences", [])
    return any(owner.get("controller") and owner["uid"] == monitor["metadata"]["uid"] for owner in owners)


def belongs_to_predecessor(child: Object, monitor: Object) -> bool:
    """Whether a deleted monitor of the same name controls an object: the garbage collector is about to take it."""
    name, uid = monitor["metadata"]["name"], monitor["metadata"]["uid"]
    return any(
        owner.get("controller") and (owner["kind"], owner["name"]) == (names.KIND, name) and owner["uid"] != uid
        for owner in child["metadata"].get("ownerReferences", [])
    )


def _fact(job: Object, pods: list[Object] | None) -> JobObservation:
    """Return what is known of a Job; `pods` are given where its end is news."""
    metadata = job["metadata"]
    annotations = metadata.get("annotations", {})
    number = metadata["labels"].get(names.LABEL_NUMBER, "")
    return JobObservation(
        name=metadata["name"],
        uid=metadata["uid"],
        role=Role(metadata["labels"][names.LABEL_ROLE]),
        started=parse_time(metadata["creationTimestamp"]),
        finished=_end(job),
        answer=None if pods is None else _answer(job, pods),
        number=int(number) if number.isdigit() else None,
        token=annotations.get(names.ANNOTATION_TOKEN),
        trigger=annotations.get(names.ANNOTATION_TRIGGER, ""),
        image_id=next((image for pod in pods or () if (image := _image_id(pod))), None),
    )


def _role(job: Object) -> Role | None:
    try:
        return Role(job["metadata"].get("labels", {}).get(names.LABEL_ROLE, ""))
    except ValueError:
        return None


def _condition(job: Object, *types: str) -> Mapping[str, str] | None:
    """Return a condition that is true. Counts of pods are no judge: they miss deadlines and policies."""
    conditions = job.get("status", {}).get("conditions") or []
    return next((c for c in conditions if c["type"] in types and c["status"] == "True"), None)


def _end(job: Object) -> dt.datetime | None:
    ended = _condition(job, "Complete", "Failed")
    return parse_time(ended["lastTransitionTime"]) if ended else None


def _pods_of(job: Object, pods: list[Object]) -> list[Object]:
    """Return a Job's pods, newest first."""
    uid = job["metadata"]["uid"]
    ours = [pod for pod in pods if any(o["uid"] == uid for o in pod["metadata"].get("ownerReferences", []))]
    return sorted(ours, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)


def _answer(job: Object, pods: list[Object]) -> Answer:
    """Return what an ended Job said, in the order of what tells most."""
    failed = _condition(job, "Failed")
    said = [answer for pod in pods if (answer := _said(pod)) is not None]
    if failed is None:
        nothing = f"Job {job['metadata']['name']} completed and its pod left no verdict"
        verdicts = [answer for answer in said if not isinstance(answer, Failure)]
        return next(iter([*verdicts, *said]), _failure(FailureReason.NO_VERDICT, nothing))
    if failed.get("reason") == "DeadlineExceeded":
        seconds = job["spec"].get("activeDeadlineSeconds")
        return _failure(
            FailureReason.DEADLINE_EXCEEDED,
            f"Job {job['metadata']['name']} ran longer than its {seconds} seconds; raise "
            f"spec.{_field(job)}.activeDeadlineSeconds, or give it less data or more processors",
        )
    ends = [end for pod in pods for end in _terminated(pod)]
    starved = next((name for name, state in ends if state.get("reason") == "OOMKilled"), None)
    if starved is not None:
        return _failure(FailureReason.OUT_OF_MEMORY, _memory_advice(job, starved))
    failure = next((answer for answer in said if isinstance(answer, Failure)), None)
    return failure or _failure(
        FailureReason.NO_VERDICT, _log_advice(job, failed.get("message", "no reason given"), ends)
    )


def _said(pod: Object) -> Answer | None:
    """Return what our containers of a pod left: a trainer of the user's own does not speak for us."""
    for name, state in _terminated(pod):
        text = state.get("message")
        if text and name in TRUSTED_CONTAINERS:
            try:
                return decode_answer(text)
            except Malformed as error:
                return _failure(FailureReason.NO_VERDICT, f"Pod {pod['metadata']['name']}: {error}")
    return None


def _terminated(pod: Object) -> list[tuple[str, Object]]:
    """Return the containers of a pod that have ended, by name, with how."""
    return [(s["name"], s["state"]["terminated"]) for s in _statuses(pod) if "terminated" in s.get("state", {})]


def _image_id(pod: Object) -> str | None:
    """Return the image of the container that trains where it is the user's own, otherwise of ours."""
    found = {status["name"]: status.get("imageID") for status in _statuses(pod)}
    return found.get(names.TRAIN_CONTAINER_NAME) or found.get(names.CONTAINER_NAME) or None


def _statuses(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]


def _field(job: Object) -> str:
    """Return which part of the spec is about the pod of a Job."""
    return "retraining.trainer" if _role(job) is Role.TRAIN else "check"


def _memory_advice(job: Object, starved: str) -> str:
    pod = job["spec"]["template"]["spec"]
    containers = [*pod["containers"], *pod.get("initContainers", [])]
    limits = {c["name"]: c.get("resources", {}).get("limits", {}).get("memory") for c in containers}
    return (
        f"Job {job['metadata']['name']} needed more memory than its limit of {limits.get(starved) or 'the node'}; "
        f"raise spec.{_field(job)}.resources.limits.memory"
    )


def _log_advice(job: Object, message: str, ends: list[tuple[str, Object]]) -> str:
    name = job["metadata"]["name"]
    theirs = ((end, state) for end, state in ends if end not in TRUSTED_CONTAINERS and state.get("exitCode"))
    container, state = next(theirs, (names.CONTAINER_NAME, None))
    if state is not None:
        return (
            f"Container {container} of the trainer image ended with exit code {state['exitCode']}; "
            f"see kubectl logs job/{name} --container {container}"
        )
    return f"Job {name} failed ({message}) and its pod left no message; see kubectl logs job/{name}"


def _failure(reason: FailureReason, message: str) -> Failure:
    return Failure(reason=reason, message=message[:1024])
