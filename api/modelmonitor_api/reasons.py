"""Reasons of conditions, events, history entries and verdicts, each with its meaning.

The meanings become the tables of the reference page. A reason is one CamelCase word, as the Kubernetes API
conventions require; the ``message`` next to it gives the details.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class DocumentedEnum(StrEnum):
    """A string enum whose members carry a sentence for the reference.

    Attributes
    ----------
    meaning
        What the value means, in one sentence.
    """

    _value_: str
    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> Self:
        """Return the member `value` with its `meaning`; the default is for type checkers, which see lookups here."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class Reason(DocumentedEnum):
    """Reasons set by the operator: of conditions, events and history entries."""

    # Ready, Stalled, Reconciling
    ACCEPTED = "Accepted", "The spec is valid and the CronJob is up to date."
    INVALID_SPEC = "InvalidSpec", "The spec is invalid. The CronJob of the last valid spec keeps running."
    NAME_COLLISION = "NameCollision", "An object that the monitor does not own has a name that the monitor needs."
    OBJECT_REFUSED = "ObjectRefused", "The API server, a quota or an admission policy rejected an object."
    # Suspended
    SUSPENDED = "Suspended", "spec.suspend is true: no checks and no trainings start."
    ACTIVE = "Active", "spec.suspend is false."
    # DriftDetected; the first five are also the verdicts of a check
    DRIFT = (
        "Drift",
        "Columns, or relationships between columns, have changed significantly and by at least minimumEffect.",
    )
    NO_DRIFT = "NoDrift", "With 95 % confidence, no compared column has changed by detectableEffect or more."
    CORRUPTED = "Corrupted", "The data violate the feature contract. Trainings are blocked until a later check passes."
    INCONCLUSIVE = (
        "Inconclusive",
        "Drift was not found and cannot be ruled out, too little was compared, or two models cannot be compared.",
    )
    CHAMPION_UNUSABLE = (
        "ChampionUnusable",
        "The champion cannot be loaded, or cannot score the rows of these days.",
    )
    PERFORMANCE_DROP = "PerformanceDrop", "The champion scores significantly worse than at its promotion."
    NOT_CHECKED_YET = "NotCheckedYet", "No check has completed yet."
    CHECK_NOT_STARTED = (
        "CheckNotStarted",
        "The first check cannot start: no container of its Job has run, and the message names the cause.",
    )
    CHECK_FAILED = "CheckFailed", "The newest check failed and has no verdict. The previous verdict is kept."
    # Triggers of a training
    NO_CHAMPION = "NoChampion", "The monitor has no champion, so a first model is trained."
    DRIFT_DETECTED = "DriftDetected", "Checks reported drift, and triggers.onDrift is true."
    DRIFT_NOT_RULED_OUT = "DriftNotRuledOut", "As many checks as triggers.afterInconclusiveChecks were Inconclusive."
    EXPECTED_GAIN = "ExpectedGain", "The gain expected from a newer model exceeds the price of a training (spec.costs)."
    PERIOD_ELAPSED = "PeriodElapsed", "triggers.everyDays have passed since the last training."
    ENOUGH_NEW_ROWS = "EnoughNewRows", "triggers.everyNewRows have arrived since the champion's training data."
    CHANGE_PARTLY_LEARNT = (
        "ChangePartlyLearnt",
        "The champion's training window begins before a change; twice as many days from after it are possible now.",
    )
    REQUESTED = "Requested", "Requested by an annotation or on the command line."
    # Holds: why a training does not start
    NOT_TRIGGERED = "NotTriggered", "No trigger is active."
    IN_FLIGHT = "InFlight", "A Job that can change the champion is running."
    CORRUPTED_DATA = "CorruptedData", "The newest check found corrupted data."
    WAITING_FOR_CONSECUTIVE_CHECKS = (
        "WaitingForConsecutiveChecks",
        "Fewer checks in a row have reported drift than sensitivity.consecutiveChecks requires.",
    )
    WAITING_FOR_NEW_DATA = (
        "WaitingForNewData",
        "A training window would not yet hold retraining.minNewShare of days from after the change.",
    )
    WAITING_FOR_FIRST_DATA = (
        "WaitingForFirstData",
        "There are too few days or rows, or no labels, for a first training; the message says from when on there are.",
    )
    NOTHING_NEW = "NothingNew", "A training would use the same data as the champion's."
    BACKING_OFF = "BackingOff", "Recent trainings failed. The next attempt is 1 to 32 hours after the last failure."
    COOLING_DOWN = "CoolingDown", "retraining.cooldownSeconds have not passed since the last training started."
    BUDGET_EXHAUSTED = "BudgetExhausted", "retraining.budget is used up."
    TOO_FEW_NEW_ROWS = "TooFewNewRows", "Fewer new rows have arrived than retraining.minNewRows requires."
    DRY_RUN = "DryRun", "A training would have started, but retraining.mode is DryRun."
    MANUAL_MODE = "ManualMode", "A training would have started, but retraining.mode is Manual."
    TRAINING_QUEUED = "TrainingQueued", "As many trainings run as the operator permits. It starts when its turn comes."
    # Starts and ends of Jobs
    PROMOTED = "Promoted", "The version became the champion."
    REJECTED = "Rejected", "The challenger did not pass the promotion gate. The champion stays."
    AWAITING_APPROVAL = "AwaitingApproval", "The challenger passed the gate and waits for approval."
    ROLLED_BACK = "RolledBack", "An earlier version became the champion again."
    TRAINING_STARTED = "TrainingStarted", "A training Job was created."
    PENDING = "Pending", "The Job exists, and no container of it has started yet."
    QUEUED = "Queued", "The Job is suspended by a queue such as Kueue, and starts when the queue admits it."
    NOT_STARTED = "NotStarted", "A training was replaced, because the spec changed before a container of its Job ran."
    TRAINING_FAILED = "TrainingFailed", "A training ended without a verdict."
    CHECK_STARTED = "CheckStarted", "A requested check Job was created."
    ROLLBACK_STARTED = "RollbackStarted", "A rollback Job was created."
    ROLLBACK_FAILED = "RollbackFailed", "A rollback ended without a verdict."
    PROMOTION_STARTED = "PromotionStarted", "A manual promotion Job was created."
    PROMOTION_FAILED = "PromotionFailed", "A manual promotion ended without a verdict."
    # RolledOut
    ROLLOUT_PROGRESSING = "RolloutProgressing", "The Deployment was updated and is not available yet."
    ROLLOUT_AVAILABLE = "RolloutAvailable", "The Deployment serves the champion."
    ROLLOUT_FAILED = (
        "RolloutFailed",
        "The Deployment did not become available in time. The previous version, if any, becomes the champion again.",
    )
    ROLLOUT_BLOCKED = (
        "RolloutBlocked",
        "The Deployment or its container does not exist, or the operator is not allowed to update it.",
    )
    # ChampionHealthy; the first is also the reason of an automatic rollback
    WORSE_THAN_PREDECESSOR = (
        "WorseThanPredecessor",
        "The new champion is significantly worse than its predecessor, by more than the non-inferiority margin.",
    )
    NOT_WORSE_THAN_PREDECESSOR = (
        "NotWorseThanPredecessor",
        "The new champion has not been shown to be worse than its predecessor.",
    )
    # Pinned
    PINNED = "Pinned", "A person has pinned the champion: only a person can replace it."
    # Why a Job has no usable verdict, in addition to the failures
    UNEXPECTED_ANSWER = "UnexpectedAnswer", "The pod left a message of another kind than its Job was created for."
    JOB_DELETED = "JobDeleted", "The Job was deleted before it ended."


