"""Multiclass and regression monitors: scores of two trainings compared with scikit-learn on the stored files."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn import metrics as sk

from modelmonitor_api.messages import CheckRequest
from modelmonitor_trainer.check.publish import publish_check
from modelmonitor_trainer.registry.model_files import TRUSTED_TYPES
from modelmonitor_trainer.storage.local import path_of
from unit.train.conftest import FIRST, NOW

CLASSES = np.array(["early", "late", "ok"])
FEATURES = [{"name": "x", "type": "Numeric"}, {"name": "kind", "type": "Categorical"}]
PARAMETERS = {
    "MulticlassClassification": ("LogisticRegression", "LogLoss"),
    "Regression": ("Ridge", "RootMeanSquaredError"),
}


class Lake:
    """Days of rows whose outcome is a class or a value; `turn` is the sign of the effect of x."""

    def __init__(self, world, task):
        self.world, self.task = world, task
        estimator, metric = PARAMETERS[task]
        world.spec["model"] |= {"task": task, "target": "outcome", "features": FEATURES}
        world.spec["promotion"] |= {"metric": metric, "nonInferiorityMargin": "0.05", "minSliceRows": 100}
        steps = {"numericImputation": "Median", "categoricalEncoding": "OneHot"}
        world.spec["retraining"]["estimator"] = {"name": estimator, "preprocessing": steps}

    def land(self, first, last, turn=1.0):
        for number in range(first, last + 1):
            day = FIRST + dt.timedelta(days=number - 1)
            g = np.random.default_rng(number)
            x, noise = g.normal(size=100), g.normal(size=100)
            kind = g.choice(["a", "b"], 100)
            signal = turn * 2 * x + (kind == "a") + noise
            outcome = np.digitize(signal, [-0.8, 1.2]) if self.task != "Regression" else 10 + 3 * signal
            ids = [f"{day}-{row}" for row in range(100)]
            rows = {"id": ids, "x": x, "kind": kind.tolist(), "origin": g.choice(["EWR", "JFK"], 100).tolist()}
            self.world.put(f"rows/date={day}/part.parquet", rows)
            # Labels come in another order, and three rows have none.
            order = g.permutation(100)[3:]
            labels_of_rows = CLASSES[[0, 2, 1]][outcome] if self.task != "Regression" else outcome
            labels = {"id": [ids[index] for index in order], "outcome": labels_of_rows[order].tolist()}
            self.world.put(f"labels/date={day}/part.parquet", labels)

    def joined(self, window):
        """Return the labelled rows of a window, read and joined by pandas alone."""
        days = pd.date_range(*window).strftime("%Y-%m-%d")
        rows, labels = (
            pd.concat([pd.read_parquet(path_of(f"{self.world.base}/{kind}/date={day}/part.parquet")) for day in days])
            for kind in ("rows", "labels")
        )
        return rows.merge(labels, on="id", sort=False)

    def scores(self, version, rows):
        """Return the predictions of a stored model, computed with skops and scikit-learn alone."""
        record = self.world.registry.version(version)
        pipeline = skops.io.loads(self.world.registry.read_file(record, "model.skops"), trusted=sorted(TRUSTED_TYPES))
        features = rows[["x", "kind"]].astype({"kind": object})
        return pipeline.predict_proba(features) if self.task != "Regression" else pipeline.predict(features)

    def expected(self, rows, scores):
        """Return scikit-learn's figures."""
        truth = rows["outcome"]
        if self.task == "Regression":
            return {
                "R²": sk.r2_score(truth, scores),
                "mean absolute error": sk.mean_absolute_error(truth, scores),
                "root mean squared error": sk.root_mean_squared_error(truth, scores),
            }
        predicted = CLASSES[scores.argmax(axis=1)]
        return {
            "ROC AUC": sk.roc_auc_score(truth, scores, multi_class="ovr", labels=CLASSES),
            "accuracy": sk.accuracy_score(truth, predicted),
            "balanced accuracy": sk.balanced_accuracy_score(truth, predicted),
            "F1": sk.f1_score(truth, predicted, average="macro"),
            "log loss": sk.log_loss(truth, scores, labels=CLASSES),
        }


@pytest.fixture(params=PARAMETERS)
def lake(request, world):
    lake = Lake(world, request.param)
    lake.land(1, 18)
    return lake


def test_scores_agree_with_scikit_learn(lake):
    world = lake.world
    first = world.train(1)
    assert (first.outcome, first.reason) == ("Promoted", "FirstModel"), first.message
    lake.land(19, 40, turn=-1.0)
    second = world.train(2)
    assert (second.outcome, second.reason) == ("Promoted", "Better"), second.message
    record = world.registry.version(second.version)
    comparison = json.loads(world.registry.read_file(record, "comparison.json"))
    manifest = world.registry.manifest(world.registry.version(second.version))
    rows = lake.joined(manifest.holdout)
    assert second.holdout_rows == len(rows) == 4 * 97
    by_metric = {row["metric"]: row for row in comparison["metrics"]}
    for model, version in (("champion", first.version), ("challenger", second.version)):
        figures = lake.expected(rows, lake.scores(version, rows))
        assert figures.keys() == by_metric.keys()
        for name, value in figures.items():
            assert by_metric[name][model] == pytest.approx(value, rel=1e-9), (model, name)
    assert {(part["value"], part["decides"]) for part in comparison["slices"]} == {("EWR", True), ("JFK", True)}
    for part in comparison["slices"]:
        of_slice = rows[rows["origin"] == part["value"]]
        assert part["rows"] == len(of_slice)
        figure = lake.expected(of_slice, lake.scores(second.version, of_slice))[comparison["metricTitle"]]
        assert part["challenger"] == pytest.approx(figure, rel=1e-9)
    assert second.comparison.challenger == by_metric[comparison["metricTitle"]]["challenger"]
    assert comparison["champion"]["low"] < comparison["champion"]["value"] < comparison["champion"]["high"]


def test_a_worse_challenger_is_rejected(lake):
    """It is trained on days with a reversed relationship, and scored on days without."""
    world = lake.world
    first = world.train(1)
    lake.land(19, 30, turn=-1.0)
    lake.land(31, 36)
    second = world.train(2)
    assert (second.outcome, second.reason) == ("Rejected", "NotBetterThanBaseline"), second.message
    lake.land(25, 30)
    world.spec["retraining"]["windowDays"] = 14
    third = world.train(3)
    assert third.outcome == "Rejected", third.message
    assert world.champion().version == first.version


def check(world):
    request = CheckRequest(monitor=world.monitor, spec=world.parsed())
    return publish_check(world.store, request, job="local", now=NOW)


def test_a_promotion_changes_the_reference_and_the_promotion_score(lake):
    """Data that had drifted match the new reference, and scores are compared with that of the new champion."""
    world = lake.world
    first = world.train(1)
    lake.land(19, 40, turn=-1.0)
    verdict, result = check(world)
    before = world.registry.manifest(world.registry.version(first.version))
    assert result.reference.window == before.train
    assert verdict.performance_dropped, verdict.message
    second = world.train(2)
    assert second.outcome == "Promoted"
    lake.land(41, 54, turn=-1.0)
    verdict, result = check(world)
    after = world.registry.manifest(world.registry.version(second.version))
    assert result.reference.window == after.train != before.train
    assert verdict.champion.version == second.version
    assert result.performance[0].promotion_score == pytest.approx(second.comparison.challenger, rel=1e-5)
    assert not verdict.performance_dropped, verdict.message
    assert verdict.verdict == "NoDrift", verdict.message
