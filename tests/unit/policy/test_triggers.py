"""Triggers: which facts call for a training, and which do not."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from modelmonitor_api.names import Reason
from modelmonitor_policy import Action, Facts, decide
from unit.policy.factories import DAY, HOUR, NOW, check, drifted, facts, retrain, spec, training


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        pytest.param(facts(requests=retrain()), Reason.REQUESTED, id="requested"),
        pytest.param(facts(champion=None), Reason.NO_CHAMPION, id="no champion"),
        pytest.param(facts(check=check(performance_dropped=True)), Reason.PERFORMANCE_DROP, id="performance"),
        pytest.param(
            facts(check=check("PerformanceDrop", performance_dropped=True)),
            Reason.PERFORMANCE_DROP,
            id="performance as the verdict",
        ),
        pytest.param(facts(check=drifted()), Reason.DRIFT_DETECTED, id="drift"),
        pytest.param(facts(spec=spec(triggers={"everyDays": 50})), Reason.PERIOD_ELAPSED, id="period since champion"),
        pytest.param(
            facts(spec=spec(triggers={"everyDays": 10}), training=training(10 * DAY)),
            Reason.PERIOD_ELAPSED,
            id="period since training",
        ),
        pytest.param(facts(spec=spec(triggers={"everyNewRows": 28000})), Reason.ENOUGH_NEW_ROWS, id="new rows"),
        pytest.param(facts(check=drifted(), requests=retrain()), Reason.REQUESTED, id="a person goes first"),
        pytest.param(
            facts(check=drifted(in_a_row=3), spec=spec(sensitivity={"consecutiveChecks": 3})),
            Reason.DRIFT_DETECTED,
            id="enough checks in a row",
        ),
        pytest.param(
            facts(check=check(consecutive_inconclusive=7), spec=spec(triggers={"afterInconclusiveChecks": 7})),
            Reason.DRIFT_NOT_RULED_OUT,
            id="drift could not be ruled out for long",
        ),
    ],
)
def test_triggers_train(known: Facts, reason: Reason) -> None:
    decision = decide(known, NOW)
    assert (decision.action, decision.reason) == (Action.TRAIN, reason)
    assert not decision.message[0].islower() or decision.message.startswith("triggers.")
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
            facts(
                check=check("PerformanceDrop", performance_dropped=True), spec=spec(triggers={"onPerformance": False})
            ),
            id="performance is not a trigger",
        ),
        pytest.param(facts(check=drifted(ago=10 * DAY), training=training(5 * DAY)), id="drift has been started"),
        pytest.param(
            facts(check=drifted(ago=5 * DAY - HOUR / 2), training=training(5 * DAY)), id="drift found while training"
        ),
        pytest.param(
            facts(check=drifted(ago=10 * DAY), training=training(5 * DAY, reason="Requested", failures=1)),
            id="drift has been started, and a requested training failed",
        ),
        pytest.param(facts(check=check(consecutive_inconclusive=100)), id="doubt is not a trigger"),
        pytest.param(
            facts(check=check(consecutive_inconclusive=6), spec=spec(triggers={"afterInconclusiveChecks": 7})),
            id="doubt has not lasted",
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


def test_a_verdict_starts_one_training() -> None:
    known = facts(check=drifted())
    assert decide(known, NOW).action is Action.TRAIN
    running = training(dt.timedelta(0), reason="DriftDetected", completion=None)
    started = replace(known, training=running, trainings=(NOW,))
    for completed in (None, NOW + HOUR):
        after = replace(started, training=replace(running, completion=completed))
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
def test_a_trigger_applies_again_after_a_failed_training(known: Facts, reason: Reason) -> None:
    decision = decide(known, NOW)
    assert (decision.action, decision.reason) == (Action.TRAIN, reason)


@pytest.mark.parametrize(
    ("known", "begins"),
    [
        (facts(spec=spec(triggers={"everyDays": 50})), "triggers.everyDays is 50, and the period ended at "),
        (facts(champion=None), "There is no champion yet, "),
    ],
    ids=["field", "word"],
)
def test_the_message_is_a_sentence_that_names_fields_as_they_are_written(known, begins):
    message = decide(known, NOW).message
    assert message.startswith(begins)
    assert message.endswith(".")
