"""Pods killed during a training: the next pod continues it, whatever has changed in the meantime."""

import json

import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.errors import ObjectChanged
from modelmonitor_trainer.registry.model_files import load_model
from modelmonitor_trainer.storage.local import path_of
from modelmonitor_trainer.storage.open import open_store
from unit.train.conftest import VERSION_FILES


class Stopped(BaseException):
    """The pod was killed: nothing may handle it."""


class DyingStore:
    """A store whose process is killed after so many writes; those of the cache of profiles do not count."""

    def __init__(self, writes):
        self._store, self._left = open_store(None), writes

    def __getattr__(self, name):
        return getattr(self._store, name)

    def write(self, *arguments, **conditions):
        etag = self._store.write(*arguments, **conditions)
        if "/profiles/" in arguments[0]:
            return etag
        self._left -= 1
        if self._left == 0:
            raise Stopped
        return etag


def count_writes(world, number=1):
    """Return how many writes a whole training makes."""

    class Counting(DyingStore):
        count = 0

        def write(self, *arguments, **conditions):
            Counting.count += "/profiles/" not in arguments[0]
            return self._store.write(*arguments, **conditions)

    world.train(number, store=Counting(0))
    return Counting.count


def test_a_pod_killed_after_any_write_has_the_same_result(another):
    reference = another()
    writes = count_writes(reference)
    assert writes >= 12
    expected = reference.train()
    for killed_after in range(1, writes + 1):
        world = another()
        with pytest.raises(Stopped):
            world.train(store=DyingStore(killed_after))
        if killed_after > 1:
            world.land(19, 24)  # newer data must not creep into what the manifest has frozen
        verdict = world.train()
        assert (verdict.outcome, verdict.reason, verdict.comparison) == (
            expected.outcome,
            expected.reason,
            expected.comparison,
        ), killed_after
        assert len(world.champion().history) == 1
        assert len(world.registry.versions()) == 1
        load_model(world.registry, world.champion().version)
        assert {path.rsplit("/", 1)[1] for path in world.results() if path.startswith("versions/")} == VERSION_FILES
        before = world.results()
        assert world.train() == verdict, "a finished training is not repeated"
        assert world.results() == before


# After request, manifest and champion come the files of the version.
@pytest.mark.parametrize("killed_after", [3, 6, 9, 12, 3 + len(VERSION_FILES)])
def test_a_version_is_compared_with_one_champion_only(world, killed_after):
    """Files that the pod wrote describe an earlier champion; the record must not name another one."""
    world.train()
    world.land(19, 40, slope=-2.0)
    assert world.train(2).outcome == "Promoted"
    world.land(41, 52, slope=-2.0)
    with pytest.raises(Stopped):
        world.train(3, store=DyingStore(killed_after))
    world.handle_rollback()
    verdict = world.train(3)
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "ChampionChanged")
    for record in world.registry.versions():
        comparison = json.loads(world.registry.read_file(record, "comparison.json"))
        assert comparison["championVersion"] == record.compared_with
        assert comparison["message"] == record.message


def test_a_pod_killed_after_its_promotion_and_before_a_rollback(world):
    first = world.train()
    world.land(19, 40, slope=-2.0)
    with pytest.raises(Stopped):
        world.train(2, store=DyingStore(4 + len(VERSION_FILES)))
    second = world.champion().version
    assert second != first.version
    world.handle_rollback()
    verdict = world.train(2)
    assert (verdict.outcome, verdict.version) == ("Promoted", second)
    assert verdict.champion.version == first.version
    assert verdict.message.endswith(f"Since then {first.version} has become the champion.")


def test_a_replaced_object_is_named(world):
    with pytest.raises(Stopped):
        world.train(store=DyingStore(2))  # the request and the manifest
    path = path_of(f"{world.base}/rows/date=2013-01-05/part.parquet")
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(ObjectChanged, match="2013-01-05"):
        world.train()
    assert world.champion() is None


def test_a_training_overtaken_by_another_does_not_promote(world):
    world.train(1)
    world.land(19, 40, slope=-2.0)
    # Request, manifest, the champion, the version: all but the promotion.
    writes = 3 + len(VERSION_FILES)
    with pytest.raises(Stopped):
        world.train(2, store=DyingStore(writes))
    assert len(world.registry.versions()) == 2
    third = world.train(3)
    assert third.outcome == "Promoted"
    second = world.train(2)
    assert (second.outcome, second.reason) == ("Inconclusive", "ChampionChanged")
    assert third.version in second.message
    assert world.champion().version == third.version


def test_a_champion_that_has_seen_the_frozen_holdout(world):
    world.spec["promotion"]["holdoutDays"] = 6
    with pytest.raises(Stopped):
        world.train(1, store=DyingStore(2))
    world.spec["promotion"]["holdoutDays"] = 1
    assert world.train(2).outcome in {"Promoted", "Inconclusive"}
    world.spec["promotion"]["holdoutDays"] = 1
    world.land(19, 30)
    champion = world.train(3)
    assert champion.outcome == "Promoted", champion.message
    world.spec["promotion"]["holdoutDays"] = 6
    late = world.train(1)
    assert (late.outcome, late.reason) == ("Inconclusive", "ChampionChanged")
