"""What a check leaves out is named, on the command line: files, folders, days, hours and columns."""

import datetime as dt
import gzip
import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.check.sources.file_listing import list_files
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.storage.open import open_store

ROWS = 2000


def table(seed, shift=0, rows=ROWS, **more):
    g = np.random.default_rng(seed)
    return {"k": g.normal(size=rows), "x": g.integers(0, 50, rows) + shift} | more


class Lake:
    """A folder of files, and checks of them."""

    def __init__(self, path, capsys):
        self.path, self.capsys = path, capsys

    def put(self, name, columns):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in {".csv", ".tsv"}:
            pyarrow.csv.write_csv(pa.table(columns), path)
        elif path.suffix in {".json", ".jsonl"}:
            path.write_text("".join(json.dumps(row) + "\n" for row in pa.table(columns).to_pylist()))
        else:
            pq.write_table(pa.table(columns), path)

    def text(self, name, content):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def run(self, *options, reference="ref", current="cur"):
        where = ("--reference", f"{self.path}/{reference}", "--current", f"{self.path}/{current}")
        code = main(["check", *where, *options])
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    def check(self, *options, **sides):
        code, out, err = self.run("--output", "json", *options, **sides)
        assert code == 0, err
        return json.loads(out)

    def names(self, part, document):
        """Return reason → names that a part left out, relative to the folder."""
        base = f"file://{self.path}/"
        return {
            group["reason"]: [name.removeprefix(base) for name in group["names"]]
            for group in document["coverage"][part]["leftOut"]
        }


@pytest.fixture
def lake(tmp_path, capsys):
    return Lake(tmp_path, capsys)


@pytest.mark.parametrize(
    ("good", "other", "content"),
    [
        ("a.csv", "b.csv.zst", b"\x28\xb5\x2f\xfd" + os.urandom(9000)),
        ("a.csv", "b.orc", b"ORC" * 9000),
        ("a.jsonl", "b.json", json.dumps([{"k": 1, "x": 2}] * 900).encode()),
        ("a.parquet", "000000_0", b"1\x012\n" * 9000),
        ("a.parquet", "b.avro", b"Obj\x01" * 900),
    ],
)
def test_a_file_of_an_unknown_format_is_named_and_is_too_much(lake, good, other, content):
    lake.put(f"ref/{good}", table(1))
    lake.put(f"cur/{good}", table(2))
    lake.text(f"cur/{other}", content)
    document = lake.check()
    assert document["verdict"] == "Inconclusive"
    assert f"cur/{other}" in document["message"]
    assert any(f"cur/{other}" in note for note in document["notes"])
    assert lake.names("objects", document) == {"UnknownFormat": [f"cur/{other}"]}
    assert lake.check("--minimum-coverage", "0.1")["verdict"] == "NoDrift"


@pytest.mark.parametrize(("good", "other"), [("a.parquet", "20260101_144951_00037_v74wa"), ("a.jsonl", "part-0.json")])
def test_a_file_of_another_name_is_read_if_its_content_is_known(lake, good, other):
    lake.put(f"ref/{good}", table(1))
    lake.put(f"cur/{good}", table(2))
    lake.put(f"cur/{other}", table(3, shift=30))
    document = lake.check("--independent-rows")
    assert (document["verdict"], document["rows"]["current"]) == ("Drift", 2 * ROWS)
    document = lake.check()
    assert document["verdict"] == "Inconclusive"
    assert any(f"cur/{other}" in note for note in document["notes"]), "the file that is far from the reference is named"


def test_a_file_of_another_table_in_the_reference_is_named(lake):
    for part in range(20):
        lake.put(f"ref/{part:02}.parquet", table(part))
    lake.put("cur/a.parquet", table(30))
    lake.put("ref/summary.csv", {"day": ["2024-01-01", "2024-01-02"], "count": [ROWS, ROWS]})
    document = lake.check()
    assert lake.names("objects", document) == {"OtherTable": ["ref/summary.csv"]}
    assert [feature["name"] for feature in document["features"]] == ["k", "x"]
    assert "ref/summary.csv" in " ".join(document["notes"])
    lake.put("cur/summary.csv", {"day": ["2024-02-01"], "count": [ROWS]})
    document = lake.check()
    groups = document["coverage"]["objects"]["leftOut"]
    assert [(group["reason"], group["side"]) for group in groups] == [
        ("OtherTable", "current"),
        ("OtherTable", "reference"),
    ]
    assert not document["violations"]


