"""Rows of a training: the training window, and the later hold-out on which both models are scored."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import KeyScope, ModelMonitorSpec, Task
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.data.classes import (
    STRAY_SHARE,
    Spellings,
    check_binary,
    class_counts,
    class_indices,
    in_words,
    merge_names,
    with_new_classes,
)
from modelmonitor_trainer.data.join_keys import require_clear_owners
from modelmonitor_trainer.data.labels import Dataset, JoinReport, load
from modelmonitor_trainer.data.manifest import MIN_TRAIN_ROWS, Manifest
from modelmonitor_trainer.data.model_arrays import feature_arrays, texts, true_values
from modelmonitor_trainer.detect.quality import CONTRADICTIONS
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.registry.records import Pointer, VersionRecord
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.train.extreme_values import refuse_extremes
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining, RowsRead
from modelmonitor_trainer.train.run import Run
from modelmonitor_trainer.train.unseen_rows import Fingerprints, Seen, without_seen_rows

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rows:
    """Labelled rows of both windows.

    Attributes
    ----------
    train, holdout
        Rows joined with their labels.
    classes
        Classes of both windows, those of the training window first; empty for a regression.
    trained_classes
        Number of classes in the training window.
    train_truth, holdout_truth : (n,)
        Indices into `classes`, or true values.
    seen
        Rows of the hold-out that are left out because they were trained on.
    """

    train: Dataset
    holdout: Dataset
    classes: tuple[str, ...]
    trained_classes: int
    train_truth: Array
    holdout_truth: Array
    seen: Seen = field(default_factory=Seen)

    @property
    def read(self) -> RowsRead:
        """What was read, and what of it is left out."""
        return RowsRead(self.train.report, self.holdout.report, self.seen)

    @property
    def known_classes(self) -> tuple[str, ...]:
        """Classes of the training window, which a model can learn."""
        return self.classes[: self.trained_classes]


def load_rows(store: Store, spec: ModelMonitorSpec, manifest: Manifest, extra_columns: Collection[str] = ()) -> Rows:
    """Read the rows of a manifest and join them with their labels.

    Parameters
    ----------
    store, spec, manifest
        Store, spec and data manifest.
    extra_columns
        Further columns of the hold-out rows: features of the champion that the spec no longer has.

    Returns
    -------
    Rows
        Rows of both windows.

    Raises
    ------
    InconclusiveTraining
        If there are too few labelled rows, or a single class in the training window.
    BadData, ObjectChanged
        If an object cannot be used, or was replaced since the manifest was frozen.
    """
    train = load(store, manifest, manifest.train, spec)
    _LOG.info("training window: %s labelled rows of %s", f"{train.rows:,}", f"{train.report.feature_rows:,}")
    holdout = load(store, manifest, manifest.holdout, spec, extra_columns, usual=train.report.labelled_share)
    refuse_extremes(spec, {"training window": train, "hold-out": holdout})
    return encode_rows(spec, train, holdout, Fingerprints.of(train, spec))


def encode_rows(
    spec: ModelMonitorSpec,
    train: Dataset,
    holdout: Dataset,
    trained: Fingerprints,
    counts: Mapping[str, int] | None = None,
) -> Rows:
    """Return the rows of both windows with outcomes encoded as class indices or values.

    Parameters
    ----------
    spec
        Spec with task and target.
    train, holdout
        Rows joined with their labels.
    trained
        Hashes of all rows of the training window.
    counts
        Rows of each class of the training window if `train` is a sample of it.

    Raises
    ------
    InconclusiveTraining, BadData
        As for :func:`load_rows`.
    """
    _LOG.info("hold-out: %s labelled rows of %s", f"{holdout.rows:,}", f"{holdout.report.feature_rows:,}")
    try:
        return _encode_rows(spec, train, holdout, trained, counts)
    except InconclusiveTraining as inconclusive:
        if inconclusive.rows is None:
            inconclusive.rows = RowsRead(train.report, holdout.report, Seen())
        raise


def _encode_rows(
    spec: ModelMonitorSpec, train: Dataset, holdout: Dataset, trained: Fingerprints, counts: Mapping[str, int] | None
) -> Rows:
    """Return the rows of both windows; see :func:`encode_rows`."""
    _require_reports(spec, train, holdout)
    name, task = spec.model.target, spec.model.task
    known: list[str] = []
    if task is not Task.REGRESSION:
        known = classes_of_window(task, name, train, counts)
        train, holdout = (without_strays(task, name, dataset, known) for dataset in (train, holdout))
    for window, dataset in (("training window", train), ("hold-out", holdout)):
        _require_usable_rows(spec, window, dataset.report)
    holdout, seen = without_seen_rows(spec, trained, holdout)
    _require_rows(spec, train, holdout, seen)
    if task is Task.REGRESSION:
        return Rows(train, holdout, (), 0, true_values(train.target, name), true_values(holdout.target, name), seen)
    if len(known) < 2:
        raise InconclusiveTraining(
            GateReason.METRIC_UNDEFINED,
            f"the target {name!r} is {known[0]!r} in all {train.rows:,} rows of the training window, so there is "
            "nothing to learn; raise retraining.windowDays, or check the labels",
        )
    classes = with_new_classes(known, holdout.target, name)
    if task is Task.BINARY_CLASSIFICATION:
        check_binary(classes, name)
    truths = class_indices(train.target, name, classes), class_indices(holdout.target, name, classes)
    return Rows(train, holdout, classes, len(known), *truths, seen)


def classes_of_window(task: Task, name: str, train: Dataset, counts: Mapping[str, int] | None) -> list[str]:
    """Return the classes that a model can learn; of a binary task the two that nearly all rows have.

    Raises
    ------
    BadData
        If a binary task has more classes.
    """
    counts = counts if counts is not None else class_counts(train.target, name)
    names = merge_names(counts)
    if task is not Task.BINARY_CLASSIFICATION or len(names) <= 2:
        return names
    spellings = Spellings(names)
    rows = Counter[int]()
    for text, count in counts.items():
        rows[spellings.index_of(text)] += count
    usual = sorted(index for index, _ in rows.most_common(2))
    if sum(rows.values()) - sum(rows[index] for index in usual) > STRAY_SHARE * sum(rows.values()):
        check_binary(names, name)
    return [names[index] for index in usual]


def without_strays(task: Task, name: str, dataset: Dataset, known: Sequence[str]) -> Dataset:
    """Return the rows of a binary task whose outcome is one of the two classes, unless many rows have another one."""
    if task is not Task.BINARY_CLASSIFICATION or len(known) < 2:
        return dataset
    stray = class_indices(dataset.target, name, known) < 0
    if not stray.any() or stray.mean() > STRAY_SHARE:
        return dataset
    kept = dataset.filter(~stray)
    report = replace(kept.report, stray=int(stray.sum()), matched=kept.report.matched - int(stray.sum()))
    return replace(kept, report=report)


def refuse_seen_rows(manifest: Manifest, champion: Pointer | None) -> None:
    """Refuse a champion that was trained on hold-out rows, because it was promoted after the manifest was frozen.

    Raises
    ------
    InconclusiveTraining
        If the training window of the champion overlaps the hold-out.
    """
    if champion is not None and champion.data_end is not None and champion.data_end >= manifest.holdout[0]:
        raise InconclusiveTraining(
            GateReason.CHAMPION_CHANGED,
            f"while this training waited, {champion.version} became the champion; its training data (through "
            f"{champion.data_end}) overlap this hold-out (from {manifest.holdout[0]}). Run the training again",
        )


def refuse_other_task(run: Run, champion: VersionRecord) -> None:
    """Refuse a champion that was trained for another task or target than the spec declares now.

    Raises
    ------
    InconclusiveTraining
        If task or target differ.
    """
    other = champion.other_task(run.spec.model.task, run.spec.model.target)
    if other:
        raise InconclusiveTraining(
            GateReason.INCOMPARABLE,
            f"{other}; create a separate monitor for the new task, or start over with modelmonitor retire",
        )


def refuse_other_classes(champion: VersionRecord | None, rows: Rows) -> None:
    """Refuse a champion whose classes are not those of the rows: its scores would be compared with wrong outcomes.

    Raises
    ------
    InconclusiveTraining
        If a class of a binary task is none of the champion's, or no class of several is.
    """
    if champion is None or not champion.classes or not rows.classes:
        return
    indices = [Spellings(champion.classes).index_of(name) for name in rows.classes]
    several = champion.task is Task.MULTICLASS_CLASSIFICATION
    if max(indices) >= 0 if several else indices == list(range(len(indices))):
        return
    raise InconclusiveTraining(
        GateReason.INCOMPARABLE,
        f"the champion {champion.version} distinguishes {in_words(champion.classes)}, and the labels are "
        f"{in_words(rows.classes)}; write the labels with the spelling of the champion's classes, or create a separate "
        "monitor for the new ones",
    )


def slice_values(dataset: Dataset, columns: Sequence[str]) -> dict[str, Array]:
    """Return the values of the slice columns as text: column → (n,)."""
    return {name: texts(dataset.table.column(name), name) for name in columns}


def arrays_of(dataset: Dataset, spec: ModelMonitorSpec) -> dict[str, Array]:
    """Return the features of the spec as arrays: feature → (n,)."""
    return feature_arrays(dataset.table, spec.model.features)


def _require_reports(spec: ModelMonitorSpec, train: Dataset, holdout: Dataset) -> None:
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


def _require_usable_rows(spec: ModelMonitorSpec, window: str, report: JoinReport) -> None:
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


def _require_rows(spec: ModelMonitorSpec, train: Dataset, holdout: Dataset, seen: Seen) -> None:
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
