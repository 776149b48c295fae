"""A training by the built-in trainer: freeze the data, fit, compare on later rows, write a version, promote it.

The challenger trains on the training window only. Both models then score the same hold-out rows, which come after
the training windows of both, so neither has seen them.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelmonitor_api.messages import RunVerdict, TrainRequest
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.failures import BadConfiguration
from modelmonitor_trainer.gate.verdict import GateReason
from modelmonitor_trainer.model.pipeline import Model, build, effective_parameters, fit
from modelmonitor_trainer.registry.champion import Pointer, champion_pointer, load_model, read_version
from modelmonitor_trainer.registry.models import LoadedModel, dump_model, read_pipeline
from modelmonitor_trainer.registry.versions import MODEL_FILE, folder_of, write_file
from modelmonitor_trainer.storage.store import Store
from modelmonitor_trainer.train.conclude import Challenger, Rival, conclude, settle, undecided
from modelmonitor_trainer.train.rows import Rows, arrays_of, load_rows, refuse_seen_rows
from modelmonitor_trainer.train.run import Run, Undecided, finished, frozen_manifest, open_run, version_of

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
    champion = champion_pointer(store, run.prefix)
    try:
        manifest = frozen_manifest(run, champion, now)
        record = read_version(store, run.prefix, version_of(run, manifest))
        if record is None:
            refuse_seen_rows(manifest, champion)
            rival = champion_model(run, champion)
            rows = load_rows(store, run.spec, manifest, rival.columns if rival else ())
            challenger = _challenger(run, manifest, rows)
            record = conclude(run, manifest, rows, challenger, _rival(rival, rows), now)
        else:
            _LOG.info("an earlier pod has written version %s", record.version)
    except Undecided as why:
        return undecided(run, why)
    return settle(run, record, now)


def champion_model(run: Run, champion: Pointer | None) -> LoadedModel | None:
    """Return the champion ready to be asked; None where there is none.

    Raises
    ------
    Undecided
        If it predicts something else than the spec asks for now.
    """
    if champion is None:
        return None
    record = read_version(run.store, run.prefix, champion.version)
    if record is not None and record.kind == "Own":
        raise Undecided(
            GateReason.INCOMPARABLE,
            f"the champion {champion.version} was made by a trainer of your own, which the built-in trainer cannot "
            "ask; remove champion.json from the results to begin anew with the built-in trainer",
        )
    model = load_model(run.store, run.prefix, champion.version)
    if (model.version.task, model.version.target) != (run.spec.model.task, run.spec.model.target):
        raise Undecided(
            GateReason.INCOMPARABLE,
            f"the champion {champion.version} predicts {model.version.target} ({model.version.task}), and the spec "
            f"asks for {run.spec.model.target} ({run.spec.model.task}); give the new task a monitor of its own",
        )
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


def _challenger(run: Run, manifest: Manifest, rows: Rows) -> Challenger:
    """Fit the challenger, write its file, and have the one that was written score the hold-out rows."""
    spec = run.spec
    assert spec.retraining.estimator is not None
    begun = time.monotonic()
    model = fit(
        spec.retraining.estimator,
        spec.model.features,
        spec.model.task,
        arrays_of(rows.train, spec),
        rows.train_truth,
        rows.known_classes,
        seed=spec.retraining.random_seed,
    )
    _LOG.info("%s fitted in %.1f s", spec.retraining.estimator.name, time.monotonic() - begun)
    for note in model.notes:
        _LOG.warning("%s", note)
    folder = folder_of(run.prefix, version_of(run, manifest))
    stored, kept = write_file(run.store, folder, MODEL_FILE, dump_model(model))
    # What is judged is what will be served: the file, not the object in memory.
    scores = replace(model, pipeline=read_pipeline(kept)).scores(arrays_of(rows.holdout, spec))
    return Challenger(scores, model.classes, "Skops", (stored,), _parameters(run, model), _notes(model))


def _parameters(run: Run, model: Model) -> Mapping[str, Any]:
    estimator = run.spec.retraining.estimator
    assert estimator is not None
    return {
        "estimator": estimator.to_wire(),
        "effectiveParameters": effective_parameters(model),
        "features": [feature.to_wire() for feature in model.features],
        "ignoredFeatures": list(model.ignored),
        "classes": list(model.classes),
        "seed": run.spec.retraining.random_seed,
        "strategy": run.spec.retraining.strategy.value,
        "notes": list(model.notes),
    }


def _notes(model: Model) -> tuple[str, ...]:
    if not model.ignored:
        return model.notes
    return (*model.notes, f"without any value in the training window, and ignored: {', '.join(model.ignored)}")


def _rival(model: LoadedModel | None, rows: Rows) -> Rival | None:
    """Return what the champion says of the hold-out rows."""
    if model is None:
        return None
    return Rival(model.version.version, model.predict_scores(rows.holdout.table), model.classes)
