"""What a check of a monitor leaves out: days, hours, folders, objects and columns."""

import datetime as dt
import json
import shutil

import numpy as np
import pytest

from modelmonitor_api.messages import TrainRequest
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.detect.result import to_json
from modelmonitor_trainer.storage.local import path_of
from modelmonitor_trainer.train.train import train

FIRST = dt.date(2013, 1, 1)
NOW = dt.datetime(2013, 2, 10, 6, tzinfo=dt.UTC)


def check(world, now=NOW):
    """Return the document of a check, and reason → names of each part."""
    _, result = world.check(now=now)
    document = to_json(result)
    base = f"{world.base}/"
    parts = {
        part: {group["reason"]: [name.removeprefix(base) for name in group["names"]] for group in content["leftOut"]}
        for part, content in document["coverage"].items()
        if isinstance(content, dict) and "leftOut" in content
    }
    return document, parts


def remove(world, day):
    shutil.rmtree(path_of(f"{world.base}/rows/date={day}"))


def test_a_good_monitor_leaves_nothing_out(world):
    document, parts = check(world)
    assert document["verdict"] == "NoDrift"
    assert document["coverage"]["share"] == 1
    assert document["coverage"]["days"]["compared"] == {"reference": 25, "current": 7}
    assert parts == {"objects": {}, "days": {}, "columns": {}, "values": {}, "labels": {}}
    assert document["coverage"]["labels"]["compared"] == 450, "the keys of the newest three mature days"


def test_the_current_day_is_left_out_until_it_is_over(world):
    world.put("rows/date=2013-02-10/part.parquet", world.rows(dt.date(2013, 2, 10), count=10)[0])
    document, parts = check(world)
    assert (document["verdict"], document["current"]["end"]) == ("NoDrift", "2013-02-09")
    assert parts["days"] == {"UnfinishedDay": ["2013-02-10"]}
    assert any("2013-02-10" in note for note in document["notes"])
    document, _ = check(world, NOW + dt.timedelta(days=1))
    assert (document["verdict"], document["current"]["end"]) == ("Corrupted", "2013-02-10")


def test_a_day_of_the_future_is_named(world):
    world.put("rows/date=2031-02-10/part.parquet", world.rows(dt.date(2013, 2, 10))[0])
    assert check(world)[1]["days"] == {"FutureDay": ["2031-02-10"]}


@pytest.mark.parametrize("day", ["2013-02-09", "2013-02-06"])
def test_a_partition_without_rows_is_a_missing_one(world, day):
    rows, _ = world.rows(dt.date.fromisoformat(day))
    world.put(f"rows/date={day}/part.parquet", {name: np.asarray(values)[:0] for name, values in rows.items()})
    document, parts = check(world)
    assert document["verdict"] == "Corrupted"
    assert [(v["kind"], v["partitions"]) for v in document["violations"]] == [("MissingPartition", [day])]
    assert parts["days"] == {"MissingDay": [day]}


def test_days_at_the_start_of_the_live_window_are_missed_too(world):
    for day in ("2013-02-03", "2013-02-04"):
        remove(world, day)
    document, parts = check(world)
    assert document["verdict"] == "Inconclusive"
    assert "71.4 % of the days" in document["message"]
    assert parts["days"] == {"MissingDay": ["2013-02-03", "2013-02-04"]}


@pytest.mark.parametrize("gone", [range(1, 13), range(1, 26, 2)])
def test_half_of_the_reference_is_missing(world, gone):
    for number in gone:
        remove(world, FIRST + dt.timedelta(days=number - 1))
    document, parts = check(world)
    assert document["verdict"] == "Inconclusive"
    assert len(parts["days"]["MissingDay"]) == len(gone)


