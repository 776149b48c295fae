"""Validated monitors, and settings of an operator, for tests of single objects."""

from __future__ import annotations

from typing import Any

from modelmonitor_operator.monitor import Monitor
from modelmonitor_operator.settings import Settings
from modelmonitor_operator.validation import validate_monitor
from support.monitors import monitor

SETTINGS = Settings(trainer_image="modelmonitor/trainer:test", image_pull_secrets=("pull",), image_pull_policy="Always")
CUSTOM_TRAINER = {
    "estimator": None,
    "trainer": {"image": "example/trainer:1", "env": [{"name": "EPOCHS", "value": "3"}], "backoffLimit": 1},
}
UID = "00000000-0000-0000-0000-000000000001"


def accepted(labels: dict[str, str] | None = None, name: str = "flights", **changes: Any) -> Monitor:
    """Return a validated monitor."""
    resource = monitor(name, "demo", schedule="0 6 * * *", **changes)
    resource["metadata"] |= {"uid": UID, "generation": 4, "labels": labels or {}}
    return validate_monitor(resource)
