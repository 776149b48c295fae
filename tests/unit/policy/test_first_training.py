"""Young data: no training starts that cannot succeed, and those that lack data cost nothing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from modelmonitor_api.names import Reason, Role
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.status import FirstTrainingData, ModelMonitorStatus
from modelmonitor_policy import Action, Facts, JobObservation, apply_job_results, decide
from support import monitors
from unit.policy.factories import HOUR, NOW, check, facts, retrain, spec, training
from unit.policy.test_transitions import training as training_job

NEWEST = dt.date(2013, 4, 1)
#: The hold-out of the factories' spec has 14 days, and labels take 2 more.
BEYOND = 16


def young(days: int, **fields: Any) -> Facts:
    """Return facts about a monitor without a champion whose data have begun `days` ago."""
    changes = {key: fields.pop(key) for key in ("training", "requests", "spec", "trainings") if key in fields}
    first = NEWEST - dt.timedelta(days=days - 1)
    data = FirstTrainingData(first_day=first, **({"newest_labels": NEWEST - dt.timedelta(days=2)} | fields))
    return facts(champion=None, check=check(newest_day=NEWEST, first_training=data), **changes)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        pytest.param(young(1), "Waiting until 2013-04-18", id="the first day"),
        pytest.param(young(BEYOND), "Waiting until 2013-04-03", id="one day is missing"),
        pytest.param(young(BEYOND + 1), None, id="one day to train on"),
        pytest.param(young(30, newest_labels=None), "none have arrived under", id="no labels"),
        pytest.param(young(30, newest_labels=NEWEST - dt.timedelta(days=25)), "Waiting until", id="labels are late"),
        pytest.param(young(18, train_rows=40), "until about 2013-04-05", id="few rows: 20 a day, five days are needed"),
        pytest.param(young(18, train_rows=0), "Waiting for more rows", id="no rows"),
        pytest.param(
            young(30, train_rows=900, holdout_rows=499),
            "promotion.minHoldoutRows is 500. Raise promotion.holdoutDays, or lower promotion.minHoldoutRows.",
            id="hold-out",
        ),
        pytest.param(young(30, train_rows=100, holdout_rows=500), None, id="just enough"),
        pytest.param(young(30), None, id="rows are not known"),
        pytest.param(young(1, requests=retrain()), None, id="a request is executed"),
    ],
)
def test_a_first_training_waits_until_it_can_succeed(facts: Facts, words: str | None) -> None:
    decision = decide(facts, NOW)
    if words is None:
        assert decision.action is Action.TRAIN
    else:
        assert (decision.action, decision.reason) == (Action.HOLD, Reason.WAITING_FOR_FIRST_DATA)
        assert words in decision.message


def test_a_check_that_cannot_see_the_data_holds_nothing_back() -> None:
    assert decide(facts(champion=None, check=check()), NOW).action is Action.TRAIN
    unknown = check(newest_day=NEWEST, first_training=FirstTrainingData())
    assert decide(facts(champion=None, check=unknown), NOW).action is Action.TRAIN


def lacking(ago: dt.timedelta = 2 * HOUR, **fields: Any) -> Any:
    """Return a training that had too few rows."""
    defaults = {"outcome": "Inconclusive", "outcome_reason": GateReason.TOO_FEW_ROWS.value, "newest_day": NEWEST}
    return training(ago, completion=NOW - ago, message="12 rows are too few.", **(defaults | fields))


def test_a_training_that_lacked_data_is_repeated_with_newer_days_without_a_cooldown() -> None:
    limited = spec(retraining={"cooldownSeconds": 86400})
    held = decide(young(60, training=lacking(), spec=limited), NOW)
    assert (held.action, held.reason) == (Action.HOLD, Reason.WAITING_FOR_FIRST_DATA)
    assert "12 rows are too few." in held.message
    newer = lacking(newest_day=NEWEST - dt.timedelta(days=1))
    assert decide(young(60, training=newer, spec=limited), NOW).action is Action.TRAIN
    assert decide(young(60, training=lacking(generation=9), spec=limited), NOW).action is Action.TRAIN
    unlucky = lacking(outcome_reason="Worse", newest_day=None)
    assert decide(young(60, training=unlucky, spec=limited), NOW).reason is Reason.COOLING_DOWN


@pytest.mark.parametrize(
    ("answer", "champion", "counted"),
    [
        (monitors.run("Inconclusive", reason="TooFewRows"), False, 0),
        (monitors.run("Inconclusive", reason="TooFewRows"), True, 0),
        (monitors.run("Inconclusive", reason="TooGoodToBeTrue"), False, 1),
        (monitors.failure(), False, 0),
        (monitors.failure(), True, 1),
    ],
)
def test_what_counts_against_the_budget(answer: Any, champion: bool, counted: int) -> None:
    before = ModelMonitorStatus(champion=monitors.champion() if champion else None)
    after = apply_job_results(before, [training_job(1, answer, ended=HOUR)])
    assert len(after.trainings) == counted
    assert after.last_training is not None
    assert after.last_training.outcome_reason == answer.reason


def test_the_newest_day_of_a_training_is_recorded() -> None:
    ended = monitors.check(data_end=NOW)
    check_job = JobObservation("c", "c", Role.CHECK, NOW, finished=NOW, answer=ended)
    after = apply_job_results(ModelMonitorStatus(), [check_job, training_job(1)])
    assert after.last_training is not None
    assert after.last_training.newest_day == NOW.date()
