"""Why a Job has not started: pure functions from the Job, its pods and the events about it to a cause and a fix.

A pod whose image cannot be pulled, or whose Secret does not exist, is never reported by the Job itself, which waits for
it until its deadline. The pod's container states name the cause, and where no pod could be created, events do.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from modelmonitor_api import names
from modelmonitor_api.names import FailureReason, Reason, Role
from modelmonitor_api.times import parse_time
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.manifests.pod import TRUSTED_CONTAINERS
from modelmonitor_policy.observations import JobWait

#: A pod is unschedulable for a moment wherever nodes are added on demand, so it is reported after this time.
UNSCHEDULABLE_GRACE = dt.timedelta(seconds=30)
#: The limit of texts in the status, less room for what is added to them.
_MAX_DETAIL = 500

_IMAGE_REASONS = frozenset(
    {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
    | {"RegistryUnavailable", "SignatureValidationFailed"}
)
#: CreateContainerError and RunContainerError while the kubelet retries, the others where it has given up.
_START_REASONS = frozenset({"CreateContainerError", "RunContainerError", "PreCreateHookError", "PostStartHookError"})
_NOT_STARTED = frozenset({"StartError", "ContainerCannotRun"})


def needs_pods(job: Object) -> bool:
    """Whether a Job that has not ended has to be explained by its pods: it has some, and none has become ready."""
    status = job.get("status", {})
    return bool(status.get("active")) and not status.get("ready") and not _suspended(job)


def needs_events(job: Object, pods: Sequence[Object]) -> bool:
    """Whether the Job controller has tried to create pods of a Job, and there are none."""
    status = job.get("status", {})
    return "startTime" in status and not pods and not _suspended(job) and not _has_run(job)


def observe_wait(job: Object, pods: Sequence[Object], events: Sequence[Object], now: dt.datetime) -> JobWait | None:
    """Return why a container of a Job that has not ended has not started; None for a Job that runs.

    Parameters
    ----------
    job
        The Job.
    pods
        Its pods, newest first, if :func:`needs_pods`.
    events
        Events about the Job, if :func:`needs_events`.
    now
        The time.
    """
    name = job["metadata"]["name"]
    if _suspended(job):
        return JobWait(Reason.QUEUED, f"Job {name} is queued: it is suspended until a queue admits it.")
    if job.get("status", {}).get("ready"):
        return None
    problem = next((wait for pod in pods if (wait := _pod_problem(job, pod, now)) is not None), None)
    if problem is not None:
        return problem
    if _has_run(job) or any(_container_started(pod) for pod in pods):
        return None
    return find_refusal(job, events) or JobWait(Reason.PENDING, f"Job {name} has not started yet: no container runs.")


def find_refusal(job: Object, events: Sequence[Object]) -> JobWait | None:
    """Return why the API server refuses the pods of a Job, from the newest of its events FailedCreate."""
    uid = job["metadata"]["uid"]
    refused = [e for e in events if e.get("reason") == "FailedCreate" and e.get("involvedObject", {}).get("uid") == uid]
    if not refused:
        return None
    newest = max(refused, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    # The name of the pod differs in each attempt.
    detail = re.sub(r'^Error creating: (pods "[^"]*" is )?', "", str(newest.get("message", ""))).strip()
    fix = _fix_of_refusal(job, detail)
    return _wait(FailureReason.POD_REFUSED, f"No pod of Job {_name(job)} can be created: {_brief(detail)}; {fix}")


def find_failed_start(job: Object, pods: Sequence[Object]) -> JobWait | None:
    """Return which container the runtime could not start, in a Job that has failed for it."""
    for pod in pods:
        for status in _statuses(pod):
            terminated = status.get("state", {}).get("terminated") or {}
            if terminated.get("reason") in _NOT_STARTED:
                return _not_started(job, status["name"], str(terminated.get("message", "")))
    return None


def is_start_error(terminated: Object) -> bool:
    """Whether the message of a terminated container is the runtime's, which could not start it."""
    return terminated.get("reason") in _NOT_STARTED


def _pod_problem(job: Object, pod: Object, now: dt.datetime) -> JobWait | None:
    """Return what keeps a pod from running: its containers first, because they wait only on a node."""
    for status in _statuses(pod):
        waiting = status.get("state", {}).get("waiting") or {}
        reason, message = waiting.get("reason", ""), str(waiting.get("message", ""))
        if reason in _IMAGE_REASONS:
            return _image_problem(job, pod, status, reason, message)
        if reason == "CreateContainerConfigError":
            return _config_problem(job, status["name"], message)
        if reason in _START_REASONS:
            return _not_started(job, status["name"], message)
    return _scheduling_problem(job, pod, now)


