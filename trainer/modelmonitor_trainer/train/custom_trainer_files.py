"""Output of a custom trainer: untrusted files, validated before use."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelmonitor_api.spec import Task
from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.train.cost import Cost

#: Limits of a model; each file is read into memory as a whole.
MAX_MODEL_BYTES = 2 * 1024**3
MAX_MODEL_FILES = 1000
#: Column of the predictions for a binary task or a regression.
PREDICTION = "prediction"
PREDICTIONS = "predictions.parquet"
#: Tolerance of the sum of the probabilities of a row.
_TOLERANCE = 1e-3
#: Largest plausible resources: size of the file in bytes, seconds (30 days), and any amount (a pebibyte).
_MAX_FILE_BYTES = 4096
_MAX_SECONDS = 30 * 86400.0
_MAX_AMOUNT = 2**50
_LOG = logging.getLogger(__name__)


def empty_folder(path: Path) -> None:
    """Create an empty folder, in place of one that an earlier pod left."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, exist_ok=True)


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")


def model_files(folder: Path) -> list[tuple[str, Path]]:
    """Return the files of a model: name relative to the folder and path, sorted by name.

    Raises
    ------
    BadData
        If there are no files, too many or too large ones, or others than regular files: a link could point outside
        the folder.
    """
    result: list[tuple[str, Path]] = []
    total = 0
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base) / name
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            relative = path.relative_to(folder).as_posix()
            if not stat.S_ISREG(mode):
                raise BadData(
                    f"the trainer's model has {relative!r}, which is not a regular file; write copies, not links"
                )
            if not (relative.isascii() and relative.isprintable()):
                raise BadData(f"the trainer's model has a file named {relative!r}; use printable ASCII in file names")
            total += path.stat().st_size
            result.append((relative, path))
    if not result:
        raise BadData(f"the trainer wrote no model into {folder}; see the log of its container train")
    if len(result) > MAX_MODEL_FILES or total > MAX_MODEL_BYTES:
        raise BadData(
            f"the trainer's model has {len(result)} files of {total:,} bytes; at most {MAX_MODEL_FILES} files of "
            f"{MAX_MODEL_BYTES:,} bytes in total are accepted"
        )
    return sorted(result)


def trainer_cost(request: Path, resources: Path, model: Path) -> Cost | None:
    """Return the cost of a custom trainer.

    The duration is the one that the trainer reports, or else the time between its request and the last file of its
    model. The peak memory is the one that the trainer reports, because it cannot be observed from outside.

    Parameters
    ----------
    request
        File of the request.
    resources
        Optional file with the resources that the trainer used.
    model
        Folder of the model.

    Returns
    -------
    Cost or None
        None if the duration is implausible.
    """
    written = [path.stat().st_mtime for _, path in model_files(model)]
    seconds = max(written) - request.stat().st_mtime if request.is_file() else -1.0
    reported = _read_resources(resources)
    duration, peak = _amount(reported.get("seconds")), _amount(reported.get("peakMemoryBytes"))
    seconds = seconds if duration is None else duration
    if not 0 <= seconds <= _MAX_SECONDS:
        return None
    return Cost(seconds, None if peak is None else int(peak))


def _read_resources(path: Path) -> dict[str, Any]:
    """Return the resources that a trainer reports; empty if there are none, or the file is invalid."""
    if not path.is_file() or path.is_symlink() or path.stat().st_size > _MAX_FILE_BYTES:
        return {}
    try:
        resources = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        _LOG.warning("%s of the trainer is not valid JSON and is ignored", path.name)
        return {}
    return resources if isinstance(resources, dict) else {}


def _amount(value: Any) -> float | None:
    """Return a plausible amount; None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _MAX_AMOUNT:
        return None
    return float(value)


def read_predictions(folder: Path, rows: int, classes: Sequence[str], task: Task) -> Floats:
    """Read and validate the predictions of a step.

    Parameters
    ----------
    folder
        Folder of the step.
    rows
        Expected number of rows.
    classes
        Class names, which are the columns for a multiclass task.
    task
        Task of the model.

    Returns
    -------
    (rows,) or (rows, classes)
        Scores in the order of the rows.

    Raises
    ------
    BadData
        If they are missing or violate the protocol.
    """
    path = folder / PREDICTIONS
    step = folder.name
    if not path.is_file() or path.is_symlink():
        raise BadData(f"the trainer wrote no {PREDICTIONS}; see the log of its container {step}")
    columns = list(classes) if task is Task.MULTICLASS_CLASSIFICATION else [PREDICTION]
    try:
        table = pq.read_table(path)
        missing = [name for name in columns if name not in table.column_names]
        if missing:
            raise BadData(
                f"{step}/{PREDICTIONS} has no column {missing[0]!r}; it has {', '.join(table.column_names[:10])}"
            )
        scores = np.column_stack([table.column(name).cast(pa.float64()).to_numpy() for name in columns])
    except (pa.ArrowException, OSError) as error:
        raise BadData(
            f"{step}/{PREDICTIONS} cannot be read as predictions: {str(error).splitlines()[0][:200]}"
        ) from error
    if len(scores) != rows:
        raise BadData(
            f"{step}/{PREDICTIONS} has {len(scores):,} rows for {rows:,} rows of data; write one prediction per row, "
            "in order"
        )
    _validate_scores(scores, step, task)
    return scores if task is Task.MULTICLASS_CLASSIFICATION else scores[:, 0]


def _validate_scores(scores: Floats, step: str, task: Task) -> None:
    if not np.isfinite(scores).all():
        raise BadData(f"{step}/{PREDICTIONS} has missing or infinite predictions; every row needs a number")
    if task is Task.REGRESSION:
        return
    if (scores < 0).any() or (scores > 1).any():
        raise BadData(f"{step}/{PREDICTIONS} has values outside 0 to 1; classifiers must write probabilities")
    if task is Task.MULTICLASS_CLASSIFICATION and (np.abs(scores.sum(axis=1) - 1) > _TOLERANCE).any():
        raise BadData(f"{step}/{PREDICTIONS} has rows whose probabilities do not add up to 1")
