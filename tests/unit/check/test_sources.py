"""The same rows as partitions of a monitor and as files: one pipeline, so the same numbers.

Performance is not among the detectors: it compares with the promotion score of a champion, which only a monitor has.
"""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.messages import CheckRequest, MonitorRef
from modelmonitor_api.resource import parse
from modelmonitor_api.spec import ModelMonitorSpec, Sensitivity
from modelmonitor_trainer.check.detectors import ablation, prediction_bias
from modelmonitor_trainer.check.pipeline import check_files, check_monitor
from modelmonitor_trainer.check.sources.files import Files
from modelmonitor_trainer.detect import ablation as small_models
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store

FIRST, DAYS, CURRENT = dt.date(2013, 1, 1), 38, dt.date(2013, 2, 1)
NOW = dt.datetime(2013, 2, 8, 6, tzinfo=dt.UTC)
#: Days whose file can have no rows: one within the window, and its last.
EMPTY = (dt.date(2013, 2, 4), dt.date(2013, 2, 7))
DETECTORS = {
    "contract": "DataQuality",
    "features": "FeatureDrift",
    "target": "TargetDrift",
    "predictions": "PredictionDrift",
    "bias": "PredictionBias",
    "correlations": "CorrelationDrift",
    "ablation": "Ablation",
}
TASKS = {
    "binary": "BinaryClassification",
    "zero or one": "BinaryClassification",
    "values": "Regression",
    "counts": "Regression",
    "classes": "MulticlassClassification",
    "class numbers": "MulticlassClassification",
}


@pytest.fixture(autouse=True)
def fast_ablation(monkeypatch):
    """Fit fewer trees for each relationship; both sources use the same models."""
    model = small_models._model
    monkeypatch.setattr(small_models, "_model", lambda *args: model(*args).set_params(max_iter=10))


def rows_of(day, task, *, moved=False, broken=False, empty=False):
    """Return the rows of a day: features, the target, and a prediction of it."""
    g = np.random.default_rng(day.toordinal())
    count = 200
    x, z = g.normal(size=count), g.normal(size=count)
    sign = -1 if moved else 1
    if moved:
        z = 0.6 * x + 0.8 * z
    chance = 1 / (1 + np.exp(-2 * x))
    outcome = g.random(count) < (1 - chance if moved else chance)
    target = {
        "binary": outcome,
        "values": sign * x + 0.3 * g.normal(size=count),
        "classes": np.where(outcome, "late", np.where(z > 1, "early", "on time")),
        "zero or one": outcome.astype(np.int64),
        "counts": np.round(2 + sign * x).clip(0, 4).astype(np.int64),
        "class numbers": np.where(outcome, 2, np.where(z > 1, 0, 1)),
    }[task]
    prediction = {
        "binary": np.clip(chance + (0.1 if moved else 0), 0, 1),
        "values": x,
        "classes": np.where(x > 0, "late", "on time"),
        "zero or one": np.clip(chance + (0.1 if moved else 0), 0, 1),
        "counts": 2 + x,
        "class numbers": np.where(x > 0, 2, 1),
    }[task]
    kind = g.choice(["a", "b", "c"], count, p=[0.2, 0.3, 0.5] if moved else [0.4, 0.3, 0.3])
    columns = {"x": pa.array(x), "z": pa.array(z), "kind": pa.array(kind.tolist())}
    columns["z"] = pa.array(z, mask=g.random(count) < (0.9 if broken else 0.02))
    rows = pa.table(columns | {"outcome": pa.array(target.tolist()), "prediction": pa.array(prediction.tolist())})
    return rows.slice(0, 0) if empty and day in EMPTY else rows


