"""The command line: what it prints, what it writes, and its exit codes."""

import datetime as dt
import io
import itertools
import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer import progress
from modelmonitor_trainer.cli.main import main


def run(capsys, *args):
    code = main([str(arg) for arg in args])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    "pattern", ["{0}/{1}/*.parquet", "file://{0}/{1}/*.parquet", "{0}/{1}/0.parquet", "{0}/{1}/?.csv"]
)
def test_two_sets_of_files(capsys, files, pattern):
    code, out, _ = run(
        capsys,
        *("check", "--reference", pattern.format(files, "reference"), "--current", pattern.format(files, "current")),
        *("--output", "json", "--independent-rows"),
    )
    document = json.loads(out)
    assert code == 0
    assert document["verdict"] == "Drift"
    first = document["features"][0]
    assert (first["name"], first["type"], first["drifted"], first["decidedBy"]) == (
        "x",
        "Numeric",
        True,
        "Distribution",
    )
    assert 0.15 < first["effectLow"] < first["effect"] < first["effectHigh"] < 0.4
    assert set(first) >= {"pValue", "adjustedPValue", "nullRate"}
    assert [f["name"] for f in document["features"] if f["drifted"]] == ["x"]
    assert document["timings"]


def test_text_target_and_page(capsys, files):
    args = ("check", "--reference", files / "reference/0.parquet", "--current", files / "current/0.parquet")
    options = ("--target", "y", "--html", files / "report.html", "--false-alarms", "1/365d", "--independent-rows")
    code, out, _ = run(capsys, *args, *options)
    assert code == 0
    assert out.startswith("Drift: 1 of 5 columns has drifted: x (effect")
    page = (files / "report.html").read_text()
    assert "level 0.00274" in page
    assert "(target)" in page


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--reference", "{0}/nowhere", "--current", "{0}/current"], "no Parquet, CSV or JSON Lines files at"),
        (["--reference", "{0}/bad.yaml", "--current", "{0}/current"], "bad.yaml has an unknown type; set --format"),
        (["--reference", "{0}/reference/0.csv"], "--reference and --current must be set together"),
        (["--reference", "{0}/reference/0.csv", "--current", "{0}/current/0.csv", "--target", "q"], "--target 'q'"),
        (["--reference", "{0}/bad.parquet", "--current", "{0}/current/0.parquet"], "bad.parquet cannot be read"),
        (["-f", "{0}/nothing.yaml"], "cannot be read: No such file"),
        (["-f", "{0}/bad.yaml"], "is not YAML"),
        (["-f", "{0}/empty.yaml"], "holds no ModelMonitor documents"),
    ],
)
def test_errors_are_one_sentence_and_exit_2(capsys, files, args, message):
    (files / "bad.parquet").write_bytes(b"not parquet")
    (files / "bad.yaml").write_text("a: [")
    (files / "empty.yaml").write_text("kind: Pod\n")
    code, _, err = run(capsys, "check", *(arg.format(files) for arg in args))
    assert code == 2
    assert err.startswith("modelmonitor: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "args", [["--false-alarms", "often"], ["--minimum-effect", "2"], ["--reference", "a", "-f", "b"]]
)
def test_arguments_are_checked(capsys, args):
    with pytest.raises(SystemExit) as raised:
        main(["check", *args])
    assert raised.value.code == 2


def test_a_monitor_from_its_yaml_file(capsys, world, tmp_path):
    path = world.manifest(tmp_path / "monitor.yaml")
    code, out, _ = run(capsys, "validate", "-f", path)
    assert code == 0
    assert out.startswith(f"{path}: default/mon is valid\n")
    assert "in a cluster every URI must be s3://" in out
    code, _, err = run(capsys, "report", "-f", path)
    assert (code, "there is no report" in err) == (2, True)
    code, out, _ = run(capsys, "check", "-f", path)
    assert (code, out.split(":")[0]) == (0, "NoDrift")
    code, out, _ = run(capsys, "report", "-f", path, "--html", tmp_path / "copy.html")
    assert (code, out.strip()) == (0, str(tmp_path / "copy.html"))
    assert "<h1>No drift in 4 columns" in (tmp_path / "copy.html").read_text()


