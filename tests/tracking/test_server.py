"""Tracking: trainings are recorded on a real MLflow server, and a server that is down affects nothing else.

`make test-mlflow` runs these tests in a separate environment (hack/mlflow.sh), because mlflow is not a development
dependency. Without mlflow they fail; they are never skipped.
"""

import datetime as dt
import logging
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from mlflow import MlflowClient

from modelmonitor_api.messages import MonitorRef
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.mlflow_tracking import move_alias, record_training, tracked_name
from modelmonitor_trainer.registry.records import VersionRecord

NAME = tracked_name(MonitorRef(namespace="ns", name="flights", uid="u"))
PREFIX = "s3://results/ns/flights/"


def record(number, outcome="Passed"):
    period = {"start": "2024-01-01", "end": "2024-01-10", "rows": 100}
    return VersionRecord(
        version=f"v{number}-0badcafe",
        number=number,
        monitor_uid="u",
        created=dt.datetime(2024, 2, number, tzinfo=dt.UTC),
        trigger="DriftDetected",
        image="trainer:1",
        seed=0,
        task="Regression",
        target="y",
        features=[],
        train=period,
        holdout=period,
        manifest_sha256="0" * 64,
        predictions_sha256="0",
        metric="R2",
        outcome=outcome,
        reason="Better",
        message="it is better",
    )


def record_result(number, *, serves, outcome="Passed"):
    metrics = {"challenger.R2": 0.5, "champion.R2": None, "strange": float("inf"), "difference.value": 0.1}
    parameters = {"strategy": "Refit", "long": "x" * 9999, "nothing": None}
    return record_training(ResultsLayout(PREFIX), NAME, record(number, outcome), metrics, parameters, serves=serves)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
                *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
                *("--artifacts-destination", str(folder / "files")),
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()[-2000:]
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.filterwarnings("ignore")
def test_trainings_are_recorded_on_a_real_server(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert record_result(1, serves=True) is None
    assert record_result(1, serves=True) is None
    assert record_result(2, serves=False, outcome="Rejected") is None
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name(NAME)
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"v1-0badcafe", "v2-0badcafe"}, "no duplicates"
    first = runs["v1-0badcafe"]
    assert first.info.status == "FINISHED"
    assert first.data.metrics == {"challenger.R2": 0.5, "difference.value": 0.1}
    assert first.data.params["strategy"] == "Refit"
    assert len(first.data.params["long"]) == 500
    assert first.data.tags["modelmonitor.outcome"] == "Passed"
    champion = client.get_model_version_by_alias(NAME, "champion")
    assert champion.tags["modelmonitor.version"] == "v1-0badcafe"
    assert champion.source == f"{PREFIX}versions/v1-0badcafe/"
    move_alias(NAME, "v2-0badcafe")
    assert client.get_model_version_by_alias(NAME, "champion").tags["modelmonitor.version"] == "v2-0badcafe"
    assert "has no version with the tag" in (move_alias(NAME, "v9-0badcafe") or "")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    assert record_result(3, serves=True) is None
    assert client.get_experiment_by_name("ours") is not None


@pytest.mark.filterwarnings("ignore")
def test_a_server_that_is_down_is_logged_without_an_exception(monkeypatch, caplog):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}")
        begun = time.monotonic()
        with caplog.at_level(logging.WARNING):
            record_result(1, serves=True)
    assert time.monotonic() - begun < 60
    assert "was not updated with version v1-0badcafe" in caplog.text
