"""The digest of a fitted model: equal for equal fits in any process, different for any other."""

import os
import subprocess
import sys
import zipfile
from io import BytesIO

import pytest

# Fits models, given as seed:name, in a separate process; prints the digests of each file and of the fitted model.
PROGRAM = """
import hashlib, sys
import numpy as np
from modelmonitor_api.resource import parse
from modelmonitor_api.spec import Estimator, Feature, Task
from modelmonitor_trainer.model.pipeline import fit
from modelmonitor_trainer.registry.digest import fitted_digest
from modelmonitor_trainer.registry.model_files import Model, dump_model, read_pipeline

g = np.random.default_rng(0)
arrays = {"x": g.normal(size=300), "kind": g.choice(["a", "b", "c"], 300).astype(object)}
features = [Feature(name="x", type="Numeric"), Feature(name="kind", type="Categorical")]
for argument in sys.argv[1:]:
    seed, _, name = argument.partition(":")
    classifies = not name.endswith("Regressor") and name != "Ridge"
    task = Task.BINARY_CLASSIFICATION if classifies else Task.REGRESSION
    truth = (arrays["x"] > 0).astype(int) if classifies else arrays["x"]
    declared = parse(Estimator, {
        "name": name,
        "preprocessing": {"categoricalEncoding": "Target" if "Forest" in name else "Ordinal"},
        "calibration": "Isotonic" if name.startswith("Hist") and classifies else "None",
    })
    model = fit(declared, features, task, arrays, truth, ("0", "1") if classifies else (), seed=int(seed))
    data = dump_model(model)
    loaded = Model(read_pipeline(data), model.features, task, model.classes)
    assert fitted_digest(dump_model(loaded)) == fitted_digest(data), "reading and writing again changes nothing"
    scores = model.scores(arrays).tobytes()
    print(argument, hashlib.sha256(data).hexdigest(), fitted_digest(data), hashlib.sha256(scores).hexdigest())
"""
NAMES = [
    "HistGradientBoostingClassifier",
    "HistGradientBoostingRegressor",
    "LogisticRegression",
    "RandomForestClassifier",
    "RandomForestRegressor",
    "Ridge",
    "SGDClassifier",
    "SGDRegressor",
]


SEEDED = ["RandomForestClassifier", "SGDClassifier"]
#: Without early stopping and on few rows, nothing of these fits depends on the seed.
UNSEEDED = ["HistGradientBoostingRegressor", "LogisticRegression", "Ridge"]


def run(hash_seed, *models):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *models],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}


@pytest.fixture(scope="module")
def first():
    return run(1, *(f"0:{name}" for name in NAMES))


@pytest.fixture(scope="module")
def second():
    """The same fits in another process, which also makes two with another seed: starting Python is the larger part."""
    return run(2, *(f"0:{name}" for name in NAMES), *(f"7:{name}" for name in SEEDED + UNSEEDED))


def test_equal_fits_in_two_processes(first, second):
    for model in first:
        assert first[model][1:] == second[model][1:], model
    assert any(first[model][0] != second[model][0] for model in first), (
        "their files differ, which is why there is a digest"
    )


def test_another_seed_is_another_fit(first, second):
    for name in SEEDED:
        assert second[f"7:{name}"][1] != first[f"0:{name}"][1]


def test_a_seed_that_changes_nothing_is_no_part_of_the_fit(first, second):
    for name in UNSEEDED:
        assert second[f"7:{name}"][1] == first[f"0:{name}"][1], name


def test_one_changed_number_is_another_fit(tmp_path):
    import skops.io
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import Pipeline

    from modelmonitor_trainer.registry.digest import fitted_digest

    model = Pipeline([("model", Ridge().fit([[0.0], [1.0]], [0.0, 1.0]))])
    before = skops.io.dumps(model)
    assert zipfile.is_zipfile(BytesIO(before))
    model["model"].coef_[0] += 1e-12
    assert fitted_digest(skops.io.dumps(model)) != fitted_digest(before)
