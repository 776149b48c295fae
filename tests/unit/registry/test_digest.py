"""The digest of what was fitted: equal for equal fits in any process, different for any other."""

import os
import subprocess
import sys
import zipfile
from io import BytesIO

import pytest

# Fits a model in a process of its own and prints the digests of its file and of what was fitted.
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
for name in sys.argv[2:]:
    classifies = not name.endswith("Regressor") and name != "Ridge"
    task = Task.BINARY_CLASSIFICATION if classifies else Task.REGRESSION
    truth = (arrays["x"] > 0).astype(int) if classifies else arrays["x"]
    declared = parse(Estimator, {
        "name": name,
        "preprocessing": {"categoricalEncoding": "Target" if "Forest" in name else "Ordinal"},
        "calibration": "Isotonic" if name.startswith("Hist") and classifies else "None",
    })
    model = fit(declared, features, task, arrays, truth, ("0", "1") if classifies else (), seed=int(sys.argv[1]))
    data = dump_model(model)
    travelled = Model(read_pipeline(data), model.features, task, model.classes)
    assert fitted_digest(dump_model(travelled)) == fitted_digest(data), "reading and writing again changes nothing"
    scores = model.scores(arrays).tobytes()
    print(name, hashlib.sha256(data).hexdigest(), fitted_digest(data), hashlib.sha256(scores).hexdigest())
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


def run(hash_seed, seed=0, names=NAMES):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(seed), *names],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}


@pytest.fixture(scope="module")
def first():
    return run(1)


def test_equal_fits_in_two_processes(first):
    second = run(2)
    for name in NAMES:
        assert first[name][1:] == second[name][1:], name
    assert any(first[name][0] != second[name][0] for name in NAMES), (
        "their files differ, which is why there is a digest"
    )


def test_another_seed_is_another_fit(first):
    other = run(1, seed=7, names=["RandomForestClassifier", "SGDClassifier"])
    for name, result in other.items():
        assert result[1] != first[name][1]


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
