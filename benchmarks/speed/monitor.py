"""A monitor of a data set in daily partitions, so that profiles are cached, and its file for the command line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import yaml
from shapes import Shape

FIRST = {"reference": dt.date(2013, 1, 1), "current": dt.date(2013, 3, 1)}


def write(shape: Shape, data: Path, folder: Path) -> Path:
    """Write a monitor's YAML file and return its path.

    Its days are links to the files of a data set, and its results prefix is empty.
    """
    live = folder / "live"
    for side, first in FIRST.items():
        for number, path in enumerate(sorted((data / side).glob("*.parquet"))):
            day = live / f"date={first + dt.timedelta(days=number)}"
            day.mkdir(parents=True, exist_ok=True)
            (day / path.name).hardlink_to(path)
    features = [
        {"name": name, "type": "Categorical" if name.startswith("c") else "Numeric"} for name in shape.column_names
    ]
    spec = {
        "schedule": "0 6 * * *",
        "storage": {"resultsURI": f"file://{folder}/results/"},
        "data": {
            "live": {"uri": f"file://{live}/date=%Y-%m-%d/", "windowDays": shape.files},
            "reference": {
                "start": str(FIRST["reference"]),
                "end": str(FIRST["reference"] + dt.timedelta(days=shape.files - 1)),
            },
        },
        "model": {"task": "BinaryClassification", "target": "none", "features": features},
        "retraining": {"estimator": {"name": "HistGradientBoostingClassifier"}},
        "promotion": {"metric": "ROCAUC"},
    }
    document = {
        "apiVersion": "modelmonitor.io/v1alpha1",
        "kind": "ModelMonitor",
        "metadata": {"name": "bench"},
        "spec": spec,
    }
    file = folder / "monitor.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def replace_current(folder: Path) -> None:
    """Replace the files of the current days with identical new ones, whose profiles are not cached."""
    for path in sorted((folder / "live").glob("date=2013-03-*/*.parquet")):
        copy = path.with_name(f"again-{path.name}")
        copy.hardlink_to(path)
        path.unlink()
        copy.rename(path.with_name(f"x{path.name}"))
