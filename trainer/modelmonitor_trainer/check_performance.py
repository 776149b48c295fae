"""The champion scored on rows whose labels have come: mature days after its training window."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmonitor_api.spec import (
    DEFAULT_MAX_DROP,
    Detector,
    DetectorType,
    Feature,
    FeatureType,
    Metric,
    ModelMonitorSpec,
    Task,
)
from modelmonitor_api.status import Champion
from modelmonitor_trainer.check_inputs import ChampionFacts, Inputs
from modelmonitor_trainer.detect_performance import Array, PerformanceResult, judge
from modelmonitor_trainer.failures import BadData
from modelmonitor_trainer.profile_window import Block
from modelmonitor_trainer.storage import ObjectInfo, Store

if TYPE_CHECKING:
    from modelmonitor_trainer.rows import LabelledRows

#: Rows that are scored at most; the same number of each day.
MAX_ROWS = 100_000
_SEED = 20130101

#: Labelled rows of a day → scores.
_Predict = Callable[["LabelledRows"], Array]


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
        predict, classes = _predictor(store, prefix, spec, champion)
        scored, unmatched = _scored(store, spec, inputs, days, predict)
    except BadData as error:
        return tuple(replace(result, message=str(error)) for result in started)
    return tuple(
        _judged(replace(result, unmatched=unmatched), spec.model.task, scored, classes, level) for result in started
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
    result: PerformanceResult, task: Task, days: Sequence[tuple[Array, Array]], classes: Array | None, level: float
) -> PerformanceResult:
    from modelmonitor_trainer import metrics

    metric = Metric(result.metric)

    def score(truth: Array, predicted: Array) -> float:
        return metrics.score(metric, task, truth, predicted, classes)

    return judge(result, days, score, greater_is_better=metrics.greater_is_better(metric), level=level)


def _predictor(store: Store, prefix: str, spec: ModelMonitorSpec, champion: Champion) -> tuple[_Predict, Array | None]:
    """Return what predicts, and the classes of its scores where there are several.

    Raises
    ------
    BadData
        If there are no logged predictions, and the champion is not a model of ours.
    """
    column = spec.model.prediction_column
    if column is not None and spec.model.task is not Task.MULTICLASS_CLASSIFICATION:
        return lambda rows: np.asarray(rows.features[column], dtype=np.float64), None
    from modelmonitor_trainer import registry

    known = registry.read_version(store, prefix, champion.version)
    if known is not None and known.kind != "Skops":
        raise BadData(
            f"the champion {champion.version} is of your own trainer, which a check cannot run; log its predictions "
            "and name their column in spec.model.predictionColumn"
        )
    model = registry.load_model(store, prefix, champion.version)
    names = [feature.name for feature in spec.model.features]
    classes: Array | None = np.asarray(model.version.classes) if model.version.classes else None
    return lambda rows: model.predict_scores(rows.features[names]), classes


def _scored(
    store: Store, spec: ModelMonitorSpec, inputs: Inputs, days: Sequence[Block], predict: _Predict
) -> tuple[list[tuple[Array, Array]], int]:
    """Return the outcomes and scores of each day, and how many rows have no label."""
    wanted = _with_prediction(spec)
    generator = np.random.default_rng(_SEED)
    quota = max(1, MAX_ROWS // len(days))
    found: list[tuple[Array, Array]] = []
    unmatched = 0
    for block in days:
        assert block.day is not None
        rows = _labelled(store, wanted, inputs, block, block.day)
        unmatched += rows.unmatched
        if len(rows) > quota:
            chosen = np.sort(generator.choice(len(rows), quota, replace=False))
            rows = replace(rows, features=rows.features.iloc[chosen], target=rows.target[chosen])
        if not len(rows):
            continue
        scores = predict(rows)
        # Rows whose prediction was not logged cannot be scored.
        there = ~np.isnan(scores) if scores.ndim == 1 else np.ones(len(rows), dtype=bool)
        found.append((rows.target[there], scores[there]))
    return found, unmatched


def _labelled(store: Store, spec: ModelMonitorSpec, inputs: Inputs, block: Block, day: dt.date) -> LabelledRows:
    """Return a day's rows with their outcomes.

    A label lies in the partition of its row's day, or in that of the day on which it came: the latter are
    read only where the former leave rows without a label.
    """
    from modelmonitor_trainer.rows import read_labelled

    rows = read_labelled(store, spec, block.objects, _labels(inputs, day, day))
    delay = spec.data.labels.delay_days if spec.data.labels else 0
    if rows.unmatched and not len(rows) and delay:
        rows = read_labelled(store, spec, block.objects, _labels(inputs, day, day + dt.timedelta(days=delay)))
    return rows


def _labels(inputs: Inputs, first: dt.date, last: dt.date) -> list[ObjectInfo]:
    blocks = inputs.labels.current if inputs.labels else ()
    return [info for block in blocks if block.day and first <= block.day <= last for info in block.objects]


def _with_prediction(spec: ModelMonitorSpec) -> ModelMonitorSpec:
    """Return `spec` with the logged prediction as one more column to read, and without slices."""
    model = spec.model
    extra: list[Any] = []
    if model.prediction_column is not None and model.task is not Task.MULTICLASS_CLASSIFICATION:
        known = {feature.name for feature in model.features}
        if model.prediction_column not in known:
            extra = [Feature(name=model.prediction_column, type=FeatureType.NUMERIC)]
    changed = model.model_copy(update={"features": [*model.features, *extra], "slices": []})
    return spec.model_copy(update={"model": changed})