def test_an_invalid_monitor_is_explained(capsys, world, tmp_path):
    world.spec["model"]["features"][0]["maximum"] = "-90"
    code, _, err = run(capsys, "validate", "-f", world.manifest(tmp_path / "monitor.yaml"))
    assert code == 2
    assert "spec.model.features[0]" in err


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self):
        return True


def test_a_progress_bar_shows_bytes_rows_columns_and_time_left(monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 0)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    clock = itertools.count(0, 60)
    now = [float(next(clock))]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])

    def slow(tick):
        for rows in (10, 20, 30):
            now[0] = float(next(clock))
            if rows == 20:
                tick(500_000)
            yield rows

    items = progress.with_progress_bar(
        slow, sizes=[2_000_000, 1_000_000, 1], what="reference", columns=7, rows_of=lambda n: n
    )
    assert list(items) == [10, 20, 30]
    shown = terminal.getvalue()
    assert "reference:  83%" in shown, "a part of the second object"
    assert "reference:  67%" in shown
    assert "2.00M/3.00M [01:00<00:30" in shown
    assert "10 rows x 7 columns" in shown
    redirected = io.StringIO()
    monkeypatch.setattr(sys, "stderr", redirected)
    assert list(
        progress.with_progress_bar(lambda _: [1], sizes=[5], what="reference", columns=7, rows_of=lambda n: n)
    ) == [1]
    assert redirected.getvalue() == ""


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--reference", "", "--current", "x.parquet"], {}, "--reference and --current must be set together"),
        (["--reference", "x.parquet", "--current", ""], {}, "--reference and --current must be set together"),
        (
            ["--reference", "s3://b/x", "--current", "s3://b/y"],
            {"AWS_ENDPOINT_URL": "nonsense"},
            "correct the endpoint",
        ),
        (["--reference", "s3://b/x", "--current", "s3://b/y"], {"AWS_PROFILE": "nope"}, "AWS_PROFILE"),
    ],
)
def test_invalid_options_are_a_message_and_not_a_crash(monkeypatch, capsys, arguments, environment, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["check", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_command_to_reproduce_a_check_has_its_options(files, capsys):
    sides = ["--reference", str(files / "reference/0.parquet"), "--current", str(files / "current/0.parquet")]
    options = ["--false-alarms", "2/30d", "--checks-per-day", "24", "--minimum-effect", "0.1"]
    assert main(["check", *sides, *options, "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["reproduce"].endswith(" ".join(options))


def test_names_from_data_are_escaped_for_the_terminal(tmp_path, capsys):
    for name, shift in (("before", 0), ("now", 3)):
        rows = np.random.default_rng(shift).normal(shift, size=2000)
        pq.write_table(pa.table({"\x1b[31mred": rows}), tmp_path / f"{name}.parquet")
    sides = ["--reference", str(tmp_path / "before.parquet"), "--current", str(tmp_path / "now.parquet")]
    main(["check", *sides, "--independent-rows"])
    output = capsys.readouterr().out
    assert "Drift" in output
    assert "\x1b" not in output


@pytest.mark.parametrize("column", ["day", "nested"])
def test_a_target_that_cannot_be_compared_is_rejected(tmp_path, capsys, column):
    rows = {"x": [1.0, 2.0], "day": [dt.date(2024, 1, 1)] * 2, "nested": [{"a": 1}] * 2}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    path = str(tmp_path / "rows.parquet")
    assert main(["check", "--reference", path, "--current", path, "--target", column]) == 2
    assert f"--target {column!r} is" in capsys.readouterr().err
    assert main(["check", "--reference", path, "--current", path, "--target", "x", "--prediction", "x"]) == 2
