"""Trainings from the first one to a rollback, and their outcome if no model can be trained."""

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.messages import encode_answer
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.data.manifest import objects_of
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.storage.local import path_of
from modelmonitor_trainer.train.compare import compare
from unit.train.conftest import VERSION_FILES

NOW = dt.datetime(2013, 12, 31, 6, tzinfo=dt.UTC)


def test_the_first_model(world):
    verdict = world.train()
    assert (verdict.outcome, verdict.reason) == ("Promoted", "FirstModel"), verdict.message
    assert (verdict.train_rows, verdict.holdout_rows) == (1000, 400)
    assert verdict.comparison.champion is None
    assert verdict.comparison.challenger > 0.8
    pointer = world.champion()
    assert pointer.version == verdict.version == verdict.champion.version
    assert pointer.data_end == dt.date(2013, 1, 12), "sixteen days are mature, four of them held out"
    assert verdict.champion.data_end == dt.datetime(2013, 1, 13, tzinfo=dt.UTC)
    assert len(encode_answer(verdict)) < 2048
    written = world.results()
    assert {path.rsplit("/", 1)[1] for path in written if path.startswith("versions/")} == VERSION_FILES
    assert {path for path in written if path.startswith("runs/")} == {
        f"runs/u-1/1/{name}"
        for name in ("request.json", "manifest.json", "compared-with.json", "report.html", "verdict.json")
    }


def test_lineage(world):
    verdict = world.train()
    record = world.registry.version(verdict.version)
    manifest = world.registry.manifest(world.registry.version(verdict.version))
    assert record.manifest_sha256 == manifest.sha256
    assert (manifest.train, manifest.holdout) == (
        (dt.date(2013, 1, 3), dt.date(2013, 1, 12)),
        (dt.date(2013, 1, 13), dt.date(2013, 1, 16)),
    )
    infos = objects_of(manifest.features, manifest.train)
    assert len(infos) == 10
    assert all(world.store.head(info.uri).etag == info.etag for info in infos)
    parameters = json.loads(world.results()[f"versions/{verdict.version}/parameters.json"])
    assert parameters["ignoredFeatures"] == ["gust"]
    assert parameters["effectiveParameters"]["random_state"] == 0
    environment = json.loads(world.results()[f"versions/{verdict.version}/environment.json"])
    assert environment["libraries"]["scikit-learn"]
    card = world.results()[f"versions/{verdict.version}/card.md"].decode()
    assert "Trained on 1,000 labelled rows of 2013-01-03 through 2013-01-12" in card
    assert "gust" in card


def test_the_same_data_give_the_same_model(another):
    records = []
    for _ in range(2):
        world = another()
        verdict = world.train()
        records.append(world.registry.version(verdict.version))
    assert records[0].predictions_sha256 == records[1].predictions_sha256


def test_a_rollback_after_a_promotion(world):
    first = world.train(1)
    world.land(19, 40, slope=-2.0)
    second = world.train(2)
    assert (second.outcome, second.reason) == ("Promoted", "Better"), second.message
    assert second.comparison.champion < 0.3
    assert second.comparison.low > 0.4
    back = world.handle_rollback()
    assert (back.outcome, back.version) == ("RolledBack", first.version)
    assert world.handle_rollback().version == first.version, "the same job again"
    assert world.champion().previous == second.version


def test_a_worse_model_is_rejected(world):
    first = world.train(1)
    world.land(19, 30, slope=-2.0)
    world.land(31, 36)
    second = world.train(2)
    assert (second.outcome, second.reason) == ("Rejected", "NotBetterThanBaseline"), second.message
    assert second.comparison.high < -0.5, "also much worse than the champion"
    assert world.champion().version == first.version
    record = world.registry.version(second.version)
    assert record.compared_with == first.version
    with pytest.raises(BadConfiguration, match="Rejected"):
        world.promote(second.version)


