"""A monitor over a folder, with data whose relationship can be reversed, and trainings of it."""

import datetime as dt
import functools
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from modelmonitor_api.messages import MonitorRef, PromoteRequest, RollbackRequest, TrainRequest
from modelmonitor_api.resource import parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.gate import interval
from modelmonitor_trainer.model.environment import installed_digest
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.manual import handle_promotion, handle_rollback
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.storage.local import path_of, uri_of
from modelmonitor_trainer.storage.open import open_store
from modelmonitor_trainer.train import version_documents
from modelmonitor_trainer.train.train import train

FIRST = dt.date(2013, 1, 1)
NOW = dt.datetime(2013, 12, 31, 6, tzinfo=dt.UTC)
VERSION_FILES = {
    "card.html",
    "card.md",
    "comparison.json",
    "environment.json",
    "manifest.json",
    "metrics.json",
    "model.skops",
    "parameters.json",
    "reference-labels.zip",
    "reference-rows.zip",
    "version.json",
}


class World:
    """Data as they land, a monitor over them, and its trainings."""

    def __init__(self, folder, store=None, base=None):
        self.folder = folder
        self.store = store or open_store(None)
        self.base = base or uri_of(folder)
        self.image = ""
        self.spec: dict[str, Any] = {
            "schedule": "0 6 * * *",
            "storage": {"resultsURI": f"{self.base}/results/"},
            "data": {
                "live": {"uri": f"{self.base}/rows/date=%Y-%m-%d/"},
                "labels": {"uri": f"{self.base}/labels/date=%Y-%m-%d/", "joinKey": "id", "delayDays": 2},
            },
            "model": {
                "task": "BinaryClassification",
                "target": "late",
                "slices": ["origin"],
                "features": [
                    {"name": "x", "type": "Numeric"},
                    {"name": "gust", "type": "Numeric"},
                    {"name": "kind", "type": "Categorical"},
                ],
            },
            "retraining": {
                "windowDays": 10,
                "estimator": {
                    "name": "LogisticRegression",
                    "preprocessing": {"numericImputation": "Median", "categoricalEncoding": "OneHot"},
                },
            },
            "promotion": {
                "metric": "ROCAUC",
                "holdoutDays": 4,
                "minHoldoutRows": 100,
                "nonInferiorityMargin": "0.02",
                "finalFit": "None",  # what serves is what was compared: the tests are about the comparison
            },
        }

    @property
    def registry(self):
        return ModelRegistry(self.store, ResultsLayout(self.prefix))

    @property
    def prefix(self):
        return f"{self.base}/results/ns/mon/"

    def land(self, first, last, *, slope=2.0, count=100, labels=True, late=None):
        """Write the days `first` to `last` of the year; `slope` is the effect of x on the target."""
        for number in range(first, last + 1):
            day = FIRST + dt.timedelta(days=number - 1)
            g = np.random.default_rng(number)
            x = g.normal(size=count)
            truth = g.random(count) < 1 / (1 + np.exp(-slope * x)) if late is None else np.full(count, late)
            ids = [f"{day}-{row}" for row in range(count)]
            rows = {
                "id": ids,
                "x": x,
                "gust": [None] * count,
                "kind": g.choice(["a", "b"], count).tolist(),
                "origin": g.choice(["EWR", "JFK"], count).tolist(),
            }
            self.put(f"rows/date={day}/part.parquet", rows)
            if labels:
                self.put(f"labels/date={day}/part.parquet", {"id": ids, "late": truth})

    def put(self, path, columns):
        buffer = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), buffer)
        open_store(None).write(f"{self.base}/{path}", buffer.getvalue().to_pybytes())

    def parsed(self):
        return parse(ModelMonitorSpec, self.spec)

    def request(self, number=1, reason="DriftDetected", **fields):
        return TrainRequest(
            monitor=self.monitor,
            spec=self.parsed(),
            number=number,
            reason=reason,
            message="x drifted",
            trainer_image=self.image,
            **fields,
        )

    @property
    def monitor(self):
        return MonitorRef(namespace="ns", name="mon", uid="u-1")

    def train(self, number=1, store=None, now=NOW, **fields):
        return train(store or self.store, self.request(number, **fields), job=f"mon-train-{number}", now=now)

    def promote(self, version, job="mon-promote-1", comment=""):
        request = PromoteRequest(monitor=self.monitor, spec=self.parsed(), version=version, comment=comment)
        return handle_promotion(self.store, request, job=job, now=NOW)

    def handle_rollback(self, to="previous", job="mon-rollback-1"):
        request = RollbackRequest(monitor=self.monitor, spec=self.parsed(), to=to)
        return handle_rollback(self.store, request, job=job, now=NOW)

    def champion(self):
        return self.registry.champion()

    def results(self):
        """Return everything that was written: path below the results → content."""
        root = path_of(self.prefix)
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}

    def file(self):
        """Write the monitor as a YAML file and return its path."""
        document = {
            "apiVersion": "modelmonitor.io/v1alpha1",
            "kind": "ModelMonitor",
            "metadata": {"name": "mon", "namespace": "ns"},
            "spec": self.spec,
        }
        path = self.folder / "monitor.yaml"
        path.write_text(yaml.safe_dump(document))
        return str(path)


def champion_world(folder):
    """Return a world with a champion, which later days follow."""
    world = World(folder)
    world.spec["data"]["live"]["windowDays"] = 12
    world.land(1, 18)
    assert world.train().outcome == "Promoted"
    world.land(19, 30)
    return world


_installed_digest = functools.cache(installed_digest)


@pytest.fixture(autouse=True)
def cheap_trainings(monkeypatch):
    """Save half of the processor time of a training, without any effect on its steps.

    The digest of the installed distributions does not change while the tests run. The number of groups of a jackknife
    only determines the precision of a deviation, which the tests of the promotion gate cover.
    """
    monkeypatch.setattr(version_documents, "installed_digest", _installed_digest)
    monkeypatch.setattr(interval, "_GROUPS", 10)


@pytest.fixture
def world(tmp_path):
    """Eighteen days: ten to train on, four to compare on, and two without mature labels."""
    world = World(tmp_path)
    world.land(1, 18)
    return world


@pytest.fixture
def another(tmp_path_factory):
    """Makes further worlds with the same data."""

    def make():
        world = World(tmp_path_factory.mktemp("world"))
        world.land(1, 18)
        return world

    return make


@pytest.fixture
def command(capsys):
    """Runs the command line; returns the exit code and what it printed."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
