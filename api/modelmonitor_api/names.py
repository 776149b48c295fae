"""Names that users see: labels, annotations, environment variables, condition types and names of Jobs.

Reasons are in :mod:`~modelmonitor_api.reasons`, outcomes in :mod:`~modelmonitor_api.outcomes`.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

from modelmonitor_api.reasons import DocumentedEnum, FailureReason, Reason

#: Most modules import reasons together with the names of this module.
__all__ = ["FailureReason", "Reason"]

GROUP = "modelmonitor.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelMonitor"
PLURAL = "modelmonitors"
SINGULAR = "modelmonitor"
SHORT_NAME = "mmon"
CATEGORY = "modelmonitor"

#: CronJob names are limited to 52 characters, and the operator adds up to 12. CEL rejects longer monitor names.
MAX_MONITOR_NAME = 40

FIELD_MANAGER = "modelmonitor-operator"

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_PART_OF = "app.kubernetes.io/part-of"
LABEL_MONITOR = f"{GROUP}/monitor"
LABEL_MONITOR_UID = f"{GROUP}/monitor-uid"
LABEL_ROLE = f"{GROUP}/role"
LABEL_NUMBER = f"{GROUP}/training-number"

#: The request to a pod, as JSON. The pod reads it as a file through the downward API.
ANNOTATION_REQUEST = f"{GROUP}/request"
#: On a Job: why it was started. Shown to users, and used to rebuild a lost status.
ANNOTATION_TRIGGER = f"{GROUP}/trigger"
#: On a Job started by an annotation: the token of the request.
ANNOTATION_TOKEN = f"{GROUP}/token"
#: On a Job: the generation of the spec that it was created for.
ANNOTATION_GENERATION = f"{GROUP}/generation"
#: On a CronJob: the hash of the applied manifest, so that an unchanged one is not written again.
ANNOTATION_APPLIED = f"{GROUP}/applied-hash"

#: Set by users on a ModelMonitor: opaque tokens, echoed in the status and never removed by the operator.
ANNOTATION_CHECK_REQUESTED = f"{GROUP}/check-requested-at"
ANNOTATION_RETRAIN_REQUESTED = f"{GROUP}/retrain-requested-at"
ANNOTATION_ROLLBACK_TO = f"{GROUP}/rollback-to"
ANNOTATION_PROMOTE = f"{GROUP}/promote"
#: Why a version that did not pass the gate is promoted.
ANNOTATION_PROMOTE_REASON = f"{GROUP}/promote-reason"
#: Set by users on a ModelMonitor: holds the champion as long as it is there. Its value is the reason.
ANNOTATION_PIN = f"{GROUP}/pin"
#: On the pod template of a Deployment that serves the champion: its version.
ANNOTATION_CHAMPION = f"{GROUP}/champion"

# Environment variables of the container that serves the champion
VARIABLE_MODEL_VERSION = "MODELMONITOR_MODEL_VERSION"
VARIABLE_MODEL_URI = "MODELMONITOR_MODEL_URI"

#: Where a pod reads its request and writes its verdict.
REQUEST_DIRECTORY = "/etc/modelmonitor"
REQUEST_FILE = "request.json"
TERMINATION_LOG = "/dev/termination-log"
#: Environment variables that the operator sets on the container of a Job.
ENV_JOB_NAME = "MODELMONITOR_JOB_NAME"
ENV_TERMINATION_LOG = "MODELMONITOR_TERMINATION_LOG"
CONTAINER_NAME = "modelmonitor"
#: The training container of a custom trainer.
TRAIN_CONTAINER_NAME = "train"


class Role(StrEnum):
    """The purpose of a Job: the value of the label ``modelmonitor.io/role``."""

    CHECK = "check"
    TRAIN = "train"
    ROLLBACK = "rollback"
    PROMOTE = "promote"


class ConditionType(DocumentedEnum):
    """Types of the conditions in ``status.conditions``, each with what the status True means."""

    READY = "Ready", "The spec is valid and the CronJob is up to date. Drift does not change this condition."
    STALLED = "Stalled", "The spec must be changed before the monitor can work; the message explains how."
    RECONCILING = "Reconciling", "The operator is applying the newest spec."
    DRIFT_DETECTED = "DriftDetected", "The newest check found drift. Unknown without a verdict of Drift or NoDrift."
    TRAINING = (
        "Training",
        "A training is running or about to start. If False, the reason is why none is, or how the last one ended.",
    )
    SUSPENDED = "Suspended", "spec.suspend is true."
    ROLLED_OUT = "RolledOut", "The Deployment of spec.promotion.rollout serves the champion."
    PINNED = "Pinned", "The champion is pinned: neither a training nor a rollback replaces it automatically."
    CHAMPION_HEALTHY = (
        "ChampionHealthy",
        ("The champion can be loaded and scored, and has not been shown to be worse than its predecessor."),
    )


class ExitCode:
    """Exit codes of ``modelmonitor``, which ``podFailurePolicy`` distinguishes.

    A run with a verdict exits with 0, whatever the verdict is, unless ``check --fail-on`` names it.
    """

    OK = 0
    CRASHED = 1
    BAD_CONFIGURATION = 2
    UNAVAILABLE = 3
    FAIL_ON = 10
    INTERRUPTED = 143


def version_uri(results_uri: str, namespace: str, monitor: str, version: str) -> str:
    """Return the URI prefix of a model version.

    >>> version_uri("s3://models/", "ml", "churn", "v1-0badcafe")
    's3://models/ml/churn/versions/v1-0badcafe/'
    """
    return f"{results_uri}{namespace}/{monitor}/versions/{version}/"


def short_hash(*parts: str) -> str:
    """Return eight hex digits of the SHA-256 hash of `parts`."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:8]


def cron_job_name(monitor: str) -> str:
    """Return the name of a monitor's CronJob (at most 46 characters)."""
    return f"{monitor}-check"


def training_job_name(monitor: str, uid: str, number: int) -> str:
    """Return the name of a monitor's training Job number `number`.

    The name acts as a lock: two attempts to carry out the same decision create the same name.
    """
    return f"{monitor}-{short_hash(uid)}-train-{number}"


def requested_job_name(monitor: str, uid: str, role: Role, token: str) -> str:
    """Return the name of the Job for a request made by annotation.

    The same token gives the same Job. The letter r keeps an all-digit hash from being read as the minute that
    a CronJob puts into the names of its Jobs.
    """
    return f"{monitor}-{role.value}-r{short_hash(uid, token)}"