def test_the_holdout_is_after_the_champions_training_window(world):
    world.train(1)
    world.land(19, 22)
    world.spec["promotion"]["holdoutDays"] = 60
    world.spec["retraining"]["windowDays"] = 9  # not the days of the champion, which would be nothing new
    second = world.train(2)
    manifest = world.registry.manifest(world.registry.version(second.version))
    assert manifest.holdout == (dt.date(2013, 1, 13), dt.date(2013, 1, 20)), "not sixty days: the champion saw the 12th"
    assert manifest.train[1] == dt.date(2013, 1, 12)


def test_no_new_days_are_nothing_new(world):
    world.train(1)
    for number in range(13, 19):
        path_of(f"{world.base}/rows/date=2013-01-{number}/part.parquet").unlink()
    verdict = world.train(2)
    assert (verdict.outcome, verdict.reason) == ("NothingNew", "SameData")
    assert "2013-01-12" in verdict.message
    assert verdict.version is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.spec["promotion"].update(minHoldoutRows=5000), "minHoldoutRows is 5,000"),
        (lambda w: w.spec["data"]["labels"].update(uri=f"{w.base}/none/date=%Y-%m-%d/"), "No labels have arrived"),
        (lambda w: w.spec["retraining"].update(windowDays=1, budget={"count": 1, "perDays": 1}), None),
        (lambda w: w.land(1, 18, count=5), "too few to train on"),
        (lambda w: w.land(1, 18, late=False), "nothing to learn"),
        (
            lambda w: w.spec["model"]["features"].append({"name": "origin", "type": "Numeric"}),
            "10 of 10 days of the training window violate the feature contract, first 2013-01-03: column 'origin'",
        ),
    ],
)
def test_too_little_data_is_inconclusive(world, change, words):
    change(world)
    verdict = world.train()
    if words is None:
        assert verdict.outcome == "Promoted", verdict.message
        return
    assert verdict.outcome == "Inconclusive", verdict.message
    assert words in verdict.message
    assert world.champion() is None
    assert world.train() == verdict


def test_join_keys_that_never_match_are_named(world):
    for number in range(1, 19):
        day = f"2013-01-{number:02}"
        world.put(
            f"labels/date={day}/part.parquet", {"id": [f"other-{number}-{i}" for i in range(100)], "late": [True] * 100}
        )
    verdict = world.train()
    assert verdict.outcome == "Inconclusive"
    assert "joinKey (id)" in verdict.message


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda w: w.spec["data"]["live"].update(uri=f"{w.base}/none/date=%Y-%m-%d/"), NotFound, "no partition"),
        (lambda w: w.spec["model"]["features"].append({"name": "tmp", "type": "Numeric"}), BadData, "'tmp'"),
        (lambda w: w.spec["model"].update(target="id"), BadData, "values"),
        (
            lambda w: w.spec["retraining"]["estimator"].update(parameters=[{"name": "depth", "value": "3"}]),
            BadConfiguration,
            "depth",
        ),
        (
            lambda w: w.spec["retraining"].update(estimator=None, trainer={"image": "mine:1"}),
            BadConfiguration,
            "train-prepare",
        ),
    ],
)
def test_errors_name_what_to_change(world, change, kind, words):
    change(world)
    if world.spec["retraining"]["estimator"] is None:
        del world.spec["retraining"]["estimator"]
    with pytest.raises(kind, match=words):
        world.train()


def test_holdout_days_with_few_outcomes_are_left_out(world):
    """Every hold-out day has a fifth of its outcomes, and the days before have all."""
    del world.spec["data"]["labels"]
    for number in range(1, 19):
        g = np.random.default_rng(number)
        x = g.normal(size=200)
        truth = g.random(200) < 1 / (1 + np.exp(-2 * x))
        known = np.arange(200) < (200 if number <= 14 else 40)
        rows = {"x": x, "gust": [None] * 200, "kind": ["a"] * 200, "origin": ["EWR"] * 200}
        world.put(f"rows/date=2013-01-{number:02d}/part.parquet", {**rows, "late": pa.array(truth, mask=~known)})
    verdict = world.train()
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooFewRows"), verdict.message
    assert "160 labelled rows are left out" in verdict.message


