"""The champion scored on rows whose labels have come."""

from __future__ import annotations

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import Champion
from modelmonitor_trainer.check_inputs import Inputs
from modelmonitor_trainer.detect_performance import PerformanceResult
from modelmonitor_trainer.storage import Store


def measure(
    store: Store, prefix: str, spec: ModelMonitorSpec, champion: Champion, inputs: Inputs
) -> tuple[PerformanceResult, ...]:
    """Return what the Performance detectors find."""
    return ()
