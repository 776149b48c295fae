"""Inferred columns of files: those that are compared, and the notes on the others."""

import datetime as dt
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.check.pipeline import check_files
from modelmonitor_trainer.check.sources.file_listing import list_files
from modelmonitor_trainer.check.sources.files import Files
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.detect.result import to_json
from modelmonitor_trainer.storage.open import open_store

NOW = dt.datetime(2013, 12, 31, tzinfo=dt.UTC)
ROWS = 3000


@pytest.fixture
def lake(tmp_path):
    """Writes files and compares them."""

    class Lake:
        folder = tmp_path

        def parquet(self, name, **columns):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), path)

        def csv(self, name, header, rows):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows), ""]))

        def check(self, reference, current, sensitivity=None):
            files = Files(str(tmp_path / reference), str(tmp_path / current))
            return check_files(open_store(None), files, sensitivity or Sensitivity(), 1.0, now=NOW)

    return Lake()


def numbers(seed):
    return np.random.default_rng(seed).normal(size=ROWS)


def truths(seed):
    return np.random.default_rng(seed).random(ROWS) < 0.3


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (bool, int),
        (int, bool),
        (bool, bool),
        ("true/false", "TRUE/FALSE"),
        ("True/False", "true/false"),
        ("1/0", "True/False"),
    ],
)
def test_spellings_of_true_and_false_are_equal(lake, before, now):
    def written(seed, how):
        values = truths(seed)
        if how in {bool, int}:
            return pa.array(values.astype(how))
        yes, no = how.split("/")
        return pa.array(np.where(values, yes, no).tolist())

    lake.parquet("ref.parquet", flag=written(1, before), x=numbers(1))
    lake.parquet("cur.parquet", flag=written(2, now), x=numbers(2))
    result = lake.check("ref.parquet", "cur.parquet")
    assert result.verdict.verdict == "NoDrift", result.verdict.message


def test_a_changed_flag_is_drift_in_any_spelling(lake):
    lake.csv("ref.csv", "flag,x", zip(np.where(truths(1), "true", "false"), numbers(1), strict=True))
    lake.csv("same.csv", "flag,x", zip(truths(2).astype(int), numbers(2), strict=True))
    lake.csv("other.csv", "flag,x", zip(1 - truths(2).astype(int), numbers(2), strict=True))
    assert lake.check("ref.csv", "same.csv").verdict.verdict == "NoDrift"
    assert lake.check("ref.csv", "other.csv", Sensitivity(independent_rows=True)).verdict.verdict == "Drift"


def test_text_in_a_column_of_numbers_is_noted(lake):
    rows = [[value] for value in numbers(1)]
    rows[2500] = ["oops"]
    lake.csv("ref.csv", "x", rows)
    lake.csv("cur.csv", "x", [[value] for value in numbers(2)])
    notes = [note for note in lake.check("ref.csv", "cur.csv").notes if "'oops'" in note]
    assert len(notes) == 1
    assert "x is compared as text" in notes[0]
    lake.csv("words.csv", "x", [[word] for word in np.random.default_rng(0).choice(["a", "b", "7"], ROWS)])
    assert not any("compared as text" in note for note in lake.check("words.csv", "words.csv").notes)


def test_new_and_missing_columns_are_noted(lake):
    times = pa.array([dt.time(9)] * ROWS)
    lake.parquet("ref/0.parquet", x=numbers(1), time=times)
    lake.parquet("ref/1.parquet", x=numbers(2), time=times, late=numbers(3))
    lake.parquet("cur.parquet", x=numbers(4), fresh=numbers(5))
    result = lake.check("ref", "cur.parquet")
    notes = " ".join(result.notes)
    assert "New in the current files, and not compared: fresh." in notes
    assert "Not in the current files, and not comparable in the reference: time." in notes
    assert any("late (double, in 1 of 2 files)" in sentence for sentence in result.coverage.sentences())
    # The current files lack what a part of the reference has.
    assert "ruled out in late: too many of the current rows are in files that lack the column." in notes
    assert result.verdict.verdict == "Inconclusive"


def test_a_reference_without_rows_is_inconclusive(lake):
    lake.csv("ref.csv", "x,c", [])
    lake.csv("cur.csv", "x,c", zip(numbers(1), ["a"] * ROWS, strict=True))
    result = lake.check("ref.csv", "cur.csv")
    assert result.verdict.verdict == "Inconclusive", result.verdict.message
    assert not result.violations


def test_a_column_without_values_in_the_reference_has_the_current_type(lake):
    lake.parquet("ref.parquet", x=numbers(1), c=pa.nulls(ROWS))
    lake.parquet("cur.parquet", x=numbers(2), c=np.where(truths(2), "a", "b").tolist())
    result = lake.check("ref.parquet", "cur.parquet")
    assert result.verdict.verdict == "Drift", "it had none, and now has one in every row"
    assert not result.violations


