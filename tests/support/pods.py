"""Runs the trainer's command line as in a pod: the request in one file, the result in another."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from modelmonitor_api.messages import (
    CheckRequest,
    CheckVerdict,
    Failure,
    MonitorRef,
    PromoteRequest,
    RollbackRequest,
    RunVerdict,
    TrainRequest,
    decode_answer,
    encode,
)
from modelmonitor_api.names import ENV_JOB_NAME, ENV_TERMINATION_LOG
from modelmonitor_api.resource import parse
from modelmonitor_api.spec import ModelMonitorSpec
from support.monitors import Object
from support.processes import PATIENCE, Process, wait_until

Request = CheckRequest | TrainRequest | RollbackRequest | PromoteRequest
UID = "9a8b7c6d-0000-4000-8000-000000000001"


def check_request(monitor: Object) -> CheckRequest:
    """Return the request of a check."""
    return CheckRequest(monitor=_reference(monitor), spec=parse(ModelMonitorSpec, monitor["spec"]))


def train_request(monitor: Object, number: int = 1) -> TrainRequest:
    """Return the request of training `number`."""
    spec = parse(ModelMonitorSpec, monitor["spec"])
    return TrainRequest(monitor=_reference(monitor), spec=spec, number=number, reason="DriftDetected")


def rollback_request(monitor: Object, to: str = "previous") -> RollbackRequest:
    """Return the request of a rollback."""
    return RollbackRequest(monitor=_reference(monitor), spec=parse(ModelMonitorSpec, monitor["spec"]), to=to)


def promote_request(monitor: Object, version: str) -> PromoteRequest:
    """Return the request of a manual promotion."""
    return PromoteRequest(monitor=_reference(monitor), spec=parse(ModelMonitorSpec, monitor["spec"]), version=version)


def _reference(monitor: Object) -> MonitorRef:
    return MonitorRef(namespace="demo", name=monitor["metadata"]["name"], uid=UID)


class Pod:
    """A running process of the trainer.

    Parameters
    ----------
    request
        Request of the operator.
    folder
        Folder for its request, its result and its log.
    environment
        Credentials for the object store.
    job
        Name of the Job.
    """

    def __init__(
        self, request: Request, folder: Path, environment: Mapping[str, str], *, job: str = "flights-check-29000000"
    ) -> None:
        self._home = folder / f"pod-{len(list(folder.iterdir()))}"
        self._home.mkdir()
        file = self._home / "request.json"
        file.write_text(encode(request))
        self._termination_log = self._home / "termination-log"
        self.process = Process(
            [sys.executable, "-m", "modelmonitor_trainer.cli.main", request.kind.lower(), "--request", file],
            log=self._home / "log",
            environment={
                "PATH": os.environ["PATH"],
                "HOME": str(self._home),
                ENV_JOB_NAME: job,
                ENV_TERMINATION_LOG: str(self._termination_log),
                # The packages under test, where they are not the installed ones.
                **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
                **environment,
            },
            folder=self._home,
        )

    def wait(self, seconds: float = PATIENCE) -> CheckVerdict | RunVerdict | Failure:
        """Wait until it exits and return its result."""
        wait_until(lambda: not self.process.running, "end of the pod", seconds=seconds, hint=self.output())
        assert self._termination_log.exists(), f"exit code {self.process.exit_code} and no result:\n{self.output()}"
        return decode_answer(self._termination_log.read_text())

    @property
    def exit_code(self) -> int | None:
        """Exit code, or None while it runs."""
        return self.process.exit_code

    def output(self) -> str:
        """Return its output so far."""
        return self.process.output()
