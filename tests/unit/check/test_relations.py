"""Predictions, correlations and ablation in the check of a monitor."""

import datetime as dt

import numpy as np
import pytest

FIRST = dt.date(2013, 1, 1)


def scored(shift=0.0):
    def change(rows):
        score = 1 / (1 + np.exp(1 - 2 * np.asarray(rows["x"])))
        return rows | {"score": np.clip(score + shift, 0, 1), "origin": ["JFK"] * len(score)}

    return change


def outcome(result, name):
    return next(o for o in result.detectors if o.name == name)


@pytest.fixture
def logged(world):
    """The world, with logged predictions."""
    world.spec["model"]["predictionColumn"] = "score"
    world.spec["model"]["slices"] = ["origin"]
    world.land_days(1, 40, scored())
    return world


def test_logged_predictions_are_compared_by_default(logged):
    verdict, result = logged.check()
    assert (verdict.verdict, outcome(result, "predictions").outcome) == ("NoDrift", "NoDrift")
    logged.land_days(34, 40, scored(0.4))
    verdict, result = logged.check()
    assert verdict.verdict == "Drift"
    assert outcome(result, "predictions").outcome == "Drift"
    assert next(c for c in result.drift.columns if c.drifted).comparison.role == "Prediction"


def test_bias_of_logged_predictions(logged):
    logged.spec["detectors"] = [{"name": "bias", "type": "PredictionBias"}, {"name": "f", "type": "FeatureDrift"}]
    verdict, result = logged.check()
    assert (verdict.verdict, outcome(result, "bias").outcome) == ("NoDrift", "NoDrift"), verdict.message
    logged.land_days(34, 40, scored(0.2))
    verdict, result = logged.check()
    assert (verdict.verdict, outcome(result, "bias").outcome) == ("Drift", "Drift")
    assert "mean prediction against mean outcome (outcome to prediction): " in verdict.message
    assert "origin=JFK" in verdict.message


def test_correlations_are_stored_and_a_change_is_detected(world):
    world.spec["detectors"] = [{"name": "pairs", "type": "CorrelationDrift"}, {"name": "f", "type": "FeatureDrift"}]
    verdict, result = world.check()
    assert (verdict.verdict, outcome(result, "pairs").outcome) == ("NoDrift", "NoDrift"), verdict.message
    kept = list(world.store.list(f"{world.base}/results/ns/mon/profiles/"))
    world.check()
    assert len(list(world.store.list(f"{world.base}/results/ns/mon/profiles/"))) == len(kept)
    world.land_days(34, 40, lambda r: r | {"z": 0.6 * np.asarray(r["x"]) + 0.8 * np.asarray(r["z"])})
    verdict, result = world.check()
    assert verdict.verdict == "Drift"
    assert "Relationships between columns have changed: Pearson correlations: x and z" in verdict.message


def test_ablation_names_the_broken_relationship(world):
    world.spec["data"]["live"]["windowDays"] = 10
    world.spec["detectors"] = [{"name": "ablation", "type": "Ablation"}, {"name": "f", "type": "FeatureDrift"}]
    _, result = world.check()
    assert outcome(result, "ablation").outcome == "NoDrift"
    g = np.random.default_rng(0)
    for number in range(31, 41):
        world.land(FIRST + dt.timedelta(days=number - 1), lambda r: r | {"x": g.permutation(r["x"])})
    verdict, result = world.check()
    assert verdict.verdict == "Drift"
    assert "x alone" in verdict.message


def test_a_changed_unit_and_missing_values_are_both_named(world):
    def warm(rows):
        return rows | {"z": 60 + np.asarray(rows["z"]) * 5}

    world.land_days(1, 40, warm)
    last = FIRST + dt.timedelta(days=39)

    def broken(rows):
        z = (warm(rows)["z"] - 32) / 1.8
        return rows | {"z": z, "x": [None if i % 2 else v for i, v in enumerate(rows["x"])]}

    world.land(last, broken)
    verdict, _ = world.check(now=dt.datetime(2013, 2, 10, 6, tzinfo=dt.UTC))
    assert verdict.verdict == "Corrupted"
    assert "'z' looks like °C for °F in 2013-02-09" in verdict.message
    assert "'x' lacks 50 % of its values" in verdict.message


def test_a_day_with_too_few_rows(world):
    world.land(FIRST + dt.timedelta(days=38), lambda r: {k: v[:20] for k, v in r.items()})
    verdict, _ = world.check()
    assert verdict.verdict == "Corrupted"
    assert "2013-02-08 has 20 rows, far fewer" in verdict.message
