"""Observes a monitor's Jobs: which exist, how they ended, and what their pods returned."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Sequence

from modelmonitor_api import names
from modelmonitor_api.messages import Failure, Malformed, decode_answer
from modelmonitor_api.names import FailureReason
from modelmonitor_api.times import parse_time
from modelmonitor_operator.gateway import Forbidden, Gateway, Object
from modelmonitor_operator.job_start import (
    field_of,
    find_failed_start,
    find_refusal,
    is_start_error,
    needs_events,
    needs_pods,
    observe_wait,
)
from modelmonitor_operator.manifests import selector
from modelmonitor_operator.manifests.pod import TRUSTED_CONTAINERS
from modelmonitor_policy.job_objects import end_of, observe_job, role_of, true_condition
from modelmonitor_policy.observations import Answer, JobObservation


async def observe_jobs(
    gateway: Gateway, monitor: Object, known: Collection[str], now: dt.datetime
) -> tuple[JobObservation, ...]:
    """Return a monitor's Jobs: ended ones first, in the order of their ends.

    Every Job with the monitor's labels counts, including those of ``kubectl create job --from=cronjob/…``.

    Parameters
    ----------
    gateway
        Access to the API server. Pods are listed once, and only if a Job has ended or none of its pods has become
        ready; events only for a Job without pods.
    monitor
        The ModelMonitor.
    known
        UIDs of Jobs whose results are part of the status.
    now
        The time.
    """
    namespace, labels = monitor["metadata"]["namespace"], selector(monitor)
    jobs = [job for job in await gateway.list_jobs(namespace, labels) if role_of(job) is not None]
    new = [job for job in jobs if end_of(job) is None or job["metadata"]["uid"] not in known]
    listed = any(end_of(job) is not None or needs_pods(job) for job in new)
    pods = await gateway.list_pods(namespace, labels) if listed else []
    observations = [_observe(job, None) for job in jobs if job not in new]
    for job in new:
        own = _pods_of(job, pods)
        events = await _events_about(gateway, job, own)
        if end_of(job) is not None:
            observations.append(_observe(job, own, events))
        else:
            observations.append(dataclasses.replace(_observe(job, None), waiting=observe_wait(job, own, events, now)))
    return tuple(sorted(observations, key=lambda job: (job.finished is None, job.finished or job.started, job.name)))


def observe_started_job(job: Object) -> JobObservation:
    """Return a Job that has just been created, or that existed under the name of one to be created.

    It counts as running, or as waiting for its pod: whether it has ended is left to the next :func:`observe_jobs`.
    """
    started = parse_time(job["metadata"]["creationTimestamp"])
    wait = None if end_of(job) is not None or needs_pods(job) else observe_wait(job, [], [], started)
    return dataclasses.replace(_observe(job, None), finished=None, waiting=wait)


def belongs_to(child: Object, monitor: Object) -> bool:
    """Whether a monitor controls an object."""
    owners = child["metadata"].get("ownerReferences", [])
    return any(owner.get("controller") and owner["uid"] == monitor["metadata"]["uid"] for owner in owners)


def belongs_to_predecessor(child: Object, monitor: Object) -> bool:
    """Whether a deleted monitor of the same name controls an object, which is about to be garbage-collected."""
    name, uid = monitor["metadata"]["name"], monitor["metadata"]["uid"]
    return any(
        owner.get("controller") and (owner["kind"], owner["name"]) == (names.KIND, name) and owner["uid"] != uid
        for owner in child["metadata"].get("ownerReferences", [])
    )


async def _events_about(gateway: Gateway, job: Object, pods: list[Object]) -> list[Object]:
    """Return the events about a Job; none where its pods are explanation enough."""
    if not (needs_events(job, pods) or (not pods and _passed_deadline(job))):
        return []
    try:
        return await gateway.list_events(job["metadata"]["namespace"], job["metadata"]["uid"])
    except Forbidden:  # with a role of an older version the cause stays unknown, and everything else works
        return []


def _observe(job: Object, pods: list[Object] | None, events: Sequence[Object] = ()) -> JobObservation:
    """Return the observation of a Job; `pods` and `events` are given if it has just ended."""
    return dataclasses.replace(
        observe_job(job),
        answer=None if pods is None else _answer(job, pods, events),
        image_id=next((image for pod in pods or () if (image := _image_id(pod))), None),
    )


def _pods_of(job: Object, pods: list[Object]) -> list[Object]:
    """Return a Job's pods, newest first."""
    uid = job["metadata"]["uid"]
    owned = [pod for pod in pods if any(o["uid"] == uid for o in pod["metadata"].get("ownerReferences", []))]
    return sorted(owned, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)


