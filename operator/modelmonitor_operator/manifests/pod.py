"""Pod templates of checks and trainings: restricted, without a service account token, each with its request."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelmonitor_api import names
from modelmonitor_api.names import Role
from modelmonitor_api.spec import ModelMonitorSpec, ResourceRequirements
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.settings import Settings

UID = 65532
_SCRATCH = "2Gi"
#: Room for rows and for two models of at most 2 GiB each: a limit against runaway use, not a reservation.
_EXCHANGE = "16Gi"
_TMP = "/tmp"  # noqa: S108 - where an emptyDir of the pod is mounted
#: Files that the containers of a custom trainer and of the trainer image exchange: docs/reference/trainer-protocol.md.
WORK = "/work"
#: The container that fetches the data for a custom trainer.
PREPARE = "prepare"
#: Containers that run the product's trainer image; only their termination messages are accepted as results.
TRUSTED_CONTAINERS = (names.CONTAINER_NAME, PREPARE)


@dataclass(frozen=True)
class PodPurpose:
    """What a pod does, and for which monitor.

    Attributes
    ----------
    spec
        The monitor's spec.
    role
        Role of the pod.
    request
        Its request, as JSON.
    labels
        Labels of the pod.
    """

    spec: ModelMonitorSpec
    role: Role
    request: str
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def custom_trainer(self) -> bool:
        """Whether the pod runs a custom trainer image."""
        return self.role is Role.TRAIN and self.spec.retraining.trainer.image is not None


def pod_template(purpose: PodPurpose, settings: Settings) -> Object:
    """Return the pod template of a Job."""
    spec = purpose.spec
    volumes: list[Object] = [
        {
            "name": "request",
            "downwardAPI": {
                "items": [
                    {
                        "path": names.REQUEST_FILE,
                        "fieldRef": {"fieldPath": f"metadata.annotations['{names.ANNOTATION_REQUEST}']"},
                    }
                ]
            },
        },
        {"name": "tmp", "emptyDir": {"sizeLimit": _SCRATCH}},
    ]
    pod: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "fsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": volumes,
    }
    if purpose.custom_trainer:
        # Custom containers have a scratch volume of their own: files that they left in the home directory of the
        # trusted containers could redirect the requests of those, which hold the credentials.
        sizes = {"work": _EXCHANGE, "their-tmp": _SCRATCH}
        volumes += [{"name": name, "emptyDir": {"sizeLimit": size}} for name, size in sizes.items()]
        pod["initContainers"] = [
            _trainer_container(purpose, settings, "train-prepare", PREPARE),
            *_custom_trainer_containers(purpose, settings),
        ]
        pod["containers"] = [_trainer_container(purpose, settings, "train-conclude", names.CONTAINER_NAME)]
    else:
        pod["containers"] = [_trainer_container(purpose, settings, purpose.role.value, names.CONTAINER_NAME)]
    if spec.storage.service_account_name is not None:
        pod["serviceAccountName"] = spec.storage.service_account_name
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return {
        "metadata": {"labels": dict(purpose.labels), "annotations": {names.ANNOTATION_REQUEST: purpose.request}},
        "spec": pod,
    }


def container_names(template: Object) -> list[str]:
    """Return the names of all containers of a pod template."""
    pod = template["spec"]
    return [container["name"] for container in [*pod.get("initContainers", []), *pod["containers"]]]


def _trainer_container(purpose: PodPurpose, settings: Settings, command: str, name: str) -> Object:
    """Return a container of the product's trainer image; no other container receives the credentials."""
    spec = purpose.spec
    # Containers that run one after the other share the largest of their requests.
    resources = spec.retraining.trainer.resources if purpose.role is Role.TRAIN else spec.check.resources
    mounts = [
        {"name": "request", "mountPath": names.REQUEST_DIRECTORY, "readOnly": True},
        {"name": "tmp", "mountPath": _TMP},
    ]
    if command.startswith("train-"):
        mounts.append({"name": "work", "mountPath": WORK})
    container: Object = {
        "name": name,
        "image": settings.trainer_image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": [command, "--request", f"{names.REQUEST_DIRECTORY}/{names.REQUEST_FILE}"],
        "env": [
            {
                "name": names.ENV_JOB_NAME,
                "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}},
            },
            {"name": names.ENV_TERMINATION_LOG, "value": names.TERMINATION_LOG},
        ],
        "resources": _resources(resources),
        # The log of a process can contain secrets, so it never stands in for a verdict.
        "terminationMessagePolicy": "File",
        "securityContext": _security_context(),
        "volumeMounts": mounts,
    }
    if spec.storage.credentials_secret_ref is not None:
        container["envFrom"] = [{"secretRef": {"name": spec.storage.credentials_secret_ref.name}}]
    return container


def _custom_trainer_containers(purpose: PodPurpose, settings: Settings) -> list[Object]:
    """Return the containers of a custom trainer: train, then predict with each model on the same rows."""
    trainer = purpose.spec.retraining.trainer
    steps = {names.TRAIN_CONTAINER_NAME: "train", "predict-challenger": "predict", "predict-champion": "predict"}
    return [
        {
            "name": step,
            "image": trainer.image,
            "imagePullPolicy": settings.image_pull_policy,
            "args": [verb, "--request", f"{WORK}/{step}/request.json"],
            "env": [{"name": item.name, "value": item.value} for item in trainer.env],
            "resources": _resources(trainer.resources),
            "securityContext": _security_context(),
            "volumeMounts": [
                {"name": "work", "mountPath": WORK},
                {"name": "their-tmp", "mountPath": _TMP},
            ],
        }
        for step, verb in steps.items()
    ]


def _resources(requirements: ResourceRequirements) -> Object:
    return {key: value for key, value in requirements.to_wire().items() if value}


def _security_context() -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
