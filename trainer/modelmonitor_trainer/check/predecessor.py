"""Two versions asked about the same labelled rows: the champion, and the one before it."""

from __future__ import annotations

import datetime as dt

import numpy as np

from modelmonitor_api.spec import ModelMonitorSpec, Task
from modelmonitor_api.status import ChampionWatch
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.check.labelled_rows import read_days
from modelmonitor_trainer.check.performance import MAX_ROWS, truth_of, usable_rows
from modelmonitor_trainer.check.windows import CheckWindows
from modelmonitor_trainer.data.windows import Window, partitions
from modelmonitor_trainer.gate.evaluation import margin_of
from modelmonitor_trainer.gate.interval import paired_difference
from modelmonitor_trainer.model.metrics import Undefined, aligned
from modelmonitor_trainer.profile.window import Batch, batches_of_partitions
from modelmonitor_trainer.registry.champion import Pointer, load_model
from modelmonitor_trainer.registry.model_files import LoadedModel
from modelmonitor_trainer.storage.base import Store


def compare_with_predecessor(
    store: Store,
    prefix: str,
    spec: ModelMonitorSpec,
    inputs: CheckWindows,
    pointer: Pointer,
    window: Window,
    *,
    confidence: float,
    min_days: int,
) -> ChampionWatch | str:
    """Return what both versions score on the days of `window`, or why nothing can be said.

    Parameters
    ----------
    store, prefix, spec, inputs
        Of the check.
    pointer
        The champion; its ``previous`` is the version before it.
    window
        Days that neither has seen.
    confidence
        Of the interval of the difference.
    min_days
        With as many days, days are left out one by one; see
        :func:`~modelmonitor_trainer.gate.interval.paired_difference`.

    Raises
    ------
    BadConfiguration
        If a trainer of the user's own made one of them.
    BadData, NotFound
        If files of a version or rows cannot be used.
    """
    assert pointer.previous is not None
    names = f"{pointer.version} is not compared with {pointer.previous} before it"
    models = [load_model(store, prefix, version) for version in (pointer.previous, pointer.version)]
    if len({(model.version.task, model.version.target) for model in models}) > 1:
        return f"{names}: they predict different things"
    classes = tuple(dict.fromkeys(name for model in models for name in model.classes))
    truth, before, now, days = _scored(store, spec, inputs, models, classes, window)
    needed, metric = spec.promotion.min_holdout_rows, spec.promotion.metric
    if truth.size < needed:
        return (
            f"{names}: {truth.size} labelled rows from {window[0]} to {window[1]} are fewer than "
            f"promotion.minHoldoutRows ({needed})"
        )
    seed = spec.retraining.random_seed
    try:
        found = paired_difference(
            metric, truth, before, now, confidence=confidence, seed=seed, days=days, min_days=min_days
        )
    except Undefined as error:
        return f"{names}: {error}"
    return ChampionWatch(
        champion=pointer.version,
        since=pointer.since,
        predecessor=pointer.previous,
        metric=metric.value,
        days=(window[1] - window[0]).days + 1,
        rows=int(truth.size),
        difference=f"{found.value:.4f}",
        low=f"{found.low:.4f}",
        high=f"{found.high:.4f}",
        # What let it pass must not send it back.
        worse=found.high < -margin_of(spec.promotion, found.champion),
    )


def _scored(
    store: Store,
    spec: ModelMonitorSpec,
    inputs: CheckWindows,
    models: list[LoadedModel],
    classes: tuple[str, ...],
    window: Window,
) -> tuple[Array, Array, Array, Array]:
    """Return outcomes, the scores of both models, and the number of the day; rows alike in order."""
    labels = spec.data.labels
    rows = batches_of_partitions(partitions(store, spec.data.live.uri, *window))
    arrived: tuple[Batch, ...] = ()
    if labels is not None:
        last = window[1] + dt.timedelta(days=labels.delay_days)
        arrived = batches_of_partitions(partitions(store, labels.uri, window[0], last))
    columns = tuple(dict.fromkeys(name for model in models for name in model.columns))
    truths: list[Array] = []
    scores: tuple[list[Array], list[Array]] = ([], [])
    days: list[Array] = []
    # One day is in memory at a time.
    for number, day in enumerate(read_days(store, spec, inputs.fmt, rows, columns, arrived, MAX_ROWS)):
        if not day.rows.num_rows:
            continue
        truth = truth_of(day.target, spec, classes)
        said = [aligned(np.asarray(model.predict_scores(day.rows)), model.classes, classes) for model in models]
        usable = usable_rows(truth, said[0], spec.model.task) & usable_rows(truth, said[1], spec.model.task)
        truths.append(truth[usable])
        days.append(np.full(int(usable.sum()), number))
        for kept, of_model in zip(scores, said, strict=True):
            kept.append(of_model[usable])
    if not truths:
        width = (0, len(classes)) if spec.model.task is Task.MULTICLASS_CLASSIFICATION else (0,)
        return np.zeros(0), np.zeros(width), np.zeros(width), np.zeros(0, dtype=np.int64)
    return (
        np.concatenate(truths),
        np.concatenate(scores[0]),
        np.concatenate(scores[1]),
        np.concatenate(days),
    )
