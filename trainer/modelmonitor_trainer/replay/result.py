"""The result of a replay, as values and as a JSON document."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from modelmonitor_api.messages import CheckVerdict, Failure, RunVerdict
from modelmonitor_api.names import Role
from modelmonitor_api.times import format_time
from modelmonitor_trainer.replay.arrival import Arrival
from modelmonitor_trainer.replay.costs import Prices
from modelmonitor_trainer.replay.simulation import Event

SCHEMA_VERSION = 1


class PolicyKind(StrEnum):
    """What a policy is."""

    MONITOR = "Monitor"
    SETTING = "Setting"
    BASELINE = "Baseline"
    ORACLE = "Oracle"


@dataclass(frozen=True)
class Estimate:
    """A mean with its confidence interval of 95 %.

    Attributes
    ----------
    value, low, high
        The mean, and the interval; None if there are too few values for one.
    """

    value: float
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, float | None]:
        """Return the estimate as JSON data."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def describe_interval(self, style: str = ".4f", between: str = " to ") -> str:
        """Return the interval with its ends in a style of numbers; empty if there is none.

        >>> Estimate(0.7, 0.68, 0.715).describe_interval("+.2f")
        '+0.68 to +0.71'
        """
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:{style}}{between}{self.high:{style}}"


@dataclass(frozen=True)
class Counts:
    """How often something happened.

    Attributes
    ----------
    checks, failed_checks
        Checks with a verdict, and without.
    alarms
        Times that Drift or PerformanceDrop began: checks with such a verdict after one without.
    alarmed_checks, corrupted, inconclusive
        Checks by verdict.
    trainings, promoted, rejected, failed
        Trainings, and how they ended; the rest found nothing new, or too little data.
    rollbacks
        Automatic rollbacks.
    """

    checks: int = 0
    failed_checks: int = 0
    alarms: int = 0
    alarmed_checks: int = 0
    corrupted: int = 0
    inconclusive: int = 0
    trainings: int = 0
    promoted: int = 0
    rejected: int = 0
    failed: int = 0
    rollbacks: int = 0

    def to_json(self) -> dict[str, int]:
        """Return the counts as JSON data."""
        return {
            "checks": self.checks,
            "failedChecks": self.failed_checks,
            "alarms": self.alarms,
            "alarmedChecks": self.alarmed_checks,
            "corrupted": self.corrupted,
            "inconclusive": self.inconclusive,
            "trainings": self.trainings,
            "promoted": self.promoted,
            "rejected": self.rejected,
            "failed": self.failed,
            "rollbacks": self.rollbacks,
        }


@dataclass(frozen=True)
class PolicyResult:
    """What a policy did, and what it would have cost.

    Attributes
    ----------
    name, kind
        Name, and what it is.
    counts
        What happened.
    events
        All Jobs of a monitor, in order.
    served
        Score of the served model in each period; None where the metric is not defined.
    models
        Title of the served model in each period.
    mean, difference
        Mean of the score over the periods, and how it differs from that of the monitor; None if nothing was evaluated.
    processor_seconds
        Processor time of its checks and trainings.
    cost, regret
        Cost at the given prices, and how far it is above that of the oracle; None if nothing was evaluated.
    ending
        Why it does not train at the end, in a sentence.
    unserved
        Why it never promoted a model, in sentences; empty if it did.
    """

    name: str
    kind: PolicyKind
    counts: Counts = field(default_factory=Counts)
    events: tuple[Event, ...] = ()
    served: tuple[float | None, ...] = ()
    models: tuple[str, ...] = ()
    mean: Estimate | None = None
    difference: Estimate | None = None
    processor_seconds: float = 0.0
    cost: float | None = None
    regret: float | None = None
    ending: str = ""
    unserved: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the policy as JSON data."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "counts": self.counts.to_json(),
            "mean": self.mean and self.mean.to_json(),
            "differenceToMonitor": self.difference and self.difference.to_json(),
            "served": list(self.served),
            "models": list(self.models),
            "processorSeconds": round(self.processor_seconds, 3),
            "cost": self.cost,
            "regret": self.regret,
            "ending": self.ending,
            "unserved": self.unserved,
            "events": [event_to_json(event) for event in self.events],
        }


