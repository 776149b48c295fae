"""CSV of a monitor: declared in the spec, or recognized and reported."""

import datetime as dt
import json

import numpy as np
import pytest

from modelmonitor_trainer.cli.main import main

TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture
def check(tmp_path, capsys):
    """Writes forty days of CSV and checks them as a monitor."""

    def checked(separator=";", decimal=",", csv=None):
        for ago in range(40, 0, -1):
            day = TODAY - dt.timedelta(days=ago)
            g = np.random.default_rng(ago)
            rows = (
                separator.join([f"{x:.2f}".replace(".", decimal), word, f"{label}"])
                for x, word, label in zip(
                    g.normal(5, 1, 200), g.choice(["1.0", "2.0"], 200), g.integers(0, 2, 200), strict=True
                )
            )
            path = tmp_path / f"rows/date={day}/part.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join([separator.join("xcy"), *rows, ""]))
        spec = {
            "schedule": "0 6 * * *",
            "storage": {"resultsURI": f"file://{tmp_path}/results/"},
            "data": {
                "format": "CSV",
                "live": {"uri": f"file://{tmp_path}/rows/date=%Y-%m-%d/", "windowDays": 7},
                "reference": {
                    "start": (TODAY - dt.timedelta(days=40)).isoformat(),
                    "end": (TODAY - dt.timedelta(days=10)).isoformat(),
                },
            }
            | ({"csv": csv} if csv else {}),
            "model": {
                "task": "BinaryClassification",
                "target": "y",
                "features": [
                    {"name": "x", "type": "Numeric", "minimum": "0", "maximum": "10"},
                    {"name": "c", "type": "Categorical", "allowedValues": ["1", "2"]},
                ],
            },
            "retraining": {"windowDays": 20, "estimator": {"name": "LogisticRegression"}},
            "promotion": {"metric": "ROCAUC", "holdoutDays": 7},
        }
        document = {"apiVersion": "modelmonitor.io/v1alpha1", "kind": "ModelMonitor", "metadata": {"name": "m"}}
        (tmp_path / "monitor.yaml").write_text(json.dumps(document | {"spec": spec}))
        assert main(["check", "-f", str(tmp_path / "monitor.yaml"), "--output", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    return checked


def test_what_is_recognized_is_reported(check):
    result = check()
    assert result["verdict"] == "NoDrift", result["message"]
    [note] = [note for note in result["notes"] if "spec.data.csv" in note]
    assert "the separator is ';'" in note
    assert "numbers have decimal commas" in note


def test_what_is_declared_is_used(check):
    result = check(csv={"separator": ";", "decimal": ","})
    assert result["verdict"] == "NoDrift", result["message"]
    assert not any("spec.data.csv" in note for note in result["notes"])
