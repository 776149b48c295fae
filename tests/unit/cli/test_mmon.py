"""``kubectl mmon``: its options, what it prints, its exit codes, and the completion of its words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelmonitor_trainer.cli.main import main as modelmonitor
from modelmonitor_trainer.cli.mmon.completion import complete
from modelmonitor_trainer.cli.mmon.main import build_parser, main
from modelmonitor_trainer.registry.layout import ResultsLayout
from support.monitors import monitor
from unit.cluster.fake_kubectl import FakeKubectl
from unit.cluster.observed import HOSTILE, READY, UID, last_check

MONITORS = "get --raw /apis/modelmonitor.io/v1alpha1/namespaces/ml/modelmonitors"
FORBIDDEN = "Error from server (Forbidden): modelmonitors is forbidden"
NOT_FOUND = 'Error from server (NotFound): modelmonitors.modelmonitor.io "x" not found'


def resource(**changes: Any) -> dict[str, Any]:
    status = {"conditions": [READY.to_wire()], "observedGeneration": 1, "lastCheck": last_check("Drift").to_wire()}
    metadata = {"name": "flights", "namespace": "ml", "uid": UID, "generation": 1}
    return monitor() | {"metadata": metadata, "status": status} | changes


Cluster = Callable[..., FakeKubectl]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster with the monitor ml/flights, as far as the answers do not say otherwise."""

    def make(answers: dict[str, Any] | None = None, **changes: Any) -> FakeKubectl:
        defaults = {
            "config view": ["ml"],
            f"{MONITORS}/flights": resource(**changes),
            MONITORS: {"items": [resource()]},
            "get --raw /apis/batch/v1/namespaces/ml/jobs": {"items": []},
            "get --raw /api/v1/namespaces/ml/pods": {"items": []},
            "patch": {},
        }
        given = answers or {}  # first, because the first that fits is the answer
        fake = FakeKubectl(
            tmp_path, given | {start: answer for start, answer in defaults.items() if start not in given}
        )
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return fake

    return make


def patches(fake: FakeKubectl) -> list[dict[str, Any]]:
    """Return the changes that were made."""
    options = [argument for call in fake.calls() for argument in call if argument.startswith("--patch=")]
    return [json.loads(option.removeprefix("--patch=")) for option in options]