class GateReason(DocumentedEnum):
    """Reasons of a training's outcome: what the promotion gate decided, or why it could not decide."""

    FIRST_MODEL = "FirstModel", "Passed: there is no champion to compare with, and the challenger beats the baseline."
    BETTER = "Better", "Passed: the challenger is significantly better than the champion."
    NOT_WORSE = "NotWorse", "Passed: the challenger is not worse than the champion by more than the margin."
    CHAMPION_NOT_COMPARED = (
        "ChampionNotCompared",
        "Passed: the challenger beats the baselines, and the champion cannot be scored since spec or data changed.",
    )
    WORSE = "Worse", "Rejected: the challenger is significantly worse than the champion."
    NOT_SHOWN_TO_BE_AS_GOOD = (
        "NotShownToBeAsGood",
        "Rejected: the interval of the difference extends below the non-inferiority margin.",
    )
    NOT_SHOWN_TO_BE_BETTER = "NotShownToBeBetter", "Rejected: promotion.requirement is Better, and this was not shown."
    WORSE_ON_A_SLICE = "WorseOnASlice", "Rejected: the challenger is worse on a slice by more than maxSliceDrop."
    BELOW_MINIMUM_SCORE = "BelowMinimumScore", "Rejected: the score does not reach promotion.minimumScore."
    WORSE_THAN_BEST = (
        "WorseThanBest",
        "Rejected: it was not shown to be as good as the last champion that was better than its predecessor.",
    )
    NOT_BETTER_THAN_BASELINE = "NotBetterThanBaseline", "Rejected: the challenger does not beat a trivial baseline."
    TOO_FEW_ROWS = "TooFewRows", "Inconclusive: there are too few labelled rows to train or to compare."
    TOO_MANY_LEFT_OUT = (
        "TooManyLeftOut",
        "Inconclusive: too many days violate the feature contract, or too many rows cannot be used.",
    )
    METRIC_UNDEFINED = "MetricUndefined", "Inconclusive: the metric cannot be computed on the hold-out."
    TOO_GOOD_TO_BE_TRUE = "TooGoodToBeTrue", "Inconclusive: the score suggests that a feature leaks the target."
    SAME_DATA = "SameData", "NothingNew: an earlier training used the same data, and compared with the same champion."
    SAME_MODEL = "SameModel", "NothingNew: the challenger has the parameters of the champion."
    LEFT_BY_ROLLBACK = (
        "LeftByRollback",
        "Rejected: the model is one that a rollback has replaced; only a person can promote it again.",
    )
    PINNED = "Pinned", "AwaitingApproval or Rejected: the champion is pinned, so only a person can replace it."
    CHAMPION_CHANGED = "ChampionChanged", "Inconclusive: another Job changed the champion in the meantime."
    CHAMPION_DAMAGED = "ChampionDamaged", "Inconclusive: the files of the champion are missing or damaged."
    INCOMPARABLE = "Incomparable", "Inconclusive: champion and challenger cannot be scored on the same rows."


