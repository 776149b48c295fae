"""Metrics and parameters of a training for an MLflow server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelmonitor_trainer.registry.mlflow_tracking import record_training, tracked_name
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.train.run import Run


def track(
    run: Run, record: VersionRecord, evidence: Mapping[str, Any], parameters: Mapping[str, Any], *, serves: bool
) -> str | None:
    """Record a training on the MLflow server, if one is configured.

    Parameters
    ----------
    run, record
        Run and version of the training.
    evidence, parameters
        Contents of ``comparison.json`` and ``parameters.json``.
    serves
        Whether the version is the champion.

    Returns
    -------
    str or None
        The problem if the server could not be reached; None if there is none.
    """
    return record_training(
        run.registry.layout,
        tracked_name(run.request.monitor),
        record,
        _metrics(record, evidence),
        _parameters(record, parameters),
        serves=serves,
    )


def _metrics(record: VersionRecord, evidence: Mapping[str, Any]) -> dict[str, Any]:
    scores = {
        f"{model}.{row['metric']}": row[model] for row in evidence["metrics"] for model in ("challenger", "champion")
    }
    difference = evidence["champion"] or {}
    return {
        # MLflow does not accept superscripts in names.
        **{name.replace("²", "2"): value for name, value in scores.items()},
        **{f"difference.{name}": value for name, value in difference.items() if name in {"value", "low", "high"}},
        "train_rows": float(record.train.rows),
        "holdout_rows": float(record.holdout.rows),
        "train_seconds": record.train_seconds,
        "peak_memory_bytes": record.peak_memory_bytes,
    }


def _parameters(record: VersionRecord, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "strategy": record.strategy,
        "seed": record.seed,
        "train": f"{record.train.start} to {record.train.end}",
        "holdout": f"{record.holdout.start} to {record.holdout.end}",
        "estimator": parameters.get("estimator", {}).get("name", record.image),
        **parameters.get("effectiveParameters", {}),
    }
