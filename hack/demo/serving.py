"""The scorer of the demo: asked about every flight before it departs, it logs what it was asked and what it said."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pandas as pd
from flights import Day

MODEL = "flight-delays"
_DATATYPES = {"i": "INT64", "f": "FP64", "b": "BOOL"}


def ask(port: int, day: Day) -> tuple[int, str]:
    """Ask the scorer about the flights of a day.

    Returns
    -------
    int, str
        How many of them it thinks will be late, and the version that said so.
    """
    request = {"inputs": [_tensor(day.features[name]) for name in day.features.columns]}
    request["inputs"].append(_tensor(pd.Series([day.date.isoformat()] * len(day.features), name="day")))
    body = json.dumps(request, allow_nan=False).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/{MODEL}/infer", body, timeout=30) as answer:
        said = json.load(answer)
    return sum(score > 0.5 for score in said["outputs"][0]["data"]), str(said["model_version"])


def _tensor(column: pd.Series) -> dict[str, Any]:
    """Return a column as an input of the Open Inference Protocol; a missing value is null."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    values = column.astype(object).where(column.notna(), None).tolist()
    return {
        "name": column.name,
        "datatype": _DATATYPES.get(column.dtype.kind, "BYTES"),
        "shape": [len(values)],
        "data": values,
    }
