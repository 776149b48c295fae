"""From scores to a verdict: the gate, the version, the promotion, the page.

The same for models of the built-in trainer and of a trainer of the user's own. Every step first looks whether an
earlier pod has done it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from modelmonitor_api.messages import RunVerdict
from modelmonitor_api.spec import PromotionMode, Task
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.errors import BadData, ModelMonitorError
from modelmonitor_trainer.gate.evaluation import GateResult, Outcome, evaluate
from modelmonitor_trainer.gate.warm_start_guard import RefitComparison, guarded_confidence
from modelmonitor_trainer.model.pipeline import installed_digest, library_versions
from modelmonitor_trainer.registry.layout import (
    CARD_FILE,
    CARD_PAGE_FILE,
    COMPARISON_FILE,
    ENVIRONMENT_FILE,
    MANIFEST_FILE,
    METRICS_FILE,
    PARAMETERS_FILE,
)
from modelmonitor_trainer.registry.mlflow_tracking import record_training, tracked_name, with_note
from modelmonitor_trainer.registry.records import Period, Pointer, StoredFile, VersionRecord
from modelmonitor_trainer.registry.registry import ChampionChanged
from modelmonitor_trainer.registry.retention import apply_retention
from modelmonitor_trainer.registry.writer import encode_documents
from modelmonitor_trainer.report.card import model_card, model_card_page
from modelmonitor_trainer.report.comparison_evidence import collect_evidence, metric_comparison
from modelmonitor_trainer.report.comparison_page import render_comparison, render_inconclusive
from modelmonitor_trainer.storage.base import HTML
from modelmonitor_trainer.train.cost import Cost
from modelmonitor_trainer.train.holdout_scores import ChampionScores, HoldoutScores, gate_input
from modelmonitor_trainer.train.reference import references
from modelmonitor_trainer.train.rows import Rows
from modelmonitor_trainer.train.run import InconclusiveTraining, Run, finish, version_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Challenger:
    """A model that was trained, and what it said of the hold-out rows.

    Attributes
    ----------
    answers
        What it says of the hold-out rows.
    kind
        Who made it.
    files
        What was written of it already.
    parameters
        What it was made with, as JSON data.
    cost
        What the training took; None where it is not known.
    fitted_sha256
        Digest of what was fitted; None where it is not known how to read it.
    beside
        Comparison of a warm start with a full refit on the same rows, of which one is the challenger.
    """

    answers: HoldoutScores
    kind: Literal["Skops", "Own"]
    files: tuple[StoredFile, ...]
    parameters: Mapping[str, Any]
    cost: Cost | None = None
    fitted_sha256: str | None = None
    beside: RefitComparison | None = None


def evaluate_and_store(
    run: Run, manifest: Manifest, rows: Rows, challenger: Challenger, rival: ChampionScores | None, now: dt.datetime
) -> VersionRecord:
    """Judge a challenger and write its version; return the record that stands.

    Parameters
    ----------
    run, manifest, rows
        The training.
    challenger, rival
        Both models' scores; no rival where there is no champion.
    now
        The present.
    """
    spec = run.spec
    contest = gate_input(spec, rows, challenger.answers, rival)
    promotion = spec.promotion
    if challenger.beside is not None:
        # The hold-out was asked twice, so each answer needs to be surer.
        confidence = f"{guarded_confidence(promotion):.10g}"
        promotion = promotion.model_copy(update={"confidence": confidence})
    result = evaluate(contest, promotion, seed=spec.retraining.random_seed)
    _LOG.info("%s (%s): %s", result.outcome, result.reason, result.message)
    datasets = {"train": rows.train, "holdout": rows.holdout}
    judged = spec.model_copy(update={"promotion": promotion})
    found = collect_evidence(
        judged, manifest, datasets, contest, result, rival.record.version if rival else None, rows.classes
    )
    found["beside"] = asdict(challenger.beside) if challenger.beside else None
    record = _record(run, manifest, rows, challenger, rival, result, now)
    environment = {
        "libraries": library_versions(),
        "installedSHA256": installed_digest(),
        "image": run.request.trainer_image,
        "seed": spec.retraining.random_seed,
    }
    documents = encode_documents(
        {
            PARAMETERS_FILE: challenger.parameters,
            ENVIRONMENT_FILE: environment,
            METRICS_FILE: {
                key: found[key]
                for key in ("metric", "rows", "champion", "baseline", "lastPeriod", "slices", "metrics", "calibration")
            },
            COMPARISON_FILE: found,
        }
    )
    documents[MANIFEST_FILE] = manifest.to_json()
    documents[CARD_FILE] = model_card(record, found, environment, challenger.parameters).encode()
    documents[CARD_PAGE_FILE] = model_card_page(record, found, environment, challenger.parameters).encode()
    if result.outcome is not Outcome.REJECTED:
        documents |= references(run, manifest)
    stored = [run.registry.write_file(record.version, name, data)[0] for name, data in documents.items()]
    return run.registry.write_record(record.model_copy(update={"files": [*challenger.files, *stored]}))


def promote_and_report(run: Run, record: VersionRecord, now: dt.datetime) -> RunVerdict:
    """Promote a version that has passed, write the page, and end the run with the verdict."""
    found = json.loads(run.registry.read_file(record, COMPARISON_FILE))
    outcome, reason, message, pointer = _promoted(run, record, now)
    parameters = json.loads(run.registry.read_file(record, PARAMETERS_FILE))
    # Before the run ends, so that a pod that is killed here is followed by one that does it.
    serves = pointer is not None and pointer.version == record.version
    message = with_note(message, _track(run, record, found, parameters, serves=serves))
    page = render_comparison(run.request, record, found, parameters, outcome, reason, message, _earlier(run, record))
    run.store.write(run.report_uri, page.encode(), content_type=HTML)
    verdict = finish(
        run,
        RunVerdict(
            outcome=outcome,
            reason=reason,
            message=message,
            version=record.version,
            champion=pointer.to_champion() if pointer else None,
            comparison=metric_comparison(found),
            train_rows=record.train.rows,
            holdout_rows=record.holdout.rows,
            report_uri=run.report_uri,
        ),
    )
    _tidy(run, now)
    return verdict


def _track(
    run: Run, record: VersionRecord, found: Mapping[str, Any], parameters: Mapping[str, Any], *, serves: bool
) -> str | None:
    """Tell an MLflow server, where there is one; return what went wrong."""
    scores = {
        f"{model}.{row['metric']}": row[model] for row in found["metrics"] for model in ("challenger", "champion")
    }
    figures = {name: value for name, value in (found["champion"] or {}).items() if name in {"value", "low", "high"}}
    metrics = {
        **{name.replace("²", "2"): value for name, value in scores.items()},
        **{f"difference.{name}": value for name, value in figures.items()},
        "train_rows": float(record.train.rows),
        "holdout_rows": float(record.holdout.rows),
        "train_seconds": record.train_seconds,
        "peak_memory_bytes": record.peak_memory_bytes,
    }
    made_with = {
        "strategy": record.strategy,
        "seed": record.seed,
        "train": f"{record.train.start} to {record.train.end}",
        "holdout": f"{record.holdout.start} to {record.holdout.end}",
        "estimator": parameters.get("estimator", {}).get("name", record.image),
        **parameters.get("effectiveParameters", {}),
    }
    return record_training(
        run.registry.layout, tracked_name(run.request.monitor), record, metrics, made_with, serves=serves
    )


def _earlier(run: Run, record: VersionRecord | None = None) -> list[VersionRecord]:
    """Return the versions before one, or all of them, the newest first, for comparison."""
    try:
        made = run.registry.versions()
    except BadData as error:
        # Of an old version that is damaged its own reader is told; this training is none the worse.
        _LOG.warning("earlier trainings are not shown: %s", error)
        return []
    if record is None:
        return made
    return [other for other in made if (other.created, other.number) < (record.created, record.number)]


def _tidy(run: Run, now: dt.datetime) -> None:
    """Delete what is past the retention; the training has ended, whether or not that works."""
    try:
        apply_retention(run.registry, run.request.monitor.uid, run.spec.retraining.retention, now=now)
    except ModelMonitorError as error:
        _LOG.warning("old versions and reports were not all deleted, the next training goes on: %s", error)


def undecided(run: Run, why: InconclusiveTraining, now: dt.datetime) -> RunVerdict:
    """End a run in which nothing could be compared."""
    _LOG.info("Inconclusive (%s): %s", why.reason, why)
    pointer = run.registry.champion()
    page = render_inconclusive(run.request, why.reason.value, _sentence(str(why)), now, _earlier(run))
    run.store.write(run.report_uri, page.encode(), content_type=HTML)
    return finish(
        run,
        RunVerdict(
            outcome="Inconclusive",
            reason=why.reason.value,
            message=_sentence(str(why))[:1024],
            champion=pointer.to_champion() if pointer else None,
            report_uri=run.report_uri,
        ),
    )


def _promoted(
    run: Run, record: VersionRecord, now: dt.datetime
) -> tuple[Literal["Promoted", "Rejected", "Inconclusive", "AwaitingApproval"], str, str, Pointer | None]:
    """Return outcome, reason and message of a version, and the champion after it."""
    message = _sentence(record.message)
    if record.outcome != "Passed":
        return record.outcome, record.reason, message, run.registry.champion()
    if run.spec.promotion.mode is PromotionMode.MANUAL:
        message += f" It waits for the annotation modelmonitor.io/promote: {record.version}."
        return "AwaitingApproval", record.reason, message, run.registry.champion()
    try:
        pointer = run.registry.promote(record, instead_of=record.compared_with, by=run.job, now=now)
    except ChampionChanged as changed:
        return "Inconclusive", "ChampionChanged", _sentence(str(changed)), changed.pointer
    if pointer.version != record.version:
        message += f" Since then {pointer.version} has taken its place."
    return "Promoted", record.reason, message, pointer


def _record(
    run: Run,
    manifest: Manifest,
    rows: Rows,
    challenger: Challenger,
    rival: ChampionScores | None,
    result: GateResult,
    now: dt.datetime,
) -> VersionRecord:
    spec, request = run.spec, run.request
    compared = result.champion or result.baseline
    scores = np.ascontiguousarray(challenger.answers.scores, dtype="<f8")
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
        classes=list(challenger.answers.classes) if spec.model.task is not Task.REGRESSION else [],
        train=Period(start=manifest.train[0], end=manifest.train[1], rows=rows.train.report.matched),
        holdout=Period(start=manifest.holdout[0], end=manifest.holdout[1], rows=rows.holdout.rows),
        manifest_sha256=manifest.sha256,
        predictions_sha256=hashlib.sha256(scores.tobytes()).hexdigest(),
        fitted_sha256=challenger.fitted_sha256,
        train_seconds=round(challenger.cost.seconds, 3) if challenger.cost else None,
        peak_memory_bytes=challenger.cost.peak_bytes if challenger.cost else None,
        strategy=challenger.parameters.get("strategy"),
        metric=result.metric,
        score=compared.challenger if compared else None,
        compared_with=rival.record.version if rival else None,
        outcome=result.outcome.value,
        reason=result.reason.value,
        message=result.message,
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
