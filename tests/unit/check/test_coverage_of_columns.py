"""What a check leaves out is named, on the command line: columns and values."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from unit.check.file_lake import ROWS, Lake, table


@pytest.fixture
def lake(tmp_path, capsys):
    return Lake(tmp_path, capsys)


def test_keys_of_folders_are_columns(lake):
    for side, rows in (("ref", ROWS), ("cur", 200)):
        lake.put(f"{side}/region=eu/p.parquet", table(1 + rows))
        lake.put(f"{side}/region=us/p.parquet", table(2 + rows, rows=rows))
    for sides in ({}, {"reference": "ref/*/*.parquet", "current": "cur/**"}, {"current": "cur/region=*"}):
        document = lake.check("--independent-rows", **sides)
        assert document["verdict"] == "Drift"
        assert "region" in document["message"]
    assert "region" in lake.check("--target", "region")["message"]


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        ("date=2024-01-01", "date=2024-02-01", "TimeColumn"),
        ("year=2024/month=1", "year=2024/month=2", "TimeColumn"),
        ("run=16", "run=17", "GrowingColumn"),
        ("region=eu", "flat", "UnevenColumn"),
    ],
)
def test_keys_of_folders_that_are_not_compared_are_named(lake, before, now, reason):
    lake.put(f"ref/{before}/p.parquet", table(1))
    lake.put(f"cur/{now}/p.parquet", table(2))
    document = lake.check("--independent-rows")
    assert document["verdict"] == ("Inconclusive" if reason == "UnevenColumn" else "NoDrift")
    key = before.partition("=")[0]
    assert lake.names("columns", document)[reason][0] == key
    assert any(key in note for note in document["notes"])


def test_what_a_path_selects_is_no_column(lake):
    for number, region in enumerate(("eu", "us")):
        lake.put(f"rows/region={region}/p.parquet", table(number))
    document = lake.check(reference="rows/region=eu", current="rows/region=us")
    assert document["verdict"] == "NoDrift"
    assert lake.names("columns", document) == {"SelectedColumn": ["region"]}


def test_what_a_pattern_selects_is_no_column(lake):
    for number in (1, 2):
        lake.put(f"rows/batch=a{number}/p.parquet", table(number))
        lake.put(f"rows/batch=b{number}/p.parquet", table(10 + number))
    document = lake.check(reference="rows/batch=a*", current="rows/batch=b*")
    assert document["verdict"] == "NoDrift"
    assert lake.names("columns", document) == {"SelectedColumn": ["batch"]}


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_a_column_of_a_later_file_is_named(lake, suffix):
    lake.put(f"ref/0.{suffix}", table(1))
    lake.put(f"cur/0.{suffix}", table(2))
    lake.put(f"cur/1.{suffix}", table(3, discount=np.ones(ROWS)))
    lake.put(f"cur/2.{suffix}", table(4))
    document = lake.check()
    assert document["verdict"] == "NoDrift"
    assert lake.names("columns", document) == {"NewColumn": ["discount"]}
    assert any("discount" in note for note in document["notes"])


def test_columns_of_types_that_are_not_compared(lake):
    for side, seed in (("ref", 1), ("cur", 2)):
        lists, times = pa.array([[1]] * ROWS), pa.array([dt.time(9, 30)] * ROWS)
        lake.put(f"{side}/0.parquet", table(seed, lists=lists, time=times))
    document = lake.check()
    assert document["verdict"] == "Inconclusive"
    assert lake.names("columns", document) == {"UnsupportedColumn": ["lists", "time"]}
    assert document["coverage"]["columns"]["share"] == pytest.approx(2 / 4)


def test_columns_that_cannot_be_compared_count_unless_they_are_left_out_on_request(lake):
    def columns(seed):
        rows = table(seed)
        hashes = pa.array([bytes([255, row % 256]) for row in range(len(rows["k"]))], pa.binary(2))
        return rows | {"hash": hashes, "nested": pa.array([{"a": 1}] * len(hashes))}

    lake.put("ref/a.parquet", columns(1))
    lake.put("cur/a.parquet", columns(2))
    document = lake.check()
    assert (document["verdict"], document["coverage"]["columns"]["share"]) == ("Inconclusive", 0.5)
    assert lake.names("columns", document) == {"UnsupportedColumn": ["hash", "nested"]}
    assert "--ignore" in document["message"]
    for options in (("--columns", "k,x"), ("--ignore", "hash,nested")):
        document = lake.check(*options)
        assert (document["verdict"], document["coverage"]["columns"]["share"]) == ("NoDrift", 1)
        assert lake.names("columns", document) == {"ExcludedColumn": ["hash", "nested"]}


def test_files_with_nothing_to_compare_name_their_columns(lake):
    for side in ("ref", "cur"):
        lake.put(f"{side}/a.parquet", {"nested": pa.array([{"a": 1}] * 9)})
    code, _, err = lake.run()
    assert code == 2
    assert "no column of numbers, dates or text, but nested (struct<a: int64>); write what they hold as columns" in err


def test_a_column_that_a_part_of_the_reference_lacks(lake):
    z = {"z": np.random.default_rng(0).normal(size=ROWS)}
    lake.put("ref/0.parquet", table(1, **z))
    lake.put("ref/1.parquet", table(2))
    lake.put("cur/0.parquet", table(3, **z))
    document = lake.check()
    assert document["verdict"] == "Inconclusive"
    assert lake.names("columns", document) == {"PartialColumn": ["z"]}


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("first", [0, 6], ids=["later", "no longer"])
def test_a_column_that_half_of_the_reference_has_is_compared_with_it(lake, suffix, first):
    """A column that was added to the reference, or removed from it, is not left out in silence."""
    more = {f"f{number}": np.random.default_rng(99).normal(size=ROWS) for number in range(8)}

    def z(seed, shift=0.0):
        return {"z": np.random.default_rng([seed, 1]).normal(size=ROWS) + shift}

    for number in range(12):
        has = first <= number < first + 6
        lake.put(f"ref/{number:02}.{suffix}", table(number, **more, **(z(number) if has else {})))
    for number in range(4):
        lake.put(f"cur/{number}.{suffix}", table(20 + number, **more, **z(50 + number)))
    document = lake.check()
    assert document["verdict"] == "NoDrift"
    (column,) = [feature for feature in document["features"] if feature["name"] == "z"]
    assert column["verdict"] == "NoDrift"
    assert lake.names("columns", document) == {"PartialColumn": ["z"]}
    assert any("z (" in note and "in 6 of 12 files" in note for note in document["notes"])
    for number in range(4):
        lake.put(f"cur/{number}.{suffix}", table(20 + number, **more, **z(50 + number, 0.8)))
    assert "z (effect" in lake.check()["message"]
    for number in range(2):
        lake.put(f"cur/{number}.{suffix}", table(20 + number, **more))
        lake.put(f"cur/{number + 2}.{suffix}", table(20 + number, **more, **z(50 + number)))
    document = lake.check()
    (column,) = [feature for feature in document["features"] if feature["name"] == "z"]
    assert (document["verdict"], column["verdict"]) == ("Inconclusive", "Inconclusive")
    assert "z: too many of the current rows are in files that lack the column" in document["message"]
    assert [doubt["reason"] for doubt in column["doubts"]] == ["MissingRows"]


def test_values_that_are_missing_by_a_rule_are_counted(lake):
    def rows(seed):
        g = np.random.default_rng(seed)
        numbers = [f"{value:.3f}" for value in g.normal(size=ROWS)]
        lines = [
            f"{'N/A' if i % 50 == 0 else v},{'' if i % 4 == 0 else 'NA' if i % 4 == 1 else 'b'}"
            for i, v in enumerate(numbers)
        ]
        return ("x,k\n" + "\n".join(lines) + "\n").encode()

    for side, seed in (("ref", 1), ("cur", 2)):
        lake.text(f"{side}/0.csv", rows(seed))
    values = lake.check()["coverage"]["values"]
    assert values["compared"] == {"reference": 2 * ROWS, "current": 2 * ROWS}
    assert values["share"] == 1
    assert {group["side"]: group["values"] for group in values["leftOut"]} == {
        side: {"x": ROWS // 50, "k": ROWS // 4} for side in ("reference", "current")
    }
    _, out, _ = lake.run("--html", str(lake.path / "page.html"))
    assert "x (40 times 'N/A')" in out
    assert "(40 times" in (lake.path / "page.html").read_text()


def test_nan_is_counted(lake):
    for side, seed in (("ref", 1), ("cur", 2)):
        lake.put(f"{side}/0.parquet", table(seed, n=np.where(np.arange(ROWS) % 10 == 0, np.nan, 1.0)))
    (before, now) = lake.check()["coverage"]["values"]["leftOut"]
    assert (before["reason"], before["values"], now["values"]) == ("NotANumber", {"n": 200}, {"n": 200})


@pytest.mark.parametrize("sides", [["cur"], ["ref", "cur"]])
def test_a_column_without_a_name_is_named_as_such(lake, sides):
    for side, seed in (("ref", 1), ("cur", 2)):
        rows = "".join(f"{k},{x}\n" for k, x in zip(*table(seed).values(), strict=True))
        text = f"k,x\n{rows}"
        lake.text(f"{side}/0.csv", text.replace("\n", ",\n" if side in sides else "\n").encode())
    document = lake.check()
    assert document["verdict"] == "NoDrift"
    [names] = lake.names("columns", document).values()
    assert names == ["one without a name"]
    assert any(note.endswith("one without a name.") for note in document["notes"])


def test_columns_that_were_not_asked_for_are_not_new(lake):
    for side, seed in (("ref", 1), ("cur", 2)):
        lake.put(f"{side}/0.parquet", table(seed))
    document = lake.check("--columns", "k")
    assert lake.names("columns", document) == {"ExcludedColumn": ["x"]}
    assert not any("New in the current files" in note for note in document["notes"])
