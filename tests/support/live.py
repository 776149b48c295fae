"""A ModelMonitor on the kind cluster."""

from __future__ import annotations

import json
from typing import Any

from support.kind import Kind
from support.lake import Lake

Status = dict[str, Any]
#: Drift and performance start no training.
TRIGGERS_OFF = {"triggers": {"onDrift": False, "onPerformance": False}, "data": {"reference": None}}


class Monitor:
    """A monitor that trains only on request, and the objects that its pods have written."""

    def __init__(self, kind: Kind, lake: Lake, name: str, **changes: Any) -> None:
        self.kind, self.lake, self.name = kind, lake, name
        kind.apply(
            lake.monitor(
                name=name,
                namespace=kind.namespace,
                **{"storage": {"credentialsSecretRef": {"name": "s3"}}, **TRIGGERS_OFF, **changes},
            )
        )

    def status(self) -> Status:
        return dict(self.kind.get("modelmonitor", self.name).get("status", {}))

    def annotate(self, key: str, value: str) -> None:
        self.kind.kubectl("annotate", "--overwrite", "modelmonitor", self.name, f"{key}={value}")

    def wait_training(self, number: int) -> Status:
        """Wait until training `number` has ended, and return its part of the status."""

        def ended() -> bool:
            last = self.status().get("lastTraining", {})
            return last.get("number") == number and "completionTime" in last

        self.kind.wait(f"training {number} of {self.name}", ended)
        return dict(self.status()["lastTraining"])

    def parameters(self, version: str) -> Status:
        prefix = f"results/{self.kind.namespace}/{self.name}/versions/{version}/"
        return dict(json.loads(self.lake.read(f"{prefix}parameters.json")))