@dataclass(frozen=True)
class RegretCurve:
    """Regret of each policy by the price of a training.

    Attributes
    ----------
    prices
        Prices of a training.
    regrets
        Policy → its cost above that of the oracle at each price.
    oracle_trainings
        Trainings of the cheapest schedule at each price.
    """

    prices: tuple[float, ...]
    regrets: dict[str, tuple[float, ...]]
    oracle_trainings: tuple[int, ...]


@dataclass(frozen=True)
class ReplayResult:
    """The result of a replay.

    Attributes
    ----------
    monitor
        Namespace and name of the monitor.
    first, last
        Simulated days.
    arrival
        What determined when data arrived.
    metric
        Display name of the metric.
    greater_is_better
        Its direction.
    periods
        First and last day of each evaluation period.
    rows
        Labelled rows of each period.
    policies
        The monitor first, then other settings, baselines and the oracle.
    prices
        Prices of the costs.
    curve
        Regret at other prices; None without an oracle.
    notes
        What was not reconstructed, and what limits the figures.
    """

    monitor: str
    first: dt.date
    last: dt.date
    arrival: Arrival
    metric: str
    greater_is_better: bool
    periods: tuple[tuple[dt.date, dt.date], ...]
    rows: tuple[int, ...]
    policies: tuple[PolicyResult, ...]
    prices: Prices
    curve: RegretCurve | None = None
    notes: tuple[str, ...] = ()

    @property
    def own(self) -> PolicyResult:
        """The result of the monitor."""
        return self.policies[0]

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON document."""
        return {
            "schemaVersion": SCHEMA_VERSION,
            "monitor": self.monitor,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "arrival": self.arrival.value,
            "metric": self.metric,
            "greaterIsBetter": self.greater_is_better,
            "prices": {
                "training": self.prices.training,
                "metricPointDay": self.prices.point_day,
                "currency": self.prices.currency,
            },
            "periods": [
                {"start": start.isoformat(), "end": end.isoformat(), "rows": rows}
                for (start, end), rows in zip(self.periods, self.rows, strict=True)
            ],
            "policies": [policy.to_json() for policy in self.policies],
            "costByTrainingPrice": self.curve
            and {
                "prices": list(self.curve.prices),
                "regret": {name: list(values) for name, values in self.curve.regrets.items()},
                "oracleTrainings": list(self.curve.oracle_trainings),
            },
            "notes": list(self.notes),
        }


def event_to_json(event: Event) -> dict[str, Any]:
    """Return an event as JSON data."""
    answer = event.answer
    document: dict[str, Any] = {
        "time": format_time(event.time),
        "action": event.job.role.value,
        "trigger": event.job.trigger,
        "outcome": describe_outcome(event),
        "reason": answer.reason,
        "message": answer.message,
    }
    if isinstance(answer, CheckVerdict):
        document["features"] = [feature.to_wire() for feature in answer.top_features]
        document["performanceDropped"] = answer.performance_dropped
    elif isinstance(answer, RunVerdict):
        document["version"] = answer.version
        document["comparison"] = answer.comparison and answer.comparison.to_wire()
    report = getattr(answer, "report_uri", None)
    return document | ({"report": report} if report else {})


def describe_outcome(event: Event) -> str:
    """Return how a Job ended, in one word."""
    answer = event.answer
    if isinstance(answer, Failure):
        return "Failed"
    return answer.verdict.value if isinstance(answer, CheckVerdict) else str(answer.outcome)


def count_outcomes(events: Sequence[Event]) -> Counts:
    """Return how often each thing happened."""
    outcomes = [(event.job.role, describe_outcome(event)) for event in events]
    verdicts = [outcome for role, outcome in outcomes if role is Role.CHECK]
    alarming = [verdict in {"Drift", "PerformanceDrop"} for verdict in verdicts]
    started = [now and not before for before, now in zip([False, *alarming], alarming, strict=False)]
    trained = [outcome for role, outcome in outcomes if role is Role.TRAIN]
    return Counts(
        checks=sum(verdict != "Failed" for verdict in verdicts),
        failed_checks=verdicts.count("Failed"),
        alarms=sum(started),
        alarmed_checks=sum(alarming),
        corrupted=verdicts.count("Corrupted"),
        inconclusive=verdicts.count("Inconclusive"),
        trainings=len(trained),
        promoted=trained.count("Promoted"),
        rejected=trained.count("Rejected"),
        failed=trained.count("Failed"),
        rollbacks=sum(role is Role.ROLLBACK for role, _ in outcomes),
    )
