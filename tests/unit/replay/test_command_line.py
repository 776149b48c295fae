"""modelmonitor replay: what it prints and writes, and what it refuses."""

import json

import pandas as pd
import pytest
import yaml

from modelmonitor_trainer.cli.main import main


@pytest.fixture
def monitor(past, tmp_path):
    path = tmp_path / "mon.yaml"
    past.manifest(path)
    return path


def run(capsys, *args):
    code = main(["replay", *map(str, args)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def changed(monitor, name, change):
    """Write another file of the monitor, its spec changed by a function."""
    document = yaml.safe_load(monitor.read_text())
    change(document["spec"])
    path = monitor.parent / name
    path.write_text(yaml.safe_dump(document))
    return path


def test_settings_are_compared(past, monitor, tmp_path, capsys):
    """Text, JSON and page of a replay with all policies; the second time it is read from the journal."""
    other = changed(monitor, "seldom.yaml", lambda spec: spec["triggers"].update(everyDays=300))
    days = ("--from", "2013-02-11", "--to", "2013-02-27")
    options = (
        "--compare",
        other,
        "--policies",
        "--results",
        tmp_path / "r",
        "--training-price",
        2,
        "--currency",
        "EUR",
    )
    code, text, err = run(capsys, "-f", monitor, *days, *options, "--html", tmp_path / "page.html")
    assert (code, err) == (0, "")
    assert text.startswith("From 2013-02-11 through 2013-02-27 this monitor would have alarmed")
    assert "At 2.00 EUR per training and 1.00 EUR per point of ROC AUC and day" in text
    lines = {line.split("  ")[0] for line in text.splitlines()}
    assert lines >= {"your monitor", "seldom", "on drift, no gate", "never retrain", "every 7 days", "oracle"}
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "What this does not show" in page

    code, out, _ = run(capsys, "-f", monitor, *days, *options, "--output", "json")
    document = json.loads(out)
    by_name = {policy["name"]: policy for policy in document["policies"]}
    own, oracle = by_name["your monitor"], by_name["oracle"]
    assert min(policy["regret"] for policy in by_name.values()) == oracle["regret"] == 0
    assert own["counts"]["trainings"] == len([e for e in own["events"] if e["action"] == "train"])
    assert len(own["served"]) == len(document["periods"]) == len(own["models"])
    assert own["differenceToMonitor"]["value"] == 0
    assert by_name["never retrain"]["counts"]["trainings"] == 1
    assert {event["action"] for event in own["events"]} == {"check", "train"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--from", "2013-03-01", "--to", "2013-02-01"), "--to 2013-02-01 is before --from 2013-03-01"),
        (("--from", "2010-01-01", "--to", "2010-02-01"), "are of 2013-01-01 through 2013-03-31, outside of 2010-01-01"),
        (("--from", "2013-02-01", "--to", "2013-02-05", "--arrival"), "all objects were written on or after"),
        (("--from", "2013-02-01", "--to", "2013-02-05", "--set", "triggers.often=1"), "triggers.often"),
        (("--from", "2013-02-01", "--to", "2013-02-05", "--processes", "0"), "--processes must be at least 1"),
    ],
)
def test_what_cannot_be_replayed(monitor, tmp_path, capsys, args, message):
    code, _, err = run(capsys, "-f", monitor, "--results", tmp_path / "r", *args)
    assert code == 2
    assert message in err


def test_settings_for_other_rows_are_refused(monitor, tmp_path, capsys):
    other = changed(monitor, "other.yaml", lambda spec: spec["model"].update(target="lateness"))
    days = ("--from", "2013-02-11", "--to", "2013-02-12")
    code, _, err = run(capsys, "-f", monitor, *days, "--compare", other, "--results", tmp_path / "r")
    assert code == 2
    assert "other: spec.model.target is 'lateness', and that of the monitor is 'late'" in err
    code, _, err = run(capsys, "-f", monitor, *days, "--compare", other, other, "--results", tmp_path / "r")
    assert "two files are named other" in err


@pytest.mark.parametrize("name", ["oracle", "never retrain", "every 14 days"])
def test_a_setting_must_not_have_the_name_of_a_policy(monitor, tmp_path, capsys, name):
    other = changed(monitor, f"{name}.yaml", lambda _: None)
    days = ("--from", "2013-02-11", "--to", "2013-02-12")
    code, _, err = run(capsys, "-f", monitor, *days, "--policies", "--compare", other, "--results", tmp_path / "r")
    assert code == 2
    assert f"{name} is the name of a policy of --policies; rename the file" in err


def test_a_folder_that_cannot_be_written(monitor, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    days = ("--from", "2013-02-11", "--to", "2013-02-12")
    code, _, err = run(capsys, "-f", monitor, *days, "--results", tmp_path / "file")
    assert code == 2
    assert "cannot be written" in err
    assert "choose another folder with --results" in err


def test_a_suspended_monitor_does_nothing(monitor, tmp_path, capsys):
    days = ("--from", "2013-02-11", "--to", "2013-02-14")
    options = ("--set", "suspend=true", "--output", "json", "--results", tmp_path / "r")
    code, out, _ = run(capsys, "-f", monitor, *days, *options)
    assert code == 0
    assert json.loads(out)["policies"][0]["events"] == []


@pytest.mark.parametrize("day", ["yesterday", "2013-02-30"])
def test_days_are_dates(monitor, capsys, day):
    with pytest.raises(SystemExit):
        run(capsys, "-f", monitor, "--from", day, "--to", "2013-02-01")
    assert f"{day!r} is not a day; write 2013-01-31" in capsys.readouterr().err


def test_labels_that_never_come(monitor, tmp_path, capsys):
    """A replay without a single training ends with the reason instead of a score."""
    late = changed(monitor, "late.yaml", lambda spec: spec["data"]["labels"].update(delayDays=300))
    days = ("--from", "2013-02-11", "--to", "2013-02-14")
    code, out, _ = run(capsys, "-f", late, *days, "--results", tmp_path / "r")
    assert code == 0
    assert out.startswith(
        "From 2013-02-11 through 2013-02-14 this monitor would have raised no alarm in 5 checks and never "
    )
    answer, rest = out.split("\n", 1)
    assert "There is nothing to score: no model was ever promoted. Waiting for labels: none have arrived" in answer
    assert "Waiting for labels" not in rest, "the reason is not repeated"


def test_a_leak_is_refused_and_named(past, tmp_path, capsys):
    """No model is promoted, and the text shows why."""
    path = tmp_path / "leak.yaml"
    past.manifest(path)
    document = yaml.safe_load(path.read_text())
    rows = tmp_path / "leak"
    for folder in sorted((past.folder / "rows").iterdir()):
        table = pd.concat(pd.read_parquet(file) for file in sorted(folder.glob("*.parquet")))
        labels = pd.concat(
            pd.read_parquet(file) for file in sorted((past.folder / "labels" / folder.name).glob("*.parquet"))
        )
        leaking = table.merge(labels.assign(refund=labels["late"] * 1.0)[["id", "refund"]], on="id")
        (rows / folder.name).mkdir(parents=True)
        leaking.to_parquet(rows / folder.name / "part.parquet")
    document["spec"]["data"]["live"]["uri"] = f"file://{rows}/date=%Y-%m-%d/"
    document["spec"]["model"]["features"].append({"name": "refund", "type": "Numeric"})
    path.write_text(yaml.safe_dump(document))
    days = ("--from", "2013-02-11", "--to", "2013-02-11")
    code, out, _ = run(capsys, "-f", path, *days, "--results", tmp_path / "r")
    assert code == 0
    answer = out.split("\n", 1)[0]
    assert "no model was ever promoted. The last training, on 2013-02-11: Too good to be true" in answer
    assert "inspect refund" in answer
