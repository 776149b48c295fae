"""Trainings that follow each other: which champion is the best so far, and what a hold-out costs that is used again."""

import datetime as dt

import pytest

from modelmonitor_api.reasons import GateReason
from modelmonitor_trainer.registry.succession import best_before, best_champion
from unit.registry.registries import stored


@pytest.fixture
def chain(world):
    """Four versions, of which the second was better and the later ones were not worse than the one before."""
    registry = world.registry
    reasons = (GateReason.FIRST_MODEL, GateReason.BETTER, GateReason.NOT_WORSE, GateReason.NOT_WORSE)
    records, before = [], None
    for number, reason in enumerate(reasons, start=1):
        record = stored(registry, number, reason=reason.value, compared_with=before)
        records.append(record)
        before = record.version
    return registry, records


@pytest.mark.parametrize(("champion", "best"), [(0, None), (1, None), (2, 1), (3, 1)])
def test_the_best_champion_is_the_last_that_was_better(chain, champion, best):
    registry, records = chain
    best_record = best_champion(records[champion], registry.find_version)
    assert (best_record.version if best_record else None) == (None if best is None else records[best].version)


def test_without_a_champion_there_is_no_best(chain):
    assert best_champion(None, chain[0].find_version) is None


def test_the_best_champion_is_known_when_the_versions_in_between_are_gone(chain):
    registry, records = chain
    last = stored(registry, 5, reason="NotWorse", compared_with=records[3].version, best_champion=records[1].version)
    left = {record.version: record for record in (records[1], last)}
    best_record = best_champion(last, left.get)
    assert best_record is not None
    assert best_record.version == records[1].version


@pytest.mark.parametrize(
    ("reason", "better", "best"),
    [
        (GateReason.NOT_WORSE, False, 1),
        (GateReason.BETTER, False, 1),  # better than a champion that is worse than the best one
        (GateReason.BETTER, True, None),
        (GateReason.BETTER, None, None),
        (GateReason.CHAMPION_NOT_COMPARED, None, None),
    ],
)
def test_a_step_back_up_does_not_move_the_best_champion(chain, reason, better, best):
    registry, records = chain
    name = best_before(records[3], registry.find_version, reason, better_than_best=better)
    assert name == (None if best is None else records[best].version)


def test_a_hold_out_that_was_used_before_raises_the_confidence(world):
    world.train(1)
    first = world.registry.versions()[0]
    assert first.compared_with is None
    world.land(19, 20)
    second = world.train(2)
    assert "at 95% confidence" in second.message
    world.land(21, 21)
    third = world.train(3)
    assert "(raised, because earlier trainings used these days" in third.message, third.message


def test_a_slow_decline_is_compared_with_where_it_began(world):
    """The best champion is scored on the same rows: the card and the message name it."""
    world.spec["promotion"]["nonInferiorityMargin"] = "0.2"
    world.train(1)
    for last, number in ((22, 2), (26, 3)):
        world.land(last - 3, last)
        assert world.train(number).outcome == "Promoted"
    newest = world.registry.versions()[0]
    assert newest.train.end > dt.date(2013, 1, 10)
    checks = world.results()[f"versions/{newest.version}/comparison.json"].decode()
    assert ("Not worse than the best champion so far" in checks) is (
        best_champion(world.registry.version(newest.compared_with), world.registry.find_version) is not None
    )
