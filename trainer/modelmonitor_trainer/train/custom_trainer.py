"""Trainers of the user's own: what is laid out for them, and what is taken from them.

``prepare`` and ``conclude`` frame the user's containers, which share a folder with them and are given no
credentials of the store. The layout of the folder is version 1 of the trainer protocol, in
``docs/trainer-protocol.md``. Outcomes of the hold-out rows never enter the folder.
"""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelmonitor_api.messages import RunVerdict, TrainRequest
from modelmonitor_api.spec import Task
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.gate.evaluation import GateReason
from modelmonitor_trainer.registry.layout import MODEL_FOLDER
from modelmonitor_trainer.registry.model_files import load_model
from modelmonitor_trainer.registry.records import StoredFile, VersionRecord
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.train import finalize as train_conclude
from modelmonitor_trainer.train.custom_trainer_files import (
    empty_folder,
    model_files,
    own_cost,
    read_predictions,
    write_json,
)
from modelmonitor_trainer.train.finalize import Challenger, promote_and_report, undecided
from modelmonitor_trainer.train.holdout_scores import ChampionScores, HoldoutScores
from modelmonitor_trainer.train.rows import Rows, load_rows, refuse_other_task, refuse_seen_rows
from modelmonitor_trainer.train.run import (
    InconclusiveTraining,
    Run,
    champion_compared_with,
    finished,
    frozen_champion,
    frozen_manifest,
    open_run,
    version_of,
)

_LOG = logging.getLogger(__name__)

PROTOCOL = 1
_RESOURCES = "train/resources.json"
_STEPS = ("train", "predict-challenger", "predict-champion")


def prepare(store: Store, request: TrainRequest, work: str | Path, *, job: str, now: dt.datetime) -> None:
    """Freeze the data of a training and lay them out for a trainer of the user's own.

    Where there is nothing to train, the requests in the folder say that its steps are to be skipped, and
    :func:`conclude` gives the verdict.

    Parameters
    ----------
    store, request, job, now
        As for :func:`~modelmonitor_trainer.train.train.train`.
    work
        The folder that all containers share.

    Raises
    ------
    BadConfiguration
        If the spec names no trainer image.
    ModelMonitorError
        If the data or the store cannot be used.
    """
    if request.spec.retraining.trainer.image is None:
        raise BadConfiguration(
            "spec.retraining.trainer.image is not set; modelmonitor train is the command of the built-in trainer"
        )
    folder = Path(work).absolute()
    run = open_run(store, request, job)
    if finished(run) is not None:
        _skip_all(folder, "the training is finished")
        return
    champion = run.registry.champion()
    try:
        manifest = frozen_manifest(run, champion, now)
        if run.registry.find_version(version_of(run, manifest)) is not None:
            _skip_all(folder, "the version is stored")
            return
        refuse_seen_rows(manifest, champion)
        old = _champion(run, frozen_champion(run, champion))
        rows = load_rows(store, run.spec, manifest, _columns_of(old))
    except InconclusiveTraining as why:
        undecided(run, why, now)
        _skip_all(folder, str(why))
        return
    _lay_out(run, folder, rows, old)


def conclude(store: Store, request: TrainRequest, work: str | Path, *, job: str, now: dt.datetime) -> RunVerdict:
    """Judge what a trainer of the user's own has made, store it, and promote it if it passes.

    Parameters
    ----------
    store, request, work, job, now
        As for :func:`prepare`, which came before.

    Raises
    ------
    BadData
        If its model or its predictions are not there or not as the protocol says.
    ModelMonitorError
        If the data or the store cannot be used.
    """
    folder = Path(work).absolute()
    run = open_run(store, request, job)
    earlier = finished(run)
    if earlier is not None:
        return earlier
    manifest = frozen_manifest(run, run.registry.champion(), now)
    record = run.registry.find_version(version_of(run, manifest))
    if record is None:
        try:
            old = _champion(run, champion_compared_with(run))
            built_in = load_model(run.registry, old.version) if old and old.kind == "Skops" else None
            rows = load_rows(store, run.spec, manifest, built_in.columns if built_in else ())
        except InconclusiveTraining as why:
            return undecided(run, why, now)
        rival = None
        if built_in is not None:
            answers = HoldoutScores(built_in.predict_scores(rows.holdout.table), built_in.classes)
            rival = ChampionScores(built_in.version, answers)
        elif old is not None:
            theirs = _classes_of(old, rows)
            scores = read_predictions(folder / "predict-champion", rows.holdout.rows, theirs, request.spec.model.task)
            rival = ChampionScores(old, HoldoutScores(scores, theirs))
        challenger = _challenger(run, manifest, folder, rows)
        record = train_conclude.evaluate_and_store(run, manifest, rows, challenger, rival, now)
    return promote_and_report(run, record, now)


