"""Check and training pods: image, environment, resources and limits."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from modelmonitor_api.quantity import parse_quantity
from modelmonitor_api.resource import Resource, Rule

#: A Kubernetes quantity, such as 500m or 2Gi.
Quantity = Annotated[str, Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]


class ResourceList(Resource):
    """Amounts of CPU and memory."""

    cpu: Quantity | None = Field(None, description="CPU, for example 500m. If omitted, not set.")
    memory: Quantity | None = Field(None, description="Memory, for example 2Gi. If omitted, not set.")


def _within_limit(requirements: ResourceRequirements, kind: str) -> bool:
    requested, limit = getattr(requirements.requests, kind), getattr(requirements.limits, kind)
    return requested is None or limit is None or parse_quantity(requested) <= parse_quantity(limit)


class ResourceRequirements(Resource):
    """Resource requests and limits of a pod."""

    requests: ResourceList = Field(ResourceList(), description="Resources that the scheduler reserves.")
    limits: ResourceList = Field(ResourceList(), description="Maximum resources that the pod can use.")

    rules: ClassVar[tuple[Rule, ...]] = tuple(
        Rule(
            cel=f"!has(self.requests) || !has(self.limits) || !has(self.requests.{kind}) || !has(self.limits.{kind})"
            f" || quantity(self.requests.{kind}).compareTo(quantity(self.limits.{kind})) <= 0",
            message=f"requests.{kind} must not be above limits.{kind}",
            holds=partial(_within_limit, kind=kind),
        )
        for kind in ("cpu", "memory")
    )


#: Value of an environment variable, bounded to keep the resource small.
ShortText = Annotated[str, Field(max_length=1024)]


class EnvVar(Resource):
    """An environment variable of the custom trainer."""

    name: str = Field(
        description="Name of the variable.", min_length=1, max_length=253, pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$"
    )
    value: ShortText = Field("", description="Value of the variable. Do not put secrets here.")


class Trainer(Resource):
    """Training pod."""

    image: str | None = Field(
        None,
        description="Image of a custom trainer, preferably pinned by digest. It must implement the trainer protocol. "
        "Defaults to the built-in trainer, which fits retraining.estimator.",
        min_length=1,
        max_length=512,
    )
    env: list[EnvVar] = Field(
        default_factory=list,
        description="Environment variables of the custom trainer.",
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    resources: ResourceRequirements = Field(
        ResourceRequirements(requests=ResourceList(cpu="500m", memory="1Gi"), limits=ResourceList(memory="2Gi")),
        description="CPU and memory of the pod.",
    )
    active_deadline_seconds: int = Field(
        7200,
        description="Deadline of a training in seconds. After it, the training is stopped and counts as failed.",
        ge=60,
        le=604800,
    )
    backoff_limit: int = Field(2, description="Number of retries of a failed pod.", ge=0, le=10)


class CheckPod(Resource):
    """Check pod."""

    resources: ResourceRequirements = Field(
        ResourceRequirements(requests=ResourceList(cpu="100m", memory="256Mi"), limits=ResourceList(memory="512Mi")),
        description="CPU and memory of the pod.",
    )
    active_deadline_seconds: int = Field(
        900,
        description="Deadline of a check in seconds. After it, the check is stopped and counts as failed.",
        ge=30,
        le=86400,
    )
    backoff_limit: int = Field(2, description="Number of retries of a failed pod.", ge=0, le=10)
