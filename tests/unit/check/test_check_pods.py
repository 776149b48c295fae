"""Checks in pods: what they write as their termination message, and their exit codes."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from modelmonitor_api.messages import CheckVerdict, Failure, decode_answer, encode
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.cli.pod import run_in_pod
from modelmonitor_trainer.errors import BadData, StorageUnavailable


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
