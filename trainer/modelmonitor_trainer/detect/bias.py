"""Prediction bias: the mean of prediction minus outcome, of all rows and of slices.

Rows of a day are correlated, so the standard error is that of clusters: with G days, sums R_g of the residuals and n_g
rows,

    SE² = G / (G - 1) · Σ (R_g - n_g · mean)² / N²,

    W. G. Cochran, Sampling Techniques, 3rd edition, 1977, section 9A (ratio to size),

and the test is t with G - 1 degrees of freedom. Fewer than MIN_DAYS days do not show how much days vary, so what is
usual elsewhere is assumed with them (:mod:`~modelmonitor_trainer.detect.day_effects`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelmonitor_trainer.arrays import Array, Floats
from modelmonitor_trainer.detect.day_effects import DayEffects, between_days
from modelmonitor_trainer.detect.hypotheses import BIAS, Hypothesis, HypothesisFamily, family
from modelmonitor_trainer.text import number

#: A slice with fewer rows is not tested.
MIN_ROWS = 100
MIN_DAYS = 5
#: A binary outcome must occur, and not occur, at least this often for its mean to be approximately normal.
MIN_OUTCOMES = 10
#: Maximum number of slices; the largest are tested.
MAX_SLICES = 40
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Judged:
    """Rows with an outcome and a prediction.

    Attributes
    ----------
    truth, predicted : (n,)
        Outcomes (0 and 1, or values) and predictions (probabilities, or values).
    days : (n,)
        Number of the cluster of each row.
    slices
        Column → (n,) text, None where missing.
    """

    truth: Floats
    predicted: Floats
    days: Array
    slices: dict[str, Array]


def clustered_mean(values: Floats, clusters: Array) -> tuple[float, float, float]:
    """Return the mean, its standard error and the degrees of freedom.

    Parameters
    ----------
    values : (n,)
        At least two.
    clusters : (n,)
        Cluster of each row.
    """
    mean = float(values.mean())
    distinct, which = np.unique(clusters, return_inverse=True)
    groups = int(distinct.size)
    if groups < MIN_DAYS:
        return mean, *_few_days(values, which, groups).alarm_error()
    sums = np.bincount(which, values - mean, groups)
    variance = groups / (groups - 1) * float(np.square(sums).sum()) / values.size**2
    return mean, float(np.sqrt(variance)), float(groups - 1)


def _few_days(values: Floats, which: Array, groups: int) -> DayEffects:
    """Return the error of the mean of fewer than MIN_DAYS days; `which` is the number of the day of each row."""
    sizes = np.bincount(which, minlength=groups)
    means = np.bincount(which, values, groups) / sizes
    within = float(np.square(values - means[which]).sum()) / max(1, values.size - groups)
    squares = float((sizes * np.square(means - values.mean())).sum())
    counts = sizes.tolist()
    deviation = float(np.sqrt(within))
    return DayEffects(within / values.size, deviation, between_days(squares, deviation, counts), counts)


def independent_mean(values: Floats) -> tuple[float, float, float]:
    """Return the mean, its standard error and the degrees of freedom if rows are independent."""
    return float(values.mean()), float(values.std(ddof=1)) / float(np.sqrt(values.size)), float(values.size - 1)


def t_test(mean: float, error: float, freedom: float) -> tuple[float, float]:
    """Return the two-sided p-value of a mean of zero, and half the width of its 95 % interval."""
    if error <= 0:
        return (0.0 if mean else 1.0), 0.0
    from scipy import special  # imported late: it takes half as long as a small check

    p_value = 2 * float(special.stdtr(freedom, -abs(mean) / error))
    return p_value, float(special.stdtrit(freedom, (1 + _CONFIDENCE) / 2)) * error


def find_bias(
    detector: str,
    rows: Judged,
    *,
    binary: bool,
    clusters: str = "days",
    dated: bool = True,
    independent: bool = False,
) -> HypothesisFamily:
    """Return the bias of predictions.

    Parameters
    ----------
    detector
        Its name.
    rows
        Predictions and outcomes.
    binary
        Whether outcomes are 0 and 1. Then the effect is the difference of the rates; for values it is in units of
        the standard deviation of the outcomes.
    clusters
        Plural noun for the clusters.
    dated
        Whether they are days.
    independent
        Whether rows are independent of each other, so that clusters differ by chance alone.
    """
    what = "mean prediction against mean outcome (outcome to prediction)"
    test = HypothesisFamily(detector, BIAS, what, headings=("Rows", "Outcome", "Prediction"))
    unit = 1.0 if binary else float(rows.truth.std()) if rows.truth.size else 0.0
    if rows.truth.size < MIN_ROWS or not unit:
        text = f"{rows.truth.size} usable labelled rows are too few"
        if rows.truth.size >= MIN_ROWS:
            only = number(rows.truth[0])
            text = f"the outcome is {only} in all {rows.truth.size:,} labelled rows, so a bias has no scale"
        return HypothesisFamily(**(vars(test) | {"message": text}))
    everywhere = np.ones(rows.truth.size, dtype=bool)
    parts = [("all rows", everywhere), *_slices(rows)]

    def error_of(chosen: Array) -> tuple[float, float]:
        residuals = (rows.predicted - rows.truth)[chosen]
        if independent:
            return t_test(*independent_mean(residuals))
        return _clustered_error(residuals, rows.days[chosen], dated=dated)

    subjects = [
        _subject(name, rows, chosen, unit, error_of(chosen)) for name, chosen in parts if _enough(rows, chosen, binary)
    ]
    how = _how(int(np.unique(rows.days).size), clusters, independent=independent)
    groups = f"{len(subjects)} groups tested" if len(subjects) != 1 else "1 group tested"
    result = family(test, subjects)
    text = f"{rows.truth.size:,} labelled rows, {groups}; {how}"
    return HypothesisFamily(**(vars(result) | {"message": text}))


def _how(days: int, clusters: str, *, independent: bool) -> str:
    """Return what the intervals assume, in words."""
    if independent:
        return "rows as independent"
    if days >= MIN_DAYS:
        return f"{days} {clusters} as clusters"
    counted = f"{days} {clusters if days > 1 else clusters.removesuffix('s')}"
    return f"{counted} as clusters, too few to show how much they vary, so what is usual is assumed"


def _slices(rows: Judged) -> list[tuple[str, Array]]:
    slices = []
    for column, values in rows.slices.items():
        texts = np.array(["" if value is None else str(value) for value in values])
        present = np.array([value is not None for value in values], dtype=bool)
        for value, count in zip(*np.unique(texts[present], return_counts=True), strict=True):
            slices.append((int(count), f"{column}={value[:40]}", present & (texts == value)))
    return [(name, chosen) for _, name, chosen in sorted(slices, key=lambda item: (-item[0], item[1]))[:MAX_SLICES]]


def _enough(rows: Judged, chosen: Array, binary: bool) -> bool:
    count = int(chosen.sum())
    if count < MIN_ROWS:
        return False
    sums = [float(values[chosen].sum()) for values in (rows.truth, rows.predicted)]
    return not binary or (max(sums) >= MIN_OUTCOMES and min(sums) <= count - MIN_OUTCOMES)


def _clustered_error(residuals: Floats, days: Array, *, dated: bool) -> tuple[float, float]:
    """Return the p-value of a bias of zero, and half the width of its 95 % interval."""
    distinct, which = np.unique(days, return_inverse=True)
    if distinct.size >= MIN_DAYS:
        return t_test(*clustered_mean(residuals, days))
    effects = _few_days(residuals, which, int(distinct.size))
    return effects.p_value(float(residuals.mean())), effects.claim_half_width(dated=dated)


def _subject(name: str, rows: Judged, chosen: Array, unit: float, error: tuple[float, float]) -> Hypothesis:
    truth, predicted = rows.truth[chosen], rows.predicted[chosen]
    mean = float((predicted - truth).mean())
    p_value, half = error
    return Hypothesis(
        name=name,
        before=float(truth.mean()),
        now=float(predicted.mean()),
        effect=mean / unit,
        low=(mean - half) / unit,
        high=(mean + half) / unit,
        p_value=p_value,
    )
