"""MLflow tracking that is not configured, or without its package; tests/tracking uses a real server."""

import sys

import pytest

from modelmonitor_trainer.registry.mlflow_tracking import move_alias, with_note
from support.versions import TRACKED_NAME, track_version


def test_without_a_configured_server_nothing_happens(monkeypatch, caplog):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert track_version(1, serves=True) is None
    assert move_alias(TRACKED_NAME, "v1-0badcafe") is None
    assert caplog.text == ""


def test_an_image_without_the_package_is_reported(monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    message = track_version(1, serves=True)
    missing = "the package mlflow-skinny is not in the trainer image"
    assert message == f"MLflow was not updated with version v1-0badcafe: {missing}."
    assert message in caplog.text


@pytest.mark.parametrize(
    ("message", "problem", "expected"),
    [
        ("It is better.", None, "It is better."),
        ("It is better.", "MLflow is down now.", "It is better. MLflow is down now."),
        ("x" * 2000, None, "x" * 1024),
        ("x" * 2000, "MLflow is down now.", "x" * 1004 + " MLflow is down now."),
    ],
)
def test_a_note_is_appended_to_the_message_and_always_fits(message, problem, expected):
    assert with_note(message, problem) == expected
