"""What the promotion gate judges: the scores of models on the same hold-out rows, and their paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelmonitor_api.spec import Metric, Promotion, Requirement
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.gate.interval import Difference, paired_difference
from modelmonitor_trainer.gate.leakage import Suspect
from modelmonitor_trainer.gate.reuse import spent_confidence
from modelmonitor_trainer.gate.slices import SliceResult, compare_slices
from modelmonitor_trainer.model.metrics import MARGIN_SHARE, bounded, title


@dataclass(frozen=True)
class GateInput:
    """Scores of two models and of trivial baselines on the same hold-out rows, which none of them has seen.

    Attributes
    ----------
    truth : (n,)
        Class indices, or values.
    challenger, champion, baseline : (n,) or (n, k)
        Scores; no champion for a first model.
    slices
        Slice column → its value in each row, as text.
    days : (n,)
        Day number of each row, or None if the days are unknown.
    suspects
        Features that predict the target on their own, or nearly so.
    last_period : (n,) or (n, k)
        Scores of the baseline fitted to the last days of the training window; None to skip it.
    promotion_score
        Score of the champion in the comparison that promoted it; None if it is not known in this metric.
    best : (n,) or (n, k)
        Scores of the last champion that was better than its predecessor; None if that is the champion itself, or it
        cannot be scored on these rows.
    best_version
        Its name.
    earlier_comparisons
        Number of earlier comparisons on the same rows, see :mod:`~modelmonitor_trainer.gate.reuse`.
    not_compared
        Why there is a champion, but no scores of it; empty otherwise.
    """

    truth: Array
    challenger: Array
    champion: Array | None
    baseline: Array
    slices: Mapping[str, Array] = field(default_factory=dict)
    days: Ints | None = None
    suspects: tuple[Suspect, ...] = ()
    last_period: Array | None = None
    promotion_score: float | None = None
    best: Array | None = None
    best_version: str = ""
    earlier_comparisons: float = 0.0
    not_compared: str = ""


@dataclass(frozen=True)
class Comparison:
    """What the criteria judge: the input of the gate, its settings, and all paired differences.

    Attributes
    ----------
    scores
        Input of the gate.
    promotion
        ``spec.promotion``.
    baseline, last_period, champion
        Challenger minus the other model; None if there is no such model.
    slices
        Challenger against champion on every slice.
    confidence
        Confidence of the intervals, apart from those of slices.
    best
        Challenger minus the last champion that was better than its predecessor.
    """

    scores: GateInput
    promotion: Promotion
    baseline: Difference
    last_period: Difference | None
    champion: Difference | None
    slices: tuple[SliceResult, ...]
    confidence: float
    best: Difference | None = None

    @property
    def metric(self) -> Metric:
        """The metric of the comparison."""
        return self.promotion.metric


def margin_of(promotion: Promotion, champion: float, trivial: float | None) -> float:
    """Return the non-inferiority margin in units of the metric.

    At most a tenth of what separates the champion from a trivial model. Zero if ``promotion.requirement`` is Better.

    Parameters
    ----------
    promotion
        Metric and declared margin.
    champion, trivial
        Scores of the champion and of a trivial model on the same rows; None if the latter is unknown.
    """
    if promotion.requirement is not Requirement.NOT_WORSE:
        return 0.0
    declared = float(promotion.non_inferiority_margin)
    return bounded(promotion.metric, declared, champion, trivial, MARGIN_SHARE)


def compare_models(scores: GateInput, promotion: Promotion, seed: int) -> Comparison:
    """Return all paired differences.

    Raises
    ------
    Undefined
        If the metric is not defined on the hold-out rows.
    """
    # Slices keep the declared confidence: a higher one would let more of them pass.
    confidence = spent_confidence(float(promotion.confidence), scores.earlier_comparisons)

    def minus(other: Array) -> Difference:
        return paired_difference(
            promotion.metric,
            scores.truth,
            other,
            scores.challenger,
            confidence=confidence,
            seed=seed,
            days=scores.days,
        )

    baseline = minus(scores.baseline)
    last_period = None if scores.last_period is None else minus(scores.last_period)
    if scores.champion is None:
        return Comparison(scores, promotion, baseline, last_period, None, (), confidence)
    champion = minus(scores.champion)
    slices = compare_slices(
        scores.truth,
        scores.champion,
        scores.challenger,
        scores.slices,
        promotion,
        seed,
        scores.days,
        scores.baseline,
    )
    best = None if scores.best is None else minus(scores.best)
    return Comparison(scores, promotion, baseline, last_period, champion, slices, confidence, best)


def figures_of(comparison: Comparison, difference: Difference) -> str:
    """Return both scores, their difference and its confidence, as part of a sentence."""
    return (
        f"{title(comparison.metric)} {difference.challenger:.4f}, compared with {difference.champion:.4f}, on "
        f"{len(comparison.scores.truth):,} hold-out rows; difference {interval_of(difference)} at "
        f"{comparison.confidence * 100:.4g}% confidence{_reuse(comparison)}"
    )


def _reuse(comparison: Comparison) -> str:
    """Return why the confidence is higher than declared; empty if it is not."""
    earlier = comparison.scores.earlier_comparisons
    if not earlier:
        return ""
    often = f"{earlier:.2g} times"
    return f" (raised, because earlier trainings used these days {'once' if often == '1 times' else often})"


def interval_of(difference: Difference) -> str:
    """Return a difference and its interval, as part of a sentence."""
    return f"{difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f}; positive is better)"
