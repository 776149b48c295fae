"""Files that a trainer of the user's own leaves: untrusted, so looked at before they are taken."""

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

#: The largest model that is taken; files are read whole, one at a time.
MAX_MODEL_BYTES = 2 * 1024**3
MAX_MODEL_FILES = 1000
PREDICTION = "prediction"
#: Probabilities of a row must add up to 1 within this.
_TOLERANCE = 1e-3
_FILE = "predictions.parquet"
#: What a trainer says of itself is short, and within reason: 30 days, a pebibyte.
_MAX_RESOURCES = 4096
_LONGEST = 30 * 86400.0
_MOST = 2**50
_LOG = logging.getLogger(__name__)


def empty_folder(path: Path) -> None:
    """Make a folder, or empty the one that a stopped pod has left."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, exist_ok=True)


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a document for people and programs."""
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")


def model_files(folder: Path) -> list[tuple[str, Path]]:
    """Return the files of a model: name below the folder and path, sorted by name.

    Raises
    ------
    BadData
        If there are none, too many, too large, or other things than plain files: a link could lead out of the
        folder.
    """
    found: list[tuple[str, Path]] = []
    total = 0
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base) / name
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            shown = path.relative_to(folder).as_posix()
            if not stat.S_ISREG(mode):
                raise BadData(
                    f"the trainer's model holds {shown!r}, which is not a plain file; write copies, not links"
                )
            if not (shown.isascii() and shown.isprintable()):
                raise BadData(f"the trainer's model holds a file named {shown!r}; use printable ASCII in names")
            total += path.stat().st_size
            found.append((shown, path))
    if not found:
        raise BadData(f"the trainer wrote no model into {folder}; see the log of its container train")
    if len(found) > MAX_MODEL_FILES or total > MAX_MODEL_BYTES:
        raise BadData(
            f"the trainer's model is {len(found)} files of {total:,} bytes; at most {MAX_MODEL_FILES} files and "
            f"{MAX_MODEL_BYTES:,} bytes are taken"
        )
    return sorted(found)


def own_cost(request: Path, resources: Path, model: Path) -> Cost | None:
    """Return what a trainer's container took.

    How long: from the request that was laid out for it to the last file of its model, which holds for every image.
    How much memory: what the trainer says of itself, as nobody else can see into its container.

    Parameters
    ----------
    request
        File that the trainer was given.
    resources
        File that it may have written.
    model
        Folder of its model.
    """
    written = [path.stat().st_mtime for _, path in model_files(model)]
    seconds = max(written) - request.stat().st_mtime if request.is_file() else -1.0
    said = _said_resources(resources)
    told, peak = _amount(said.get("seconds")), _amount(said.get("peakMemoryBytes"))
    seconds = seconds if told is None else told
    if not 0 <= seconds <= _LONGEST:
        return None
    return Cost(seconds, None if peak is None else int(peak))


def _said_resources(path: Path) -> dict[str, Any]:
    """Return what a trainer says that it took; nothing where it says nothing, or nonsense."""
    if not path.is_file() or path.is_symlink() or path.stat().st_size > _MAX_RESOURCES:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        _LOG.warning("%s of the trainer cannot be read, and is left out of the record", path.name)
        return {}
    return found if isinstance(found, dict) else {}


def _amount(value: Any) -> float | None:
    """Return a number that is an amount within reason; None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _MOST:
        return None
    return float(value)


def read_predictions(folder: Path, rows: int, classes: Sequence[str], task: Task) -> Floats:
    """Return the predictions in a step's folder.

    Parameters
    ----------
    folder
        Of the step.
    rows
        How many rows were given.
    classes
        Names of the classes, for several classes the columns.
    task
        What is predicted.

    Returns
    -------
    (rows,) or (rows, classes)
        In the order of the rows that were given.

    Raises
    ------
    BadData
        If they are not as the protocol says.
    """
    path = folder / _FILE
    step = folder.name
    if not path.is_file() or path.is_symlink():
        raise BadData(f"the trainer wrote no {_FILE}; see the log of its container {step}")
    columns = list(classes) if task is Task.MULTICLASS_CLASSIFICATION else [PREDICTION]
    try:
        table = pq.read_table(path)
        lacking = [name for name in columns if name not in table.column_names]
        if lacking:
            raise BadData(f"{step}/{_FILE} has no column {lacking[0]!r}; it has {', '.join(table.column_names[:10])}")
        found = np.column_stack([table.column(name).cast(pa.float64()).to_numpy() for name in columns])
    except (pa.ArrowException, OSError) as error:
        raise BadData(f"{step}/{_FILE} cannot be read as predictions: {str(error).splitlines()[0][:200]}") from error
    if len(found) != rows:
        raise BadData(f"{step}/{_FILE} has {len(found):,} rows for {rows:,} that were given; write one each, in order")
    _check_values(found, step, task)
    return found if task is Task.MULTICLASS_CLASSIFICATION else found[:, 0]


def _check_values(found: Floats, step: str, task: Task) -> None:
    if not np.isfinite(found).all():
        raise BadData(f"{step}/{_FILE} has missing or infinite predictions; every row needs a number")
    if task is Task.REGRESSION:
        return
    if (found < 0).any() or (found > 1).any():
        raise BadData(f"{step}/{_FILE} has values outside 0 to 1; classifiers write probabilities")
    if task is Task.MULTICLASS_CLASSIFICATION and (np.abs(found.sum(axis=1) - 1) > _TOLERANCE).any():
        raise BadData(f"{step}/{_FILE} has rows whose probabilities do not add up to 1")
