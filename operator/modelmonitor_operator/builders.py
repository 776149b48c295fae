"""The objects that a monitor needs: pure functions from a monitor to Kubernetes objects."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from modelmonitor_api import names
from modelmonitor_api.messages import CheckRequest, MonitorRef, PromoteRequest, RollbackRequest, TrainRequest, encode
from modelmonitor_api.names import Role
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.pods import OUR_CONTAINERS, Work, containers_of, pod_template
from modelmonitor_operator.schedule import per_day, shortest_interval
from modelmonitor_operator.settings import Settings
from modelmonitor_policy import StepBack

#: How long finished Jobs that we create stay: far longer than a resync, long enough to look at.
TTL_SECONDS = 7 * 24 * 3600
#: A check that could not start for so long is left to the next one.
_LONGEST_STARTING_DEADLINE = 3600
#: Labels with these prefixes belong to the tool that applied the monitor, not to its children.
_FOREIGN_LABELS = ("app.kubernetes.io/", "helm.sh/", "argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/")

Request = CheckRequest | TrainRequest | RollbackRequest | PromoteRequest


@dataclass(frozen=True)
class Monitor:
    """A monitor whose spec is accepted.

    Attributes
    ----------
    namespace, name, uid, generation, labels
        Of its metadata.
    spec
        What the user wants.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    labels: dict[str, str]
    spec: ModelMonitorSpec

    @property
    def ref(self) -> MonitorRef:
        """How pods name the monitor."""
        return MonitorRef(namespace=self.namespace, name=self.name, uid=self.uid, generation=self.generation)


def cron_job(monitor: Monitor, settings: Settings) -> Object:
    """Return the CronJob that checks."""
    spec = monitor.spec
    job = _job(monitor, settings, Role.CHECK, check_request(monitor))
    manifest: Object = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": names.cron_job_name(monitor.name),
            "namespace": monitor.namespace,
            "labels": _labels(monitor, Role.CHECK),
            "ownerReferences": [_owner(monitor)],
        },
        "spec": {
            "schedule": spec.schedule,
            "timeZone": spec.time_zone,
            "suspend": spec.suspend,
            "concurrencyPolicy": "Forbid",
            # At most half an interval: resuming a suspended monitor must not fire a run that was missed long ago.
            "startingDeadlineSeconds": max(
                10, min(_LONGEST_STARTING_DEADLINE, int(shortest_interval(spec.schedule).total_seconds() / 2))
            ),
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"metadata": {"labels": job["metadata"]["labels"]}, "spec": job["spec"]},
        },
    }
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    manifest["metadata"]["annotations"] = {names.ANNOTATION_APPLIED: digest}
    return manifest


def training_job(
    monitor: Monitor, settings: Settings, number: int, reason: str, message: str, token: str | None = None
) -> Object:
    """Return the Job of training `number`; `token` is that of the request which it answers, if one does."""
    request = TrainRequest(
        monitor=monitor.ref,
        spec=monitor.spec,
        number=number,
        reason=reason,
        message=message[:1024],
        trainer_image=monitor.spec.retraining.trainer.image or settings.trainer_image,
    )
    job = _job(monitor, settings, Role.TRAIN, request)
    job["metadata"]["name"] = names.training_job_name(monitor.name, monitor.uid, number)
    job["metadata"]["labels"][names.LABEL_NUMBER] = str(number)
    job["metadata"]["annotations"] = {names.ANNOTATION_TRIGGER: f"{reason}: {message}"}
    if token is not None:
        job["metadata"]["annotations"][names.ANNOTATION_TOKEN] = token
    job["spec"]["ttlSecondsAfterFinished"] = TTL_SECONDS
    return job


