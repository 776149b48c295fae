"""Tracking: trainings are recorded on a real MLflow server, and a server that is down affects nothing else.

`make test-mlflow` runs these tests in a separate environment (hack/mlflow.sh), because mlflow is not a development
dependency. Without mlflow they fail; they are never skipped.
"""

import logging
import os
import socket
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow import MlflowClient

from modelmonitor_trainer.registry.mlflow_tracking import move_alias
from support.processes import Process, free_port, wait_until
from support.versions import RESULTS_PREFIX, TRACKED_NAME, track_version


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    process = Process(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
            *("--artifacts-destination", str(folder / "files")),
        ],
        log=folder / "log",
        folder=folder,
    )

    def is_ready():
        process.ensure_running()
        try:
            urllib.request.urlopen(f"{address}/health", timeout=30).close()
        except OSError:
            return False
        return True

    try:
        wait_until(is_ready, "MLflow server", hint=f"see {folder / 'log'}")
        yield address
    finally:
        process.stop()


@pytest.mark.filterwarnings("ignore")
def test_trainings_are_recorded_on_a_real_server(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert track_version(1, serves=True) is None
    assert track_version(1, serves=True) is None
    assert track_version(2, serves=False, outcome="Rejected") is None
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name(TRACKED_NAME)
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"v1-0badcafe", "v2-0badcafe"}, "no duplicates"
    first = runs["v1-0badcafe"]
    assert first.info.status == "FINISHED"
    assert first.data.metrics == {"challenger.R2": 0.5, "difference.value": 0.1}
    assert first.data.params["strategy"] == "Refit"
    assert len(first.data.params["long"]) == 500
    assert first.data.tags["modelmonitor.outcome"] == "Passed"
    champion = client.get_model_version_by_alias(TRACKED_NAME, "champion")
    assert champion.tags["modelmonitor.version"] == "v1-0badcafe"
    assert champion.source == f"{RESULTS_PREFIX}versions/v1-0badcafe/"
    move_alias(TRACKED_NAME, "v2-0badcafe")
    assert client.get_model_version_by_alias(TRACKED_NAME, "champion").tags["modelmonitor.version"] == "v2-0badcafe"
    assert "has no version with the tag" in (move_alias(TRACKED_NAME, "v9-0badcafe") or "")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    assert track_version(3, serves=True) is None
    assert client.get_experiment_by_name("ours") is not None


@pytest.mark.filterwarnings("ignore")
def test_a_server_that_is_down_is_logged_without_an_exception(monkeypatch, caplog):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}")
        with caplog.at_level(logging.WARNING):
            track_version(1, serves=True)
    assert "was not updated with version v1-0badcafe" in caplog.text


class UnavailableServer(ThreadingHTTPServer):
    """A server that responds to every request that it is unavailable, and counts the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), UnavailableHandler)
        self.requests = 0


class UnavailableHandler(BaseHTTPRequestHandler):
    """Handles the requests of an :class:`UnavailableServer`, one after the other."""

    server: UnavailableServer

    def do_GET(self):
        self.server.requests += 1
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - a name of the base class

    def log_message(self, *_args):
        pass


@pytest.mark.filterwarnings("ignore")
def test_a_server_that_is_unavailable_costs_a_training_few_short_requests(monkeypatch):
    """MLflow's own limits are 120 s and 7 retries. The test counts requests, because a busy machine takes longer."""
    limits = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    for variable in limits:
        monkeypatch.delenv(variable, raising=False)
    with UnavailableServer() as unavailable:
        thread = threading.Thread(target=unavailable.serve_forever)
        thread.start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{unavailable.server_port}")
        problem = track_version(1, serves=True)
        unavailable.shutdown()
        thread.join()
    assert "was not updated with version v1-0badcafe" in (problem or "")
    assert {variable: os.environ[variable] for variable in limits} == limits
    assert 1 <= unavailable.requests <= 2
