"""The guard of warm starts: a model fitted to the whole window, on the same later rows as the one that went on."""

from __future__ import annotations

from dataclasses import dataclass

from modelmonitor_api.spec import Promotion
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.gate.interval import Difference, paired_difference
from modelmonitor_trainer.model.metrics import Undefined, title


@dataclass(frozen=True)
class RefitComparison:
    """What the comparison of a warm start with a full refit found.

    Attributes
    ----------
    difference
        The full refit against the warm start, positive where the refit is better; None where it could not be
        computed.
    full_is_better
        Whether it is, beyond chance: then it is the challenger.
    sentence
        With the figures.
    """

    difference: Difference | None
    full_is_better: bool
    sentence: str


def shared_confidence(confidence: float) -> float:
    """Return the confidence of each of two comparisons on the same rows that together keep `confidence`.

    Half the chance to err for the choice between two challengers, half for the gate (Bonferroni): choosing the better
    of two on the rows that then judge it would otherwise promote a worse model more often than promised.
    """
    return 1 - (1 - confidence) / 2


def compare_with_refit(
    promotion: Promotion, truth: Array, *, warm: Array, full: Array, days: Ints | None, seed: int
) -> RefitComparison:
    """Return whether a model fitted to the whole window is better than one that went on from the champion.

    Parameters
    ----------
    promotion
        ``spec.promotion``: the metric, the confidence, and how many rows a comparison needs.
    truth : (n,)
        Places of classes, or values, of the hold-out rows.
    warm, full : (n,) or (n, k)
        Scores of both models.
    days : (n,)
        Number of the day of each row, or None.
    seed
        Of the bootstrap.
    """
    name = title(promotion.metric)
    if len(truth) < promotion.min_holdout_rows:
        return RefitComparison(
            None, False, f"{len(truth):,} rows are too few to compare the warm start with a full refit"
        )
    confidence = shared_confidence(float(promotion.confidence))
    try:
        found = paired_difference(promotion.metric, truth, warm, full, confidence=confidence, seed=seed, days=days)
    except Undefined as undefined:
        return RefitComparison(
            None, False, f"{name} of the warm start and of a full refit cannot be computed: {undefined}"
        )
    figures = (
        f"{name} {found.challenger:.4f} of a full refit against {found.champion:.4f} of the warm start, difference "
        f"{found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f}; positive: the refit is better) at "
        f"{confidence * 100:g} %"
    )
    if found.low > 0:
        return RefitComparison(
            found, True, f"The warm starts have forgotten something, and a full refit takes over: {figures}"
        )
    return RefitComparison(found, False, f"The warm start stands beside a full refit: {figures}")
