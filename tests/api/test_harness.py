"""The servers and processes of the other tests: they check what real ones check, and end with the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import ClientError

from support.apiserver import ApiServer
from support.client import ApiRefused, Client, Credentials
from support.processes import PATIENCE, Process, ProgramMissing, program, wait_until
from support.s3 import S3Server


def test_api_server_checks_tokens_and_rights(api_server: ApiServer, cluster: Client, namespace: str) -> None:
    cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody"}}, namespace)
    token = cluster.token("nobody", namespace)
    nobody = Client(Credentials(api_server.url, token, api_server.credentials.ca_file))
    with pytest.raises(ApiRefused, match=f"system:serviceaccount:{namespace}:nobody") as refused:
        nobody.list("ModelMonitor", namespace)
    assert refused.value.status == 403
    stranger = Client(Credentials(api_server.url, "wrong", api_server.credentials.ca_file))
    with pytest.raises(ApiRefused) as refused:
        stranger.list("ModelMonitor", namespace)
    assert refused.value.status == 401


def test_kubectl_reads_the_administrators_kubeconfig(api_server: ApiServer, namespace: str) -> None:
    command = [str(program("kubectl")), f"--kubeconfig={api_server.kubeconfig}", "get", "mmon", "-n", namespace]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    assert "No resources found" in done.stderr


def test_s3_server_obeys_conditions_and_checks_signatures(s3_server: S3Server, bucket: str) -> None:
    s3 = s3_server.client
    etag = s3.put_object(Bucket=bucket, Key="a/b.json", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="a/b.json", Body=b"2", IfNoneMatch="*")
    newer = s3.put_object(Bucket=bucket, Key="a/b.json", Body=b"3", IfMatch=etag)["ETag"]
    assert newer != etag
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="a/b.json", Body=b"4", IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="a/b.json")["Body"].read() == b"3"


def test_the_error_of_a_missing_program_names_the_make_target(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODELMONITOR_CACHE", str(tmp_path))
    with pytest.raises(ProgramMissing, match="run make binaries"):
        program("etcd")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_processes_do_not_outlive_a_killed_test_run(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from support.processes import Process\n"
        f"print(Process(['sleep', '600'], log=Path({str(tmp_path / 'log')!r})).pid, flush=True); time.sleep(600)"
    )
    folder = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=folder) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_until(lambda: psutil.Process(child).name() == "sleep", "guarded child")
        parent.kill()

    def gone() -> bool:
        return not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE

    wait_until(gone, "end of the child")


def test_stop_kills_a_process_that_ignores_sigterm(tmp_path: Path) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
    )
    process = Process([sys.executable, "-c", script], log=tmp_path / "log")
    wait_until(lambda: "on" in process.output(), "started process")
    assert process.stop(seconds=0.2) == -9  # it ignores the signal for 600 s, so any shorter wait does
