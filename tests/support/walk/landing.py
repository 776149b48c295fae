"""Days of a world as they land in a folder, and the spec of a monitor of them."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelmonitor_api.resource import parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.storage.local import uri_of
from support.walk.worlds import CHANNELS, DELAY, HISTORY, START, Kind, World

#: Days after a wrong label at which its correction arrives.
_CORRECTION = 7


def day_of(number: int) -> dt.date:
    """Return the date of a day."""
    return START + dt.timedelta(days=number)


def number_of(day: dt.date) -> int:
    """Return the number of a date."""
    return (day - START).days


def land(world: World, folder: Path) -> None:
    """Write all partitions of a world; the modification time of a file is when it arrives."""
    for day in range(-HISTORY, world.days):
        columns, outcomes = world.rows(day)
        ids = [f"{day_of(day)}-{number}" for number in range(len(outcomes))]
        rows = {"id": ids, **_as_written(world, day, columns)}
        _put(folder / f"rows/date={day_of(day)}/part-0.parquet", rows, day + 1)
        first = _first_labels(world, day, outcomes)
        _put(folder / f"labels/date={day_of(day)}/part-0.parquet", _labels(ids, first), day + 1 + DELAY)
        fixed = np.flatnonzero(first != outcomes)
        if fixed.size:
            labels = _labels([ids[place] for place in fixed], outcomes[fixed])
            _put(folder / f"labels/date={day_of(day)}/part-1.parquet", labels, day + 1 + DELAY + _CORRECTION)


def _as_written(world: World, day: int, columns: dict[str, Array]) -> dict[str, Array]:
    """Return the columns as they arrive: in the corrupted weeks the first in another unit, or with holes."""
    if world.lost is not None and day >= world.lost:
        columns = {name: values for name, values in columns.items() if name != "load"}
    if day not in world.corrupted:
        return columns
    amount = columns["amount"].copy()
    broken = np.arange(amount.size) % 4 != 0
    amount[broken] = 1000 * amount[broken] if day - min(world.corrupted) < _CORRECTION else np.nan
    return columns | {"amount": amount}


def _first_labels(world: World, day: int, outcomes: Array) -> Array:
    if not world.wrong:
        return outcomes
    wrong = np.random.default_rng([world.seed, HISTORY + day, 2]).random(outcomes.size) < world.wrong
    return np.where(wrong, np.where(outcomes == "1", "0", "1"), outcomes)


def _labels(ids: list[str], outcomes: Array) -> dict[str, Any]:
    return {"id": ids, "outcome": outcomes.astype(np.int64) if set(outcomes) <= {"0", "1"} else outcomes}


def _put(path: Path, columns: dict[str, Any], day: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()}), path)
    arrived = dt.datetime.combine(day_of(day), dt.time(0, 5), dt.UTC).timestamp()
    os.utime(path, (arrived, arrived))


def spec_of(world: World, folder: Path, *, without: str | None = None) -> ModelMonitorSpec:
    """Return a spec in which all that decides about checks and trainings has its default.

    Parameters
    ----------
    world, folder
        The world, and where its days landed.
    without
        A feature that is no longer declared.
    """
    base = uri_of(folder)
    numeric: list[dict[str, Any]] = [{"name": "amount", "type": "Numeric", "minimum": "-20", "maximum": "20"}]
    numeric += [{"name": name, "type": "Numeric"} for name in ("age", "load")]
    features = [*numeric, {"name": "channel", "type": "Categorical", "allowedValues": list(CHANNELS)}]
    several = world.kind is Kind.NEW_CLASS
    preprocessing = {"numericImputation": "Median", "scaling": "Standard", "categoricalEncoding": "OneHot"}
    return parse(
        ModelMonitorSpec,
        {
            "schedule": "0 6 * * *",
            "storage": {"resultsURI": f"{base}/results/"},
            "data": {
                "live": {"uri": f"{base}/rows/date=%Y-%m-%d/"},
                "labels": {"uri": f"{base}/labels/date=%Y-%m-%d/", "joinKey": "id", "delayDays": DELAY},
            },
            "model": {
                "task": "MulticlassClassification" if several else "BinaryClassification",
                "target": "outcome",
                "features": [feature for feature in features if feature["name"] != without],
            },
            "retraining": {"estimator": {"name": "LogisticRegression", "preprocessing": preprocessing}},
            "promotion": {"metric": "Accuracy" if several else "ROCAUC"},
        },
    )
