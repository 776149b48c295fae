"""Trainings that do not fit into memory: in batches if the estimator supports them, and otherwise rejected."""

import json

import numpy as np
import pytest

from modelmonitor_api.resource import parse
from modelmonitor_api.spec import Estimator, ModelMonitorSpec, Task
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.errors import BadConfiguration, BadData
from modelmonitor_trainer.model import batches
from modelmonitor_trainer.model.batches import Batch, Source, fit_in_batches, passes_over, why_not_in_batches
from modelmonitor_trainer.registry.model_files import load_model
from modelmonitor_trainer.train import memory_estimate, stream
from modelmonitor_trainer.train import train as train_module
from modelmonitor_trainer.train.memory_estimate import (
    MemoryEstimate,
    memory_limit,
    needs_batches,
    require_memory,
)

SGD = {
    "name": "SGDClassifier",
    "preprocessing": {"numericImputation": "Median", "scaling": "Standard", "categoricalEncoding": "OneHot"},
}


def limit_memory(world, limit="1Ki"):
    """Declare less memory than any training needs."""
    world.spec["retraining"]["trainer"] = {"resources": {"limits": {"memory": limit}}}
    return world


def sgd(world, **changes):
    world.spec["retraining"]["estimator"] = SGD | changes
    return world


def parameters(world, version):
    return json.loads(world.results()[f"versions/{version}/parameters.json"])


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of two days, and a sample of a fifth of the rows."""
    monkeypatch.setattr(stream, "BATCH_CELLS", 200 * 6)
    monkeypatch.setattr(stream.batch_windows, "__defaults__", (200 * 6,))
    monkeypatch.setattr(stream, "SAMPLE_CELLS", 200 * 6)


@pytest.fixture
def few_passes(monkeypatch):
    """Fewer passes over the batches, for tests in which the score does not matter."""
    monkeypatch.setattr(batches, "passes_over", lambda _rows: 2)


@pytest.mark.usefixtures("small_batches")
def test_a_training_in_batches_scores_like_one_in_memory(world, another):
    whole = sgd(another())
    plain = whole.train()
    verdict = sgd(limit_memory(world)).train()
    assert verdict.outcome == plain.outcome == "Promoted"
    assert verdict.train_rows == plain.train_rows == 1000
    assert verdict.comparison.challenger == pytest.approx(plain.comparison.challenger, abs=0.01)
    [note] = [note for note in parameters(world, verdict.version)["notes"] if "batches" in note]
    assert note.startswith("trained in 5 batches with 20 passes")
    assert "a sample of 200 rows" in note
    assert "batches" not in str(parameters(whole, plain.version))


@pytest.mark.usefixtures("small_batches", "few_passes")
def test_a_training_in_batches_is_reproducible(world):
    one = sgd(limit_memory(world)).train(1)
    before = world.registry.find_version(one.version)
    for name in [*world.results()]:
        if name.startswith(("versions/", "champion", "tenures/", "runs/")) and "manifest" not in name:
            world.store.delete(world.prefix + name)
    again = world.train(1)
    assert world.registry.find_version(again.version).fitted_sha256 == before.fitted_sha256


@pytest.mark.usefixtures("small_batches", "few_passes")
def test_a_champion_trained_in_batches_is_compared_and_loaded(world):
    sgd(limit_memory(world)).train(1)
    world.land(19, 34)
    assert world.train(2).outcome in {"Promoted", "Rejected"}
    model = load_model(world.registry, world.champion().version)
    assert model.classes == ("0", "1")


@pytest.mark.usefixtures("small_batches")
def test_a_regression_in_batches(world):
    for day in range(1, 19):
        g = np.random.default_rng(day)
        x = g.normal(size=100)
        date = f"2013-01-{day:02d}"
        ids = [f"{date}-{row}" for row in range(100)]
        values = {"x": x, "gust": [None] * 100, "kind": ["a"] * 100, "origin": ["EWR"] * 100}
        world.put(f"rows/date={date}/part.parquet", {"id": ids, **values})
        world.put(f"labels/date={date}/part.parquet", {"id": ids, "late": 3 * x + g.normal(size=100)})
    world.spec["model"]["task"] = "Regression"
    world.spec["promotion"] |= {"metric": "R2"}
    sgd(limit_memory(world), name="SGDRegressor")
    verdict = world.train()
    assert verdict.outcome == "Promoted", verdict.message
    assert verdict.comparison.challenger > 0.85


@pytest.mark.usefixtures("small_batches", "few_passes")
def test_a_warm_start_in_batches_is_a_refit_with_a_note(world):
    world.spec["retraining"]["strategy"] = "WarmStart"
    sgd(limit_memory(world)).train(1)
    world.land(19, 34)
    verdict = world.train(2)
    assert "instead of a warm start" in str(parameters(world, verdict.version)["notes"])


@pytest.mark.usefixtures("small_batches")
def test_missing_numbers_are_rejected_as_in_memory(world):
    world.put(
        "rows/date=2013-01-05/part.parquet",
        {
            "id": [f"2013-01-05-{row}" for row in range(100)],
            "x": [None] * 10 + [-1.0, 1.0] * 45,
            "gust": [None] * 100,
            "kind": ["a", "b"] * 50,
            "origin": ["EWR"] * 100,
        },
    )
    sgd(limit_memory(world), preprocessing={"categoricalEncoding": "OneHot"})
    with pytest.raises(BadData, match="does not accept missing values"):
        world.train()


def test_batches_combine_days_up_to_the_limit(world):
    verdict = world.train()
    manifest = Manifest.from_json(world.results()[f"versions/{verdict.version}/manifest.json"], "manifest")
    windows = stream.batch_windows(manifest, columns=6, cells=3 * 600)
    assert [(b - a).days + 1 for a, b in windows] == [3, 3, 3, 1]
    assert [(b - a).days + 1 for a, b in stream.batch_windows(manifest, columns=6, cells=1)] == [1] * 10
    assert stream.batch_windows(manifest, columns=6, cells=10**9) == [manifest.train]


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        ({"name": "HistGradientBoostingClassifier"}, "needs all rows at once"),
        (SGD, None),
        (SGD | {"calibration": "Sigmoid"}, "calibration"),
        (SGD | {"preprocessing": {"categoricalEncoding": "Target"}}, "target encoding"),
        (SGD | {"parameters": [{"name": "early_stopping", "value": "true"}]}, "early_stopping"),
        (SGD | {"search": {"space": [{"name": "alpha", "values": ["0.1", "0.01"]}]}}, "search"),
    ],
)
def test_which_estimators_can_be_trained_in_batches(estimator, why):
    reason = why_not_in_batches(parse(Estimator, estimator))
    if why is None:
        assert reason is None
    else:
        assert reason
        assert why in reason


def test_batches_balance_classes_by_all_rows():
    g = np.random.default_rng(1)
    x = g.normal(size=4000)
    truth = (g.random(4000) < 0.05 / (1 + np.exp(-3 * x))).astype(np.int64)

    def read(index):
        part = slice(index * 1000, (index + 1) * 1000)
        return Batch({"x": x[part]}, truth[part])

    source = Source(4, read, 4000, np.bincount(truth))
    features = parse(ModelMonitorSpec, spec_of_x()).model.features
    averaged = [{"name": "average", "value": "true"}]
    given = {"name": "SGDClassifier", "parameters": averaged, "preprocessing": {"scaling": "Standard"}}
    shares = []
    for weights in ("None", "Balanced"):
        estimator = parse(Estimator, given | {"classWeights": weights})
        model = fit_in_batches(
            estimator, features, Task.BINARY_CLASSIFICATION, {"x": x[::7]}, source, ("0", "1"), seed=1
        )
        shares.append(float((model.pipeline.predict_proba(_frame(x))[:, 1] > 0.5).mean()))
    assert shares[0] < 0.02
    assert shares[1] > 0.2


def spec_of_x():
    return {
        "schedule": "0 6 * * *",
        "storage": {"resultsURI": "file:///r/"},
        "data": {"live": {"uri": "file:///d/%Y-%m-%d/"}},
        "model": {"task": "BinaryClassification", "target": "y", "features": [{"name": "x", "type": "Numeric"}]},
        "retraining": {"estimator": SGD},
        "promotion": {"metric": "ROCAUC"},
    }


def _frame(x):
    import pandas as pd

    return pd.DataFrame({"x": x})


def test_more_rows_need_fewer_passes():
    assert [passes_over(rows) for rows in (1, 10**5, 10**6, 10**9)] == [20, 20, 2, 2]


def test_a_training_over_the_memory_limit_is_rejected_before_a_row_is_read(world, monkeypatch):
    monkeypatch.setattr(train_module, "memory_limit", lambda: memory_estimate.BASE_BYTES + 1400 * 7 * 24)
    monkeypatch.setattr(train_module, "load_rows", lambda *_: pytest.fail("rows were read"))
    with pytest.raises(BadConfiguration) as caught:
        world.train()
    text = str(caught.value)
    assert "1,400 rows of 6 columns" in text
    assert "raise retraining.trainer.resources.limits.memory" in text
    assert "lower retraining.windowDays to about 5" in text
    assert "SGDClassifier or SGDRegressor" in text


def test_calibration_that_prevents_batches_is_named(world, monkeypatch):
    monkeypatch.setattr(train_module, "memory_limit", lambda: 1)
    sgd(world, calibration="Sigmoid")
    with pytest.raises(BadConfiguration, match=r"cannot be trained in batches either: calibration needs"):
        world.train()


def test_a_training_within_the_memory_limit_is_accepted(world):
    spec = world.parsed()
    require_memory(spec, MemoryEstimate(10**6, 10**5, 10), None)
    require_memory(spec, MemoryEstimate(10**6, 10**5, 10), 2**30)
    assert not needs_batches(spec, MemoryEstimate(10**9, 1, 10))
    assert needs_batches(sgd(world).parsed(), MemoryEstimate(10**9, 1, 10))
    assert not needs_batches(sgd(world).parsed(), MemoryEstimate(10**6, 1, 10))


def test_the_memory_limit_of_a_container(tmp_path):
    machine = memory_limit(tmp_path)
    assert machine is not None
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_limit(tmp_path) == machine
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert memory_limit(tmp_path) == 2**30
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text("536870912\n")
    assert memory_limit(tmp_path) == 2**29