def test_a_reused_number_is_another_training(world):
    first = world.train(1)
    world.land(19, 40, slope=-2.0)
    world.spec["promotion"]["confidence"] = "0.9"
    again = world.train(1)
    assert again.version != first.version
    assert (again.outcome, again.reason) == ("Promoted", "Better")


def test_a_model_that_awaits_approval(world):
    world.spec["promotion"]["mode"] = "Manual"
    verdict = world.train(1)
    assert verdict.outcome == "AwaitingApproval"
    assert verdict.version in verdict.message
    assert world.champion() is None
    approved = world.promote(verdict.version)
    assert (approved.outcome, approved.champion.version) == ("Promoted", verdict.version)
    again = world.promote(verdict.version)
    assert (again.outcome, len(world.champion().history)) == ("Promoted", 1)


def test_an_approval_that_comes_too_late(world):
    world.spec["promotion"]["mode"] = "Manual"
    verdict = world.train(1)
    world.spec["promotion"]["mode"] = "Auto"
    world.land(19, 24)
    other = world.train(2)
    late = world.promote(verdict.version)
    assert (late.outcome, late.reason) == ("Inconclusive", "ChampionChanged")
    assert world.champion().version == other.version
    with pytest.raises(NotFound, match="v9-00000000"):
        world.promote("v9-00000000")


def test_a_feature_that_leaks_the_target(world):
    for number in range(1, 19):
        day = f"2013-01-{number:02}"
        path = path_of(f"{world.base}/rows/date={day}/part.parquet")
        labels = pq.read_table(path_of(f"{world.base}/labels/date={day}/part.parquet"))
        rows = pq.read_table(path)
        pq.write_table(rows.append_column("delay", labels.column("late").cast("int32")), path)
    world.spec["model"]["features"].append({"name": "delay", "type": "Numeric"})
    verdict = world.train()
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooGoodToBeTrue")
    assert "delay" in verdict.message
    assert world.champion() is None
    assert world.promote(verdict.version).outcome == "Promoted", "the score was confirmed by a manual promotion"


def test_a_feature_removed_from_the_spec_is_still_read_for_the_champion(world):
    world.train(1)
    world.spec["model"]["features"] = [{"name": "x", "type": "Numeric"}]
    world.land(19, 30)
    assert world.train(2).comparison.champion > 0.7


def test_a_feature_that_is_no_longer_written_counts_as_missing_for_the_champion(world):
    world.train(1)
    world.spec["model"]["features"] = [{"name": "kind", "type": "Categorical"}, {"name": "y", "type": "Numeric"}]
    for number in range(19, 31):
        world.land(number, number)
        path = path_of(f"{world.base}/rows/date=2013-01-{number:02}/part.parquet")
        rows = pq.read_table(path)
        pq.write_table(rows.rename_columns(["y" if name == "x" else name for name in rows.column_names]), path)
    verdict = world.train(2)
    assert (verdict.outcome, verdict.reason) == ("Promoted", "Better"), verdict.message
    assert "'x' of the champion is no longer written and counts as missing for it" in verdict.message
    assert "because earlier rows lack 'y'" in verdict.message


