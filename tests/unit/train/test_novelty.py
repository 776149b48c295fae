"""Nothing is trained or promoted twice; what a person has decided about the champion stays decided."""

import pytest

from modelmonitor_api.messages import RollbackRequest
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.registry.manual import handle_pin, handle_retirement, handle_rollback
from unit.train.conftest import NOW


@pytest.fixture
def two_champions(world):
    """A world whose second champion was trained on four more days."""
    first = world.train(1).version
    world.land(19, 22)
    second = world.train(2).version
    assert world.champion().version == second
    return world, first, second


def test_the_same_data_are_not_trained_on_again(two_champions):
    world, first, second = two_champions
    verdict = world.train(3)
    assert (verdict.outcome, verdict.reason, verdict.version) == ("NothingNew", "SameData", None)
    assert f"those of the champion {second}" in verdict.message
    assert len(world.registry.versions()) == 2
    assert world.champion().previous == first


def test_a_rejected_version_is_not_trained_again_from_the_same_data(two_champions):
    world, _, second = two_champions
    world.spec["promotion"]["requirement"] = "Better"
    world.land(23, 26)
    rejected = world.train(3)
    assert rejected.outcome == "Rejected"
    verdict = world.train(4)
    assert (verdict.outcome, verdict.reason) == ("NothingNew", "SameData")
    assert f"compared with the champion {second}: Rejected" in verdict.message


def test_a_rejected_first_model_is_not_trained_again_from_the_same_data(world):
    world.spec["promotion"]["minimumScore"] = "0.99"
    rejected = world.train(1)
    assert (rejected.outcome, rejected.reason) == ("Rejected", "BelowMinimumScore")
    verdict = world.train(2)
    assert (verdict.outcome, verdict.reason) == ("NothingNew", "SameData")
    assert f"those of {rejected.version}, which was not promoted: Rejected (BelowMinimumScore)" in verdict.message
    assert len(world.registry.versions()) == 1
    world.land(19, 20)
    assert world.train(3).outcome == "Rejected"


def test_a_changed_spec_makes_a_new_version(two_champions):
    world, _, _ = two_champions
    world.spec["model"]["features"].pop()
    assert world.train(3).version is not None


def test_another_image_may_make_another_model(two_champions):
    world, _, _ = two_champions
    world.image = "trainer:2"
    assert world.train(3).reason == "SameModel"  # trained, and only then found to be the same


def test_equal_parameters_are_no_new_version(two_champions):
    world, first, second = two_champions
    world.spec["schedule"] = "0 7 * * *"
    verdict = world.train(3)
    assert (verdict.outcome, verdict.reason) == ("NothingNew", "SameModel")
    assert [record.version for record in world.registry.versions()] == [second, first]
    assert not [path for path in world.results() if path.startswith("versions/v3-")]


@pytest.mark.parametrize("changed", [False, True], ids=["the same manifest", "the same model"])
def test_what_a_person_rolled_back_does_not_come_back_by_itself(two_champions, changed):
    world, first, second = two_champions
    world.handle_rollback()
    if changed:
        world.spec["schedule"] = "0 7 * * *"
    verdict = world.train(3)
    assert (verdict.outcome, verdict.reason) == ("Rejected", "LeftByRollback")
    assert f"promote --version {second}" in verdict.message
    assert world.champion().version == first


def test_a_person_can_bring_it_back(two_champions):
    world, _, second = two_champions
    world.handle_rollback()
    assert world.promote(second).outcome == "Promoted"
    assert world.champion().version == second
    assert world.train(3).reason == "SameData"


def test_a_model_from_newer_data_is_promoted_after_a_rollback(two_champions):
    world, _, _ = two_champions
    world.handle_rollback()
    world.land(23, 26)
    assert world.train(3).outcome == "Promoted"


def test_a_rollback_says_what_follows(two_champions):
    world, first, second = two_champions
    message = world.handle_rollback().message
    assert message.startswith(f"{first} is the champion again and replaces {second}. It is another model.")
    assert f"{second} and models equal to it are not promoted again automatically" in message


