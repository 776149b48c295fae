"""Requirements on the labelled rows of a training: enough of them, unique keys, labels that agree."""

from __future__ import annotations

import logging

from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import KeyScope, ModelMonitorSpec
from modelmonitor_policy.training_calendar import MIN_TRAIN_ROWS
from modelmonitor_trainer.data.join_keys import require_clear_owners
from modelmonitor_trainer.data.labels import Dataset, JoinReport
from modelmonitor_trainer.detect.quality import CONTRADICTIONS
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining
from modelmonitor_trainer.train.unseen_rows import Seen

_LOG = logging.getLogger(__name__)


def require_reports(spec: ModelMonitorSpec, train: Dataset, holdout: Dataset) -> None:
    """Require that rows and labels of both windows could be joined well enough.

    Raises
    ------
    InconclusiveTraining
        If keys repeat, or there are too few labels or training rows.
    BadData
        If too many labels contradict each other.
    """
    for window, dataset in (("training window", train), ("hold-out", holdout)):
        _require_row_keys(spec, window, dataset.report)
        _require_agreement(spec, window, dataset.report)
    for window, dataset in (("training window", train), ("hold-out", holdout)):
        _require_labels(spec, window, dataset.report)
    _require_train_rows(spec, train)


def _require_row_keys(spec: ModelMonitorSpec, window: str, report: JoinReport) -> None:
    """Require that the join key identifies a row; otherwise labels of different rows would contradict each other.

    Raises
    ------
    InconclusiveTraining
        If too many rows repeat a key.
    """
    labels = spec.data.labels
    if labels is None or report.repeated_rows <= (1 - float(spec.sensitivity.minimum_coverage)) * report.feature_rows:
        return
    other_days = (
        ", or set data.labels.keyScope to Partition if rows of other days with the same key are other rows"
        if labels.key_scope is KeyScope.WINDOW
        else ""
    )
    raise InconclusiveTraining(
        GateReason.TOO_MANY_LEFT_OUT,
        f"{report.repeated_rows:,} of {report.feature_rows:,} rows of the {window} repeat the key of another row, so "
        f"data.labels.joinKey ({labels.join_key}) does not identify a row; join by a column that does{other_days}",
    )


def require_usable_rows(spec: ModelMonitorSpec, window: str, report: JoinReport) -> None:
    """Require that few rows are left out because of faults in the data.

    Raises
    ------
    InconclusiveTraining
        If the share that can be used is below ``sensitivity.minimumCoverage``.
    """
    faulty = report.repeated_rows + report.contradictory + report.stray
    if faulty <= (1 - float(spec.sensitivity.minimum_coverage)) * report.feature_rows:
        return
    raise InconclusiveTraining(
        GateReason.TOO_MANY_LEFT_OUT,
        f"{faulty:,} of {report.feature_rows:,} rows of the {window} cannot be used ({report.repeated_rows:,} repeat a "
        f"key, {report.contradictory:,} have contradicting labels, {report.stray:,} have an unknown outcome), and "
        f"sensitivity.minimumCoverage is {spec.sensitivity.minimum_coverage}; correct the data, or lower it",
    )


def _require_train_rows(spec: ModelMonitorSpec, train: Dataset) -> None:
    if train.rows < MIN_TRAIN_ROWS:
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS,
            f"{train.rows:,} labelled rows (of {train.report.feature_rows:,}) are too few to train on, at least "
            f"{MIN_TRAIN_ROWS} are needed; {_advice(spec, train)}",
        )


