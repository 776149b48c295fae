"""While the champion is pinned, only people change it; a training that could change nothing costs nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from modelmonitor_api.messages import RunVerdict
from modelmonitor_api.names import Reason, Role
from modelmonitor_policy import Action, Facts, Requests, decide, plan
from modelmonitor_policy.intents import AutoRollback, StartPromotion, StartRollback, StartTraining
from unit.policy.factories import CHAMPION, DAY, NOW, any_facts, drifted, facts, spec, training, watch
from unit.policy.simulation import SimulatedMonitor

ROLLING_BACK = spec(promotion={"watch": {"action": "Rollback"}})
PINNED = [
    pytest.param({"requests": Requests(pin="audit")}, id="by annotation"),
    pytest.param({"champion": replace(CHAMPION, pinned="audit")}, id="on the command line"),
]


@pytest.mark.parametrize("fields", PINNED)
def test_a_pin_holds_trainings_and_automatic_rollbacks(fields: dict[str, object]) -> None:
    known = facts(**({"check": drifted(), "watch": watch(), "spec": ROLLING_BACK} | fields))
    assert plan(known, NOW) == ()
    decision = decide(known, NOW)
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.PINNED)
    assert "is pinned (audit)" in decision.message


def test_people_train_promote_and_roll_back_all_the_same() -> None:
    def planned(**tokens: str) -> object:
        (intent,) = plan(facts(requests=Requests(pin="audit", **tokens)), NOW)
        return intent

    requested = planned(retrain="now")
    assert isinstance(requested, StartTraining)
    assert requested.pinned
    assert planned(rollback="previous") == StartRollback("previous", "previous")
    promoted = planned(promote="v2-00000000", promote_reason="it is better")
    assert promoted == StartPromotion("v2-00000000", "v2-00000000", "it is better")


@given(known=any_facts)
def test_nothing_automatic_can_replace_a_pinned_champion(known: Facts) -> None:
    pinned = replace(known, requests=replace(known.requests, pin="audit"))
    for intent in plan(pinned, NOW):
        assert not isinstance(intent, AutoRollback)
        if isinstance(intent, StartTraining) and known.champion is not None:
            assert intent.token is not None
            assert intent.pinned


@pytest.mark.parametrize(
    ("outcome", "reason", "counted"),
    [
        ("NothingNew", "SameData", 0),
        ("NothingNew", "SameModel", 0),
        ("Rejected", "LeftByRollback", 0),
        ("Rejected", "Worse", 1),
    ],
)
def test_a_training_that_could_change_nothing_uses_no_budget(outcome: str, reason: str, counted: int) -> None:
    monitor = SimulatedMonitor(spec())
    monitor.request(retrain="now")
    monitor.step()
    (job,) = monitor.running(Role.TRAIN)
    monitor.finish(job, RunVerdict.model_validate({"outcome": outcome, "reason": reason, "message": "m"}))
    monitor.step()
    assert len(monitor.status.trainings) == counted


def test_nothing_new_needs_no_cooldown() -> None:
    cooling = spec(retraining={"cooldownSeconds": 30 * 86400})
    known = facts(spec=cooling, check=drifted(), training=training(2 * DAY))
    assert decide(known, NOW).reason is Reason.COOLING_DOWN
    nothing = training(2 * DAY, outcome="NothingNew")
    assert decide(replace(known, training=nothing), NOW).action is Action.TRAIN
