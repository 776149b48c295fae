"""Warm starts: training continues on new rows, leaves the champion unchanged, and is reproducible from stored files."""

import numpy as np
import pytest

from modelmonitor_api.resource import parse
from modelmonitor_api.spec import Estimator, EstimatorName, Feature, Task, WarmStart
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.model.pipeline import Model, fit
from modelmonitor_trainer.model.warm_start import continue_training
from modelmonitor_trainer.registry.digest import fitted_digest
from modelmonitor_trainer.registry.model_files import dump_model, read_pipeline

FEATURES = [Feature(name="x", type="Numeric"), Feature(name="kind", type="Categorical")]
STEPS = {"numericImputation": "Median", "scaling": "Standard", "categoricalEncoding": "OneHot"}
TASKS = [Task.BINARY_CLASSIFICATION, Task.MULTICLASS_CLASSIFICATION, Task.REGRESSION]
SETTINGS = WarmStart(batch_rows=100, new_trees=15)


def declared(name, **more):
    parameters = [{"name": "n_estimators", "value": "30"}] if "Forest" in name else []
    return parse(Estimator, {"name": name, "parameters": parameters, "preprocessing": STEPS, **more})


def rows(seed, count=1500, sign=1):
    g = np.random.default_rng(seed)
    x, kind = g.normal(size=count), g.choice(["a", "b"], count).astype(object)
    return {"x": x, "kind": kind}, sign * (x + (kind == "a")) + 0.3 * g.normal(size=count)


def truth_of(signal, task):
    return {
        Task.REGRESSION: signal,
        Task.BINARY_CLASSIFICATION: (signal > 0.5).astype(int),
        Task.MULTICLASS_CLASSIFICATION: np.digitize(signal, [0.0, 1.0]),
    }[task]


def classes_of(task):
    return {Task.REGRESSION: (), Task.BINARY_CLASSIFICATION: ("0", "1")}.get(task, ("a", "b", "c"))


def quality(model, arrays, truth):
    scores = model.scores(arrays)
    if model.task is Task.REGRESSION:
        return np.corrcoef(scores, truth)[0, 1]
    return np.mean((scores.argmax(axis=1) if scores.ndim == 2 else scores > 0.5) == truth)


@pytest.mark.parametrize(("family", "task"), [(family, task) for family in ("SGD", "RandomForest") for task in TASKS])
def test_a_warm_start_learns_from_new_rows(family, task):
    name = family + ("Regressor" if task is Task.REGRESSION else "Classifier")
    estimator = declared(name)
    arrays, signal = rows(0)
    first = fit(estimator, FEATURES, task, arrays, truth_of(signal, task), classes_of(task), seed=0)
    later, reversed_signal = rows(1, sign=-1)
    test, signal = rows(2, sign=-1)
    before = first.scores(test).tobytes()
    days = np.arange(len(reversed_signal)) // 100
    second = continue_training(first, estimator, later, truth_of(reversed_signal, task), days, SETTINGS)
    third = continue_training(second, estimator, later, truth_of(reversed_signal, task), days, SETTINGS)
    qualities = [quality(model, test, truth_of(signal, task)) for model in (first, third)]
    assert qualities[1] > qualities[0] + 0.2, qualities
    assert first.scores(test).tobytes() == before, "the champion stays as it was"
    stored = Model(read_pipeline(dump_model(first)), first.features, task, first.classes)
    again = continue_training(stored, estimator, later, truth_of(reversed_signal, task), days, SETTINGS)
    assert again.scores(test).tobytes() == second.scores(test).tobytes()
    assert fitted_digest(dump_model(again)) == fitted_digest(dump_model(second))
    assert fitted_digest(dump_model(first)) != fitted_digest(dump_model(second))


def test_a_forest_keeps_its_size():
    estimator = declared("RandomForestClassifier")
    arrays, signal = rows(0)
    truth = truth_of(signal, Task.BINARY_CLASSIFICATION)
    model = fit(estimator, FEATURES, Task.BINARY_CLASSIFICATION, arrays, truth, ("0", "1"), seed=0)
    days = np.zeros(len(truth), dtype=np.int64)
    for new, kept in ((10, 20), (500, 0)):
        after = continue_training(model, estimator, arrays, truth, days, WarmStart(new_trees=new))
        trees = after.pipeline["model"].estimators_
        assert len(trees) == after.pipeline["model"].n_estimators == 30
        old = [tree.tree_.threshold.tobytes() for tree in model.pipeline["model"].estimators_]
        assert sum(tree.tree_.threshold.tobytes() in old for tree in trees) == kept
        assert after.pipeline["model"].warm_start is False


def test_mini_batches_follow_the_days_and_not_the_order_of_rows():
    estimator = declared("SGDClassifier", classWeights="Balanced")
    arrays, signal = rows(0)
    truth = truth_of(signal, Task.BINARY_CLASSIFICATION)
    model = fit(estimator, FEATURES, Task.BINARY_CLASSIFICATION, arrays, truth, ("0", "1"), seed=0)
    days = np.arange(len(truth))
    forward = continue_training(model, estimator, arrays, truth, days, SETTINGS)
    back = {name: values[::-1] for name, values in arrays.items()}
    backward = continue_training(model, estimator, back, truth[::-1], days[::-1], SETTINGS)
    assert forward.scores(arrays).tobytes() == backward.scores(arrays).tobytes()


@pytest.mark.parametrize("name", [name for name in EstimatorName if not name.starts_warm])
def test_estimators_without_warm_starts_are_rejected(name):
    task = Task.BINARY_CLASSIFICATION if name.is_classifier else Task.REGRESSION
    estimator = declared(name.value)
    arrays, signal = rows(0, 200)
    truth = truth_of(signal, task)
    model = fit(estimator, FEATURES, task, arrays, truth, classes_of(task), seed=0)
    with pytest.raises(BadConfiguration, match=r"does not support warm starts.*Refit"):
        continue_training(model, estimator, arrays, truth, np.zeros(200, dtype=np.int64), SETTINGS)
