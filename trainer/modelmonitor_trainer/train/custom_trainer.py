"""Trainings by a custom trainer: prepare its data and requests, then evaluate the model that it left.

``prepare`` and ``conclude`` run before and after the containers of the custom trainer. They share a folder with these
containers, which have no credentials of the object store. The layout of the folder is version 1 of the trainer
protocol, described in ``docs/reference/trainer-protocol.md``. Labels of the hold-out are never in the folder.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

from modelmonitor_api.messages import RunVerdict, TrainRequest
from modelmonitor_api.outcomes import ModelKind
from modelmonitor_api.reasons import GateReason
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.registry.layout import MODEL_FOLDER
from modelmonitor_trainer.registry.model_files import load_model
from modelmonitor_trainer.registry.records import Pointer, StoredFile, VersionRecord, digest_of_files
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.train.challenger import Challenger
from modelmonitor_trainer.train.custom_trainer_files import model_files, read_predictions, trainer_cost
from modelmonitor_trainer.train.custom_trainer_requests import (
    CHALLENGER,
    PREDICT_CHALLENGER,
    PREDICT_CHAMPION,
    PROTOCOL,
    RESOURCES,
    TRAIN,
    champion_classes,
    champion_columns,
    request_file,
    skip_all,
    write_requests,
)
from modelmonitor_trainer.train.finalize import evaluate_and_store, finish_inconclusive, promote_and_report
from modelmonitor_trainer.train.holdout_scores import ChampionScores, HoldoutScores
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining
from modelmonitor_trainer.train.novelty import refuse_known_data, refuse_known_model
from modelmonitor_trainer.train.rows import Rows, load_rows, refuse_other_classes, refuse_other_task, refuse_seen_rows
from modelmonitor_trainer.train.run import (
    Run,
    find_verdict,
    freeze_manifest,
    open_run,
    pin_champion,
    pinned_champion,
    version_of,
)


def prepare(store: Store, request: TrainRequest, work: str | Path, *, job: str, now: dt.datetime) -> None:
    """Freeze the data of a training, and write them with the requests of a custom trainer into a folder.

    If there is nothing to train, the requests tell the trainer to skip its steps, and :func:`conclude` returns the
    verdict.

    Parameters
    ----------
    store, request, job, now
        As for :func:`~modelmonitor_trainer.train.train.train`.
    work
        Folder that all containers share.

    Raises
    ------
    BadConfiguration
        If the spec declares no custom trainer.
    ModelMonitorError
        If the data or the object store cannot be used.
    """
    if request.spec.retraining.trainer.image is None:
        raise BadConfiguration(
            "spec.retraining.trainer.image is not set, so there is no custom trainer; use modelmonitor train for the "
            "built-in trainer"
        )
    folder = Path(work).absolute()
    run = open_run(store, request, job)
    if find_verdict(run) is not None:
        skip_all(folder, "the training is finished")
        return
    champion = run.registry.champion()
    try:
        manifest = freeze_manifest(run, champion, now)
        if run.registry.find_version(version_of(run, manifest)) is not None:
            skip_all(folder, "the version is stored")
            return
        refuse_seen_rows(manifest, champion)
        refuse_known_data(run, manifest, champion)
        record = _champion_record(run, pin_champion(run, champion))
        rows = load_rows(store, run.spec, manifest, champion_columns(record))
        refuse_other_classes(record, rows)
    except InconclusiveTraining as inconclusive:
        finish_inconclusive(run, inconclusive, now)
        skip_all(folder, str(inconclusive))
        return
    write_requests(run, folder, rows, record)


def conclude(store: Store, request: TrainRequest, work: str | Path, *, job: str, now: dt.datetime) -> RunVerdict:
    """Evaluate the model of a custom trainer, store it, and promote it if it passes the gate.

    Parameters
    ----------
    store, request, work, job, now
        As for :func:`prepare`, which must have run before.

    Returns
    -------
    RunVerdict
        As for :func:`~modelmonitor_trainer.train.train.train`.

    Raises
    ------
    BadData
        If its model or predictions are missing or violate the protocol.
    ModelMonitorError
        If the data or the object store cannot be used.
    """
    folder = Path(work).absolute()
    run = open_run(store, request, job)
    earlier = find_verdict(run)
    if earlier is not None:
        return earlier
    pointer = run.registry.champion()
    manifest = freeze_manifest(run, pointer, now)
    record = run.registry.find_version(version_of(run, manifest))
    if record is None:
        try:
            champion = _champion_record(run, pinned_champion(run))
            built_in = (
                load_model(run.registry, champion.version) if champion and champion.kind == ModelKind.SKOPS else None
            )
            rows = load_rows(store, run.spec, manifest, built_in.columns if built_in else ())
        except InconclusiveTraining as inconclusive:
            return finish_inconclusive(run, inconclusive, now)
        champion_scores = None
        if built_in is not None:
            scores = HoldoutScores(built_in.predict_scores(rows.holdout.table), built_in.classes)
            champion_scores = ChampionScores(built_in.version, scores)
        elif champion is not None:
            scores = _read_scores(run, folder / PREDICT_CHAMPION, rows, champion_classes(champion, rows))
            champion_scores = ChampionScores(champion, scores)
        try:
            challenger = _read_challenger(run, manifest, folder, rows, pointer)
        except InconclusiveTraining as known:
            return finish_inconclusive(run, known, now)
        record = evaluate_and_store(run, manifest, rows, challenger, champion_scores, now)
    return promote_and_report(run, record, now)


def _champion_record(run: Run, version: str | None) -> VersionRecord | None:
    """Return the record of the champion; None without a champion.

    Raises
    ------
    InconclusiveTraining
        If it was trained for another task or target, or by another image, which may use another model format. Tags of
        one image count as releases that can read each other's models.
    """
    if version is None:
        return None
    record = run.registry.version(version)
    refuse_other_task(run, record)
    image = run.spec.retraining.trainer.image or ""
    if record.kind == ModelKind.CUSTOM and record.image and _repository(record.image) != _repository(image):
        raise InconclusiveTraining(
            GateReason.INCOMPARABLE,
            f"the champion {version} was made by the trainer image {record.image}, whose model files {image} cannot "
            "load; create a separate monitor for the new trainer, or start over with it: "
            "modelmonitor retire",
        )
    return record


def _repository(image: str) -> str:
    """Return an image reference without tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def _read_challenger(run: Run, manifest: Manifest, folder: Path, rows: Rows, pointer: Pointer | None) -> Challenger:
    """Read the predictions of the trained model, and store its files.

    Raises
    ------
    InconclusiveTraining
        If the model is known already.
    """
    spec = run.spec
    holdout = _read_scores(run, folder / PREDICT_CHALLENGER, rows, rows.known_classes)
    refuse_known_model(run, _model_digest(folder), pointer)
    version = version_of(run, manifest)
    files: list[StoredFile] = []
    for name, path in model_files(folder / CHALLENGER):
        files.append(run.registry.write_file(version, MODEL_FOLDER + name, path.read_bytes())[0])
    trainer = spec.retraining.trainer
    parameters = {
        "strategy": spec.retraining.strategy.value,
        "trainer": {"image": trainer.image, "env": [item.to_wire() for item in trainer.env]},
        "features": [feature.to_wire() for feature in spec.model.features],
        "classes": list(rows.known_classes),
        "seed": spec.retraining.random_seed,
        "protocol": PROTOCOL,
    }
    cost = trainer_cost(request_file(folder, TRAIN), folder / RESOURCES, folder / CHALLENGER)
    return Challenger(holdout, ModelKind.CUSTOM, tuple(files), parameters, cost=cost)


def _model_digest(folder: Path) -> str | None:
    """Return the digest of the trained model, before its files are stored."""
    contents = ((name, path.read_bytes()) for name, path in model_files(folder / CHALLENGER))
    return digest_of_files(
        StoredFile(name=MODEL_FOLDER + name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        for name, data in contents
    )


def _read_scores(run: Run, step: Path, rows: Rows, classes: tuple[str, ...]) -> HoldoutScores:
    return HoldoutScores(read_predictions(step, rows.holdout.rows, classes, run.spec.model.task), classes)
