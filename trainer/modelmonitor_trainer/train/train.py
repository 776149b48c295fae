"""A training by the built-in trainer: freeze the data, fit a challenger, evaluate it on later rows, promote it.

The challenger is trained on the training window only. Challenger and champion score the same hold-out rows, which
are later than the training windows of both, so neither has seen them.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelmonitor_api.messages import RunVerdict, TrainRequest
from modelmonitor_api.outcomes import ModelKind
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import Strategy
from modelmonitor_policy.training_calendar import fits_with_holdout
from modelmonitor_trainer.data.manifest import Manifest, feature_columns, objects_of
from modelmonitor_trainer.data.tables import absent_columns
from modelmonitor_trainer.errors import BadConfiguration, UnusableModel
from modelmonitor_trainer.gate.warm_start_guard import RefitComparison, compare_with_refit
from modelmonitor_trainer.model.batches import Source
from modelmonitor_trainer.model.estimators import build
from modelmonitor_trainer.model.metrics import aligned
from modelmonitor_trainer.model.pipeline import effective_parameters
from modelmonitor_trainer.model.search import check_search
from modelmonitor_trainer.registry.digest import fitted_digest
from modelmonitor_trainer.registry.layout import EVALUATED_FILE, MODEL_FILE
from modelmonitor_trainer.registry.model_files import LoadedModel, dump_model, load_model, read_pipeline
from modelmonitor_trainer.registry.records import Pointer
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.train.best_champion import load_best, score_best
from modelmonitor_trainer.train.challenger import Challenger
from modelmonitor_trainer.train.change_window import begin_at_change
from modelmonitor_trainer.train.cost import measure_cost
from modelmonitor_trainer.train.final_fit import Recipe
from modelmonitor_trainer.train.finalize import evaluate_and_store, finish_inconclusive, promote_and_report
from modelmonitor_trainer.train.holdout_scores import ChampionScores, HoldoutScores
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining
from modelmonitor_trainer.train.memory_estimate import (
    encoded_columns,
    estimate_memory,
    least_limit,
    memory_limit,
    needs_batches,
    require_memory,
)
from modelmonitor_trainer.train.novelty import refuse_known_data, refuse_known_model
from modelmonitor_trainer.train.rows import (
    Rows,
    arrays_of,
    load_rows,
    refuse_other_classes,
    refuse_seen_rows,
)
from modelmonitor_trainer.train.run import (
    Run,
    find_verdict,
    freeze_manifest,
    open_run,
    pin_champion,
    version_of,
)
from modelmonitor_trainer.train.strategy import TrainingResult, WarmStartSource, train_by_strategy, warm_start_source
from modelmonitor_trainer.train.stream import StreamedRows, stream_rows, train_in_batches

_LOG = logging.getLogger(__name__)


def train(store: Store, request: TrainRequest, *, job: str, now: dt.datetime) -> RunVerdict:
    """Run a training, resuming where an earlier pod of the same Job stopped.

    Parameters
    ----------
    store
        Store of data and results.
    request
        Monitor, spec, and number of the training.
    job
        Name of the Job.
    now
        Current time, with time zone.

    Returns
    -------
    RunVerdict
        Promoted, Rejected, AwaitingApproval or Inconclusive, with the figures.

    Raises
    ------
    ModelMonitorError
        If the data, the object store or the configuration cannot be used; nothing was promoted.
    """
    _validate(request)
    run = open_run(store, request, job)
    earlier = find_verdict(run)
    if earlier is not None:
        _LOG.info("an earlier pod has finished this training; its verdict stands")
        return earlier
    champion = run.registry.champion()
    try:
        manifest = freeze_manifest(run, champion, now)
        record = run.registry.find_version(version_of(run, manifest))
        if record is None:
            refuse_known_data(run, manifest, champion)
            pin_champion(run, champion)
            model = champion_model(run, champion)
            start = time.monotonic()
            obstacle = model.version.other_task(run.spec.model.task, run.spec.model.target) if model else ""
            if not obstacle:
                refuse_seen_rows(manifest, champion)
            comparable = None if obstacle else model
            absent = _no_longer_written(run, manifest, comparable)
            wanted = [name for name in comparable.columns if name not in absent] if comparable else []
            rows, source = _read_rows(run, manifest, wanted)
            refuse_other_classes(comparable.version if comparable else None, rows)
            rows = begin_at_change(run.spec, rows, run.request.drift_onset) if source is None else rows
            kept = warm_start_source(run.registry, comparable)
            challenger, result = _train_challenger(run, manifest, rows, source, kept, start, champion)
            best = score_best(load_best(run, comparable, rows.holdout.table.column_names), rows)
            scores = _score_champion(model, rows, absent, obstacle)
            recipe = Recipe(run, manifest, rows, result, kept) if _fits_again(run, source) else None
            record = evaluate_and_store(run, manifest, rows, challenger, scores, now, best, recipe)
        else:
            _LOG.info("an earlier pod has written version %s", record.version)
    except InconclusiveTraining as inconclusive:
        return finish_inconclusive(run, inconclusive, now)
    return promote_and_report(run, record, now)


def champion_model(run: Run, champion: Pointer | None) -> LoadedModel | None:
    """Load the champion; return None without a champion.

    Raises
    ------
    InconclusiveTraining
        If a custom trainer made it, or its files are damaged.
    """
    if champion is None:
        return None
    record = run.registry.find_version(champion.version)
    if record is not None and record.kind == ModelKind.CUSTOM:
        raise InconclusiveTraining(
            GateReason.INCOMPARABLE,
            f"the champion {champion.version} was made by a custom trainer, so the built-in trainer cannot load it; "
            "modelmonitor retire starts over with the built-in trainer",
        )
    try:
        return load_model(run.registry, champion.version)
    except UnusableModel as error:
        raise InconclusiveTraining(
            GateReason.CHAMPION_DAMAGED,
            f"{error}. A challenger must be compared with the champion, so nothing was trained; restore the file, or "
            "roll back to another version",
        ) from error


def _no_longer_written(run: Run, manifest: Manifest, champion: LoadedModel | None) -> list[str]:
    """Return the features of the champion that are not in the spec, and that some objects of the hold-out lack."""
    declared = feature_columns(run.spec)
    names = [name for name in champion.columns if name not in declared] if champion else []
    return absent_columns(run.store, objects_of(manifest.features, manifest.holdout), names, manifest.fmt)


def _validate(request: TrainRequest) -> None:
    """Reject an invalid configuration before any row is read."""
    estimator = request.spec.retraining.estimator
    if estimator is None:
        raise BadConfiguration(
            "spec.retraining.trainer.image declares a custom trainer, which runs between train-prepare and "
            "train-conclude; modelmonitor train needs spec.retraining.estimator"
        )
    build(estimator, request.spec.model.features, seed=request.spec.retraining.random_seed)
    check_search(estimator, request.spec.model.features, seed=request.spec.retraining.random_seed)


def _read_rows(run: Run, manifest: Manifest, extra_columns: Collection[str]) -> tuple[Rows, Source | None]:
    """Return the rows; those of the training window as a sample and in batches if they would not fit into memory.

    Raises
    ------
    BadConfiguration
        If they would not fit and the estimator cannot be trained in batches.
    """
    estimate = estimate_memory(run.spec, manifest)
    if needs_batches(run.spec, estimate):
        streamed = stream_rows(run.store, run.spec, manifest, extra_columns)
        return streamed.rows, streamed.source
    limit = least_limit(run.spec, memory_limit())
    require_memory(run.spec, estimate, limit)
    rows = load_rows(run.store, run.spec, manifest, extra_columns)
    encoded = replace(estimate, encoded=encoded_columns(run.spec, rows.train), train_rows=rows.train.rows)
    if needs_batches(run.spec, encoded):
        streamed = stream_rows(run.store, run.spec, manifest, extra_columns)
        return streamed.rows, streamed.source
    require_memory(run.spec, encoded, limit)
    return rows, None


def _train_challenger(
    run: Run,
    manifest: Manifest,
    rows: Rows,
    source: Source | None,
    warm_start: WarmStartSource | None,
    start: float,
    champion: Pointer | None,
) -> tuple[Challenger, TrainingResult]:
    """Fit the challenger, write its file, and score the hold-out with the model that was written.

    Raises
    ------
    InconclusiveTraining
        If the model is known already.
    """
    if source is not None:
        result = train_in_batches(run.spec, StreamedRows(rows, source))
    else:
        result = train_by_strategy(run.spec, rows, warm_start)
    cost = measure_cost(start)
    _LOG.info("%s in %.1f s and %.0f MiB", result.strategy, cost.seconds, (cost.peak_bytes or 0) / 2**20)
    result, refit_comparison = _guard_warm_start(run, rows, result)
    model = result.model
    notes = _notes(result)
    for note in notes:
        _LOG.warning("%s", note)
    dumped = dump_model(model)
    refuse_known_model(run, fitted_digest(dumped), champion)
    name = EVALUATED_FILE if _fits_again(run, source) else MODEL_FILE
    stored, content = run.registry.write_file(version_of(run, manifest), name, dumped)
    # The stored model is evaluated: it is the one that will be served, or whose recipe is fitted once more.
    scores = replace(model, pipeline=read_pipeline(content)).scores(arrays_of(rows.holdout, run.spec))
    challenger = Challenger(
        HoldoutScores(scores, model.classes),
        ModelKind.SKOPS,
        (stored,),
        _parameters(run, result, notes),
        cost=cost,
        fitted_sha256=fitted_digest(content),
        refit_comparison=refit_comparison,
    )
    return challenger, result


def _fits_again(run: Run, source: Source | None) -> bool:
    """Whether the model that serves is fitted with the hold-out; windows that are read in batches are fitted once."""
    return fits_with_holdout(run.spec) and source is None


def _guard_warm_start(run: Run, rows: Rows, result: TrainingResult) -> tuple[TrainingResult, RefitComparison | None]:
    """Replace a warm start by the full refit, if there is one and it is significantly better."""
    if result.refit is None:
        return result, None
    holdout = arrays_of(rows.holdout, run.spec)
    comparison = compare_with_refit(
        run.spec.promotion,
        rows.holdout_truth,
        warm=aligned(result.model.scores(holdout), result.model.classes, rows.classes),
        full=aligned(result.refit.scores(holdout), result.refit.classes, rows.classes),
        days=rows.holdout.days,
        seed=run.spec.retraining.random_seed,
    )
    _LOG.info("%s", comparison.sentence)
    if not comparison.full_is_better:
        return result, comparison
    refit = TrainingResult(result.refit, Strategy.REFIT, result.chosen, notes=(comparison.sentence,))
    return refit, comparison


def _score_champion(
    model: LoadedModel | None, rows: Rows, absent: Sequence[str], obstacle: str
) -> ChampionScores | None:
    """Return the champion's scores on the hold-out, or why it cannot be scored; None without a champion.

    Parameters
    ----------
    model, rows
        The champion, and the rows.
    absent
        Its features that are no longer written, which count as missing.
    obstacle
        Why its scores would mean nothing; empty if they do.
    """
    if model is None:
        return None
    if obstacle:
        return ChampionScores(model.version, None, obstacle)
    named = ", ".join(map(repr, absent))
    try:
        scores = model.predict_scores(rows.holdout.table, absent)
    except UnusableModel as error:
        lost = f" (no longer written: {named})" if named else ""
        return ChampionScores(model.version, None, f"{error}{lost}")
    notes = (f"{named} of the champion is no longer written and counts as missing for it.",) if named else ()
    return ChampionScores(model.version, HoldoutScores(scores, model.classes), notes=notes)


def _parameters(run: Run, result: TrainingResult, notes: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the contents of ``parameters.json``."""
    estimator = run.spec.retraining.estimator
    assert estimator is not None
    model = result.model
    return {
        "estimator": estimator.to_wire(),
        "effectiveParameters": effective_parameters(model),
        "features": [feature.to_wire() for feature in model.features],
        "ignoredFeatures": list(model.ignored),
        "classes": list(model.classes),
        "seed": run.spec.retraining.random_seed,
        "declaredStrategy": run.spec.retraining.strategy.value,
        "notes": list(notes),
        **result.to_json(),
    }


def _notes(result: TrainingResult) -> tuple[str, ...]:
    model = result.model
    notes = [*model.notes, *result.notes]
    if model.ignored:
        notes.append(f"ignored features, without any value in the training window: {', '.join(model.ignored)}")
    return tuple(dict.fromkeys(notes))
