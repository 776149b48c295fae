"""The example of docs/contributing/adding-a-detector.md works: the page is the test's source."""

import argparse
import datetime as dt
import json
import re
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import Detector, DetectorType, Sensitivity
from modelmonitor_trainer.check.detectors.base import REGISTRY
from modelmonitor_trainer.check.pipeline import run_check
from modelmonitor_trainer.check.sources.files import Files, resolve_files
from modelmonitor_trainer.cli import check as command
from modelmonitor_trainer.detect.result import to_json
from modelmonitor_trainer.report.check_page import render
from modelmonitor_trainer.storage.open import open_store

PAGE = Path(__file__).parents[3] / "docs/contributing/adding-a-detector.md"
#: The enum with the member that the page adds.
Extended = StrEnum(  # type: ignore[misc]  # mypy needs literal members, and these are computed
    "Extended", {member.name: member.value for member in DetectorType} | {"ZERO_RATE": "ZeroRate"}
)


@pytest.fixture
def zero_rate():
    """Run the code of the page, and remove its detector afterwards."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    imported = "from modelmonitor_api.spec import DetectorType, FeatureType\n"
    assert imported in code
    code = code.replace(imported, "from modelmonitor_api.spec import FeatureType\n")
    with patch.dict(REGISTRY):
        exec(compile(code, str(PAGE), "exec"), {"DetectorType": Extended, "__name__": "zero_rate"})
        yield Extended["ZERO_RATE"]


def check(tmp_path, kind, zeros):
    """Check files, in whose current rows `zeros` of a hundred values of x are 0."""
    g = np.random.default_rng(0)
    for side, share in (("reference", 0.3), ("current", zeros)):
        columns = {"x": np.where(g.random(4000) < share, 0.0, g.normal(size=4000)), "z": g.normal(size=4000)}
        pq.write_table(pa.table(columns), tmp_path / f"{side}.parquet")
    files = Files(str(tmp_path / "reference.parquet"), str(tmp_path / "current.parquet"))
    ctx, data = resolve_files(open_store(None), files, Sensitivity(), 1.0)
    spec = Detector.model_construct(name="zeros", type=kind, columns=None)
    data = replace(data, detectors=(*data.detectors, spec))
    return run_check(ctx, data, time=dt.datetime(2013, 2, 10, tzinfo=dt.UTC))


def test_a_new_detector_appears_everywhere(tmp_path, zero_rate, capsys):
    result = check(tmp_path, zero_rate, zeros=0.6)
    document = json.loads(json.dumps(to_json(result)))
    assert document["verdict"] == "Drift"
    assert "share of zeros: x (0.29" in document["message"]
    (outcome,) = (detector for detector in document["detectors"] if detector["name"] == "zeros")
    assert (outcome["type"], outcome["outcome"]) == ("ZeroRate", "Drift")
    (family,) = (family for family in document["relations"] if family["detector"] == "zeros")
    assert [(subject["name"], subject["changed"]) for subject in family["subjects"]] == [("x", True), ("z", False)]
    page = render(result)
    assert "Share of zeros" in page
    assert "<td>ZeroRate</td>" in page
    command._print(result, argparse.Namespace(output="text", html=None))
    assert "share of zeros: x (0.29" in capsys.readouterr().out


def test_its_outcome_without_a_change(tmp_path, zero_rate):
    result = check(tmp_path, zero_rate, zeros=0.3)
    (outcome,) = (outcome for outcome in result.detectors if outcome.name == "zeros")
    assert (outcome.outcome, outcome.message) == ("NoDrift", "share of zeros: 2 columns tested")
