"""A spec that declares something else than the champion was trained on: a training can learn it."""

import datetime as dt

import numpy as np
import pytest

from modelmonitor_api.messages import TrainRequest
from modelmonitor_trainer.train.train import train

NOW = dt.datetime(2013, 2, 10, 6, tzinfo=dt.UTC)
LATER = dt.datetime(2013, 3, 12, 6, tzinfo=dt.UTC)


def run_training(world, number, now):
    request = TrainRequest(monitor=world.request().monitor, spec=world.parsed(), number=number, reason="Requested")
    return train(world.store, request, job=f"mon-train-{number}", now=now)


def as_letters(rows):
    return rows | {"z": np.array(["low", "high"])[(np.asarray(rows["z"]) > 0).astype(int)]}


def as_numbers(rows):
    return rows | {"kind": np.array([10.0, 20.0, 30.0])[np.searchsorted(["a", "b", "c"], rows["kind"])]}


@pytest.mark.parametrize(
    ("change", "declared"),
    [
        (as_letters, {"name": "z", "type": "Categorical"}),
        (as_numbers, {"name": "kind", "type": "Numeric"}),
    ],
)
def test_a_feature_of_another_type_can_be_declared_and_learnt(world, change, declared):
    world.spec["promotion"]["nonInferiorityMargin"] = "0.05"
    world.spec["retraining"]["estimator"] = {"name": "HistGradientBoostingClassifier"}
    assert run_training(world, 1, NOW).outcome == "Promoted"
    world.land_days(41, 70, change)
    verdict, _ = world.check(now=LATER)
    assert verdict.verdict == "Corrupted"
    features = world.spec["model"]["features"]
    world.spec["model"]["features"] = [declared if f["name"] == declared["name"] else f for f in features]
    verdict, _ = world.check(now=LATER)
    assert verdict.verdict in {"Drift", "ChampionUnusable"}, verdict.message
    verdict = run_training(world, 2, LATER)
    assert verdict.outcome == "Promoted", verdict.message
    verdict, _ = world.check(now=LATER)
    assert verdict.verdict == "NoDrift", verdict.message
