"""A folder of files in several formats, and checks of them on the command line."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from modelmonitor_trainer.cli.main import main

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
