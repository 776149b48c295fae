"""The same YAML is tested at the same level on a laptop and in a pod."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from modelmonitor_api.messages import CheckRequest, decode_request
from modelmonitor_api.names import ANNOTATION_REQUEST
from modelmonitor_operator.manifests import cron_job
from modelmonitor_operator.settings import Settings
from modelmonitor_operator.validation import validate_monitor
from modelmonitor_trainer.cli.main import main
from support.monitors import merged, monitor


def on_a_laptop(folder: Path, schedule: str) -> str:
    """Write the YAML file of a monitor over twenty days of rows in a folder; return its path."""
    g = np.random.default_rng(0)
    for number in range(20):
        day = folder / f"rows/date={dt.date(2013, 1, 1) + dt.timedelta(days=number)}"
        day.mkdir(parents=True)
        pq.write_table(pa.table({"temp": g.normal(size=100), "carrier": ["a", "b"] * 50}), day / "part.parquet")
    changes: dict[str, Any] = {
        "schedule": schedule,
        "storage": {"endpoint": None, "credentialsSecretRef": None, "resultsURI": f"file://{folder}/results/"},
        "data": {
            "live": {"uri": f"file://{folder}/rows/date=%Y-%m-%d/", "windowDays": 5},
            "labels": None,
            "reference": {"start": "2013-01-01", "end": "2013-01-15"},
        },
    }
    document = monitor(**changes)
    path = folder / "monitor.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(path)


def in_a_pod(schedule: str) -> float:
    """Return the rate of checks in the request of a scheduled pod."""
    resource = merged(monitor(namespace="demo", schedule=schedule), {"metadata": {"uid": "u-1"}})
    template = cron_job(validate_monitor(resource), Settings("trainer"))["spec"]["jobTemplate"]["spec"]["template"]
    request = decode_request(template["metadata"]["annotations"][ANNOTATION_REQUEST])
    assert isinstance(request, CheckRequest)
    return request.checks_per_day


@pytest.mark.parametrize("schedule", ["0 * * * *", "0 6 * * *", "0 6 * * 1"])
def test_a_monitor_is_tested_at_the_rate_of_its_schedule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], schedule: str
) -> None:
    assert main(["check", "-f", on_a_laptop(tmp_path, schedule), "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"]["checksPerDay"] == in_a_pod(schedule)


def test_the_option_takes_precedence_over_the_schedule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = on_a_laptop(tmp_path, "0 * * * *")
    assert main(["check", "-f", path, "--checks-per-day", "1", "--output", "json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["decision"]["checksPerDay"] == 1
    assert result["reproduce"].endswith("--checks-per-day 1")


@pytest.mark.parametrize(
    ("field", "value"), [("schedule", "61 * * * *"), ("schedule", "@daily"), ("timeZone", "Mars/Olympus")]
)
def test_a_schedule_that_the_operator_rejects_is_invalid_here_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str, value: str
) -> None:
    path = tmp_path / "monitor.yaml"
    path.write_text(yaml.safe_dump(monitor(**{field: value})), encoding="utf-8")
    assert main(["validate", "-f", str(path)]) == 2
    assert f"spec.{field}" in capsys.readouterr().err
