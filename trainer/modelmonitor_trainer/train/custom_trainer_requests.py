"""Folder of a custom trainer: the data and requests of its three steps, version 1 of the trainer protocol."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelmonitor_api.outcomes import ModelKind
from modelmonitor_api.spec import Task
from modelmonitor_trainer.registry.layout import MODEL_FOLDER
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.train.custom_trainer_files import PREDICTIONS, empty_folder, write_json
from modelmonitor_trainer.train.rows import Rows
from modelmonitor_trainer.train.run import Run

_LOG = logging.getLogger(__name__)

PROTOCOL = 1
#: Folders of the steps, which run in this order.
TRAIN, PREDICT_CHALLENGER, PREDICT_CHAMPION = "train", "predict-challenger", "predict-champion"
#: Folders of the models.
CHALLENGER, CHAMPION = "challenger", "champion/model"
#: Optional file with the resources that the trainer used.
RESOURCES = "train/resources.json"
_TRAIN_DATA, _HOLDOUT_DATA = "train/data.parquet", "holdout/features.parquet"


def write_requests(run: Run, folder: Path, rows: Rows, champion: VersionRecord | None) -> None:
    """Write the data and the requests of all steps.

    Parameters
    ----------
    run
        Run of the training.
    folder
        Folder that all containers share.
    rows
        Labelled rows of both windows; labels of the hold-out are not written.
    champion
        Record of the champion, whose files are copied if a custom trainer made it; None without a champion.
    """
    for name in (TRAIN, "holdout", CHALLENGER, CHAMPION, PREDICT_CHALLENGER, PREDICT_CHAMPION):
        empty_folder(folder / name)
    _write_data(run, folder, rows, champion)
    skip = _copy_champion(run, folder, champion)
    write_json(request_file(folder, TRAIN), _train_request(run, folder, rows, has_champion=skip is None))
    context = _context(run, rows)
    write_json(
        request_file(folder, PREDICT_CHALLENGER),
        context | _predict_request(folder, PREDICT_CHALLENGER, CHALLENGER, None),
    )
    if champion is not None:
        # The champion takes the features that it was trained with, whatever the spec declares now.
        context |= {
            "features": [feature.to_wire() for feature in champion.features],
            "classes": list(champion_classes(champion, rows)),
        }
    write_json(
        request_file(folder, PREDICT_CHAMPION), context | _predict_request(folder, PREDICT_CHAMPION, CHAMPION, skip)
    )
    _LOG.info("%s training rows and %s hold-out rows are in %s", rows.train.rows, rows.holdout.rows, folder)


def skip_all(folder: Path, reason: str) -> None:
    """Write requests that tell the trainer to skip all steps."""
    for step in (TRAIN, PREDICT_CHALLENGER, PREDICT_CHAMPION):
        empty_folder(folder / step)
        kind = "Train" if step == TRAIN else "Predict"
        write_json(request_file(folder, step), {"protocol": PROTOCOL, "kind": kind, "skip": reason})


def request_file(folder: Path, step: str) -> Path:
    """Return the path of a step's request."""
    return folder / step / "request.json"


def champion_columns(champion: VersionRecord | None) -> list[str]:
    """Return the columns that the champion needs if the custom trainer predicts with it."""
    return [feature.name for feature in champion.features] if champion and champion.kind == ModelKind.CUSTOM else []


def champion_classes(champion: VersionRecord, rows: Rows) -> tuple[str, ...]:
    """Return the classes of the champion's predictions."""
    return tuple(champion.classes) or rows.known_classes


def _write_data(run: Run, folder: Path, rows: Rows, champion: VersionRecord | None) -> None:
    model = run.spec.model
    columns = list(dict.fromkeys([*(feature.name for feature in model.features), *model.slices]))
    train = rows.train.table.select(columns).append_column(model.target, _target(rows, model.task))
    pq.write_table(train, folder / _TRAIN_DATA)
    columns = list(dict.fromkeys([*columns, *champion_columns(champion)]))
    pq.write_table(rows.holdout.table.select(columns), folder / _HOLDOUT_DATA)


def _copy_champion(run: Run, folder: Path, champion: VersionRecord | None) -> str | None:
    """Copy the champion's files; return why the step that predicts with it is skipped, or None if it is not."""
    if champion is None:
        return "there is no champion"
    if champion.kind == ModelKind.SKOPS:
        return "the champion is a model of the built-in trainer"
    for stored in champion.files:
        if stored.name.startswith(MODEL_FOLDER):
            path = folder / CHAMPION / stored.name.removeprefix(MODEL_FOLDER)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(run.registry.read_file(champion, stored.name))
    return None


def _context(run: Run, rows: Rows) -> dict[str, Any]:
    """Return the fields that all requests share."""
    model = run.spec.model
    return {
        "protocol": PROTOCOL,
        "task": model.task.value,
        "target": model.target,
        "features": [feature.to_wire() for feature in model.features],
        "classes": list(rows.known_classes),
        "seed": run.spec.retraining.random_seed,
    }


def _train_request(run: Run, folder: Path, rows: Rows, *, has_champion: bool) -> dict[str, Any]:
    return _context(run, rows) | {
        "kind": "Train",
        "skip": None,
        "data": str(folder / _TRAIN_DATA),
        "model": str(folder / CHALLENGER),
        "resources": str(folder / RESOURCES),
        "champion": str(folder / CHAMPION) if has_champion else None,
        "strategy": run.spec.retraining.strategy.value,
    }


def _predict_request(folder: Path, step: str, model: str, skip: str | None) -> dict[str, Any]:
    return {
        "kind": "Predict",
        "skip": skip,
        "data": str(folder / _HOLDOUT_DATA),
        "model": str(folder / model),
        "predictions": str(folder / step / PREDICTIONS),
    }


def _target(rows: Rows, task: Task) -> pa.Array:
    """Return the outcomes of the training rows: 0 and 1, class names, or values."""
    if task is Task.MULTICLASS_CLASSIFICATION:
        return pa.array([rows.classes[index] for index in rows.train_truth], pa.string())
    if task is Task.BINARY_CLASSIFICATION:
        return pa.array(rows.train_truth, pa.int8())
    return pa.array(np.asarray(rows.train_truth), pa.float64())
