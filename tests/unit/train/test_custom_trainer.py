"""Custom trainers: their requests and data, and which of their output is accepted."""

import datetime as dt
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import Task
from modelmonitor_trainer.errors import BadConfiguration, BadData
from modelmonitor_trainer.registry.model_files import load_model
from modelmonitor_trainer.train.custom_trainer import conclude, prepare
from modelmonitor_trainer.train.custom_trainer_files import model_files, read_predictions, trainer_cost

NOW = dt.datetime(2013, 12, 31, 6, tzinfo=dt.UTC)


def use_custom_trainer(world):
    """Declare a custom trainer."""
    world.spec["retraining"].pop("estimator", None)
    world.spec["retraining"]["trainer"] = {"image": "mine:1", "env": [{"name": "DEPTH", "value": "6"}]}


def run_trainer(work):
    """Do what a trainer's image does: learn the slope of x, then predict with each model."""
    request = json.loads((work / "train/request.json").read_text())
    if request["skip"] is None:
        data = pd.read_parquet(request["data"])
        slope = float(np.cov(data["x"], data[request["target"]])[0, 1] * 8)
        (work / "challenger/deep").mkdir()
        (work / "challenger/deep/slope.json").write_text(json.dumps(slope))
        assert (request["champion"] is None) == (not any((work / "champion/model").iterdir()))
    for step in ("predict-challenger", "predict-champion"):
        request = json.loads((work / step / "request.json").read_text())
        if request["skip"] is not None:
            continue
        rows = pd.read_parquet(request["data"])
        assert "late" not in rows.columns
        slope = json.loads(Path(request["model"], "deep/slope.json").read_text())
        prediction = 1 / (1 + np.exp(-slope * rows["x"]))
        pq.write_table(pa.table({"prediction": prediction}), request["predictions"])


def training(world, work, number=1, trainer=run_trainer):
    job = f"mon-train-{number}"
    prepare(world.store, world.request(number), work, job=job, now=NOW)
    trainer(work)
    return conclude(world.store, world.request(number), work, job=job, now=NOW)


def test_from_the_first_model_to_the_next(world, tmp_path):
    use_custom_trainer(world)
    first = training(world, tmp_path / "work")
    assert (first.outcome, first.reason) == ("Promoted", "FirstModel"), first.message
    record = world.registry.version(first.version)
    assert record.kind == "Custom"
    assert float(world.registry.read_file(record, "model/deep/slope.json")) > 1
    with pytest.raises(BadConfiguration, match="predictionColumn"):
        load_model(world.registry, world.champion().version)
    world.land(19, 40, slope=-2.0)
    second = training(world, tmp_path / "work", 2)
    assert (second.outcome, second.reason) == ("Promoted", "Better"), second.message
    assert second.comparison.champion < 0.3


def test_the_layout(world, tmp_path):
    use_custom_trainer(world)
    prepare(world.store, world.request(), tmp_path, job="j", now=NOW)
    train = json.loads((tmp_path / "train/request.json").read_text())
    assert train["protocol"] == 1
    assert (train["kind"], train["skip"], train["champion"], train["seed"]) == ("Train", None, None, 0)
    assert (train["task"], train["target"], train["classes"]) == ("BinaryClassification", "late", ["0", "1"])
    assert [feature["name"] for feature in train["features"]] == ["x", "gust", "kind"]
    data = pq.read_table(train["data"])
    assert (data.num_rows, data.column_names) == (1000, ["x", "gust", "kind", "origin", "late"])
    assert set(data["late"].to_pylist()) == {0, 1}
    holdout = pq.read_table(tmp_path / "holdout/features.parquet")
    assert (holdout.num_rows, holdout.column_names) == (400, ["x", "gust", "kind", "origin"])
    challenger, champion = (
        json.loads((tmp_path / step / "request.json").read_text())
        for step in ("predict-challenger", "predict-champion")
    )
    assert (challenger["skip"], challenger["model"]) == (None, str(tmp_path / "challenger"))
    assert champion["skip"] == "there is no champion"


def test_nothing_to_train_skips_all_steps(world, tmp_path):
    use_custom_trainer(world)
    world.spec["promotion"]["minHoldoutRows"] = 5000
    verdict = training(world, tmp_path)
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooFewRows")
    for step in ("train", "predict-challenger", "predict-champion"):
        assert json.loads((tmp_path / step / "request.json").read_text())["skip"]


def test_a_restarted_pod(world, tmp_path):
    use_custom_trainer(world)
    prepare(world.store, world.request(), tmp_path / "one", job="j", now=NOW)
    run_trainer(tmp_path / "one")
    world.land(19, 25)
    verdict = training(world, tmp_path / "two")
    assert verdict.outcome == "Promoted"
    assert verdict.holdout_rows == 400, "of the frozen manifest"
    assert training(world, tmp_path / "three") == verdict


