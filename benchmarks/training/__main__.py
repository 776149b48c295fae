"""Memory and time of a whole training: read, join, fit, compare with a champion, write, promote.

    python benchmarks/training HistGradientBoostingClassifier SGDClassifier --rows 5000000

Generates synthetic flight data in a temporary folder: eight numeric and two categorical features, with labels in
separate partitions. A small champion is trained first, so that the measured training has one to compare with. Each
training is a separate process, like a pod; reports its peak memory (VmHWM on Linux) and CPU time.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_FIRST = dt.date(2013, 1, 1)
_CARRIERS = np.array(["UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX", "FL", "AS", "F9", "YV", "HA", "OO"])
_ORIGINS = np.array(["EWR", "JFK", "LGA"])
_NUMBERS = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib", "hour")
#: Days of the small champion: six to train on, a hold-out of two, and two whose labels are not mature.
_FIRST_DAYS = 10
_FIRST_ROWS = 2000
_HOLDOUT_DAYS = 4
_DELAY_DAYS = 2


def write_day(folder: Path, number: int, rows: int) -> None:
    """Write the features and labels of a day."""
    day = _FIRST + dt.timedelta(days=number)
    generator = np.random.default_rng(number)
    numbers = generator.normal(size=(len(_NUMBERS), rows))
    carrier, origin = generator.integers(0, _CARRIERS.size, rows), generator.integers(0, 3, rows)
    logit = numbers[0] - 0.5 * numbers[3] + 0.3 * numbers[7] + 0.2 * (carrier % 4) + 0.3 * origin - 1.5
    late = generator.random(rows) < 1 / (1 + np.exp(-logit))
    keys = pa.array([f"{day}-{row}" for row in range(rows)])
    features = {name: pa.array(values.astype(np.float32)) for name, values in zip(_NUMBERS, numbers, strict=True)}
    categories = {"carrier": pa.array(_CARRIERS[carrier]), "origin": pa.array(_ORIGINS[origin])}
    for kind, columns in (("rows", {"id": keys, **features, **categories}), ("labels", {"id": keys, "late": late})):
        path = folder / kind / f"date={day}"
        path.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path / "part.parquet")


def monitor(folder: Path, estimator: str, window_days: int, holdout_days: int) -> Path:
    """Write a monitor of the data and return its file; each estimator has a separate results prefix."""
    base = folder.as_uri()
    linear = estimator.startswith(("SGD", "Logistic", "Ridge"))
    steps = {"numericImputation": "Median", "scaling": "Standard", "categoricalEncoding": "OneHot"} if linear else {}
    spec = {
        "schedule": "0 6 * * *",
        "storage": {"resultsURI": f"{base}/results-{estimator}/"},
        "data": {
            "live": {"uri": f"{base}/rows/date=%Y-%m-%d/"},
            "labels": {"uri": f"{base}/labels/date=%Y-%m-%d/", "joinKey": "id", "delayDays": _DELAY_DAYS},
        },
        "model": {
            "task": "BinaryClassification",
            "target": "late",
            "slices": ["origin"],
            "features": [
                *({"name": name, "type": "Numeric"} for name in _NUMBERS),
                *({"name": name, "type": "Categorical"} for name in ("carrier", "origin")),
            ],
        },
        "retraining": {
            "windowDays": window_days,
            "estimator": {"name": estimator, "preprocessing": steps},
            "trainer": {"resources": {"limits": {"memory": os.environ.get("BENCH_LIMIT", "1Gi")}}},
        },
        "promotion": {"metric": "ROCAUC", "holdoutDays": holdout_days},
    }
    document = {
        "apiVersion": "modelmonitor.io/v1alpha1",
        "kind": "ModelMonitor",
        "metadata": {"name": "flights", "namespace": "bench"},
        "spec": spec,
    }
    file = folder / f"{estimator}-{window_days}.yaml"
    # JSON is valid YAML.
    file.write_text(json.dumps(document))
    return file


def train(file: Path) -> dict[str, Any]:
    """Train in a separate process, and return the verdict with CPU time and peak memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "modelmonitor_trainer.cli.main", "train", "-f", str(file), "--output", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the training of {file.name} failed with exit code {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    verdict: dict[str, Any] = json.loads(output)
    return verdict | {"cpuSeconds": seconds, "peakBytes": usage.ru_maxrss * 1024}


def measure(folder: Path, estimator: str, days: int) -> None:
    """Train a small champion, then the measured model, and print a row of the table."""
    later = folder / "later"
    for kind in ("rows", "labels"):
        (later / kind).mkdir(parents=True, exist_ok=True)
        for path in sorted((folder / kind).iterdir())[_FIRST_DAYS:]:
            path.rename(later / kind / path.name)
    try:
        train(monitor(folder, estimator, 6, 2))
    finally:
        for kind in ("rows", "labels"):
            for path in (later / kind).iterdir():
                path.rename(folder / kind / path.name)
    result = train(monitor(folder, estimator, days, _HOLDOUT_DAYS))
    print(
        f"| {estimator} | {result['trainRows']:,} | {result['holdoutRows']:,} | {result['peakBytes'] / 2**30:.2f} GiB "
        f"| {result['cpuSeconds']:.0f} s | {result['outcome']} | {result['comparison']['challenger']:.4f} |",
        flush=True,
    )


def main() -> None:
    """Generate the data and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("estimators", nargs="+", help="names as in spec.retraining.estimator")
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows to train on (default 5,000,000)")
    parser.add_argument("--days", type=int, default=100, help="number of days that the rows span (default 100)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DATA")) as name:
        folder = Path(name)
        for number in range(_FIRST_DAYS):
            write_day(folder, number, _FIRST_ROWS)
        for number in range(_FIRST_DAYS, _FIRST_DAYS + args.days + _HOLDOUT_DAYS + _DELAY_DAYS):
            write_day(folder, number, args.rows // args.days)
        print("| Estimator | Rows | Hold-out | Peak | Processor | Outcome | ROC AUC |\n|---|---|---|---|---|---|---|")
        for estimator in args.estimators:
            measure(folder, estimator, args.days)


if __name__ == "__main__":
    main()
