"""Every trigger and every gate, one table each, and what must hold for any facts."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmonitor_api.names import Reason, Role
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_policy import (
    Action,
    ChampionObservation,
    CheckObservation,
    Facts,
    JobInFlight,
    TrainingObservation,
    backoff,
    decide,
)
from support.monitors import monitor

NOW = dt.datetime(2013, 4, 2, 6, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def spec(**changes: Any) -> ModelMonitorSpec:
    """Return a spec that trains on anything, limited by nothing but what is given."""
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
    given_fields: dict[str, Any] = {"reason": "NoChampion", "completion": start + HOUR, "generation": 1}
    return TrainingObservation(start=start, **(given_fields | fields))


def facts(**fields: Any) -> Facts:
    """Return facts about a monitor with a champion and an uneventful check."""
    given_fields: dict[str, Any] = {
        "spec": spec(),
        "generation": 1,
        "created": NOW - 100 * DAY,
        "check": check(),
        "champion": ChampionObservation("v1-00000000", NOW - 50 * DAY),
    }
    return Facts(**(given_fields | fields))


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        pytest.param(facts(request="again"), Reason.REQUESTED, id="requested"),
        pytest.param(facts(champion=None), Reason.NO_CHAMPION, id="no champion"),
        pytest.param(facts(check=check(performance_dropped=True)), Reason.PERFORMANCE_DROP, id="performance"),
        pytest.param(facts(check=drifted()), Reason.DRIFT_DETECTED, id="drift"),
        pytest.param(facts(spec=spec(triggers={"everyDays": 50})), Reason.PERIOD_ELAPSED, id="period since champion"),
        pytest.param(
            facts(spec=spec(triggers={"everyDays": 10}), training=training(10 * DAY)),
            Reason.PERIOD_ELAPSED,
            id="period since training",
        ),
        pytest.param(facts(spec=spec(triggers={"everyNewRows": 28000})), Reason.ENOUGH_NEW_ROWS, id="new rows"),
        pytest.param(facts(check=drifted(), request="again"), Reason.REQUESTED, id="a person goes first"),
        pytest.param(
            facts(check=drifted(in_a_row=3), spec=spec(sensitivity={"consecutiveChecks": 3})),
            Reason.DRIFT_DETECTED,
            id="enough checks in a row",
        ),
    ],
)
def test_triggers_train(known: Facts, reason: Reason) -> None:
    decision = decide(known, NOW)
    assert (decision.action, decision.reason) == (Action.TRAIN, reason)
    assert decision.message[0].isupper() or decision.message[0].isdigit()
    assert decision.message.endswith(".")


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(facts(), id="nothing happened"),
        pytest.param(facts(check=None, champion=None), id="not checked yet"),
        pytest.param(facts(champion=None, check=check(current_rows=0)), id="no champion and no data"),
        pytest.param(facts(champion=None, check=check(current_rows=None)), id="no champion and data unknown"),
        pytest.param(facts(check=drifted(), spec=spec(triggers={"onDrift": False})), id="drift is not a trigger"),
        pytest.param(
            facts(check=check(performance_dropped=True), spec=spec(triggers={"onPerformance": False})),
            id="performance is not a trigger",
        ),
        pytest.param(facts(check=drifted(ago=10 * DAY), training=training(5 * DAY)), id="drift has been answered"),
        pytest.param(
            facts(check=drifted(ago=5 * DAY - HOUR / 2), training=training(5 * DAY)), id="drift found while training"
        ),
        pytest.param(
            facts(check=drifted(ago=10 * DAY), training=training(5 * DAY, reason="Requested", failures=1)),
            id="drift has been answered, and a training by hand failed",
        ),
        pytest.param(facts(check=drifted(in_a_row=0)), id="drift from another champion's reference"),
        pytest.param(facts(spec=spec(triggers={"everyDays": 51})), id="period not over"),
        pytest.param(facts(spec=spec(triggers={"everyDays": 1}), champion=None, check=None), id="period, no champion"),
        pytest.param(
            facts(spec=spec(triggers={"everyDays": 10}), training=training(9 * DAY)), id="period began with training"
        ),
        pytest.param(facts(spec=spec(triggers={"everyNewRows": 28001})), id="too few rows for the trigger"),
        pytest.param(
            facts(spec=spec(triggers={"everyNewRows": 1}), check=check(new_rows=None)), id="new rows are not known"
        ),
    ],
)
def test_nothing_calls_for_a_training(known: Facts) -> None:
    decision = decide(known, NOW)
    assert (decision.action, decision.reason) == (Action.NOTHING, Reason.NOT_TRIGGERED)


def test_a_verdict_is_answered_once() -> None:
    known = facts(check=drifted())
    assert decide(known, NOW).action is Action.TRAIN
    running = training(dt.timedelta(0), reason="DriftDetected", completion=None)
    answered = replace(known, training=running, trainings=(NOW,))
    for completed in (None, NOW + HOUR):
        after = replace(answered, training=replace(running, completion=completed))
        assert decide(after, NOW + 2 * HOUR).action is Action.NOTHING


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        pytest.param(
            facts(check=drifted(), training=training(4 * HOUR, reason="DriftDetected", failures=1)),
            Reason.DRIFT_DETECTED,
            id="drift",
        ),
        pytest.param(
            facts(champion=None, check=check(ago=9 * HOUR), training=training(4 * HOUR, failures=1)),
            Reason.NO_CHAMPION,
            id="no champion",
        ),
        pytest.param(
            facts(
                spec=spec(triggers={"everyDays": 30}), training=training(4 * HOUR, reason="PeriodElapsed", failures=1)
            ),
            Reason.PERIOD_ELAPSED,
            id="period",
        ),
    ],
)
def test_a_failed_training_has_answered_nothing(known: Facts, reason: Reason) -> None:
    decision = decide(known, NOW)
    assert (decision.action, decision.reason) == (Action.TRAIN, reason)


AUTOMATIC = {"check": drifted()}
BY_HAND = {"check": check(), "request": "again"}


@pytest.mark.parametrize(
    ("fields", "reason", "by_hand"),
    [
        pytest.param({"spec": spec(suspend=True)}, Reason.SUSPENDED, True, id="suspended"),
        pytest.param({"in_flight": JobInFlight(Role.ROLLBACK, "a-rollback")}, Reason.IN_FLIGHT, True, id="in flight"),
        pytest.param(
            {"training": training(3 * HOUR / 2, failures=1, reason="DriftDetected")},
            Reason.BACKING_OFF,
            False,
            id="backing off",
        ),
        pytest.param(
            {
                "training": training(2 * HOUR, reason="DriftDetected"),
                "check": drifted(ago=HOUR / 2),
                "spec": spec(retraining={"cooldownSeconds": 86400}),
            },
            Reason.COOLING_DOWN,
            False,
            id="cooling down",
        ),
        pytest.param(
            {
                "trainings": (NOW - DAY, NOW - 40 * DAY, NOW - 2 * DAY),
                "spec": spec(retraining={"budget": {"count": 2, "perDays": 30}}),
            },
            Reason.BUDGET_EXHAUSTED,
            False,
            id="budget",
        ),
        pytest.param(
            {"spec": spec(retraining={"minNewRows": 28001})}, Reason.TOO_FEW_NEW_ROWS, False, id="too few new rows"
        ),
        pytest.param({"spec": spec(retraining={"mode": "DryRun"})}, Reason.DRY_RUN, True, id="dry run"),
        pytest.param({"spec": spec(retraining={"mode": "Manual"})}, Reason.MANUAL_MODE, False, id="manual mode"),
    ],
)
def test_gates(fields: dict[str, Any], reason: Reason, by_hand: bool) -> None:
    held = decide(facts(**(AUTOMATIC | fields)), NOW)
    assert (held.action, held.reason) == (Action.HOLD, reason)
    asked = decide(facts(**(BY_HAND | {key: value for key, value in fields.items() if key != "check"})), NOW)
    assert asked.action is (Action.HOLD if by_hand else Action.TRAIN)
    assert asked.reason == (reason if by_hand else Reason.REQUESTED)


@pytest.mark.parametrize("request_token", [None, "again"])
def test_broken_data_train_nobody(request_token: str | None) -> None:
    broken = facts(champion=None, check=check("Corrupted"), request=request_token)
    decision = decide(broken, NOW)
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.CORRUPTED_DATA)
    assert "2013-04-02T05:00:00Z" in decision.message


def test_drift_waits_for_the_checks_that_were_asked_for() -> None:
    known = facts(check=drifted(in_a_row=2), spec=spec(sensitivity={"consecutiveChecks": 3}))
    decision = decide(known, NOW)
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.WAITING_FOR_CONSECUTIVE_CHECKS)
    assert "2 of the 3 checks" in decision.message


def test_messages_have_the_figures_and_the_time_that_lifts_them() -> None:
    known = facts(
        check=drifted(),
        training=training(2 * HOUR, completion=NOW - 3 * HOUR / 2),
        spec=spec(retraining={"cooldownSeconds": 86400}),
    )
    decision = decide(known, NOW)
    assert decision.wake_at == NOW + 22 * HOUR
    assert decision.message.startswith("Cooling down until 2013-04-03T04:00:00Z: the last training started at ")
    assert "retraining.cooldownSeconds is 86400" in decision.message
    assert decide(known, decision.wake_at).action is Action.TRAIN
    assert decide(known, NOW + HOUR).message == decision.message  # or every look would write a status


def test_backoff_doubles_from_an_hour_to_32_and_a_new_spec_ends_it() -> None:
    assert [backoff(n) / HOUR for n in (1, 2, 3, 4, 5, 6, 7, 1000)] == [1, 2, 4, 8, 16, 32, 32, 32]
    failed = training(9 * HOUR, reason="DriftDetected", failures=6)
    known = facts(check=drifted(), training=failed)
    decision = decide(known, NOW)
    assert (decision.reason, decision.wake_at) == (Reason.BACKING_OFF, NOW + 24 * HOUR)
    assert decide(replace(known, generation=2), NOW).action is Action.TRAIN


def test_the_first_champion_does_not_wait_for_rows_nor_after_a_failure_for_the_cooldown() -> None:
    limited = spec(retraining={"minNewRows": 10**6, "cooldownSeconds": 864000})
    known = facts(champion=None, spec=limited, training=training(3 * HOUR, failures=1), check=check(new_rows=None))
    assert decide(known, NOW).action is Action.TRAIN
    gave_a_verdict = replace(known, training=training(3 * HOUR, completion=NOW - 2 * HOUR))
    assert decide(gave_a_verdict, NOW).reason is Reason.COOLING_DOWN


def test_budget_counts_the_trainings_of_its_window() -> None:
    limited = spec(retraining={"budget": {"count": 2, "perDays": 30}})
    starts = (NOW - 29 * DAY, NOW - 3 * DAY)
    decision = decide(facts(check=drifted(), spec=limited, trainings=starts), NOW)
    assert decision.wake_at == NOW + DAY
    assert decide(facts(check=drifted(), spec=limited, trainings=starts), NOW + DAY).action is Action.TRAIN


times = st.integers(0, 40 * 24 * 60).map(lambda minutes: NOW - dt.timedelta(minutes=minutes))
checks = st.builds(
    CheckObservation,
    time=times,
    verdict=st.sampled_from(["NoDrift", "Drift", "Corrupted", "Inconclusive"]),
    performance_dropped=st.booleans(),
    new_rows=st.none() | st.integers(0, 10**6),
    current_rows=st.none() | st.integers(0, 10**6),
    consecutive_drifts=st.integers(0, 5),
)
trainings = st.builds(
    lambda reason, start, hours, failures, generation: TrainingObservation(
        reason, start, None if hours is None else start + hours * HOUR, failures, generation
    ),
    st.sampled_from(list(Reason)),
    times,
    st.none() | st.integers(0, 48),
    st.integers(0, 9),
    st.none() | st.integers(1, 3),
)
specs = st.builds(
    lambda suspend, mode, cooldown, count, days, rows, consecutive, every: spec(
        suspend=suspend,
        retraining={
            "mode": mode,
            "cooldownSeconds": cooldown,
            "budget": {"count": count, "perDays": days},
            "minNewRows": rows,
        },
        sensitivity={"consecutiveChecks": consecutive},
        triggers={"everyDays": every},
    ),
    st.booleans(),
    st.sampled_from(["Auto", "DryRun", "Manual"]),
    st.sampled_from([0, 3600, 86400]),
    st.integers(1, 5),
    st.integers(1, 30),
    st.sampled_from([0, 1000]),
    st.integers(1, 3),
    st.integers(1, 60),
)
any_facts = st.builds(
    Facts,
    spec=specs,
    generation=st.integers(1, 3),
    created=times,
    check=st.none() | checks,
    training=st.none() | trainings,
    trainings=st.lists(times, max_size=8).map(tuple),
    champion=st.none() | st.builds(ChampionObservation, version=st.just("v1-00000000"), since=times),
    in_flight=st.none() | st.builds(JobInFlight, role=st.sampled_from(list(Role)), job_name=st.just("a-job")),
    request=st.none() | st.just("token"),
)


@given(any_facts)
def test_never_while_suspended_in_flight_corrupted_or_dry(known: Facts) -> None:
    decision = decide(known, NOW)
    assert decision == decide(known, NOW)
    assert decision.message.endswith(".")
    if decision.action is Action.TRAIN:
        assert known.in_flight is None
        assert not known.spec.suspend
        assert known.check is None or known.check.verdict != "Corrupted"
        assert known.spec.retraining.mode != "DryRun"


@given(any_facts, st.integers(1, 10**6))
def test_a_gate_of_time_stays_shut_until_the_time_it_names(known: Facts, seconds: int) -> None:
    without_period = replace(known, spec=known.spec.model_copy(update={"triggers": spec().triggers}))
    decision = decide(without_period, NOW)
    if decision.wake_at is not None:
        assert decision.wake_at > NOW
        later = min(NOW + dt.timedelta(seconds=seconds), decision.wake_at - dt.timedelta(seconds=1))
        assert decide(without_period, later) == decision


@settings(max_examples=60)
@given(
    count=st.integers(1, 4),
    days=st.integers(1, 20),
    verdicts=st.lists(st.sampled_from(["NoDrift", "Drift", "Inconclusive"]), min_size=60, max_size=60),
    fails=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_the_budget_is_kept_over_time(count: int, days: int, verdicts: list[str], fails: list[bool]) -> None:
    """A check every twelve hours, whatever they say, a training an hour long: the budget holds in every window."""
    known = facts(spec=spec(retraining={"budget": {"count": count, "perDays": days}}), check=None)
    starts: list[dt.datetime] = []
    for number, (verdict, fail) in enumerate(zip(verdicts, fails, strict=True)):
        now = NOW + number * 12 * HOUR
        seen = CheckObservation(now - HOUR, verdict, current_rows=1, consecutive_drifts=int(verdict == "Drift"))
        known = replace(known, check=seen)
        decision = decide(known, now)
        if decision.action is Action.TRAIN:
            starts.append(now)
            made = TrainingObservation(decision.reason, now, now + HOUR, int(fail), 1)
            known = replace(known, training=made, trainings=tuple(starts))
    window = dt.timedelta(days=days)
    for end in starts:
        assert sum(end - window < start <= end for start in starts) <= count
