"""The final fit: the recipe that passed is fitted once more, with the hold-out."""

import datetime as dt
import json

import pytest

from modelmonitor_trainer.registry.model_files import load_model
from modelmonitor_trainer.train import final_fit
from unit.train.conftest import FIRST


@pytest.fixture
def asking(world):
    del world.spec["promotion"]["finalFit"]  # the default
    return world


def test_the_model_that_serves_has_seen_the_holdout(asking):
    verdict = asking.train()
    record = asking.registry.version(verdict.version)
    assert verdict.outcome == "Promoted"
    assert (record.holdout.end - record.train.end).days == 0
    assert (record.train.end - record.train.start).days == 9
    assert (record.holdout.start - record.evaluated.train.end).days == 1
    assert record.evaluated.fitted_sha256 != record.fitted_sha256
    assert record.train.rows > 0
    assert {stored.name for stored in record.files} >= {"model.skops", "evaluated.skops"}
    assert load_model(asking.registry, record.version).model is not None
    assert verdict.train_end == record.train.end
    assert "fitted once more" in verdict.message


def test_the_champion_is_what_serves(asking):
    """Reference, pointer, inventory and card speak of the model that serves, and say which one was compared."""
    verdict = asking.train()
    record = asking.registry.version(verdict.version)
    pointer = asking.registry.champion()
    assert pointer.data_end == record.holdout.end
    assert record.reference == (record.train.start, record.holdout.end)
    card = asking.registry.read_file(record, "card.md").decode()
    assert "was fitted once more" in card
    assert f"{record.evaluated.train.start} through {record.evaluated.train.end}" in card


def test_a_successor_is_compared_on_rows_that_neither_has_seen(asking):
    first = asking.registry.version(asking.train().version)
    asking.land(19, 38)
    second = asking.registry.version(asking.train(number=2).version)
    assert second.compared_with == first.version
    assert second.holdout.start > first.train.end


def test_what_did_not_pass_serves_as_it_was_compared(asking):
    """A rejected version can be promoted by hand: it is the model of the comparison."""
    asking.train()
    asking.spec["promotion"]["minimumScore"] = "0.999"
    asking.land(19, 38)
    verdict = asking.train(number=2)
    assert verdict.outcome == "Rejected"
    record = asking.registry.version(verdict.version)
    files = {stored.name: stored.sha256 for stored in record.files}
    assert record.evaluated is None
    assert files["model.skops"] == files["evaluated.skops"]


def test_a_fit_that_went_wrong_does_not_serve(asking, monkeypatch):
    monkeypatch.setattr(final_fit.Recipe, "_is_sound", lambda *_: False)
    verdict = asking.train()
    record = asking.registry.version(verdict.version)
    assert verdict.outcome == "Promoted"
    assert record.evaluated is None
    assert record.train.end < record.holdout.start


def test_the_same_model_again_is_nothing_new(asking):
    """The digest of the fit that was compared is remembered, not only that of the model that serves."""
    record = asking.registry.version(asking.train().version)
    assert record.compared_sha256 == record.evaluated.fitted_sha256


def test_no_newer_day_than_the_champion_has_learnt_is_nothing_new(asking):
    version = asking.train(1).version
    verdict = asking.train(2)
    assert (verdict.outcome, verdict.reason) == ("NothingNew", "SameData")
    assert f"the champion {version} was trained with the same spec on days through " in verdict.message.lower()
    asking.spec["model"]["features"].pop()
    verdict = asking.train(3)
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooFewRows")
    assert "day is left for the hold-out" in verdict.message


@pytest.mark.parametrize(("days", "reason"), [(2, "SameModel"), (4, "SameModel"), (5, None)])
def test_the_champion_is_not_compared_with_itself(asking, days, reason):
    """While all days after its training data are held out, a model of the days before is the champion."""
    version = asking.train(1).version
    asking.land(19, 18 + days)
    verdict = asking.train(2)
    if reason is None:
        assert verdict.outcome != "NothingNew"
        return
    assert (verdict.outcome, verdict.reason) == ("NothingNew", reason)
    assert f"is the champion {version} itself" in verdict.message
    assert verdict.version is None


def test_a_champion_of_another_target_takes_no_days_from_the_holdout(asking):
    """It is not compared, so nothing has to wait for days that it has not learnt."""
    asking.train(1)
    asking.spec["model"] |= {"target": "kind", "features": [{"name": "x", "type": "Numeric"}], "slices": []}
    del asking.spec["data"]["labels"]
    verdict = asking.train(2)
    assert (verdict.outcome, verdict.reason) == ("Rejected", "NotBetterThanBaseline"), verdict.message


def test_without_a_final_fit_the_model_that_was_compared_serves(world):
    record = world.registry.version(world.train().version)
    assert record.evaluated is None
    assert json.loads(record.model_dump_json(by_alias=True))["evaluated"] is None
    assert record.train.end < record.holdout.start


def test_warm_starts_continue_through_the_holdout(asking):
    asking.spec["retraining"] |= {"strategy": "WarmStart", "estimator": {"name": "SGDClassifier"}}
    asking.train()
    asking.land(19, 38)
    record = asking.registry.version(asking.train(number=2).version)
    assert record.strategy == "WarmStart"
    assert record.evaluated is not None
    assert record.train.end == record.holdout.end
    assert record.train.start > FIRST
    assert dt.timedelta(days=9) == record.train.end - record.train.start