def test_a_pinned_champion_stays_until_it_is_released(two_champions):
    world, first, second = two_champions
    with pytest.raises(BadConfiguration, match="the reason for a pin is empty"):
        handle_pin(world.registry, " ", job="pin", now=NOW)
    assert handle_pin(world.registry, "audit until May", job="pin", now=NOW).outcome == "Pinned"
    assert world.champion().to_champion().pinned == "audit until May"
    world.land(23, 26)
    verdict = world.train(3)
    assert (verdict.outcome, verdict.reason) == ("AwaitingApproval", "Pinned")
    assert "audit until May" in verdict.message
    automatic = RollbackRequest(
        monitor=world.monitor, spec=world.parsed(), to=first, instead_of=second, reason="WorseThanPredecessor"
    )
    assert handle_rollback(world.store, automatic, job="auto", now=NOW).outcome == "Rejected"
    assert world.champion().version == second
    assert handle_pin(world.registry, None, job="unpin", now=NOW).outcome == "Released"
    assert world.promote(verdict.version).outcome == "Promoted"


def test_a_person_replaces_a_pinned_champion_which_stays_pinned(two_champions):
    world, first, _ = two_champions
    handle_pin(world.registry, "audit", job="pin", now=NOW)
    assert world.handle_rollback().outcome == "RolledBack"
    assert (world.champion().version, world.champion().pin.comment) == (first, "audit")


def test_a_pin_by_annotation_holds_too(two_champions):
    world, _, second = two_champions
    world.land(23, 26)
    verdict = world.train(3, pinned=True)
    assert (verdict.outcome, verdict.reason) == ("AwaitingApproval", "Pinned")
    assert world.champion().version == second


def test_a_rejected_version_can_be_promoted_with_a_reason_on_record(two_champions):
    world, _, _ = two_champions
    world.spec["promotion"]["requirement"] = "Better"
    world.land(23, 26)
    rejected = world.train(3).version
    with pytest.raises(BadConfiguration, match="state why: --reason TEXT"):
        world.promote(rejected)
    assert world.promote(rejected, comment="the regulator asks for it").outcome == "Promoted"
    champion = world.champion()
    assert (champion.version, champion.reason) == (rejected, "Requested")
    assert champion.message.startswith("promoted manually: the regulator asks for it. The gate: Rejected (NotShown")


def test_a_version_that_was_compared_with_another_champion_needs_a_reason(two_champions):
    world, first, _ = two_champions
    world.spec["promotion"]["mode"] = "Manual"
    world.land(23, 26)
    waiting = world.train(3).version
    world.handle_rollback(first)
    assert world.promote(waiting).reason == "ChampionChanged"
    assert world.promote(waiting, comment="it is still the best", job="second").outcome == "Promoted"


def test_pin_and_unpin_on_the_command_line(two_champions, capsys):
    world, _, second = two_champions
    assert main(["pin", "-f", world.file(), "--reason", "audit"]) == 0
    assert capsys.readouterr().out.startswith(f"Pinned (Requested): {second} is pinned: audit.")
    assert main(["unpin", "-f", world.file()]) == 0
    assert capsys.readouterr().out.startswith(f"Released (Requested): {second} is not pinned")


def test_versions_that_await_approval_are_not_made_twice(two_champions):
    world, _, second = two_champions
    world.spec["promotion"]["mode"] = "Manual"
    world.land(23, 26)
    assert world.train(3).outcome == "AwaitingApproval"
    assert world.train(4).reason == "SameData"
    assert world.champion().version == second


def test_a_retired_champion_serves_until_a_first_model_replaces_it(two_champions, capsys):
    world, _, second = two_champions
    assert main(["retire", "-f", world.file(), "--reason", "new target"]) == 0
    assert capsys.readouterr().out.startswith(f"Retired (Requested): {second} is retired: new target.")
    assert world.champion() is None
    assert world.registry.serving().version == second
    verdict = world.train(3)
    assert (verdict.outcome, verdict.reason) == ("Promoted", "FirstModel")
    champion = world.champion()
    assert [tenure.version for tenure in champion.history][1] == second
    assert champion.retired is None


def test_a_retirement_is_undone_by_a_rollback(two_champions):
    world, _, second = two_champions
    handle_retirement(world.registry, "by mistake", job="retire", now=NOW)
    assert world.handle_rollback(second).outcome == "RolledBack"
    assert world.champion().version == second
