"""A lost or damaged champion pointer is never taken for none, and is restored from what is there."""

import json
import shutil

import pytest

from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound, ObjectChanged
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.records import Decision
from modelmonitor_trainer.registry.recovery import PointerLost
from modelmonitor_trainer.registry.registry import ChampionChanged, ModelRegistry
from modelmonitor_trainer.registry.repair import choose_champion, diagnose, require_restorable, restore
from modelmonitor_trainer.storage.local import path_of, uri_of
from modelmonitor_trainer.storage.open import open_store
from support.killed import Killed, KilledStore, count_calls
from unit.registry.registries import NOW, at, promoted, stored


@pytest.fixture
def registry(tmp_path):
    return ModelRegistry(open_store(None), ResultsLayout(f"{uri_of(tmp_path)}/results/ns/mon/"))


@pytest.fixture
def make_registry(tmp_path_factory):
    """Makes registries with two promotions and a rollback."""

    def make():
        folder = tmp_path_factory.mktemp("registry")
        registry = ModelRegistry(open_store(None), ResultsLayout(f"{uri_of(folder)}/results/ns/mon/"))
        promoted(registry, 1, 2)
        registry.rollback("previous", by="rollback-1", now=at(3))
        return registry

    return make


def lose_pointer(registry):
    """Delete the pointer and return it."""
    pointer = registry.champion()
    registry.store.delete(registry.layout.champion)
    return pointer


def restored_pointer(registry, diagnosis):
    """Restore the pointer, and return it."""
    pointer = restore(registry, diagnosis)
    assert pointer is not None
    return pointer


def lose_copies(registry):
    for uri in registry.store.children(registry.layout.tenures):
        registry.store.delete(uri)


def write_verdict(registry, uri, champion):
    registry.store.write(uri, json.dumps({"champion": champion.to_champion().to_wire()}).encode())


def test_a_lost_pointer_is_not_the_state_before_the_first_model(registry):
    first, _ = promoted(registry, 1, 2)
    lose_pointer(registry)
    third = stored(registry, 3)
    for action in (
        registry.champion,
        lambda: registry.promote(third, instead_of=None, by="train-3", now=at(3)),
        lambda: registry.rollback(first.version, by="rollback-1", now=at(3)),
    ):
        with pytest.raises(PointerLost, match=r"champion\.json is missing, but .*tenures/000002-v2-.*repair"):
            action()
    assert registry.store.head(registry.layout.champion) is None


@pytest.mark.parametrize("evidence", ["verdict of a training", "record"])
def test_results_of_older_releases_show_that_there_was_a_champion(registry, evidence):
    first, second = promoted(registry, 1, 2)
    if evidence == "record":
        stored(registry, 3, compared_with=second.version)
    else:
        write_verdict(registry, registry.layout.run("u", 1).verdict, registry.champion())
    lose_pointer(registry)
    lose_copies(registry)
    with pytest.raises(PointerLost, match="version.json" if evidence == "record" else "verdict.json"):
        registry.champion()
    assert first.version != second.version


def test_versions_that_never_served_are_no_evidence(registry):
    stored(registry, 1)
    stored(registry, 2, outcome="Rejected")
    registry.store.write(registry.layout.run("u", 1).verdict, b'{"outcome": "AwaitingApproval", "version": "v1"}')
    registry.store.write(registry.layout.run("u", 2).verdict, b"half of a verd")
    assert registry.champion() is None


def test_a_version_that_passed_may_have_served_where_no_training_is_left(registry):
    """Only the versions were restored from a backup."""
    stored(registry, 1, outcome="Rejected")
    assert registry.champion() is None
    stored(registry, 2)
    assert registry.champion() is None
    shutil.rmtree(path_of(registry.layout.all_runs))
    with pytest.raises(PointerLost, match=r"version\.json"):
        registry.champion()


def test_a_pointer_that_appears_meanwhile_is_read(registry):
    """Another training promotes between the look for the pointer and the look for evidence."""
    promoted(registry, 1)
    data = registry.store.read(registry.layout.champion)
    registry.store.delete(registry.layout.champion)

    class Late:
        def __getattr__(self, name):
            return getattr(registry.store, name)

        def children(self, prefix):
            registry.store.write(registry.layout.champion, data)
            return registry.store.children(prefix)

    champion = ModelRegistry(Late(), registry.layout).champion()
    assert champion is not None
    assert champion.version == "v1-00000001"


