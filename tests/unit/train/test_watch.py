"""The champion watch: stored versions, scored on rows after the promotion."""

import copy
import datetime as dt
import shutil

import pyarrow.parquet as pq
import pytest

from modelmonitor_api.messages import CheckRequest, RollbackRequest
from modelmonitor_api.spec import Metric, Promotion
from modelmonitor_trainer.check.champion_watch import look_schedule, shared_confidence
from modelmonitor_trainer.check.pipeline import check_monitor
from modelmonitor_trainer.check.publish import publish_check
from modelmonitor_trainer.gate.comparison import margin_of
from modelmonitor_trainer.registry.manual import handle_rollback
from modelmonitor_trainer.storage.local import path_of
from unit.train.conftest import NOW, World

WORSE = "WorseThanPredecessor"


def check(world, now=NOW):
    request = CheckRequest(monitor=world.monitor, spec=world.parsed())
    verdict, result = publish_check(world.store, request, job="local", now=now)
    return verdict, result


def roll_back_as_worse(world, watch, job="mon-rollback-w"):
    request = RollbackRequest(
        monitor=world.monitor,
        spec=world.parsed(),
        to=watch.predecessor,
        instead_of=watch.champion,
        reason=WORSE,
        message="it is worse.",
    )
    return handle_rollback(world.store, request, job=job, now=NOW)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A monitor with two promoted versions, and a copy of its folder."""
    world = World(tmp_path_factory.mktemp("world") / "data")
    world.land(1, 18)
    assert world.train(1).outcome == "Promoted"
    world.land(19, 34, slope=-2.0)
    assert world.train(2).outcome == "Promoted"
    world.land(33, 35, slope=2.0)
    saved = world.folder.with_name("saved")
    shutil.copytree(world.folder, saved)
    return world, saved


@pytest.fixture
def worse_champion(trained):
    """A champion trained while the relationship was reversed, which it no longer is."""
    world, saved = trained
    shutil.rmtree(world.folder)
    shutil.copytree(saved, world.folder)  # to the same path, because manifests have URIs
    fresh = World(world.folder)
    fresh.spec = copy.deepcopy(world.spec)
    return fresh


@pytest.mark.parametrize(
    ("days", "expected"), [(1, (1,)), (4, (4,)), (5, (4, 5)), (28, (4, 8, 16, 28)), (32, (4, 8, 16, 32))]
)
def test_looks(days, expected):
    assert look_schedule(days) == expected


def test_the_looks_share_the_confidence_and_the_margin_is_the_gates():
    promotion = Promotion.model_validate({"metric": "ROCAUC", "nonInferiorityMargin": "0.01"})
    assert shared_confidence(promotion) == pytest.approx(1 - 0.05 / 7), "four looks, and the later halves of three"
    assert margin_of(promotion, champion=0.8, trivial=0.5) == 0.01
    assert margin_of(promotion, champion=0.53, trivial=0.5) == pytest.approx(0.003), "a tenth of what the model gained"
    assert margin_of(promotion, champion=0.4, trivial=0.5) == 0
    assert margin_of(promotion.model_copy(update={"requirement": "Better"}), champion=0.8, trivial=0.5) == 0
    errors = promotion.model_copy(update={"metric": Metric.ROOT_MEAN_SQUARED_ERROR})
    assert margin_of(errors, champion=30.0, trivial=60.0) == pytest.approx(0.3), "a share of the champion's error"


def test_a_first_champion_has_no_predecessor(world):
    world.train(1)
    world.land(19, 30)
    verdict, result = check(world)
    assert verdict.watch is None
    assert not any("predecessor" in note for note in result.notes)


@pytest.mark.parametrize("metric", ["ROCAUC", "LogLoss", "Accuracy"])
def test_a_drop_is_detected_with_every_metric(world, metric):
    """The comparison of a version has its promotion score by every metric, not only by the one of the gate."""
    world.train(1)
    world.spec["detectors"] = [{"name": "score", "type": "Performance", "metric": metric}]
    world.land(19, 30)
    verdict, result = check(world)
    assert not verdict.performance_dropped, result.performance[0].message
    assert result.performance[0].promotion_score is not None
    world.land(31, 48, slope=-2.0)
    verdict, result = check(world)
    assert verdict.performance_dropped, result.performance[0].message


def test_there_is_no_watch_before_the_first_look(worse_champion):
    # The hold-out ends on day 32, labels come two days late: four mature days are there with day 38.
    worse_champion.land(36, 37)
    verdict, result = check(worse_champion)
    assert verdict.watch is None
    assert any("once labels through 2013-02-05 have arrived" in note for note in result.notes)


def test_a_worse_champion_is_reported_at_the_first_look(worse_champion):
    worse_champion.land(36, 38)
    verdict, result = check(worse_champion)
    watch = verdict.watch
    champion = worse_champion.champion()
    assert watch is not None, result.notes
    assert (watch.champion, watch.predecessor, watch.since) == (champion.version, champion.previous, champion.since)
    assert (watch.days, watch.rows) == (4, 400)
    assert watch.worse
    assert float(watch.low) < float(watch.difference) < float(watch.high) < -0.02
    assert any("is worse than" in note for note in result.notes)


def test_a_champion_that_is_worse_since_the_world_changed_back_is_reported(worse_champion):
    """It was better on the first four days, so all eight days together say nothing."""
    worse_champion.land(33, 36, slope=-2.0)
    worse_champion.land(37, 42, slope=2.0)
    watch = check(worse_champion)[0].watch
    assert watch is not None
    assert (watch.days, watch.rows, watch.worse) == (4, 400, True)


def test_an_equally_good_champion_is_not_reported(world):
    world.train(1)
    world.land(19, 34)
    if world.train(2).outcome != "Promoted":
        pytest.fail("the second version is as good and should pass the margin")
    world.land(35, 50)
    watch = check(world)[0].watch
    assert watch is not None
    assert (watch.days, watch.rows, watch.worse) == (16, 1600, False)


def test_a_predecessor_that_needs_a_lost_feature_is_compared_without_it(worse_champion):
    """As in a check and in a training: what is no longer written counts as missing."""
    world = worse_champion
    predecessor = world.champion().previous
    world.spec["model"]["features"] = [item for item in world.spec["model"]["features"] if item["name"] != "kind"]
    world.land(36, 38)
    for day in [dt.date(2013, 1, 1) + dt.timedelta(days=number) for number in range(32, 38)]:
        path = path_of(f"{world.base}/rows/date={day}/part.parquet")
        pq.write_table(pq.read_table(path).drop_columns(["kind"]), path)
    verdict, result = check(world)
    assert verdict.watch is not None, result.notes
    assert verdict.watch.predecessor == predecessor
    assert not any("Correct the spec" in note for note in result.notes)


def test_a_look_is_computed_once(worse_champion, monkeypatch):
    worse_champion.land(36, 38)
    first = check(worse_champion)[0].watch
    from modelmonitor_trainer.check import predecessor

    monkeypatch.setattr(predecessor, "load_model", lambda *_: pytest.fail("the models were loaded again"))
    worse_champion.land(39, 40)
    assert check(worse_champion, NOW + dt.timedelta(days=1))[0].watch == first


def test_a_damaged_look_is_computed_again(worse_champion):
    worse_champion.land(36, 38)
    first = check(worse_champion)[0].watch
    [kept] = [name for name in worse_champion.results() if name.startswith("watch/")]
    worse_champion.store.write(worse_champion.prefix + kept, b"{")
    assert check(worse_champion)[0].watch == first


@pytest.mark.parametrize("damaged", [False, True])
def test_the_pipeline_writes_caches_only(worse_champion, damaged):
    """Otherwise a check of past data would leave documents in the results of the monitor."""
    worse_champion.land(36, 38)
    if damaged:
        check(worse_champion)
        [kept] = [name for name in worse_champion.results() if name.startswith("watch/")]
        worse_champion.store.write(worse_champion.prefix + kept, b"{")

    def contents():
        results = worse_champion.results()
        return {path: content for path, content in results.items() if not path.startswith(("profiles/", "scores/"))}

    before = contents()
    request = CheckRequest(monitor=worse_champion.monitor, spec=worse_champion.parsed())
    result = check_monitor(worse_champion.store, request, due=NOW, now=NOW)
    assert result.verdict.watch is not None
    assert result.verdict.watch.worse
    assert contents() == before


def test_a_disabled_watch_takes_no_looks(worse_champion):
    worse_champion.land(36, 38)
    worse_champion.spec["promotion"]["watch"] = {"action": "None"}
    assert check(worse_champion)[0].watch is None
    assert not [name for name in worse_champion.results() if name.startswith("watch/")]


def test_too_few_labels_are_reported(worse_champion):
    worse_champion.land(36, 38)
    worse_champion.spec["promotion"]["minHoldoutRows"] = 500
    verdict, result = check(worse_champion)
    assert verdict.watch is None
    assert any("fewer than promotion.minHoldoutRows (500)" in note for note in result.notes)


def test_a_deleted_predecessor_does_not_fail_the_check(worse_champion):
    worse_champion.land(36, 38)
    worse_champion.store.delete(f"{worse_champion.prefix}versions/{worse_champion.champion().previous}/version.json")
    verdict, result = check(worse_champion)
    assert verdict.watch is None
    assert any("cannot be compared" in note for note in result.notes)


def test_an_automatic_rollback_restores_the_predecessor_without_a_watch(worse_champion):
    worse_champion.land(36, 38)
    watch = check(worse_champion)[0].watch
    answer = roll_back_as_worse(worse_champion, watch)
    assert (answer.outcome, answer.reason, answer.version) == ("RolledBack", WORSE, watch.predecessor)
    assert "it is worse." in answer.message
    assert worse_champion.champion().reason == WORSE
    assert check(worse_champion)[0].watch is None
    # A pod that is started again finds its work done.
    assert roll_back_as_worse(worse_champion, watch).champion.version == watch.predecessor


def test_an_automatic_rollback_does_not_replace_another_champion(worse_champion):
    worse_champion.land(36, 38)
    watch = check(worse_champion)[0].watch
    worse_champion.handle_rollback(watch.predecessor)
    before = worse_champion.champion()
    answer = roll_back_as_worse(
        worse_champion, watch.model_copy(update={"predecessor": watch.champion, "champion": watch.champion})
    )
    assert (answer.outcome, answer.reason) == ("Inconclusive", "ChampionChanged")
    assert worse_champion.champion() == before


def test_a_version_rolled_back_as_worse_is_not_restored(worse_champion):
    worse_champion.land(36, 38)
    watch = check(worse_champion)[0].watch
    roll_back_as_worse(worse_champion, watch)
    # v2 is restored manually, and v3 is promoted after it.
    worse_champion.handle_rollback(watch.champion, job="manual")
    before = worse_champion.champion()
    again = watch.model_copy(update={"champion": before.version, "predecessor": before.version})
    answer = roll_back_as_worse(worse_champion, again, job="another")
    assert answer.outcome == "Rejected"
    assert "rolled back as worse" in answer.message
    assert worse_champion.champion() == before
