"""The strategies end to end: what each keeps of the champion, and what the record contains."""

import datetime as dt
import json

import pytest

from modelmonitor_trainer.errors import CredentialsRefused
from modelmonitor_trainer.train.strategy import same_estimator
from unit.train.conftest import NOW

SEARCH = {
    "method": "Grid",
    "space": [{"name": "C", "values": ["0.000001", "1"]}],
    "folds": 2,
}


def record_of(world, verdict):
    return world.registry.version(verdict.version)


def parameters_of(world, verdict):
    return json.loads(world.registry.read_file(record_of(world, verdict), "parameters.json"))


def page_of(world, number):
    return world.results()[f"runs/u-1/{number}/report.html"].decode()


def searching(world, strategy):
    world.spec["retraining"]["estimator"]["search"] = SEARCH
    world.spec["retraining"]["strategy"] = strategy
    world.spec["promotion"]["metric"] = "LogLoss"


def warm(world, **settings):
    world.spec["retraining"]["strategy"] = "WarmStart"
    world.spec["retraining"]["warmStart"] = settings
    world.spec["retraining"]["estimator"] = {
        "name": "SGDClassifier",
        "preprocessing": {"numericImputation": "Median", "categoricalEncoding": "OneHot"},
    }
    world.spec["promotion"] |= {"holdoutDays": 4, "nonInferiorityMargin": "0.05", "maxSliceDrop": "0.2"}


def test_refit_keeps_the_parameters_of_the_first_search(world):
    searching(world, "Refit")
    first = world.train(1)
    parameters = parameters_of(world, first)
    assert parameters["chosen"] == [{"name": "C", "value": "1"}]
    assert parameters["search"]["tried"] == 2
    assert parameters["effectiveParameters"]["C"] == 1
    assert "2 combinations" in page_of(world, 1)
    world.land(19, 40)
    second = parameters_of(world, world.train(2))
    assert (second["chosen"], second["search"], second["strategy"]) == (parameters["chosen"], None, "Refit")
    world.spec["retraining"]["estimator"]["search"] = {**SEARCH, "space": [{"name": "C", "values": ["2", "3"]}]}
    world.land(41, 60)
    third = parameters_of(world, world.train(3))
    assert third["search"]["tried"] == 2, "parameters chosen for another search space are not kept"


def test_retrain_searches_every_time(world):
    searching(world, "Retrain")
    assert parameters_of(world, world.train(1))["search"]["tried"] == 2
    world.land(19, 40)
    verdict = world.train(2)
    again = parameters_of(world, verdict)
    assert (again["search"]["tried"], again["strategy"]) == (2, "Retrain")
    assert record_of(world, verdict).strategy == "Retrain"


def test_a_warm_start_trains_on_new_rows_only(world):
    warm(world, fullRefitEvery=100)
    first = world.train(1)
    assert first.outcome == "Promoted", first.message
    assert parameters_of(world, first)["strategy"] == "Refit", "there was no champion to continue"
    world.land(19, 24)
    second = world.train(2)
    parameters = parameters_of(world, second)
    end = record_of(world, first).train.end
    assert parameters["strategy"] == "WarmStart"
    assert parameters["warmStart"]["from"] == first.version
    assert parameters["warmStart"]["firstDay"] > str(end)
    assert parameters["warmStart"]["inARow"] == 1
    assert parameters["warmStart"]["rows"] == 100 * (record_of(world, second).train.end - end).days
    assert second.comparison.champion is not None
    assert f"continued {first.version}" in page_of(world, 2)


def test_a_full_refit_is_compared_with_a_warm_start_from_time_to_time(world):
    warm(world, fullRefitEvery=1)
    world.train(1)
    world.land(19, 24)
    second = world.train(2)
    assert second.outcome == "Promoted", second.message
    assert parameters_of(world, second)["warmStart"]["inARow"] == 1
    assert "Warm start and full refit" not in page_of(world, 2)
    world.land(25, 30)
    third = world.train(3)
    comparison = json.loads(world.registry.read_file(record_of(world, third), "comparison.json"))
    assert comparison["confidence"] == pytest.approx(0.975), (
        "two comparisons of the same rows share the error probability"
    )
    assert comparison["refitComparison"]["difference"]["method"]
    assert parameters_of(world, third)["warmStart"]["inARow"] == 0
    assert "Warm start and full refit" in page_of(world, 3)


def test_a_full_refit_replaces_a_warm_start_that_adapts_too_slowly(world):
    """The relationship is reversed: a few steps with a small learning rate do not adapt, and a full refit does."""
    warm(world, fullRefitEvery=1)
    world.spec["retraining"]["estimator"]["parameters"] = [
        {"name": "learning_rate", "value": "constant"},
        {"name": "eta0", "value": "0.0001"},
        {"name": "max_iter", "value": "3000"},
        {"name": "tol", "value": "null"},
    ]
    world.train(1)
    world.land(19, 24)
    second = world.train(2)
    assert second.outcome == "Promoted", second.message
    assert record_of(world, second).strategy == "WarmStart"
    world.land(25, 50, slope=-2.0)
    third = world.train(3)
    assert (third.outcome, third.reason) == ("Promoted", "Better"), third.message
    record = record_of(world, third)
    assert record.strategy == "Refit"
    assert any("replaces it" in note for note in parameters_of(world, third)["notes"])


