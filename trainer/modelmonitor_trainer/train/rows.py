"""Rows of a training: the training window, and the later hold-out on which both models are scored."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import ModelMonitorSpec, Task
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.data.classes import (
    STRAY_SHARE,
    Spellings,
    check_binary,
    class_counts,
    class_indices,
    in_words,
    is_yes_no,
    merge_names,
    with_new_classes,
)
from modelmonitor_trainer.data.labels import Dataset, load
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.data.model_arrays import feature_arrays, texts, true_values
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.registry.records import Pointer, VersionRecord
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.train.extreme_values import refuse_extremes
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining, RowsRead
from modelmonitor_trainer.train.row_requirements import require_reports, require_rows, require_usable_rows
from modelmonitor_trainer.train.run import Run
from modelmonitor_trainer.train.unseen_rows import Fingerprints, Seen, copies_within, without_seen_rows

_LOG = logging.getLogger(__name__)

#: Classes of a binary task whose outcomes are written in two ways.
_TWICE = 4


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
    since
        First day of the training window if it begins with a change, later than declared; None if it does not.
    note
        Why it begins there, in a sentence.
    """

    train: Dataset
    holdout: Dataset
    classes: tuple[str, ...]
    trained_classes: int
    train_truth: Array
    holdout_truth: Array
    seen: Seen = field(default_factory=Seen)
    since: dt.date | None = None
    note: str = ""

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
    trained = Fingerprints.of(train, spec)
    copied = copies_within(trained) if train.rows else np.zeros(0, dtype=bool)
    rows = encode_rows(spec, train.filter(~copied), holdout, trained)
    return replace(rows, seen=replace(rows.seen, training_copies=int(copied.sum())))


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
    require_reports(spec, train, holdout)
    name, task = spec.model.target, spec.model.task
    known: list[str] = []
    if task is not Task.REGRESSION:
        known = classes_of_window(task, name, train, counts)
        train, holdout = (without_strays(task, name, dataset, known) for dataset in (train, holdout))
    for window, dataset in (("training window", train), ("hold-out", holdout)):
        require_usable_rows(spec, window, dataset.report)
    holdout, seen = without_seen_rows(spec, trained, holdout)
    require_rows(spec, train, holdout, seen)
    if task is Task.REGRESSION:
        values = true_values(train.target, name)
        if np.ptp(values) == 0:
            raise _nothing_to_learn(name, f"{values[0]:g}", train)
        return Rows(train, holdout, (), 0, values, true_values(holdout.target, name), seen)
    if len(known) < 2:
        raise _nothing_to_learn(name, repr(known[0]), train)
    classes = with_new_classes(known, holdout.target, name)
    if task is Task.BINARY_CLASSIFICATION:
        _refuse_recoded(name, classes, train, holdout)
        check_binary(classes, name)
    truths = class_indices(train.target, name, classes), class_indices(holdout.target, name, classes)
    return Rows(train, holdout, classes, len(known), *truths, seen)


def _nothing_to_learn(name: str, value: str, train: Dataset) -> InconclusiveTraining:
    return InconclusiveTraining(
        GateReason.METRIC_UNDEFINED,
        f"the target {name!r} is {value} in all {train.rows:,} rows of the training window, so there is nothing to "
        "learn; raise retraining.windowDays, or check the labels",
    )


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
    # One row of another outcome must not keep the spellings of yes and no apart.
    answers = [text for text in counts if is_yes_no([text])]
    merged, answered = merge_names(answers), sum(counts[text] for text in answers)
    if len(merged) == 2 and answered >= (1 - STRAY_SHARE) * sum(counts.values()):
        return merged
    spellings = Spellings(names)
    rows = Counter[int]()
    for text, count in counts.items():
        rows[spellings.index_of(text)] += count
    usual = sorted(index for index, _ in rows.most_common(2))
    if sum(rows.values()) - sum(rows[index] for index in usual) > STRAY_SHARE * sum(rows.values()):
        _refuse_recoded(name, names, train)
        check_binary(names, name)
    return [names[index] for index in usual]


def _refuse_recoded(name: str, classes: Sequence[str], *datasets: Dataset) -> None:
    """Refuse outcomes that are written in another way from some day on, and name the day.

    Raises
    ------
    BadData
        If some of three or four classes end before all others begin.
    """
    spans: dict[int, tuple[int, int]] = {}
    for dataset in datasets if 2 < len(classes) <= _TWICE else ():
        indices = class_indices(dataset.target, name, classes)
        for index in np.unique(indices[indices >= 0]):
            days = dataset.days[indices == index]
            first, last = spans.get(int(index), (int(days.min()), int(days.max())))
            spans[int(index)] = min(first, int(days.min())), max(last, int(days.max()))
    for begin in sorted({first for first, _ in spans.values()})[1:]:
        earlier = [index for index, (first, _) in spans.items() if first < begin]
        last = max(spans[index][1] for index in earlier)
        if last < begin:
            before, after = (in_words([classes[i] for i in spans if (i in earlier) is side]) for side in (True, False))
            ended, began = (np.datetime64(day, "D") for day in (last, begin))
            raise BadData(
                f"the target {name!r} is {before} through {ended}, and {after} from {began} on, and model.task is "
                f"{Task.BINARY_CLASSIFICATION}; write the outcomes of all days alike, or wait until the training "
                "window (retraining.windowDays) begins after the change"
            )


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