def test_a_champion_of_the_built_in_trainer_predicts_with_it(world, tmp_path):
    first = world.train(1)
    use_custom_trainer(world)
    world.land(19, 40, slope=-2.0)
    second = training(world, tmp_path, 2)
    assert (second.outcome, second.reason) == ("Promoted", "Better")
    record = world.registry.version(second.version)
    assert record.compared_with == first.version
    world.spec["retraining"].pop("trainer")
    world.spec["retraining"]["estimator"] = {"name": "HistGradientBoostingClassifier"}
    world.land(41, 50)
    third = world.train(3)
    assert (third.outcome, third.reason) == ("Inconclusive", "Incomparable")


def requests(work):
    return {
        step: json.loads((work / step / "request.json").read_text())
        for step in ("train", "predict-challenger", "predict-champion")
    }


def test_a_champion_of_another_target_does_not_predict(world, tmp_path):
    """Its predictions of another target would score badly against any challenger."""
    use_custom_trainer(world)
    first = training(world, tmp_path / "work")
    world.land(19, 40)
    world.spec["model"]["target"] = "cancelled"
    for number in range(1, 41):
        day = f"{dt.date(2013, 1, 1) + dt.timedelta(days=number - 1)}"
        truth = np.random.default_rng(number).random(100) < 0.5
        ids = [f"{day}-{row}" for row in range(100)]
        world.put(f"labels/date={day}/part.parquet", {"id": ids, "cancelled": truth})
    second = training(world, tmp_path / "work", 2)
    assert (second.outcome, second.reason) == ("Inconclusive", "Incomparable"), second.message
    assert "predicts 'late'" in second.message
    assert "a separate monitor" in second.message
    assert all(request["skip"] for request in requests(tmp_path / "work").values())
    assert world.champion().version == first.version


@pytest.mark.parametrize(
    ("image", "outcome"),
    [
        ("registry.test:5000/mine:2", "Promoted"),
        ("registry.test:5000/mine@sha256:0123", "Promoted"),
        ("registry.test:5000/other:1", "Inconclusive"),
    ],
)
def test_the_champion_of_another_image_does_not_predict(world, tmp_path, image, outcome):
    use_custom_trainer(world)
    world.image = world.spec["retraining"]["trainer"]["image"] = "registry.test:5000/mine:1"
    training(world, tmp_path / "work")
    world.land(19, 40, slope=-2.0)
    world.image = world.spec["retraining"]["trainer"]["image"] = image
    second = training(world, tmp_path / "work", 2)
    assert second.outcome == outcome, second.message
    if outcome == "Inconclusive":
        assert second.reason == "Incomparable"
        assert "mine:1" in second.message
        assert "other:1" in second.message


def test_a_champion_predicts_from_the_features_it_was_trained_with(world, tmp_path):
    use_custom_trainer(world)
    training(world, tmp_path / "work")
    world.land(19, 40)
    world.spec["model"]["features"] = [{"name": "kind", "type": "Categorical"}]
    prepare(world.store, world.request(2), tmp_path / "work", job="mon-train-2", now=NOW)
    by_step = requests(tmp_path / "work")
    names = {step: [feature["name"] for feature in request["features"]] for step, request in by_step.items()}
    assert names["train"] == names["predict-challenger"] == ["kind"]
    assert names["predict-champion"] == ["x", "gust", "kind"]
    assert set(pq.read_table(by_step["predict-champion"]["data"]).column_names) == {"x", "gust", "kind", "origin"}
    assert pq.read_table(by_step["train"]["data"]).column_names == ["kind", "origin", "late"]


def test_a_champion_that_changed_between_two_pods(world, tmp_path):
    """The files were prepared for an earlier champion; a version must not be compared with two champions."""
    use_custom_trainer(world)
    first = training(world, tmp_path / "work")
    world.land(19, 40, slope=-2.0)
    second = training(world, tmp_path / "work", 2)
    world.land(41, 60, slope=-2.0)
    prepare(world.store, world.request(3), tmp_path / "one", job="mon-train-3", now=NOW)
    world.handle_rollback()
    assert world.champion().version == first.version
    prepare(world.store, world.request(3), tmp_path / "two", job="mon-train-3", now=NOW)
    assert "the champion changed from" in requests(tmp_path / "two")["train"]["skip"]
    verdict = conclude(world.store, world.request(3), tmp_path / "two", job="mon-train-3", now=NOW)
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "ChampionChanged")
    assert second.version in verdict.message


def test_the_steps_of_a_custom_trainer_need_an_image(world, tmp_path):
    with pytest.raises(BadConfiguration, match=r"trainer\.image"):
        prepare(world.store, world.request(), tmp_path, job="j", now=NOW)
    use_custom_trainer(world)
    with pytest.raises(BadConfiguration, match="train-prepare"):
        conclude(world.store, world.request(), tmp_path, job="j", now=NOW)


