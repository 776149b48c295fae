"""Whether whole numbers of a target are classes or values, from the target and the predictions of the reference."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import FeatureType, Sensitivity, Task
from modelmonitor_trainer.check.sources.file_columns import ColumnOptions
from modelmonitor_trainer.check.sources.file_task import task_of
from modelmonitor_trainer.check.sources.files import Files, resolve_files
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.storage.open import open_store

BINARY, VALUES, CLASSES = Task.BINARY_CLASSIFICATION, Task.REGRESSION, Task.MULTICLASS_CLASSIFICATION


@pytest.mark.parametrize(
    ("targets", "predictions", "task"),
    [
        ((0, 1), None, BINARY),
        ((0, 1), (0, 1), BINARY),
        ((0, 1), (0.2, 0.9), BINARY),
        ((0, 1), (-2.3, 1.7), BINARY),
        ((0, 1), (0, 1, 2), CLASSES),
        ((1, 2), (0.2, 0.9), BINARY),
        ((1, 2), None, CLASSES),
        ((1, 2, 3), (1, 2, 3), CLASSES),
        ((1, 2, 3), (0.9, 2.2), VALUES),
        ((1, 2, 3), range(100), VALUES),
        (range(20), None, CLASSES),
        (range(21), None, VALUES),
        ((0.5, 1), None, VALUES),
        ((), None, VALUES),
    ],
)
def test_the_task_of_distinct_values(targets, predictions, task):
    known = None if predictions is None else np.array(predictions, dtype=float)
    assert task_of(np.array(targets, dtype=float), known) is task


@pytest.fixture
def resolved(tmp_path):
    """Resolve files with a target of whole numbers; returns the types of target and prediction, the task and notes."""
    for side in ("reference", "current"):
        rows = {"x": np.arange(60.0), "y": np.arange(60) % 3, "p": np.arange(60) % 3}
        pq.write_table(pa.table(rows), tmp_path / f"{side}.parquet")

    def run(target="y", **options):
        sides = (str(tmp_path / "reference.parquet"), str(tmp_path / "current.parquet"))
        _, data = resolve_files(open_store(None), Files(*sides, target, "p", **options), Sensitivity(), 1.0)
        types = {column.name: column.type.value for column in data.rows.columns}
        return types["y"], types["p"], data.outcomes and data.outcomes.task, data.notes

    return run


def test_few_whole_numbers_are_classes_and_a_note_says_so(resolved):
    target, prediction, task, notes = resolved()
    assert (target, prediction, task) == ("Categorical", "Categorical", CLASSES)
    assert any("whole numbers of y are compared as classes. Set --task Regression" in note for note in notes)


def test_a_declared_task_decides(resolved):
    assert resolved(task=VALUES)[:3] == ("Numeric", "Numeric", VALUES)
    assert resolved(task=BINARY)[:3] == ("Categorical", "Numeric", BINARY)


def test_a_declared_type_stays(resolved):
    assert resolved(columns=ColumnOptions(types={"y": FeatureType.NUMERIC}))[:3] == ("Numeric", "Numeric", None)
    declared = {"y": FeatureType.CATEGORICAL, "p": FeatureType.NUMERIC}
    target, prediction, task, _ = resolved(columns=ColumnOptions(types=declared))
    assert (target, prediction, task) == ("Categorical", "Numeric", CLASSES)


def test_a_task_without_a_target_is_refused(resolved):
    with pytest.raises(BadConfiguration, match="--task is about the target column"):
        resolved(target=None, task=VALUES)
