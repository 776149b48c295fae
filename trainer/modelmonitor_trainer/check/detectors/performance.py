"""Performance: the champion's score on mature days after its training window."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from modelmonitor_api.outcomes import DetectorStatus
from modelmonitor_api.spec import DEFAULT_MAX_DROP, DetectorType, Metric, Task
from modelmonitor_api.spec import Detector as DetectorSpec
from modelmonitor_api.status import Champion
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.check import predictor as predictors
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import LabelJoin, MonitorData, Outcomes, ProfiledData
from modelmonitor_trainer.check.detectors.base import Detector, DetectorResult, Findings, Need, Stage, register
from modelmonitor_trainer.check.label_survey import labelling_of, unread_labels
from modelmonitor_trainer.check.labelled_rows import ROW, JoinedBatches, LabelledBatch, join_batches, read_batches
from modelmonitor_trainer.check.predictor import (
    Predictor,
    Unusable,
    damage_of_model,
    require_probabilities,
    true_outcomes,
    usable_rows,
)
from modelmonitor_trainer.check.stored_scores import NotScored, StoredScores, can_be_stored
from modelmonitor_trainer.data.join_keys import BadJoinKey
from modelmonitor_trainer.data.tables import absent_columns
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.drift import level_of
from modelmonitor_trainer.detect.labelling import Labelling
from modelmonitor_trainer.detect.performance import PerformanceResult, judge
from modelmonitor_trainer.detect.quality import contradictory_labels, duplicate_keys
from modelmonitor_trainer.detect.score_timeline import ScoredDay, score_over_time
from modelmonitor_trainer.errors import BadConfiguration, BadData, ModelMonitorError, UnusableModel
from modelmonitor_trainer.registry.layout import METRICS_FILE
from modelmonitor_trainer.registry.registry import ModelRegistry

#: Maximum number of rows; equally many of each day.
MAX_ROWS = 100_000
#: Metrics for which any increasing score will do.
_OF_RANKS = frozenset({Metric.ROC_AUC, Metric.AVERAGE_PRECISION})


@register
class Performance(Detector):
    """Scores the champion. Corrupted rows would make a healthy model look bad, so it needs data without violations."""

    type = DetectorType.PERFORMANCE
    stage = Stage.MODEL
    needs = frozenset({Need.CHAMPION, Need.OUTCOMES})

    def run(self, ctx: CheckContext, data: ProfiledData, specs: Sequence[DetectorSpec]) -> DetectorResult:
        """Return the champion's scores, or a violation if join keys repeat: then labels are joined at random."""
        with ctx.stopwatch.step("performance"):
            measured = _measure(ctx, data, specs)
        results = measured.performance
        join = data.source.outcomes.join if data.source.outcomes else None
        checks_contract = any(spec.type is DetectorType.DATA_QUALITY for spec in data.source.detectors)
        if join is not None and checks_contract and results:
            counts = results[0]
            violations = duplicate_keys(join.key, counts.duplicates)
            violations += contradictory_labels(
                join.key, counts.contradictions, counts.labelled, join.max_contradictions
            )
            if violations:
                return DetectorResult(violations=tuple(violations), labelling=measured.labelling)
        notes = label_notes(results[0], join.version) if join is not None and results else ()
        return replace(measured, notes=notes)

    def outcome(self, spec: DetectorSpec, findings: Findings) -> tuple[DetectorStatus, str]:
        """Return whether the score has dropped."""
        result = next((result for result in findings.performance if result.detector == spec.name), None)
        if result is None:
            reason = "the data violate the contract" if findings.violations else "there is no champion yet"
            return DetectorStatus.NOT_TESTED, reason
        if result.score is None or result.promotion_score is None:
            return DetectorStatus.NOT_TESTED, result.message
        if result.dropped:
            return DetectorStatus.DROPPED, result.message
        return DetectorStatus.HELD if result.held else DetectorStatus.INCONCLUSIVE, result.message