def test_temporary_and_hidden_files_are_ignored(lake):
    for name in ("a.parquet", "day=1/b.parquet", "_temporary/0/c.parquet", ".hidden/d.parquet", "_x=1/e.parquet"):
        lake.parquet(name, x=numbers(1))
    names = [info.uri.rpartition("/")[2] for info in list_files(open_store(None), str(lake.folder)).objects]
    assert names == ["e.parquet", "a.parquet", "b.parquet"]


def test_a_name_that_looks_like_a_pattern(lake):
    lake.parquet("part[1].parquet", x=numbers(1))
    lake.parquet("part1.parquet", x=numbers(2))
    (info,) = list_files(open_store(None), str(lake.folder / "part[1].parquet")).objects
    assert info.uri.endswith("part[1].parquet")


@pytest.mark.parametrize("page", ["nowhere/page.html", "."])
def test_a_page_that_cannot_be_written_is_reported_before_the_check(lake, capsys, page):
    lake.parquet("ref.parquet", x=numbers(1))
    path = str(lake.folder / "ref.parquet")
    missing = str(lake.folder / "not-read.parquet")
    code = main(["check", "--reference", path, "--current", missing, "--html", str(lake.folder / page)])
    assert code == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_result_is_json(lake):
    lake.parquet("ref.parquet", flag=truths(1), x=numbers(1))
    json.dumps(to_json(lake.check("ref.parquet", "ref.parquet")), allow_nan=False)


@pytest.mark.parametrize(("first", "reason"), [(0, "RareValues"), (5_000, "NewValues"), (10_000, "NewValues")])
def test_changes_within_the_groups_of_many_values_are_not_ruled_out(lake, first, reason):
    """Ten thousand equally frequent values, of which some are new; groups of eighty hardly differ."""
    for day in range(37):
        g, start = np.random.default_rng(day), first * (day >= 30)
        side = "ref" if day < 30 else "cur"
        lake.parquet(f"{side}/{day:02}.parquet", code=[f"v{value}" for value in g.integers(start, start + 10_000, 600)])
    result = lake.check("ref", "cur")
    assert result.verdict.verdict == ("Inconclusive" if reason == "RareValues" else "Drift")
    (column,) = result.drift.columns
    assert [doubt.reason for doubt in column.doubts] == [reason]
    are_new = any("of the distinct values of code do not occur" in note for note in result.notes)
    assert are_new is (reason == "NewValues")


def test_identifiers_of_rows_are_not_unchanged(lake):
    """Each of 36,000 rows has a value of its own, as a session or a transaction."""
    for day in range(60):
        side = "ref" if day < 50 else "cur"
        lake.parquet(f"{side}/{day:02}.parquet", code=[f"{day}-{row}" for row in range(600)])
    (column,) = lake.check("ref", "cur").drift.columns
    assert [doubt.reason for doubt in column.doubts] == ["NewValues"]
    assert column.doubts[0].size == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("now", "expected"), [("a", False), ("b", True)])
def test_mostly_new_values_of_grouped_categories_are_noted(lake, now, expected):
    def words(seed, prefix):
        drawn = np.random.default_rng(seed).integers(0, 30_000, 120_000)
        return [f"{prefix}{value}" for value in drawn]

    lake.parquet("ref.parquet", code=words(1, "a"))
    lake.parquet("cur.parquet", code=words(2, now))
    notes = [
        note
        for note in lake.check("ref.parquet", "cur.parquet").notes
        if "of the distinct values of code do not occur" in note
    ]
    assert bool(notes) is expected


def test_one_row_is_singular_in_the_message(lake):
    lake.parquet("ref.parquet", x=numbers(1))
    lake.parquet("cur.parquet", x=numbers(2)[:1])
    assert "1 row against 3,000" in lake.check("ref.parquet", "cur.parquet").verdict.message


@pytest.mark.parametrize(("copied", "repeated"), [("ref/3.parquet", True), ("cur/1.parquet", True), ("", False)])
def test_files_with_the_rows_of_another_one_are_named(lake, copied, repeated):
    """A pipeline that is stuck writes the rows of yesterday again."""
    for number in range(10):
        side = "ref" if number < 7 else "cur"
        g = np.random.default_rng(number)
        lake.parquet(f"{side}/{number % 7}.parquet", x=g.normal(size=300), word=g.choice(["a", "b"], 300))
    if copied:
        shutil.copyfile(lake.folder / copied, lake.folder / "cur/2.parquet")
    notes = [note for note in lake.check("ref", "cur").notes if "The same rows as elsewhere" in note]
    assert bool(notes) is repeated
    assert not repeated or ("cur/2.parquet" in notes[0] and copied in notes[0])


def test_small_files_can_be_equal_by_chance(lake):
    for side in ("ref", "cur"):
        lake.parquet(f"{side}.parquet", flag=[True, False] * 100)
    assert not any("The same rows" in note for note in lake.check("ref.parquet", "cur.parquet").notes)


@pytest.mark.parametrize("name", ["\r", "\n", "a\u2028b"])
def test_an_error_that_names_a_column_is_one_line(lake, capsys, name):
    path = lake.folder / "lists.jsonl"
    path.write_text(json.dumps({name: []}) + "\n")
    assert main(["check", "--reference", str(path), "--current", str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