class FailureReason(DocumentedEnum):
    """Why a pod has no verdict; part of its termination message."""

    BAD_CONFIGURATION = "BadConfiguration", "The request cannot be carried out as configured."
    BAD_DATA = "BadData", "A required object cannot be read, lacks a column, or has a column of another type."
    CREDENTIALS_REFUSED = "CredentialsRefused", "The object store rejected the credentials or denied access."
    NOT_FOUND = "NotFound", "A bucket, an object or a model version does not exist."
    OBJECT_CHANGED = "ObjectChanged", "An object was replaced while it was being read."
    STORAGE_UNAVAILABLE = "StorageUnavailable", "The object store timed out or returned an error."
    DISK_FULL = "DiskFull", "The pod's scratch volume or the node's disk is full."
    INTERRUPTED = "Interrupted", "The pod was asked to stop, for example by an eviction or a node drain."
    CRASHED = "Crashed", "The program failed unexpectedly; this is a bug."
    # Set by the operator for a Job whose pod left no message
    DEADLINE_EXCEEDED = "DeadlineExceeded", "The Job exceeded its activeDeadlineSeconds."
    OUT_OF_MEMORY = "OutOfMemory", "The container exceeded its memory limit."
    NO_VERDICT = "NoVerdict", "The pod ended without a termination message."
    # Set by the operator for a Job that cannot start
    IMAGE_NOT_PULLED = "ImageNotPulled", "The image of a container cannot be pulled, or its name is invalid."
    CONTAINER_CONFIG_ERROR = "ContainerConfigError", "A container refers to a Secret or a key that does not exist."
    CONTAINER_NOT_STARTED = "ContainerNotStarted", "The container runtime cannot create or start a container."
    UNSCHEDULABLE = "Unschedulable", "No node can take the pod."
    POD_REFUSED = (
        "PodRefused",
        "The API server refuses the pod: a quota, an admission policy, or a missing service account.",
    )
