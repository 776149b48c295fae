"""Damaged results on the command line: each is named, nothing is promoted blindly, and repair restores what it can."""

import json

import pytest

from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.registry.recovery import PointerLost
from modelmonitor_trainer.storage.local import path_of


@pytest.fixture
def two_versions(world):
    """Two promotions; returns the versions, the earlier first."""
    first = world.train()
    world.land(19, 40, slope=-2.0)
    second = world.train(2)
    assert (first.outcome, second.outcome) == ("Promoted", "Promoted")
    return first.version, second.version


def test_a_lost_pointer_stops_trainings_until_it_is_repaired(world, two_versions, command):
    _, second = two_versions
    pointer = world.champion()
    world.store.delete(world.registry.layout.champion)
    world.land(41, 52)
    before = world.results()
    with pytest.raises(PointerLost):
        world.train(3)
    assert {name for name in world.results() if name not in before} == {"runs/u-1/3/request.json"}
    file = world.file()
    for arguments in (("versions", "--at", "2013-05-03"), ("rollback",), ("train",)):
        code, out, err = command(*arguments, "-f", file)
        assert (code, out) == (2, ""), arguments
        assert "champion.json is missing" in err
    code, out, _ = command("versions", "-f", file)
    assert code == 0
    assert "champion.json is missing" in out.splitlines()[0]
    assert second in out
    code, out, _ = command("repair", "-f", file)
    assert code == 0
    assert f"  {second} from 2013-12-31T06:00:00Z: " in out
    assert "Nothing was changed" in out
    code, out, _ = command("repair", "-f", file, "--apply", "--output", "json")
    shown = json.loads(out)
    assert (shown["restored"], shown["restorable"]["version"], shown["damaged"]) == (True, second, [])
    assert world.champion() == pointer
    code, out, _ = command("repair", "-f", file)
    assert (code, out) == (0, "nothing is damaged\n")
    assert world.train(3).outcome in {"Promoted", "Rejected", "Inconclusive"}


def test_repair_without_any_knowledge_asks_for_the_champion(world, two_versions, command):
    first, second = two_versions
    for uri in (world.registry.layout.champion, *world.store.children(world.registry.layout.tenures)):
        world.store.delete(uri)
    for number in (1, 2):
        world.store.delete(world.registry.layout.run("u-1", number).verdict)
    file = world.file()
    code, out, _ = command("repair", "-f", file)
    assert (code, "--champion VERSION" in out) == (0, True)
    code, out, err = command("repair", "-f", file, "--apply")
    assert (code, out, "--champion VERSION" in err) == (2, "", True)
    code, _, _ = command("repair", "-f", file, "--champion", second, "--apply")
    assert code == 0
    assert world.champion().version == second
    code, _, err = command("repair", "-f", file, "--champion", first)
    assert (code, "is in order" in err) == (2, True)


def test_damaged_versions_are_named(world, two_versions, command):
    first, second = two_versions
    layout = world.registry.layout
    path_of(layout.version(first).record).write_bytes(b'{"version": "v1-')
    path_of(layout.version(second).file("model.skops")).unlink()
    file = world.file()
    code, out, _ = command("versions", "-f", file)
    assert code == 0
    assert out.splitlines()[0].startswith(f"2 of 2 versions are damaged: {second}, {first}; modelmonitor repair")
    code, out, _ = command("versions", "-f", file, "--output", "json")
    newest, oldest = json.loads(out)["versions"]
    assert (newest["version"], newest["state"], newest["outcome"]) == (second, "Champion", "Passed")
    assert newest["problems"][0].endswith("model.skops is missing")
    assert (oldest["version"], oldest["state"]) == (first, "Previous")
    code, out, _ = command("repair", "-f", file)
    assert f"{first} (previous): " in out
    assert "take them from a backup" in out


def test_the_list_has_what_scripts_need(world, two_versions, command):
    first, second = two_versions
    world.handle_rollback()
    code, out, _ = command("versions", "-f", world.file(), "--output", "json")
    document = json.loads(out)
    assert (code, document["champion"]["version"], document["previous"]) == (0, first, second)
    newest, oldest = document["versions"]
    assert (newest["state"], oldest["state"]) == ("Previous", "Champion")
    assert len(oldest["served"]) == 2
    assert oldest["served"][-1]["until"] is None
    assert oldest["trainedOn"] == {"start": "2013-01-03", "end": "2013-01-12", "days": 10}
    assert oldest["train"]["firstDay"] == "2013-01-03"
    assert (newest["sameAs"], newest["problems"]) == (None, [])


def test_days_without_rows_are_not_training_days(world, command):
    for day in (3, 4, 7, 12):
        path_of(f"{world.base}/rows/date=2013-01-{day:02}/part.parquet").unlink()
    world.train()
    code, out, _ = command("versions", "-f", world.file())
    assert (code, "trained on 2013-01-05 to 2013-01-11, 6 days" in out) == (0, True)
    code, out, _ = command("versions", "-f", world.file(), "--at", "2999-01-01")
    assert "trained on   2013-01-05 to 2013-01-11" in out


def test_a_changed_card_does_not_block_a_rollback_and_a_changed_model_does(world, two_versions):
    first, second = two_versions
    layout = world.registry.layout
    path_of(layout.version(first).file("card.md")).write_text("with a note of a person")
    path_of(layout.version(first).file("card.html")).unlink()
    assert world.handle_rollback().version == first
    path_of(layout.version(second).file("model.skops")).write_bytes(b"changed")
    with pytest.raises(BadData, match=r"model\.skops has changed"):
        world.handle_rollback(job="mon-rollback-2")


def test_damaged_parameters_of_the_champion_do_not_stop_a_training(world, two_versions, caplog):
    _, second = two_versions
    path_of(world.registry.layout.version(second).file("parameters.json")).write_bytes(b"changed")
    world.land(41, 52, slope=-2.0)
    assert world.train(3).outcome in {"Promoted", "Rejected", "Inconclusive"}
    assert "the parameters of the champion are not used" in caplog.text
