"""modelmonitor init: what it writes is valid, and fits the data."""

import datetime as dt
import shlex

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml

from modelmonitor_api.resource import parse
from modelmonitor_api.spec import FeatureType, ModelMonitorSpec, Task
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.draft.columns import Column
from modelmonitor_trainer.draft.monitor import choose_windows, suggest_task

FIRST = dt.date(2013, 1, 1)


def land(folder, columns, days=40, suffix="parquet"):
    for number in range(days):
        day = FIRST + dt.timedelta(days=number)
        path = folder / f"date={day}"
        path.mkdir(parents=True, exist_ok=True)
        table = pa.table(columns(day, np.random.default_rng(number)))
        if suffix == "csv":
            pyarrow.csv.write_csv(table, path / "part.csv")
        else:
            pq.write_table(table, path / "part.parquet")


def rows(day, g, count=120):
    return {
        "customer_id": [f"{day}-{number}" for number in range(count)],
        "seen_at": pa.array([dt.datetime.combine(day, dt.time())] * count, pa.timestamp("s")),
        "age": g.integers(18, 90, count),
        "income": np.where(g.random(count) < 0.1, np.nan, g.lognormal(10, 1, count)).tolist(),
        "plan": g.choice(["a", "b, c", "d: {e}"], count).tolist(),
        "note": [f"text {day} {number}" for number in range(count)],
        "churned": (g.random(count) < 0.2).tolist(),
        "score": g.random(count),
    }


def run(capsys, *args):
    code = main(["init", *map(str, args)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def drafted(text):
    document = yaml.safe_load(text)
    return document, parse(ModelMonitorSpec, document["spec"])


def test_target_in_the_rows(tmp_path, capsys):
    land(tmp_path / "data", rows)
    code, out, _ = run(capsys, "--data", tmp_path / "data")
    assert code == 0
    document, spec = drafted(out)
    assert spec.model.task is Task.BINARY_CLASSIFICATION
    assert (spec.model.target, spec.model.prediction_column) == ("churned", "score")
    assert {feature.name: (feature.type.value, feature.nullable) for feature in spec.model.features} == {
        "age": ("Numeric", False),
        "income": ("Numeric", True),
        "plan": ("Categorical", False),
    }
    assert "#   customer_id: string, a key" in out
    assert "#   seen_at: timestamp[ms], a time" in out
    assert "#   note: string, nearly every row has a value of its own" in out
    assert "% missing" in out
    assert spec.data.labels is None
    assert document["metadata"]["name"] == tmp_path.name.lower().replace("_", "-")


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d", "%m/%d/%Y"])
def test_times_as_text_are_no_feature(tmp_path, capsys, form):
    """They would be a category that is new every day."""

    def columns(day, g):
        time = dt.datetime.combine(day, dt.time(7, 30))
        return rows(day, g) | {"booked": [time.strftime(form)] * len(rows(day, g)["age"])}

    land(tmp_path / "data", columns)
    code, out, _ = run(capsys, "--data", tmp_path / "data")
    assert code == 0
    assert "booked" not in {feature.name for feature in drafted(out)[1].model.features}
    assert "#   booked: string, a time" in out


def test_separate_labels_and_csv(tmp_path, capsys):
    land(tmp_path / "rows", lambda day, g: {k: v for k, v in rows(day, g).items() if k != "churned"}, suffix="csv")
    land(
        tmp_path / "labels",
        lambda day, g: {"customer_id": rows(day, g)["customer_id"], "amount": g.normal(size=120)},
        days=33,
        suffix="csv",
    )
    code, out, _ = run(capsys, "--data", tmp_path / "rows", "--labels", tmp_path / "labels", "--name", "sales")
    assert code == 0
    document, spec = drafted(out)
    assert document["metadata"]["name"] == "sales"
    assert spec.data.format == "CSV"
    assert (spec.data.labels.join_key, spec.data.labels.delay_days) == ("customer_id", 7)
    assert (spec.model.target, spec.model.task, spec.promotion.metric) == ("amount", "Regression", "MeanAbsoluteError")
    assert spec.retraining.estimator.name == "HistGradientBoostingRegressor"


def test_the_file_leads_on(tmp_path, capsys):
    """What init writes, validate and replay accept; an existing file is kept."""
    land(tmp_path / "data", rows)
    path = tmp_path / "monitor.yaml"
    code, out, _ = run(capsys, "--data", tmp_path / "data", "-o", path)
    assert code == 0
    assert f"modelmonitor validate -f {path}" in out
    assert main(["validate", "-f", str(path)]) == 0
    command = next(line for line in out.splitlines() if "replay" in line).split()
    assert command[:3] == ["modelmonitor", "replay", "-f"]
    before = path.read_bytes()
    code, _, err = run(capsys, "--data", tmp_path / "data", "-o", path)
    assert (code, path.read_bytes()) == (2, before)
    assert "exists; choose another file with --output" in err


def test_names_and_values_that_yaml_must_escape(tmp_path, capsys):
    """A line break would end a comment; the file is read as it is meant."""
    name, unusable = "plan\r\u2028b: {x}", "list\nof: values\u0085x"

    def columns(day, g):
        words = ["one\rline", "two\u2028lines", "no: {#"] * 40
        return rows(day, g) | {name: words, unusable: [[1, 2]] * 120}

    land(tmp_path / "data", columns)
    code, out, _ = run(capsys, "--data", tmp_path / "data")
    assert code == 0
    _, spec = drafted(out)
    assert name in {feature.name for feature in spec.model.features}
    assert "#   list?of: values?x: list<" in out
    assert "one?line" in out


def test_names_that_kubectl_would_read_as_something_else(tmp_path, capsys):
    """It reads y as a boolean and 1e3 as a number."""

    def columns(day, g):
        named = {k: v for k, v in rows(day, g).items() if k != "churned"}
        return named | {"y": rows(day, g)["churned"], "n": g.normal(size=120), "1e3": g.normal(size=120)}

    land(tmp_path / "data", columns)
    _, out, _ = run(capsys, "--data", tmp_path / "data")
    assert 'target: "y"' in out
    assert 'name: "n"' in out
    assert 'name: "1e3"' in out


def test_the_name_is_that_of_the_folder_above_the_data(tmp_path, capsys):
    land(tmp_path / f"{'Churn ' * 6}of my model" / "rows", rows, days=3)
    _, out, _ = run(capsys, "--data", next(tmp_path.iterdir()) / "rows")
    assert drafted(out)[0]["metadata"]["name"] == "churn-churn-churn-churn-churn-churn-of-m"


def test_a_file_that_cannot_be_written_is_refused_first(tmp_path, capsys):
    code, _, err = run(capsys, "--data", tmp_path / "nothing", "-o", tmp_path / "absent" / "monitor.yaml")
    assert code == 2
    assert f"there is no folder {tmp_path / 'absent'}; choose another file" in err


def test_the_next_commands_can_be_pasted(tmp_path, capsys):
    land(tmp_path / "data", rows, days=3)
    path = tmp_path / "my monitor.yaml"
    _, out, _ = run(capsys, "--data", tmp_path / "data", "-o", path)
    commands = [shlex.split(line.removeprefix("Next:")) for line in out.splitlines()[1:]]
    assert [command[:4] for command in commands] == [
        ["modelmonitor", verb, "-f", str(path)] for verb in ("validate", "replay")
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "Name it with --target; the columns are customer_id"),
        (("--target", "churn"), "--target 'churn' is not a column of the rows; they have"),
    ],
)
def test_a_target_is_asked_for(tmp_path, capsys, args, message):
    land(tmp_path / "data", lambda day, g: {k: v for k, v in rows(day, g).items() if k != "churned"}, days=3)
    code, _, err = run(capsys, "--data", tmp_path / "data", *args)
    assert code == 2
    assert message in err


