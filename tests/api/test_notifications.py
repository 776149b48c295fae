"""Notifications of a real operator: what a receiver gets, whatever happens to it and to the operator."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from modelmonitor_api.names import Role
from support import monitors
from support.client import Client
from support.monitors import monitor
from support.operator import OperatorProcess
from support.scene import Scene

TOKEN = "t0ken-of-the-receiver"


class Receiver:
    """A receiver on loopback that keeps what it accepts.

    Attributes
    ----------
    events
        The accepted events.
    code
        What it answers.
    attempts
        Requests so far.
    """

    def __init__(self) -> None:
        self.events: list[CloudEvent] = []
        self.code = 202
        self.attempts = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.attempts += 1
                if receiver.code == 202 and self.headers["Authorization"] == f"Bearer {TOKEN}":
                    message = HTTPMessage({"content-type": self.headers["Content-Type"]}, body)
                    event = from_structured(message, JSONFormat(), CloudEvent)
                    assert isinstance(event, CloudEvent)
                    receiver.events.append(event)
                self.send_response(receiver.code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks/s3cret-path"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def words(self) -> list[str]:
        """Return what has happened, in the order of arrival."""
        return [event.get_type().split(".")[2] for event in self.events]

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def operator(make_operator: Callable[..., OperatorProcess], receiver: Receiver) -> OperatorProcess:
    """An operator that sends to the receiver."""
    operator = make_operator(
        NOTIFICATIONS_URL=receiver.url, NOTIFICATIONS_TOKEN=TOKEN, UI_EXTERNAL_URL="https://models.example"
    )
    operator.start()
    return operator


def test_drift_and_the_training_after_it_are_sent_once(
    operator: OperatorProcess, cluster: Client, namespace: str, receiver: Receiver
) -> None:
    scene = Scene(cluster, namespace, hint=str(operator.log))
    scene.create(monitor())
    scene.finish(Role.CHECK, monitors.check("Drift"))
    scene.finish(Role.TRAIN, monitors.run("Promoted"))
    scene.wait(lambda: "Promoted" in receiver.words(), "the promotion to arrive")
    status = scene.settle()["status"]
    assert receiver.words() == ["Drift", "TrainingStarted", "Promoted"]
    assert status["notified"]["entry"].endswith("/Promoted/v1-0a1b2c3d")
    page = f"https://models.example/monitors/{namespace}/flights"
    assert status["pageURL"] == page
    data = receiver.events[-1].get_data()
    assert isinstance(data, dict)
    assert (data["version"], data["page"], data["uid"]) == ("v1-0a1b2c3d", page, scene.monitor()["metadata"]["uid"])
    log = operator.log.read_text(encoding="utf-8")
    assert TOKEN not in log
    assert "s3cret-path" not in log
    assert TOKEN not in json.dumps(scene.monitor())


def test_a_receiver_that_is_down_and_killed_operators_lose_nothing(
    operator: OperatorProcess, cluster: Client, namespace: str, receiver: Receiver
) -> None:
    receiver.code = 503
    scene = Scene(cluster, namespace, hint=str(operator.log))
    scene.create(monitor())
    scene.finish(Role.CHECK, monitors.check("Drift"))
    scene.wait(lambda: receiver.attempts > 0, "an attempt")
    operator.restart("kill")
    scene.finish(Role.TRAIN, monitors.run("Promoted"))
    operator.restart("kill")
    receiver.code = 202
    scene.wait(lambda: "Promoted" in receiver.words(), "the promotion to arrive")
    scene.wait(lambda: scene.status().get("notified", {}).get("entry", "").count("Promoted"), "the mark")
    operator.restart("kill")
    scene.settle()
    # Again is permitted, with the same id; missing is not.
    ids = Counter(event.get_id() for event in receiver.events)
    assert len(ids) == 3
    assert {*receiver.words()} == {"Drift", "TrainingStarted", "Promoted"}
    log = operator.log.read_text(encoding="utf-8")
    assert "a notification was not delivered" in log
    assert "s3cret-path" not in log