def _image_problem(job: Object, pod: Object, status: Object, reason: str, message: str) -> JobWait:
    container = status["name"]
    containers = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or [])]
    image = next((str(c.get("image")) for c in containers if c["name"] == container), str(status.get("image", "")))
    what = "is not a valid name" if reason == "InvalidImageName" else f"cannot be pulled{_pull_detail(message)}"
    custom = container not in TRUSTED_CONTAINERS
    field = "spec.retraining.trainer.image" if custom else "the chart's trainerImage"
    return _wait(
        FailureReason.IMAGE_NOT_PULLED,
        f"Container {container} of Job {_name(job)} cannot start: the image {image!r} {what}; correct {field}, or the "
        "pull Secrets (imagePullSecrets of the chart), which must exist in this namespace",
    )


def _pull_detail(message: str) -> str:
    """Return the cause within the runtime's message, whose wording changes from one attempt to the next."""
    lower = message.lower()
    causes = {
        " (the registry denies access)": ("unauthorized", "denied", "forbidden", "authentication required"),
        " (there is no such image)": ("not found", "manifest unknown", "does not exist", "is not present"),
        " (the registry cannot be reached)": ("no such host", "timeout", "connection refused", "unreachable"),
    }
    # A registry that cannot be reached is looked up first: "no such host" is also "not found" to some runtimes.
    order = (" (the registry cannot be reached)", " (the registry denies access)", " (there is no such image)")
    return next((cause for cause in order if any(word in lower for word in causes[cause])), "")


def _config_problem(job: Object, container: str, message: str) -> JobWait:
    missing = re.search(r'secrets? "([^"]+)" not found', message)
    key = re.search(r"couldn't find key (\S+) in Secret (\S+)", message)
    if missing:
        cause = f"the Secret {missing[1]!r} does not exist"
        fix = f"create it in namespace {job['metadata']['namespace']}, or correct spec.storage.credentialsSecretRef"
    elif key:
        cause, fix = f"the Secret {key[2]!r} has no key {key[1]!r}", "add it"
    else:
        cause, fix = _brief(message), "create what is missing"
    return _wait(
        FailureReason.CONTAINER_CONFIG_ERROR,
        f"Container {container} of Job {_name(job)} cannot start: {cause}; {fix}",
    )


def _not_started(job: Object, container: str, message: str) -> JobWait:
    custom = container not in TRUSTED_CONTAINERS
    fix = "correct the entry point of spec.retraining.trainer.image" if custom else "see kubectl describe pod"
    return _wait(
        FailureReason.CONTAINER_NOT_STARTED,
        f"Container {container} of Job {_name(job)} cannot be started: {_brief(message) or 'no cause given'}; {fix}",
    )


def _scheduling_problem(job: Object, pod: Object, now: dt.datetime) -> JobWait | None:
    conditions = pod.get("status", {}).get("conditions") or []
    scheduled = next((c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"), None)
    if scheduled is None or scheduled.get("reason") == "SchedulingGated":
        return None
    if now - parse_time(pod["metadata"]["creationTimestamp"]) < UNSCHEDULABLE_GRACE:
        return None
    return _wait(
        FailureReason.UNSCHEDULABLE,
        f"No node can take the pod of Job {_name(job)}: {_brief(str(scheduled.get('message', 'no cause given')))}; "
        f"lower spec.{field_of(job)}.resources.requests, or add nodes",
    )


def _fix_of_refusal(job: Object, detail: str) -> str:
    if "exceeded quota" in detail or "failed quota" in detail:
        return f"raise the ResourceQuota of the namespace, or change spec.{field_of(job)}.resources"
    account = re.search(r'serviceaccount "([^"]+)" not found|service account \S+?/(\S+)', detail)
    if account:
        name = account[1] or account[2].strip('":,')
        return f"create the ServiceAccount {name!r}, or correct spec.storage.serviceAccountName"
    if "LimitRange" in detail or "per Container" in detail or "per Pod" in detail:
        return f"change spec.{field_of(job)}.resources, or the LimitRange of the namespace"
    return "change the spec, or the policy of the namespace that refuses it"


def field_of(job: Object) -> str:
    """Return the part of the spec that configures a Job's pod."""
    is_training = job["metadata"].get("labels", {}).get(names.LABEL_ROLE) == Role.TRAIN
    return "retraining.trainer" if is_training else "check"


def _suspended(job: Object) -> bool:
    return job.get("spec", {}).get("suspend") is True


def _has_run(job: Object) -> bool:
    status = job.get("status", {})
    # A pod that has just ended is not active any more, and not counted yet.
    uncounted = status.get("uncountedTerminatedPods") or {}
    return bool(status.get("failed") or status.get("succeeded") or any(uncounted.values()))


def _container_started(pod: Object) -> bool:
    states = [status.get("state", {}) for status in _statuses(pod)]
    return any("running" in state or "terminated" in state for state in states)


def _statuses(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _name(job: Object) -> str:
    return str(job["metadata"]["name"])


def _brief(detail: str) -> str:
    """Return a text of others as a part of a sentence."""
    printable = "".join(c if c.isprintable() else " " for c in detail).strip().rstrip(".;")
    return printable if len(printable) <= _MAX_DETAIL else printable[: _MAX_DETAIL - 1] + "…"


def _wait(reason: FailureReason, message: str) -> JobWait:
    return JobWait(reason.value, message[:1024])
