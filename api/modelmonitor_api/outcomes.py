"""Outcomes of checks, detectors and trainings, as they appear in status, messages and stored JSON."""

from __future__ import annotations

from modelmonitor_api.reasons import DocumentedEnum


class Verdict(DocumentedEnum):
    """The verdict of a check."""

    NO_DRIFT = "NoDrift", "With 95 % confidence, no compared column has changed by detectableEffect or more."
    DRIFT = "Drift", "Columns, or relationships between columns, have changed."
    CORRUPTED = "Corrupted", "The data violate the feature contract, whether or not columns have drifted."
    CHAMPION_UNUSABLE = "ChampionUnusable", "No drift was found, but the champion cannot be loaded or scored."
    PERFORMANCE_DROP = "PerformanceDrop", "No drift was found, but the champion scores significantly worse."
    INCONCLUSIVE = (
        "Inconclusive",
        "No drift was detected, but a change of a column or of the score is not ruled out, or too little was compared.",
    )


class DoubtReason(DocumentedEnum):
    """Why a change of a column cannot be ruled out: ``features[].doubts[].reason`` of the JSON result."""

    TOO_FEW_ROWS = "TooFewRows", "There are too few rows."
    BATCHES_VARY = "BatchesVary", "Days (or files) vary too much, or there are too few of them. More rows do not help."
    TREND = "Trend", "The reference moves steadily in one direction, and the current window continues it."
    CHANGE_POINT = "ChangePoint", "The reference has changed within itself; the current window is like a part of it."
    ODD_BATCHES = "OddBatches", "Some days (or files) of the current window are unlike those of the reference."
    NEW_VALUES = "NewValues", "Half or more of the distinct values may not occur in the reference."
    RARE_VALUES = "RareValues", "Values too rare to compare one by one may have changed among themselves."
    NO_VALUES = "NoValues", "One side has rows, but no values."
    MISSING_ROWS = "MissingRows", "Too many of the current rows are in files that lack the column."


class FindingKind(DocumentedEnum):
    """What a finding is about: ``findings[].kind`` of the JSON result."""

    MEAN = "Mean", "The mean has moved by half a standard deviation or more."
    SPREAD = "Spread", "The standard deviation has doubled, or halved."
    RANGE = "Range", "The smallest or largest value lies far outside of the reference."
    VALUE_SHARE = "ValueShare", "The share of a single value has tripled, or changed by five points and half."
    ODD_BATCH = "OddBatch", "Single days (or files) are unlike those of the reference."


class DetectorStatus(DocumentedEnum):
    """The outcome of one detector in a check: ``detectors[].outcome`` of the JSON result."""

    DRIFT = "Drift", "Columns or relationships of this detector have drifted."
    NO_DRIFT = "NoDrift", "None has drifted, and a change of detectableEffect is ruled out for all of them."
    INCONCLUSIVE = (
        "Inconclusive",
        "Nothing was found, but a change of detectableEffect (Performance: a drop of maxDrop) is not ruled out.",
    )
    KEPT = "Kept", "DataQuality: all rows satisfy the feature contract."
    BROKEN = "Broken", "DataQuality: some rows violate the feature contract."
    HELD = (
        "Held",
        "Performance: with 95 % confidence, the champion's score has not dropped by more than maxDrop.",
    )
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


