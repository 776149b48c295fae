"""The plan: what is started, in which order, never two changes of the champion at a time, nothing twice."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmonitor_api.names import FailureReason, Reason, Role
from modelmonitor_api.status import ChampionWatch, Rollout
from modelmonitor_policy import (
    INITIAL_CHECK,
    AutoRollback,
    Facts,
    Intent,
    Requests,
    StartCheck,
    StartPromotion,
    StartRollback,
    StartTraining,
    plan,
    wake_at,
)
from modelmonitor_policy.observations import JobInFlight, RolloutFailure
from support import monitors
from unit.policy.factories import CHAMPION, DAY, HOUR, NOW, any_facts, check, drifted, facts, spec, watch
from unit.policy.simulation import SimulatedMonitor, key_of

ROLLBACK_ON = spec(promotion={"watch": {"action": "Rollback"}})
FAILURE = RolloutFailure(CHAMPION.version, "v0-11111111", "not available")
RUNNING = JobInFlight(Role.TRAIN, "flights-train-3")
EVERYTHING = Requests(check="c", retrain="t", rollback="previous#2", promote="v9-99999999")
NEW = {"check": None, "champion": None, "ever_checked": False}


def kinds(intents: tuple[Intent, ...]) -> list[str]:
    """Return the types of intents, in order."""
    return [type(intent).__name__ for intent in intents]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(facts(), [], id="nothing to do"),
        pytest.param(facts(**NEW), ["StartCheck"], id="new monitor"),
        pytest.param(
            facts(**NEW, requests=Requests(check="now")), ["StartCheck", "StartCheck"], id="new and requested"
        ),
        pytest.param(facts(check=None, champion=None), [], id="first check has been started"),
        pytest.param(facts(check=drifted()), ["StartTraining"], id="trigger"),
        pytest.param(facts(check=drifted(), in_flight=RUNNING), [], id="trigger while a Job runs"),
        pytest.param(facts(requests=EVERYTHING), ["StartCheck", "StartRollback"], id="rollback first"),
        pytest.param(
            facts(requests=replace(EVERYTHING, rollback=None)), ["StartCheck", "StartPromotion"], id="then promotion"
        ),
        pytest.param(
            facts(requests=Requests(check="c", retrain="t")), ["StartCheck", "StartTraining"], id="then training"
        ),
        pytest.param(facts(requests=EVERYTHING, in_flight=RUNNING), ["StartCheck"], id="only checks while a Job runs"),
        pytest.param(
            facts(spec=ROLLBACK_ON, watch=watch(), requests=Requests(rollback="previous")),
            ["StartRollback"],
            id="a requested rollback precedes an automatic one",
        ),
        pytest.param(
            facts(spec=ROLLBACK_ON, watch=watch(), check=drifted()), ["AutoRollback"], id="rollback before training"
        ),
        pytest.param(
            facts(rollout_failure=FAILURE, check=drifted()), ["AutoRollback"], id="failed rollout before training"
        ),
        pytest.param(facts(check=check("Corrupted"), requests=Requests(retrain="t")), [], id="corrupted data"),
        pytest.param(
            facts(spec=spec(suspend=True), requests=EVERYTHING), ["StartRollback"], id="suspended: rollback only"
        ),
        pytest.param(
            facts(spec=spec(suspend=True), requests=replace(EVERYTHING, rollback=None)),
            ["StartPromotion"],
            id="suspended: promotion only",
        ),
        pytest.param(facts(spec=spec(suspend=True), **NEW), [], id="suspended: no first check"),
        pytest.param(
            facts(spec=spec(suspend=True), rollout_failure=FAILURE), ["AutoRollback"], id="suspended: failed rollout"
        ),
    ],
)
def test_what_is_started(known: Facts, expected: list[str]) -> None:
    assert kinds(plan(known, NOW)) == expected


def test_intents_have_what_their_jobs_need() -> None:
    assert plan(facts(**NEW, requests=Requests(check="now")), NOW) == (
        StartCheck(INITIAL_CHECK, requested=False),
        StartCheck("now", requested=True),
    )
    assert plan(facts(requests=Requests(rollback="previous#2")), NOW) == (StartRollback("previous", "previous#2"),)
    assert plan(facts(requests=Requests(promote="v9-99999999")), NOW) == (StartPromotion("v9-99999999", "v9-99999999"),)
    [training] = plan(facts(check=drifted(), last_number=7), NOW)
    assert isinstance(training, StartTraining)
    assert (training.number, training.reason, training.token) == (8, Reason.DRIFT_DETECTED, None)
    assert training.message == "The check of 2013-04-02T05:00:00Z found drift."
    [requested] = plan(facts(check=drifted(), requests=Requests(retrain="please")), NOW)
    assert isinstance(requested, StartTraining)
    assert (requested.number, requested.reason, requested.token) == (1, Reason.REQUESTED, "please")


def test_a_held_training_wakes_when_its_hold_ends() -> None:
    limited = spec(retraining={"budget": {"count": 1, "perDays": 10}})
    known = facts(check=drifted(), spec=limited, trainings=(NOW - 9 * DAY,))
    assert (plan(known, NOW), wake_at(known, NOW)) == ((), NOW + DAY)
    assert kinds(plan(known, NOW + DAY)) == ["StartTraining"]
    assert wake_at(facts(), NOW) is None
    assert wake_at(facts(spec=spec(triggers={"everyDays": 51})), NOW) == NOW + DAY


@given(any_facts)
def test_at_most_one_change_of_the_champion_and_none_while_one_runs(known: Facts) -> None:
    intents = plan(known, NOW)
    assert intents == plan(known, NOW)
    changes = [intent for intent in intents if not isinstance(intent, StartCheck)]
    assert len(changes) <= (0 if known.in_flight is not None else 1)
    if known.spec.suspend:
        assert all(isinstance(intent, StartRollback | StartPromotion | AutoRollback) for intent in intents)
    if known.check is not None and known.check.verdict == "Corrupted":
        assert not any(isinstance(intent, StartTraining) for intent in intents)


@given(any_facts, st.integers(1, 10**7))
def test_time_alone_does_not_change_a_plan_before_it_wakes(known: Facts, seconds: int) -> None:
    wake, later = wake_at(known, NOW), NOW + dt.timedelta(seconds=seconds)
    if wake is not None:
        assert wake > NOW
        later = min(later, wake - dt.timedelta(seconds=1))
    assert plan(known, later) == plan(known, NOW)


Step = tuple[str, int]
VERDICTS: tuple[monitors.Verdict, ...] = ("Drift", "Drift", "NoDrift", "Corrupted")
#: What can happen, each with a number that picks among the possibilities.
STEPS = (
    "check", "check", "check", "worse", "worse", "end", "end", "fail", "fail", "pass",
    "retrain", "rollback", "promote", "request", "suspend", "resume", "resume", "rollout",
)  # fmt: skip


def end_check(monitor: SimulatedMonitor, verdict: monitors.Verdict, *, worse: bool = False) -> None:
    """End the running checks, or a scheduled one; `worse` is the result of the champion watch."""
    champion = monitor.status.champion
    watched = None
    if champion is not None:
        watched = ChampionWatch(
            champion=champion.version,
            since=champion.since,
            predecessor="v0-0a1b2c3d",
            metric="ROCAUC",
            days=4,
            rows=4000,
            difference="-0.0400",
            low="-0.0600",
            high="-0.0200",
            worse=worse,
        )
    for job in monitor.running(Role.CHECK) or [monitor.scheduled_check()]:
        monitor.finish(job, monitors.check(verdict, time=monitor.now, champion=champion, watch=watched))


def end_change(monitor: SimulatedMonitor, version: str, *, failed: bool) -> None:
    """End the Job that can change the champion, if one is running; where it succeeds, `version` is the champion."""
    champion = monitors.champion(version).model_copy(update={"since": monitor.now})
    for job in monitor.running(Role.TRAIN, Role.ROLLBACK, Role.PROMOTE):
        outcome: monitors.Outcome = "RolledBack" if job.role is Role.ROLLBACK else "Promoted"
        succeeded = monitors.run(outcome, version, champion=champion)
        monitor.finish(job, monitors.failure(FailureReason.BAD_DATA) if failed else succeeded)


def fail_rollout(monitor: SimulatedMonitor) -> None:
    """Let the rollout of the champion, if there is one, fail."""
    champion = monitor.status.champion
    if champion is not None:
        rollout = Rollout(
            deployment="scorer",
            version=champion.version,
            reason=Reason.ROLLOUT_FAILED,
            time=monitor.now,
            available_version="v0-0a1b2c3d",
        )
        monitor.status = monitor.status.model_copy(update={"rollout": rollout})


def happen(monitor: SimulatedMonitor, step: str, pick: int) -> None:
    """Simulate one event of the monitor."""
    match step:
        case "check" | "worse":
            end_check(monitor, VERDICTS[pick % len(VERDICTS)], worse=step == "worse")
        case "end" | "fail":
            end_change(monitor, f"v{pick}-0a1b2c3d", failed=step == "fail")
        case "pass":
            monitor.pass_time(hours=1 + 5 * pick)
        case "request":
            monitor.request(check=f"token-{len(monitor.executed)}")
        case "retrain" | "rollback" | "promote":
            monitor.request(**{step: f"v{pick}-0a1b2c3d#{len(monitor.executed)}"})
        case "suspend" | "resume":
            monitor.spec = monitor.spec.model_copy(update={"suspend": step == "suspend"})
        case "rollout":
            fail_rollout(monitor)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 7)), min_size=5, max_size=60))
def test_executing_a_plan_leaves_nothing_to_start_and_starts_nothing_twice(steps: list[Step]) -> None:
    monitor = SimulatedMonitor(spec(promotion={"watch": {"action": "Rollback"}}))
    monitor.status = monitor.status.model_copy(update={"champion": monitors.champion()})
    monitor.step()
    for step, pick in steps:
        happen(monitor, step, pick)
        started = monitor.step()
        assert monitor.step() == (), f"after {started}"
        assert len(monitor.running(Role.TRAIN, Role.ROLLBACK, Role.PROMOTE)) <= 1
        monitor.pass_time(minutes=1)
    repeated = [key for key, count in Counter(key_of(intent) for intent in monitor.executed).items() if count > 1]
    assert repeated == []


def test_from_a_first_check_to_a_rollback_without_kubernetes() -> None:
    monitor = SimulatedMonitor(spec(promotion={"watch": {"action": "Rollback"}}))
    assert kinds(monitor.step()) == ["StartCheck"]
    monitor.pass_time(minutes=5)
    monitor.finish(monitor.running(Role.CHECK)[0], monitors.check("NoDrift", champion=None))
    assert kinds(monitor.step()) == ["StartTraining"]
    monitor.pass_time(minutes=5)
    first = monitors.champion("v1-0a1b2c3d").model_copy(update={"since": monitor.now})
    monitor.finish(monitor.running(Role.TRAIN)[0], monitors.run("Promoted", "v1-0a1b2c3d", champion=first))
    assert monitor.step() == ()
    assert monitor.status.champion == first
    monitor.request(rollback="v0-0a1b2c3d")
    assert monitor.step() == (StartRollback("v0-0a1b2c3d", "v0-0a1b2c3d"),)
    assert monitor.status.handled_requests.rollback == "v0-0a1b2c3d"
    assert monitor.now - NOW == HOUR / 6