def test_days_before_the_first_data_are_not_missed(world):
    """A training window can be longer than the data go back, and then a live window can be, too."""
    world.spec["retraining"]["windowDays"] = 60
    world.spec["data"]["live"]["windowDays"] = 60
    request = TrainRequest(monitor=world.request().monitor, spec=world.parsed(), number=1, reason="Requested")
    assert train(world.store, request, job="mon-train-1", now=NOW).outcome == "Promoted"
    document, parts = check(world)
    assert document["reference"]["start"] < "2013-01-01"
    assert parts["days"] == {}


def test_days_that_the_training_left_out_are_not_missed(world):
    """They are named by the version. Otherwise one corrupted week would make all checks of a champion Inconclusive."""
    for number in range(14, 19):
        day = FIRST + dt.timedelta(days=number - 1)
        world.land(day, lambda rows: rows | {"x": ["n/a"] * len(rows["id"])})
    request = TrainRequest(monitor=world.request().monitor, spec=world.parsed(), number=1, reason="Requested")
    verdict = train(world.store, request, job="mon-train-1", now=NOW)
    assert "5 days that violate the contract" in verdict.message
    document, parts = check(world)
    assert parts["days"] == {}, document["message"]


def test_days_without_rows_that_the_champion_was_trained_around_are_not_missed(world):
    """Otherwise a gap made all checks Inconclusive for as long as it was in the training window, 90 days and more."""
    for number in range(8, 17):
        remove(world, FIRST + dt.timedelta(days=number - 1))
    request = TrainRequest(monitor=world.request().monitor, spec=world.parsed(), number=1, reason="Requested")
    assert train(world.store, request, job="mon-train-1", now=NOW).outcome == "Promoted"
    document, parts = check(world)
    assert document["verdict"] == "NoDrift"
    assert parts["days"] == {}, document["message"]


@pytest.mark.parametrize("begins", [35, 50])
def test_an_interruption_of_the_live_window_does_not_count_once_it_is_over(world, begins):
    """It ends with day 63; the window is days 43 to 70, so it begins before the window or within it."""
    world.spec["data"]["live"]["windowDays"] = 28
    world.land_days(41, 70)
    for number in range(begins, 64):
        remove(world, FIRST + dt.timedelta(days=number - 1))
    now = dt.datetime.combine(FIRST + dt.timedelta(days=70), dt.time(6), dt.UTC)
    document, parts = check(world, now)
    assert (document["verdict"], parts["days"]) == ("NoDrift", {}), document["message"]
    document, parts = check(world, now - dt.timedelta(days=1))
    assert document["verdict"] == ("Inconclusive" if begins == 35 else "Corrupted")
    assert len(parts["days"]["MissingDay"]) > 6


def test_weekdays_without_data_are_not_missed(world):
    for number in range(40):
        day = FIRST + dt.timedelta(days=number)
        if day.weekday() > 4:
            remove(world, day)
    world.spec["data"]["live"]["windowDays"] = 7
    document, parts = check(world)
    assert parts["days"] == {}
    assert document["coverage"]["days"]["compared"]["current"] == 5


def test_a_reference_that_overlaps_the_live_window_is_named(world):
    world.spec["data"]["reference"]["end"] = "2013-02-04"
    document, parts = check(world)
    assert parts["days"] == {"BothSides": ["2013-02-03", "2013-02-04"]}
    assert "On both sides, which hides changes: 2013-02-03, 2013-02-04." in document["notes"]
    assert document["coverage"]["days"]["share"] == pytest.approx(5 / 7)
    assert document["verdict"] == "Inconclusive", "two of seven days were compared with themselves"


def test_folders_and_objects_that_are_not_read(world):
    rows, _ = world.rows(dt.date(2013, 2, 5), seed=99)
    strange = {name: np.asarray(values) for name, values in rows.items()} | {"x": np.full(150, 40.0)}
    for name in (
        "date=2013-02-05/_temporary/0/part-1.parquet",
        "date=2013-02-05/.ipynb_checkpoints/part-checkpoint.parquet",
        "date=unknown/part.parquet",
    ):
        world.put(f"rows/{name}", strange)
    world.store.write(f"{world.base}/rows/date=2013-02-05/README.md", b"text")
    document, parts = check(world)
    assert (document["verdict"], document["rows"]["current"]) == ("NoDrift", 7 * 150)
    assert parts["objects"]["NotData"] == ["rows/date=2013-02-05/README.md"]
    assert len(parts["objects"]["Marker"]) == 2
    assert parts["days"] == {"NotADay": ["rows/date=unknown/"]}