def _measure(ctx: CheckContext, data: ProfiledData, specs: Sequence[DetectorSpec]) -> DetectorResult:
    """Return the scores, and how rows and labels met; labels that cannot be used are reported, not raised."""
    source = data.source
    monitor, outcomes = source.monitor, source.outcomes
    assert monitor is not None
    assert monitor.champion is not None
    assert outcomes is not None
    trained = monitor.champion.window[1]
    days = [batch for batch in source.rows.current if batch.day and trained < batch.day <= monitor.mature]
    started = [_start(monitor, spec) for spec in specs]
    damage = damage_of_model(monitor.registry, monitor.champion.version) or _other_task(monitor)
    if damage:
        return DetectorResult(performance=tuple(replace(result, message=damage, unusable=True) for result in started))
    if not days:
        reason = "no labels are mature yet for rows after the champion's training window"
        return DetectorResult(performance=tuple(replace(result, message=reason) for result in started))
    labelling: Labelling | None = None
    task, unlabelled = monitor.spec.model.task, started
    try:
        predictor, stored = _open_predictor(ctx, data, days)
        unusable = Unusable(outcomes.target.name, task, predictor.classes)
        columns = predictor.columns if stored is None else (ROW,)
        joined: JoinedBatches | None = None
        if outcomes.join is not None:
            joined = join_batches(ctx, outcomes, outcomes.join, days, columns, outcomes.current_labels, MAX_ROWS)
            labelling = labelling_of(joined, outcomes.join, expected=True)
            started = [replace(result, **_label_counts(joined.batches)) for result in started]
            joined.require_labels()
        batches = joined.batches if joined else read_batches(ctx, outcomes, days, columns, (), MAX_ROWS)
        if stored is not None:
            batches = tuple(batches)
            stored.read(batches)
        score = _scores_of_rows(predictor) if stored is None else stored.of
        scored, counted = _scored_days(outcomes, batches, score, unusable)
        started = [replace(result, **_label_counts(counted)) for result in started]
        if labelling is not None:
            labelling = replace(labelling, unscored=_count_unscored(joined.batches if joined else (), scored))
        unusable.require_usable()
    except BadJoinKey:
        raise  # labels of that type never meet their rows, so the monitor must be changed
    except NotScored as late:
        # Without stored scores, the model and the rows are read before the labels.
        return _failed_result(unlabelled, late.error)
    except (BadData, BadConfiguration) as error:
        return _failed_result(started, error, labelling, outcomes.join)
    level = level_of(source.sensitivity, source.checks_per_day)
    independent = source.sensitivity.independent_rows
    note = unusable.note()
    if predictor.absent:
        note += f"; {', '.join(map(repr, predictor.absent))} of the champion is no longer written and counts as missing"
    scores = (_score(result, task, scored, level, independent) for result in started)
    results = tuple(replace(result, message=result.message + note) for result in scores)
    return DetectorResult(performance=results, labelling=labelling)


def _open_predictor(
    ctx: CheckContext, data: ProfiledData, days: Sequence[Batch]
) -> tuple[Predictor, StoredScores | None]:
    """Return what gives the predictions, and the stored ones where they can be kept."""
    monitor, outcomes = data.source.monitor, data.source.outcomes
    assert monitor is not None
    assert monitor.champion is not None
    assert outcomes is not None
    version = monitor.champion.version
    rows = {profile.block.name: profile.rows for profile in data.rows.current.blocks}
    kept = can_be_stored(days, rows, MAX_ROWS)
    predictor = predictors.predictor_of(monitor.registry, monitor.spec, version, lazily=kept)
    stored: StoredScores | None = None
    if kept and predictor.model is not None:
        text = [*outcomes.text_columns, *([outcomes.join.key] if outcomes.join else [])]
        stored = StoredScores(ctx, monitor.registry.layout.scores(version), predictor, text)
    declared = [feature.name for feature in monitor.spec.model.features]
    unread = [name for name in predictor.columns if name not in declared]
    absent = absent_columns(ctx.store, [day.objects[0] for day in days if day.objects], unread, ctx.fmt)
    if stored is not None:
        stored.without(absent)
    return predictor.without(absent), stored