def test_status_as_a_page_and_for_scripts(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster()
    assert main(["status", "flights"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("ml/flights\n  Ready.")
    assert "\x1b" not in page, "the output is no terminal"
    assert "kubectl mmon report flights  " in page, "the namespace is that of the context"
    assert main(["status", "mmon/flights", "-o", "json", "--namespace", "ml"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "Drift"


def test_modelmonitor_has_the_same_words(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster()
    assert modelmonitor(["status", "flights"]) == 0
    same = capsys.readouterr().out
    assert main(["status", "flights"]) == 0
    assert same.splitlines()[0] == capsys.readouterr().out.splitlines()[0] == "ml/flights"


@pytest.mark.parametrize(
    ("variables", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(
    variables: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelmonitor_trainer.cli.mmon.session import uses_color

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert uses_color() is colored


@pytest.mark.parametrize(
    ("answers", "name", "message", "code"),
    [
        ({}, "flight", "there is no ModelMonitor 'flight' in namespace ml; did you mean flights?", 2),
        ({}, "zebra", "there is no ModelMonitor 'zebra' in namespace ml; kubectl get mmon --all-namespaces lists", 2),
        ({MONITORS: NOT_FOUND}, "x", "this cluster has no ModelMonitors: install the chart", 2),
        ({MONITORS: FORBIDDEN}, "x", "you need the verbs get and list on modelmonitors in namespace ml", 2),
        ({MONITORS: "Unable to connect to the server: refused"}, "x", "see kubectl cluster-info", 3),
    ],
)
def test_a_monitor_that_cannot_be_read(
    cluster: Cluster,
    capsys: pytest.CaptureFixture[str],
    answers: dict[str, str],
    name: str,
    message: str,
    code: int,
) -> None:
    cluster(answers or {f"{MONITORS}/{name}": NOT_FOUND})
    assert main(["status", name]) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["-x", "Flights", "a b", "../x", ""])
def test_a_name_is_validated(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["status", "--", name])
    assert stop.value.code == 2
    assert "is not a name of an object" in capsys.readouterr().err


def test_a_request_without_a_wait_says_how_to_follow_it(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    fake = cluster()
    assert main(["check", "flights", "-n", "ml"]) == 0
    assert "To see how it goes: kubectl mmon status flights -n ml" in capsys.readouterr().out
    [change] = patches(fake)
    assert list(change["metadata"]["annotations"]) == ["modelmonitor.io/check-requested-at"]


def test_a_wait_ends_in_time(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster()
    monkeypatch.setattr("modelmonitor_trainer.cli.mmon.requests._POLL_SECONDS", 0)
    assert main(["retrain", "flights", "--wait", "--timeout", "1s", "-o", "json"]) == 4
    captured = capsys.readouterr()
    assert json.loads(captured.out)["stage"] == "TimedOut"
    assert "The operator has not started it yet." in captured.err


@pytest.mark.parametrize("text", ["1", "5d", "1h30m", ""])
def test_a_timeout_is_validated(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "flights", "--timeout", text])
    assert "write 90s, 10m or 2h" in capsys.readouterr().err


def test_pause_resume_pin_and_unpin(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    marks = {"name": "flights", "namespace": "ml", "uid": UID, "labels": {"argocd.argoproj.io/instance": "x"}}
    fake = cluster(metadata=marks)
    assert main(["pause", "flights"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "ml/flights is paused\n"
    assert "Argo CD applies this monitor: set spec.suspend in its source, too" in captured.err
    assert main(["resume", "flights"]) == 0
    assert capsys.readouterr().out == "ml/flights is already running\n"
    assert main(["pin", "flights", "--reason", "audit"]) == 0
    assert main(["unpin", "flights"]) == 0
    pins = [change["metadata"]["annotations"]["modelmonitor.io/pin"] for change in patches(fake)[1:]]
    assert pins == ["audit", None]


def test_explain_and_history(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster()
    assert main(["explain", "flights", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"]["action"] == "Nothing"
    assert main(["history", "flights"]) == 0
    assert "No decision has been recorded yet." in capsys.readouterr().out


def test_an_invalid_spec_is_not_explained(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster(spec={"schedule": HOSTILE})
    assert main(["explain", "flights"]) == 2
    error = capsys.readouterr().err
    assert "the spec of flights is invalid" in error
    assert all(c.isprintable() or c == "\n" for c in error)


def test_doctor_exits_with_10_if_there_is_a_problem(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster({"get --raw /apis/apps/v1/deployments": {"items": []}})
    assert main(["doctor", "flights", "--no-data"]) == 10
    assert "No Deployment of the operator exists" in capsys.readouterr().out


def test_a_report_is_written_to_a_file(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelmonitor_trainer.storage.local import LocalStore

    spec = monitor()["spec"]
    spec["storage"] = {"resultsURI": f"file://{tmp_path}/results/"}
    cluster(spec=spec)
    folder = Path(ResultsLayout(f"{tmp_path}/results/ml/flights/").runs(UID)) / "4"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<!doctype html><p>training 4")
    monkeypatch.setattr("modelmonitor_trainer.cluster.results._connect", lambda *_: LocalStore())
    target = tmp_path / "page.html"
    for option in ("--html", "--output", "-o"):
        target.unlink(missing_ok=True)
        assert main(["report", "flights", "--training", option, str(target)]) == 0
        assert capsys.readouterr().out == f"{target}\n"
    assert target.read_text().endswith("<p>training 4")
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)  # returns nothing: no browser was found
    assert modelmonitor(["report", "flights", "--training", "4"]) == 0
    captured = capsys.readouterr()
    assert opened == [Path(captured.out.strip()).as_uri()]
    assert "There is no browser here" in captured.err
    assert main(["report", "flights", "--training", "--output", "-"]) == 0
    assert capsys.readouterr().out.endswith("<p>training 4\n")
    assert main(["report", "flights", "--training", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["uri"].endswith("/runs/" + UID + "/4/report.html")
    assert main(["report", "flights"]) == 2
    assert "no check of ml/flights has written a page" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a monitor of a cluster, or give a YAML file with -f"),
        (["flights", "-f", "x.yaml"], "name a monitor of a cluster, or give a YAML file with -f"),
        (["-f", "x.yaml", "--training"], "--training is for a monitor of a cluster"),
        (["-f", "x.yaml", "-o", "y"], "--output is for a monitor of a cluster"),
    ],
)
def test_a_report_is_of_one_monitor(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert modelmonitor(["report", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "candidates", "directive"),
    [
        (["sta"], ["status"], ":4"),
        (["re"], ["report", "retrain", "resume"], ":4"),
        (["status", ""], ["flights"], ":4"),
        (["status", "-n", "ml", "fl"], ["flights"], ":4"),
        (["status", "--na"], ["--namespace"], ":4"),
        (["status", "--output", ""], ["text", "json"], ":4"),
        (["report", "--html", ""], [], ":0"),
        (["status", "--context", ""], ["prod", "test"], ":4"),
        (["rollback", "flights", "--to", "p"], ["previous"], ":4"),
    ],
)
def test_completion(cluster: Cluster, words: list[str], candidates: list[str], directive: str) -> None:
    cluster({"config get-contexts": ["prod", "test"]})
    completions, shell_directive = complete(words, build_parser())
    assert [each.split("\t")[0] for each in completions] == candidates
    assert shell_directive == directive


@pytest.mark.parametrize("program", ["modelmonitor_trainer.cli.main", "modelmonitor_trainer.cli.mmon.main"])
def test_help_imports_nothing_heavy(program: str) -> None:
    code = f"import sys, {program} as m; m.build_parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "pandas", "pyarrow", "sklearn", "boto3", "pydantic", "kubernetes", "yaml"}
    assert heavy.isdisjoint(done.stdout.split())