def test_columns_and_keys_that_the_spec_does_not_declare(world):
    for number in range(40):
        day = FIRST + dt.timedelta(days=number)
        path = path_of(f"{world.base}/rows/date={day}")
        shutil.move(path / "part.parquet", path.parent / "part.parquet")
        (path / "region=eu").mkdir()
        shutil.move(path.parent / "part.parquet", path / "region=eu" / "part.parquet")
    world.spec["model"]["features"] = world.spec["model"]["features"][1:]
    document, parts = check(world)
    assert parts["columns"] == {"UndeclaredColumn": ["x"], "UndeclaredKey": ["region"]}
    assert any("region" in note for note in document["notes"])
    world.spec["model"]["features"] = [*world.spec["model"]["features"], {"name": "region", "type": "Categorical"}]
    document, parts = check(world)
    assert document["verdict"] == "NoDrift"
    assert "region" in {feature["name"] for feature in document["features"]}
    assert "UndeclaredKey" not in parts["columns"]


def hourly(world, *, until=dict):
    """Move the rows of each day into hours; `until` maps a day to its number of hours."""
    for number in range(40):
        day = FIRST + dt.timedelta(days=number)
        rows, _ = world.rows(day)
        remove(world, day)
        for hour in range(until.get(str(day), 6)):
            part = {name: values[25 * hour : 25 * hour + 25] for name, values in rows.items()}
            world.put(f"rows/date={day}/hour={4 * hour:02d}/part.parquet", part)
    world.spec["data"]["live"]["uri"] += "hour=%H/"


def test_hours_that_are_missing_are_named(world):
    hourly(world, until={"2013-02-05": 3})
    document, parts = check(world)
    assert parts["days"] == {"MissingHours": ["2013-02-05"]}
    assert any("2013-02-05 (3 of 6 hours)" in note for note in document["notes"])
    assert document["coverage"]["days"]["share"] == pytest.approx(6.5 / 7)


def test_too_many_hours_are_missing(world):
    hourly(world, until={f"2013-02-0{day}": 4 for day in range(3, 10)})
    document, _ = check(world)
    assert document["verdict"] == "Inconclusive"


def test_days_without_leading_zeros(world):
    for number in range(40):
        day = FIRST + dt.timedelta(days=number)
        path = path_of(f"{world.base}/rows")
        target = path / f"month={day.month}" / f"day={day.day}"
        target.parent.mkdir(exist_ok=True)
        shutil.move(path / f"date={day}", target.parent.parent / "moved")
        shutil.move(path / "moved", target)
    shutil.move(path_of(f"{world.base}/rows"), path_of(f"{world.base}/year=2013"))
    world.spec["data"]["live"]["uri"] = f"{world.base}/year=%Y/month=%m/day=%d/"
    document, _ = check(world)
    assert (document["verdict"], document["rows"]) == ("NoDrift", {"reference": 3750, "current": 1050})


def test_the_command_line_names_what_a_monitor_leaves_out(world, tmp_path, capsys):
    remove(world, "2013-02-03")
    world.spec["data"]["live"]["end"] = "LatestPartition"
    code = main(["check", "-f", world.manifest(tmp_path / "monitor.yaml"), "--minimum-coverage", "0.95"])
    out = capsys.readouterr().out
    assert (code, out.partition(":")[0]) == (0, "Inconclusive")
    assert "Left out:\n  Not compared (current): 2013-02-03. No rows have arrived for the day." in out
    documents = sorted(path_of(f"{world.base}/results").rglob("verdict.json"))
    assert json.loads(documents[-1].read_text())["coverage"]["minimum"] == 0.95
