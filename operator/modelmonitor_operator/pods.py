"""The pods that check and train: restricted, without a Kubernetes token, each with its request in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelmonitor_api import names
from modelmonitor_api.names import Role
from modelmonitor_api.spec import ModelMonitorSpec, ResourceRequirements
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.settings import Settings

UID = 65532
_SCRATCH = "2Gi"
#: Rows, and two models of at most 2 GiB each: a bound for what runs wild, not what is set aside.
_EXCHANGE = "16Gi"
_TMP = "/tmp"  # noqa: S108 - where an emptyDir of the pod is mounted
#: Files that a trainer of the user's own and ours pass to each other; see docs/trainer-protocol.md.
WORK = "/work"
#: The container that fetches the data for a trainer of the user's own.
PREPARE = "prepare"
#: Containers of the trainer image that we ship; what another container says is no verdict.
OUR_CONTAINERS = (names.CONTAINER_NAME, PREPARE)


@dataclass(frozen=True)
class Work:
    """What a pod is for.

    Attributes
    ----------
    spec
        The monitor's spec.
    role
        What the pod does.
    request
        Its request, as JSON.
    labels
        Labels of the pod.
    """

    spec: ModelMonitorSpec
    role: Role
    request: str
    labels: dict[str, str] = field(default_factory=dict)


def pod_template(work: Work, settings: Settings) -> Object:
    """Return the pod template of a Job."""
    spec = work.spec
    own = work.role is Role.TRAIN and spec.retraining.trainer.image is not None
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
    if own:
        # Theirs have a scratch volume of their own: what they leave in the home of ours could redirect its requests.
        sizes = {"work": _EXCHANGE, "their-tmp": _SCRATCH}
        volumes += [{"name": name, "emptyDir": {"sizeLimit": size}} for name, size in sizes.items()]
        pod["initContainers"] = [_ours(work, settings, "train-prepare", PREPARE), *_own_trainer(work, settings)]
        pod["containers"] = [_ours(work, settings, "train-conclude", names.CONTAINER_NAME)]
    else:
        pod["containers"] = [_ours(work, settings, work.role.value, names.CONTAINER_NAME)]
    if spec.storage.service_account_name is not None:
        pod["serviceAccountName"] = spec.storage.service_account_name
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return {
        "metadata": {"labels": dict(work.labels), "annotations": {names.ANNOTATION_REQUEST: work.request}},
        "spec": pod,
    }


def containers_of(template: Object) -> list[str]:
    """Return the names of all containers of a pod template."""
    pod = template["spec"]
    return [container["name"] for container in [*pod.get("initContainers", []), *pod["containers"]]]


def _ours(work: Work, settings: Settings, command: str, container: str) -> Object:
    """Return a container of the trainer image, which alone is given the credentials."""
    spec = work.spec
    # Containers of one pod that run one after the other share what the largest asks for.
    resources = spec.retraining.trainer.resources if work.role is Role.TRAIN else spec.check.resources
    mounts = [
        {"name": "request", "mountPath": names.REQUEST_DIRECTORY, "readOnly": True},
        {"name": "tmp", "mountPath": _TMP},
    ]
    if command.startswith("train-"):
        mounts.append({"name": "work", "mountPath": WORK})
    made: Object = {
        "name": container,
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
        # What a process prints may hold secrets, so never the log in place of a verdict.
        "terminationMessagePolicy": "File",
        "securityContext": _security(),
        "volumeMounts": mounts,
    }
    if spec.storage.credentials_secret_ref is not None:
        made["envFrom"] = [{"secretRef": {"name": spec.storage.credentials_secret_ref.name}}]
    return made


def _own_trainer(work: Work, settings: Settings) -> list[Object]:
    """Return the containers of the user's image: train, then predict with each model on the same rows."""
    trainer = work.spec.retraining.trainer
    steps = {names.TRAIN_CONTAINER_NAME: "train", "predict-challenger": "predict", "predict-champion": "predict"}
    return [
        {
            "name": step,
            "image": trainer.image,
            "imagePullPolicy": settings.image_pull_policy,
            "args": [verb, "--request", f"{WORK}/{step}/request.json"],
            "env": [{"name": item.name, "value": item.value} for item in trainer.env],
            "resources": _resources(trainer.resources),
            "securityContext": _security(),
            "volumeMounts": [
                {"name": "work", "mountPath": WORK},
                {"name": "their-tmp", "mountPath": _TMP},
            ],
        }
        for step, verb in steps.items()
    ]


def _resources(wanted: ResourceRequirements) -> Object:
    return {key: value for key, value in wanted.to_wire().items() if value}


def _security() -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
