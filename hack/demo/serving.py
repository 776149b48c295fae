"""Client of the demo's scorer, which scores flights before departure and logs the requests with their scores."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pandas as pd
from flights import Day

MODEL = "flight-delays"
_DATATYPES = {"i": "INT64", "f": "FP64", "b": "BOOL"}


def score(port: int, day: Day) -> tuple[int, str]:
    """Score the flights of a day.

    Returns
    -------
    int, str
        The number of flights predicted to be late, and the model version.
    """
    request = {"inputs": [_tensor(day.features[name]) for name in day.features.columns]}
    request["inputs"].append(_tensor(pd.Series([day.date.isoformat()] * len(day.features), name="day")))
    body = json.dumps(request, allow_nan=False).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/{MODEL}/infer", body, timeout=30) as response:
        result = json.load(response)
    return sum(probability > 0.5 for probability in result["outputs"][0]["data"]), str(result["model_version"])


def _tensor(column: pd.Series) -> dict[str, Any]:
    """Return a column as an input tensor of the Open Inference Protocol; missing values are null."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    values = column.astype(object).where(column.notna(), None).tolist()
    return {
        "name": column.name,
        "datatype": _DATATYPES.get(column.dtype.kind, "BYTES"),
        "shape": [len(values)],
        "data": values,
    }