def require_rows(spec: ModelMonitorSpec, train: Dataset, holdout: Dataset, seen: Seen) -> None:
    """Require enough rows to train on and to compare models on.

    Raises
    ------
    InconclusiveTraining
        With what is left out, and what to change.
    """
    _require_train_rows(spec, train)
    needed = spec.promotion.min_holdout_rows
    if holdout.rows >= needed:
        return
    if seen.ungrouped + seen.entities + seen.copies > holdout.rows:
        parts = [
            f"{seen.copies:,} are copies of other rows" if seen.copies else "",
            f"{seen.entities:,} are of a {seen.column!r} that was trained on" if seen.entities else "",
            f"{seen.ungrouped:,} have no {seen.column!r}" if seen.ungrouped else "",
        ]
        advice = (
            "data.groupColumn is for groups that end: if all of them return every day, remove it"
            if seen.entities > seen.copies + seen.ungrouped
            else "Raise promotion.holdoutDays, or check how rows are written"
        )
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS,
            f"{holdout.rows:,} hold-out rows that no model was trained on are too few to compare models: "
            f"{' and '.join(filter(None, parts))}; promotion.minHoldoutRows is {needed:,}. {advice}",
        )
    raise InconclusiveTraining(
        GateReason.TOO_FEW_ROWS,
        f"{holdout.rows:,} labelled hold-out rows (of {holdout.report.feature_rows:,}) are too few to compare "
        f"models, promotion.minHoldoutRows is {needed:,}; {_advice(spec, holdout)}",
    )


def _require_agreement(spec: ModelMonitorSpec, window: str, report: JoinReport) -> None:
    """Refuse labels of which too many contradict each other, as a check does.

    Raises
    ------
    BadData
        With the number of rows.
    """
    if spec.data.labels is None:
        return
    if report.corrected or report.contradictory:
        _LOG.info(
            "%s: %s labels replaced a different one, %s rows with contradicting labels are left out",
            window,
            f"{report.corrected:,}",
            f"{report.contradictory:,}",
        )
    labels, labelled = spec.data.labels, report.matched + report.immature + report.contradictory
    require_clear_owners(labels.join_key, report.ambiguous, labelled, labels.delay_days)
    if report.contradictory > float(labels.max_contradictions) * labelled:
        raise BadData(
            f"{report.contradictory:,} of {labelled:,} labelled rows of the {window} have labels that contradict each "
            f"other, which is more than data.labels.maxContradictions ({labels.max_contradictions}); {CONTRADICTIONS}"
        )


def _require_labels(spec: ModelMonitorSpec, window: str, report: JoinReport) -> None:
    """Require a minimum share of labelled rows, because labels that arrive early are not representative."""
    labelled = report.matched + report.immature
    rows = labelled + report.unlabelled
    # If no label matches any row, the cause is not the label delay.
    if spec.data.labels is None or not labelled or labelled >= float(spec.data.labels.min_share) * rows:
        return
    raise InconclusiveTraining(
        GateReason.TOO_FEW_ROWS,
        f"{labelled:,} of {rows:,} rows of the {window} have a label, which is less than data.labels.minShare "
        f"({spec.data.labels.min_share}); wait for more labels, raise data.labels.delayDays, or lower the share if "
        "only a sample of rows is labelled",
    )


def _advice(spec: ModelMonitorSpec, dataset: Dataset) -> str:
    """Return the probable cause of few labelled rows, and what to change."""
    report, labels = dataset.report, spec.data.labels
    if labels and report.matched < report.feature_rows / 2 and report.orphaned_labels > report.matched:
        return (
            f"most labels match no row: is data.labels.joinKey ({labels.join_key}) the right column, and are labels in "
            "partitions from the day of their rows on?"
        )
    if report.immature > report.matched:
        return (
            f"{report.immature:,} labelled rows are left out, because too few rows of their days have a label yet; wait"
            f"{', or raise data.labels.delayDays' if labels else ' for more outcomes'}"
        )
    if report.matched < report.feature_rows / 2 and labels is None:
        return f"most rows have no {spec.model.target!r}; check the column, or wait for outcomes"
    if report.matched < report.feature_rows / 2:
        return "most rows have no label yet, raise data.labels.delayDays or wait"
    return "wait for more data, or raise promotion.holdoutDays"
