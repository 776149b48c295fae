"""Computes whylogs' profiles and drift scores with their defaults; prints the columns that it flags as a JSON list."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import whylogs as why
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

if __name__ == "__main__":
    reference, current = (
        why.log(pd.read_parquet(Path(sys.argv[1]) / side)).profile().view() for side in ("reference", "current")
    )
    scores = calculate_drift_scores(target_view=current, reference_view=reference, with_thresholds=True)
    flagged = [name for name, score in scores.items() if score and score["drift_category"] == "DRIFT"]
    print(json.dumps(flagged))