def test_a_champion_that_cannot_score_the_rows_is_not_compared(world):
    world.spec["retraining"]["estimator"] = {"name": "LogisticRegression"}
    world.spec["model"]["features"] = [{"name": "x", "type": "Numeric"}]
    world.train(1)
    world.spec["retraining"]["estimator"]["preprocessing"] = {"numericImputation": "Median"}
    world.land(19, 30)
    for number in range(19, 31):
        path = path_of(f"{world.base}/rows/date=2013-01-{number:02}/part.parquet")
        rows = pq.read_table(path)
        x = [None, *rows["x"].to_pylist()[1:]]
        pq.write_table(rows.set_column(rows.column_names.index("x"), "x", pa.array(x)), path)
    verdict = world.train(2)
    assert (verdict.outcome, verdict.reason) == ("Promoted", "ChampionNotCompared"), verdict.message
    assert "cannot score the rows: LogisticRegression does not accept missing values" in verdict.message
    assert world.registry.version(verdict.version).compared_with == world.champion().previous


def test_a_damaged_champion_is_an_outcome_of_its_own(world):
    version = world.train(1).version
    world.land(19, 30)
    path = path_of(f"{world.prefix}versions/{version}/model.skops")
    path.write_bytes(path.read_bytes()[:500])
    verdict = world.train(2)
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "ChampionDamaged")
    assert "model.skops has changed since it was written" in verdict.message


