"""All metrics: their names, types, labels and help texts. The reference page and the tests are derived from this list.

Names follow the conventions of Prometheus: base units, ``_total`` for counters, ``_ratio`` for shares from 0 to 1, and
``_timestamp_seconds`` for times in seconds since 1970. Labels never hold data values: names of objects, names of
columns where an administrator asks for them, and words from fixed lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["gauge", "counter", "histogram"]

#: Labels of every metric of a monitor.
OF_MONITOR = ("namespace", "name")


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes
    ----------
    name
        Its name, with its unit.
    type
        Type, as in the exposition format.
    help
        What the value is, in a sentence without a full stop.
    labels
        Names of its labels.
    """

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()


def _of_monitor(name: str, help_text: str, *labels: str, kind: Type = "gauge") -> Metric:
    return Metric(f"modelmonitor_{name}", kind, help_text, (*OF_MONITOR, *labels))


def _of_operator(name: str, help_text: str, *labels: str, kind: Type = "gauge") -> Metric:
    return Metric(f"modelmonitor_{name}", kind, help_text, labels)


# Monitors

MONITORS = _of_operator(
    "monitors", "Number of monitors by condition and its status", "namespace", "condition", "status"
)
CONDITION = _of_monitor(
    "condition", "Condition of a monitor: 1 if it is True, 0 if it is False, -1 if it is Unknown", "condition", "reason"
)
ACTIVE = _of_monitor(
    "active_timestamp_seconds",
    "Time since which the checks of a monitor run on schedule; absent while it is suspended",
)
INTERVAL = _of_monitor("check_interval_seconds", "Longest time between two scheduled checks")
LAST_CHECK = _of_monitor("last_check_timestamp_seconds", "Time at which the newest check ended, failed or not")
CHECK_FAILURES = _of_monitor("check_failures", "Number of consecutive checks that failed; 0 after a verdict")
VERDICT = _of_monitor("check_verdict", "Verdict of the newest check that has one, as a label; 1", "verdict")
ROWS = _of_monitor("check_rows", "Number of rows that the newest check compared, by window", "window")
DATA_END = _of_monitor("data_end_timestamp_seconds", "End of the newest day that was checked")
EFFECT = _of_monitor("drift_effect_ratio", "Largest effect of a column in the newest check, from 0 to 1")
DRIFTED = _of_monitor("drifted_features", "Number of columns that have drifted in the newest check")
CONSECUTIVE = _of_monitor("consecutive_drifts", "Number of consecutive checks with the verdict Drift")
FEATURE_EFFECT = _of_monitor(
    "feature_drift_effect_ratio",
    "Effect of a column, from 0 to 1, for the columns with the strongest evidence; only with METRICS_FEATURES=true",
    "feature",
)
DROPPED = _of_monitor("performance_dropped", "Whether the champion scores significantly worse than at its promotion")
CHAMPION = _of_monitor("champion_info", "Version of the champion, and metric of its score; 1", "version", "metric")
CHAMPION_SINCE = _of_monitor("champion_timestamp_seconds", "Time at which the version became the champion")
CHAMPION_DATA_END = _of_monitor("champion_data_end_timestamp_seconds", "End of the champion's training window")
PROMISED = _of_monitor("champion_promised_score", "Score of the champion on the hold-out of its promotion")
SCORE = _of_monitor("champion_score", "Score of the champion on the labelled rows of the newest check")
SCORE_LOW = _of_monitor("champion_score_lower_bound", "Lower bound of the confidence interval of champion_score")
SCORE_HIGH = _of_monitor("champion_score_upper_bound", "Upper bound of the confidence interval of champion_score")
TRAININGS = _of_monitor("trainings_started_total", "Number of trainings that were started", kind="counter")
TRAINING_SECONDS = _of_monitor(
    "training_seconds_total", "How long the Jobs of ended trainings existed, since the operator started", kind="counter"
)
LAST_TRAINING = _of_monitor("last_training_timestamp_seconds", "Time at which the newest ended training ended")
LAST_TRAINING_SECONDS = _of_monitor("last_training_duration_seconds", "How long the Job of that training existed")
LAST_TRAINING_MEMORY = _of_monitor("last_training_peak_memory_bytes", "Peak memory of that training")
LAST_OUTCOME = _of_monitor("last_training_outcome", "Outcome of that training, as a label; 1", "outcome")
TRAINING_FAILURES = _of_monitor("training_failures", "Number of consecutive failed trainings")

MONITOR_METRICS = (
    MONITORS,
    CONDITION,
    ACTIVE,
    INTERVAL,
    LAST_CHECK,
    CHECK_FAILURES,
    VERDICT,
    ROWS,
    DATA_END,
    EFFECT,
    DRIFTED,
    CONSECUTIVE,
    FEATURE_EFFECT,
    DROPPED,
    CHAMPION,
    CHAMPION_SINCE,
    CHAMPION_DATA_END,
    PROMISED,
    SCORE,
    SCORE_LOW,
    SCORE_HIGH,
    TRAININGS,
    TRAINING_SECONDS,
    LAST_TRAINING,
    LAST_TRAINING_SECONDS,
    LAST_TRAINING_MEMORY,
    LAST_OUTCOME,
    TRAINING_FAILURES,
)

# The operator

OPERATOR = _of_operator("operator_info", "Version of the operator; 1", "version")
DECISIONS = _of_operator(
    "decisions_total",
    "Number of decisions and outcomes; the action Held is a training that was held back",
    "action",
    "reason",
    kind="counter",
)
TRAINING_DURATION = _of_operator(
    "training_duration_seconds", "How long the Jobs of ended trainings existed, by outcome", "outcome", kind="histogram"
)
TRAINING_MEMORY = _of_operator(
    "training_peak_memory_bytes", "Peak memory of ended trainings, by outcome", "outcome", kind="histogram"
)
QUEUE_DEPTH = _of_operator("workqueue_depth", "Number of monitors that wait for a pass, by priority", "priority")
FAILING = _of_operator("reconcile_failing_monitors", "Number of monitors whose newest pass failed")
RECONCILE_DURATION = _of_operator(
    "reconcile_duration_seconds",
    "Duration of the passes of the reconcile loop; source is cache where nothing had to be done, else api_server",
    "source",
    kind="histogram",
)
RECONCILE_ERRORS = _of_operator(
    "reconcile_errors_total",
    "Number of failed passes by cause; Conflict and Unavailable are repeated and normal in small numbers",
    "error",
    kind="counter",
)
REQUESTS = _of_operator(
    "api_requests_total",
    "Number of requests to the API server by verb and status code",
    "verb",
    "code",
    kind="counter",
)
NOTIFICATIONS = _of_operator(
    "notifications_total",
    "Number of attempts to deliver a notification, by outcome: Delivered, Refused, or Failed and to be tried again",
    "outcome",
    kind="counter",
)
RESYNC_INTERVAL = _of_operator(
    "resync_interval_seconds", "Time between two comparisons of the monitors with a list, as set for the operator"
)
WATCH = _of_operator(
    "watch_timestamp_seconds",
    "Time at which a watch last received something; the API server sends a bookmark every minute",
    "resource",
    "namespace",
)

OPERATOR_METRICS = (
    OPERATOR,
    DECISIONS,
    TRAINING_DURATION,
    TRAINING_MEMORY,
    QUEUE_DEPTH,
    FAILING,
    RECONCILE_DURATION,
    RECONCILE_ERRORS,
    REQUESTS,
    NOTIFICATIONS,
    RESYNC_INTERVAL,
    WATCH,
)
