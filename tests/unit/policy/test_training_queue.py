"""The queue of trainings: who may start, in which order, and that limits hold."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.names import Reason
from modelmonitor_api.status import QueuedTraining
from modelmonitor_policy import Action, TrainingLimits, TrainingTurn, decide, find_startable
from unit.policy.factories import HOUR, NOW, check, drifted, facts, retrain, spec

A, B, C = (
    TrainingTurn(NOW - 3 * HOUR, "one", "a"),
    TrainingTurn(NOW - 2 * HOUR, "one", "b"),
    TrainingTurn(NOW - HOUR, "two", "c"),
)


@pytest.mark.parametrize(
    ("running", "limits", "expected"),
    [
        pytest.param(["one"] * 9, TrainingLimits(), [A, B, C], id="no limits"),
        pytest.param([], TrainingLimits(total=2), [A, B], id="the oldest decisions first"),
        pytest.param(["two"], TrainingLimits(total=2), [A], id="one slot is left"),
        pytest.param(["two", "two"], TrainingLimits(total=2), [], id="no slot is left"),
        pytest.param([], TrainingLimits(per_namespace=1), [A, C], id="a full namespace does not delay others"),
        pytest.param(["one"], TrainingLimits(2, 1), [C], id="both limits"),
        pytest.param(["one", "two", "two"], TrainingLimits(total=2), [], id="more than permitted, after a change"),
    ],
)
def test_who_may_start(running: list[str], limits: TrainingLimits, expected: list[TrainingTurn]) -> None:
    assert list(find_startable([C, B, A], running, limits)) == expected


TURNS = st.builds(
    TrainingTurn,
    st.integers(0, 5).map(lambda hours: NOW + hours * HOUR),
    st.sampled_from(["one", "two", "three"]),
    st.text("ab", min_size=1, max_size=3),
)


@given(
    st.lists(TURNS, unique_by=lambda turn: (turn.namespace, turn.monitor)),
    st.lists(st.sampled_from(["one", "two", "three"])),
    st.builds(TrainingLimits, st.integers(0, 4), st.integers(0, 3)),
)
def test_limits_hold_and_no_slot_stays_free(
    waiting: list[TrainingTurn], running: list[str], limits: TrainingLimits
) -> None:
    startable = find_startable(waiting, running, limits)
    before = Counter(running)
    after = before + Counter(turn.namespace for turn in startable)
    if startable and limits.total:
        assert after.total() <= limits.total
    for namespace in after:
        if limits.per_namespace and after[namespace] > before[namespace]:
            assert after[namespace] <= limits.per_namespace
    for turn in set(waiting) - set(startable):
        full = limits.total and after.total() >= limits.total
        assert full or (limits.per_namespace and after[turn.namespace] >= limits.per_namespace)
        # Nobody of the same namespace overtakes.
        assert all(other < turn for other in startable if other.namespace == turn.namespace)


def test_a_queued_training_is_held_and_says_what_it_waits_for() -> None:
    queued = QueuedTraining(time=NOW, message=TrainingLimits(5, 2).describe())
    for observed in (facts(check=drifted(), queued=queued), facts(check=check(), requests=retrain(), queued=queued)):
        decision = decide(observed, NOW + dt.timedelta(days=1))
        assert (decision.action, decision.reason) == (Action.HOLD, Reason.TRAINING_QUEUED)
        assert decision.message.startswith(
            "Queued since 2013-04-02T06:00:00Z: the number of trainings at the same time is limited to 5 in all "
            "namespaces and 2 in one namespace (maxConcurrentTrainings of the chart)."
        )
        assert decision.message == decide(observed, NOW).message, "a message does not change while it waits"


def test_every_other_hold_comes_before_the_queue() -> None:
    queued = QueuedTraining(time=NOW, message="")
    observed = facts(check=drifted(), queued=queued, spec=spec(retraining={"mode": "Manual"}))
    assert decide(observed, NOW).reason is Reason.MANUAL_MODE


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (TrainingLimits(5), "the number of trainings at the same time is limited to 5 in all namespaces"),
        (TrainingLimits(0, 2), "the number of trainings at the same time is limited to 2 in one namespace"),
    ],
)
def test_limits_are_described(limits: TrainingLimits, sentence: str) -> None:
    assert limits.describe() == sentence
