"""The inventory names every version with its state and its damage; no damage hides another version."""

import datetime as dt

import pytest

from modelmonitor_trainer.errors import BadData, NotFound
from modelmonitor_trainer.registry.inventory import DataDays, take_inventory
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.records import Decision, Period
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.storage.local import path_of, uri_of
from modelmonitor_trainer.storage.open import open_store
from unit.registry.registries import NOW, at, promoted, stored


@pytest.fixture
def registry(tmp_path):
    return ModelRegistry(open_store(None), ResultsLayout(f"{uri_of(tmp_path)}/results/ns/mon/"))


def states(registry):
    return {entry.name: entry.state.value for entry in take_inventory(registry).versions}


def problems(registry, **options):
    return {entry.name: entry.problems for entry in take_inventory(registry, **options).versions if entry.problems}


def path(registry, name, file):
    return path_of(registry.layout.version(name).file(file))


def test_before_the_first_version(registry):
    inventory = take_inventory(registry)
    assert (inventory.pointer, inventory.pointer_problem, inventory.versions) == (None, None, ())


def test_the_states_of_versions(registry):
    first, second, third = promoted(registry, 1, 2, 3)
    stored(registry, 4, outcome="Rejected", reason="Worse", compared_with=third.version)
    stored(registry, 5, compared_with=third.version)
    stored(registry, 6, outcome="Inconclusive", reason="TooFewRows", compared_with=third.version)
    stored(registry, 7, outcome="Inconclusive", reason="TooGoodToBeTrue", compared_with=third.version)
    stored(registry, 8, compared_with=first.version)
    registry.write_file("v9-00000009", "model.skops", b"being written")
    registry.store.write(f"{registry.layout.versions}notes.txt", b"of a person")
    registry.store.write(f"{registry.layout.versions}v1.bak/version.json", b"of a person")
    assert states(registry) == {
        "v9-00000009": "Incomplete",
        "v8-00000008": "Outdated",
        "v7-00000007": "Awaiting",
        "v6-00000006": "Inconclusive",
        "v5-00000005": "Awaiting",
        "v4-00000004": "Rejected",
        third.version: "Champion",
        second.version: "Previous",
        first.version: "Former",
    }
    assert next(iter(states(registry))) == "v9-00000009", "the newest first"
    assert problems(registry) == {}


def test_without_a_pointer_no_version_is_said_to_await_approval(registry):
    promoted(registry, 1, 2)
    stored(registry, 3, outcome="Rejected", reason="Worse", compared_with="v2-00000002")
    registry.store.delete(registry.layout.champion)
    assert states(registry) == {"v3-00000003": "Rejected", "v2-00000002": "Unknown", "v1-00000001": "Unknown"}


def test_a_version_awaits_approval_in_place_of_a_retired_champion(registry):
    promoted(registry, 1)
    registry.decide(retired=Decision(since=NOW, by="a", comment="another target"))
    stored(registry, 2, compared_with=None)
    assert states(registry) == {"v2-00000002": "Awaiting", "v1-00000001": "Champion"}


def test_where_a_rollback_leads_and_when_each_served(registry):
    first, second, third = promoted(registry, 1, 2, 3)
    registry.rollback(first.version, by="r", now=at(4))
    inventory = take_inventory(registry)
    entries = {entry.name: entry for entry in inventory.versions}
    assert entries[third.version].state == "Previous", "a rollback leads to where the last one came from"
    assert [(period.since, period.until) for period in entries[first.version].served] == [
        (at(1), at(2)),
        (at(4), None),
    ]
    assert [(period.since, period.until) for period in entries[second.version].served] == [(at(2), at(3))]


@pytest.mark.parametrize("content", [b"", b'{"version": "v1-0000', b"[]"])
def test_a_damaged_record_is_named_and_hides_no_other(registry, content):
    first, second, third = promoted(registry, 1, 2, 3)
    for version in (first, third):
        path(registry, version.version, "version.json").write_bytes(content)
    found = problems(registry)
    assert set(found) == {first.version, third.version}
    assert all("version.json cannot be read" in problem for (problem,) in found.values())
    assert states(registry) == {third.version: "Champion", second.version: "Previous", first.version: "Former"}
    stored(registry, 4, outcome="Rejected")
    path(registry, "v4-00000004", "version.json").write_bytes(content)
    assert states(registry)["v4-00000004"] == "Damaged"
    assert [record.version for record in registry.versions()] == [second.version]


