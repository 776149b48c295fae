"""When a new champion is sent back: a table, and once a promotion."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from modelmonitor_api.names import Reason, Role
from modelmonitor_policy import (
    ChampionObservation,
    Facts,
    JobInFlight,
    WatchObservation,
    find_auto_rollback,
    promotion_token,
)
from unit.policy.test_decision import NOW, facts, spec

SINCE = NOW - dt.timedelta(days=9)
CHAMPION = ChampionObservation("v2-22222222", SINCE)


def seen(**fields: Any) -> WatchObservation:
    """Return a watch that found CHAMPION worse than v1."""
    given: dict[str, Any] = {
        "champion": "v2-22222222",
        "since": SINCE,
        "predecessor": "v1-11111111",
        "worse": True,
        "message": "v2 is worse",
    }
    return WatchObservation(**(given | fields))


def watched(**fields: Any) -> Facts:
    """Return facts in which the watch calls for a rollback."""
    given: dict[str, Any] = {
        "spec": spec(promotion={"watch": {"action": "Rollback"}}),
        "champion": CHAMPION,
        "watch": seen(),
    }
    return facts(**(given | fields))


def test_a_worse_champion_is_sent_back() -> None:
    step = find_auto_rollback(watched())
    assert step is not None
    assert (step.to, step.instead_of) == ("v1-11111111", "v2-22222222")
    assert (step.reason, step.message) == (Reason.WORSE_THAN_PREDECESSOR, "v2 is worse")
    assert step.token == "v2-22222222@2013-03-24T06:00:00Z"


@pytest.mark.parametrize(
    "fields",
    [
        {"spec": spec()},
        {"spec": spec(promotion={"watch": {"action": "None"}})},
        {"spec": spec(promotion={"watch": {"action": "Rollback"}}, suspend=True)},
        {"watch": None},
        {"watch": seen(worse=False)},
        {"champion": None},
        {"champion": ChampionObservation("v3-33333333", NOW)},
        # The same version, again the champion since: what was found is about its first reign.
        {"champion": ChampionObservation("v2-22222222", NOW)},
        {"in_flight": JobInFlight(Role.TRAIN, "flights-train-3")},
        {"watch_answered": promotion_token(CHAMPION)},
    ],
    ids=[
        "reported only",
        "nobody looks",
        "suspended",
        "nothing seen",
        "not worse",
        "no champion",
        "another champion",
        "another reign",
        "in flight",
        "answered",
    ],
)
def test_nothing_is_done(fields: dict[str, Any]) -> None:
    assert find_auto_rollback(watched(**fields)) is None


def test_another_promotion_is_answered_anew() -> None:
    assert find_auto_rollback(watched(watch_answered="v1-11111111@2013-01-01T00:00:00Z")) is not None
