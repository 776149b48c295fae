"""A check with a champion: its training window is the reference, and its score is tested."""

import datetime as dt

import numpy as np
import pytest

from modelmonitor_api.status import Champion
from modelmonitor_trainer.check import predictor as predictors
from modelmonitor_trainer.check.data import ChampionInfo
from modelmonitor_trainer.check.detectors import performance
from modelmonitor_trainer.check.predictor import Predictor
from modelmonitor_trainer.check.sources import monitor
from modelmonitor_trainer.data.windows import batches_of_partitions, partitions
from modelmonitor_trainer.errors import BadConfiguration

TRAINED = (dt.date(2013, 1, 5), dt.date(2013, 1, 24))


def probability(rows):
    return 1 / (1 + np.exp(1 - 2 * np.asarray(rows.column("x"))))


def worse(rows):
    return np.random.default_rng(0).random(rows.num_rows)


@pytest.fixture
def crowned(world, monkeypatch):
    """Make `predict` the champion of the world, trained on the days TRAINED."""
    world.spec["data"]["live"]["windowDays"] = 14
    del world.spec["data"]["reference"]

    def crown(predict, score="0.865"):
        data = world.spec["data"]
        facts = ChampionInfo(
            "v1-0badcafe",
            TRAINED,
            batches_of_partitions(partitions(world.store, data["live"]["uri"], *TRAINED)),
            batches_of_partitions(partitions(world.store, data["labels"]["uri"], *TRAINED)) if "labels" in data else (),
        )
        champion = Champion(
            version="v1-0badcafe", since=dt.datetime(2013, 2, 1, tzinfo=dt.UTC), metric="ROCAUC", score=score
        )

        def predictor_of(*_args, **_options):
            if predict is None:
                raise BadConfiguration("another image made it")
            return Predictor(("x",), ("0", "1"), predict)

        monkeypatch.setattr(monitor, "find_champion", lambda *_: (champion, facts, ""))
        monkeypatch.setattr(predictors, "predictor_of", predictor_of)
        return world

    return crown


def test_the_training_window_is_the_reference(crowned):
    verdict, result = crowned(probability).check()
    assert verdict.verdict == "NoDrift", verdict.message
    assert result.reference.title == "training window of the champion v1-0badcafe"
    assert result.reference.window == TRAINED
    assert verdict.rows.reference == 20 * 150
    assert verdict.new_rows == 16 * 150  # two of the days lie before the live window
    assert verdict.champion.version == "v1-0badcafe"


def test_a_champion_whose_score_has_not_dropped(crowned):
    verdict, result = crowned(probability).check()
    (performance,) = result.performance
    assert not verdict.performance_dropped
    assert performance.rows == 12 * 150  # the last two days are not mature
    assert performance.low < 0.865 < performance.high
    served = verdict.performance
    assert (served.metric, served.rows) == (performance.metric, performance.rows)
    assert float(served.low) < float(served.score) < float(served.high)
    assert float(served.promised) == round(performance.promotion_score, 4)
    assert {o.name: o.outcome for o in result.detectors}["performance"] == "Held"


def test_the_score_of_every_mature_day_is_reported(crowned):
    world = crowned(probability)
    verdict, result = world.check()
    periods = result.performance[0].periods
    assert [period.start for period in periods] == [TRAINED[1] + dt.timedelta(days=3 + n) for n in range(12)]
    assert all(period.rows == 150 and period.low < period.score < period.high for period in periods)
    page = world.store.read(verdict.report_uri).decode()
    assert 'aria-label="Score over time, 2013-01-27 to 2013-02-07, 12 days; worse than tolerated in 0"' in page


def test_a_metric_without_a_promotion_score_is_reported_and_not_judged(crowned):
    world = crowned(probability)
    world.spec["detectors"] = [{"name": "loss", "type": "Performance", "metric": "LogLoss"}]
    _, result = world.check()
    (outcome,) = (o for o in result.detectors if o.name == "loss")
    assert outcome.outcome == "NotTested"
    assert "no score to compare it with" in outcome.message
    assert len(result.performance[0].periods) == 12