@pytest.mark.parametrize("text", ["", "a,b,y\n"], ids=["empty", "header"])
def test_rows_without_values(tmp_path, capsys, text):
    path = tmp_path / "rows" / "date=2013-01-01" / "part.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert main(["init", "--data", f"{tmp_path}/rows/"]) == 2
    assert "the rows that were read have no values in any column" in capsys.readouterr().err


def test_labels_that_cannot_be_joined(tmp_path, capsys):
    land(tmp_path / "rows", rows, days=3)
    land(tmp_path / "labels", lambda _day, _g: {"other": [1, 2], "value": [0, 1]}, days=3)
    code, _, err = run(capsys, "--data", tmp_path / "rows", "--labels", tmp_path / "labels")
    assert code == 2
    assert "rows and labels have no column in common" in err


@pytest.mark.parametrize(
    ("kind", "type_", "distinct", "ends", "task"),
    [
        ("bool", FeatureType.CATEGORICAL, 2, (None, None), "BinaryClassification"),
        ("int64", FeatureType.NUMERIC, 2, (0.0, 1.0), "BinaryClassification"),
        ("int64", FeatureType.NUMERIC, 5, (1.0, 5.0), "MulticlassClassification"),
        ("int64", FeatureType.NUMERIC, 500, (0.0, 900.0), "Regression"),
        ("double", FeatureType.NUMERIC, 7, (0.0, 1.0), "Regression"),
        ("string", FeatureType.CATEGORICAL, 3, (None, None), "MulticlassClassification"),
    ],
)
def test_tasks(kind, type_, distinct, ends, task):
    assert suggest_task(Column("y", kind, type_, 0.0, distinct, 0.0, *ends)).value == task


@pytest.mark.parametrize("per_day", [1, 20, 900, 100_000])
@pytest.mark.parametrize("days", [1, 10, 60, 400])
def test_windows_are_valid_and_hold_enough_rows_where_they_can(per_day, days):
    windows = choose_windows(per_day, days)
    assert 1 <= windows.holdout <= 366
    assert 1 <= windows.live <= 366
    assert windows.holdout * per_day >= min(500, 366 * per_day)
