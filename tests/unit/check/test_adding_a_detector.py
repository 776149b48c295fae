"""The example of docs/contributing/adding-a-detector.md works: its changes are made in a copy of the packages."""

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/contributing/adding-a-detector.md").read_text()
MODULE = "trainer/modelmonitor_trainer/check/detectors/zero_rate.py"
FIRST, DAYS = dt.date(2013, 1, 1), 40


def apply(change, root):
    """Apply the hunks of a change to one file: each adds lines after a line that is there once."""
    header, *hunks = re.split(r"^@@\n", change, flags=re.MULTILINE)
    name, _, first = header.partition("\n")
    path = root / name.removeprefix("--- a/")
    text = path.read_text()
    for hunk in (first, *hunks):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    path.write_text(text)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A copy of the packages with the detector, as the page tells to add it."""
    root = tmp_path_factory.mktemp("packages")
    for package in ("api/modelmonitor_api", "policy/modelmonitor_policy", "trainer/modelmonitor_trainer"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    (change,) = re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL)
    apply(change, root)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert f"`{MODULE}`" in PAGE
    (root / MODULE).write_text(code)
    return root


@pytest.fixture
def check(tmp_path, packages):
    """Check a monitor whose detector tests the zeros of x; in the last week, `zeros` of a hundred are 0."""

    def run(*options, zeros, columns=("x",)):
        g = np.random.default_rng(0)
        for number in range(DAYS):
            share = zeros if number >= DAYS - 7 else 0.3
            rows = {name: np.where(g.random(400) < share, 0.0, g.normal(size=400)) for name in ("x", "z")}
            folder = tmp_path / f"rows/date={FIRST + dt.timedelta(days=number)}"
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(rows | {"y": g.normal(size=400)}), folder / "part.parquet")
        spec = {
            "schedule": "0 6 * * *",
            "storage": {"resultsURI": f"file://{tmp_path}/results/"},
            "data": {
                "live": {"uri": f"file://{tmp_path}/rows/date=%Y-%m-%d/", "windowDays": 7},
                "reference": {"start": "2013-01-01", "end": "2013-02-02"},
            },
            "model": {
                "task": "Regression",
                "target": "y",
                "features": [{"name": "x", "type": "Numeric"}, {"name": "z", "type": "Numeric"}],
            },
            "detectors": [
                {"name": "features", "type": "FeatureDrift", "columns": ["z"]},
                {"name": "zeros", "type": "ZeroRate", "columns": list(columns)},
            ],
            "retraining": {"windowDays": 20, "estimator": {"name": "Ridge"}},
            "promotion": {"metric": "R2", "holdoutDays": 7},
        }
        kind = {"apiVersion": "modelmonitor.io/v1alpha1", "kind": "ModelMonitor"}
        document = kind | {"metadata": {"name": "mon", "namespace": "ns"}, "spec": spec}
        (tmp_path / "monitor.yaml").write_text(json.dumps(document))
        paths = [str(packages / package) for package in ("api", "policy", "trainer")]
        done = subprocess.run(
            [sys.executable, "-m", "modelmonitor_trainer.cli.main", "check", "-f", "monitor.yaml", *options],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_new_detector_appears_everywhere(tmp_path, check):
    text = check("--html", "report.html", zeros=0.6)
    assert text.startswith("Drift: ")
    assert "share of zeros: x (0." in text
    page = (tmp_path / "report.html").read_text()
    assert "Share of zeros" in page
    assert "<td>ZeroRate</td>" in page
    (path,) = tmp_path.glob("results/ns/mon/checks/*/*/verdict.json")
    document = json.loads(path.read_text())
    (outcome,) = (detector for detector in document["detectors"] if detector["name"] == "zeros")
    assert (outcome["type"], outcome["outcome"]) == ("ZeroRate", "Drift")
    (family,) = (family for family in document["relations"] if family["detector"] == "zeros")
    assert [(subject["name"], subject["changed"]) for subject in family["subjects"]] == [("x", True)]


def test_its_outcome_without_a_change(check):
    document = json.loads(check("--output", "json", zeros=0.3, columns=("x", "z")))
    (outcome,) = (outcome for outcome in document["detectors"] if outcome["name"] == "zeros")
    assert (outcome["outcome"], outcome["message"]) == ("NoDrift", "share of zeros: 2 columns tested")
