"""The command line: what it prints, what it writes, and its exit codes."""

import datetime as dt
import errno
import io
import itertools
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.messages import CheckVerdict, Failure, decode_answer, encode
from modelmonitor_trainer import progress
from modelmonitor_trainer.cli import check as check_command
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.cli.pod import run_in_pod
from modelmonitor_trainer.errors import BadData, StorageUnavailable


@pytest.fixture
def files(tmp_path):
    g = np.random.default_rng(0)
    for side, shift in (("reference", 0.0), ("current", 0.5)):
        folder = tmp_path / side
        folder.mkdir()
        for number in range(2):
            table = pa.table(
                {
                    "x": g.normal(shift, 1, 1000),
                    "same": g.normal(size=1000),
                    "word": g.choice(["a", "b"], 1000).tolist(),
                    "y": g.choice([True, False], 1000).tolist(),
                    "when": pa.array(np.arange(1000), pa.timestamp("s")),
                }
            )
            pq.write_table(table, folder / f"{number}.parquet")
            pyarrow.csv.write_csv(table.select(["x", "word"]), folder / f"{number}.csv")
    return tmp_path


def run(capsys, *args):
    code = main([str(arg) for arg in args])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Drift", 10),
        (" Drift , Corrupted", 10),
        ("Drift,Corrupted,Inconclusive,PerformanceDrop", 10),
        ("Corrupted,Inconclusive,PerformanceDrop", 0),
    ],
)
def test_the_exit_code_names_the_verdicts_to_fail_on(capsys, files, words, expected):
    sides = ("--reference", files / "reference/0.csv", "--current", files / "current/0.csv")
    code, out, err = run(capsys, "check", *sides, "--independent-rows", "--fail-on", words, "--output", "json")
    assert (code, err) == (expected, "")
    assert json.loads(out)["verdict"] == "Drift"


def test_verdicts_to_fail_on_can_be_given_one_by_one(capsys, files):
    sides = ("--reference", files / "reference/0.csv", "--current", files / "current/0.csv", "--independent-rows")
    code, _, _ = run(capsys, "check", *sides, "--fail-on", "Drift", "--fail-on", "Corrupted")
    assert code == 10


def test_a_gate_of_all_verdicts_passes_unchanged_data(capsys, files):
    sides = ("--reference", files / "reference/*.csv", "--current", files / "reference/*.csv")
    code, out, _ = run(capsys, "check", *sides, "--fail-on", "Drift,Corrupted,Inconclusive,PerformanceDrop")
    assert (code, out.split(":")[0]) == (0, "NoDrift")


@pytest.mark.parametrize("words", ["drift", "NoDrift", "Drift,", "Drift Corrupted", ""])
def test_an_unknown_verdict_to_fail_on_is_refused_with_the_list(capsys, files, words):
    with pytest.raises(SystemExit) as stopped:
        main(["check", "--reference", str(files), "--current", str(files), "--fail-on", words])
    assert stopped.value.code == 2
    assert "choose from Drift, Corrupted, PerformanceDrop, Inconclusive" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verdict", "reason", "dropped", "words", "expected"),
    [
        ("Drift", "Drift", True, {"PerformanceDrop"}, 10),
        ("Corrupted", "Corrupted", False, {"PerformanceDrop"}, 0),
        ("PerformanceDrop", "Inconclusive", True, {"Inconclusive"}, 10),
        ("PerformanceDrop", "PerformanceDrop", True, {"Inconclusive"}, 0),
        ("NoDrift", "NoDrift", False, {"Drift", "Corrupted", "PerformanceDrop", "Inconclusive"}, 0),
    ],
)
def test_a_drop_fails_with_whatever_verdict_it_comes(verdict, reason, dropped, words, expected):
    rows = {"reference": 1, "current": 1}
    answer = CheckVerdict(
        verdict=verdict,
        reason=reason,
        message="",
        performance_dropped=dropped,
        time=dt.datetime(2013, 1, 1, tzinfo=dt.UTC),
        rows=rows,
    )
    assert check_command._exit_code(answer, words) == expected


def test_pods_have_no_verdicts_to_fail_on(capsys, tmp_path):
    code, _, err = run(capsys, "check", "--request", tmp_path / "request", "--fail-on", "Drift")
    assert code == 2
    assert "--fail-on" in err


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
    assert out.startswith("Drift: 1 of 4 columns has drifted: x (distance")
    assert "Not compared, because they are neither numbers nor text: when." in out
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
    assert "<h1>No drift</h1>" in (tmp_path / "copy.html").read_text()


def test_an_invalid_monitor_is_explained(capsys, world, tmp_path):
    world.spec["model"]["features"][0]["maximum"] = "-90"
    code, _, err = run(capsys, "validate", "-f", world.manifest(tmp_path / "monitor.yaml"))
    assert code == 2
    assert "spec.model.features[0]" in err


def test_a_pod_writes_its_verdict(capsys, world, tmp_path, monkeypatch):
    log = tmp_path / "termination-log"
    monkeypatch.setenv("MODELMONITOR_TERMINATION_LOG", str(log))
    monkeypatch.setenv("MODELMONITOR_JOB_NAME", "mon-check-22678920")
    (tmp_path / "request.json").write_text(encode(world.request()))
    assert main(["check", "--request", str(tmp_path / "request.json")]) == 0
    answer = decode_answer(log.read_text())
    assert isinstance(answer, CheckVerdict)
    assert answer.verdict == "NoDrift"
    assert answer.report_uri
    assert "20130213T060000Z-mon-check-22678920" in answer.report_uri


def test_a_request_that_cannot_be_read(tmp_path, monkeypatch):
    log = tmp_path / "termination-log"
    monkeypatch.setenv("MODELMONITOR_TERMINATION_LOG", str(log))
    (tmp_path / "request.json").write_text('{"kind": "Check"}')
    assert main(["check", "--request", str(tmp_path / "request.json")]) == 2
    answer = decode_answer(log.read_text())
    assert isinstance(answer, Failure)
    assert answer.reason == "BadConfiguration"
    assert "of the same release" in answer.message


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (StorageUnavailable("no store"), 3, "StorageUnavailable"),
        (BadData("no data"), 2, "BadData"),
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/x"), 3, "DiskFull"),
        (MemoryError(), 1, "OutOfMemory"),
        (ZeroDivisionError("oops"), 1, "Crashed"),
    ],
)
def test_failures_of_pods(tmp_path, error, code, reason):
    def work():
        raise error

    log = tmp_path / "log"
    assert run_in_pod(work, termination_log=log) == code
    answer = decode_answer(log.read_text())
    assert (answer.kind, answer.reason) == ("Failure", reason)
    assert answer.message


def test_a_stopped_pod_reports_an_interruption(tmp_path):
    log = tmp_path / "log"
    program = (
        "import sys, time\n"
        "from modelmonitor_trainer.cli.pod import run_in_pod\n"
        "def work():\n"
        "    print('ready', flush=True)\n"
        "    while True:\n"
        "        time.sleep(0.01)\n"
        f"sys.exit(run_in_pod(work, termination_log={str(log)!r}))\n"
    )
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": path},
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143
    answer = decode_answer(log.read_text())
    assert (answer.kind, answer.reason) == ("Failure", "Interrupted")


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
        pq.write_table(pa.table({"x": g.normal(size=100), "y": g.integers(0, 2, 100)}), folder / "0.parquet")
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
    target: y
    features: [{{name: x, type: Numeric}}]
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
