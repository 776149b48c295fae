"""What is wrong in a YAML file is named with line, column and the nearest correct name."""

import textwrap

import pytest

from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.cli.monitor_file import read_monitor
from modelmonitor_trainer.cli.positions import find_position
from modelmonitor_trainer.errors import BadConfiguration

MONITOR = textwrap.dedent("""\
    # Documents of other kinds may come first.
    kind: Namespace
    ---
    apiVersion: modelmonitor.io/v1alpha1
    kind: ModelMonitor
    metadata: {name: x}
    spec:
      schedule: "0 6 * * *"
      timeZone: Etc/UTC
      storage: {resultsURI: s3://b/}
      data:
        live: {uri: "s3://b/%Y-%m-%d/"}
      model:
        task: BinaryClassification
        target: late
        features:
          - {name: a, type: Numeric}
          - name: b
            type: Categorical
      triggers: {everyDays: 3}
      retraining: {estimator: {name: HistGradientBoostingClassifier}}
      promotion: {metric: ROCAUC}
    """)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("everyDays: 3", "everyDay: 3", ":20:14: spec.triggers.everyDay: unknown field; did you mean everyDays?"),
        ("type: Categorical", "type: Catgorical", ":19:9: spec.model.features[1].type: must be 'Numeric'"),
        ("type: Categorical", "type: Catgorical", "not 'Catgorical'; did you mean Categorical?"),
        ("everyDays: 3", "everyDays: 0", ":20:14: spec.triggers.everyDays: must be at least 1, not 0"),
        ("  promotion: {metric: ROCAUC}", "  promotion: {}", ":22:3: spec.promotion.metric: is required; add it"),
        ('"0 6 * * *"', '"0 6 * *"', ":8:3: spec.schedule: '0 6 * *' must have the five fields of cron"),
        ("Etc/UTC", "Mars/Phobos", ":9:3: spec.timeZone: 'Mars/Phobos' is not a name of the tz database"),
        ("metric: ROCAUC", "metric: R2", ":7:1: spec: promotion.metric does not fit model.task"),
        ("everyDays: 3", 'everyDays: "3"', ":20:14: spec.triggers.everyDays: must be a whole number, not '3'"),
        ("everyDays: 3", 'onDrift: "yes"', ":20:14: spec.triggers.onDrift: must be true or false, not 'yes'"),
        ("everyDays: 3", "everyDays: 3, everyDays: 4", ":20:28: 'everyDays' is given twice; remove one"),
        ("target: late", "target: y", ":15:5: spec.model.target: must be text, not true; put it in quotes"),
        ("name: a,", "name: 1e3,", ":17:10: spec.model.features[0].name: must be text, not 1000.0; put it in quotes"),
        ("{name: x}", "{name: Churn_1}", ":6:12: metadata.name is 'Churn_1'; use small letters, digits and '-'"),
        ("{name: x}", "{name: 2024}", ":6:12: metadata.name is 2024; put it in quotes"),
        ("target: late", "zzz: late", "unknown field; there are task, target, "),
        ("spec:\n", "specs:\n", ":7:1: specs: unknown field; did you mean spec?"),
        (
            "spec:\n",
            "data: {}\nspec:\n",
            ":7:1: data: unknown field; indent it, as a field of spec",
        ),
        (
            "kind: ModelMonitor",
            "kind: ModelMonitr",
            "holds no ModelMonitor documents, but ModelMonitr, Namespace; it must",
        ),
    ],
)
def test_where_and_what(tmp_path, capsys, before, after, message):
    path = tmp_path / "monitor.yaml"
    path.write_text(MONITOR)
    assert main(["validate", "-f", str(path)]) == 0
    path.write_text(MONITOR.replace(before, after))
    capsys.readouterr()
    assert main(["validate", "-f", str(path)]) == 2
    assert message in capsys.readouterr().err


def test_an_unquoted_word_is_text_outside_a_cluster(tmp_path, capsys):
    """The most common name of a target is y, which kubectl takes for a boolean."""
    path = tmp_path / "monitor.yaml"
    path.write_text(MONITOR.replace("target: late", "target: y").replace("name: a,", "name: NO,"))
    _, spec = read_monitor(str(path))
    assert (spec.model.target, spec.model.features[0].name) == ("y", "NO")
    err = capsys.readouterr().err
    assert f"{path}:15:5: y is read as text; kubectl reads it as a boolean, so put it in quotes" in err
    assert "NO is read as text" in err


@pytest.mark.parametrize(
    ("before", "after"),
    [("target: late", "target: true"), ("target: late", "target: 1"), ("target: late", "target: y\n    zzz: 1")],
)
def test_other_values_are_not_read_as_text(tmp_path, before, after):
    path = tmp_path / "monitor.yaml"
    path.write_text(MONITOR.replace(before, after))
    with pytest.raises(BadConfiguration):
        read_monitor(str(path))


def test_y_is_true_where_a_field_takes_a_boolean(tmp_path, capsys):
    path = tmp_path / "monitor.yaml"
    path.write_text(MONITOR.replace("everyDays: 3", "onDrift: n").replace("target: late", "target: y"))
    _, spec = read_monitor(str(path))
    assert not spec.triggers.on_drift
    assert "n is read" not in capsys.readouterr().err


def test_each_problem_has_a_line(tmp_path, capsys):
    path = tmp_path / "monitor.yaml"
    path.write_text(MONITOR.replace("everyDays: 3", "everyDay: 3").replace("target: late", "target: ''"))
    assert main(["validate", "-f", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert sum(f"{path}:" in line for line in lines) == 2


def test_positions():
    assert find_position(MONITOR, "ModelMonitor", ()) == (4, 1)
    assert find_position(MONITOR, "ModelMonitor", ("spec", "model", "features", 1)) == (18, 9)
    assert find_position(MONITOR, "ModelMonitor", ("spec", "nowhere", "at all")) == (7, 1)
    assert find_position(MONITOR, "Deployment", ()) is None