def test_a_pointer_is_restored_from_the_copies_of_its_history(make_registry):
    registry = make_registry()
    lost = lose_pointer(registry)
    diagnosis = diagnose(registry)
    assert diagnosis.restorable == lost
    assert registry.store.head(registry.layout.champion) is None, "nothing is changed before it is applied"
    assert restore(registry, diagnosis) == lost
    assert registry.champion() == lost
    assert diagnose(registry).is_healthy
    with pytest.raises(ObjectChanged, match="in the meantime"):
        restore(registry, diagnosis)


@pytest.mark.parametrize("data", [b"", b'{"version": "v2-00000002", "since', b"{}"])
def test_a_damaged_pointer_is_restored_and_kept(make_registry, data):
    registry = make_registry()
    before = registry.champion()
    path_of(registry.layout.champion).write_bytes(data)
    restore(registry, diagnose(registry))
    assert registry.champion() == before
    (kept,) = registry.store.list(f"{registry.layout.root}damaged/")
    assert registry.store.read(kept.uri) == data


@pytest.mark.parametrize("damage", ["lost", "truncated", "another form"])
def test_a_restored_champion_keeps_its_pin(make_registry, damage):
    registry = make_registry()
    pin = Decision(since=NOW, by="a", comment="audit")
    registry.decide(pin=pin)
    pointer = registry.store.read(registry.layout.champion)
    if damage == "lost":
        registry.store.delete(registry.layout.champion)
    elif damage == "truncated":
        registry.store.write(registry.layout.champion, pointer[:200])
    else:
        registry.store.write(registry.layout.champion, pointer.replace(b'"history"', b'"histories"'))
        registry.store.delete(registry.layout.decisions)
    restored = restored_pointer(registry, diagnose(registry))
    assert restored.pin == pin
    assert registry.champion() == restored


def test_a_released_champion_is_not_restored_as_pinned(make_registry):
    registry = make_registry()
    registry.decide(pin=Decision(since=NOW, by="a", comment="audit"))
    registry.decide(pin=None)
    lose_pointer(registry)
    restored = restored_pointer(registry, diagnose(registry))
    assert restored.pin is None


def test_a_retirement_is_restored_for_the_version_that_was_retired(make_registry):
    registry = make_registry()
    retired = Decision(since=NOW, by="a", comment="another target")
    registry.decide(retired=retired)
    before = registry.serving()
    registry.store.delete(registry.layout.champion)
    restored = restored_pointer(registry, diagnose(registry))
    assert restored == before
    assert registry.champion() is None
    # The next version ends the retirement, and the copy says so.
    registry.promote(stored(registry, 3), instead_of=None, by="train-3", now=at(4))
    registry.store.delete(registry.layout.champion)
    restored = restored_pointer(registry, diagnose(registry))
    assert restored.retired is None


def test_a_person_who_chooses_the_champion_keeps_its_pin(make_registry):
    registry = make_registry()
    pin = Decision(since=NOW, by="a", comment="audit")
    registry.decide(pin=pin)
    other = registry.champion().previous
    lose_pointer(registry)
    chosen = choose_champion(registry, diagnose(registry), other, by="local", now=at(9))
    restored = restored_pointer(registry, chosen)
    assert restored.pin == pin


def test_verdicts_show_what_the_copies_lack(make_registry):
    """The history of an older release has no copies; the verdicts of trainings and checks name the champion."""
    registry = make_registry()
    last = registry.champion()
    first, second = (tenure.version for tenure in reversed(last.history[1:]))
    for number, version, since in ((1, first, at(1)), (2, second, at(2))):
        seen = last.model_copy(update={"version": version, "since": since})
        write_verdict(registry, registry.layout.run("u", number).verdict, seen)
    check = json.dumps({"answer": {"champion": last.to_champion().to_wire()}}).encode()
    registry.store.write(registry.layout.check("u", at(4), "check-1").verdict, check)
    registry.store.write(registry.layout.check("u", at(5), "check-2").verdict, b"damaged")
    lose_pointer(registry)
    lose_copies(registry)
    restorable = diagnose(registry).restorable
    assert restorable is not None
    assert [(tenure.version, tenure.since, tenure.action, tenure.previous) for tenure in restorable.history] == [
        (first, at(3), "RolledBack", second),
        (second, at(2), "Promoted", first),
        (first, at(1), "Promoted", None),
    ]
    assert restorable.manifest_sha256 == "m", "described by the record of the version"
    assert "check-1" in restorable.message


