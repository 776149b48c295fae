"""Scores of the champion are computed once for each row, and results do not depend on whether they are stored."""

import json
import logging
import shutil

import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.check import predictor
from modelmonitor_trainer.check.detectors import performance
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.registry import model_files
from modelmonitor_trainer.storage.local import path_of
from unit.train.conftest import World, champion_world


@pytest.fixture(autouse=True)
def _new_process(monkeypatch):
    monkeypatch.setattr(predictor, "_LOADED", {})


@pytest.fixture
def world(tmp_path):
    """A world with a champion, which later days follow."""
    return champion_world(tmp_path)


@pytest.fixture
def without_model(monkeypatch):
    """Fail if a model is loaded."""

    def refuse():
        def load_model(*_):
            raise AssertionError("a model is loaded")

        monkeypatch.setattr(model_files, "load_model", load_model)
        predictor._LOADED.clear()

    return refuse


def check(world, capsys):
    assert main(["check", "-f", world.file(), "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    return {name: part for name, part in document.items() if name not in {"answer", "timings", "time"}}


def entries(world):
    return sorted(path_of(f"{world.prefix}scores/").rglob("*.scores"))


def forget(world):
    shutil.rmtree(path_of(f"{world.prefix}scores"))
    predictor._LOADED.clear()


def test_a_check_with_stored_scores_loads_no_model_and_has_the_same_result(world, capsys, without_model):
    first = check(world, capsys)
    assert first["performance"][0]["rows"] == 1000, "of the ten mature days"
    assert len(entries(world)) == 10
    without_model()
    assert check(world, capsys) == first


def test_features_of_scored_days_are_not_read_again(world, capsys, monkeypatch):
    check(world, capsys)

    def read_table(*_, **__):
        raise AssertionError("rows are read")

    monkeypatch.setattr("modelmonitor_trainer.check.stored_scores.read_table", read_table)
    check(world, capsys)


def test_only_a_new_day_is_scored(world, capsys):
    check(world, capsys)
    before = entries(world)
    world.land(31, 31)
    check(world, capsys)
    assert len(set(entries(world)) - set(before)) == 1


def change_labels(world, number, change):
    path = path_of(f"{world.base}/labels/date=2013-01-{number:02}/part.parquet")
    columns = pq.read_table(path).to_pydict()
    world.put(f"labels/date=2013-01-{number:02}/part.parquet", change(columns))


@pytest.mark.parametrize(
    ("change", "more"),
    [
        (lambda columns: {"id": columns["id"][:60], "late": columns["late"][:60]}, 1),
        (lambda columns: {"id": columns["id"], "late": [not value for value in columns["late"]]}, 0),
    ],
    ids=["fewer rows with a label", "corrected labels"],
)
def test_labels_that_change_count_at_once(world, capsys, change, more):
    first = check(world, capsys)
    change_labels(world, 22, change)
    second = check(world, capsys)
    assert second["performance"][0]["score"] != first["performance"][0]["score"]
    assert len(entries(world)) == 10 + more, "rows are scored again only if other rows are"
    forget(world)
    assert check(world, capsys) == second


def test_rows_that_are_replaced_are_scored_again(world, capsys):
    first = check(world, capsys)
    path = path_of(f"{world.base}/rows/date=2013-01-22/part.parquet")
    columns = pq.read_table(path).to_pydict()
    world.put("rows/date=2013-01-22/part.parquet", columns | {"x": [-value for value in columns["x"]]})
    second = check(world, capsys)
    assert second["performance"][0]["score"] < first["performance"][0]["score"]
    forget(world)
    assert check(world, capsys) == second


@pytest.mark.parametrize(
    "damage",
    [
        lambda content, _: content[: len(content) // 2],
        lambda _content, _: b"",
        lambda _content, other: other,
    ],
    ids=["truncated", "empty", "of another day"],
)
def test_damaged_scores_are_computed_again(world, capsys, caplog, damage):
    change_labels(world, 22, lambda columns: {"id": columns["id"][:60], "late": columns["late"][:60]})
    first = check(world, capsys)
    sizes = {path: len(path.read_bytes()) for path in entries(world)}
    shortest, longest = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    intact = longest.read_bytes()
    longest.write_bytes(damage(intact, shortest.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert check(world, capsys) == first
    assert "computed again" in caplog.text
    assert longest.read_bytes() == intact, "and stored again"


def test_the_sample_of_large_days_is_not_stored(world, capsys, monkeypatch):
    monkeypatch.setattr(performance, "MAX_ROWS", 500)
    document = check(world, capsys)
    assert document["performance"][0]["rows"] == 500
    assert not path_of(f"{world.prefix}scores").exists()


def test_scores_of_rows_that_contain_the_target(tmp_path, capsys, without_model):
    world = World(tmp_path)
    world.spec["data"] = {"live": world.spec["data"]["live"] | {"windowDays": 12}}
    world.land(1, 30)
    for number in range(1, 31):
        parts = [f"{part}/date=2013-01-{number:02}/part.parquet" for part in ("rows", "labels")]
        rows, labels = (pq.read_table(path_of(f"{world.base}/{part}")).to_pydict() for part in parts)
        # Some outcomes are not known yet.
        world.put(parts[0], rows | {"late": [None, *labels["late"][1:]]})
    for number in range(19, 31):
        path_of(f"{world.base}/rows/date=2013-01-{number:02}").rename(tmp_path / f"later-{number}")
    assert world.train().outcome == "Promoted"
    for number in range(19, 31):
        (tmp_path / f"later-{number}").rename(path_of(f"{world.base}/rows/date=2013-01-{number:02}"))
    first = check(world, capsys)
    assert first["performance"][0]["rows"] == 12 * 99
    without_model()
    assert check(world, capsys) == first


def test_a_model_that_this_image_cannot_load_is_named_although_nothing_is_to_be_scored(world, capsys, monkeypatch):
    """Stored scores show that the model can be loaded; without them it is loaded, whatever the labels."""
    monkeypatch.setattr(model_files, "TRUSTED_TYPES", frozenset())
    monkeypatch.setattr("skops.io.get_untrusted_types", lambda **_: ["os.system"])
    for number in range(19, 31):
        change_labels(world, number, lambda columns: {"id": ["x"] * len(columns["id"]), "late": columns["late"]})
    document = check(world, capsys)
    assert document["verdict"] == "ChampionUnusable"
    assert "os.system" in document["championProblem"]