def predictions(work, columns):
    pq.write_table(pa.table(columns), work / "predict-challenger/predictions.parquet")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda w: (w / "predict-challenger/predictions.parquet").unlink(), "container predict-challenger"),
        (lambda w: (w / "predict-challenger/predictions.parquet").write_bytes(b"PAR1"), "cannot be read"),
        (lambda w: predictions(w, {"score": [0.5] * 400}), "no column 'prediction'"),
        (lambda w: predictions(w, {"prediction": [0.5] * 399}), "399 rows for 400"),
        (lambda w: predictions(w, {"prediction": [0.5] * 399 + [None]}), "missing or infinite"),
        (lambda w: predictions(w, {"prediction": [0.5] * 399 + [1.5]}), "outside 0 to 1"),
        (lambda w: predictions(w, {"prediction": ["x"] * 400}), "cannot be read"),
        (lambda w: (w / "challenger/deep/slope.json").unlink(), "no model"),
        (lambda w: (w / "challenger/key").symlink_to("/etc/passwd"), "not a regular file"),
        (lambda w: os.mkfifo(w / "challenger/pipe"), "not a regular file"),
        (lambda w: (w / "challenger/a\nb").write_text(""), "printable ASCII"),
    ],
)
def test_rejected_output(world, tmp_path, spoil, words):
    use_custom_trainer(world)

    def spoiled(work):
        run_trainer(work)
        spoil(work)

    with pytest.raises(BadData, match=words):
        training(world, tmp_path, trainer=spoiled)
    assert world.champion() is None


def test_predictions_of_several_classes(tmp_path):
    def written(columns):
        pq.write_table(pa.table(columns), tmp_path / "predictions.parquet")
        return read_predictions(tmp_path, 2, ["a", "b"], Task.MULTICLASS_CLASSIFICATION)

    assert written({"b": [0.25, 1.0], "a": [0.75, 0.0]}).tolist() == [[0.75, 0.25], [0.0, 1.0]]
    with pytest.raises(BadData, match="add up to 1"):
        written({"a": [0.5, 0.5], "b": [0.5, 0.4]})


def test_model_files_are_sorted(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("z", "b/a", "a"):
        (tmp_path / name).write_text(name)
    assert [name for name, _ in model_files(tmp_path)] == ["a", "b/a", "z"]


def test_the_cost_of_a_training_is_recorded_and_shown(world, tmp_path):
    use_custom_trainer(world)

    def report_cost(work):
        run_trainer(work)
        path = json.loads((work / "train/request.json").read_text())["resources"]
        Path(path).write_text('{"seconds": 81.5, "peakMemoryBytes": 734003200}')

    verdict = training(world, tmp_path, trainer=report_cost)
    record = world.registry.find_version(verdict.version)
    assert (record.train_seconds, record.peak_memory_bytes) == (81.5, 734003200)
    assert "81.5 s, peak memory 700 MiB" in world.results()[f"versions/{verdict.version}/card.md"].decode()


def test_the_time_of_a_trainer_that_reports_no_cost_is_measured(world, tmp_path):
    use_custom_trainer(world)

    def slow(work):
        run_trainer(work)
        laid_out = (work / "train/request.json").stat().st_mtime
        for path in (work / "challenger").rglob("*"):
            os.utime(path, (laid_out + 60, laid_out + 60))

    verdict = training(world, tmp_path, trainer=slow)
    record = world.registry.find_version(verdict.version)
    assert record.train_seconds == pytest.approx(60, abs=0.01)
    assert record.peak_memory_bytes is None
    card = world.results()[f"versions/{verdict.version}/card.md"].decode()
    assert "60.0 s" in card
    assert "peak memory" not in card


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ("nonsense", (10, None)),
        ("[1]", (10, None)),
        ('{"seconds": -1, "peakMemoryBytes": true}', (10, None)),
        ('{"seconds": "5", "peakMemoryBytes": 1e300}', (10, None)),
        ('{"seconds": 5}', (5, None)),
        ('{"peakMemoryBytes": 7.0}', (10, 7)),
        (" " * 5000, (10, None)),
    ],
)
def test_an_invalid_cost_report_is_ignored(tmp_path, resources, expected):
    (tmp_path / "model").mkdir()
    for name, time in (("request.json", 1000), ("model/file", 1010)):
        (tmp_path / name).write_text("{}")
        os.utime(tmp_path / name, (time, time))
    (tmp_path / "resources.json").write_text(resources)
    cost = trainer_cost(tmp_path / "request.json", tmp_path / "resources.json", tmp_path / "model")
    assert cost
    assert (cost.seconds, cost.peak_bytes) == expected


def test_a_clock_set_back_gives_no_time(tmp_path):
    (tmp_path / "model").mkdir()
    for name, time in (("request.json", 1000), ("model/file", 900)):
        (tmp_path / name).write_text("{}")
        os.utime(tmp_path / name, (time, time))
    assert trainer_cost(tmp_path / "request.json", tmp_path / "none", tmp_path / "model") is None
