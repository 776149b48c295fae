"""Facts for tables of tests, and strategies that make any facts."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import strategies as st

from modelmonitor_api.names import Reason, Role
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import AgeComparison
from modelmonitor_policy import Facts, Requests
from modelmonitor_policy.observations import (
    ChampionObservation,
    CheckObservation,
    JobInFlight,
    RolloutFailure,
    TrainingObservation,
    WatchObservation,
)
from support.monitors import monitor

NOW = dt.datetime(2013, 4, 2, 6, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
CHAMPION = ChampionObservation("v1-00000000", NOW - 50 * DAY)


def spec(**changes: Any) -> ModelMonitorSpec:
    """Return a spec that trains on every trigger, without limits apart from those given."""
    base: dict[str, Any] = {
        "retraining": {"cooldownSeconds": 0, "budget": {"count": 100, "perDays": 1}},
        "triggers": {"onDrift": True, "onPerformance": True},
    }
    for key, value in changes.items():
        base[key] = {**base.get(key, {}), **value} if isinstance(value, dict) else value
    return ModelMonitorSpec.model_validate(monitor(**base)["spec"])


def check(verdict: str = "NoDrift", ago: dt.timedelta = HOUR, **fields: Any) -> CheckObservation:
    """Return a check that ended `ago`."""
    return CheckObservation(time=NOW - ago, verdict=verdict, **{"current_rows": 28000, "new_rows": 28000, **fields})


def drifted(ago: dt.timedelta = HOUR, in_a_row: int = 1, **fields: Any) -> CheckObservation:
    """Return a check that found drift."""
    return check("Drift", ago, consecutive_drifts=in_a_row, **fields)


def training(ago: dt.timedelta = 10 * DAY, **fields: Any) -> TrainingObservation:
    """Return a training that started `ago` and took an hour."""
    start = NOW - ago
    defaults: dict[str, Any] = {"reason": "NoChampion", "completion": start + HOUR, "generation": 1}
    return TrainingObservation(start=start, **(defaults | fields))


def watch(**fields: Any) -> WatchObservation:
    """Return a result of the champion watch by which CHAMPION is worse than v0."""
    defaults: dict[str, Any] = {
        "champion": CHAMPION.version,
        "since": CHAMPION.since,
        "predecessor": "v0-11111111",
        "worse": True,
        "message": "v1 is worse",
    }
    return WatchObservation(**(defaults | fields))


def facts(**fields: Any) -> Facts:
    """Return facts about a monitor with a champion and a check that found nothing."""
    defaults: dict[str, Any] = {"spec": spec(), "generation": 1, "check": check(), "champion": CHAMPION}
    return Facts(**(defaults | fields))


def retrain(token: str = "again") -> Requests:
    """Return a pending request for a training."""
    return Requests(retrain=token)


times = st.integers(0, 40 * 24 * 60).map(lambda minutes: NOW - dt.timedelta(minutes=minutes))
checks = st.builds(
    CheckObservation,
    time=times,
    verdict=st.sampled_from(["NoDrift", "Drift", "Corrupted", "PerformanceDrop", "Inconclusive"]),
    performance_dropped=st.booleans(),
    new_rows=st.none() | st.integers(0, 10**6),
    current_rows=st.none() | st.integers(0, 10**6),
    consecutive_drifts=st.integers(0, 5),
    newest_day=st.none() | st.integers(0, 60).map(lambda ago: (NOW - ago * DAY).date()),
    drift_onset=st.none() | st.integers(0, 200).map(lambda ago: (NOW - ago * DAY).date()),
)
trainings = st.builds(
    lambda reason, start, hours, failures, generation, train_end, rejections: TrainingObservation(
        reason,
        start,
        None if hours is None else start + hours * HOUR,
        failures,
        generation,
        train_end=train_end,
        rejections=rejections,
    ),
    st.sampled_from(list(Reason)),
    times,
    st.none() | st.integers(0, 48),
    st.integers(0, 9),
    st.none() | st.integers(1, 3),
    st.none() | st.integers(0, 300).map(lambda ago: (NOW - ago * DAY).date()),
    st.integers(0, 9),
)
specs = st.builds(
    lambda suspend, mode, cooldown, count, days, rows, consecutive, every, weighs, watching: spec(
        suspend=suspend,
        retraining={
            "mode": mode,
            "cooldownSeconds": cooldown,
            "budget": {"count": count, "perDays": days},
            "minNewRows": rows,
        },
        sensitivity={"consecutiveChecks": consecutive},
        triggers={"everyDays": every, "onExpectedGain": weighs},
        costs={"training": "5", "metricPointDay": "1"},
        promotion={"watch": {"action": watching}},
    ),
    st.booleans(),
    st.sampled_from(["Auto", "DryRun", "Manual"]),
    st.sampled_from([0, 3600, 86400]),
    st.integers(1, 5),
    st.integers(1, 30),
    st.sampled_from([0, 1000]),
    st.integers(1, 3),
    st.integers(1, 60),
    st.booleans(),
    st.sampled_from(["Rollback", "Report", "None"]),
)
tokens = st.none() | st.sampled_from(["token", "previous", "v1-00000000#2"])
days = st.none() | st.integers(0, 300).map(lambda ago: (NOW - ago * DAY).date())
champions = st.builds(
    ChampionObservation,
    version=st.just(CHAMPION.version),
    since=times | st.just(CHAMPION.since),
    train_end=days,
    score=st.none() | st.floats(0, 1),
)
comparisons = st.builds(
    lambda ago, difference, width: AgeComparison(
        time=NOW, days=ago, difference=f"{difference}", low=f"{difference - width}", high=f"{difference + width}"
    ),
    st.integers(1, 300),
    st.floats(-0.1, 0.1),
    st.floats(0, 0.1),
)
any_facts = st.builds(
    Facts,
    spec=specs,
    generation=st.integers(1, 3),
    ever_checked=st.booleans(),
    check=st.none() | checks,
    training=st.none() | trainings,
    last_number=st.integers(0, 99),
    trainings=st.lists(times, max_size=8).map(tuple),
    comparisons=st.lists(comparisons, max_size=3).map(tuple),
    champion=st.none() | champions,
    in_flight=st.none()
    | st.builds(
        JobInFlight, role=st.sampled_from([Role.TRAIN, Role.ROLLBACK, Role.PROMOTE]), job_name=st.just("a-job")
    ),
    requests=st.builds(Requests, check=tokens, retrain=tokens, rollback=tokens, promote=tokens),
    watch=st.none() | st.builds(watch, worse=st.booleans()),
    rollout_failure=st.none() | st.just(RolloutFailure(CHAMPION.version, "v0-11111111", "not available")),
)
