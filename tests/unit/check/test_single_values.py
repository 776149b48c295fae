"""A value that is common in the current rows only is named, from the files to the finding."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.cli.main import main

ROWS = 4000


def write(path, columns):
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(pa.table(columns), path)
    else:
        pq.write_table(pa.table(columns), path)


@pytest.fixture
def findings(tmp_path, capsys):
    """Check files, and return column → messages of the findings about shares of values."""

    def run(rows, suffix="parquet"):
        for side, files in (("ref", 8), ("cur", 4)):
            for number in range(files):
                write(tmp_path / side / f"{number}.{suffix}", rows(np.random.default_rng([number, files]), side))
        sides = ("--reference", str(tmp_path / "ref"), "--current", str(tmp_path / "cur"))
        assert main(["check", *sides, "--output", "json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["verdict"] == "NoDrift"
        return {f["column"]: f["message"] for f in document["findings"] if f["kind"] == "ValueShare"}

    return run


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
def test_a_new_sentinel(findings, suffix, kind):
    def rows(g, side):
        values = g.normal(500, 100, ROWS)
        if side == "cur":
            values[g.random(ROWS) < 0.025] = -999
        return {"amount": values.astype(kind), "k": g.normal(size=ROWS)}

    unusual = findings(rows, suffix)
    assert unusual.keys() == {"amount"}
    assert unusual["amount"].startswith("the value -999 is about 2.")


def test_a_new_sentinel_within_the_range(findings):
    def rows(g, side):
        values = g.normal(0, 5000, ROWS)
        if side == "cur":
            values[g.random(ROWS) < 0.025] = 999
        return {"amount": values, "k": g.normal(size=ROWS)}

    assert findings(rows)["amount"].startswith("the value 999 is about 2.")


def test_ordinary_rows_have_none(findings):
    assert findings(lambda g, _: {"amount": g.lognormal(3, 1, ROWS), "k": g.integers(0, 5000, ROWS)}) == {}
