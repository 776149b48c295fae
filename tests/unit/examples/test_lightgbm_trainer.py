"""The LightGBM example of a custom trainer, run through the protocol as in a pod."""

import datetime as dt
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.messages import MonitorRef, TrainRequest
from modelmonitor_api.resource import parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store
from modelmonitor_trainer.train.custom_trainer import conclude, prepare

FOLDER = Path(__file__).parents[3] / "examples" / "lightgbm-trainer"
NOW = dt.datetime(2013, 12, 31, tzinfo=dt.UTC)
METRICS = {
    "BinaryClassification": "ROCAUC",
    "MulticlassClassification": "LogLoss",
    "Regression": "RootMeanSquaredError",
}
STEPS = (("train", "train"), ("predict", "predict-challenger"), ("predict", "predict-champion"))


@pytest.fixture(scope="module")
def run_image():
    """Run the entry point of the image; needs lightgbm, which requirements/dev.in names."""
    main = runpy.run_path(str(FOLDER / "lightgbm_trainer.py"))["main"]

    def run(work):
        return [main([command, "--request", str(work / step / "request.json")]) for command, step in STEPS]

    return run


def outcome(task, signal):
    if task == "Regression":
        return signal
    if task == "BinaryClassification":
        return signal > 0
    return np.array(["low", "mid", "high"])[np.digitize(signal, [-0.5, 0.5])]


class World:
    """Days of rows, a monitor with a custom trainer, and its trainings."""

    def __init__(self, folder, task):
        self.folder, self.task, self.store = folder, task, open_store(None)
        self.spec: dict[str, Any] = {
            "schedule": "0 6 * * *",
            "storage": {"resultsURI": f"{uri_of(folder)}/results/"},
            "data": {"live": {"uri": f"{uri_of(folder)}/rows/date=%Y-%m-%d/"}},
            "model": {
                "task": task,
                "target": "y",
                "features": [
                    {"name": "count", "type": "Numeric"},
                    {"name": "odd, name: {é}", "type": "Numeric"},
                    {"name": "kind", "type": "Categorical"},
                ],
            },
            "retraining": {"windowDays": 10, "trainer": {"image": "modelmonitor/example-lightgbm:1"}},
            "promotion": {"metric": METRICS[task], "holdoutDays": 4, "minHoldoutRows": 100},
        }

    def land(self, first, last, *, sign=1):
        for number in range(first, last + 1):
            g = np.random.default_rng(number)
            count, other = g.integers(-5, 6, 100), g.normal(size=100)
            kind = g.choice(["a", "b", "new" if number > 12 else "c"], 100)
            signal = sign * (count / 3 + np.where(kind == "a", 1.0, 0.0)) + 0.5 * g.normal(size=100)
            path = self.folder / f"rows/date=2013-01-{number:02}/part.parquet"
            path.parent.mkdir(parents=True)
            gaps = pa.array(other, mask=g.random(100) < 0.1)
            columns = {"count": count, "odd, name: {é}": gaps, "kind": kind, "y": outcome(self.task, signal)}
            pq.write_table(pa.table(columns), path)

    def train(self, run_image, number=1, work="work"):
        request = TrainRequest(
            monitor=MonitorRef(namespace="ns", name="mon", uid="u"),
            spec=parse(ModelMonitorSpec, self.spec),
            number=number,
            reason="DriftDetected",
        )
        prepare(self.store, request, self.folder / work, job=f"job-{number}", now=NOW)
        assert run_image(self.folder / work) == [0, 0, 0]
        return conclude(self.store, request, self.folder / work, job=f"job-{number}", now=NOW)


@pytest.mark.parametrize("task", METRICS)
def test_two_generations_through_the_protocol(tmp_path, run_image, task):
    world = World(tmp_path, task)
    world.land(1, 14)
    first = world.train(run_image)
    assert (first.outcome, first.reason) == ("Promoted", "FirstModel"), first.message
    world.land(15, 28, sign=-1)
    second = world.train(run_image, 2)
    assert (second.outcome, second.reason) == ("Promoted", "Better"), second.message
    registry = ModelRegistry(world.store, ResultsLayout(f"{uri_of(tmp_path)}/results/ns/mon/"))
    champion = registry.champion()
    assert champion is not None
    record = registry.version(champion.version)
    assert (record.version, record.compared_with, record.kind) == (second.version, first.version, "Custom")
    assert {"model/booster.txt", "model/encoding.json"} < {stored.name for stored in record.files}


def test_the_same_request_the_same_model(tmp_path, run_image):
    models = []
    for name in ("one", "two"):
        world = World(tmp_path / name, "BinaryClassification")
        world.land(1, 14)
        world.train(run_image)
        models.append((world.folder / "work/challenger/booster.txt").read_bytes())
    assert models[0] == models[1]


def test_a_warm_start_adds_to_the_champions_trees(tmp_path, run_image, monkeypatch):
    monkeypatch.setenv("ROUNDS", "20")
    world = World(tmp_path, "BinaryClassification")
    world.spec["retraining"]["strategy"] = "WarmStart"
    world.land(1, 14)
    world.train(run_image)
    trees = [(tmp_path / "work/challenger/booster.txt").read_text().count("\nTree=")]
    codes = [json.loads((tmp_path / "work/challenger/encoding.json").read_text())["kind"]]
    world.land(15, 28)
    world.train(run_image, 2)
    trees.append((tmp_path / "work/challenger/booster.txt").read_text().count("\nTree="))
    codes.append(json.loads((tmp_path / "work/challenger/encoding.json").read_text())["kind"])
    assert trees == [20, 40]
    assert codes == [["a", "b", "c"], ["a", "b", "c", "new"]], "codes keep their meaning"


def test_unsupported_requests_are_rejected(tmp_path, run_image, monkeypatch, caplog):
    for name in ("train", "predict-challenger", "predict-champion"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "request.json").write_text(json.dumps({"protocol": 2, "skip": None}))
    assert run_image(tmp_path) == [1, 1, 1]
    assert "protocol" in caplog.text
    monkeypatch.setenv("ROUNDS", "many")
    (tmp_path / "train/request.json").write_text(json.dumps({"protocol": 1, "skip": None}))
    assert run_image(tmp_path)[0] == 1
    assert "ROUNDS" in caplog.text
    for name in ("train", "predict-challenger", "predict-champion"):
        (tmp_path / name / "request.json").write_text(json.dumps({"protocol": 1, "skip": "no champion"}))
    assert run_image(tmp_path) == [0, 0, 0]