def test_a_missing_record_of_a_version_that_served_is_named(registry):
    first, second, third = promoted(registry, 1, 2, 3)
    path(registry, first.version, "version.json").unlink()
    for item in registry.store.list(registry.layout.version(second.version).folder):
        registry.store.delete(item.uri)
    found = problems(registry)
    assert set(found) == {first.version, second.version}
    assert all("version.json is missing" in problem for (problem,) in found.values())
    with pytest.raises(NotFound, match=second.version):
        registry.rollback("previous", by="r", now=at(4))
    assert registry.champion().version == third.version


def test_damaged_files_are_named(registry):
    promoted(registry, 1, 2, 3)
    path(registry, "v1-00000001", "model.skops").unlink()
    path(registry, "v2-00000002", "model.skops").write_bytes(b"cut")
    changed = path(registry, "v3-00000003", "model.skops")
    changed.write_bytes(bytes([changed.read_bytes()[0] ^ 1]) + changed.read_bytes()[1:])
    found = {name: problem for name, (problem,) in problems(registry).items()}
    assert found["v1-00000001"].endswith("model.skops is missing")
    assert "has 3 bytes instead of" in found["v2-00000002"]
    assert "SHA-256 differs" in found["v3-00000003"]


def with_card(registry, number):
    """Write a version with a card and return its record."""
    name = f"v{number}-0000000{number}"
    files = [registry.write_file(name, file, file.encode())[0] for file in ("model.skops", "manifest.json", "card.md")]
    return stored(registry, number, files=files)


def test_a_changed_card_does_not_block_a_rollback_and_a_changed_model_does(registry, caplog):
    first, second = (with_card(registry, number) for number in (1, 2))
    registry.promote(first, instead_of=None, by="train-1", now=at(1))
    registry.promote(second, instead_of=first.version, by="train-2", now=at(2))
    path(registry, first.version, "card.md").write_bytes(b"CARD.MD")
    assert problems(registry) == {}, "of the card, the size"
    (problem,) = problems(registry, complete=True)[first.version]
    assert "card.md has changed" in problem
    assert "can serve without it" in problem
    pointer, changed = registry.rollback("previous", by="r1", now=at(3))
    assert (pointer.version, changed) == (first.version, True)
    assert "card.md has changed" in caplog.text
    for file in ("model.skops", "manifest.json"):
        content = path(registry, second.version, file).read_bytes()
        path(registry, second.version, file).write_bytes(b"changed")
        with pytest.raises(BadData, match=f"{file} has changed"):
            registry.rollback("previous", by="r2", now=at(4))
        path(registry, second.version, file).write_bytes(content)
    registry.rollback("previous", by="r2", now=at(4))


def test_the_same_model_is_recognized(registry):
    for number, digest in enumerate(["a", "b", "a", None, "a"], start=1):
        kind = {} if digest else {"kind": "Custom", "files": []}
        stored(registry, number, fitted_sha256=digest, **kind)
    same = {entry.name[:2]: entry.same_as for entry in take_inventory(registry).versions}
    assert same == {"v1": None, "v2": None, "v3": "v1-00000001", "v4": None, "v5": "v1-00000001"}


def test_the_same_files_of_a_custom_trainer_are_the_same_model(registry):
    for number, content in enumerate([b"a", b"b", b"a"], start=1):
        file, _ = registry.write_file(f"v{number}-0000000{number}", "model/weights", content)
        stored(registry, number, kind="Custom", files=[file])
    same = {entry.name[:2]: entry.same_as for entry in take_inventory(registry).versions}
    assert same == {"v1": None, "v2": None, "v3": "v1-00000001"}


def test_days_are_those_with_rows(registry):
    calendar = Period(start=dt.date(2013, 1, 1), end=dt.date(2013, 3, 1), rows=80)
    known = {"first_day": dt.date(2013, 2, 3), "last_day": dt.date(2013, 2, 20), "days": 11}
    stored(registry, 1, train=calendar.model_copy(update=known))
    stored(registry, 2, train=calendar)
    shown = {entry.name: entry.days for entry in take_inventory(registry).versions}
    assert shown["v1-00000001"] == DataDays(dt.date(2013, 2, 3), dt.date(2013, 2, 20), 11)
    assert shown["v2-00000002"] == DataDays(dt.date(2013, 1, 1), dt.date(2013, 3, 1), None), "no readable manifest"


def test_a_lost_pointer_does_not_hide_the_versions(registry):
    promoted(registry, 1, 2)
    registry.store.delete(registry.layout.champion)
    inventory = take_inventory(registry)
    assert inventory.pointer is None
    assert inventory.pointer_problem is not None
    assert "champion.json is missing" in inventory.pointer_problem
    assert len(inventory.versions) == 2
