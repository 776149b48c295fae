"""A custom trainer for ModelMonitor that fits gradient-boosted trees with LightGBM.

It follows version 1 of the trainer protocol (docs/reference/trainer-protocol.md): ``train --request FILE`` trains a
model and writes it into a folder, ``predict --request FILE`` predicts with the model of such a folder. Everything else
(reading the object store, the comparison, the promotion) is done by ModelMonitor.

A model has two files: ``booster.txt`` in the text format of LightGBM, which runs no code when it is loaded, and
``encoding.json`` with the codes of the categories.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

PROTOCOL = 1
BOOSTER, ENCODING = "booster.txt", "encoding.json"

_LOG = logging.getLogger("lightgbm_trainer")
_OBJECTIVES = {"BinaryClassification": "binary", "MulticlassClassification": "multiclass", "Regression": "regression"}

Floats = npt.NDArray[np.float64]
Request = Mapping[str, Any]


class BadRequest(Exception):
    """The request cannot be served; the message gives the reason."""


@dataclass(frozen=True)
class Settings:
    """Settings of this image, from ``spec.retraining.trainer.env``.

    Attributes
    ----------
    rounds, learning_rate, leaves
        Parameters of the boosting.
    threads
        Number of threads; 0 means all cores of the node, which exceeds the CPU limit of a pod.
    """

    rounds: int = 200
    learning_rate: float = 0.05
    leaves: int = 31
    threads: int = 1

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings in environment variables.

        Raises
        ------
        BadRequest
            If a variable is not a number.
        """
        try:
            return cls(
                rounds=int(environment.get("ROUNDS", cls.rounds)),
                learning_rate=float(environment.get("LEARNING_RATE", cls.learning_rate)),
                leaves=int(environment.get("LEAVES", cls.leaves)),
                threads=int(environment.get("THREADS", cls.threads)),
            )
        except ValueError as error:
            raise BadRequest(f"ROUNDS, LEARNING_RATE, LEAVES and THREADS must be numbers: {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(description="LightGBM trainer for ModelMonitor")
    parser.add_argument("command", choices=("train", "predict"))
    parser.add_argument("--request", required=True, type=Path)
    options = parser.parse_args(arguments)
    request = json.loads(options.request.read_text(encoding="utf-8"))
    if request["protocol"] != PROTOCOL:
        _LOG.error("this image supports version %s of the protocol, not %s", PROTOCOL, request["protocol"])
        return 1
    if request["skip"] is not None:
        _LOG.info("nothing to do: %s", request["skip"])
        return 0
    try:
        if options.command == "train":
            start = time.monotonic()
            train(request, Settings.of(os.environ))
            write_resources(request, time.monotonic() - start)
        else:
            predict(request)
    except BadRequest as error:
        _LOG.error("%s", error)
        return 1
    return 0


def train(request: Request, settings: Settings) -> None:
    """Fit a model to the rows of a request and write it into the request's folder."""
    table = pq.read_table(request["data"])
    # A warm start adds trees to those of the champion; the other strategies start from scratch.
    warm = request.get("strategy") == "WarmStart" and request["champion"] is not None
    champion = Path(request["champion"]) if warm else None
    known = read_encoding(champion) if champion else {}
    encoding = learn_encoding(table, request["features"], known)
    parameters = {
        "objective": _OBJECTIVES[request["task"]],
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "num_threads": settings.threads,
        "seed": request["seed"],
        # The same request gives the same model for any number of threads.
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    if request["task"] == "MulticlassClassification":
        parameters["num_class"] = len(request["classes"])
    names = [feature["name"] for feature in request["features"]]
    data = lightgbm.Dataset(
        matrix(table, request["features"], encoding),
        label=target(table, request),
        feature_name=[f"f{index}" for index in range(len(names))],  # LightGBM accepts no JSON characters in names
        categorical_feature=[index for index, name in enumerate(names) if name in encoding],
        free_raw_data=False,
    )
    booster = lightgbm.train(
        parameters,
        data,
        num_boost_round=settings.rounds,
        init_model=str(champion / BOOSTER) if champion else None,
    )
    folder = Path(request["model"])
    (folder / BOOSTER).write_text(booster.model_to_string(num_iteration=-1), encoding="utf-8")
    (folder / ENCODING).write_text(json.dumps(encoding, ensure_ascii=False), encoding="utf-8")
    _LOG.info("%s trees fitted to %s rows", booster.num_trees(), table.num_rows)


def write_resources(request: Request, seconds: float) -> None:
    """Report duration and peak memory, if the request names a file for them; ModelMonitor shows them over time."""
    if request.get("resources") is None:
        return
    # Linux reports KiB. The peak of the container, if the kernel has it, includes other processes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    cgroup = Path("/sys/fs/cgroup/memory.peak")
    if cgroup.is_file() and (text := cgroup.read_text(encoding="ascii").strip()).isdigit():
        peak = int(text)
    resources = {"seconds": round(seconds, 3), "peakMemoryBytes": peak}
    Path(request["resources"]).write_text(json.dumps(resources), encoding="utf-8")


def predict(request: Request) -> None:
    """Predict the rows of a request and write the predictions."""
    folder = Path(request["model"])
    booster = lightgbm.Booster(model_file=str(folder / BOOSTER))
    rows = matrix(pq.read_table(request["data"]), request["features"], read_encoding(folder))
    predictions = np.asarray(booster.predict(rows, num_threads=1), dtype=np.float64)
    if request["task"] == "MulticlassClassification":
        columns = {name: predictions[:, index] for index, name in enumerate(request["classes"])}
    else:
        columns = {"prediction": predictions}
    pq.write_table(pa.table(columns), request["predictions"])
    _LOG.info("%s rows predicted", len(predictions))


def learn_encoding(
    table: pa.Table, features: Sequence[Request], known: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Return the categories of each categorical feature, known ones first, so that their codes do not change."""
    encoding = {}
    for feature in features:
        if feature["type"] != "Categorical":
            continue
        name = feature["name"]
        old = list(known.get(name, ()))
        seen = set(table.column(name).cast(pa.string()).drop_null().to_pylist())
        encoding[name] = [*old, *sorted(seen - set(old))]
    return encoding


def read_encoding(folder: Path) -> dict[str, list[str]]:
    """Return the encoding of a model."""
    encoding: dict[str, list[str]] = json.loads((folder / ENCODING).read_text(encoding="utf-8"))
    return encoding


def matrix(table: pa.Table, features: Sequence[Request], encoding: Mapping[str, Sequence[str]]) -> Floats:
    """Return features as numbers, (rows, features), with NaN for missing and unknown values."""
    columns = []
    for feature in features:
        values = table.column(feature["name"])
        if feature["type"] == "Categorical":
            categories = pa.array(encoding[feature["name"]], pa.string())
            codes = pa.compute.index_in(values.cast(pa.string()), value_set=categories)
            columns.append(codes.cast(pa.float64()).to_numpy())
        else:
            numbers = values.cast(pa.float64()).to_numpy()
            columns.append(np.where(np.isfinite(numbers), numbers, np.nan))
    return np.column_stack(columns)


def target(table: pa.Table, request: Request) -> Floats:
    """Return the outcomes for LightGBM, (rows,): 0 and 1, class indices, or values."""
    values = table.column(request["target"])
    if request["task"] == "MulticlassClassification":
        values = pa.compute.index_in(values, value_set=pa.array(request["classes"], pa.string()))
    outcomes: Floats = values.cast(pa.float64()).to_numpy()
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
