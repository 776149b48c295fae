"""What a check leaves out is named, on the command line: files and folders."""

import gzip
import json
import os
import shutil

import numpy as np
import pytest

from modelmonitor_trainer.check.sources.file_listing import list_files
from modelmonitor_trainer.storage.open import open_store
from unit.check.file_lake import ROWS, Lake, table

LAYOUT = ("_temporary/0/b.parquet", ".staging/b.parquet", ".ipynb_checkpoints/a-checkpoint.parquet", "_b.parquet")
EMPTY = {".csv": b"", ".csv.gz": gzip.compress(b""), ".jsonl": b"\n"}


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
