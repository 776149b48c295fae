"""Warm-start guard: compares a warm start with a full refit, so that repeated warm starts cannot degrade the model."""

from __future__ import annotations

from dataclasses import dataclass

from modelmonitor_api.spec import Promotion
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.gate.interval import Difference, paired_difference, shared_confidence
from modelmonitor_trainer.model.metrics import Undefined, title

#: Comparisons on the same hold-out rows: the refit against the warm start, and the gate.
COMPARISONS = 2


@dataclass(frozen=True)
class RefitComparison:
    """Result of comparing a warm start with a full refit.

    Attributes
    ----------
    difference
        Full refit minus warm start, positive if the refit is better; None if it could not be computed.
    full_is_better
        Whether the refit is significantly better, so that it becomes the challenger.
    sentence
        The result with its figures.
    """

    difference: Difference | None
    full_is_better: bool
    sentence: str


def guarded_confidence(promotion: Promotion) -> float:
    """Return the confidence of the comparison with a refit, and of the gate after it.

    Both use the same hold-out rows. Choosing the better of two challengers on the rows of the gate would otherwise
    promote a worse model more often than ``promotion.confidence`` allows.
    """
    return shared_confidence(float(promotion.confidence), COMPARISONS)


def compare_with_refit(
    promotion: Promotion, truth: Array, *, warm: Array, full: Array, days: Ints | None, seed: int
) -> RefitComparison:
    """Compare a model fitted to the whole window with a warm start.

    Parameters
    ----------
    promotion
        ``spec.promotion``: the metric, the confidence, and the rows that a comparison needs.
    truth : (n,)
        Class indices, or values, of the hold-out rows.
    warm, full : (n,) or (n, k)
        Scores of the warm start and of the full refit.
    days : (n,)
        Day number of each row, or None.
    seed
        Seed of the bootstrap.
    """
    metric, rows = title(promotion.metric), len(truth)
    if rows < promotion.min_holdout_rows:
        return RefitComparison(None, False, f"{rows:,} rows are too few to compare the warm start with a full refit")
    confidence = guarded_confidence(promotion)
    try:
        difference = paired_difference(promotion.metric, truth, warm, full, confidence=confidence, seed=seed, days=days)
    except Undefined as undefined:
        message = f"{metric} of the warm start and of a full refit cannot be computed: {undefined}"
        return RefitComparison(None, False, message)
    figures = (
        f"{metric} {difference.challenger:.4f} for a full refit, compared with {difference.champion:.4f} for the warm "
        f"start; difference {difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f}; positive means "
        f"the refit is better) at {confidence * 100:g}% confidence"
    )
    if difference.low > 0:
        message = f"A full refit is significantly better than the warm start and replaces it: {figures}"
        return RefitComparison(difference, True, message)
    message = f"A full refit is not significantly better than the warm start, which is kept: {figures}"
    return RefitComparison(difference, False, message)
