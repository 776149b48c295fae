"""Outcomes of checks, detectors and trainings, as they appear in status, messages and stored JSON."""

from __future__ import annotations

from modelmonitor_api.reasons import DocumentedEnum


class Verdict(DocumentedEnum):
    """The verdict of a check."""

    NO_DRIFT = "NoDrift", "No drift was found, and the check could have detected a change of detectableEffect."
    DRIFT = "Drift", "Columns, or relationships between columns, have changed."
    CORRUPTED = "Corrupted", "The data violate the feature contract, so they were not tested for drift."
    PERFORMANCE_DROP = "PerformanceDrop", "No drift was found, but the champion scores significantly worse."
    INCONCLUSIVE = "Inconclusive", "No drift was found, but there are too few data to rule it out."


class DetectorStatus(DocumentedEnum):
    """The outcome of one detector in a check: ``detectors[].outcome`` of the JSON result."""

    DRIFT = "Drift", "Columns or relationships of this detector have drifted."
    NO_DRIFT = "NoDrift", "None has drifted."
    KEPT = "Kept", "DataQuality: all rows satisfy the feature contract."
    BROKEN = "Broken", "DataQuality: some rows violate the feature contract."
    HELD = "Held", "Performance: the champion's score has not dropped."
    DROPPED = "Dropped", "Performance: the champion's score has dropped by more than maxDrop."
    NOT_TESTED = "NotTested", "There was nothing to test; the message explains why."


class ViolationKind(DocumentedEnum):
    """The kind of a violation of the feature contract: ``violations[].kind`` of the JSON result."""

    UNREADABLE = "Unreadable", "An object cannot be read."
    MISSING_COLUMN = "MissingColumn", "A column is missing from an object."
    TYPE_CHANGED = "TypeChanged", "A column has values of another type than the contract or the reference."
    UNEXPECTED_NULL = "UnexpectedNull", "A column that is not nullable has missing values."
    OUT_OF_RANGE = "OutOfRange", "Values are below the minimum or above the maximum of the contract."
    NOT_ALLOWED = "NotAllowed", "Values are not among the allowed values of the contract."
    NULL_BURST = "NullBurst", "A column has far more missing values than in any part of the reference."
    STUCK = "Stuck", "A column has a single value in a whole partition, which is all but impossible by chance."
    UNIT_CHANGED = "UnitChanged", "The values of a column look as if they were in another unit."
    ROW_COUNT = "RowCount", "A partition has far fewer or far more rows than any before it."
    DUPLICATE_KEYS = "DuplicateKeys", "Many rows share a join key."
    CONTRADICTORY_LABELS = "ContradictoryLabels", "Many keys have different labels, none of which is the newest."
    NO_ROWS = "NoRows", "The current window has no rows."
    MISSING_PARTITION = "MissingPartition", "A day that should have a partition has none."


class GateOutcome(DocumentedEnum):
    """The decision of the promotion gate, stored with a version."""

    PASSED = "Passed", "The challenger can become the champion."
    REJECTED = "Rejected", "The challenger cannot become the champion."
    INCONCLUSIVE = "Inconclusive", "The models could not be compared, or the score is suspiciously good."


class RunOutcome(DocumentedEnum):
    """How a training, a rollback or a promotion ended."""

    PROMOTED = "Promoted", "The version became the champion."
    REJECTED = "Rejected", "The champion stays."
    INCONCLUSIVE = "Inconclusive", "The champion stays, because the models could not be compared."
    AWAITING_APPROVAL = "AwaitingApproval", "The version passed the gate and waits for modelmonitor.io/promote."
    ROLLED_BACK = "RolledBack", "An earlier version became the champion again."


class TrainingOutcome(DocumentedEnum):
    """The outcome of a training in the status: that of its pod, or Failed."""

    PROMOTED = RunOutcome.PROMOTED.value, RunOutcome.PROMOTED.meaning
    REJECTED = RunOutcome.REJECTED.value, RunOutcome.REJECTED.meaning
    INCONCLUSIVE = RunOutcome.INCONCLUSIVE.value, RunOutcome.INCONCLUSIVE.meaning
    AWAITING_APPROVAL = RunOutcome.AWAITING_APPROVAL.value, RunOutcome.AWAITING_APPROVAL.meaning
    FAILED = "Failed", "The training ended without a verdict."


class ColumnTestKind(DocumentedEnum):
    """The test of a column that decided: ``features[].decidedBy`` of the JSON result."""

    DISTRIBUTION = "Distribution", "The distribution of the values that are present."
    MISSING_VALUES = "MissingValues", "The rate of missing values."


class ModelKind(DocumentedEnum):
    """How the files of a model version are stored."""

    SKOPS = "Skops", "A scikit-learn pipeline of the built-in trainer, in one skops file."
    CUSTOM = "Custom", "Files of a custom trainer."
