"""The rows of a training: those to learn from, and the later ones on which both models are scored."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from modelmonitor_api.spec import ModelMonitorSpec, Task
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.data.labels import (
    Dataset,
    JoinReport,
    check_binary,
    class_names,
    class_places,
    feature_arrays,
    load,
    texts,
    true_values,
)
from modelmonitor_trainer.data.manifest import MIN_TRAIN_ROWS, Manifest
from modelmonitor_trainer.gate.evaluation import GateReason
from modelmonitor_trainer.registry.records import Pointer, VersionRecord
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.train.run import InconclusiveTraining, Run

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rows:
    """Labelled rows of both windows.

    Attributes
    ----------
    train, holdout
        As read and joined.
    classes
        All classes of both windows; empty for a regression. Those of the training window come first.
    trained_classes
        How many of them the training window has.
    train_truth, holdout_truth : (n,)
        Places in `classes`, or true values.
    """

    train: Dataset
    holdout: Dataset
    classes: tuple[str, ...]
    trained_classes: int
    train_truth: Array
    holdout_truth: Array

    @property
    def known_classes(self) -> tuple[str, ...]:
        """The classes that a model can learn from the training window."""
        return self.classes[: self.trained_classes]


def load_rows(store: Store, spec: ModelMonitorSpec, manifest: Manifest, more: Collection[str] = ()) -> Rows:
    """Return the rows that a manifest names, joined with their labels.

    Parameters
    ----------
    store, spec, manifest
        What to read.
    more
        Further columns of the hold-out rows: features of the champion that the spec no longer has.

    Raises
    ------
    InconclusiveTraining
        If there are too few labelled rows, or only one class to learn.
    BadData, ObjectChanged
        If the data cannot be used.
    """
    train = load(store, manifest, manifest.train, spec)
    _LOG.info("training window: %s rows with labels of %s", f"{train.rows:,}", f"{train.report.feature_rows:,}")
    holdout = load(store, manifest, manifest.holdout, spec, more, usual=train.report.labelled_share)
    return rows_of(spec, train, holdout)


def rows_of(spec: ModelMonitorSpec, train: Dataset, holdout: Dataset, known: Sequence[str] | None = None) -> Rows:
    """Return the rows of both windows with their outcomes as models take them.

    Parameters
    ----------
    spec
        Says the task and the target.
    train, holdout
        As read and joined.
    known
        All classes of the training window where `train` is a sample of it.

    Raises
    ------
    InconclusiveTraining, BadData
        As :func:`load_rows`.
    """
    _LOG.info("hold-out: %s rows with labels of %s", f"{holdout.rows:,}", f"{holdout.report.feature_rows:,}")
    _enough(spec, train, holdout)
    name = spec.model.target
    if spec.model.task is Task.REGRESSION:
        return Rows(train, holdout, (), 0, true_values(train.target, name), true_values(holdout.target, name))
    known = known or class_names(train.target, name)
    new = [value for value in class_names(holdout.target, name) if value not in known]
    classes = (*known, *new)
    if spec.model.task is Task.BINARY_CLASSIFICATION:
        check_binary(classes, name)
    if len(known) < 2:
        raise InconclusiveTraining(
            GateReason.METRIC_UNDEFINED,
            f"the target {name!r} is {known[0]!r} in all {train.rows:,} rows of the training window, so there is "
            "nothing to learn; raise retraining.windowDays, or check the labels",
        )
    return Rows(
        train,
        holdout,
        classes,
        len(known),
        class_places(train.target, name, classes),
        class_places(holdout.target, name, classes),
    )


def refuse_seen_rows(manifest: Manifest, champion: Pointer | None) -> None:
    """Refuse a champion that has seen hold-out rows: one that came after the manifest was frozen.

    Raises
    ------
    InconclusiveTraining
        If it has.
    """
    if champion is not None and champion.data_end is not None and champion.data_end >= manifest.holdout[0]:
        raise InconclusiveTraining(
            GateReason.CHAMPION_CHANGED,
            f"while this training waited, {champion.version} became the champion, which was trained on rows until "
            f"{champion.data_end} that this one would be compared on; train again",
        )


def refuse_other_task(run: Run, champion: VersionRecord) -> None:
    """Refuse a champion that predicts something else than the spec asks for now.

    Raises
    ------
    InconclusiveTraining
        If it does.
    """
    model = run.spec.model
    if (champion.task, champion.target) != (model.task, model.target):
        raise InconclusiveTraining(
            GateReason.INCOMPARABLE,
            f"the champion {champion.version} predicts {champion.target} ({champion.task}), and the spec asks for "
            f"{model.target} ({model.task}); give the new task a monitor of its own",
        )


def slice_values(dataset: Dataset, columns: Sequence[str]) -> dict[str, Array]:
    """Return the values of slice columns as text; column → (n,)."""
    return {name: texts(dataset.table.column(name), name) for name in columns}


def arrays_of(dataset: Dataset, spec: ModelMonitorSpec) -> dict[str, Array]:
    """Return the features of the spec as models take them."""
    return feature_arrays(dataset.table, spec.model.features)


def _enough(spec: ModelMonitorSpec, train: Dataset, holdout: Dataset) -> None:
    _arrived(spec, "training window", train.report)
    _arrived(spec, "hold-out", holdout.report)
    if train.rows < MIN_TRAIN_ROWS:
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS,
            f"{train.rows:,} rows with labels (of {train.report.feature_rows:,}) are too few to train on, "
            f"{MIN_TRAIN_ROWS} are needed; {_why(spec, train)}",
        )
    needed = spec.promotion.min_holdout_rows
    if holdout.rows < needed:
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS,
            f"{holdout.rows:,} hold-out rows with labels (of {holdout.report.feature_rows:,}) are too few to compare "
            f"models, promotion.minHoldoutRows is {needed:,}; {_why(spec, holdout)}",
        )


def _arrived(spec: ModelMonitorSpec, what: str, report: JoinReport) -> None:
    """Refuse rows of which too few have a label: those that come first are not like the others."""
    labelled = report.matched + report.immature
    rows = labelled + report.unlabelled
    # Where no label met any row, the reason is another one than time.
    if spec.data.labels is None or not labelled or labelled >= float(spec.data.labels.min_share) * rows:
        return
    raise InconclusiveTraining(
        GateReason.TOO_FEW_ROWS,
        f"{labelled:,} of {rows:,} rows of the {what} have a label, which is less than data.labels.minShare "
        f"({spec.data.labels.min_share}); wait for more labels, raise data.labels.delayDays, or lower the share where "
        "labels are given to a sample of rows",
    )


def _why(spec: ModelMonitorSpec, dataset: Dataset) -> str:
    report, labels = dataset.report, spec.data.labels
    if labels and report.matched < report.feature_rows / 2 and report.orphaned_labels > report.matched:
        return f"most labels belong to no row, is data.labels.joinKey ({labels.join_key}) the right column?"
    if report.immature > report.matched:
        return (
            f"{report.immature:,} rows with labels are left out, as too few rows of their days have one yet; wait"
            f"{', or raise data.labels.delayDays' if labels else ' until more outcomes have come'}"
        )
    if report.matched < report.feature_rows / 2:
        return "most rows have no label yet, raise data.labels.delayDays or wait"
    return "wait for more data, or raise promotion.holdoutDays"
