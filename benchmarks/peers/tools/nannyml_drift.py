"""Runs nannyml's UnivariateDriftCalculator with its defaults; prints the columns that it flags as a JSON list."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nannyml as nml
import pandas as pd

if __name__ == "__main__":
    reference, current = (pd.read_parquet(Path(sys.argv[1]) / side) for side in ("reference", "current"))
    names = list(reference.columns)
    result = nml.UnivariateDriftCalculator(column_names=names).fit(reference).calculate(current)
    frame = result.filter(period="analysis").to_df()
    flagged = [
        name
        for name in names
        if any(frame[column].any() for column in frame if column[0] == name and "alert" in column)
    ]
    print(json.dumps(flagged))