def requested_job(monitor: Monitor, settings: Settings, role: Role, token: str) -> Object:
    """Return the Job that answers the request `token`: a check, a rollback or a promotion."""
    job = _job(monitor, settings, role, _request(monitor, role, token))
    job["metadata"]["name"] = names.requested_job_name(monitor.name, monitor.uid, role, token)
    job["metadata"]["annotations"] = {names.ANNOTATION_TOKEN: token}
    job["spec"]["ttlSecondsAfterFinished"] = TTL_SECONDS
    return job


def step_back_job(monitor: Monitor, settings: Settings, step: StepBack, cause: Literal["watch", "rollout"]) -> Object:
    """Return the Job of a rollback that the watch on the champion or its rollout calls for; each has one."""
    request = RollbackRequest(
        monitor=monitor.ref,
        spec=monitor.spec,
        to=step.to,
        instead_of=step.instead_of,
        reason=step.reason.value,
        message=step.message[:1024],
    )
    token = f"{step.to}#{cause}-of-{step.token}"
    job = _job(monitor, settings, Role.ROLLBACK, request)
    job["metadata"]["name"] = names.requested_job_name(monitor.name, monitor.uid, Role.ROLLBACK, token)
    job["metadata"]["annotations"] = {names.ANNOTATION_TRIGGER: f"{step.reason}: {step.message}"}
    job["spec"]["ttlSecondsAfterFinished"] = TTL_SECONDS
    return job


def check_request(monitor: Monitor) -> CheckRequest:
    """Return what a check pod is asked."""
    return CheckRequest(monitor=monitor.ref, spec=monitor.spec, checks_per_day=per_day(monitor.spec.schedule))


def selector(monitor: Object) -> str:
    """Return the label selector of everything that belongs to a monitor."""
    metadata = monitor["metadata"]
    return f"{names.LABEL_MONITOR}={metadata['name']},{names.LABEL_MONITOR_UID}={metadata['uid']}"


def _request(monitor: Monitor, role: Role, token: str) -> Request:
    # "previous#2" is "previous" once more: each token is answered once.
    version = token.partition("#")[0][:64]
    if role is Role.ROLLBACK:
        return RollbackRequest(monitor=monitor.ref, spec=monitor.spec, to=version)
    if role is Role.PROMOTE:
        return PromoteRequest(monitor=monitor.ref, spec=monitor.spec, version=version)
    return check_request(monitor)


def _job(monitor: Monitor, settings: Settings, role: Role, request: Request) -> Object:
    """Return a Job without a name."""
    spec = monitor.spec
    pod = spec.retraining.trainer if role is Role.TRAIN else spec.check
    labels = _labels(monitor, role)
    template = pod_template(Work(spec=spec, role=role, request=encode(request), labels=labels), settings)
    names_of_ours = [name for name in OUR_CONTAINERS if name in containers_of(template)]
    job_spec: dict[str, Any] = {
        "backoffLimit": pod.backoff_limit,
        "activeDeadlineSeconds": pod.active_deadline_seconds,
        "podFailurePolicy": {
            "rules": [
                # Bad configuration does not get better by trying again; what 2 means to another image is not known.
                *(
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": name,
                            "operator": "In",
                            "values": [names.ExitCode.BAD_CONFIGURATION],
                        },
                    }
                    for name in names_of_ours
                ),
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
        # A pod that is being deleted may still write: the next one waits until it is gone.
        "podReplacementPolicy": "Failed",
        "template": template,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": monitor.namespace, "labels": dict(labels), "ownerReferences": [_owner(monitor)]},
        "spec": job_spec,
    }


def _labels(monitor: Monitor, role: Role) -> dict[str, str]:
    users = {key: value for key, value in monitor.labels.items() if not key.startswith(_FOREIGN_LABELS)}
    return users | {
        names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
        names.LABEL_PART_OF: names.SINGULAR,
        names.LABEL_MONITOR: monitor.name,
        names.LABEL_MONITOR_UID: monitor.uid,
        names.LABEL_ROLE: role.value,
    }


def _owner(monitor: Monitor) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": monitor.name,
        "uid": monitor.uid,
        "controller": True,
    }