class LeftOutReason(DocumentedEnum):
    """Why something was not compared: ``coverage.*.leftOut[].reason`` of the JSON result."""

    MARKER = "Marker", "A marker or the unfinished output of a job, according to its name."
    NOT_DATA = "NotData", "A checksum, a document, or a copy that an editor made, according to its name."
    UNKNOWN_FORMAT = (
        "UnknownFormat",
        "Neither name nor content is that of a Parquet, CSV or JSON Lines file; write it as one, or move it elsewhere.",
    )
    OTHER_FORMAT = "OtherFormat", "The file has another format than the files next to it."
    OTHER_TABLE = (
        "OtherTable",
        "The file shares no column with most of the others, so it belongs to another table; move it elsewhere.",
    )
    REMOVED_FROM_TABLE = "RemovedFromTable", "The log of the Delta table does not list the file as current."
    MISSING_FROM_TABLE = "MissingFromTable", "The log of the Delta table lists the file, but it does not exist."
    OUTSIDE_PATTERN = "OutsidePattern", "It is next to what the pattern or the URI template selects."
    NOT_A_DAY = "NotADay", "The name of the folder does not end in a day, as the URI template requires."
    UNFINISHED_DAY = "UnfinishedDay", "The day is not over (in UTC), so its partition can still grow."
    FUTURE_DAY = "FutureDay", "The day is in the future."
    MISSING_DAY = "MissingDay", "No rows have arrived for the day."
    MISSING_HOURS = "MissingHours", "Hours of the day are missing."
    NO_ROWS = "NoRows", "The file has no rows."
    BOTH_SIDES = "BothSides", "It is on both sides, which hides changes."
    NEW_COLUMN = "NewColumn", "The reference lacks the column."
    LOST_COLUMN = "LostColumn", "The current side lacks the column."
    PARTIAL_COLUMN = "PartialColumn", "Some of its files or days lack the column; the result holds for the others."
    UNSUPPORTED_COLUMN = (
        "UnsupportedColumn",
        "Its type or name cannot be compared; write columns of numbers, dates or text, or leave it out (--ignore).",
    )
    TIME_COLUMN = "TimeColumn", "This key of the folders is the time of a partition, which differs in every period."
    EXCLUDED_COLUMN = "ExcludedColumn", "The column was excluded; if that was not requested, a note explains why."
    SELECTED_COLUMN = (
        "SelectedColumn",
        "The pattern, the path or the URI template selects the key of folders.",
    )
    GROWING_COLUMN = (
        "GrowingColumn",
        "It grows with the data, as the time of an event or the number of a run does, so it differs in every period.",
    )
    UNEVEN_COLUMN = "UnevenColumn", "Only some of the paths have this key of the folders."
    UNPARSED_VALUES = "UnparsedValues", "The values are not of the column's type, and count as missing."
    NULL_WORDS = (
        "NullWords",
        "These words mean a missing value; declare others with data.csv.nullValues (--null-values).",
    )
    NOT_A_NUMBER = "NotANumber", "NaN counts as a missing value."
    UNLABELLED_ROWS = "UnlabelledRows", "No label has arrived with the join key of these rows."
    REPEATED_KEYS = "RepeatedKeys", "These rows repeat the join key of another row."
    FEW_LABELS = "FewLabels", "Fewer rows of the day have a label than data.labels.minShare."
    UNMATCHED_LABELS = "UnmatchedLabels", "No row has the join key of these labels."
    CONTRADICTORY_LABELS = "ContradictoryLabels", "The labels of these rows contradict each other."
    UNSCORED_ROWS = "UnscoredRows", "The prediction of these rows is missing or not finite, or their label is no class."
    UNDECLARED_COLUMN = "UndeclaredColumn", "The spec does not declare the column."
    UNDECLARED_KEY = "UndeclaredKey", "The spec does not declare this key of the folders; declare it to compare it."


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
    NOTHING_NEW = (
        "NothingNew",
        "The champion stays, because the data or the model are the same; there is no new version.",
    )
    ROLLED_BACK = "RolledBack", "An earlier version became the champion again."
    PINNED = "Pinned", "The champion is pinned."
    RELEASED = "Released", "The champion is no longer pinned."
    RETIRED = "Retired", "The champion is retired: the next version is judged as a first model."


class TrainingOutcome(DocumentedEnum):
    """The outcome of a training in the status: that of its pod, or Failed."""

    PROMOTED = RunOutcome.PROMOTED.value, RunOutcome.PROMOTED.meaning
    REJECTED = RunOutcome.REJECTED.value, RunOutcome.REJECTED.meaning
    INCONCLUSIVE = RunOutcome.INCONCLUSIVE.value, RunOutcome.INCONCLUSIVE.meaning
    AWAITING_APPROVAL = RunOutcome.AWAITING_APPROVAL.value, RunOutcome.AWAITING_APPROVAL.meaning
    NOTHING_NEW = RunOutcome.NOTHING_NEW.value, RunOutcome.NOTHING_NEW.meaning
    FAILED = "Failed", "The training ended without a verdict."
    NOT_STARTED = "NotStarted", "The spec changed before a container of its Job ran; it counts for nothing."


class ColumnTestKind(DocumentedEnum):
    """The test of a column that decided: ``features[].decidedBy`` of the JSON result."""

    DISTRIBUTION = "Distribution", "The distribution of the values that are present."
    MISSING_VALUES = "MissingValues", "The rate of missing values."


class ModelKind(DocumentedEnum):
    """How the files of a model version are stored."""

    SKOPS = "Skops", "A scikit-learn pipeline of the built-in trainer, in one skops file."
    CUSTOM = "Custom", "Files of a custom trainer."
