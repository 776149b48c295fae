"""End of a training: evaluate the challenger, store its version, promote it, and report.

Shared by the built-in and custom trainers. A restarted pod skips what an earlier pod has done: files of a version
and of a run are written once.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import replace

from modelmonitor_api.messages import RunVerdict
from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import Promotion
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.errors import ModelMonitorError
from modelmonitor_trainer.gate.evaluation import evaluate
from modelmonitor_trainer.gate.reuse import count_earlier
from modelmonitor_trainer.gate.warm_start_guard import guarded_confidence
from modelmonitor_trainer.registry.layout import COMPARISON_FILE, EVALUATED_FILE, MODEL_FILE, PARAMETERS_FILE
from modelmonitor_trainer.registry.mlflow_tracking import with_note
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.registry.retention import apply_retention
from modelmonitor_trainer.report.comparison_evidence import collect_evidence, metric_comparison
from modelmonitor_trainer.report.comparison_page import render_comparison, render_inconclusive
from modelmonitor_trainer.storage.base import HTML
from modelmonitor_trainer.text import as_sentence
from modelmonitor_trainer.train.challenger import Challenger
from modelmonitor_trainer.train.final_fit import Recipe
from modelmonitor_trainer.train.holdout_scores import ChampionScores, gate_input
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining
from modelmonitor_trainer.train.left_out import left_out_in_words
from modelmonitor_trainer.train.promotion import promote
from modelmonitor_trainer.train.reference import reference_profiles
from modelmonitor_trainer.train.rows import Rows
from modelmonitor_trainer.train.run import Run, write_verdict
from modelmonitor_trainer.train.tracking import track
from modelmonitor_trainer.train.version_documents import version_documents, version_record

_LOG = logging.getLogger(__name__)
_MAX_MESSAGE = 1024


def evaluate_and_store(
    run: Run,
    manifest: Manifest,
    rows: Rows,
    challenger: Challenger,
    champion: ChampionScores | None,
    now: dt.datetime,
    best: ChampionScores | None = None,
    recipe: Recipe | None = None,
) -> VersionRecord:
    """Evaluate a challenger and write its version.

    Parameters
    ----------
    run, manifest, rows
        Run, data manifest and rows of the training.
    challenger, champion
        Both models with their scores on the hold-out; None if there is no champion.
    now
        Current time.
    best
        The last champion that was better than its predecessor, with its scores; None if that is the champion.
    recipe
        Fits the model that serves, if the challenger passes; None if the challenger serves itself.

    Returns
    -------
    VersionRecord
        The stored record: that of an earlier pod if there is one.
    """
    spec = run.spec
    scores = gate_input(spec, rows, challenger.holdout, champion, best, _earlier_comparisons(run, manifest))
    promotion = _promotion_settings(spec.promotion, challenger)
    result = evaluate(scores, promotion, seed=spec.retraining.random_seed)
    notes = [*(champion.notes if champion else ()), left_out_in_words(spec, manifest, rows.read), rows.note]
    left_out = " ".join(filter(None, notes))
    if left_out:
        result = replace(result, message=f"{result.message.rstrip('.')}. {left_out}")
    _LOG.info("%s (%s): %s", result.outcome, result.reason, result.message)
    evidence = collect_evidence(
        spec.model_copy(update={"promotion": promotion}),
        manifest,
        {"train": rows.train, "holdout": rows.holdout},
        scores,
        result,
        champion.record.version if champion else None,
        rows.classes,
    )
    final = recipe.fit_final(challenger.holdout) if recipe and result.outcome is not GateOutcome.REJECTED else None
    record = version_record(run, manifest, rows, challenger, champion, result, now, final)
    documents = version_documents(run, manifest, record, challenger, evidence)
    if result.outcome is not GateOutcome.REJECTED:
        documents |= reference_profiles(run, manifest, record.reference)
    if recipe is not None and final is None:
        # The model that was compared serves, too.
        compared = run.store.read(run.registry.layout.version(record.version).file(EVALUATED_FILE))
        documents |= {MODEL_FILE: compared}
    files = [run.registry.write_file(record.version, name, content)[0] for name, content in documents.items()]
    files += [final.file] if final is not None else []
    return run.registry.write_record(record.model_copy(update={"files": [*challenger.files, *files]}))


def promote_and_report(run: Run, record: VersionRecord, now: dt.datetime) -> RunVerdict:
    """Promote a version that passed the gate, write the report page, and end the run with its verdict."""
    evidence = json.loads(run.registry.read_file(record, COMPARISON_FILE))
    parameters = json.loads(run.registry.read_file(record, PARAMETERS_FILE))
    decision = promote(run, record, now)
    # Tracked and reported before the run ends, so that a restarted pod repeats these steps.
    problem = track(run, record, evidence, parameters, serves=decision.serves(record))
    message = with_note(with_note(decision.message, _note_on_change(run, record)), problem)
    page = render_comparison(
        run.request,
        record,
        evidence,
        parameters,
        decision.outcome,
        decision.reason,
        message,
        _earlier_versions(run, record),
    )
    run.store.write(run.report_uri, page.encode(), content_type=HTML)
    verdict = RunVerdict(
        outcome=decision.outcome,
        reason=decision.reason,
        message=message,
        version=record.version,
        champion=decision.champion.to_champion() if decision.champion else None,
        comparison=metric_comparison(evidence),
        train_rows=record.train.rows,
        train_end=record.train.end,
        holdout_rows=record.holdout.rows,
        peak_memory_bytes=record.peak_memory_bytes,
        report_uri=run.report_uri,
    )
    verdict = write_verdict(run, verdict)
    _delete_expired(run, now)
    return verdict


def _note_on_change(run: Run, record: VersionRecord) -> str | None:
    """Return what a training has seen of the change that it responds to; None if there was none."""
    onset = run.request.drift_onset
    if onset is not None and onset > record.train.end:
        return (
            f"The data changed on {onset}, after the end of the training window ({record.train.end}): this version "
            "has not seen the change."
        )
    passed = record.outcome is GateOutcome.PASSED
    sentences = (record.describe_final_fit() if passed else None, record.describe_change())
    return " ".join(filter(None, sentences)) or None


def finish_inconclusive(run: Run, inconclusive: InconclusiveTraining, now: dt.datetime) -> RunVerdict:
    """Write the report page and the verdict of a run without a version."""
    reason, message = inconclusive.reason.value, as_sentence(str(inconclusive))
    if inconclusive.rows is not None:
        manifest = Manifest.from_json(run.store.read(run.layout.manifest), run.layout.manifest)
        message = f"{message} {left_out_in_words(run.spec, manifest, inconclusive.rows)}".strip()
    _LOG.info("%s (%s): %s", inconclusive.outcome, reason, message)
    pointer = run.registry.champion()
    page = render_inconclusive(run.request, inconclusive.outcome, reason, message, now, _earlier_versions(run))
    run.store.write(run.report_uri, page.encode(), content_type=HTML)
    verdict = RunVerdict(
        outcome=inconclusive.outcome,
        reason=reason,
        message=message[:_MAX_MESSAGE],
        champion=pointer.to_champion() if pointer else None,
        report_uri=run.report_uri,
    )
    return write_verdict(run, verdict)


def _earlier_comparisons(run: Run, manifest: Manifest) -> float:
    """Return the number of earlier comparisons on the days of the hold-out."""
    compared = (record for record in _earlier_versions(run) if record.compared_with is not None)
    windows = [
        (record.holdout.start, record.holdout.end)
        for record in compared
        if record.reason not in {GateReason.TOO_FEW_ROWS, GateReason.METRIC_UNDEFINED}
    ]
    return count_earlier(manifest.holdout, windows)


def _promotion_settings(promotion: Promotion, challenger: Challenger) -> Promotion:
    """Return ``spec.promotion`` with a higher confidence if the hold-out was also used to choose the challenger."""
    if challenger.refit_comparison is None:
        return promotion
    return promotion.model_copy(update={"confidence": f"{guarded_confidence(promotion):.10g}"})


def _earlier_versions(run: Run, record: VersionRecord | None = None) -> list[VersionRecord]:
    """Return the versions before `record`, or all versions, the newest first."""
    versions = run.registry.versions()
    if record is None:
        return versions
    return [other for other in versions if (other.created, other.number) < (record.created, record.number)]


def _delete_expired(run: Run, now: dt.datetime) -> None:
    """Apply the retention; a failure does not affect the training, which has ended."""
    try:
        apply_retention(run.registry, run.request.monitor.uid, run.spec.retraining.retention, now=now)
    except ModelMonitorError as error:
        _LOG.warning("some old versions and reports were not deleted, the next training tries again: %s", error)
