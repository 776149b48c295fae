"""Names that users see, each defined once."""

from __future__ import annotations

import hashlib
from enum import StrEnum

GROUP = "modelmonitor.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelMonitor"
PLURAL = "modelmonitors"
SINGULAR = "modelmonitor"
SHORT_NAME = "mmon"
CATEGORY = "modelmonitor"

#: CronJob names end at 52 characters and we add up to 12; longer monitors are refused by CEL.
MAX_MONITOR_NAME = 40

FIELD_MANAGER = "modelmonitor-operator"

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_PART_OF = "app.kubernetes.io/part-of"
LABEL_MONITOR = f"{GROUP}/monitor"
LABEL_MONITOR_UID = f"{GROUP}/monitor-uid"
LABEL_ROLE = f"{GROUP}/role"
LABEL_NUMBER = f"{GROUP}/training-number"

#: The request of a pod, as JSON; the pod sees it as a file through the downward API.
ANNOTATION_REQUEST = f"{GROUP}/request"
#: On a Job: why it was started, for people and for rebuilding a lost status.
ANNOTATION_TRIGGER = f"{GROUP}/trigger"
#: On a Job started by an annotation: the token that asked for it.
ANNOTATION_TOKEN = f"{GROUP}/token"
#: On a CronJob: the hash of what we applied, so that an unchanged one costs no write.
ANNOTATION_APPLIED = f"{GROUP}/applied-hash"

#: Set by users on a ModelMonitor; opaque tokens, echoed in status, never removed by us.
ANNOTATION_CHECK_REQUESTED = f"{GROUP}/check-requested-at"
ANNOTATION_RETRAIN_REQUESTED = f"{GROUP}/retrain-requested-at"
ANNOTATION_ROLLBACK_TO = f"{GROUP}/rollback-to"
ANNOTATION_PROMOTE = f"{GROUP}/promote"
#: On the pod template of a Deployment that serves the champion: its version.
ANNOTATION_CHAMPION = f"{GROUP}/champion"

# Environment of the container that serves the champion
VARIABLE_MODEL_VERSION = "MODELMONITOR_MODEL_VERSION"
VARIABLE_MODEL_URI = "MODELMONITOR_MODEL_URI"

#: Where a pod finds its request, and where it leaves its verdict.
REQUEST_DIRECTORY = "/etc/modelmonitor"
REQUEST_FILE = "request.json"
TERMINATION_LOG = "/dev/termination-log"
#: Environment variables that the operator sets on the container of a pod.
ENV_JOB_NAME = "MODELMONITOR_JOB_NAME"
ENV_TERMINATION_LOG = "MODELMONITOR_TERMINATION_LOG"
CONTAINER_NAME = "modelmonitor"
#: Of a trainer of the user's own: the one that trains.
TRAIN_CONTAINER_NAME = "train"


class Role(StrEnum):
    """What a Job of ours is for: the value of the label ``modelmonitor.io/role``."""

    CHECK = "check"
    TRAIN = "train"
    ROLLBACK = "rollback"
    PROMOTE = "promote"


class ConditionType(StrEnum):
    """Types of the conditions in ``status.conditions``."""

    READY = "Ready"
    STALLED = "Stalled"
    RECONCILING = "Reconciling"
    DRIFT_DETECTED = "DriftDetected"
    TRAINING = "Training"
    SUSPENDED = "Suspended"
    ROLLED_OUT = "RolledOut"
    CHAMPION_HEALTHY = "ChampionHealthy"


