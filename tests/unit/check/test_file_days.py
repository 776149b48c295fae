"""The day of a file: which paths name one, and how files of days become batches."""

import datetime as dt

import pytest

from modelmonitor_trainer.check.sources.file_days import batches_of_days, day_of, notes_on_gaps
from modelmonitor_trainer.storage.base import ObjectInfo


@pytest.mark.parametrize(
    ("path", "day"),
    [
        ("rows/date=2013-01-05/part.parquet", (2013, 1, 5)),
        ("rows/2013-01-05.csv", (2013, 1, 5)),
        ("export-2020-12-31/rows-2013-01-05.csv", (2013, 1, 5)),
        ("rows/year=2013/month=1/day=5/part.parquet", (2013, 1, 5)),
        ("rows/year=2013/month=01/day=05/part.parquet", (2013, 1, 5)),
        ("2013-01-05/part-2013-99-99.parquet", (2013, 1, 5)),
        ("rows/2013-13-05.csv", None),
        ("rows/2013-01.csv", None),
        ("rows/12013-01-05.csv", None),
        ("january.csv", None),
    ],
)
def test_the_day_that_a_path_names_last(path, day):
    assert day_of(f"file:///{path}") == (dt.date(*day) if day else None)


def files(*names):
    return [ObjectInfo(f"file:///{name}", "etag", 1, dt.datetime(2013, 2, 1, tzinfo=dt.UTC)) for name in names]


def test_files_of_one_day_are_one_batch_in_the_order_of_days():
    batches = batches_of_days(files("b/2013-01-02.csv", "a/2013-01-03.csv", "c/2013-01-02.csv"), 10)
    assert batches is not None
    assert [(str(batch.day), len(batch.objects)) for batch in batches] == [("2013-01-02", 2), ("2013-01-03", 1)]
    assert batches[0].name == "file:///b/2013-01-02.csv and 1 more"


def test_files_without_a_day_or_of_very_many_days_are_not_days():
    assert batches_of_days(files("2013-01-02.csv", "rest.csv"), 10) is None
    assert batches_of_days(files("2013-01-02.csv", "2013-01-03.csv"), 1) is None


def gaps(reference, current=()):
    before, now = (batches_of_days(files(*(f"2013-{day}.csv" for day in side)), 99) for side in (reference, current))
    return notes_on_gaps({"reference": before or (), "current": now or ()})


def test_days_without_files_between_others_are_named():
    weeks = [f"01-{day:02}" for day in range(1, 15)]
    assert gaps(weeks) == ()
    assert gaps([*weeks[:3], *weeks[4:]]) == (
        "No reference files are of 2013-01-04, although those before and after are there.",
    )
    assert gaps(weeks, ["01-15", "01-16", "01-18", "01-19"]) == (
        "No current files are of 2013-01-17, although those before and after are there.",
    )


def test_files_that_are_not_of_every_day_have_no_gaps():
    assert gaps(["01-01", "02-01", "03-01"], ["04-01", "05-01"]) == ()
    # Monday 7 to Friday 11, and the week after it.
    assert gaps([f"01-{day:02}" for day in (7, 8, 9, 10, 11, 14, 15, 16, 17, 18)]) == ()