def both_results(folder, task, **change):
    """Return the results of a check of a monitor and of files, over the same objects."""
    for number in range(DAYS):
        day = FIRST + dt.timedelta(days=number)
        current = day >= CURRENT
        path = folder / f"rows/date={day}"
        path.mkdir(parents=True)
        changed = {key: value and current for key, value in change.items()}
        pq.write_table(rows_of(day, task, **changed), path / "part.parquet")
    store, base = open_store(None), uri_of(folder)
    regression = TASKS[task] == "Regression"
    spec = {
        "schedule": "0 6 * * *",
        "storage": {"resultsURI": f"{base}/results/"},
        "data": {
            "live": {"uri": f"{base}/rows/date=%Y-%m-%d/", "windowDays": 7},
            "reference": {"start": FIRST.isoformat(), "end": "2013-01-31"},
        },
        "model": {
            "task": TASKS[task],
            "target": "outcome",
            "predictionColumn": "prediction",
            "features": [
                {"name": "x", "type": "Numeric"},
                {"name": "z", "type": "Numeric"},
                {"name": "kind", "type": "Categorical"},
            ],
        },
        "detectors": [{"name": name, "type": kind} for name, kind in DETECTORS.items()],
        "retraining": {"windowDays": 20, "estimator": {"name": "Ridge" if regression else "LogisticRegression"}},
        "promotion": {"metric": "RootMeanSquaredError" if regression else "Accuracy", "holdoutDays": 7},
    }
    ref = MonitorRef(namespace="ns", name="mon", uid="u")
    request = CheckRequest(monitor=ref, spec=parse(ModelMonitorSpec, spec))
    files = Files(f"{base}/rows/date=2013-01-*", f"{base}/rows/date=2013-02-*", "outcome", "prediction", True, True)
    return (
        check_monitor(store, request, due=NOW, now=NOW),
        check_files(store, files, Sensitivity(), 1.0, now=NOW),
    )


def numbers(result):
    """Return everything that a check decides, without its words."""
    drift = result.drift
    columns = {
        (column.name, column.comparison.role): (
            [(t.what, t.evidence, t.adjusted_p, t.ordinary, t.limit, t.drifted, t.doubts) for t in column.tests],
            (column.stability, column.jensen_shannon),
        )
        for column in drift.columns
    }
    families = {
        (family.detector, index): (family.type, family.subjects, family.adjusted_p, family.drifted, family.tested)
        for index, family in enumerate(drift.relations)
    }
    return {
        "verdict": (result.verdict.verdict, result.verdict.reason),
        "outcomes": {outcome.name: outcome.outcome for outcome in result.detectors},
        "violations": [(violation.kind, violation.column, len(violation.blocks)) for violation in result.violations],
        "level": (drift.level, drift.tests, drift.detectable, drift.rows_needed),
        "columns": columns,
        "families": families,
    }


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("moved", [False, True])
def test_partitions_and_files_of_the_same_rows_give_the_same_numbers(tmp_path, task, moved):
    monitor, files = (numbers(result) for result in both_results(tmp_path, task, moved=moved))
    assert monitor == files
    assert monitor["outcomes"].keys() == DETECTORS.keys()
    tested = {name for name, outcome in monitor["outcomes"].items() if outcome != "NotTested"}
    assert tested == DETECTORS.keys() - ({"bias"} if TASKS[task] == "MulticlassClassification" else set())
    drifted = {name for name, outcome in monitor["outcomes"].items() if outcome == "Drift"}
    assert drifted >= ({"features", "correlations", "ablation"} if moved else set())


def test_corrupted_partitions_and_files_violate_the_contract_alike(tmp_path):
    monitor, files = (numbers(result) for result in both_results(tmp_path, "binary", broken=True))
    assert monitor == files
    assert monitor["violations"] == [("NullBurst", "z", 7)]
    assert monitor["outcomes"]["contract"] == "Broken"
    assert monitor["outcomes"]["correlations"] == "NotTested"


def test_a_day_whose_file_has_no_rows_is_a_missing_partition_for_both(tmp_path):
    results = both_results(tmp_path, "binary", empty=True)
    monitor, files = (numbers(result) for result in results)
    assert monitor == files
    assert monitor["verdict"] == ("Corrupted", "Corrupted")
    assert monitor["violations"] == [("MissingPartition", None, 2)]
    for result in results:
        assert "no rows have arrived for 2013-02-04, 2013-02-07" in result.verdict.message


def test_both_sources_are_sampled_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_bias, "MAX_ROWS", 500)
    monkeypatch.setattr(ablation, "MAX_ROWS", 600)
    results = both_results(tmp_path, "binary", moved=True)
    monitor, files = (numbers(result) for result in results)
    assert monitor == files
    messages = {outcome.name: outcome.message for outcome in results[0].detectors}
    assert "of small models on 589 and 602 labelled rows" in messages["ablation"]


def test_a_target_of_too_many_classes_is_not_tested_in_either(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "MAX_CLASSES", 2)
    for result in both_results(tmp_path, "classes"):
        outcome = next(outcome for outcome in result.detectors if outcome.name == "ablation")
        assert (outcome.outcome, "at most 2 classes are supported" in outcome.message) == ("NotTested", True)
