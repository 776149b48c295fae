"""The default rules of other tools, reimplemented from their documentation for comparison.

* naive: scipy's two-sample Kolmogorov-Smirnov and chi-square tests, an alarm if any p-value is below 0.05;
* evidently 0.7: up to 1000 reference rows Kolmogorov-Smirnov p < 0.05 and a one-sample chi-square against
  the reference, above them Wasserstein distance / sd >= 0.1 and Jensen-Shannon distance >= 0.1; an alarm
  here is any drifted column (its own data-set verdict requires half of them);
* alibi-detect 0.13, TabularDrift: the tests of "naive" with Bonferroni's correction for the number of columns;
* nannyml 0.13: Jensen-Shannon distance on bins of the reference (Doane's rule), ten chunks, an alarm if a
  chunk exceeds the mean + 3 sd of the reference's chunks.

None of them tests NULLs, which are dropped first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from columns import Column, Floats
from ours import Table
from scipy import special, stats

RULES = ("naive", "alibi-detect", "evidently", "nannyml")
_CHUNKS = 10


def alarms(columns: list[Column], reference: Table, current: Table) -> dict[str, bool]:
    """Return for each rule whether it flags any column."""
    alarmed = dict.fromkeys(RULES, False)
    for column in columns:
        before, now = (_values(column, table[column.name]) for table in (reference, current))
        for rule, flagged in _RULES.items():
            alarmed[rule] = alarmed[rule] or flagged(before, now, column.categorical)
        alarmed["alibi-detect"] |= _p_value(before, now, column.categorical) < 0.05 / len(columns)
    return alarmed


def _values(column: Column, days: list[pa.ChunkedArray]) -> Floats:
    """Return the values that are not NULL; for categories, their codes."""
    parts = []
    for day in days:
        for chunk in day.chunks:
            values_of_chunk = (chunk.indices if column.categorical else chunk).drop_null()
            parts.append(values_of_chunk.to_numpy(zero_copy_only=False).astype(np.float64))
    return np.concatenate(parts)


def _naive(before: Floats, now: Floats, categorical: bool) -> bool:
    return _p_value(before, now, categorical) < 0.05


def _p_value(before: Floats, now: Floats, categorical: bool) -> float:
    if not categorical:
        return float(stats.ks_2samp(before, now, method="asymp").pvalue)
    p, q = _counts(before, now)
    return float(stats.chi2_contingency(np.stack([p, q]), correction=False).pvalue)


def _evidently(before: Floats, now: Floats, categorical: bool) -> bool:
    if before.size > 1000:
        if categorical:
            return _jensen_shannon(*_counts(before, now)) >= 0.1
        return bool(stats.wasserstein_distance(before, now) / before.std() >= 0.1)
    if not categorical and np.unique(before).size > 5:
        return bool(stats.ks_2samp(before, now, method="asymp").pvalue < 0.05)
    p, q = _counts(before, now)
    if np.any(p == 0):
        return True  # a new category has an expected count of 0
    expected = p / p.sum() * q.sum()
    statistic = float(((q - expected) ** 2 / expected).sum())
    return bool(special.chdtrc(p.size - 1, statistic) < 0.05)


def _nannyml(before: Floats, now: Floats, categorical: bool) -> bool:
    if categorical:
        codes = int(max(before.max(), now.max())) + 1
        cells = np.arange(codes + 1) - 0.5
    else:
        inner = np.histogram_bin_edges(before, bins="doane")
        cells = np.concatenate([[-np.inf], inner[1:-1], [np.inf]]) if inner.size > 2 else np.array([-np.inf, np.inf])
    reference_counts = np.histogram(before, cells)[0]
    distances = np.array(
        [_jensen_shannon(reference_counts, np.histogram(part, cells)[0], 2) for part in _chunks(before)]
    )
    threshold = distances.mean() + 3 * distances.std()
    return any(_jensen_shannon(reference_counts, np.histogram(part, cells)[0], 2) > threshold for part in _chunks(now))


_RULES = {"naive": _naive, "evidently": _evidently, "nannyml": _nannyml}


def _chunks(values: Floats) -> list[Floats]:
    return [part for part in np.array_split(values, _CHUNKS) if part.size]


def _counts(before: Floats, now: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    both, indices = np.unique(np.concatenate([before, now]), return_inverse=True)
    return (
        np.bincount(indices[: before.size], minlength=both.size),
        np.bincount(indices[before.size :], minlength=both.size),
    )


def _jensen_shannon(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64], base: float = np.e) -> float:
    p, q = one / max(1, one.sum()), other / max(1, other.sum())
    middle = (p + q) / 2
    divergence = float((special.rel_entr(p, middle) + special.rel_entr(q, middle)).sum()) / 2
    return float(np.sqrt(max(0.0, divergence) / np.log(base)))
