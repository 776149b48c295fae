"""Records of model versions, and what a training tells MLflow about them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from modelmonitor_api.messages import MonitorRef
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.mlflow_tracking import record_training, tracked_name
from modelmonitor_trainer.registry.records import VersionRecord

#: Name of the experiment and of the registered model.
TRACKED_NAME = tracked_name(MonitorRef(namespace="ns", name="flights", uid="u"))
RESULTS_PREFIX = "s3://results/ns/flights/"


def version_record(number: int, **fields: Any) -> VersionRecord:
    """Return the record of a challenger that passed the promotion gate, with `fields` changed."""
    period = {"start": "2024-01-01", "end": "2024-01-10", "rows": 100}
    defaults: dict[str, Any] = {
        "version": f"v{number}-0badcafe",
        "number": number,
        "monitor_uid": "u",
        "created": dt.datetime(2024, 2, 1, tzinfo=dt.UTC) + dt.timedelta(days=number),
        "trigger": "DriftDetected",
        "image": "trainer:1",
        "seed": 0,
        "task": "Regression",
        "target": "y",
        "features": [],
        "train": period,
        "holdout": period,
        "manifest_sha256": "0" * 64,
        "predictions_sha256": "0",
        "metric": "R2",
        "outcome": "Passed",
        "reason": "Better",
        "message": "it is better",
    }
    return VersionRecord(**(defaults | fields))


def track_version(number: int, *, serves: bool, outcome: str = "Passed") -> str | None:
    """Write a version to MLflow, with values that MLflow does not accept; return what went wrong."""
    metrics = {"challenger.R2": 0.5, "champion.R2": None, "strange": float("inf"), "difference.value": 0.1}
    parameters = {"strategy": "Refit", "long": "x" * 9999, "nothing": None}
    record = version_record(number, outcome=outcome)
    return record_training(ResultsLayout(RESULTS_PREFIX), TRACKED_NAME, record, metrics, parameters, serves=serves)
