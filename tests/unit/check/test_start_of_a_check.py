"""The start of a check: what it imports, and how much it computes before it reads data."""

import datetime as dt
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq


def imported_by(*arguments):
    """Return the names of the modules that the command line has imported at its end."""
    code = (
        "import sys; from modelmonitor_trainer.cli.main import main; code = main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return set(process.stderr.split())


HEAVY = {"sklearn", "skops", "pandas", "boto3", "scipy.stats", "numpy.ma"}


def test_a_check_imports_nothing_that_only_training_needs(files):
    sides = ["--reference", files / "reference/0.parquet", "--current", files / "current/0.parquet"]
    imported = imported_by("check", *sides, "--output", "json")
    assert not (HEAVY | {"jinja2", "yaml"}) & imported
    assert "pyarrow" in imported


def test_a_calibrated_check_of_a_monitor_imports_nothing_that_only_training_needs(tmp_path):
    g = np.random.default_rng(0)
    for day in range(40):
        folder = tmp_path / "live" / f"date={dt.date(2026, 1, 1) + dt.timedelta(days=day)}"
        folder.mkdir(parents=True)
        # Whole numbers as doubles could have been 32-bit floats, which takes a closer look.
        columns = {"x": g.normal(size=100), "whole": g.integers(0, 9, 100).astype(float), "y": g.integers(0, 2, 100)}
        pq.write_table(pa.table(columns), folder / "0.parquet")
    file = tmp_path / "monitor.yaml"
    file.write_text(f"""
apiVersion: modelmonitor.io/v1alpha1
kind: ModelMonitor
metadata: {{name: daily}}
spec:
  schedule: "0 6 * * *"
  storage: {{resultsURI: "file://{tmp_path}/results/"}}
  data:
    live: {{uri: "file://{tmp_path}/live/date=%Y-%m-%d/", windowDays: 7}}
    reference: {{start: 2026-01-01, end: 2026-02-02}}
  model:
    task: BinaryClassification
    target: "y"
    features: [{{name: x, type: Numeric}}, {{name: whole, type: Numeric}}]
  retraining: {{estimator: {{name: LogisticRegression}}}}
  promotion: {{metric: ROCAUC}}
""")
    imported = imported_by("check", "-f", file, "--output", "json")
    assert not HEAVY & imported
    assert "modelmonitor_trainer.detect.variation" in imported


def test_reading_the_champion_imports_nothing_that_only_training_needs():
    code = (
        "import sys; import modelmonitor_trainer.check.publish, modelmonitor_trainer.registry.registry; "
        "print(*sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert not {"sklearn", "skops", "pandas", "boto3", "scipy.stats"} & set(process.stdout.split())


def counted_run(*arguments):
    """Return the number of calls of Python functions in a run of the command line, and the imported modules."""
    code = (
        "import itertools, sys\n"
        "calls = itertools.count()\n"
        "sys.setprofile(lambda frame, event, arg: event == 'call' and next(calls))\n"
        "from modelmonitor_trainer.cli.main import main\n"
        "try:\n"
        "    code = main(sys.argv[1:])\n"
        "except SystemExit as exit:\n"
        "    code = exit.code\n"
        "sys.setprofile(None)\n"
        "print(next(calls), *sys.modules, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    calls, *modules = process.stderr.split()
    return int(calls), set(modules)


def test_help_starts_fast():
    """The limit is about twice the number of calls, which depends on versions and not on the speed of the machine."""
    calls, modules = counted_run("--help")
    assert calls < 50_000
    assert not {"numpy", "pyarrow", "pandas", "scipy", "sklearn", "boto3", "pydantic"} & modules


def test_a_check_of_files_starts_fast(tmp_path):
    """The limit is about twice the number of calls, which depends on versions and not on the speed of the machine."""
    for name, seed in (("ref", 0), ("cur", 1)):
        g = np.random.default_rng(seed)
        columns = {f"x{index}": g.normal(size=10_000) for index in range(10)}
        pq.write_table(pa.table(columns | {"c": g.choice(list("abcdef"), 10_000)}), tmp_path / f"{name}.parquet")
    sides = ["--reference", str(tmp_path / "ref.parquet"), "--current", str(tmp_path / "cur.parquet")]
    calls, _ = counted_run("check", *sides, "--output", "json")
    assert calls < 600_000