class Reason(StrEnum):
    """Reasons of conditions, events and decisions, CamelCase as Kubernetes asks."""

    # Ready, Stalled, Reconciling
    ACCEPTED = "Accepted"
    INVALID_SPEC = "InvalidSpec"
    NAME_COLLISION = "NameCollision"
    OBJECT_REFUSED = "ObjectRefused"
    # Suspended
    SUSPENDED = "Suspended"
    ACTIVE = "Active"
    # DriftDetected; the first four are also the verdicts of a check
    DRIFT = "Drift"
    NO_DRIFT = "NoDrift"
    CORRUPTED = "Corrupted"
    INCONCLUSIVE = "Inconclusive"
    PERFORMANCE_DROP = "PerformanceDrop"
    NOT_CHECKED_YET = "NotCheckedYet"
    CHECK_FAILED = "CheckFailed"
    # Triggers of a training
    NO_CHAMPION = "NoChampion"
    DRIFT_DETECTED = "DriftDetected"
    PERIOD_ELAPSED = "PeriodElapsed"
    ENOUGH_NEW_ROWS = "EnoughNewRows"
    REQUESTED = "Requested"
    # Gates that hold a training back
    NOT_TRIGGERED = "NotTriggered"
    IN_FLIGHT = "InFlight"
    CORRUPTED_DATA = "CorruptedData"
    WAITING_FOR_CONSECUTIVE_CHECKS = "WaitingForConsecutiveChecks"
    BACKING_OFF = "BackingOff"
    COOLING_DOWN = "CoolingDown"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    TOO_FEW_NEW_ROWS = "TooFewNewRows"
    DRY_RUN = "DryRun"
    MANUAL_MODE = "ManualMode"
    # Outcomes of a training, rollback or promotion
    PROMOTED = "Promoted"
    REJECTED = "Rejected"
    AWAITING_APPROVAL = "AwaitingApproval"
    ROLLED_BACK = "RolledBack"
    TRAINING_STARTED = "TrainingStarted"
    TRAINING_FAILED = "TrainingFailed"
    CHECK_STARTED = "CheckStarted"
    ROLLBACK_STARTED = "RollbackStarted"
    ROLLBACK_FAILED = "RollbackFailed"
    PROMOTION_STARTED = "PromotionStarted"
    PROMOTION_FAILED = "PromotionFailed"
    # RolledOut
    ROLLOUT_PROGRESSING = "RolloutProgressing"
    ROLLOUT_AVAILABLE = "RolloutAvailable"
    ROLLOUT_FAILED = "RolloutFailed"
    ROLLOUT_BLOCKED = "RolloutBlocked"
    # ChampionHealthy; the first is also the reason of a rollback
    WORSE_THAN_PREDECESSOR = "WorseThanPredecessor"
    NOT_WORSE_THAN_PREDECESSOR = "NotWorseThanPredecessor"


class FailureReason(StrEnum):
    """Why a pod could not do its work; said in its termination message."""

    BAD_CONFIGURATION = "BadConfiguration"
    BAD_DATA = "BadData"
    CREDENTIALS_REFUSED = "CredentialsRefused"
    NOT_FOUND = "NotFound"
    OBJECT_CHANGED = "ObjectChanged"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    DISK_FULL = "DiskFull"
    INTERRUPTED = "Interrupted"
    CRASHED = "Crashed"
    # Said by the operator of a Job whose pod left no message
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    OUT_OF_MEMORY = "OutOfMemory"
    NO_VERDICT = "NoVerdict"


class ExitCode:
    """Exit codes of ``modelmonitor``; ``podFailurePolicy`` tells them apart.

    A verdict of any kind, drift included, is exit 0.
    """

    OK = 0
    CRASHED = 1
    BAD_CONFIGURATION = 2
    UNAVAILABLE = 3
    INTERRUPTED = 143


def version_uri(results_uri: str, namespace: str, monitor: str, version: str) -> str:
    """Return the folder of a version of a monitor's model.

    >>> version_uri("s3://models/", "ml", "churn", "v1-0badcafe")
    's3://models/ml/churn/versions/v1-0badcafe/'
    """
    return f"{results_uri}{namespace}/{monitor}/versions/{version}/"


def short_hash(*parts: str) -> str:
    """Return eight hex digits that identify `parts`."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:8]


def cron_job_name(monitor: str) -> str:
    """Return the name of a monitor's CronJob (at most 46 characters)."""
    return f"{monitor}-check"


def training_job_name(monitor: str, uid: str, number: int) -> str:
    """Return the name of a monitor's training Job number `number`.

    The name is the lock: two attempts at one decision ask for the same name.
    """
    return f"{monitor}-{short_hash(uid)}-train-{number}"


def requested_job_name(monitor: str, uid: str, role: Role, token: str) -> str:
    """Return the name of the Job that answers a request made by annotation.

    One token, one Job: asking twice with the same token is asking once. The letter keeps a hash of digits
    alone from being read as the minute that a CronJob puts into the names of its Jobs.
    """
    return f"{monitor}-{role.value}-r{short_hash(uid, token)}"
