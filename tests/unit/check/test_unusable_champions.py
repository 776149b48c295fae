"""A champion that cannot be loaded or scored is a verdict of its own; new classes count against it."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.storage.local import path_of
from unit.train.conftest import World, champion_world


@pytest.fixture
def world(tmp_path):
    """A world with a champion, which later days follow."""
    return champion_world(tmp_path)


def check(world, capsys, *arguments):
    code = main(["check", "-f", world.file(), "--output", "json", *arguments])
    printed = capsys.readouterr()
    assert printed.out, printed.err
    return code, json.loads(printed.out)


def test_a_damaged_model_is_named_whatever_the_labels(world, capsys):
    path = path_of(f"{world.prefix}versions/{world.champion().version}/model.skops")
    path.write_bytes(path.read_bytes()[:900])
    code, document = check(world, capsys, "--fail-on", "ChampionUnusable")
    assert (code, document["verdict"], document["reason"]) == (10, "ChampionUnusable", "ChampionUnusable")
    assert "model.skops has changed since it was written" in document["message"]
    assert document["championProblem"] in document["message"]
    world.spec["data"]["labels"]["delayDays"] = 60
    _, document = check(world, capsys)
    assert document["championProblem"], "without any mature label, too"
    path.unlink()
    _, document = check(world, capsys)
    assert document["verdict"] == "ChampionUnusable"


def test_rows_that_the_champion_cannot_score_are_named(world, capsys):
    world.spec["model"]["features"] = [{"name": "kind", "type": "Categorical"}]
    for number in range(19, 31):
        path = path_of(f"{world.base}/rows/date=2013-01-{number:02}/part.parquet")
        rows = pq.read_table(path)
        words = pa.array([f"v{value:.2f}" for value in rows["x"].to_pylist()])
        pq.write_table(rows.set_column(rows.column_names.index("x"), "x", words), path)
    _, document = check(world, capsys)
    assert document["verdict"] == "ChampionUnusable", document["message"]
    assert "column 'x' is string and declared Numeric" in document["championProblem"]


def test_a_feature_that_is_no_longer_written_counts_as_missing(world, capsys):
    world.spec["model"]["features"] = [{"name": "kind", "type": "Categorical"}]
    for number in range(19, 31):
        path = path_of(f"{world.base}/rows/date=2013-01-{number:02}/part.parquet")
        pq.write_table(pq.read_table(path).drop_columns(["x"]), path)
    _, document = check(world, capsys)
    assert document["performanceDropped"]
    message = document["performance"][0]["message"]
    assert "'x' of the champion is no longer written and counts as missing" in message


def test_a_champion_of_another_target_is_not_scored(tmp_path, capsys):
    """Its probabilities would be compared with the new target as if they were predictions of it."""
    world = World(tmp_path)
    world.spec["data"]["live"]["windowDays"] = 12
    world.land(1, 30)
    for number in range(1, 31):
        path = path_of(f"{world.base}/labels/date=2013-01-{number:02}/part.parquet")
        labels = pq.read_table(path)
        pq.write_table(labels.append_column("minutes", pa.array(np.arange(labels.num_rows) * 1.0)), path)
    assert world.train().outcome == "Promoted"
    world.spec["model"] |= {"task": "Regression", "target": "minutes"}
    world.spec["promotion"]["metric"] = "RootMeanSquaredError"
    world.spec["retraining"]["estimator"]["name"] = "Ridge"
    _, document = check(world, capsys)
    assert document["verdict"] == "ChampionUnusable", document["message"]
    assert "predicts 'late' (BinaryClassification), and the spec declares 'minutes'" in document["championProblem"]
    assert document["performance"][0]["score"] is None


@pytest.mark.parametrize("metric", ["LogLoss", "BalancedAccuracy", "ROCAUC", "Accuracy"])
def test_check_and_gate_score_new_classes_alike(tmp_path, capsys, metric):
    world = World(tmp_path)
    world.spec["data"] = {"live": world.spec["data"]["live"] | {"windowDays": 12}}
    world.spec["model"] |= {"task": "MulticlassClassification", "target": "colour", "slices": []}
    world.spec["model"]["features"] = [{"name": "x", "type": "Numeric"}]
    world.spec["promotion"]["metric"] = metric
    world.spec["promotion"]["holdoutDays"] = 12

    def land(first, last, new):
        for number in range(first, last + 1):
            g = np.random.default_rng(number)
            x = g.normal(size=200)
            names = np.array(["blue", "green", "red"])[np.digitize(x + 0.5 * g.normal(size=200), [-0.5, 0.5])]
            names = np.where(np.arange(200) < new, "violet", names)
            world.put(f"rows/date=2013-01-{number:02}/part.parquet", {"x": x, "colour": names})

    world.spec["promotion"]["holdoutDays"] = 4
    land(1, 16, 0)
    assert world.train().outcome == "Promoted"
    land(17, 28, 10)
    world.spec["promotion"]["holdoutDays"] = 12
    _, document = check(world, capsys)
    result = document["performance"][0]
    assert result["rows"] == 2400
    assert "120 rows count as errors, because their outcome ('violet')" in result["message"]
    verdict = world.train(2)
    assert verdict.comparison.champion == pytest.approx(result["score"], abs=1e-9)
