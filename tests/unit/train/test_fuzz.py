"""Any training ends in an outcome or a sentence, and no promoted model is clearly worse than the champion.

Random targets, classes, features and estimators. The suite tries a few; ``make fuzz`` tries new ones for an hour.
"""

from __future__ import annotations

import contextlib
import io
import os
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.registry.model_files import load_model
from unit.train.conftest import World

EXAMPLES = max(1, int(os.environ.get("FUZZ_EXAMPLES", "60")) // 10)
OUTCOMES = ("Promoted", "Rejected", "Inconclusive", "AwaitingApproval")
#: By how much more than the margin a promoted model can score worse on fresh rows by chance.
TOLERANCE = 0.06

CLASSIFIERS = ["HistGradientBoostingClassifier", "LogisticRegression", "RandomForestClassifier", "SGDClassifier"]
REGRESSORS = ["HistGradientBoostingRegressor", "Ridge", "RandomForestRegressor", "SGDRegressor"]
#: What can be wrong with single values of a day.
ODDITIES: dict[str, Any] = {
    "huge": lambda _, x: np.where(np.arange(x.size) == 3, 1.7e308, x),
    "large": lambda _, x: np.where(np.arange(x.size) == 3, 1e25, x),
    "infinite": lambda _, x: np.where(np.arange(x.size) < 3, -np.inf, x),
    "missing": lambda g, x: np.where(g.random(x.size) < 0.2, np.nan, x),
    "constant": lambda _, x: np.full(x.size, 7.0),
    "all missing": lambda _, x: np.full(x.size, np.nan),
    "small": lambda _, x: x * 1e-300,
    "integers": lambda _, x: np.round(x).astype(np.int64),
    "booleans": lambda _, x: x > 0,
    "text": lambda _, x: np.array([f"{value:.3f}" for value in x], dtype=object),
}
#: How classes are written, and what else occurs among them.
SPELLINGS: dict[str, Any] = {
    "numbers": lambda place: place,
    "words": lambda place: f"class {place}",
    "truth": lambda place: place > 0,
    "NA": lambda place: ["NA", "null", ""][place % 3] + ("x" if place > 2 else ""),
    "fractions": lambda place: place / 2,
}

worlds = st.fixed_dictionaries(
    {
        "task": st.sampled_from(["BinaryClassification", "MulticlassClassification", "Regression"]),
        "estimator": st.integers(0, 3),
        "imputation": st.sampled_from(["None", "Median", "Mean"]),
        "scaling": st.sampled_from(["None", "Standard"]),
        "encoding": st.sampled_from(["Ordinal", "OneHot", "Target"]),
        "calibration": st.sampled_from(["None", "None", "Sigmoid"]),
        "weights": st.sampled_from(["None", "Balanced"]),
        "spelling": st.sampled_from([*SPELLINGS]),
        "rare": st.sampled_from([None, None, 0.0, 0.002, 0.05]),
        "oddities": st.lists(st.tuples(st.sampled_from([*ODDITIES]), st.integers(1, 18)), max_size=2),
        "later": st.lists(st.tuples(st.sampled_from([*ODDITIES]), st.integers(19, 30)), max_size=2),
        "coarse": st.booleans(),
        "seed": st.integers(0, 2**20),
    }
)


def spec_of(case, base):
    regression = case["task"] == "Regression"
    estimator: dict[str, Any] = {
        "name": (REGRESSORS if regression else CLASSIFIERS)[case["estimator"]],
        "preprocessing": {
            "numericImputation": case["imputation"],
            "scaling": case["scaling"],
            "categoricalEncoding": case["encoding"],
        },
    }
    if not regression:
        estimator |= {"calibration": case["calibration"], "classWeights": case["weights"]}
    if estimator["name"].startswith("RandomForest"):
        estimator["parameters"] = [{"name": "n_estimators", "value": "10"}]
    if estimator["name"].startswith("HistGradient"):
        estimator["parameters"] = [{"name": "max_iter", "value": "15"}]
    metric = {"BinaryClassification": "ROCAUC", "MulticlassClassification": "LogLoss", "Regression": "R2"}[case["task"]]
    return base | {
        "data": {"live": base["data"]["live"]},
        "model": {
            "task": case["task"],
            "target": "y",
            "features": [
                {"name": "x", "type": "Numeric"},
                {"name": "z", "type": "Numeric"},
                {"name": "kind", "type": "Categorical"},
            ],
        },
        "retraining": {"windowDays": 14, "estimator": estimator},
        "promotion": {"metric": metric, "holdoutDays": 4, "minHoldoutRows": 100},
    }


def signal(g, rows):
    return g.normal(size=rows), g.normal(size=rows)


def rows_of(case, number, oddities, rows=60):
    """Return the columns of a day, and the outcome as a number before it is spelled."""
    g = np.random.default_rng([case["seed"], number])
    x, z = signal(g, rows)
    if case["coarse"]:
        x = np.round(x)
    latent = x + 0.5 * z + 0.7 * g.normal(size=rows)
    place = np.digitize(latent, [0.0] if case["task"] == "BinaryClassification" else [-0.7, 0.7])
    if case["rare"] is not None and case["task"] != "Regression":
        # A class of a few rows: one in all days, a few of them, or some on each day.
        chosen = g.random(rows) < case["rare"] if case["rare"] else np.arange(rows) < (number == 7)
        place = np.where(chosen, 5, place)
    columns: dict[str, Any] = {"x": x, "z": z, "kind": g.choice(["a", "b", "NA"], rows)}
    for name, day in oddities:
        if day == number:
            columns["z"] = ODDITIES[name](g, z)
    spell = SPELLINGS[case["spelling"]]
    columns["y"] = latent if case["task"] == "Regression" else [spell(int(value)) for value in place]
    return columns, place


def train(world):
    """Train on the command line; return the exit code and what was printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["train", "-f", world.file()])
    return code, out.getvalue(), err.getvalue()


def require_sentence(code, out, err, case):
    assert "Traceback" not in out + err, (case, err)
    assert code in {0, 2}, (case, err)
    if code == 0:
        assert out.startswith(OUTCOMES), (case, out)
        assert not {"nan", "inf"} & set(out.replace(",", " ").split()), (case, out)
    else:
        assert err.strip().splitlines()[-1].startswith("modelmonitor: "), (case, err)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(worlds)
def test_any_training_ends_in_an_outcome_or_a_sentence(tmp_path_factory, case):
    world = World(tmp_path_factory.mktemp("world"))
    world.spec = spec_of(case, world.spec)

    def land(first, last, oddities):
        for number in range(first, last + 1):
            columns, _ = rows_of(case, number, oddities)
            arrays = {name: pa.array(values) for name, values in columns.items()}
            world.put(f"rows/date=2013-01-{number:02}/part.parquet", arrays)

    land(1, 18, case["oddities"])
    code, out, err = train(world)
    require_sentence(code, out, err, case)
    before = world.champion()
    land(19, 30, case["later"])
    code, out, err = train(world)
    require_sentence(code, out, err, case)
    after = world.champion()
    if before is None or after is None or after.version == before.version or case["task"] != "BinaryClassification":
        return
    columns, place = rows_of(case | {"rare": None, "spelling": "numbers"}, 99, (), rows=3000)
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    old, new = (
        metrics.roc_auc_score(place, load_model(world.registry, pointer.version).predict_scores(table))
        for pointer in (before, after)
    )
    assert new > old - TOLERANCE, (case, old, new)
