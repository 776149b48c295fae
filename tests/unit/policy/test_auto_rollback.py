"""Automatic rollback: after a worse champion and after a failed rollout, once per promotion."""

from __future__ import annotations

from typing import Any

import pytest

from modelmonitor_api.names import Reason, Role
from modelmonitor_policy import Facts, RollbackCause
from modelmonitor_policy.auto_rollback import find_auto_rollback, promotion_token
from modelmonitor_policy.observations import ChampionObservation, JobInFlight, RolloutFailure
from unit.policy.factories import CHAMPION, NOW, facts, spec, watch

FAILURE = RolloutFailure(CHAMPION.version, "v0-11111111", "the Deployment did not become available")


def watched(**fields: Any) -> Facts:
    """Return facts in which the champion watch calls for a rollback."""
    defaults: dict[str, Any] = {"spec": spec(promotion={"watch": {"action": "Rollback"}}), "watch": watch()}
    return facts(**(defaults | fields))


def test_a_champion_that_is_worse_is_rolled_back() -> None:
    rollback = find_auto_rollback(watched())
    assert rollback is not None
    assert (rollback.version, rollback.instead_of) == ("v0-11111111", CHAMPION.version)
    assert (rollback.cause, rollback.reason) == (RollbackCause.WATCH, Reason.WORSE_THAN_PREDECESSOR)
    assert rollback.message == "v1 is worse"
    assert rollback.promotion == "v1-00000000@2013-02-11T06:00:00Z"
    assert rollback.token == "v0-11111111#watch-of-v1-00000000@2013-02-11T06:00:00Z"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"spec": spec()}, id="reported only"),
        pytest.param({"spec": spec(promotion={"watch": {"action": "None"}})}, id="no watch"),
        pytest.param({"spec": spec(promotion={"watch": {"action": "Rollback"}}, suspend=True)}, id="suspended"),
        pytest.param({"watch": None}, id="no result"),
        pytest.param({"watch": watch(worse=False)}, id="not worse"),
        pytest.param({"champion": None}, id="no champion"),
        pytest.param({"champion": ChampionObservation("v3-33333333", NOW)}, id="another champion"),
        # The same version has become the champion again: the result is about its first promotion.
        pytest.param({"champion": ChampionObservation(CHAMPION.version, NOW)}, id="another promotion"),
        pytest.param({"in_flight": JobInFlight(Role.TRAIN, "flights-train-3")}, id="in flight"),
        pytest.param({"watch_answered": promotion_token(CHAMPION)}, id="undone before"),
    ],
)
def test_no_rollback_by_the_watch(fields: dict[str, Any]) -> None:
    assert find_auto_rollback(watched(**fields)) is None


def test_another_promotion_has_its_own_rollback() -> None:
    assert find_auto_rollback(watched(watch_answered="v1-00000000@2013-01-01T00:00:00Z")) is not None


def test_a_failed_rollout_is_rolled_back_once_even_while_suspended() -> None:
    failed = facts(spec=spec(suspend=True), rollout_failure=FAILURE)
    rollback = find_auto_rollback(failed)
    assert rollback is not None
    assert (rollback.version, rollback.instead_of) == ("v0-11111111", CHAMPION.version)
    assert (rollback.cause, rollback.reason) == (RollbackCause.ROLLOUT, Reason.ROLLOUT_FAILED)
    assert rollback.token == "v0-11111111#rollout-of-v1-00000000"
    started = facts(spec=spec(), rollout_failure=FAILURE, rollback_tokens=frozenset({rollback.token}))
    assert find_auto_rollback(started) is None
    busy = facts(spec=spec(), rollout_failure=FAILURE, in_flight=JobInFlight(Role.TRAIN, "flights-train-3"))
    assert find_auto_rollback(busy) is None
