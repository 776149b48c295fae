"""MLflow tracking that is not configured, or without its package; tests/tracking uses a real server."""

import datetime as dt
import sys

import pytest

from modelmonitor_api.messages import MonitorRef
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.mlflow_tracking import move_alias, record_training, tracked_name, with_note
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


def record_version(number, *, serves, outcome="Passed"):
    metrics = {"challenger.R2": 0.5, "champion.R2": None, "strange": float("inf"), "difference.value": 0.1}
    parameters = {"strategy": "Refit", "long": "x" * 9999, "nothing": None}
    return record_training(ResultsLayout(PREFIX), NAME, record(number, outcome), metrics, parameters, serves=serves)


def test_nothing_happens_unasked(monkeypatch, caplog):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert record_version(1, serves=True) is None
    assert move_alias(NAME, "v1-0badcafe") is None
    assert caplog.text == ""


def test_an_image_without_the_package_says_so(monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    said = record_version(1, serves=True)
    assert (
        said
        == "MLflow was not updated with version v1-0badcafe: the package mlflow-skinny is not in the trainer image."
    )
    assert said in caplog.text


@pytest.mark.parametrize(
    ("message", "problem", "whole"),
    [
        ("It is better.", None, "It is better."),
        ("It is better.", "MLflow is down now.", "It is better. MLflow is down now."),
        ("x" * 2000, None, "x" * 1024),
        ("x" * 2000, "MLflow is down now.", "x" * 1004 + " MLflow is down now."),
    ],
)
def test_a_note_stands_beside_the_outcome(message, problem, whole):
    assert with_note(message, problem) == whole