def _lay_out(run: Run, folder: Path, rows: Rows, champion: VersionRecord | None) -> None:
    """Write data and requests into the shared folder."""
    spec = run.spec
    for name in ("train", "holdout", "challenger", "champion/model", "predict-challenger", "predict-champion"):
        empty_folder(folder / name)
    columns = list(dict.fromkeys([*(feature.name for feature in spec.model.features), *spec.model.slices]))
    features = rows.train.table.select(columns)
    pq.write_table(
        features.append_column(spec.model.target, _target(rows, spec.model.task)), folder / "train/data.parquet"
    )
    asked = list(dict.fromkeys([*columns, *_columns_of(champion)]))
    pq.write_table(rows.holdout.table.select(asked), folder / "holdout/features.parquet")
    skip, has_model = _stage_champion(run, folder, champion)
    about = {
        "protocol": PROTOCOL,
        "task": spec.model.task.value,
        "target": spec.model.target,
        "features": [feature.to_wire() for feature in spec.model.features],
        "classes": list(rows.known_classes),
        "seed": spec.retraining.random_seed,
    }
    write_json(
        folder / "train/request.json",
        about
        | {
            "kind": "Train",
            "skip": None,
            "data": str(folder / "train/data.parquet"),
            "model": str(folder / "challenger"),
            "resources": str(folder / _RESOURCES),
            "champion": str(folder / "champion/model") if has_model else None,
            "strategy": spec.retraining.strategy.value,
        },
    )
    # The model in production takes what it was trained with, whatever the spec says now.
    of_champion = about | (
        {"features": [item.to_wire() for item in champion.features], "classes": list(_classes_of(champion, rows))}
        if champion
        else {}
    )
    for step, told, model, why in (
        ("predict-challenger", about, "challenger", None),
        ("predict-champion", of_champion, "champion/model", skip),
    ):
        write_json(
            folder / step / "request.json",
            told
            | {
                "kind": "Predict",
                "skip": why,
                "data": str(folder / "holdout/features.parquet"),
                "model": str(folder / model),
                "predictions": str(folder / step / "predictions.parquet"),
            },
        )
    _LOG.info("%s rows to train on and %s to compare on are in %s", rows.train.rows, rows.holdout.rows, folder)


def _champion(run: Run, version: str | None) -> VersionRecord | None:
    """Return the champion's record; None where there is none.

    Raises
    ------
    InconclusiveTraining
        If it predicts something else than the spec asks for now, or another image made it, which may keep its models
        in another form. Tags of one image are taken for releases of it, which know what earlier ones wrote.
    """
    if version is None:
        return None
    record = run.registry.version(version)
    refuse_other_task(run, record)
    image = run.spec.retraining.trainer.image or ""
    if record.kind == "Own" and record.image and _repository(record.image) != _repository(image):
        raise InconclusiveTraining(
            GateReason.INCOMPARABLE,
            f"the champion {version} was made by the trainer image {record.image}, whose files {image} "
            "cannot be asked to read; give the new trainer a monitor of its own, or remove champion.json from the "
            "results to begin anew with it",
        )
    return record


def _repository(image: str) -> str:
    """Return an image's name without its tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def _columns_of(champion: VersionRecord | None) -> list[str]:
    """Return the columns that the champion takes where the user's image is to ask it."""
    return [feature.name for feature in champion.features] if champion and champion.kind == "Own" else []


def _classes_of(champion: VersionRecord, rows: Rows) -> tuple[str, ...]:
    return tuple(champion.classes) or rows.known_classes


def _stage_champion(run: Run, folder: Path, record: VersionRecord | None) -> tuple[str | None, bool]:
    """Copy the champion's files; return why it need not predict, and whether its files are there."""
    if record is None:
        return "there is no champion", False
    if record.kind == "Skops":
        return "the champion is a model of the built-in trainer", False
    for stored in record.files:
        if stored.name.startswith(MODEL_FOLDER):
            path = folder / "champion/model" / stored.name.removeprefix(MODEL_FOLDER)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(run.registry.read_file(record, stored.name))
    return None, True


def _skip_all(folder: Path, why: str) -> None:
    for step in _STEPS:
        empty_folder(folder / step)
        kind = "Train" if step == "train" else "Predict"
        write_json(folder / step / "request.json", {"protocol": PROTOCOL, "kind": kind, "skip": why})


def _target(rows: Rows, task: Task) -> pa.Array:
    """Return the outcomes of the training rows: 0 and 1, names of classes, or values."""
    if task is Task.MULTICLASS_CLASSIFICATION:
        return pa.array([rows.classes[place] for place in rows.train_truth], pa.string())
    if task is Task.BINARY_CLASSIFICATION:
        return pa.array(rows.train_truth, pa.int8())
    return pa.array(np.asarray(rows.train_truth), pa.float64())


def _challenger(run: Run, manifest: Manifest, folder: Path, rows: Rows) -> Challenger:
    """Read the predictions and store the files of what was trained."""
    task = run.spec.model.task
    classes = rows.known_classes
    scores = read_predictions(folder / "predict-challenger", rows.holdout.rows, classes, task)
    version = version_of(run, manifest)
    files: list[StoredFile] = []
    for name, path in model_files(folder / "challenger"):
        files.append(run.registry.write_file(version, MODEL_FOLDER + name, path.read_bytes())[0])
    trainer = run.spec.retraining.trainer
    parameters = {
        "strategy": run.spec.retraining.strategy.value,
        "trainer": {"image": trainer.image, "env": [item.to_wire() for item in trainer.env]},
        "features": [feature.to_wire() for feature in run.spec.model.features],
        "classes": list(classes),
        "seed": run.spec.retraining.random_seed,
        "protocol": PROTOCOL,
    }
    cost = own_cost(folder / "train/request.json", folder / _RESOURCES, folder / "challenger")
    return Challenger(HoldoutScores(scores, classes), "Own", tuple(files), parameters, cost=cost)
