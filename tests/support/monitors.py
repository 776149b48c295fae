"""Valid ModelMonitors and pod results that tests can vary."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any, Literal

from modelmonitor_api.messages import CheckVerdict, Failure, MetricComparison, RunVerdict
from modelmonitor_api.names import API_VERSION, KIND, FailureReason
from modelmonitor_api.status import Champion, FeatureEvidence, RowCounts

Object = dict[str, Any]
Verdict = Literal["NoDrift", "Drift", "Corrupted", "PerformanceDrop", "Inconclusive"]
Outcome = Literal["Promoted", "Rejected", "Inconclusive", "AwaitingApproval", "RolledBack"]


def schedule_far_away() -> str:
    """Return a daily schedule about twelve hours from now, so that no CronJob runs during a test."""
    return f"30 {(dt.datetime.now(dt.UTC).hour + 12) % 24} * * *"


def monitor(name: str = "flights", namespace: str | None = None, **changes: Any) -> Object:
    """Return a valid ModelMonitor.

    Parameters
    ----------
    name, namespace
        Name and namespace of the monitor.
    **changes
        Fields merged into a minimal valid spec: ``retraining={"mode": "Manual"}`` sets one field and keeps
        the others; None removes a field.
    """
    spec: Object = {
        "schedule": schedule_far_away(),
        "storage": {
            "endpoint": "http://s3.invalid:9000",
            "credentialsSecretRef": {"name": "s3"},
            "resultsURI": "s3://monitors/",
        },
        "data": {
            "live": {"uri": "s3://flights/features/date=%Y-%m-%d/", "windowDays": 28},
            "labels": {"uri": "s3://flights/labels/date=%Y-%m-%d/", "joinKey": "id", "delayDays": 2},
        },
        "model": {
            "task": "BinaryClassification",
            "target": "late",
            "features": [{"name": "temp", "type": "Numeric"}, {"name": "carrier", "type": "Categorical"}],
        },
        "retraining": {
            "cooldownSeconds": 0,
            "estimator": {"name": "HistGradientBoostingClassifier"},
            # One failed pod fails the Job, without the Job controller's back-off of 10 s and more.
            "trainer": {"backoffLimit": 0},
        },
        "check": {"backoffLimit": 0},
        "promotion": {"metric": "ROCAUC"},
    }
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": merged(spec, changes)}


def merged(base: Object, changes: Object) -> Object:
    """Return `base` with the JSON merge patch `changes` applied (RFC 7396)."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def champion(version: str = "v1-0a1b2c3d", score: str = "0.81") -> Champion:
    """Return a champion that was promoted a month ago."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return Champion(
        version=version,
        since=now - dt.timedelta(days=30),
        metric="ROCAUC",
        score=score,
        data_end=now - dt.timedelta(days=45),
    )


def check(verdict: Verdict = "NoDrift", **fields: Any) -> CheckVerdict:
    """Return the result of a check, without a champion unless one is given."""
    messages = {
        "NoDrift": "No feature has drifted.",
        "Drift": "temp has drifted: effect size 0.31.",
        "Corrupted": "temp is above its maximum of 130 in 4 rows of date=2013-04-02.",
        "PerformanceDrop": "ROC AUC has dropped to 0.71 on 6,300 labelled rows.",
        "Inconclusive": "800 rows are too few to detect a change of 0.15; about 1400 are needed.",
    }
    defaults: Object = {
        "verdict": verdict,
        "reason": verdict,
        "message": messages[verdict],
        "time": dt.datetime.now(dt.UTC),
        "rows": RowCounts(reference=90000, current=28000),
        "new_rows": 28000,
        "data_end": dt.datetime.now(dt.UTC),
        "top_features": [
            FeatureEvidence(name="temp", effect="0.31", p_value="1e-40", drifted=verdict == "Drift"),
        ],
        "report_uri": "s3://monitors/report.html",
    }
    return CheckVerdict(**(defaults | fields))


def run(outcome: Outcome = "Promoted", version: str = "v1-0a1b2c3d", **fields: Any) -> RunVerdict:
    """Return the result of a training, rollback or promotion; a promoted version becomes the champion now."""
    now = dt.datetime.now(dt.UTC)
    promoted = outcome in {"Promoted", "RolledBack"}
    defaults: Object = {
        "outcome": outcome,
        "reason": outcome,
        "message": f"{outcome}: the difference in ROCAUC is 0.01, between 0.002 and 0.018.",
        "version": version,
        # Older than the hold-out and the delay of labels: a training window of today holds new days.
        "champion": Champion(
            version=version, since=now, metric="ROCAUC", score="0.82", data_end=now - dt.timedelta(days=20)
        )
        if promoted
        else None,
        "comparison": MetricComparison(
            name="ROCAUC", champion=0.81, challenger=0.82, difference=0.01, low=0.002, high=0.018
        ),
        "train_rows": 90000,
        "holdout_rows": 14000,
    }
    return RunVerdict(**(defaults | fields))


def failure(
    reason: FailureReason = FailureReason.BAD_DATA, message: str = "a.parquet lacks the column temp"
) -> Failure:
    """Return the failure of a pod."""
    return Failure(reason=reason, message=message)
