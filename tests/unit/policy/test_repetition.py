"""Repeated checks: when a verdict that could not be given is asked for again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from modelmonitor_policy import Facts, Requests, StartCheck, plan, wake_at
from modelmonitor_policy.observations import CheckFailureObservation
from unit.policy.factories import DAY, HOUR, NOW, check, facts, spec

MINUTE = dt.timedelta(minutes=1)


def failed(reason: str = "StorageUnavailable", ago: dt.timedelta = 6 * MINUTE, **fields: Any) -> Facts:
    """Return facts with a check that failed `ago`."""
    changes = {key: fields.pop(key) for key in ("spec", "checking", "requests", "lost_check") if key in fields}
    failure = CheckFailureObservation(NOW - ago, "check-a", reason, **({"generation": 1} | fields))
    return facts(generation=2, check_failure=failure, **changes)


SAME: dict[str, Any] = {"generation": 2}


@pytest.mark.parametrize(
    ("facts", "token"),
    [
        pytest.param(failed(ago=MINUTE), "check-a-generation-2", id="a new spec"),
        pytest.param(failed("BadConfiguration"), "check-a-generation-2", id="a corrected configuration"),
        pytest.param(failed(checking=True), None, id="a check has not ended"),
        pytest.param(failed(spec=spec(suspend=True)), None, id="suspended"),
        pytest.param(failed(**SAME), "check-a-repeated", id="after five minutes"),
        pytest.param(failed(ago=4 * MINUTE, **SAME), None, id="too soon"),
        pytest.param(failed(failures=2, **SAME), None, id="the delay doubles"),
        pytest.param(failed(failures=3, ago=20 * MINUTE, **SAME), "check-a-repeated", id="third repetition"),
        pytest.param(failed(failures=4, ago=HOUR, **SAME), None, id="a pod that ran is repeated three times"),
        pytest.param(failed("ContainerConfigError", failures=9, ago=HOUR, **SAME), "check-a-repeated", id="no Secret"),
        pytest.param(failed("ContainerConfigError", failures=9, ago=HOUR - MINUTE, **SAME), None, id="every hour"),
        pytest.param(failed("BadConfiguration", ago=HOUR, **SAME), None, id="only a new spec can help"),
        pytest.param(failed(ago=HOUR, spec=spec(schedule="*/5 * * * *"), **SAME), None, id="the schedule is sooner"),
        pytest.param(failed(generation=None), "check-a-repeated", id="a Job of an older version"),
        pytest.param(failed(ago=MINUTE, requests=Requests(check="now")), None, id="the request is enough"),
        pytest.param(facts(lost_check="check-b"), "check-b-generation-1", id="replaced before it started"),
        pytest.param(
            facts(generation=2, check=check("Corrupted", job_name="b", generation=1)), "b-generation-2", id="contract"
        ),
        pytest.param(facts(generation=2, check=check("Corrupted", generation=2)), None, id="corrupted, same spec"),
        pytest.param(facts(generation=2, check=check("Drift", generation=1)), None, id="a verdict stays"),
    ],
)
def test_when_a_check_is_repeated(facts: Facts, token: str | None) -> None:
    started = [intent for intent in plan(facts, NOW) if isinstance(intent, StartCheck)]
    if facts.requests.check is not None:
        assert started == [StartCheck("now", requested=True)]
    else:
        assert started == ([StartCheck(token, requested=False)] if token is not None else [])


def test_a_replay_wakes_for_a_repetition() -> None:
    waiting = failed(ago=MINUTE, failures=2, **SAME)
    assert wake_at(waiting, NOW) == NOW + 9 * MINUTE
    assert wake_at(failed(ago=DAY, failures=2, **SAME), NOW) is None
