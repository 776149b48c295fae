"""Holds: what delays a training, for which reason, and until when."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmonitor_api.names import Reason, Role
from modelmonitor_policy import Action, Facts, Requests, decide
from modelmonitor_policy.holds import backoff
from modelmonitor_policy.observations import CheckObservation, JobInFlight, TrainingObservation
from unit.policy.factories import DAY, HOUR, NOW, any_facts, check, drifted, facts, retrain, spec, training

AUTOMATIC = {"check": drifted()}
REQUESTED = {"check": check(), "requests": retrain()}


@pytest.mark.parametrize(
    ("fields", "reason", "also_requested"),
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
def test_holds(fields: dict[str, Any], reason: Reason, also_requested: bool) -> None:
    held = decide(facts(**(AUTOMATIC | fields)), NOW)
    assert (held.action, held.reason) == (Action.HOLD, reason)
    requested = decide(facts(**(REQUESTED | {key: value for key, value in fields.items() if key != "check"})), NOW)
    assert requested.action is (Action.HOLD if also_requested else Action.TRAIN)
    assert requested.reason == (reason if also_requested else Reason.REQUESTED)


@pytest.mark.parametrize("request_token", [None, "again"])
def test_corrupted_data_block_even_a_requested_training(request_token: str | None) -> None:
    corrupted = facts(champion=None, check=check("Corrupted"), requests=Requests(retrain=request_token))
    decision = decide(corrupted, NOW)
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.CORRUPTED_DATA)
    assert "2013-04-02T05:00:00Z" in decision.message


def test_drift_waits_for_the_declared_number_of_checks() -> None:
    known = facts(check=drifted(in_a_row=2), spec=spec(sensitivity={"consecutiveChecks": 3}))
    decision = decide(known, NOW)
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.WAITING_FOR_CONSECUTIVE_CHECKS)
    assert "2 of the 3 consecutive checks" in decision.message


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
    assert decide(known, NOW + HOUR).message == decision.message  # or every reconciliation would write a status


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


@given(any_facts)
def test_no_training_starts_while_suspended_in_flight_corrupted_or_in_dry_run(known: Facts) -> None:
    decision = decide(known, NOW)
    assert decision == decide(known, NOW)
    assert decision.message.endswith(".")
    if decision.action is Action.TRAIN:
        assert known.in_flight is None
        assert not known.spec.suspend
        assert known.check is None or known.check.verdict != "Corrupted"
        assert known.spec.retraining.mode != "DryRun"


@given(any_facts, st.integers(1, 10**6))
def test_a_hold_with_a_time_stays_the_same_until_then(known: Facts, seconds: int) -> None:
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
    verdicts=st.lists(
        st.sampled_from(["NoDrift", "Drift", "PerformanceDrop", "Inconclusive"]), min_size=60, max_size=60
    ),
    fails=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_the_budget_is_kept_over_time(count: int, days: int, verdicts: list[str], fails: list[bool]) -> None:
    """With a check every twelve hours and trainings of one hour, the budget holds in every window."""
    known = facts(spec=spec(retraining={"budget": {"count": count, "perDays": days}}), check=None)
    starts: list[dt.datetime] = []
    for number, (verdict, fail) in enumerate(zip(verdicts, fails, strict=True)):
        now = NOW + number * 12 * HOUR
        seen = CheckObservation(now - HOUR, verdict, current_rows=1, consecutive_drifts=int(verdict == "Drift"))
        known = replace(known, check=seen)
        decision = decide(known, now)
        if decision.action is Action.TRAIN:
            starts.append(now)
            trained = TrainingObservation(decision.reason, now, now + HOUR, int(fail), 1)
            known = replace(known, training=trained, trainings=tuple(starts))
    window = dt.timedelta(days=days)
    for end in starts:
        assert sum(end - window < start <= end for start in starts) <= count