def _scores_of_rows(predictor: Predictor) -> Callable[[LabelledBatch], Array]:
    return lambda batch: np.asarray(predictor.scores(batch.rows))


def _failed_result(
    results: Sequence[PerformanceResult],
    error: ModelMonitorError,
    labelling: Labelling | None = None,
    join: LabelJoin | None = None,
) -> DetectorResult:
    """Return results without a score, because the champion or the data cannot be used; raise any other error."""
    if isinstance(error, UnusableModel):
        problem = f"the champion cannot be used: {error}"
        unusable = tuple(replace(result, message=problem, unusable=True) for result in results)
        return DetectorResult(performance=unusable, labelling=labelling)
    if not isinstance(error, BadData | BadConfiguration):
        raise error
    if not isinstance(error, BadConfiguration):
        if labelling is not None:
            labelling = replace(labelling, problem=str(error))
        elif join is not None:
            labelling = unread_labels(join, error, expected=True)
    return DetectorResult(
        performance=tuple(replace(result, message=str(error)) for result in results), labelling=labelling
    )


def _other_task(monitor: MonitorData) -> str:
    """Return why the champion's predictions mean nothing for the declared target; empty if they do."""
    assert monitor.champion is not None
    record = monitor.registry.find_version(monitor.champion.version)
    other = record.other_task(monitor.spec.model.task, monitor.spec.model.target) if record is not None else ""
    return f"the champion cannot be used: {other}; a training replaces it" if other else ""


def _count_unscored(batches: Sequence[LabelledBatch], scored: Sequence[ScoredDay]) -> int:
    """Return how many labelled rows are not scored; those that are not drawn count like those that are."""
    usable = {day.day: int(day.truth.size) for day in scored}
    unscored = 0.0
    for batch in batches:
        if batch.rows.num_rows and batch.batch.day is not None:
            drawn = batch.rows.num_rows
            whole = drawn if batch.sample_of is None else batch.sample_of
            unscored += whole * (1 - usable.get(batch.batch.day, 0) / drawn)
    return round(unscored)


def _label_counts(batches: Sequence[LabelledBatch]) -> dict[str, Any]:
    """Return what a result states of the labels of all days."""
    return {
        "unmatched": sum(batch.unlabelled for batch in batches),
        "duplicates": tuple((batch.batch.name, batch.read, batch.repeated) for batch in batches if batch.repeated),
        "labelled": sum(batch.labelled for batch in batches),
        "corrected": sum(batch.corrected for batch in batches),
        "contradictions": tuple((batch.batch.name, batch.contradictory) for batch in batches if batch.contradictory),
    }


def label_notes(counts: PerformanceResult, version: str | None) -> tuple[str, ...]:
    """Return what happened to labels that are not the only ones of their row."""
    notes = []
    if counts.corrected:
        order = f"the greatest {version!r}" if version else "the last arrival"
        notes.append(
            f"Labels: {counts.corrected:,} of {counts.labelled:,} labelled rows have a label that replaced a different "
            f"one; {order} counts. TargetDrift compares all labels, the replaced ones included."
        )
    contradictory = sum(count for _, count in counts.contradictions)
    if contradictory:
        notes.append(
            f"Labels: {contradictory:,} of {counts.labelled:,} labelled rows have labels that contradict each other "
            f"and are left out, first in {counts.contradictions[0][0]}."
        )
    return tuple(notes)


