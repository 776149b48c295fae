"""A training waits for data that can help: days from after the change, or any new day at all."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.names import Reason
from modelmonitor_policy import Action, Facts, decide, plan
from modelmonitor_policy.intents import StartTraining
from modelmonitor_policy.observations import ChampionObservation, CheckObservation
from modelmonitor_policy.training_calendar import plan_training
from unit.policy.factories import DAY, NOW, check, drifted, facts, retrain, spec, training

#: The first changed day. The hold-out has 14 days, labels come 2 days late, 18 of 90 days must be new.
CHANGE = dt.date(2013, 2, 1)
CHAMPION = ChampionObservation("v1-00000000", NOW - 50 * DAY, train_end=dt.date(2013, 1, 1))
SPEC = spec(schedule="0 6 * * *")
ENOUGH = CHANGE + (17 + 14 + 2) * DAY


def changed(newest: dt.date, onset: dt.date | None = CHANGE) -> CheckObservation:
    """Return a check of rows through `newest` that found drift."""
    return replace(drifted(), newest_day=newest, drift_onset=onset)


@pytest.mark.parametrize(
    ("newest", "waits"),
    [
        pytest.param(CHANGE + 3 * DAY, True, id="just found"),
        pytest.param(CHANGE + 16 * DAY, True, id="the first changed day is in the training window"),
        pytest.param(ENOUGH - DAY, True, id="one day too early"),
        pytest.param(ENOUGH, False, id="enough days"),
    ],
)
def test_a_response_waits_for_days_from_after_the_change(newest: dt.date, waits: bool) -> None:
    decision = decide(facts(spec=SPEC, champion=CHAMPION, check=changed(newest)), NOW)
    assert decision.reason is (Reason.WAITING_FOR_NEW_DATA if waits else Reason.DRIFT_DETECTED)
    if waits:
        assert "Waiting until 2013-03-07T06:00:00Z for data from after the change of 2013-02-01" in decision.message
        assert "18 are needed" in decision.message


def test_a_drop_of_the_score_waits_too() -> None:
    dropped = replace(check(performance_dropped=True), newest_day=CHANGE + 9 * DAY, drift_onset=CHANGE)
    assert decide(facts(spec=SPEC, champion=CHAMPION, check=dropped), NOW).reason is Reason.WAITING_FOR_NEW_DATA


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(facts(spec=SPEC, champion=CHAMPION, check=changed(CHANGE, None)), id="the onset is unknown"),
        pytest.param(
            facts(spec=spec(retraining={"minNewShare": "0"}), champion=CHAMPION, check=changed(CHANGE)), id="share of 0"
        ),
        pytest.param(
            facts(spec=SPEC, champion=CHAMPION, check=changed(CHANGE), requests=retrain()), id="a person asks for it"
        ),
        pytest.param(
            facts(
                spec=SPEC,
                champion=replace(CHAMPION, train_end=CHANGE + 20 * DAY),
                check=changed(CHANGE + 25 * DAY),
            ),
            id="the champion's own window holds enough days",
        ),
    ],
)
def test_a_training_does_not_wait(known: Facts) -> None:
    assert decide(known, NOW).action is Action.TRAIN


def test_waiting_is_named_before_cooldown_and_budget() -> None:
    limited = spec(retraining={"cooldownSeconds": 86400 * 9, "budget": {"count": 1, "perDays": 90}})
    known = facts(
        spec=limited,
        champion=CHAMPION,
        check=changed(CHANGE + 3 * DAY),
        training=training(3 * DAY),
        trainings=(NOW - 3 * DAY,),
    )
    assert decide(known, NOW).reason is Reason.WAITING_FOR_NEW_DATA


@pytest.mark.parametrize(("newest", "waits"), [(ENOUGH + 17 * DAY, True), (ENOUGH + 18 * DAY, False)])
def test_a_training_that_did_not_help_is_repeated_on_twice_as_many_days(newest: dt.date, waits: bool) -> None:
    tried = training(DAY, reason="DriftDetected", train_end=CHANGE + 17 * DAY, outcome="Rejected")
    known = facts(spec=SPEC, champion=CHAMPION, check=changed(newest), training=tried)
    assert decide(known, NOW).reason is (Reason.WAITING_FOR_NEW_DATA if waits else Reason.DRIFT_DETECTED)


@pytest.mark.parametrize(("newest", "trains"), [(ENOUGH + 17 * DAY, False), (ENOUGH + 18 * DAY, True)])
def test_a_mixture_is_trained_again_on_twice_as_many_days(newest: dt.date, trains: bool) -> None:
    mixture = replace(CHAMPION, train_end=CHANGE + 17 * DAY, change_point=CHANGE)
    known = facts(spec=SPEC, champion=mixture, check=replace(check(), newest_day=newest))
    decision = decide(known, NOW)
    assert (decision.action is Action.TRAIN) is trains
    if trains:
        assert decision.reason is Reason.CHANGE_PARTLY_LEARNT
        (intent,) = plan(known, NOW)
        assert isinstance(intent, StartTraining)
        assert intent.drift_onset == CHANGE


def test_a_window_that_is_all_from_after_the_change_is_learnt() -> None:
    whole = replace(CHAMPION, train_end=CHANGE + 89 * DAY, change_point=CHANGE)
    known = facts(spec=SPEC, champion=whole, check=replace(check(), newest_day=CHANGE + 300 * DAY))
    assert decide(known, NOW).reason is Reason.NOT_TRIGGERED


@pytest.mark.parametrize("learnt", [73, 88])
def test_a_few_more_days_of_a_known_change_are_no_reason(learnt: int) -> None:
    """A window of 90 days cannot hold a quarter more days than such a champion has learnt from."""
    mixture = replace(CHAMPION, train_end=CHANGE + (learnt - 1) * DAY, change_point=CHANGE)
    known = facts(spec=SPEC, champion=mixture, check=replace(check(), newest_day=CHANGE + 200 * DAY))
    assert decide(known, NOW).reason is Reason.NOT_TRIGGERED


def test_a_mixture_that_was_tried_again_in_vain_is_not_tried_every_day() -> None:
    mixture = replace(CHAMPION, train_end=CHANGE + 17 * DAY, change_point=CHANGE)
    tried = training(2 * DAY, reason="ChangePartlyLearnt", train_end=CHANGE + 40 * DAY, outcome="Rejected")
    known = facts(spec=SPEC, champion=mixture, check=replace(check(), newest_day=ENOUGH + 60 * DAY), training=tried)
    assert decide(known, NOW).reason is Reason.NOT_TRIGGERED


@pytest.mark.parametrize(("newest", "waits"), [(1, True), (17, True), (18, False)])
def test_a_lasting_change_is_not_answered_every_day(newest: int, waits: bool) -> None:
    """Once a training has had most of a window from after the change, the next one needs a share of newer days."""
    end = CHANGE + 70 * DAY
    tried = training(2 * DAY, reason="DriftDetected", train_end=end, outcome="Rejected")
    known = facts(spec=SPEC, champion=CHAMPION, check=changed(end + (16 + newest) * DAY), training=tried)
    decision = decide(known, NOW)
    # A window of 90 days from after the change is possible from the 90th day on.
    later = replace(
        known, check=changed(CHANGE + (90 + 16 + newest) * DAY), training=replace(tried, train_end=CHANGE + 90 * DAY)
    )
    assert decide(later, NOW).reason is (Reason.WAITING_FOR_NEW_DATA if waits else Reason.DRIFT_DETECTED)
    if waits:
        assert decision.reason is Reason.WAITING_FOR_NEW_DATA
        assert "18 are needed" in decide(later, NOW).message
    assert decide(replace(later, generation=2), NOW).reason is Reason.DRIFT_DETECTED
    assert decide(replace(later, requests=retrain()), NOW).reason is Reason.REQUESTED


@pytest.mark.parametrize(("rejections", "needed"), [(1, 14), (2, 28), (3, 56), (4, 112), (9, 112)])
def test_the_wait_doubles_after_each_rejection(rejections: int, needed: int) -> None:
    """A comparison on nearly the same hold-out is another chance to be promoted by luck, and costs as much."""
    tried, share = CHANGE + 100 * DAY, {"minNewShare": "0"}
    declared = spec(schedule="0 6 * * *", retraining=share)
    before = training(DAY, reason="DriftDetected", train_end=tried, outcome="Rejected", rejections=rejections)
    # Labels are 2 days late, and the hold-out follows the training window.
    last = tried + (needed - 1 + 16) * DAY
    known = facts(spec=declared, champion=CHAMPION, check=changed(last), training=before)
    decision = decide(known, NOW)
    assert decision.reason is Reason.WAITING_FOR_NEW_DATA
    assert f"{needed} are needed" in decision.message
    assert decide(replace(known, check=changed(last + DAY)), NOW).reason is Reason.DRIFT_DETECTED
    assert decide(replace(known, check=changed(last, onset=tried + DAY)), NOW).reason is Reason.DRIFT_DETECTED
    assert decide(replace(known, generation=2), NOW).reason is Reason.DRIFT_DETECTED
    assert decide(replace(known, requests=retrain()), NOW).reason is Reason.REQUESTED


def test_a_first_model_that_was_rejected_waits_for_one_new_holdout() -> None:
    tried = CHANGE + 100 * DAY
    before = training(DAY, train_end=tried, outcome="Rejected", rejections=5)
    known = facts(spec=SPEC, champion=None, check=replace(check(), newest_day=tried + 29 * DAY), training=before)
    assert decide(known, NOW).reason is Reason.WAITING_FOR_NEW_DATA
    later = replace(known, check=replace(check(), newest_day=tried + 30 * DAY))
    assert decide(later, NOW).reason is Reason.NO_CHAMPION


def test_a_declared_period_is_kept_after_rejections() -> None:
    periodic = spec(schedule="0 6 * * *", triggers={"everyDays": 7})
    tried = training(8 * DAY, train_end=CHANGE + 100 * DAY, outcome="Rejected", rejections=3)
    known = facts(spec=periodic, champion=CHAMPION, training=tried)
    assert decide(known, NOW).reason is Reason.PERIOD_ELAPSED


def test_nothing_trains_on_the_days_of_the_champion() -> None:
    newest = CHAMPION.train_end
    assert newest is not None
    periodic = spec(schedule="0 6 * * *", triggers={"everyDays": 10})
    known = facts(
        spec=periodic,
        champion=CHAMPION,
        check=replace(check(), newest_day=newest + 16 * DAY),
        training=training(20 * DAY),
    )
    decision = decide(known, NOW)
    assert decision.reason is Reason.NOTHING_NEW
    assert "Waiting until 2013-01-19T06:00:00Z" in decision.message
    later = replace(known, check=replace(check(), newest_day=newest + 17 * DAY))
    assert decide(later, NOW).reason is Reason.PERIOD_ELAPSED
    assert decide(replace(known, generation=2), NOW).reason is Reason.PERIOD_ELAPSED


@given(age=st.integers(0, 200), champion=st.integers(-300, 100), tried=st.none() | st.integers(-100, 150))
def test_no_response_starts_without_days_from_after_the_change(age: int, champion: int, tried: int | None) -> None:
    newest = CHANGE + age * DAY
    serving = replace(CHAMPION, train_end=min(CHANGE + champion * DAY, newest))
    before = None if tried is None else training(DAY, train_end=min(CHANGE + tried * DAY, newest))
    decision = decide(facts(spec=SPEC, champion=serving, check=changed(newest), training=before), NOW)
    window = plan_training(SPEC, newest, champion_end=serving.train_end).train
    if decision.action is Action.TRAIN and decision.reason is Reason.DRIFT_DETECTED:
        assert window.count_from(CHANGE) >= 18
