"""The champion scored on rows whose labels have come: mature days after its training window."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from modelmonitor_api.spec import (
    DEFAULT_MAX_DROP,
    Detector,
    DetectorType,
    Metric,
    ModelMonitorSpec,
    Task,
)
from modelmonitor_api.status import Champion
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.check.labelled_rows import LabelledDay, read_days
from modelmonitor_trainer.check.windows import ChampionInfo, CheckWindows
from modelmonitor_trainer.detect.performance import PerformanceResult, judge
from modelmonitor_trainer.detect.score_timeline import ScoredDay, score_over_time
from modelmonitor_trainer.errors import BadConfiguration, BadData
from modelmonitor_trainer.profile.window import Batch
from modelmonitor_trainer.storage.base import Store

#: Rows that are scored at most; the same number of each day.
MAX_ROWS = 100_000


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
    facts: ChampionInfo,
    inputs: CheckWindows,
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
    started = [_begin(store, prefix, detector, spec, champion) for detector in detectors]
    if not days:
        why = "no labels are mature yet for rows after the champion's training window"
        return tuple(replace(result, message=why) for result in started)
    try:
        predictor = predictor_of(store, prefix, spec, champion.version)
        scored, looked = _scored(store, spec, inputs, days, predictor)
    except (BadData, BadConfiguration) as error:
        return tuple(replace(result, message=str(error)) for result in started)
    told: dict[str, Any] = {
        "unmatched": sum(day.unlabelled for day in looked),
        "duplicates": tuple((day.block.name, day.read, day.repeated) for day in looked if day.repeated),
    }
    return tuple(
        _judged(replace(result, **told), spec.model.task, scored, predictor.classes, level) for result in started
    )


def _begin(
    store: Store, prefix: str, detector: Detector, spec: ModelMonitorSpec, champion: Champion
) -> PerformanceResult:
    metric = detector.metric or spec.promotion.metric
    from modelmonitor_trainer.model.metrics import in_units

    promised, deviation = _promised(store, prefix, champion.version, metric)
    if champion.metric == metric.value and champion.score is not None:
        promised = float(champion.score)
    return PerformanceResult(
        detector=detector.name,
        metric=metric.value,
        promised=promised,
        promised_deviation=deviation,
        max_drop=in_units(metric, float(detector.max_drop or DEFAULT_MAX_DROP), promised or 0.0),
    )


def _promised(store: Store, prefix: str, version: str, metric: Metric) -> tuple[float | None, float]:
    """Return what a version scored on its own hold-out rows, and the standard deviation of that by chance."""
    from modelmonitor_trainer.model.metrics import title
    from modelmonitor_trainer.registry import versions

    record = versions.read_version(store, prefix, version) if version else None
    data = versions.file_if_any(store, prefix, record, versions.METRICS_FILE) if record else None
    rows = json.loads(data)["metrics"] if data else []
    row: dict[str, Any] = next((row for row in rows if row["metric"] == title(metric)), {})
    return row.get("challenger"), row.get("deviation") or 0.0


def _judged(
    result: PerformanceResult,
    task: Task,
    days: Sequence[ScoredDay],
    classes: Sequence[str],
    level: float,
) -> PerformanceResult:
    from modelmonitor_trainer.model import metrics

    metric = Metric(result.metric)
    names = np.asarray(classes)

    def score(truth: Array, predicted: Array) -> float:
        outcomes = names[truth] if task is Task.MULTICLASS_CLASSIFICATION else truth
        return metrics.score(metric, task, outcomes, predicted, names)

    pairs = [(day.truth, day.predicted) for day in days]
    title, greater = metrics.title(metric), metrics.greater_is_better(metric)
    judged = judge(result, pairs, score, title=title[:1].upper() + title[1:], greater_is_better=greater, level=level)
    return replace(judged, periods=score_over_time(days, score)) if judged.score is not None else judged


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
        known = registry.read_version(store, prefix, version) if version else None
        # Without a model of ours the outcomes are what the spec asks of a binary target: true/false or 1/0.
        classes = tuple(known.classes) if known and known.classes else ("0", "1")
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
    store: Store, spec: ModelMonitorSpec, inputs: CheckWindows, days: Sequence[Batch], predictor: Predictor
) -> tuple[list[ScoredDay], list[LabelledDay]]:
    """Return the outcomes and predictions of each day, and the days with what was sampled of their rows."""
    found: list[ScoredDay] = []
    looked: list[LabelledDay] = []
    for day in read_days(store, spec, inputs.fmt, days, predictor.columns, inputs.arrived, MAX_ROWS):
        if day.rows.num_rows:
            truth, scores = truth_of(day.target, spec, predictor.classes), np.asarray(predictor.scores(day.rows))
            usable = usable_rows(truth, scores, spec.model.task)
            assert day.block.day is not None
            found.append(ScoredDay(day.block.day, truth[usable], scores[usable]))
        # Only its numbers are wanted from here on: one day is in memory at a time.
        looked.append(replace(day, rows=day.rows.slice(0, 0), target=day.target.slice(0, 0)))
    return found, looked


def truth_of(target: pa.ChunkedArray, spec: ModelMonitorSpec, classes: Sequence[str]) -> Array:
    """Return outcomes as places among `classes` (-1 for none of them), or as values; (n,)."""
    from modelmonitor_trainer.data.labels import class_places, true_values

    if spec.model.task is Task.REGRESSION:
        return true_values(target, spec.model.target)
    return class_places(target, spec.model.target, classes)


def usable_rows(truth: Array, scores: Array, task: Task) -> Array:
    """Return which rows can be judged; (n,) of booleans.

    A class that the model never saw has no place; a prediction that was not logged cannot be judged.
    """
    usable = np.ones(truth.size, dtype=bool) if task is Task.REGRESSION else truth >= 0
    return usable & ~np.isnan(scores) if scores.ndim == 1 else usable
