"""The promotion gate: decides whether a challenger can replace the champion.

A pure function of scores on the hold-out. A challenger passes if the hold-out has enough rows, its score is
plausible, it beats two trivial baselines, it is not worse than the champion (or is better, if the spec requires it)
at the declared confidence, and it is not worse on any slice. The first criterion that fails decides; all of them are
evaluated and reported.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import Metric, Promotion
from modelmonitor_trainer.gate.comparison import Comparison, GateInput, compare_models, figures_of
from modelmonitor_trainer.gate.criteria import CRITERIA, CriterionResult
from modelmonitor_trainer.gate.interval import Difference
from modelmonitor_trainer.gate.slices import SliceResult
from modelmonitor_trainer.model.metrics import Undefined, class_of_few, title


@dataclass(frozen=True)
class GateResult:
    """The decision of the gate.

    Attributes
    ----------
    outcome, reason, message
        The decision.
    metric, rows
        The metric, and the number of hold-out rows.
    champion
        Challenger against champion; None without a champion, or if it could not be computed.
    baseline
        Challenger against the baseline of the whole training window.
    last_period
        Challenger against the baseline of the last days of the training window.
    slices
        Every slice, including those with too few rows to decide.
    checks
        Results of all criteria, in order.
    confidence
        Confidence of the intervals; None if nothing was compared.
    best
        Challenger against the best champion so far; None if that is the champion, or cannot be scored.
    """

    outcome: GateOutcome
    reason: GateReason
    message: str
    metric: Metric
    rows: int
    champion: Difference | None = None
    baseline: Difference | None = None
    last_period: Difference | None = None
    slices: tuple[SliceResult, ...] = ()
    checks: tuple[CriterionResult, ...] = ()
    confidence: float | None = None
    best: Difference | None = None


def evaluate(scores: GateInput, promotion: Promotion, *, seed: int) -> GateResult:
    """Decide whether the challenger can replace the champion.

    Parameters
    ----------
    scores
        Scores on the hold-out rows.
    promotion
        ``spec.promotion``.
    seed
        Seed of the bootstrap.

    Returns
    -------
    GateResult
        Passed, Rejected by the first criterion that fails, or Inconclusive.
    """
    rows, metric = len(scores.truth), promotion.metric
    if rows < promotion.min_holdout_rows:
        return _too_few_rows(metric, rows, promotion.min_holdout_rows)
    few = class_of_few(metric, scores.truth, binary=scores.challenger.ndim == 1)
    if few is not None and few < promotion.min_holdout_positives:
        return _too_few_positives(metric, rows, few, promotion.min_holdout_positives)
    try:
        comparison = compare_models(scores, promotion, seed)
    except Undefined as undefined:
        message = (
            f"{title(metric)} cannot be computed on the {rows:,} hold-out rows: {undefined}; "
            "raise promotion.holdoutDays"
        )
        return GateResult(GateOutcome.INCONCLUSIVE, GateReason.METRIC_UNDEFINED, message, metric, rows)
    results = tuple(result for criterion in CRITERIA if (result := criterion(comparison)) is not None)
    failed = next((result for result in results if result.passed is False), None)
    if failed is None:
        outcome, reason, message = GateOutcome.PASSED, _pass_reason(comparison), _pass_message(comparison)
    else:
        outcome, reason, message = failed.outcome, failed.reason, failed.sentence
    return GateResult(
        outcome,
        reason,
        message,
        metric,
        rows,
        comparison.champion,
        comparison.baseline,
        comparison.last_period,
        comparison.slices,
        results,
        comparison.confidence,
        comparison.best,
    )


def _too_few_rows(metric: Metric, rows: int, needed: int) -> GateResult:
    message = (
        f"{rows:,} labelled hold-out rows are too few to compare models, promotion.minHoldoutRows is {needed:,}; "
        "wait for more labels, or raise promotion.holdoutDays"
    )
    return GateResult(GateOutcome.INCONCLUSIVE, GateReason.TOO_FEW_ROWS, message, metric, rows)


def _too_few_positives(metric: Metric, rows: int, few: int, needed: int) -> GateResult:
    message = (
        f"{few:,} of {rows:,} hold-out rows are of the rarer class, which is too few to compare models; "
        f"promotion.minHoldoutPositives is {needed:,}. Raise promotion.holdoutDays, or wait for more labels"
    )
    return GateResult(GateOutcome.INCONCLUSIVE, GateReason.TOO_FEW_ROWS, message, metric, rows)


def _pass_reason(comparison: Comparison) -> GateReason:
    if comparison.champion is None:
        return GateReason.CHAMPION_NOT_COMPARED if comparison.scores.not_compared else GateReason.FIRST_MODEL
    return GateReason.BETTER if comparison.champion.low > 0 else GateReason.NOT_WORSE


def _pass_message(comparison: Comparison) -> str:
    champion, baseline = comparison.champion, comparison.baseline
    if champion is None:
        not_compared = comparison.scores.not_compared
        first = f"Not compared with the champion, because {not_compared}" if not_compared else "First model"
        return (
            f"{first}: {title(comparison.metric)} {baseline.challenger:.4f} on "
            f"{len(comparison.scores.truth):,} hold-out rows, compared with {baseline.champion:.4f} for a trivial "
            f"baseline{_strongest_feature(comparison)}"
        )
    word = "Better" if champion.low > 0 else "Not worse"
    return f"{word} than the champion: {figures_of(comparison, champion)}"


def _strongest_feature(comparison: Comparison) -> str:
    """Return a feature that nearly predicts the target alone, as the end of a sentence; no champion shows otherwise."""
    if not comparison.scores.suspects:
        return ""
    strongest = comparison.scores.suspects[0]
    return (
        f". {strongest.feature!r} alone scores {strongest.score:.4f}: if it is known only after the outcome, it leaks "
        "the target"
    )
