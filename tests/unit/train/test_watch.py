"""The watch on a new champion: real versions, scored on rows that came after the promotion."""

import datetime as dt

import pytest

from modelmonitor_api.messages import CheckRequest, RollbackRequest
from modelmonitor_api.spec import Promotion
from modelmonitor_trainer.check.champion_watch import look_schedule, shared_confidence
from modelmonitor_trainer.check.publish import publish_check
from modelmonitor_trainer.gate.evaluation import margin_of
from modelmonitor_trainer.registry.manual import handle_rollback
from unit.train.conftest import NOW

WORSE = "WorseThanPredecessor"


def checked(world, now=NOW):
    request = CheckRequest(monitor=world.monitor, spec=world.parsed())
    verdict, result = publish_check(world.store, request, job="local", now=now)
    return verdict, result


def send_back(world, found, job="mon-rollback-w"):
    request = RollbackRequest(
        monitor=world.monitor,
        spec=world.parsed(),
        to=found.predecessor,
        instead_of=found.champion,
        reason=WORSE,
        message="it is worse.",
    )
    return handle_rollback(world.store, request, job=job, now=NOW)


@pytest.fixture
def turned(world):
    """A world that has turned while v2 was trained on it, and has turned back since."""
    assert world.train(1).outcome == "Promoted"
    world.land(19, 34, slope=-2.0)
    assert world.train(2).outcome == "Promoted"
    world.land(33, 35, slope=2.0)
    return world


@pytest.mark.parametrize(
    ("days", "expected"), [(1, (1,)), (4, (4,)), (5, (4, 5)), (28, (4, 8, 16, 28)), (32, (4, 8, 16, 32))]
)
def test_looks(days, expected):
    assert look_schedule(days) == expected


def test_the_looks_share_the_confidence_and_the_margin_is_the_gates():
    promotion = Promotion.model_validate({"metric": "ROCAUC", "nonInferiorityMargin": "0.01"})
    assert shared_confidence(promotion) == pytest.approx(1 - 0.05 / 4)
    assert margin_of(promotion, champion=0.8) == 0.01
    assert margin_of(promotion.model_copy(update={"requirement": "Better"}), champion=0.8) == 0
    errors = promotion.model_copy(update={"metric": "RootMeanSquaredError"})
    assert margin_of(errors, champion=30.0) == pytest.approx(0.3), "a share of what the champion errs"


def test_a_first_champion_has_nobody_to_be_compared_with(world):
    world.train(1)
    world.land(19, 30)
    verdict, result = checked(world)
    assert verdict.watch is None
    assert not any("predecessor" in note for note in result.notes)


@pytest.mark.parametrize("metric", ["ROCAUC", "LogLoss", "Accuracy"])
def test_a_drop_is_seen_by_every_metric_whichever_chose_the_champion(world, metric):
    """The version's own comparison has its score in all of them."""
    world.train(1)
    world.spec["detectors"] = [{"name": "score", "type": "Performance", "metric": metric}]
    world.land(19, 30)
    verdict, result = checked(world)
    assert not verdict.performance_dropped, result.performance[0].message
    assert result.performance[0].promotion_score is not None
    world.land(31, 48, slope=-2.0)
    verdict, result = checked(world)
    assert verdict.performance_dropped, result.performance[0].message


def test_nothing_is_said_before_the_first_look(turned):
    # The hold-out ends on day 32, labels come two days late: four mature days are there with day 38.
    turned.land(36, 37)
    verdict, result = checked(turned)
    assert verdict.watch is None
    assert any("once labels through 2013-02-05 have arrived" in note for note in result.notes)


def test_a_champion_that_is_worse_is_found_with_the_fourth_day(turned):
    turned.land(36, 38)
    verdict, result = checked(turned)
    found = verdict.watch
    champion = turned.champion()
    assert found is not None, result.notes
    assert (found.champion, found.predecessor, found.since) == (champion.version, champion.previous, champion.since)
    assert (found.days, found.rows) == (4, 400)
    assert found.worse
    assert float(found.low) < float(found.difference) < float(found.high) < -0.02
    assert any("is worse than" in note for note in result.notes)


def test_a_champion_that_is_as_good_is_not(world):
    world.train(1)
    world.land(19, 34)
    if world.train(2).outcome != "Promoted":
        pytest.fail("the second version is as good and should pass the margin")
    world.land(35, 50)
    found = checked(world)[0].watch
    assert found is not None
    assert (found.days, found.rows, found.worse) == (16, 1600, False)


def test_a_look_is_made_once_and_says_the_same_again(turned, monkeypatch):
    turned.land(36, 38)
    first = checked(turned)[0].watch
    from modelmonitor_trainer.check import predecessor

    monkeypatch.setattr(predecessor, "load_model", lambda *_: pytest.fail("the models were asked again"))
    turned.land(39, 40)
    assert checked(turned, NOW + dt.timedelta(days=1))[0].watch == first


def test_a_damaged_look_is_made_again(turned):
    turned.land(36, 38)
    first = checked(turned)[0].watch
    [kept] = [name for name in turned.results() if name.startswith("watch/")]
    turned.store.write(turned.prefix + kept, b"{")
    assert checked(turned)[0].watch == first


def test_nobody_looks_where_nobody_asks(turned):
    turned.land(36, 38)
    turned.spec["promotion"]["watch"] = {"action": "None"}
    assert checked(turned)[0].watch is None
    assert not [name for name in turned.results() if name.startswith("watch/")]


def test_too_few_labels_are_said(turned):
    turned.land(36, 38)
    turned.spec["promotion"]["minHoldoutRows"] = 500
    verdict, result = checked(turned)
    assert verdict.watch is None
    assert any("fewer than promotion.minHoldoutRows (500)" in note for note in result.notes)


def test_a_predecessor_that_is_gone_costs_the_check_nothing(turned):
    turned.land(36, 38)
    turned.store.delete(f"{turned.prefix}versions/{turned.champion().previous}/version.json")
    verdict, result = checked(turned)
    assert verdict.watch is None
    assert any("cannot be compared" in note for note in result.notes)


def test_the_version_before_comes_back_and_is_not_watched(turned):
    turned.land(36, 38)
    found = checked(turned)[0].watch
    answer = send_back(turned, found)
    assert (answer.outcome, answer.reason, answer.version) == ("RolledBack", WORSE, found.predecessor)
    assert "it is worse." in answer.message
    assert turned.champion().reason == WORSE
    assert checked(turned)[0].watch is None
    # A pod that is started again finds its work done.
    assert send_back(turned, found).champion.version == found.predecessor


def test_another_champion_stays_where_it_is(turned):
    turned.land(36, 38)
    found = checked(turned)[0].watch
    turned.handle_rollback(found.predecessor)
    before = turned.champion()
    answer = send_back(turned, found.model_copy(update={"predecessor": found.champion, "champion": found.champion}))
    assert (answer.outcome, answer.reason) == ("Inconclusive", "ChampionChanged")
    assert turned.champion() == before


def test_what_the_watch_has_sent_back_is_not_what_it_goes_back_to(turned):
    turned.land(36, 38)
    found = checked(turned)[0].watch
    send_back(turned, found)
    # Somebody insists on v2, and v3 comes after it.
    turned.handle_rollback(found.champion, job="by-hand")
    before = turned.champion()
    again = found.model_copy(update={"champion": before.version, "predecessor": before.version})
    answer = send_back(turned, again, job="another")
    assert answer.outcome == "Rejected"
    assert "rolled back as worse" in answer.message
    assert turned.champion() == before