def test_a_current_file_of_a_table_that_the_reference_lacks_is_corrupted(lake):
    lake.put("ref/a.parquet", table(1))
    lake.put("cur/a.parquet", table(2))
    lake.put("cur/summary.csv", {"day": ["2024-01-01", "2024-01-02"], "count": [ROWS, ROWS]})
    document = lake.check()
    assert document["verdict"] == "Corrupted"
    assert "cur/summary.csv" in document["message"]


def test_without_a_table_of_most_bytes_no_file_is_left_out(lake):
    for part in range(4):
        lake.put(f"ref/{part}.parquet", {f"{'k' if part % 2 else 'x'}": np.random.default_rng(part).normal(size=ROWS)})
    lake.put("cur/a.parquet", table(5))
    assert lake.names("objects", lake.check()) == {}


def test_documents_and_settings_next_to_data_do_not_count(lake):
    for side, seed in (("ref", 1), ("cur", 2)):
        lake.put(f"{side}/a.parquet", table(seed))
    lake.text("cur/README.md", b"hello" * 9000)
    lake.text("cur/schema.json", b'{\n "fields": []\n}')
    document = lake.check()
    assert document["verdict"] == "NoDrift"
    assert lake.names("objects", document) == {"NotData": ["cur/README.md", "cur/schema.json"]}


LAYOUT = ("_temporary/0/b.parquet", ".staging/b.parquet", ".ipynb_checkpoints/a-checkpoint.parquet", "_b.parquet")


@pytest.mark.parametrize("where", ["cur", "cur/", "cur/*.parquet", "cur/**", "cur/**/*.parquet", "c*", "cu?/*"])
def test_a_folder_and_patterns_read_the_same_files(lake, where):
    lake.put("ref/0.parquet", table(1))
    lake.put("cur/a.parquet", table(2))
    for name in LAYOUT:
        lake.put(f"cur/{name}", table(3, shift=40))
    lake.text("cur/_SUCCESS", b"")
    document = lake.check(current=where)
    assert (document["verdict"], document["rows"]["current"]) == ("NoDrift", ROWS)


def test_one_star_is_one_folder(lake):
    lake.put("ref/0.parquet", table(1))
    lake.put("cur/a.parquet", table(2))
    lake.put("cur/archive/b.parquet", table(3, shift=40))
    document = lake.check(current="cur/*")
    assert (document["verdict"], document["rows"]["current"]) == ("NoDrift", ROWS)
    assert lake.names("objects", document) == {"OutsidePattern": ["cur/archive/"]}
    assert lake.check(current="cur/**")["rows"]["current"] == 2 * ROWS


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


def test_a_pattern_of_folders_with_a_document_next_to_them(lake):
    lake.put("ref/0.parquet", table(1))
    lake.put("cur/date=2024-01-01/0.parquet", table(2))
    lake.text("cur/README.md", b"x")
    lake.text("cur/date=2024-01-01_$folder$", b"")
    document = lake.check(current="cur/*")
    assert (document["verdict"], document["rows"]["current"]) == ("NoDrift", ROWS)
    assert lake.names("objects", document) == {"NotData": ["cur/README.md"]}


def test_an_empty_object_without_a_suffix_stands_for_a_folder(lake):
    lake.put("ref/0.parquet", table(1))
    lake.put("cur/day/0.parquet", table(2))
    lake.text("cur/day_", b"")
    document = lake.check()
    assert (document["verdict"], lake.names("objects", document)) == ("NoDrift", {"Marker": ["cur/day_"]})


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


def test_files_without_rows_and_files_on_both_sides(lake):
    lake.put("ref/0.parquet", table(1))
    lake.put("cur/0.parquet", table(2))
    lake.put("cur/1.parquet", table(3, rows=0))
    shutil.copy(lake.path / "ref/0.parquet", lake.path / "cur/2.parquet")
    document = lake.check()
    assert lake.names("objects", document) == {"NoRows": ["cur/1.parquet"]}
    document = lake.check(current="*")
    assert lake.names("objects", document)["BothSides"] == ["ref/0.parquet"]
    assert document["verdict"] == "Inconclusive"
    assert document["coverage"]["objects"]["share"] == pytest.approx(2 / 3, abs=0.01)


def test_all_files_on_both_sides_have_no_drift(lake):
    lake.put("ref/0.parquet", table(1))
    document = lake.check(current="ref")
    assert (document["verdict"], document["coverage"]["share"]) == ("NoDrift", 1.0)
    assert lake.names("objects", document)["BothSides"] == ["ref/0.parquet"]


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


