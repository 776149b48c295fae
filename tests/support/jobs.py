"""Finishes Jobs as the kubelet would, by writing the status of their pods."""

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
from modelmonitor_api.times import format_time
from support.client import Client, Object
from support.processes import wait_until

Request = TypeVar("Request", CheckRequest, TrainRequest, RollbackRequest, PromoteRequest)


def request_of(job: Object, kind: type[Request]) -> Request:
    """Return the request in the pod template of a Job, or of a CronJob's Job template."""
    request = decode_request(job["spec"]["template"]["metadata"]["annotations"][ANNOTATION_REQUEST])
    assert isinstance(request, kind), request
    return request


def pod_of(cluster: Client, job: Object) -> Object:
    """Wait until the Job controller has created a pod of a Job, and return the newest pod."""
    metadata = job["metadata"]

    def newest_pod() -> Object | None:
        # By owner, not by name: another Job may have had the same name before.
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
        return wait_until(newest_pod, f"pod of Job {metadata['name']}")
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
    """Write the status of a pod whose `container` has exited with `exit_code` and the termination message `message`."""
    now = format_time(dt.datetime.now(dt.UTC))
    terminated: dict[str, Any] = {
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
            "state": {"terminated": terminated if each["name"] == container else {"exitCode": 0, "finishedAt": now}},
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
    """Return Complete or Failed if a Job has finished, otherwise None."""
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
    """Finish a Job through the status of its pod, and return the finished Job.

    Parameters
    ----------
    cluster
        Client of an administrator.
    job
        The Job; its pod is still running.
    answer
        Termination message of the pod: a message of the API, or any text.
    exit_code
        Exit code of the pod. Defaults to the one that the command line uses for `answer`.
    reason
        The kubelet's reason, such as OOMKilled.
    """
    if exit_code is None:
        exit_code = ExitCode.OK
        if isinstance(answer, Failure):
            exit_code = _exit_code(answer.reason)
    text = answer if isinstance(answer, str) else encode_answer(answer)
    end_pod(cluster, pod_of(cluster, job), text, exit_code=exit_code, reason=reason)
    name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]

    def finished_job() -> Object | None:
        current = cluster.get("Job", name, namespace)
        return current if finished(current) else None

    return wait_until(finished_job, f"end of Job {name}")


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
