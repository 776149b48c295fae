"""Rollout of the champion to a Deployment: pure functions from the Deployment's state to the fields to apply.

The champion pointer is the only source of truth. If a Deployment does not become available with a new champion, the
plan rolls the pointer back (:mod:`modelmonitor_policy.auto_rollback`), and the Deployment follows it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from modelmonitor_api import names
from modelmonitor_api.names import Reason
from modelmonitor_api.status import Champion, Rollout
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.monitor import Monitor


@dataclass(frozen=True)
class Step:
    """One step of a rollout.

    Attributes
    ----------
    status
        Progress of the rollout.
    apply
        Fields of the Deployment to apply; None if it has them already.
    """

    status: Rollout
    apply: Object | None = None


def next_step(
    monitor: Monitor, champion: Champion, deployment: Object | None, before: Rollout | None, now: dt.datetime
) -> Step:
    """Return the next step towards a Deployment that serves the champion.

    Parameters
    ----------
    monitor
        The monitor, whose spec.promotion.rollout names the Deployment.
    champion
        The version to serve.
    deployment
        The live Deployment; None if it does not exist.
    before
        Progress of the rollout so far.
    now
        The time.
    """
    declared = monitor.spec.promotion.rollout
    assert declared is not None
    name, version = declared.deployment_ref.name, champion.version
    served = before.available_version if before is not None and before.deployment == name else None

    def step(reason: Reason, message: str, apply: Object | None = None) -> Step:
        available = version if reason is Reason.ROLLOUT_AVAILABLE else served
        return Step(_status(name, version, reason, message, available, before, now), apply)

    container = _container(deployment, declared.container) if deployment is not None else None
    if deployment is None or container is None:
        problem = "does not exist" if deployment is None else f"has no container {declared.container!r}"
        return step(Reason.ROLLOUT_BLOCKED, f"Deployment {name} {problem}; fix it, or change spec.promotion.rollout")
    if _template_version(deployment) != version:
        fields = patch(monitor, champion, container)
        return step(Reason.ROLLOUT_PROGRESSING, f"{version} is being rolled out to Deployment {name}", apply=fields)
    # A completed rollout stays completed: keeping the pods healthy is the Deployment controller's task.
    if _available(deployment) or served == version:
        return step(Reason.ROLLOUT_AVAILABLE, f"Deployment {name} serves {version}")
    failure = _deadline_exceeded(deployment)
    if failure is None:
        return step(Reason.ROLLOUT_PROGRESSING, f"{version} is being rolled out to Deployment {name}")
    back = f", rolling back to {served}" if served is not None else ""
    return step(Reason.ROLLOUT_FAILED, f"Deployment {name} did not become available with {version}{back}: {failure}")


def blocked(monitor: Monitor, champion: Champion, before: Rollout | None, message: str, now: dt.datetime) -> Rollout:
    """Return the progress of a rollout whose Deployment the operator can neither read nor change."""
    declared = monitor.spec.promotion.rollout
    assert declared is not None
    served = before.available_version if before is not None else None
    return _status(declared.deployment_ref.name, champion.version, Reason.ROLLOUT_BLOCKED, message, served, before, now)


def patch(monitor: Monitor, champion: Champion, container: str) -> Object:
    """Return the fields of the Deployment that the operator owns: an annotation, a label and two variables."""
    declared = monitor.spec.promotion.rollout
    assert declared is not None
    uri = names.version_uri(monitor.spec.storage.results_uri, monitor.namespace, monitor.name, champion.version)
    variables = [
        {"name": names.VARIABLE_MODEL_VERSION, "value": champion.version},
        {"name": names.VARIABLE_MODEL_URI, "value": uri},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": declared.deployment_ref.name,
            "namespace": monitor.namespace,
            "labels": {names.LABEL_MONITOR: monitor.name},
        },
        "spec": {
            "template": {
                "metadata": {"annotations": {names.ANNOTATION_CHAMPION: champion.version}},
                "spec": {"containers": [{"name": container, "env": variables}]},
            }
        },
    }


def _status(
    deployment: str,
    version: str,
    reason: Reason,
    message: str,
    served: str | None,
    before: Rollout | None,
    now: dt.datetime,
) -> Rollout:
    """Return the progress of a rollout; its time is that of the last change."""
    new = Rollout(
        deployment=deployment,
        version=version,
        reason=reason.value,
        message=message[:1024],
        time=now,
        available_version=served,
    )
    if before is None or (before.deployment, before.version, before.reason) != (deployment, version, reason.value):
        return new
    return new.model_copy(update={"time": before.time})


def _container(deployment: Object, wanted: str | None) -> str | None:
    """Return the container whose environment is updated: the named one, or else the first."""
    existing = [str(container["name"]) for container in deployment["spec"]["template"]["spec"]["containers"]]
    return existing[0] if wanted is None else next((name for name in existing if name == wanted), None)


def _template_version(deployment: Object) -> str | None:
    """Return the version on the pod template."""
    annotations: dict[str, str] = deployment["spec"]["template"]["metadata"].get("annotations", {})
    return annotations.get(names.ANNOTATION_CHAMPION)


def _is_observed(deployment: Object) -> bool:
    """Whether the Deployment's status is about its current spec."""
    return bool(
        deployment.get("status", {}).get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
    )


def _available(deployment: Object) -> bool:
    """Whether all replicas have the current template and are available, as in ``kubectl rollout status``."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    return _is_observed(deployment) and counts == [wanted] * 3


def _deadline_exceeded(deployment: Object) -> str | None:
    """Return the message of the Deployment controller if the progress deadline has passed."""
    conditions = deployment.get("status", {}).get("conditions") or []
    late = (c for c in conditions if c["type"] == "Progressing" and c.get("reason") == "ProgressDeadlineExceeded")
    condition = next(late, None)
    return str(condition.get("message", "")) or "deadline exceeded" if condition and _is_observed(deployment) else None
