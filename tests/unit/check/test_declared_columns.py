"""Columns that the spec names and the data lack: found by validate --data and by the first check."""

from __future__ import annotations

import pyarrow as pa
import pytest

from modelmonitor_trainer.check.sources.declared_columns import find_missing, find_type_problems
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.errors import BadConfiguration
from support.monitors import monitor
from unit.policy.factories import spec

ROWS = {"temp": pa.float64(), "carrier": pa.string(), "id": pa.int64(), "origin": pa.string()}
DATA = monitor()["spec"]["data"]
LABELS = {"id": pa.int64(), "late": pa.bool_()}


@pytest.mark.parametrize(
    ("changes", "rows", "labels", "words"),
    [
        ({}, ROWS, LABELS, None),
        ({}, None, None, None),
        ({"model": {"slices": ["orgin"]}}, ROWS, LABELS, "model.slices[0]: the newest partition under s3://flights/"),
        ({"model": {"slices": ["orgin"]}}, ROWS, LABELS, "did you mean 'origin'?"),
        ({"model": {"slices": ["airport"]}}, ROWS, LABELS, "it has carrier, id, origin, temp"),
        ({}, ROWS | {"id_": pa.int64()}, {"flight": pa.int64(), "late": pa.bool_()}, "data.labels.joinKey: the newest"),
        ({}, {**ROWS, "id": pa.int64()} | {}, {"id": pa.int64(), "lte": pa.bool_()}, "model.target: the newest"),
        ({"model": {"predictionColumn": "score"}}, ROWS, LABELS, "model.predictionColumn"),
        (
            {"data": {**DATA, "labels": {**DATA["labels"], "versionColumn": "updated"}}},
            ROWS,
            LABELS,
            "data.labels.versionColumn",
        ),
    ],
)
def test_missing_columns(changes, rows, labels, words):
    problems = find_missing(spec(**changes), rows, labels)
    assert (words in problems[0]) if words else not problems


def test_a_check_leaves_features_without_a_similar_column_to_the_contract():
    rows = {name: kind for name, kind in ROWS.items() if name != "temp"}
    assert find_missing(spec(), rows, LABELS, only_misspelt=True) == []
    [problem] = find_missing(spec(), rows | {"tempp": pa.float64()}, LABELS, only_misspelt=True)
    assert "did you mean 'tempp'?" in problem


def test_a_column_that_was_renamed_is_corrupted_data_and_not_a_misspelt_name(world):
    world.land_days(39, 40, lambda rows: {"kind_" if name == "kind" else name: rows[name] for name in rows})
    verdict, _ = world.check()
    assert verdict.verdict == "Corrupted"
    assert "kind" in verdict.message


def test_types():
    problems, questions = find_type_problems(spec(), {"temp": pa.string(), "carrier": pa.float64()})
    assert "'temp' is declared Numeric and holds text" in problems[0]
    assert "'carrier' is declared Categorical and holds decimal numbers" in questions[0]
    assert find_type_problems(spec(), ROWS) == ([], [])


def test_the_first_check_finds_a_wrong_slice_and_validate_too(world, tmp_path, capsys):
    world.spec["model"]["slices"] = ["nonsense"]
    with pytest.raises(BadConfiguration, match=r"model\.slices"):
        world.check()
    path = world.manifest(tmp_path / "monitor.yaml")
    assert main(["validate", "-f", path]) == 0
    assert main(["validate", "-f", path, "--data"]) == 2
    assert "spec.model.slices[0]: the newest partition" in capsys.readouterr().err
    del world.spec["model"]["slices"]
    assert main(["validate", "-f", world.manifest(tmp_path / "monitor.yaml"), "--data"]) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schedule": "61 * * * *"}, "spec.schedule"),
        ({"timeZone": "Mars/Olympus"}, "spec.timeZone"),
        ({"check": {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}}, "above limits.memory"),
    ],
)
def test_validate_refuses_what_the_operator_refuses(world, tmp_path, capsys, change, words):
    world.spec |= change
    assert main(["validate", "-f", world.manifest(tmp_path / "monitor.yaml")]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parameter", "words"), [("learnin_rate", "did you mean learning_rate?"), ("learning_rate", "learning_rate")]
)
def test_validate_refuses_parameters_and_their_values(world, tmp_path, capsys, parameter, words):
    estimator = {"name": "HistGradientBoostingClassifier", "parameters": [{"name": parameter, "value": "-1"}]}
    world.spec["retraining"]["estimator"] = estimator
    assert main(["validate", "-f", world.manifest(tmp_path / "monitor.yaml")]) == 2
    assert words in capsys.readouterr().err