def test_the_last_change_before_a_kill_is_found_in_a_verdict(make_registry):
    registry = make_registry()
    last = registry.champion()
    write_verdict(registry, registry.layout.run("u", 3).verdict, last)
    registry.store.delete(registry.layout.tenure(3, last.version))
    lose_pointer(registry)
    restorable = diagnose(registry).restorable
    assert restorable is not None
    assert [tenure.version for tenure in restorable.history] == [tenure.version for tenure in last.history]


def test_a_person_chooses_the_champion_where_nothing_is_known(registry):
    first, second = promoted(registry, 1, 2)
    stored(registry, 3, compared_with=second.version)
    lose_pointer(registry)
    lose_copies(registry)
    diagnosis = diagnose(registry)
    assert diagnosis.restorable is None
    with pytest.raises(BadData, match="--champion"):
        require_restorable(diagnosis)
    with pytest.raises(NotFound):
        choose_champion(registry, diagnosis, "v9-00000009", by="local", now=NOW)
    chosen = choose_champion(registry, diagnosis, first.version, by="local", now=at(9))
    restore(registry, chosen)
    pointer = registry.champion()
    assert (pointer.version, pointer.by, pointer.number) == (first.version, "local", 1)
    with pytest.raises(BadConfiguration, match="in order"):
        choose_champion(registry, diagnose(registry), second.version, by="local", now=at(9))


def test_a_person_overrules_the_known_history(make_registry):
    registry = make_registry()
    lost = lose_pointer(registry)
    other = lost.previous
    chosen = choose_champion(registry, diagnose(registry), other, by="local", now=at(9))
    restore(registry, chosen)
    assert [tenure.version for tenure in registry.champion().history] == [
        other,
        *(tenure.version for tenure in lost.history),
    ]
    assert registry.champion().numbers() == [4, 3, 2, 1]


def test_a_model_that_cannot_serve_is_not_chosen(make_registry):
    registry = make_registry()
    lost = lose_pointer(registry)
    path_of(registry.layout.version(lost.previous).file("model.skops")).write_bytes(b"damaged")
    with pytest.raises(BadData, match="SHA-256"):
        choose_champion(registry, diagnose(registry), lost.previous, by="local", now=at(9))


def promote_third(registry):
    record = registry.version("v3-00000003")
    return registry.promote(record, instead_of="v1-00000001", by="train-3", now=at(5))


def roll_back(registry):
    return registry.rollback("previous", by="rollback-2", now=at(5))[0]


def repair(registry):
    return restore(registry, diagnose(registry)) or registry.champion()


def prepare(make_registry, work):
    registry = make_registry()
    if work is promote_third:
        stored(registry, 3)
    if work is repair:
        path_of(registry.layout.champion).write_bytes(b"damaged")
    return registry


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("work", [promote_third, roll_back, repair])
def test_a_process_killed_at_any_call_leaves_what_the_next_one_completes(make_registry, work, after):
    """Each call of the object store, before or after its effect; then the same Job runs again."""
    reference = prepare(make_registry, work)
    calls = count_calls(lambda store: work(ModelRegistry(store, reference.layout)), reference.store)
    expected = reference.champion()
    for number in range(1, calls + 1):
        registry = prepare(make_registry, work)
        with pytest.raises(Killed):
            work(ModelRegistry(KilledStore(registry.store, number, after=after), registry.layout))
        work(registry)
        champion = registry.champion()
        assert champion.model_dump() == expected.model_dump(), number
        # Whatever the kill left behind, one more change completes the copies, and the pointer can be restored.
        registry.rollback("previous", by="rollback-9", now=at(9))
        lost = lose_pointer(registry)
        assert diagnose(registry).restorable == lost, number


def test_a_pointer_that_is_lost_during_a_promotion_is_not_overwritten(make_registry):
    registry = make_registry()
    stored(registry, 3)

    class Losing:
        def __getattr__(self, name):
            return getattr(registry.store, name)

        def write(self, uri, data, **conditions):
            if uri == registry.layout.champion:
                registry.store.delete(uri)
            return registry.store.write(uri, data, **conditions)

    with pytest.raises((PointerLost, ChampionChanged)):
        promote_third(ModelRegistry(Losing(), registry.layout))
    assert registry.store.head(registry.layout.champion) is None
