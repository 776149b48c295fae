"""The champion and its predecessor, scored on the same labelled rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np

from modelmonitor_api.spec import Task
from modelmonitor_api.status import ChampionWatch
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import MonitorData, Outcomes, WatchResult, text_columns
from modelmonitor_trainer.check.detectors.performance import MAX_ROWS
from modelmonitor_trainer.check.labelled_rows import read_batches
from modelmonitor_trainer.check.predictor import Unusable, true_outcomes, usable_rows
from modelmonitor_trainer.check.sources.monitor import label_join
from modelmonitor_trainer.data.classes import with_new_classes
from modelmonitor_trainer.data.label_owners import EARLY_DAYS
from modelmonitor_trainer.data.tables import absent_columns
from modelmonitor_trainer.data.windows import Batch, Window, batches_of_partitions, partitions
from modelmonitor_trainer.errors import UnusableModel
from modelmonitor_trainer.gate.baseline import baseline_scores
from modelmonitor_trainer.gate.comparison import margin_of
from modelmonitor_trainer.gate.interval import paired_difference
from modelmonitor_trainer.model.metrics import Undefined, aligned, metric_value, padded
from modelmonitor_trainer.profile.reference import target_column
from modelmonitor_trainer.registry.model_files import LoadedModel, load_model
from modelmonitor_trainer.registry.records import Pointer


def compare_with_predecessor(
    ctx: CheckContext, monitor: MonitorData, pointer: Pointer, window: Window, *, confidence: float, min_days: int
) -> WatchResult:
    """Return the scores of both versions on the days of `window`, or a note why they cannot be compared.

    Parameters
    ----------
    ctx, monitor
        The check.
    pointer
        The champion; its ``previous`` is the predecessor.
    window
        Days that neither version has seen.
    confidence
        Confidence level of the interval of the difference.
    min_days
        With at least this many days, the jackknife leaves out days; see
        :func:`~modelmonitor_trainer.gate.interval.paired_difference`.

    Raises
    ------
    BadConfiguration
        If a custom trainer made one of them.
    BadData, NotFound
        If files of a version, or rows, cannot be used.
    """
    assert pointer.previous is not None
    spec = monitor.spec
    prefix = f"{pointer.version} is not compared with its predecessor {pointer.previous}"
    models = [load_model(monitor.registry, version) for version in (pointer.previous, pointer.version)]
    if len({(model.version.task, model.version.target) for model in models}) > 1:
        return WatchResult(note=f"{prefix}: they predict different things")
    classes = tuple(dict.fromkeys(name for model in models for name in model.classes))
    live = batches_of_partitions(partitions(ctx.store, spec.data.live.uri, *window))
    absent = _no_longer_written(ctx, monitor, models, live)
    try:
        truth, before, now, days = _scores(ctx, monitor, models, classes, window, live, absent)
    except UnusableModel as error:
        if not absent:
            raise
        lost = ", ".join(map(repr, absent))
        return WatchResult(note=f"{prefix}: {lost} of one of them is no longer written, and {error}")
    needed, metric = spec.promotion.min_holdout_rows, spec.promotion.metric
    if truth.size < needed:
        return WatchResult(
            note=f"{prefix}: {truth.size} labelled rows from {window[0]} to {window[1]} are fewer than "
            f"promotion.minHoldoutRows ({needed})"
        )
    seed = spec.retraining.random_seed
    try:
        difference = paired_difference(
            metric, truth, before, now, confidence=confidence, seed=seed, days=days, min_days=min_days
        )
        width = now.shape[1] if now.ndim > 1 else 2
        constant = baseline_scores(metric, spec.model.task, truth, width, int(truth.size))
        trivial = metric_value(metric, truth, constant)
    except Undefined as error:
        return WatchResult(note=f"{prefix}: {error}")
    return WatchResult(
        ChampionWatch(
            champion=pointer.version,
            since=pointer.since,
            predecessor=pointer.previous,
            metric=metric.value,
            days=(window[1] - window[0]).days + 1,
            rows=int(truth.size),
            difference=f"{difference.value:.4f}",
            low=f"{difference.low:.4f}",
            high=f"{difference.high:.4f}",
            # The margin of the gate: a difference that let the champion pass must not roll it back.
            worse=difference.high < -margin_of(spec.promotion, difference.champion, trivial),
        )
    )


def _no_longer_written(
    ctx: CheckContext, monitor: MonitorData, models: list[LoadedModel], live: Sequence[Batch]
) -> list[str]:
    """Return the features of the models that the spec no longer has, and that some rows lack: as in a training."""
    declared = {feature.name for feature in monitor.spec.model.features}
    names = dict.fromkeys(name for model in models for name in model.columns if name not in declared)
    objects = [batch.objects[0] for batch in live if batch.objects]
    return absent_columns(ctx.store, objects, list(names), ctx.fmt)


def _scores(
    ctx: CheckContext,
    monitor: MonitorData,
    models: list[LoadedModel],
    classes: tuple[str, ...],
    window: Window,
    live: tuple[Batch, ...],
    absent: Sequence[str],
) -> tuple[Array, Array, Array, Array]:
    """Return outcomes, the scores of both models, and the number of the day of each row.

    Features that are no longer written count as missing.
    """
    spec = monitor.spec
    labels: tuple[Batch, ...] = ()
    if spec.data.labels is not None:
        last = window[1] + dt.timedelta(days=spec.data.labels.delay_days)
        first = window[0] - dt.timedelta(days=EARLY_DAYS)
        labels = batches_of_partitions(partitions(ctx.store, spec.data.labels.uri, first, last))
    outcomes = Outcomes(
        target=target_column(spec),
        task=spec.model.task,
        text_columns=text_columns(tuple(spec.model.features), tuple(spec.model.slices)),
        reference=(),
        current=live,
        predicted=live,
        join=label_join(spec),
    )
    columns = tuple(dict.fromkeys(name for model in models for name in model.columns if name not in absent))
    truths: list[Array] = []
    scores: tuple[list[Array], list[Array]] = ([], [])
    days: list[Array] = []
    unusable = Unusable(spec.model.target, spec.model.task, classes)
    for number, batch in enumerate(read_batches(ctx, outcomes, live, columns, labels, MAX_ROWS)):
        if not batch.rows.num_rows:
            continue
        if spec.model.task is Task.MULTICLASS_CLASSIFICATION:
            # Both are wrong on the rows of a class that neither knows.
            classes = with_new_classes(classes, batch.target, spec.model.target)
        truth = true_outcomes(batch.target, spec.model.target, spec.model.task, classes)
        predicted = [
            aligned(np.asarray(model.predict_scores(batch.rows, absent)), model.classes, classes) for model in models
        ]
        unusable.add(batch.target, predicted[0])
        usable = usable_rows(truth, predicted[0], spec.model.task) & usable_rows(truth, predicted[1], spec.model.task)
        truths.append(truth[usable])
        days.append(np.full(int(usable.sum()), number))
        for parts, values in zip(scores, predicted, strict=True):
            parts.append(values[usable])
    unusable.require_usable()
    if not truths:
        width = (0, len(classes)) if spec.model.task is Task.MULTICLASS_CLASSIFICATION else (0,)
        return np.zeros(0), np.zeros(width), np.zeros(width), np.zeros(0, dtype=np.int64)
    before, now = (np.concatenate([padded(part, len(classes)) for part in parts]) for parts in scores)
    return np.concatenate(truths), before, now, np.concatenate(days)
