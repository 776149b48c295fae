"""The straightforward implementation: read both sides with pandas and test each column with scipy."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from scipy import stats

if __name__ == "__main__":
    reference, current = (pd.read_parquet(Path(sys.argv[1]) / side) for side in ("reference", "current"))
    for name in reference.columns:
        one, other = reference[name].dropna(), current[name].dropna()
        if pd.api.types.is_numeric_dtype(one):
            p_value = stats.ks_2samp(one, other).pvalue
        else:
            counts = pd.concat([one.value_counts(), other.value_counts()], axis=1).fillna(0)
            p_value = stats.chi2_contingency(counts.to_numpy().T).pvalue
        print(f"{name} {p_value:.3g}")