def test_a_champion_whose_score_has_dropped(crowned):
    world = crowned(worse)
    verdict, result = world.check()
    assert verdict.performance_dropped
    assert (verdict.verdict, verdict.reason) == ("PerformanceDrop", "PerformanceDrop")
    assert verdict.message.startswith("ROC AUC has dropped to 0.")
    assert "<h1>The champion scores worse; no drift found</h1>" in world.store.read(verdict.report_uri).decode()
    assert result.performance[0].dropped


def test_rows_of_the_training_window_are_not_scored(crowned):
    world = crowned(probability)
    world.spec["data"]["live"]["windowDays"] = 30
    _, result = world.check()
    assert result.performance[0].rows == 14 * 150


def test_corrupted_rows_are_not_scored(crowned):
    world = crowned(worse)
    world.land(dt.date(2013, 2, 1), lambda r: r | {"x": r["x"] * 100})
    verdict, result = world.check()
    assert verdict.verdict == "Corrupted"
    assert result.performance == ()
    assert not verdict.performance_dropped


def test_a_model_that_cannot_be_loaded_does_not_fail_the_check(crowned):
    verdict, result = crowned(None).check()
    assert verdict.verdict == "NoDrift"
    assert result.performance[0].message == "another image made it"
    assert {o.name: o.outcome for o in result.detectors}["performance"] == "NotTested"


def test_missing_labels(crowned):
    world = crowned(probability)
    for number in range(25, 40):
        world.store.delete(
            f"{world.base}/labels/date={dt.date(2013, 1, 1) + dt.timedelta(days=number - 1)}/part.parquet"
        )
    verdict, result = world.check()
    assert not verdict.performance_dropped
    assert "0 labelled rows are too few" in result.performance[0].message
    assert result.performance[0].unmatched == 12 * 150


def test_labels_without_the_key_are_no_silence(crowned):
    world = crowned(probability)
    day = dt.date(2013, 2, 1)
    world.put(f"labels/date={day}/part.parquet", {"late": world.rows(day)[1]["late"]})
    verdict, result = world.check()
    assert verdict.verdict == "Inconclusive"
    assert "cannot be compared with labels" in verdict.message
    assert "has no column 'id'" in result.performance[0].message


@pytest.mark.parametrize(("share", "days"), [("0.5", 10), ("0.3", 12), ("0", 12)])
def test_a_day_with_few_labels_is_not_mature(crowned, share, days):
    """Labels that arrive first can be of one kind, here of rows that were not late."""
    world = crowned(probability)
    world.spec["data"]["labels"]["minShare"] = share
    for number in (33, 34):
        day = dt.date(2013, 1, 1) + dt.timedelta(days=number - 1)
        labels = world.rows(day)[1]
        world.put(f"labels/date={day}/part.parquet", {name: values[:60] for name, values in labels.items()})
    _, result = world.check()
    performance = result.performance[0]
    assert performance.rows == days * 150 - (180 if days == 12 else 0)
    assert performance.unmatched == (300 if days == 10 else 180)


def test_labels_in_the_partition_of_their_arrival(crowned):
    world = crowned(probability)
    labels = {}
    for number in range(25, 40):
        day = dt.date(2013, 1, 1) + dt.timedelta(days=number - 1)
        labels[day + dt.timedelta(days=2)] = world.rows(day)[1]
        world.store.delete(f"{world.base}/labels/date={day}/part.parquet")
    for day, columns in labels.items():
        world.put(f"labels/date={day}/part.parquet", columns)
    _, result = world.check()
    assert result.performance[0].rows == 12 * 150


def test_a_target_among_the_live_rows(crowned, world):
    del world.spec["data"]["labels"]
    for number in range(40):
        day = dt.date(2013, 1, 1) + dt.timedelta(days=number)
        late = world.rows(day)[1]["late"]
        world.land(day, lambda r, late=late: r | {"late": [None, *late[1:]]})
    _, result = crowned(probability).check()
    assert result.performance[0].rows == 14 * 149


def test_many_rows_are_sampled_evenly_from_each_day(crowned, monkeypatch):
    monkeypatch.setattr(performance, "MAX_ROWS", 600)
    _, result = crowned(probability).check()
    assert result.performance[0].rows == 600


