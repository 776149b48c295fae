"""A training by the built-in trainer: freeze the data, fit, compare on later rows, write a version, promote it.

The challenger trains on the training window only. Both models then score the same hold-out rows, which come after
the training windows of both, so neither has seen them.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from modelmonitor_api.messages import RunVerdict, TrainRequest
from modelmonitor_api.spec import Strategy
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.gate.evaluation import GateReason
from modelmonitor_trainer.gate.warm_start_guard import RefitComparison, compare_with_refit
from modelmonitor_trainer.model.batches import Source
from modelmonitor_trainer.model.metrics import aligned
from modelmonitor_trainer.model.pipeline import build, effective_parameters
from modelmonitor_trainer.model.search import check_search
from modelmonitor_trainer.registry.digest import fitted_digest
from modelmonitor_trainer.registry.layout import MODEL_FILE
from modelmonitor_trainer.registry.model_files import LoadedModel, dump_model, load_model, read_pipeline
from modelmonitor_trainer.registry.records import Pointer
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.train.cost import measured
from modelmonitor_trainer.train.finalize import Challenger, evaluate_and_store, promote_and_report, undecided
from modelmonitor_trainer.train.holdout_scores import ChampionScores, HoldoutScores
from modelmonitor_trainer.train.memory_estimate import (
    estimate_memory,
    in_batches,
    memory_limit,
    refuse_what_does_not_fit,
)
from modelmonitor_trainer.train.rows import Rows, arrays_of, load_rows, refuse_other_task, refuse_seen_rows
from modelmonitor_trainer.train.run import (
    InconclusiveTraining,
    Run,
    finished,
    frozen_champion,
    frozen_manifest,
    open_run,
    version_of,
)
from modelmonitor_trainer.train.strategy import Trained, WarmStartSource, train_by_strategy, warm_start_source
from modelmonitor_trainer.train.stream import Streamed, stream_rows, train_in_batches

_LOG = logging.getLogger(__name__)


def train(store: Store, request: TrainRequest, *, job: str, now: dt.datetime) -> RunVerdict:
    """Do what a training request asks, going on where an earlier pod of the same Job was stopped.

    Parameters
    ----------
    store
        Data and results.
    request
        The monitor, its spec, and the number of the decision.
    job
        Name of the Job.
    now
        The present, with time zone.

    Returns
    -------
    RunVerdict
        Promoted, Rejected, AwaitingApproval or Inconclusive, with the figures.

    Raises
    ------
    ModelMonitorError
        If the data, the store or the configuration cannot be used; nothing was promoted.
    """
    _check_configuration(request)
    run = open_run(store, request, job)
    earlier = finished(run)
    if earlier is not None:
        _LOG.info("an earlier pod has finished this training; its verdict stands")
        return earlier
    champion = run.registry.champion()
    try:
        manifest = frozen_manifest(run, champion, now)
        record = run.registry.find_version(version_of(run, manifest))
        if record is None:
            refuse_seen_rows(manifest, champion)
            frozen_champion(run, champion)
            rival = champion_model(run, champion)
            begun = time.monotonic()
            rows, source = _read(run, manifest, rival.columns if rival else ())
            challenger = _challenger(run, manifest, rows, source, warm_start_source(run.registry, rival), begun)
            record = evaluate_and_store(run, manifest, rows, challenger, _rival(rival, rows), now)
        else:
            _LOG.info("an earlier pod has written version %s", record.version)
    except InconclusiveTraining as why:
        return undecided(run, why, now)
    return promote_and_report(run, record, now)


def _read(run: Run, manifest: Manifest, more: Collection[str]) -> tuple[Rows, Source | None]:
    """Return the rows; those of the training window as a sample and in batches where they would not fit.

    Raises
    ------
    BadConfiguration
        If they do not fit and the estimator cannot learn in batches.
    """
    need = estimate_memory(run.spec, manifest)
    if in_batches(run.spec, need):
        streamed = stream_rows(run.store, run.spec, manifest, more)
        return streamed.rows, streamed.source
    refuse_what_does_not_fit(run.spec, need, memory_limit())
    return load_rows(run.store, run.spec, manifest, more), None


def champion_model(run: Run, champion: Pointer | None) -> LoadedModel | None:
    """Return the champion ready to be asked; None where there is none.

    Raises
    ------
    InconclusiveTraining
        If it predicts something else than the spec asks for now.
    """
    if champion is None:
        return None
    record = run.registry.find_version(champion.version)
    if record is not None and record.kind == "Own":
        raise InconclusiveTraining(
            GateReason.INCOMPARABLE,
            f"the champion {champion.version} was made by a trainer of your own, which the built-in trainer cannot "
            "ask; remove champion.json from the results to begin anew with the built-in trainer",
        )
    model = load_model(run.registry, champion.version)
    refuse_other_task(run, model.version)
    return model


def _check_configuration(request: TrainRequest) -> None:
    """Refuse parameters that cannot be used before any row is read."""
    estimator = request.spec.retraining.estimator
    if estimator is None:
        raise BadConfiguration(
            "spec.retraining.trainer.image names a trainer of your own, which train-prepare and train-conclude frame; "
            "modelmonitor train needs spec.retraining.estimator"
        )
    build(estimator, request.spec.model.features, seed=request.spec.retraining.random_seed)
    check_search(estimator, request.spec.model.features, seed=request.spec.retraining.random_seed)


def _challenger(
    run: Run, manifest: Manifest, rows: Rows, source: Source | None, champion: WarmStartSource | None, begun: float
) -> Challenger:
    """Fit the challenger, write its file, and have the one that was written score the hold-out rows."""
    if source is not None:
        trained = train_in_batches(run.spec, Streamed(rows, source))
    else:
        trained = train_by_strategy(run.spec, rows, champion)
    cost = measured(begun)
    _LOG.info("%s in %.1f s and %.0f MiB", trained.strategy, cost.seconds, (cost.peak_bytes or 0) / 2**20)
    trained, beside = _guarded(run, rows, trained)
    model = trained.model
    notes = _notes(trained)
    for note in notes:
        _LOG.warning("%s", note)
    stored, kept = run.registry.write_file(version_of(run, manifest), MODEL_FILE, dump_model(model))
    # What is judged is what will be served: the file, not the object in memory.
    scores = replace(model, pipeline=read_pipeline(kept)).scores(arrays_of(rows.holdout, run.spec))
    return Challenger(
        HoldoutScores(scores, model.classes),
        "Skops",
        (stored,),
        _parameters(run, trained, notes),
        cost=cost,
        fitted_sha256=fitted_digest(kept),
        beside=beside,
    )


def _guarded(run: Run, rows: Rows, trained: Trained) -> tuple[Trained, RefitComparison | None]:
    """Take the model that was fitted to the whole window where it is better than the warm start beyond chance."""
    if trained.beside is None:
        return trained, None
    holdout = arrays_of(rows.holdout, run.spec)
    beside = compare_with_refit(
        run.spec.promotion,
        rows.holdout_truth,
        warm=aligned(trained.model.scores(holdout), trained.model.classes, rows.classes),
        full=aligned(trained.beside.scores(holdout), trained.beside.classes, rows.classes),
        days=rows.holdout.days,
        seed=run.spec.retraining.random_seed,
    )
    _LOG.info("%s", beside.sentence)
    if not beside.full_is_better:
        return trained, beside
    refit = Trained(trained.beside, Strategy.REFIT, trained.chosen, notes=(beside.sentence,))
    return refit, beside


def _parameters(run: Run, trained: Trained, notes: tuple[str, ...]) -> Mapping[str, Any]:
    estimator = run.spec.retraining.estimator
    assert estimator is not None
    model = trained.model
    return {
        "estimator": estimator.to_wire(),
        "effectiveParameters": effective_parameters(model),
        "features": [feature.to_wire() for feature in model.features],
        "ignoredFeatures": list(model.ignored),
        "classes": list(model.classes),
        "seed": run.spec.retraining.random_seed,
        "declaredStrategy": run.spec.retraining.strategy.value,
        "notes": list(notes),
        **trained.to_json(),
    }


def _notes(trained: Trained) -> tuple[str, ...]:
    model = trained.model
    said = [*model.notes, *trained.notes]
    if model.ignored:
        said.append(f"without any value in the training window, and ignored: {', '.join(model.ignored)}")
    return tuple(dict.fromkeys(said))


def _rival(model: LoadedModel | None, rows: Rows) -> ChampionScores | None:
    """Return what the champion says of the hold-out rows."""
    if model is None:
        return None
    return ChampionScores(model.version, HoldoutScores(model.predict_scores(rows.holdout.table), model.classes))
