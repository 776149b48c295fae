"""evidently's DataDriftPreset as it is out of the box; prints the columns that it flags as a JSON list."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

if __name__ == "__main__":
    reference, current = (pd.read_parquet(Path(sys.argv[1]) / side) for side in ("reference", "current"))
    found = Report([DataDriftPreset()]).run(current, reference).dict()
    flagged = []
    for metric in found["metrics"]:
        config = metric["config"]
        if not config["type"].endswith(":ValueDrift"):
            continue
        # Tests give a p-value, distances a distance.
        drifted = (
            metric["value"] < config["threshold"]
            if "p_value" in config["method"]
            else metric["value"] >= config["threshold"]
        )
        if drifted:
            flagged.append(config["column"])
    print(json.dumps(flagged))
