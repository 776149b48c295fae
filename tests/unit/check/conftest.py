"""A small monitor over a folder, forty days of rows and labels; and two sets of files."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml

from modelmonitor_api.messages import CheckRequest, MonitorRef
from modelmonitor_api.resource import parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.check.publish import publish_check
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store

FIRST = dt.date(2013, 1, 1)
NOW = dt.datetime(2013, 2, 10, 6, tzinfo=dt.UTC)


class World:
    """Data as they land, a monitor over them, and checks of it."""

    def __init__(self, folder):
        self.store = open_store(None)
        self.base = uri_of(folder)
        self.spec: dict[str, Any] = {
            "schedule": "0 6 * * *",
            "storage": {"resultsURI": f"{self.base}/results/"},
            "data": {
                "live": {"uri": f"{self.base}/rows/date=%Y-%m-%d/", "windowDays": 7},
                "labels": {"uri": f"{self.base}/labels/date=%Y-%m-%d/", "joinKey": "id", "delayDays": 2},
                "reference": {"start": "2013-01-01", "end": "2013-01-25"},
            },
            "model": {
                "task": "BinaryClassification",
                "target": "late",
                "features": [
                    {"name": "x", "type": "Numeric", "minimum": "-50", "maximum": "50"},
                    {"name": "z", "type": "Numeric"},
                    {"name": "kind", "type": "Categorical", "allowedValues": ["a", "b", "c"]},
                ],
            },
            "retraining": {"windowDays": 20, "estimator": {"name": "LogisticRegression"}},
            "promotion": {"metric": "ROCAUC", "holdoutDays": 7},
        }

    def rows(self, day, *, seed=None, count=150):
        """Return the rows and labels of a day."""
        g = np.random.default_rng((day - FIRST).days if seed is None else seed)
        x = g.normal(size=count)
        late = g.random(count) < 1 / (1 + np.exp(1 - 2 * x))
        ids = [f"{day}-{number}" for number in range(count)]
        rows = {"id": ids, "x": x, "z": g.normal(size=count), "kind": g.choice(["a", "b", "c"], count).tolist()}
        return rows, {"id": ids, "late": late}

    def land(self, day, change=None, *, only_rows=False):
        """Write the partition of a day, its rows changed by a function."""
        rows, labels = self.rows(day)
        if change:
            rows = change(rows)
        self.put(f"rows/date={day}/part.parquet", rows)
        if not only_rows:
            self.put(f"labels/date={day}/part.parquet", labels)

    def put(self, path, columns):
        """Write a Parquet object."""
        buffer = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), buffer)
        self.store.write(f"{self.base}/{path}", buffer.getvalue().to_pybytes())

    def land_days(self, first, last, change=None):
        """Write the partitions from the `first` to the `last` day of the year."""
        for number in range(first - 1, last):
            self.land(FIRST + dt.timedelta(days=number), change)

    def parsed(self):
        """Return the spec."""
        return parse(ModelMonitorSpec, self.spec)

    def request(self):
        """Return the request of a check."""
        return CheckRequest(monitor=MonitorRef(namespace="ns", name="mon", uid="u-1"), spec=self.parsed())

    def check(self, job="local", now=NOW):
        """Check now."""
        return publish_check(self.store, self.request(), job=job, now=now)

    def manifest(self, path):
        """Write the monitor as a YAML file."""
        document = {
            "apiVersion": "modelmonitor.io/v1alpha1",
            "kind": "ModelMonitor",
            "metadata": {"name": "mon"},
            "spec": self.spec,
        }
        path.write_text(yaml.safe_dump(document))
        return str(path)


@pytest.fixture
def world(tmp_path):
    """Forty days of good data."""
    world = World(tmp_path)
    world.land_days(1, 40)
    return world


@pytest.fixture
def files(tmp_path):
    g = np.random.default_rng(0)
    for side, shift in (("reference", 0.0), ("current", 0.5)):
        folder = tmp_path / side
        folder.mkdir()
        for number in range(2):
            table = pa.table(
                {
                    "x": g.normal(shift, 1, 1000),
                    "same": g.normal(size=1000),
                    "word": g.choice(["a", "b"], 1000).tolist(),
                    "y": g.choice([True, False], 1000).tolist(),
                    "when": pa.array(np.arange(1000), pa.timestamp("s")),
                }
            )
            pq.write_table(table, folder / f"{number}.parquet")
            pyarrow.csv.write_csv(table.select(["x", "word"]), folder / f"{number}.csv")
    return tmp_path
