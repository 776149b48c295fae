"""Corrupted and unsuitable files on the command line: a message that names the file, never a crash."""

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.storage.local import LocalStore

ROWS = 3000


def table(seed=0):
    g = np.random.default_rng(seed)
    return pa.table({"x": g.normal(size=ROWS), "w": g.choice(["a", "b"], ROWS).tolist()})


@pytest.fixture
def folder(tmp_path):
    pq.write_table(table(), tmp_path / "good.parquet")
    (tmp_path / "good.csv").write_text("x,w\n" + "".join(f"{x},a\n" for x in table()["x"].to_pylist()))
    return tmp_path


@pytest.fixture
def check(capsys, folder):
    """Checks one file of the folder against another."""

    def checked(reference, current, *more):
        code = main(["check", "--reference", f"{folder}/{reference}", "--current", f"{folder}/{current}", *more])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return checked


def truncated(folder):
    (folder / "bad.parquet").write_bytes((folder / "good.parquet").read_bytes()[:-200])


def corrupt(folder):
    data = bytearray((folder / "good.parquet").read_bytes())
    footer = int.from_bytes(data[-8:-4], "little")
    data[-8 - footer // 2 : -8] = b"\xff" * (footer // 2)
    (folder / "bad.parquet").write_bytes(data)


def damaged_page(folder):
    pq.write_table(table(), folder / "bad.parquet", compression="zstd")
    data = bytearray((folder / "bad.parquet").read_bytes())
    data[4:60] = b"\xff" * 56
    (folder / "bad.parquet").write_bytes(data)


def no_bytes(folder):
    (folder / "bad.parquet").write_bytes(b"")


@pytest.mark.parametrize("damage", [truncated, corrupt, damaged_page, no_bytes])
def test_parquet_that_cannot_be_read_is_named(check, folder, damage):
    damage(folder)
    code, out, _ = check("good.parquet", "bad.parquet", "--output", "json")
    document = json.loads(out)
    assert (code, document["verdict"]) == (0, "Corrupted")
    assert f"{folder}/bad.parquet cannot be read as Parquet" in document["message"]
    code, out, err = check("bad.parquet", "good.parquet")
    assert (code, out) == (2, "")
    assert f"{folder}/bad.parquet cannot be read as Parquet" in err
    assert err.count("\n") == 1


def test_files_without_rows(check, folder):
    pq.write_table(table().slice(0, 0), folder / "none.parquet")
    code, out, _ = check("good.parquet", "none.parquet")
    assert (code, out.partition(":")[0]) == (0, "Corrupted")
    assert "the current files have no rows" in out
    assert "live window" not in out
    code, out, _ = check("none.parquet", "good.parquet")
    assert (code, out.partition(":")[0]) == (0, "Inconclusive")
    code, out, _ = check("none.parquet", "none.parquet")
    assert code == 0


def test_a_schema_that_changes_between_files(check, folder):
    (folder / "both").mkdir()
    pq.write_table(table(), folder / "both/a.parquet")
    texts = pa.array([f"{value} km" for value in table(1)["x"].to_pylist()])
    pq.write_table(table(1).set_column(0, "x", texts), folder / "both/b.parquet")
    code, out, _ = check("good.parquet", "both")
    assert code == 0
    assert "column 'x' holds text ('" in out
    assert "both/b.parquet" in out


def test_mixed_types_in_csv(check, folder):
    (folder / "mixed.csv").write_text((folder / "good.csv").read_text() + "oops,a\n")
    code, out, _ = check("good.csv", "mixed.csv")
    assert (code, out.partition(":")[0]) == (0, "Corrupted")
    assert "column 'x' holds text ('oops' in 1 row), where the reference holds numbers, in" in out
    assert "mixed.csv" in out


def test_csv_with_rows_of_different_lengths(check, folder):
    (folder / "ragged.csv").write_text("x,w\n1,a\n2,b,c\n")
    code, _, err = check("ragged.csv", "good.csv")
    assert code == 2
    assert "ragged.csv cannot be read as CSV: CSV parse error: Row #3: Expected 2 columns, got 3" in err


def test_columns_that_cannot_be_compared_are_named(check, folder):
    more = {"inside": [{"a": 1}] * ROWS, "list": [[1, 2]] * ROWS, "long" * 100: table()["x"]}
    pq.write_table(pa.table({"x": table()["x"], **more}), folder / "nested.parquet")
    code, out, _ = check("nested.parquet", "good.parquet")
    assert code == 0
    assert "inside, list" in out
    assert "because names must have 1 to 253 characters: longlonglong" in out
    assert "(400 characters)" in out
    pq.write_table(pa.table({"inside": [{"a": 1}] * 9}), folder / "only.parquet")
    code, _, err = check("only.parquet", "good.parquet")
    assert code == 2
    assert "only.parquet has no column of numbers, dates or text, but" in err


def test_a_column_that_is_missing(check, folder):
    pq.write_table(table().select(["w"]), folder / "less.parquet")
    code, out, _ = check("good.parquet", "less.parquet")
    assert (code, out.partition(":")[0]) == (0, "Corrupted")
    assert "column 'x' is missing from" in out
    assert "less.parquet" in out


def test_a_file_that_is_deleted_between_listing_and_reading(check, folder, monkeypatch):
    (folder / "many").mkdir()
    for number in range(3):
        pq.write_table(table(number), folder / f"many/{number}.parquet")
    opened = LocalStore.open

    def and_gone(self, info):
        (folder / "many/2.parquet").unlink(missing_ok=True)
        return opened(self, info)

    monkeypatch.setattr(LocalStore, "open", and_gone)
    code, out, err = check("good.parquet", "many", "--output", "json")
    assert code != 1
    assert "many/2.parquet" in out + err


def test_a_small_file_that_is_large_when_decompressed_is_read_within_memory(check, folder):
    """A column of 30 million equal numbers is 240 MB decoded, and a few kilobytes in the file."""
    part = pa.table({"x": np.zeros(1_000_000)})
    with pq.ParquetWriter(folder / "bomb.parquet", part.schema, compression="zstd") as writer:
        for _ in range(30):
            writer.write_table(part, row_group_size=30_000_000)
    assert (folder / "bomb.parquet").stat().st_size < 200_000
    program = (
        "import re, resource, sys\n"
        "from pathlib import Path\n"
        "from modelmonitor_trainer.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        # getrusage reports the peak of the parent process if that is higher.
        "status = Path('/proc/self/status')\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "peak = int(re.search(r'VmHWM:\\s+(\\d+)', status.read_text())[1]) if status.exists() else peak\n"
        "print(peak // 1024)\n"
        "sys.exit(code)\n"
    )
    files = ["--reference", str(folder / "good.parquet"), "--current", str(folder / "bomb.parquet")]
    process = subprocess.run(
        [sys.executable, "-c", program, "check", *files],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.returncode == 0, process.stderr
    assert int(process.stdout.split()[-1]) < 300


def test_truncated_gzip(check, folder):
    (folder / "cut.csv.gz").write_bytes(gzip.compress((folder / "good.csv").read_bytes())[:-500])
    code, _, err = check("cut.csv.gz", "good.csv")
    assert code == 2
    assert "cut.csv.gz cannot be read as CSV" in err