def test_the_current_files_of_a_delta_table(lake):
    lake.put("ref/0.parquet", table(1))
    lake.put("cur/old.parquet", table(2, shift=40))
    lake.put("cur/new.parquet", table(3))
    actions = [{"add": {"path": "old.parquet"}}, {"remove": {"path": "old.parquet"}}, {"add": {"path": "new.parquet"}}]
    for version, action in enumerate(actions):
        lake.text(f"cur/_delta_log/{version:020d}.json", json.dumps(action).encode())
    for where in ("cur", "cur/*.parquet", "cur/**"):
        document = lake.check(current=where)
        assert (document["verdict"], document["rows"]["current"]) == ("NoDrift", ROWS)
        assert lake.names("objects", document)["RemovedFromTable"] == ["cur/old.parquet"]
        assert any("Delta" in note for note in document["notes"])


def test_an_iceberg_table_is_refused(lake):
    lake.put("ref/0.parquet", table(1))
    lake.put("cur/data/0.parquet", table(2))
    lake.text("cur/metadata/v1.metadata.json", b"{}")
    for where in ("cur", "cur/data", "cur/data/*.parquet"):
        code, _, err = lake.run(current=where)
        assert code == 2
        assert "is an Iceberg table" in err


def test_text_and_page_name_what_is_left_out(lake):
    lake.put("ref/0.csv", table(1))
    lake.put("cur/0.csv", table(2))
    lake.text("cur/1.csv.zst", b"x" * 9000)
    lake.text("cur/_SUCCESS", b"")
    code, out, _ = lake.run("--html", str(lake.path / "page.html"))
    assert (code, out.partition(":")[0]) == (0, "Inconclusive")
    left_out = out.partition("Left out:\n")[2]
    assert "cur/1.csv.zst. Neither name nor content" in left_out
    assert "cur/_SUCCESS" in left_out
    assert out.partition("Left out:")[0].count("cur/1.csv.zst") == 1, "in the message, and not again in a note"
    page = (lake.path / "page.html").read_text()
    assert "cur/1.csv.zst. Neither name nor content" in page
    assert "cur/_SUCCESS" in page
    assert "Share compared" in page


def test_the_command_repeats_the_minimum(lake):
    lake.put("ref/0.parquet", table(1))
    assert lake.check("--minimum-coverage", "0.5", current="ref")["reproduce"].endswith("--minimum-coverage 0.5")


def test_a_listing_without_data_names_what_is_there(lake):
    lake.text("cur/a.zst", b"x" * 99)
    lake.put("ref/0.parquet", table(1))
    code, _, err = lake.run()
    assert (code, "cur/a.zst has an unknown type" in err) == (2, True)
    lake.text("docs/README.md", b"x")
    code, _, err = lake.run(current="docs")
    assert (code, "there are no Parquet, CSV or JSON Lines files" in err) == (2, True)
    assert list_files(open_store(None), f"{lake.path}/ref/0.parquet").left_out == ()


def test_a_folder_whose_name_looks_like_a_pattern(lake):
    lake.put("ref [1]/0.parquet", table(1))
    lake.put("cur*/0.parquet", table(2))
    assert lake.check(reference="ref [1]", current="cur*")["verdict"] == "NoDrift"


EMPTY = {".csv": b"", ".csv.gz": gzip.compress(b""), ".jsonl": b"\n"}


@pytest.mark.parametrize("suffix", EMPTY)
@pytest.mark.parametrize("side", ["ref", "cur"])
def test_empty_files_have_no_rows(lake, side, suffix):
    """Spark writes empty parts, without a header, of partitions without rows."""
    kind = suffix.removesuffix(".gz")
    lake.put(f"ref/1{kind}", table(1))
    lake.put(f"cur/1{kind}", table(2))
    for name in ("0", "2"):
        lake.text(f"{side}/{name}{suffix}", EMPTY[suffix])
    lake.text("cur/folder", b"")
    for options in [()] if kind == ".jsonl" else [(), ("--format", "CSV")]:
        document = lake.check(*options)
        assert (document["verdict"], document["violations"]) == ("NoDrift", []), document["message"]
        left_out = {"NoRows": [f"{side}/0{suffix}", f"{side}/2{suffix}"], "Marker": ["cur/folder"]}
        assert lake.names("objects", document) == left_out
        assert document["coverage"]["columns"]["leftOut"] == []


def test_a_side_of_empty_files_has_no_rows(lake):
    lake.put("ref/0.csv", table(1))
    lake.text("cur/0.csv", b"")
    document = lake.check()
    assert (document["verdict"], document["violations"][0]["kind"]) == ("Corrupted", "NoRows")


def test_columns_that_were_not_asked_for_are_not_new(lake):
    for side, seed in (("ref", 1), ("cur", 2)):
        lake.put(f"{side}/0.parquet", table(seed))
    document = lake.check("--columns", "k")
    assert lake.names("columns", document) == {"ExcludedColumn": ["x"]}
    assert not any("New in the current files" in note for note in document["notes"])
