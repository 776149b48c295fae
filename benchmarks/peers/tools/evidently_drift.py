"""Runs evidently's DataDriftPreset with its defaults; prints the columns that it flags as a JSON list."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

if __name__ == "__main__":
    reference, current = (pd.read_parquet(Path(sys.argv[1]) / side) for side in ("reference", "current"))
    report = Report([DataDriftPreset()]).run(current, reference).dict()
    flagged = []
    for metric in report["metrics"]:
        config = metric["config"]
        if not config["type"].endswith(":ValueDrift"):
            continue
        # The value of a test is its p-value; otherwise it is a distance.
        drifted = (
            metric["value"] < config["threshold"]
            if "p_value" in config["method"]
            else metric["value"] >= config["threshold"]
        )
        if drifted:
            flagged.append(config["column"])
    print(json.dumps(flagged))
