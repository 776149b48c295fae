"""Record and documents of a new version: parameters, environment, metrics, comparison, manifest and model card."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from modelmonitor_api.spec import Task
from modelmonitor_trainer.data.manifest import Manifest, days_within
from modelmonitor_trainer.data.windows import Window
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.gate.evaluation import GateResult
from modelmonitor_trainer.model.environment import installed_digest, library_versions
from modelmonitor_trainer.registry.layout import (
    CARD_FILE,
    CARD_PAGE_FILE,
    COMPARISON_FILE,
    ENVIRONMENT_FILE,
    MANIFEST_FILE,
    METRICS_FILE,
    PARAMETERS_FILE,
)
from modelmonitor_trainer.registry.records import EvaluatedFit, Period, VersionRecord
from modelmonitor_trainer.registry.succession import best_before
from modelmonitor_trainer.registry.writer import encode_documents
from modelmonitor_trainer.report.card import model_card, model_card_page
from modelmonitor_trainer.train.challenger import Challenger
from modelmonitor_trainer.train.final_fit import FinalModel
from modelmonitor_trainer.train.holdout_scores import ChampionScores
from modelmonitor_trainer.train.rows import Rows
from modelmonitor_trainer.train.run import Run, version_of

#: Fields of comparison.json that are in metrics.json, too.
_METRICS = ("metric", "rows", "champion", "baseline", "lastPeriod", "slices", "metrics", "calibration")


def version_record(
    run: Run,
    manifest: Manifest,
    rows: Rows,
    challenger: Challenger,
    champion: ChampionScores | None,
    result: GateResult,
    now: dt.datetime,
    final: FinalModel | None = None,
) -> VersionRecord:
    """Return the record of a new version, without its files.

    Parameters
    ----------
    run, manifest, rows
        Run, data manifest and rows of the training.
    challenger, champion
        Both models with their scores on the hold-out; None if there is no champion.
    result
        Decision of the gate.
    now
        Current time.
    final
        The model that serves, if it is not the one that was compared.
    """
    spec, request = run.spec, run.request
    compared = result.champion or result.baseline
    scores = np.ascontiguousarray(challenger.holdout.scores, dtype="<f8")
    # A sample stands for the rows that were trained on in batches.
    trained = rows.train.report.matched - rows.seen.training_copies if rows.since is None else rows.train.rows
    start, end = manifest.train
    compared_train = _period(manifest, (start if rows.since is None else max(start, rows.since), end), trained)
    return VersionRecord(
        version=version_of(run, manifest),
        number=request.number,
        monitor_uid=request.monitor.uid,
        created=now,
        trigger=request.reason,
        kind=challenger.kind,
        image=request.trainer_image,
        seed=spec.retraining.random_seed,
        task=spec.model.task,
        target=spec.model.target,
        features=spec.model.features,
        classes=_classes(run, challenger, final),
        train=compared_train if final is None else _period(manifest, final.window, final.rows),
        evaluated=EvaluatedFit(train=compared_train, fitted_sha256=challenger.fitted_sha256) if final else None,
        change_point=_change_point(run, final.window if final else manifest.train),
        holdout=_period(manifest, manifest.holdout, rows.holdout.rows),
        manifest_sha256=manifest.sha256,
        predictions_sha256=hashlib.sha256(scores.tobytes()).hexdigest(),
        fitted_sha256=final.fitted_sha256 if final else challenger.fitted_sha256,
        train_seconds=round(challenger.cost.seconds, 3) if challenger.cost else None,
        peak_memory_bytes=challenger.cost.peak_bytes if challenger.cost else None,
        strategy=challenger.parameters.get("strategy"),
        metric=result.metric,
        score=compared.challenger if compared else None,
        compared_with=champion.record.version if champion else None,
        best_champion=_best_before(run, champion, result),
        outcome=result.outcome,
        reason=result.reason.value,
        message=result.message,
    )


def _best_before(run: Run, champion: ChampionScores | None, result: GateResult) -> str | None:
    """Return the best champion so far if it is not the new version; a damaged record must not stop a training."""
    better = None if result.best is None else result.best.low > 0
    try:
        return best_before(
            champion.record if champion else None, run.registry.find_version, result.reason, better_than_best=better
        )
    except BadData:
        return None


def _period(manifest: Manifest, window: Window, rows: int) -> Period:
    """Return a window with its labelled rows, and the days of it that had any rows."""
    days = [pinned.day for pinned in days_within(manifest.features, window) if pinned.rows]
    first, last = (min(days), max(days)) if days else (None, None)
    return Period(start=window[0], end=window[1], rows=rows, first_day=first, last_day=last, days=len(days))


def _classes(run: Run, challenger: Challenger, final: FinalModel | None) -> list[str]:
    if run.spec.model.task is Task.REGRESSION:
        return []
    return list(final.classes if final is not None else challenger.holdout.classes)


def _change_point(run: Run, window: Window) -> dt.date | None:
    """Return the first day after the change that the training responds to, if it is within the training window."""
    onset = run.request.drift_onset
    return onset if onset is not None and window[0] <= onset <= window[1] else None


def version_documents(
    run: Run, manifest: Manifest, record: VersionRecord, challenger: Challenger, evidence: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return the documents of a version: file name → contents.

    Parameters
    ----------
    run, manifest, record, challenger
        Run, data manifest, record and model of the training.
    evidence
        Evidence of the comparison.
    """
    comparison = dict(evidence) | {
        "refitComparison": asdict(challenger.refit_comparison) if challenger.refit_comparison else None
    }
    environment = {
        "libraries": library_versions(),
        "installedSHA256": installed_digest(),
        "image": run.request.trainer_image,
        "seed": run.spec.retraining.random_seed,
    }
    documents = encode_documents(
        {
            PARAMETERS_FILE: challenger.parameters,
            ENVIRONMENT_FILE: environment,
            METRICS_FILE: {key: comparison[key] for key in _METRICS},
            COMPARISON_FILE: comparison,
        }
    )
    documents[MANIFEST_FILE] = manifest.to_json()
    documents[CARD_FILE] = model_card(record, comparison, environment, challenger.parameters).encode()
    documents[CARD_PAGE_FILE] = model_card_page(record, comparison, environment, challenger.parameters).encode()
    return documents
