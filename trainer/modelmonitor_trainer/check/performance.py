"""The champion scored on rows whose labels have come: mature days after its training window."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from modelmonitor_api.spec import (
    DEFAULT_MAX_DROP,
    Detector,
    DetectorType,
    FeatureType,
    Metric,
    ModelMonitorSpec,
    Task,
)
from modelmonitor_api.status import Champion
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.check.inputs import ChampionFacts, Inputs
from modelmonitor_trainer.data.tables import read_table
from modelmonitor_trainer.detect.performance import PerformanceResult, judge
from modelmonitor_trainer.failures import BadConfiguration, BadData
from modelmonitor_trainer.profile.window import Block
from modelmonitor_trainer.storage.store import ObjectInfo, Store

#: Rows that are scored at most; the same number of each day.
MAX_ROWS = 100_000
_SEED = 20130101


@dataclass(frozen=True)
class Predictor:
    """What predicts, and what it needs.

    Attributes
    ----------
    columns
        Columns of the live rows that it takes.
    classes
        The classes in the order of its scores; empty for a regression.
    scores
        Rows → predictions.
    """

    columns: tuple[str, ...]
    classes: tuple[str, ...]
    scores: Callable[[pa.Table], Array]


def measure(
    store: Store,
    prefix: str,
    spec: ModelMonitorSpec,
    champion: Champion,
    facts: ChampionFacts,
    inputs: Inputs,
    level: float,
) -> tuple[PerformanceResult, ...]:
    """Return what the Performance detectors find; labels that cannot be used are said so, not raised.

    Predictions are those that were logged (``model.predictionColumn``), otherwise the champion's own on the
    same rows. One day is in memory at a time.
    """
    detectors = [d for d in spec.effective_detectors() if d.type is DetectorType.PERFORMANCE]
    if not detectors:
        return ()
    days = [block for block in inputs.rows.current if block.day and facts.window[1] < block.day <= inputs.mature]
    started = [_begin(detector, spec, champion) for detector in detectors]
    if not days:
        why = "no labels are mature yet for rows after the champion's training window"
        return tuple(replace(result, message=why) for result in started)
    try:
        predictor = predictor_of(store, prefix, spec, champion.version)
        scored, unmatched = _scored(store, spec, inputs, days, predictor)
    except (BadData, BadConfiguration) as error:
        return tuple(replace(result, message=str(error)) for result in started)
    return tuple(
        _judged(replace(result, unmatched=unmatched), spec.model.task, scored, predictor.classes, level)
        for result in started
    )


def _begin(detector: Detector, spec: ModelMonitorSpec, champion: Champion) -> PerformanceResult:
    metric = detector.metric or spec.promotion.metric
    comparable = champion.metric == metric.value and champion.score is not None
    return PerformanceResult(
        detector=detector.name,
        metric=metric.value,
        promised=float(champion.score) if comparable and champion.score is not None else None,
        max_drop=float(detector.max_drop or DEFAULT_MAX_DROP),
    )


def _judged(
    result: PerformanceResult,
    task: Task,
    days: Sequence[tuple[Array, Array]],
    classes: Sequence[str],
    level: float,
) -> PerformanceResult:
    from modelmonitor_trainer.model import metrics

    metric = Metric(result.metric)
    names = np.asarray(classes)

    def score(truth: Array, predicted: Array) -> float:
        outcomes = names[truth] if task is Task.MULTICLASS_CLASSIFICATION else truth
        return metrics.score(metric, task, outcomes, predicted, names)

    return judge(result, days, score, greater_is_better=metrics.greater_is_better(metric), level=level)


def predictor_of(store: Store, prefix: str, spec: ModelMonitorSpec, version: str) -> Predictor:
    """Return what predicts: the logged predictions where there are any, otherwise the champion.

    Raises
    ------
    BadConfiguration
        If there are none, and the champion is not a model of ours.
    BadData
        If the champion's files are damaged.
    """
    from modelmonitor_trainer.registry import champion as registry

    column = spec.model.prediction_column
    if column is not None and spec.model.task is not Task.MULTICLASS_CLASSIFICATION:
        known = registry.read_version(store, prefix, version)
        classes = tuple(known.classes) if known else ()
        return Predictor((column,), classes, lambda rows: _floats(rows.column(column), column))
    model = registry.load_model(store, prefix, version)
    return Predictor(tuple(model.columns), tuple(model.classes), model.predict_scores)


def _floats(values: pa.ChunkedArray, name: str) -> Array:
    try:
        found: Array = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadData(
            f"model.predictionColumn {name!r} is {values.type}, and not a number; log the score of the positive class"
        ) from error
    return found


def _scored(
    store: Store, spec: ModelMonitorSpec, inputs: Inputs, days: Sequence[Block], predictor: Predictor
) -> tuple[list[tuple[Array, Array]], int]:
    """Return the outcomes and predictions of each day, and how many rows have no label."""
    generator = np.random.default_rng(_SEED)
    quota = max(1, MAX_ROWS // len(days))
    found: list[tuple[Array, Array]] = []
    unmatched = 0
    for block in days:
        rows, target, lacking = _labelled(store, spec, inputs, block, predictor)
        unmatched += lacking
        if rows.num_rows > quota:
            chosen = pa.array(np.sort(generator.choice(rows.num_rows, quota, replace=False)))
            rows, target = rows.take(chosen), target.take(chosen)
        if rows.num_rows:
            truth, scores = _truth(target, spec, predictor), np.asarray(predictor.scores(rows))
            # A class that the model never saw has no place; a prediction that was not logged cannot be judged.
            usable = np.ones(truth.size, dtype=bool) if spec.model.task is Task.REGRESSION else truth >= 0
            if scores.ndim == 1:
                usable &= ~np.isnan(scores)
            found.append((truth[usable], scores[usable]))
    return found, unmatched


def _truth(target: pa.ChunkedArray, spec: ModelMonitorSpec, predictor: Predictor) -> Array:
    from modelmonitor_trainer.data.labels import class_places, true_values

    if spec.model.task is Task.REGRESSION:
        return true_values(target, spec.model.target)
    return class_places(target, spec.model.target, predictor.classes)


def _labelled(
    store: Store, spec: ModelMonitorSpec, inputs: Inputs, block: Block, predictor: Predictor
) -> tuple[pa.Table, pa.ChunkedArray, int]:
    """Return a day's rows with a label, their labels, and how many rows have none.

    A label lies in the partition of its row's day, or in that of the day on which it came: the latter are
    read only where the former has no label of these rows.
    """
    labels = spec.data.labels
    text = [feature.name for feature in spec.model.features if feature.type is FeatureType.CATEGORICAL]
    if labels is None:
        columns = [*predictor.columns, spec.model.target]
        rows = read_table(store, block.objects, columns, inputs.fmt, text=text)
        rows = rows.filter(rows.column(spec.model.target).is_valid())
        return rows, rows.column(spec.model.target), 0
    from modelmonitor_trainer.data.labels import join

    key = labels.join_key
    rows = read_table(store, block.objects, [*predictor.columns, key], inputs.fmt, text=[*text, key])
    assert block.day is not None
    for delay in dict.fromkeys((0, labels.delay_days)):
        objects = _labels(inputs, block.day, block.day + dt.timedelta(days=delay))
        known = read_table(store, objects, [key, spec.model.target], inputs.fmt, text=[key])
        met = join(rows, known, np.zeros(rows.num_rows, dtype=np.int64), key=key, target=spec.model.target)
        if met.rows:
            return met.table, met.target, met.report.unlabelled
    return rows.slice(0, 0), known.column(spec.model.target).slice(0, 0), rows.num_rows


def _labels(inputs: Inputs, first: dt.date, last: dt.date) -> list[ObjectInfo]:
    return [info for block in inputs.arrived if block.day and first <= block.day <= last for info in block.objects]
