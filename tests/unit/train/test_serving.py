"""What the documentation says about scoring rows with a champion."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

ROOT = Path(__file__).parents[3]


def test_rows_are_scored_as_the_page_says(world):
    world.train()
    page = (ROOT / "docs/how-to/roll-out.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    columns = {"x": [0.0, 2.0, None], "gust": [None, None, 1.0], "kind": ["a", "b", None]}
    tables = pa.table(columns), pd.DataFrame(columns).astype({"x": float, "gust": float})
    scores = []
    for rows in tables:
        names: dict[str, Any] = {"rows": rows}
        exec(code.replace("s3://ml-results/ml/churn/", world.prefix), names)
        scores.append(names["scores"])
    assert scores[0].shape == (3,)
    assert scores[0][1] > scores[0][0]
    assert np.array_equal(scores[0], scores[1])