def test_a_warm_start_without_new_rows_is_inconclusive(world):
    warm(world)
    world.train(1)
    world.spec["promotion"]["holdoutDays"] = 1
    world.land(19, 23)
    world.spec["retraining"]["windowDays"] = 30
    held = world.train(2)
    assert held.outcome in {"Promoted", "Rejected"}, held.message
    world.spec["promotion"]["holdoutDays"] = 4
    third = world.train(3)
    assert (third.outcome, third.reason) == ("Inconclusive", "TooFewRows"), third.message


def test_a_champion_of_another_declaration_is_refitted(world):
    world.train(1)
    warm(world)
    world.land(19, 30)
    second = world.train(2)
    parameters = parameters_of(world, second)
    assert (parameters["strategy"], parameters["warmStart"]) == ("Refit", None)
    assert any("differs from that of v1" in note for note in parameters["notes"])


def test_the_same_training_twice_is_the_same_model(world, another):
    searching(world, "Retrain")
    other = another()
    searching(other, "Retrain")
    records = [record_of(each, each.train(1)) for each in (world, other)]
    assert records[0].predictions_sha256 == records[1].predictions_sha256
    assert records[0].fitted_sha256 == records[1].fitted_sha256
    assert len(records[0].fitted_sha256) == 64


def test_the_cost_of_a_training_is_recorded_and_shown_as_a_trend(world):
    first = record_of(world, world.train(1))
    assert first.train_seconds > 0
    assert 10 * 2**20 < first.peak_memory_bytes < 100 * 2**30
    world.land(19, 30)
    world.train(2)
    page = page_of(world, 2)
    assert "Previous trainings" in page
    assert first.version in page.split("Previous trainings")[1]
    assert "Expected calibration error" in page


def test_the_last_period_is_a_baseline(world):
    """The gate and the page have two baselines: of all training rows, and of the last days."""
    world.spec["promotion"]["metric"] = "BrierScore"
    world.spec["promotion"]["holdoutDays"] = 4
    verdict = world.train(1)
    comparison = json.loads(world.registry.read_file(record_of(world, verdict), "comparison.json"))
    assert comparison["lastPeriod"]["champion"] != comparison["baseline"]["champion"]
    assert "last-period baseline" in next(
        check["sentence"] for check in comparison["checks"] if check["name"] == "Better than a trivial baseline"
    )


def test_retention_deletes_old_versions(world):
    world.spec["retraining"]["retention"] = {"versions": 2}
    names = []
    for number in range(1, 5):
        # Versions that served in the last 30 days are kept.
        names.append(world.train(number, now=NOW + dt.timedelta(days=40 * number)).version)
        world.land(18 + 6 * number - 5, 18 + 6 * number)
    kept = {record.version for record in world.registry.versions()}
    champion = world.champion()
    assert {champion.version, champion.previous} - {None} <= kept
    assert set(names[-2:]) <= kept
    assert len(kept) < 4, "an old version is deleted"
    assert world.handle_rollback().outcome == "RolledBack"


def test_a_store_that_forbids_deleting_does_not_fail_a_training(world, caplog):
    class Forbidding:
        def __getattr__(self, name):
            return getattr(world.store, name)

        def delete(self, uri):
            raise CredentialsRefused(f"no right to delete {uri}")

    world.spec["retraining"]["retention"] = {"versions": 2}
    for number in range(1, 5):
        verdict = world.train(number, store=Forbidding(), now=NOW + dt.timedelta(days=40 * number))
        world.land(18 + 6 * number - 5, 18 + 6 * number)
    assert verdict.outcome in {"Promoted", "Rejected"}
    assert "no right to delete" in caplog.text


def test_the_model_card_is_written_as_a_page(world):
    world.spec["model"]["features"][2]["allowedValues"] = ["a", "b", "<script>"]
    record = record_of(world, world.train(1))
    page = world.registry.read_file(record, "card.html").decode()
    text = world.registry.read_file(record, "card.md").decode()
    for words in (
        record.version,
        record.manifest_sha256,
        record.fitted_sha256,
        "Better than a trivial baseline",
        "Refit",
    ):
        assert words in page
        assert words in text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_damaged_old_version_does_not_fail_a_training(world, caplog):
    first = world.train(1)
    world.spec["promotion"]["mode"] = "Manual"
    world.land(19, 24)
    second = world.train(2)
    world.store.write(f"{world.prefix}versions/{second.version}/version.json", b"{}")
    world.land(25, 30)
    third = world.train(3)
    assert third.outcome in {"AwaitingApproval", "Rejected"}
    assert world.champion().version == first.version
    assert f"a version is left out: {world.prefix}versions/{second.version}/version.json" in caplog.text


def test_a_declaration_of_an_earlier_release_is_the_same(world):
    """A champion of an earlier release, whose parameters.json lacks fields that have defaults now."""
    declared = world.parsed().retraining.estimator
    older = {"name": "LogisticRegression", "preprocessing": world.spec["retraining"]["estimator"]["preprocessing"]}
    assert same_estimator(declared, {"estimator": older})
    assert not same_estimator(declared, {"estimator": {**older, "name": "Ridge"}})
    assert not same_estimator(declared, {"estimator": {**older, "colour": "blue"}})
    assert not same_estimator(declared, {"trainer": {"image": "mine:1"}})
