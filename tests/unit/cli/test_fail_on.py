"""The option --fail-on: which verdicts end a script."""

import datetime as dt
import json

import pytest

from modelmonitor_api.messages import CheckVerdict
from modelmonitor_trainer.cli import check as check_command
from modelmonitor_trainer.cli.main import main


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
    assert "choose from Drift, Corrupted, ChampionUnusable, PerformanceDrop, Inconclusive" in capsys.readouterr().err


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
