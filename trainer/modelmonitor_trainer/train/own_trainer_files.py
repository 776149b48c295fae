"""Files that a trainer of the user's own leaves: untrusted, so looked at before they are taken."""

from __future__ import annotations

import json
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
from modelmonitor_trainer.failures import BadData

#: The largest model that is taken; files are read whole, one at a time.
MAX_MODEL_BYTES = 2 * 1024**3
MAX_MODEL_FILES = 1000
PREDICTION = "prediction"
#: Probabilities of a row must add up to 1 within this.
_TOLERANCE = 1e-3
_FILE = "predictions.parquet"


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
