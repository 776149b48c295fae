"""Rolling the champion out to a Deployment: pure, from what the Deployment says to what it is told.

The champion pointer is the one truth. A Deployment that does not become available with a new champion sends the
pointer one step back, by the same Job as a rollback by hand, and then follows it again.
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
    """What a look at the Deployment leads to.

    Attributes
    ----------
    status
        What is known now.
    apply
        Fields of the Deployment to apply; None where it has them.
    go_back_to
        Version that is to be the champion again; None as long as nothing failed.
    """

    status: Rollout
    apply: Object | None = None
    go_back_to: str | None = None


def next_step(
    monitor: Monitor, champion: Champion, deployment: Object | None, before: Rollout | None, now: dt.datetime
) -> Step:
    """Return what is to be done so that the Deployment serves the champion.

    Parameters
    ----------
    monitor
        Its spec.promotion.rollout names the Deployment.
    champion
        What it is to serve.
    deployment
        As it is; None where there is none.
    before
        What was known.
    now
        The time.
    """
    declared = monitor.spec.promotion.rollout
    assert declared is not None
    name, version = declared.deployment_ref.name, champion.version
    served = before.available_version if before is not None and before.deployment == name else None

    def step(reason: Reason, message: str, apply: Object | None = None, go_back_to: str | None = None) -> Step:
        now_served = version if reason is Reason.ROLLOUT_AVAILABLE else served
        return Step(_status(name, version, reason, message, now_served, before, now), apply, go_back_to)

    container = _container(deployment, declared.container) if deployment is not None else None
    if deployment is None or container is None:
        lacks = "does not exist" if deployment is None else f"has no container {declared.container!r}"
        return step(Reason.ROLLOUT_BLOCKED, f"Deployment {name} {lacks}; correct it, or spec.promotion.rollout")
    if _told(deployment) != version:
        fields = patch(monitor, champion, container)
        return step(Reason.ROLLOUT_PROGRESSING, f"{version} is being rolled out to Deployment {name}", apply=fields)
    # What was rolled out stays so: whether its pods stay healthy is the Deployment's own business.
    if _available(deployment) or served == version:
        return step(Reason.ROLLOUT_AVAILABLE, f"Deployment {name} serves {version}")
    why = _given_up(deployment)
    if why is None:
        return step(Reason.ROLLOUT_PROGRESSING, f"{version} is being rolled out to Deployment {name}")
    back = f", back to {served}" if served is not None else ""
    text = f"Deployment {name} did not become available with {version}{back}: {why}"
    return step(Reason.ROLLOUT_FAILED, text, go_back_to=served)


def blocked(monitor: Monitor, champion: Champion, before: Rollout | None, why: str, now: dt.datetime) -> Rollout:
    """Return what is known where the API server lets us neither see nor change the Deployment."""
    declared = monitor.spec.promotion.rollout
    assert declared is not None
    served = before.available_version if before is not None else None
    return _status(declared.deployment_ref.name, champion.version, Reason.ROLLOUT_BLOCKED, why, served, before, now)


def patch(monitor: Monitor, champion: Champion, container: str) -> Object:
    """Return the fields of the Deployment that are ours: an annotation, a label, and two variables."""
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
    """Return the status; its time is that of the last change."""
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
    """Return the container that is told: the one named, or the first."""
    there = [str(container["name"]) for container in deployment["spec"]["template"]["spec"]["containers"]]
    return there[0] if wanted is None else next((name for name in there if name == wanted), None)


def _told(deployment: Object) -> str | None:
    """Return the version on the pod template."""
    annotations: dict[str, str] = deployment["spec"]["template"]["metadata"].get("annotations", {})
    return annotations.get(names.ANNOTATION_CHAMPION)


def _observed(deployment: Object) -> bool:
    """Whether the status speaks of the present spec."""
    return bool(
        deployment.get("status", {}).get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
    )


def _available(deployment: Object) -> bool:
    """Whether all replicas are of the present template and available, as ``kubectl rollout status`` sees it."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    return _observed(deployment) and counts == [wanted] * 3


def _given_up(deployment: Object) -> str | None:
    """Return why the Deployment controller has given up waiting, if it has."""
    found = deployment.get("status", {}).get("conditions") or []
    late = (c for c in found if c["type"] == "Progressing" and c.get("reason") == "ProgressDeadlineExceeded")
    condition = next(late, None)
    return str(condition.get("message", "")) or "deadline exceeded" if condition and _observed(deployment) else None