def _answer(job: Object, pods: list[Object], events: Sequence[Object]) -> Answer:
    """Return the result of an ended Job; the most informative source wins."""
    name = job["metadata"]["name"]
    failed = true_condition(job, "Failed")
    answers = [answer for pod in pods if (answer := _pod_answer(pod)) is not None]
    failures = [answer for answer in answers if isinstance(answer, Failure)]
    if failed is None:
        verdicts = [answer for answer in answers if not isinstance(answer, Failure)]
        no_verdict = _failure(FailureReason.NO_VERDICT, f"Job {name} completed, but its pod left no verdict")
        return next(iter([*verdicts, *failures]), no_verdict)
    if _passed_deadline(job):
        return _failure_at_deadline(job, events)
    not_started = find_failed_start(job, pods)
    if not_started is not None:
        return _failure(FailureReason(not_started.reason), not_started.message)
    terminated = [state for pod in pods for state in _terminated_containers(pod)]
    killed = next((container for container, state in terminated if state.get("reason") == "OOMKilled"), None)
    if killed is not None:
        return _failure(FailureReason.OUT_OF_MEMORY, _memory_advice(job, killed))
    if failures:
        return failures[0]
    return _failure(FailureReason.NO_VERDICT, _log_advice(job, failed.get("message", "no reason given"), terminated))


def _failure_at_deadline(job: Object, events: Sequence[Object]) -> Failure:
    """Return why a Job did not end in time: the Job controller deletes its pod, so that only events can tell."""
    refusal = find_refusal(job, events)
    if refusal is not None:
        return _failure(FailureReason(refusal.reason), f"It did not start before its deadline. {refusal.message}")
    return _failure(
        FailureReason.DEADLINE_EXCEEDED,
        f"Job {job['metadata']['name']} did not end within its deadline of "
        f"{job['spec'].get('activeDeadlineSeconds')} seconds; raise spec.{field_of(job)}.activeDeadlineSeconds, "
        "reduce its data, or give it more CPUs",
    )


def _passed_deadline(job: Object) -> bool:
    failed = true_condition(job, "Failed")
    return failed is not None and failed.get("reason") == "DeadlineExceeded"


def _pod_answer(pod: Object) -> Answer | None:
    """Return what the trusted containers of a pod returned; a custom trainer cannot return a verdict."""
    for container, state in _terminated_containers(pod):
        text = state.get("message")
        if text and container in TRUSTED_CONTAINERS and not is_start_error(state):
            try:
                return decode_answer(text)
            except Malformed as error:
                return _failure(FailureReason.NO_VERDICT, f"Pod {pod['metadata']['name']}: {error}")
    return None


def _terminated_containers(pod: Object) -> list[tuple[str, Object]]:
    """Return the names and the states of a pod's terminated containers."""
    return [(s["name"], s["state"]["terminated"]) for s in _statuses(pod) if "terminated" in s.get("state", {})]


def _image_id(pod: Object) -> str | None:
    """Return the image of the container that trains: a custom trainer, or else the trainer image."""
    images = {status["name"]: status.get("imageID") for status in _statuses(pod)}
    return images.get(names.TRAIN_CONTAINER_NAME) or images.get(names.CONTAINER_NAME) or None


def _statuses(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]


def _memory_advice(job: Object, container: str) -> str:
    pod = job["spec"]["template"]["spec"]
    containers = [*pod["containers"], *pod.get("initContainers", [])]
    limits = {c["name"]: c.get("resources", {}).get("limits", {}).get("memory") for c in containers}
    return (
        f"Job {job['metadata']['name']} ran out of memory, with a limit of {limits.get(container) or 'the node'}; "
        f"raise spec.{field_of(job)}.resources.limits.memory"
    )


def _log_advice(job: Object, message: str, terminated: list[tuple[str, Object]]) -> str:
    name = job["metadata"]["name"]
    custom = ((c, state) for c, state in terminated if c not in TRUSTED_CONTAINERS and state.get("exitCode"))
    container, state = next(custom, (names.CONTAINER_NAME, None))
    if state is not None:
        return (
            f"Container {container} of the trainer image exited with code {state['exitCode']}; "
            f"see kubectl logs job/{name} --container {container}"
        )
    return f"Job {name} failed ({message}), and its pod left no message; see kubectl logs job/{name}"


def _failure(reason: FailureReason, message: str) -> Failure:
    return Failure(reason=reason, message=message[:1024])
