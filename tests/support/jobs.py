"""Ends Jobs as the kubelet and the pods of a cluster would: by the status of the pod, and nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, TypeVar

from modelmonitor_api.messages import (
    CheckRequest,
    CheckVerdict,
    Failure,
    PromoteRequest,
    RollbackRequest,
    RunVerdict,
    TrainRequest,
    decode_request,
    encode_answer,
)
from modelmonitor_api.names import (
    ANNOTATION_REQUEST,
    CONTAINER_NAME,
    ExitCode,
    FailureReason,
    cron_job_name,
)
from modelmonitor_api.status import format_time
from support.client import Client, Object
from support.processes import wait_until

Request = TypeVar("Request", CheckRequest, TrainRequest, RollbackRequest, PromoteRequest)


def request_of(job: Object, kind: type[Request]) -> Request:
    """Return the request that the pods of a Job, or of a CronJob's template of Jobs, are given."""
    request = decode_request(job["spec"]["template"]["metadata"]["annotations"][ANNOTATION_REQUEST])
    assert isinstance(request, kind), request
    return request


def pod_of(cluster: Client, job: Object) -> Object:
    """Return the newest pod of a Job, waiting for the Job controller to make it."""
    metadata = job["metadata"]

    def look() -> Object | None:
        # By owner and not by name: a Job may be deleted and another of its name be made.
        pods = [
            pod
            for pod in cluster.list("Pod", metadata["namespace"], **{"batch.kubernetes.io/job-name": metadata["name"]})
            if pod["metadata"]["ownerReferences"][0]["uid"] == metadata["uid"]
            and pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
        ]
        return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)

    def hint() -> str:
        events = [event["message"] for event in cluster.list("Event", metadata["namespace"])]
        return f"pod of Job {metadata['name']} (events: {events})"

    try:
        return wait_until(look, f"pod of Job {metadata['name']}")
    except AssertionError as error:
        raise AssertionError(f"{error}; {hint()}") from error


def end_pod(
    cluster: Client,
    pod: Object,
    message: str = "",
    *,
    exit_code: int = 0,
    reason: str = "",
    container: str = CONTAINER_NAME,
) -> None:
    """Write the status of a pod whose `container` has ended with `exit_code` and left `message`."""
    now = format_time(dt.datetime.now(dt.UTC))
    ended: dict[str, Any] = {
        "exitCode": exit_code,
        "reason": reason or ("Completed" if exit_code == 0 else "Error"),
        "message": message,
        "startedAt": pod["metadata"]["creationTimestamp"],
        "finishedAt": now,
    }
    metadata, spec = pod["metadata"], pod["spec"]
    states = [
        {
            "name": each["name"],
            "image": each["image"],
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"terminated": ended if each["name"] == container else {"exitCode": 0, "finishedAt": now}},
        }
        for each in spec["containers"]
    ]
    status = {
        "phase": "Succeeded" if exit_code == 0 else "Failed",
        "startTime": metadata["creationTimestamp"],
        "containerStatuses": states,
    }
    cluster.patch("Pod", metadata["name"], metadata["namespace"], {"status": status}, subresource="status")


def finished(job: Object) -> str | None:
    """Return Complete or Failed for a Job that has ended, or None."""
    for condition in job.get("status", {}).get("conditions") or ():
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True":
            return str(condition["type"])
    return None


def finish(
    cluster: Client,
    job: Object,
    answer: CheckVerdict | RunVerdict | Failure | str = "",
    *,
    exit_code: int | None = None,
    reason: str = "",
) -> Object:
    """End a Job by ending its pod, and return the ended Job.

    Parameters
    ----------
    cluster
        Client of an administrator.
    job
        The Job, just made.
    answer
        What the pod leaves behind: a message, or any text.
    exit_code
        How the pod ends. Absent: as the command line does for `answer`.
    reason
        Reason of the kubelet, such as OOMKilled.
    """
    if exit_code is None:
        exit_code = ExitCode.OK
        if isinstance(answer, Failure):
            exit_code = _exit_code(answer.reason)
    text = answer if isinstance(answer, str) else encode_answer(answer)
    end_pod(cluster, pod_of(cluster, job), text, exit_code=exit_code, reason=reason)
    name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]

    def look() -> Object | None:
        found = cluster.get("Job", name, namespace)
        return found if finished(found) else None

    return wait_until(look, f"end of Job {name}")


def _exit_code(reason: FailureReason) -> int:
    unusable = {
        FailureReason.BAD_CONFIGURATION,
        FailureReason.BAD_DATA,
        FailureReason.CREDENTIALS_REFUSED,
        FailureReason.NOT_FOUND,
    }
    if reason in unusable:
        return ExitCode.BAD_CONFIGURATION
    if reason is FailureReason.INTERRUPTED:
        return ExitCode.INTERRUPTED
    return ExitCode.CRASHED if reason is FailureReason.CRASHED else ExitCode.UNAVAILABLE


def create_from_cron_job(cluster: Client, monitor: str, namespace: str, name: str) -> Object:
    """Create a Job as ``kubectl create job NAME --from=cronjob/…`` does."""
    cron_job = cluster.get("CronJob", cron_job_name(monitor), namespace)
    template = cron_job["spec"]["jobTemplate"]
    metadata = template.get("metadata", {})
    return cluster.create(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": metadata.get("labels", {}),
                "annotations": {**metadata.get("annotations", {}), "cronjob.kubernetes.io/instantiate": "manual"},
                "ownerReferences": [
                    {
                        "apiVersion": "batch/v1",
                        "kind": "CronJob",
                        "name": cron_job["metadata"]["name"],
                        "uid": cron_job["metadata"]["uid"],
                        "controller": True,
                    }
                ],
            },
            "spec": template["spec"],
        }
    )


def names(jobs: Sequence[Object]) -> list[str]:
    """Return the names of Jobs."""
    return [str(job["metadata"]["name"]) for job in jobs]
