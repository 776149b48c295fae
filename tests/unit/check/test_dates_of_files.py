"""Dates in files: compared as numbers in any form, unless they grow with the data."""

import datetime as dt
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.cli.main import main

EPOCH = dt.date(1970, 1, 1)
ROWS = 800
FORMS = {
    "date32": pa.array,
    "date64": lambda days: pa.array(days, pa.date64()),
    "timestamp": lambda days: pa.array(days).cast(pa.timestamp("us")),
    "in a zone": lambda days: pa.array(days).cast(pa.timestamp("ns")).cast(pa.timestamp("ns", "UTC")),
    "text": lambda days: [day.isoformat() for day in days],
    "text with times": lambda days: [f"{day}T00:00:00Z" for day in days],
    "German text": lambda days: [f"{day.day}.{day.month}.{day.year}" for day in days],
    "categories": lambda days: pa.array([day.isoformat() for day in days]).dictionary_encode(),
}
UNREAD = {
    "US text": lambda days: [f"{day:%m/%d/%Y}" for day in days],
    "British text": lambda days: [f"{day:%d/%m/%Y}" for day in days],
}


def births(g, rows, shift=0):
    return g.integers(-10_000, 12_000, rows) + shift


@pytest.fixture
def check(tmp_path, capsys):
    """Write files of both sides, and check them; each side is a form and a list of days by file."""

    def write(side, form, files, suffix, names):
        folder = tmp_path / side
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for number, columns in enumerate(files):
            x = np.random.default_rng([number, len(side)]).normal(size=ROWS)
            dates = {
                name: (FORMS | UNREAD)[form]([EPOCH + dt.timedelta(days=int(day)) for day in days])
                for name, days in columns.items()
            }
            table = pa.table({"x": x} | dates)
            if suffix == "csv":
                pyarrow.csv.write_csv(table, folder / f"{names[number]}.csv")
            else:
                pq.write_table(table, folder / f"{names[number]}.parquet")

    def run(before, now, *options, forms=("date32", "date32"), suffixes=("parquet", "parquet"), names=()):
        names = names or [str(number) for number in range(len(before))]
        write("ref", forms[0], before, suffixes[0], names)
        write("cur", forms[1], now, suffixes[1], names[len(before) :] or names)
        sides = ("--reference", str(tmp_path / "ref"), "--current", str(tmp_path / "cur"))
        assert main(["check", *sides, "--output", "json", *options]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def files(count, shift=0, start=0, seed=0):
    """Return days of birth, and days of events that grow from file to file."""
    sides = []
    for number in range(count):
        g = np.random.default_rng([seed, number])
        sides.append({"born": births(g, ROWS, shift), "seen": 19_000 + start + number + g.integers(0, 2, ROWS)})
    return sides


def growing(document):
    return [
        name
        for group in document["coverage"]["columns"]["leftOut"]
        if group["reason"] == "GrowingColumn"
        for name in group["names"]
    ]


@pytest.mark.parametrize("before", FORMS)
@pytest.mark.parametrize("now", ["date32", "text", "German text"])
def test_dates_are_the_same_in_any_form(check, before, now):
    document = check(files(6), files(3, start=6, seed=1), forms=(before, now))
    assert (document["verdict"], growing(document), document["coverage"]["share"]) == ("NoDrift", ["seen"], 1)
    (born,) = [feature for feature in document["features"] if feature["name"] == "born"]
    expected = check(files(6), files(3, start=6, seed=1))["features"]
    assert born == next(feature for feature in expected if feature["name"] == "born")
    assert born["type"] == "Date"
    assert born["statistics"]["reference"]["minimum"][:3] == "194"


@pytest.mark.parametrize("suffixes", [("parquet", "csv"), ("csv", "csv")])
def test_dates_in_csv(check, suffixes):
    document = check(files(6), files(3, start=6, seed=1), forms=("date32", "German text"), suffixes=suffixes)
    assert (document["verdict"], growing(document)) == ("NoDrift", ["seen"])


@pytest.mark.parametrize("form", ["date32", "German text"])
def test_dates_that_have_moved_are_drift(check, form):
    document = check(files(6), files(3, 5000, 6, seed=1), forms=(form, form))
    assert document["verdict"] == "Drift"
    assert "born (effect" in document["message"]


def test_times_of_events_are_left_out_by_name(check):
    document = check(files(6), files(3, start=6, seed=1))
    assert any("seen (2022-01-08 to 2022-01-14, then 2022-01-14 to 2022-01-17)" in note for note in document["notes"])
    assert growing(check(files(1), files(1, start=30, seed=1))) == ["seen"], "of one file on each side"
    assert growing(check(files(1, start=30), files(1, seed=1))) == ["seen"], "of an earlier period"


@pytest.mark.parametrize("day", [2_932_896, -365_000, 80_000])
def test_dates_that_are_likely_wrong_do_not_grow(check, day):
    now = [columns | {"born": np.full(ROWS, day)} for columns in files(3, start=6, seed=1)]
    document = check(files(6), now)
    assert document["verdict"] in {"Drift", "Corrupted"}
    assert growing(document) == ["seen"]


def dated(check, now, days=6, shift=0, seed=0):
    """Check files of days; `now` makes the dates of a day from its number and a generator."""
    sides = [
        [{"on": now(day + offset, np.random.default_rng([seed, day]))} for day in range(start, end)]
        for start, end, offset in ((0, days, 0), (days, days + 3, shift))
    ]
    return check(*sides, names=[f"2024-01-{day + 1:02}" for day in range(days + 3)])


def test_dates_of_which_each_day_has_all_do_not_grow(check):
    document = dated(check, lambda day, g: g.integers(-7000, -1000, ROWS) + 100 * day * (day > 50), shift=60)
    assert (document["verdict"], growing(document)) == ("Drift", [])


@pytest.mark.parametrize("shift", [0, 300])
def test_dates_that_follow_the_days_grow(check, shift):
    def late(day, g):
        recent = g.random(ROWS) < 0.95
        return 19_000 + day - np.where(recent, g.integers(0, 2, ROWS), g.integers(0, 3000, ROWS))

    document = dated(check, late, days=20, shift=shift)
    assert growing(document) == ["on"]


@pytest.mark.parametrize("word", ["-", "n.a.", "NaT", "0000-00-00", "00.00.0000"])
def test_words_for_missing_dates(check, tmp_path, capsys, word):
    for side, seed in (("ref", 1), ("cur", 2)):
        g = np.random.default_rng(seed)
        days = [str(EPOCH + dt.timedelta(days=int(day))) for day in births(g, ROWS)]
        rows = "".join(f"{g.normal():.4f},{word if g.random() < 0.2 else day}\n" for day in days)
        (tmp_path / side).mkdir()
        (tmp_path / side / "0.csv").write_text(f"x,born\n{rows}")
    sides = ("--reference", f"{tmp_path}/ref", "--current", f"{tmp_path}/cur", "--independent-rows")
    assert main(["check", *sides, "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "NoDrift"
    [born] = [feature for feature in document["features"] if feature["name"] == "born"]
    assert born["type"] == "Date"
    assert born["nullRate"]["current"] == pytest.approx(0.2, abs=0.05)
    assert any(note.startswith(f"In 'born', '{word}' count as missing") for note in document["notes"])


def test_an_unlikely_date_is_shown_as_a_date(check):
    now = files(3, start=6, seed=1)
    for columns in now:
        columns["born"][:8] = 2_932_896
    messages = [finding["message"] for finding in check(files(6), now)["findings"]]
    assert any("the largest value is 9999-12-31" in message for message in messages)


def test_dates_as_categories_if_that_is_asked_for(check):
    document = check(files(6), files(3, start=6, seed=1), "--type", "seen=Categorical", "--ignore", "born")
    assert [feature["type"] for feature in document["features"] if feature["name"] == "seen"] == ["Categorical"]


@pytest.mark.parametrize(
    ("forms", "note"),
    [
        (("US text", "US text"), "Not read as dates, and compared as categories: born ("),
        (("British text", "British text"), "Not read as dates, and compared as categories: born ("),
        (("US text", "British text"), "born (reference: the month first; current: the day first). Write all dates as"),
        (("text", "US text"), "; current: the month first). Write all dates as 2024-01-31"),
    ],
)
def test_dates_between_slashes_are_named(check, forms, note):
    g = np.random.default_rng(3)
    sides = [[{"born": births(g, ROWS)} for _ in range(3)] for _ in range(2)]
    assert note in " ".join(check(*sides, forms=forms)["notes"])
    as_asked = check(*sides, "--type", "born=Categorical", forms=forms)
    assert "dates" not in " ".join(as_asked["notes"])
