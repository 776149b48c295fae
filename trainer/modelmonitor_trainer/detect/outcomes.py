"""Outcomes of detectors and kinds of violations, as they appear in stored JSON."""

from __future__ import annotations

from enum import StrEnum


class DetectorStatus(StrEnum):
    """The outcome of one detector: ``detectors[].outcome`` of the JSON result."""

    DRIFT = "Drift"
    NO_DRIFT = "NoDrift"
    KEPT = "Kept"
    BROKEN = "Broken"
    HELD = "Held"
    DROPPED = "Dropped"
    NOT_TESTED = "NotTested"


#: Outcomes that a report highlights.
ALARMS = frozenset({DetectorStatus.DRIFT, DetectorStatus.BROKEN, DetectorStatus.DROPPED})


class ViolationKind(StrEnum):
    """The kind of a violation of the feature contract: ``violations[].kind`` of the JSON result."""

    UNREADABLE = "Unreadable"
    MISSING_COLUMN = "MissingColumn"
    TYPE_CHANGED = "TypeChanged"
    UNEXPECTED_NULL = "UnexpectedNull"
    OUT_OF_RANGE = "OutOfRange"
    NOT_ALLOWED = "NotAllowed"
    NULL_BURST = "NullBurst"
    STUCK = "Stuck"
    UNIT_CHANGED = "UnitChanged"
    ROW_COUNT = "RowCount"
    DUPLICATE_KEYS = "DuplicateKeys"
    NO_ROWS = "NoRows"
    MISSING_PARTITION = "MissingPartition"