def test_duplicate_join_keys_are_corrupted_data_and_not_scored(crowned):
    world = crowned(worse)
    world.land(dt.date(2013, 2, 3), lambda r: r | {"id": [r["id"][n // 2] for n in range(150)]})
    verdict, result = world.check()
    assert verdict.verdict == "Corrupted"
    assert "75 of 150 rows repeat a 'id' in 2013-02-03" in verdict.message
    assert result.performance == ()
    assert result.coverage is not None
    sentences = " ".join(result.coverage.sentences())
    assert "2013-02-03 (75 of 150 rows). These rows repeat the join key of another row." in sentences
    assert "No label has arrived" not in sentences


def test_bias_of_the_champions_predictions(crowned):
    world = crowned(lambda rows: np.clip(probability(rows) + 0.15, 0, 1))
    world.spec["detectors"] = [{"name": "bias", "type": "PredictionBias"}, {"name": "f", "type": "FeatureDrift"}]
    verdict, result = world.check()
    assert (verdict.verdict, result.drift.relations[0].changed[0].name) == ("Drift", "all rows")


def test_logged_predictions_of_an_earlier_model_are_not_compared(crowned, world):
    world.spec["model"]["predictionColumn"] = "score"
    world.land_days(1, 40, lambda r: r | {"score": r["x"]})
    crowned(probability)
    _, result = world.check()
    outcome = next(o for o in result.detectors if o.name == "predictions")
    assert (outcome.outcome, "no logged predictions of this model" in outcome.message) == ("NotTested", True)


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (
            lambda rows: np.full(rows.num_rows, np.nan),
            "predictions of all 1,800 labelled rows are missing or not finite",
        ),
        (
            lambda rows: np.full(rows.num_rows, np.inf),
            "predictions of all 1,800 labelled rows are missing or not finite",
        ),
    ],
)
def test_predictions_that_are_not_finite_are_no_score(crowned, predict, message):
    _, result = crowned(predict).check()
    assert result.performance[0].score is None
    assert message in result.performance[0].message


def test_scores_that_are_no_probabilities_have_a_rank_and_no_loss(crowned):
    world = crowned(lambda rows: 4 * np.asarray(rows.column("x")))
    world.spec["detectors"] = [
        {"name": "ranks", "type": "Performance"},
        {"name": "loss", "type": "Performance", "metric": "LogLoss"},
        {"name": "bias", "type": "PredictionBias"},
    ]
    _, result = world.check()
    ranks, loss = result.performance
    assert ranks.score == pytest.approx(0.865, abs=0.03)
    assert loss.score is None
    assert (
        "so they are not probabilities; log the probability of the positive class, or set metric to ROCAUC"
        in loss.message
    )
    (bias,) = (outcome for outcome in result.detectors if outcome.name == "bias")
    assert (bias.outcome, "so they are not probabilities" in bias.message) == ("NotTested", True)


def test_rows_that_are_left_out_of_the_score_are_counted(crowned):
    def some(rows):
        scores = probability(rows)
        scores[:15] = np.nan
        return scores

    _, result = crowned(some).check()
    assert result.performance[0].rows == 12 * 135
    assert result.performance[0].message.endswith(
        "; 180 rows are left out, because their prediction is missing or not finite"
    )


@pytest.mark.parametrize("change", [lambda late: np.where(late, 2, 1), lambda late: np.where(late, "late", "on time")])
def test_outcomes_that_are_no_classes_are_neither_scored_nor_averaged(crowned, change):
    world = crowned(probability)
    world.spec["detectors"] = [{"name": "score", "type": "Performance"}, {"name": "bias", "type": "PredictionBias"}]
    for number in range(25, 41):
        day = dt.date(2013, 1, 1) + dt.timedelta(days=number - 1)
        _, labels = world.rows(day)
        world.put(f"labels/date={day}/part.parquet", labels | {"late": change(labels["late"]).tolist()})
    verdict, result = world.check()
    assert not verdict.performance_dropped
    for outcome in result.detectors:
        assert outcome.outcome == "NotTested"
        assert "and the classes of the model are '0' and '1'; write the labels with the spelling" in outcome.message