def _start(monitor: MonitorData, spec: DetectorSpec) -> PerformanceResult:
    """Return a result with the score at promotion."""
    from modelmonitor_trainer.model.metrics import DROP_SHARE, bounded, greater_is_better

    champion: Champion | None = monitor.champion_status
    assert champion is not None
    metric = spec.metric or monitor.spec.promotion.metric
    promotion_score, deviation, trivial = _score_at_promotion(monitor.registry, champion.version, metric)
    if champion.metric == metric.value and champion.score is not None:
        promotion_score = float(champion.score)
    return PerformanceResult(
        detector=spec.name,
        metric=metric.value,
        promotion_score=promotion_score,
        promotion_score_deviation=deviation,
        max_drop=bounded(metric, float(spec.max_drop or DEFAULT_MAX_DROP), promotion_score or 0.0, trivial, DROP_SHARE),
        scale=1.0 if greater_is_better(metric) else abs(trivial or promotion_score or 1.0),
    )


def _score_at_promotion(
    registry: ModelRegistry, version: str, metric: Metric
) -> tuple[float | None, float, float | None]:
    """Return the score of a version on its own hold-out rows, its standard error, and the score of a trivial model."""
    from modelmonitor_trainer.model.metrics import title

    record = registry.find_version(version) if version else None
    content = registry.find_file(record, METRICS_FILE) if record else None
    rows = json.loads(content)["metrics"] if content else []
    row: dict[str, Any] = next((row for row in rows if row["metric"] == title(metric)), {})
    return row.get("challenger"), row.get("deviation") or 0.0, row.get("baseline")


def _score(
    result: PerformanceResult,
    task: Task,
    days: Sequence[ScoredDay],
    level: float,
    independent: bool,
) -> PerformanceResult:
    from modelmonitor_trainer.gate.group_scores import grouping_of
    from modelmonitor_trainer.model import metrics

    metric = Metric(result.metric)

    def score(truth: Array, predicted: Array) -> float:
        return metrics.metric_value(metric, truth, predicted)

    if task is not Task.REGRESSION:
        days = [replace(day, truth=day.truth.astype(np.int64)) for day in days]
    grouping = grouping_of(metric, columns=2 if task is Task.MULTICLASS_CLASSIFICATION else 1)
    pairs = [(day.truth, day.predicted) for day in days]
    if task is Task.BINARY_CLASSIFICATION and metric not in _OF_RANKS:
        try:
            require_probabilities(np.concatenate([np.empty(0), *(predicted for _, predicted in pairs)]))
        except BadData as error:
            return replace(result, message=f"{error}, or set metric to {Metric.ROC_AUC}")
    title, greater = metrics.title(metric), metrics.greater_is_better(metric)
    judged = judge(
        result,
        pairs,
        score,
        title=title[:1].upper() + title[1:],
        greater_is_better=greater,
        level=level,
        independent=independent,
        grouping=grouping,
    )
    return replace(judged, periods=score_over_time(days, score, grouping)) if judged.score is not None else judged


def _scored_days(
    outcomes: Outcomes,
    labelled: Iterable[LabelledBatch],
    score: Callable[[LabelledBatch], Array],
    unusable: Unusable,
) -> tuple[list[ScoredDay], list[LabelledBatch]]:
    """Return the outcomes and predictions of each day, and the days without their rows.

    Classes that the champion does not know are added, with a score of zero: it is wrong on each of their rows.
    """
    from modelmonitor_trainer.data.classes import with_new_classes
    from modelmonitor_trainer.model.metrics import padded

    several, classes, name = unusable.task is Task.MULTICLASS_CLASSIFICATION, unusable.classes, outcomes.target.name
    scored: list[ScoredDay] = []
    batches: list[LabelledBatch] = []
    for batch in labelled:
        if batch.rows.num_rows:
            classes = with_new_classes(classes, batch.target, name) if several else classes
            truth = true_outcomes(batch.target, name, unusable.task, classes)
            scores = score(batch)
            unusable.add(batch.target, scores)
            usable = usable_rows(truth, scores, unusable.task)
            assert batch.batch.day is not None
            scored.append(ScoredDay(batch.batch.day, truth[usable], scores[usable]))
        # Only the counts are needed from here on: one day is in memory at a time.
        batches.append(batch.counts())
    scored = [replace(day, predicted=padded(day.predicted, len(classes))) for day in scored]
    return scored, batches