@pytest.mark.parametrize("content", [b"{", None], ids=["damaged", "missing"])
def test_a_champion_without_a_record_is_named(world, content, capsys):
    version = world.train(1).version
    world.land(19, 30)
    path = path_of(f"{world.prefix}versions/{version}/version.json")
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    verdict = world.train(2)
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "ChampionDamaged")
    assert f"the record of the champion {version} cannot be used" in verdict.message.lower()
    assert main(["check", "-f", world.file(), "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["verdict"], document["reason"]) == ("ChampionUnusable", "Inconclusive")
    assert document["championProblem"].startswith(f"What the champion {version} was trained on is not known")
    assert document["message"].endswith("So there is nothing to compare with.")
    assert document["answer"]["champion"]["version"] == version
    assert "firstTraining" not in document["answer"], "it is not the time before the first model"


def test_another_task_is_not_compared(world):
    world.train(1)
    world.land(19, 30)
    world.spec["model"] |= {"task": "Regression", "target": "x", "features": [{"name": "kind", "type": "Categorical"}]}
    world.spec["data"]["labels"] = None
    del world.spec["data"]["labels"]
    world.spec["retraining"]["estimator"] = {"name": "Ridge"}
    world.spec["promotion"]["metric"] = "R2"
    verdict = world.train(2)
    assert (verdict.outcome, verdict.reason) == ("Rejected", "NotBetterThanBaseline")
    world.spec["model"]["features"].append({"name": "z", "type": "Numeric"})
    for number in range(1, 31):
        path = path_of(f"{world.base}/rows/date=2013-01-{number:02}/part.parquet")
        rows = pq.read_table(path)
        z = rows["x"].to_numpy() + 0.5 * np.random.default_rng(number + 1000).normal(size=rows.num_rows)
        pq.write_table(rows.append_column("z", pa.array(z)), path)
    verdict = world.train(3)
    assert (verdict.outcome, verdict.reason) == ("Promoted", "ChampionNotCompared"), verdict.message
    assert "predicts 'late' (BinaryClassification), and the spec declares 'x' (Regression)" in verdict.message


@pytest.mark.parametrize(
    ("task", "metric"), [("Regression", "RootMeanSquaredError"), ("MulticlassClassification", "LogLoss")]
)
def test_other_tasks_and_targets_among_the_rows(world, task, metric):
    g = np.random.default_rng(0)
    for number in range(1, 31):
        x = g.normal(size=100)
        y = x + 0.5 * g.normal(size=100)
        target = y if task == "Regression" else np.array(["low", "mid", "high"])[np.digitize(y, [-0.5, 0.5])]
        world.put(f"rows/date=2013-01-{number:02}/part.parquet", {"x": x, "y": target, "origin": ["EWR"] * 100})
        if number == 18:
            break
    del world.spec["data"]["labels"]
    world.spec["model"] |= {"task": task, "target": "y", "features": [{"name": "x", "type": "Numeric"}]}
    name = "HistGradientBoostingRegressor" if task == "Regression" else "HistGradientBoostingClassifier"
    world.spec["retraining"]["estimator"] = {"name": name, "parameters": [{"name": "max_iter", "value": "30"}]}
    world.spec["promotion"]["metric"] = metric
    verdict = world.train()
    assert verdict.outcome == "Promoted", verdict.message
    page = world.results()["runs/u-1/1/report.html"].decode()
    assert ("Residuals" in page) is (task == "Regression")


def test_two_versions_on_the_newest_rows(world):
    first = world.train(1)
    world.land(19, 40, slope=-2.0)
    second = world.train(2)
    world.land(41, 50)
    before = world.results()
    comparison = compare(world.registry, world.parsed(), first.version, None, now=NOW)
    assert comparison["championVersion"] == second.version
    assert (comparison["outcome"], comparison["reason"]) == ("Passed", "Better")
    assert json.loads(json.dumps(comparison)) == comparison
    assert world.results() == before
    with pytest.raises(BadConfiguration, match="itself"):
        compare(world.registry, world.parsed(), second.version, None, now=NOW)


@pytest.mark.parametrize(("days", "window"), [(range(1, 13), "training window"), (range(13, 17), "hold-out")])
def test_a_low_share_of_labels_is_inconclusive(world, days, window):
    """Labels that arrive first can be unlike the others, so they are not enough."""
    for number in days:
        path = path_of(f"{world.base}/labels/date={dt.date(2013, 1, number)}/part.parquet")
        pq.write_table(pq.read_table(path).slice(0, 40), path)
    verdict = world.train()
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooFewRows"), verdict.message
    assert f"rows of the {window} have a label, which is less than data.labels.minShare (0.5)" in verdict.message
    world.spec["data"]["labels"]["minShare"] = "0.3"
    assert world.train(2).outcome == "Promoted"


@pytest.mark.parametrize("among_rows", [False, True])
def test_an_outcome_of_nan_is_missing(world, among_rows):
    """pandas writes missing values as NaN."""
    for number in range(1, 19):
        day = dt.date(2013, 1, number)
        rows, labels = (path_of(f"{world.base}/{kind}/date={day}/part.parquet") for kind in ("rows", "labels"))
        late = pq.read_table(labels).column("late").to_numpy().astype(float)
        late[:5] = np.nan
        path = rows if among_rows else labels
        table = pq.read_table(path)
        table = table.drop_columns(["late"]) if "late" in table.column_names else table
        pq.write_table(table.append_column("late", pa.array(late)), path)
    if among_rows:
        del world.spec["data"]["labels"]
    verdict = world.train()
    assert verdict.outcome == "Promoted", verdict.message
    assert verdict.train_rows == 950
    assert world.registry.version(verdict.version).classes == ["0", "1"]


def test_the_current_day_is_not_trained_on(world):
    world.land(19, 19, count=5)
    verdict = world.train(now=dt.datetime(2013, 1, 19, 2, 30, tzinfo=dt.UTC))
    assert (verdict.train_rows, verdict.holdout_rows) == (1000, 400)
    assert world.champion().data_end == dt.date(2013, 1, 12), "as without the partition that is still being written"


def test_a_key_of_folders_can_be_a_feature(world):
    for number in range(1, 19):
        folder = path_of(f"{world.base}/rows/date={dt.date(2013, 1, number)}")
        rows = pq.read_table(folder / "part.parquet")
        (folder / "part.parquet").unlink()
        for region, part in (("eu", rows.slice(0, 60)), ("us", rows.slice(60))):
            (folder / f"region={region}").mkdir()
            pq.write_table(part, folder / f"region={region}" / "part.parquet")
    world.spec["model"]["features"].append({"name": "region", "type": "Categorical"})
    verdict = world.train()
    assert (verdict.outcome, verdict.train_rows, verdict.holdout_rows) == ("Promoted", 1000, 400), verdict.message
