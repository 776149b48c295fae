"""Reads a training window in batches of days: once for a sample and the class counts, then for every pass."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from modelmonitor_api.spec import ModelMonitorSpec, Strategy, Task
from modelmonitor_trainer.data.classes import Spellings, class_counts, class_indices
from modelmonitor_trainer.data.labels import Dataset, JoinReport, load
from modelmonitor_trainer.data.manifest import Manifest, days_within
from modelmonitor_trainer.data.model_arrays import true_values
from modelmonitor_trainer.data.windows import Window
from modelmonitor_trainer.model.batches import Batch, Source, fit_in_batches, passes_over
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.train.extreme_values import refuse_extremes
from modelmonitor_trainer.train.rows import Rows, arrays_of, encode_rows
from modelmonitor_trainer.train.strategy import TrainingResult
from modelmonitor_trainer.train.unseen_rows import Fingerprints

_LOG = logging.getLogger(__name__)

#: Cells, rows times columns, of a batch; days are not split.
BATCH_CELLS = 2_000_000
#: Cells of the sample of the whole window.
SAMPLE_CELLS = 2_000_000


@dataclass(frozen=True)
class StreamedRows:
    """A training window in batches.

    Attributes
    ----------
    rows
        A sample of the training window, with the join report of all its rows, and the hold-out.
    source
        All rows of the training window.
    """

    rows: Rows
    source: Source


def batch_windows(manifest: Manifest, columns: int, cells: int = BATCH_CELLS) -> list[Window]:
    """Split the training window into windows of whole days of at most `cells` cells, unless one day has more."""
    windows: list[tuple[dt.date, dt.date]] = []
    size = 0
    for day in days_within(manifest.features, manifest.train):
        size += day.rows * columns
        if windows and size <= cells:
            windows[-1] = (windows[-1][0], day.day)
        else:
            windows.append((day.day, day.day))
            size = day.rows * columns
    return windows


def stream_rows(
    store: Store, spec: ModelMonitorSpec, manifest: Manifest, extra_columns: Collection[str] = ()
) -> StreamedRows:
    """Read the rows of a manifest, those of the training window in batches.

    Duplicate keys are detected within a batch only; a day and its late labels are in one batch.

    Parameters
    ----------
    store, spec, manifest, extra_columns
        As for :func:`~modelmonitor_trainer.train.rows.load_rows`.

    Raises
    ------
    InconclusiveTraining, BadData, ObjectChanged
        As for :func:`~modelmonitor_trainer.train.rows.load_rows`.
    """
    columns = len(spec.model.features) + len(spec.model.slices) + 2
    windows = batch_windows(manifest, columns)
    sample_rows = max(1, SAMPLE_CELLS // columns)
    total = sum(day.rows for day in days_within(manifest.features, manifest.train))
    generator = np.random.default_rng(spec.retraining.random_seed)
    parts: list[Dataset] = []
    reports: list[JoinReport] = []
    counts: Counter[str] = Counter()
    trained: list[Fingerprints] = []
    for window in windows:
        batch = load(store, manifest, window, spec)
        reports.append(batch.report)
        if spec.model.task is not Task.REGRESSION:
            counts.update(class_counts(batch.target, spec.model.target))
        refuse_extremes(spec, {"training window": batch})
        trained.append(Fingerprints.of(batch, spec))
        parts.append(_sample(batch, min(1.0, sample_rows / max(1, total)), generator))
    sample = _concat(parts, _sum_reports(reports, manifest, spec))
    _LOG.info(
        "training window: %s labelled rows in %s batches, %s of them in the sample",
        f"{sample.report.matched:,}",
        len(windows),
        f"{sample.rows:,}",
    )
    holdout = load(store, manifest, manifest.holdout, spec, extra_columns, usual=sample.report.labelled_share)
    rows = encode_rows(spec, sample, holdout, Fingerprints.concatenated(trained), counts)

    def read(index: int) -> Batch:
        dataset = load(store, manifest, windows[index], spec)
        if rows.known_classes:
            indices = class_indices(dataset.target, spec.model.target, rows.known_classes)
            dataset = dataset.filter(indices >= 0)
        return Batch(arrays_of(dataset, spec), _truth(dataset, spec, rows.known_classes))

    per_class = np.zeros(len(rows.known_classes), dtype=np.int64)
    for name, count in counts.items():
        index = Spellings(rows.known_classes).index_of(name)
        if index >= 0:
            per_class[index] += count
    total_rows = int(per_class.sum()) if rows.known_classes else sample.report.matched
    return StreamedRows(rows, Source(len(windows), read, total_rows, per_class))


def train_in_batches(spec: ModelMonitorSpec, streamed: StreamedRows) -> TrainingResult:
    """Fit a model to the whole window in batches.

    Raises
    ------
    BadConfiguration, BadData
        As for :func:`~modelmonitor_trainer.model.batches.fit_in_batches`.
    """
    declared, rows, source = spec.retraining.estimator, streamed.rows, streamed.source
    assert declared is not None
    model = fit_in_batches(
        declared,
        spec.model.features,
        spec.model.task,
        arrays_of(rows.train, spec),
        source,
        rows.known_classes,
        seed=spec.retraining.random_seed,
    )
    note = (
        f"trained in {source.count} batches with {passes_over(source.rows)} passes, because all rows at once would not "
        f"fit into retraining.trainer.resources.limits.memory; the preprocessing was fitted to a sample of "
        f"{rows.train.rows:,} rows"
    )
    notes = [note]
    if spec.retraining.strategy is Strategy.WARM_START:
        notes.append("full refit instead of a warm start, which does not support batches")
    strategy = Strategy.RETRAIN if spec.retraining.strategy is Strategy.RETRAIN else Strategy.REFIT
    return TrainingResult(model, strategy, notes=tuple(notes))


def _truth(dataset: Dataset, spec: ModelMonitorSpec, classes: Sequence[str]) -> np.ndarray:
    if spec.model.task is Task.REGRESSION:
        return true_values(dataset.target, spec.model.target)
    return class_indices(dataset.target, spec.model.target, classes)


def _sample(dataset: Dataset, share: float, generator: np.random.Generator) -> Dataset:
    size = int(np.ceil(dataset.rows * share))
    if size >= dataset.rows:
        return dataset
    chosen = np.sort(generator.choice(dataset.rows, size, replace=False))
    return dataset.take(chosen)


def _concat(parts: Sequence[Dataset], report: JoinReport) -> Dataset:
    table = pa.concat_tables([part.table for part in parts], promote_options="permissive")
    target = pa.concat_tables(
        [pa.table({"target": part.target}) for part in parts], promote_options="permissive"
    ).column("target")
    return Dataset(table, target, np.concatenate([part.days for part in parts]), report)


def _sum_reports(reports: Sequence[JoinReport], manifest: Manifest, spec: ModelMonitorSpec) -> JoinReport:
    """Return the join report of all batches; labels that two batches read count once."""
    labels = sum(report.label_rows for report in reports)
    if spec.data.labels is not None:
        last = manifest.train[1] + dt.timedelta(days=spec.data.labels.delay_days)
        labels = sum(day.rows for day in days_within(manifest.labels, (manifest.train[0], last)))
    return JoinReport(
        feature_rows=sum(report.feature_rows for report in reports),
        label_rows=labels,
        matched=sum(report.matched for report in reports),
        unlabelled=sum(report.unlabelled for report in reports),
        orphaned_labels=sum(report.orphaned_labels for report in reports),
        immature=sum(report.immature for report in reports),
        corrected=sum(report.corrected for report in reports),
        contradictory=sum(report.contradictory for report in reports),
        repeated_rows=sum(report.repeated_rows for report in reports),
        recurring=sum(report.recurring for report in reports),
        ambiguous=sum(report.ambiguous for report in reports),
    )
