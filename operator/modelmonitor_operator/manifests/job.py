"""The Jobs of a monitor: checks, trainings, rollbacks and promotions."""

from __future__ import annotations

from typing import Any

from modelmonitor_api import names
from modelmonitor_api.messages import Request, encode
from modelmonitor_api.names import Role
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.manifests.pod import TRUSTED_CONTAINERS, PodPurpose, container_names, pod_template
from modelmonitor_operator.monitor import Monitor
from modelmonitor_operator.settings import Settings
from modelmonitor_policy import Intent, plan_job

#: How long finished Jobs are kept: far longer than a resync, and long enough to inspect them.
TTL_SECONDS = 7 * 24 * 3600
#: Labels with these prefixes belong to the tool that applied the monitor, not to its children.
_FOREIGN_LABELS = ("app.kubernetes.io/", "helm.sh/", "argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/")


def job_of(monitor: Monitor, settings: Settings, intent: Intent) -> Object:
    """Return the Job that executes an intent; the same intent always gives a Job of the same name."""
    planned = plan_job(intent, monitor.ref, monitor.spec, settings.trainer_image)
    manifest = unnamed_job(monitor, settings, planned.role, planned.request)
    metadata = manifest["metadata"]
    metadata["name"] = planned.name
    annotations = {names.ANNOTATION_TRIGGER: planned.trigger, names.ANNOTATION_TOKEN: planned.token}
    metadata["annotations"] |= {name: value for name, value in annotations.items() if value}
    if planned.number is not None:
        metadata["labels"][names.LABEL_NUMBER] = str(planned.number)
    manifest["spec"]["ttlSecondsAfterFinished"] = TTL_SECONDS
    return manifest


def selector(monitor: Object) -> str:
    """Return the label selector of everything that belongs to a monitor."""
    metadata = monitor["metadata"]
    return f"{names.LABEL_MONITOR}={metadata['name']},{names.LABEL_MONITOR_UID}={metadata['uid']}"


def unnamed_job(monitor: Monitor, settings: Settings, role: Role, request: Request) -> Object:
    """Return a Job that still lacks its name."""
    spec = monitor.spec
    pod = spec.retraining.trainer if role is Role.TRAIN else spec.check
    labels = labels_of(monitor, role)
    ref = request.monitor.model_copy(update={"cluster": settings.cluster})
    request = request.model_copy(update={"monitor": ref, "decisions": list(monitor.decisions) or None})
    template = pod_template(PodPurpose(spec=spec, role=role, request=encode(request), labels=labels), settings)
    job_spec: dict[str, Any] = {
        "backoffLimit": pod.backoff_limit,
        "activeDeadlineSeconds": pod.active_deadline_seconds,
        "podFailurePolicy": {
            "rules": [
                # Retrying does not fix a bad configuration. What exit code 2 means in a custom image is unknown.
                *(
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": name,
                            "operator": "In",
                            "values": [names.ExitCode.BAD_CONFIGURATION],
                        },
                    }
                    for name in TRUSTED_CONTAINERS
                    if name in container_names(template)
                ),
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
        # A pod that is being deleted can still write: its replacement waits until it is gone.
        "podReplacementPolicy": "Failed",
        "template": template,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": monitor.namespace,
            "labels": dict(labels),
            "annotations": {names.ANNOTATION_GENERATION: str(monitor.generation)},
            "ownerReferences": [owner_reference(monitor)],
        },
        "spec": job_spec,
    }


def labels_of(monitor: Monitor, role: Role) -> dict[str, str]:
    """Return the labels of a monitor's children: those of the user, and those by which the operator finds them."""
    users = {key: value for key, value in monitor.labels.items() if not key.startswith(_FOREIGN_LABELS)}
    return users | {
        names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
        names.LABEL_PART_OF: names.SINGULAR,
        names.LABEL_MONITOR: monitor.name,
        names.LABEL_MONITOR_UID: monitor.uid,
        names.LABEL_ROLE: role.value,
    }


def owner_reference(monitor: Monitor) -> Object:
    """Return the reference that makes the garbage collector delete a child together with its monitor."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": monitor.name,
        "uid": monitor.uid,
        "controller": True,
    }
