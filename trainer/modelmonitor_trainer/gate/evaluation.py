"""The promotion gate: decides whether a challenger can replace the champion.

A pure function of scores on the hold-out. A challenger passes if the hold-out has enough rows, its score is
plausible, it beats two trivial baselines, it is not worse than the champion (or is better, if the spec requires it)
at the declared confidence, and it is not worse on any slice. The first criterion that fails decides; all of them are
evaluated and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import Metric, Promotion, Requirement
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.gate.interval import Difference, paired_difference
from modelmonitor_trainer.gate.leakage import Suspect, is_easy_problem, is_suspicious_gain, is_too_good
from modelmonitor_trainer.gate.reuse import spent_confidence
from modelmonitor_trainer.gate.slices import SliceResult, compare_slices, judge_slices
from modelmonitor_trainer.model.metrics import (
    MARGIN_SHARE,
    Undefined,
    bounded,
    class_of_few,
    in_units,
    is_regression,
    sign,
    title,
)


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


@dataclass(frozen=True)
class CriterionResult:
    """Result of one criterion.

    Attributes
    ----------
    name
        The criterion.
    passed
        Whether the challenger satisfies it; None if this could not be determined.
    sentence
        The result with its figures.
    reason
        Reason of the decision if it fails.
    outcome
        Outcome of the gate if it fails.
    """

    name: str
    passed: bool | None
    sentence: str
    reason: GateReason
    outcome: GateOutcome = GateOutcome.REJECTED


#: A criterion judges a comparison; None means that it does not apply.
Criterion = Callable[[Comparison], CriterionResult | None]


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
        comparison = _compare(scores, promotion, seed)
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
    )


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


def _compare(scores: GateInput, promotion: Promotion, seed: int) -> Comparison:
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


def _plausible(comparison: Comparison) -> CriterionResult:
    """Require a score that real data allow, both as such and compared with the champion's.

    A champion that scores as well has been accepted before, so the problem is an easy one.
    """
    name, metric, value = "Not too good to be true", comparison.metric, comparison.baseline.challenger
    suspicion = _suspicion(comparison)
    if suspicion is None:
        sentence = f"{title(metric)} of {value:.4f} is plausible for real data"
        return CriterionResult(name, True, sentence, GateReason.TOO_GOOD_TO_BE_TRUE, GateOutcome.INCONCLUSIVE)
    suspects = ", ".join(f"{suspect.feature} ({suspect.score:.4f} alone)" for suspect in comparison.scores.suspects[:5])
    advice = (
        f"A feature may leak the target: inspect {suspects}"
        if suspects
        else "A feature may leak the target, but no single one explains the score: check how rows were selected"
    )
    sentence = (
        f"Too good to be true: {title(metric)} is {value:.5g} on rows that the model has not seen{suspicion}. "
        f"{advice}. If the score is legitimate, promote this version manually"
    )
    return CriterionResult(name, False, sentence, GateReason.TOO_GOOD_TO_BE_TRUE, GateOutcome.INCONCLUSIVE)


def _suspicion(comparison: Comparison) -> str | None:
    """Return how the champion scores, as part of a sentence, if the score is suspicious; None if it is not."""
    scores, metric, baseline = comparison.scores, comparison.metric, comparison.baseline
    leaking = any(suspect.certain for suspect in scores.suspects)
    perfect = is_too_good(metric, baseline.challenger, baseline.champion)
    champion = comparison.champion
    if champion is None or scores.champion is None:
        return "" if perfect or leaking else None
    if is_too_good(metric, champion.champion, baseline.champion):
        return None
    earlier = [champion.champion, *([] if scores.promotion_score is None else [scores.promotion_score])]
    if perfect or is_suspicious_gain(metric, baseline.challenger, *earlier):
        return f", compared with {champion.champion:.5g} for the champion"
    if leaking and champion.low > 0 and not is_easy_problem(metric, scores.truth, scores.champion):
        return f", compared with {champion.champion:.5g} for the champion, which shows no sign of a leak"
    return None


def _reaches_minimum(comparison: Comparison) -> CriterionResult | None:
    """Require ``promotion.minimumScore``, which does not move with the champion."""
    minimum, metric = comparison.promotion.minimum_score, comparison.metric
    if minimum is None:
        return None
    value = comparison.baseline.challenger
    passed = sign(metric) * (value - float(minimum)) >= 0
    figures = f"{title(metric)} is {value:.4f}, promotion.minimumScore is {minimum}"
    sentence = figures if passed else f"Not good enough: {figures}"
    return CriterionResult("Reaches the minimum score", passed, sentence, GateReason.BELOW_MINIMUM_SCORE)


def _not_worse_than_best(comparison: Comparison) -> CriterionResult | None:
    """Require that a challenger is not worse than the last champion that was better than its predecessor.

    Each successor may be worse than the champion by the margin. Without this, many small steps would add up.
    """
    best, version = comparison.best, comparison.scores.best_version
    if best is None:
        return None
    margin = in_units(comparison.metric, float(comparison.promotion.non_inferiority_margin), best.champion)
    figures = _figures(comparison, best)
    if best.low > -margin:
        return CriterionResult("Not worse than the best champion so far", True, figures, GateReason.WORSE_THAN_BEST)
    sentence = (
        f"Not shown to be as good as {version}, the last champion that was better than its predecessor: {figures}; the "
        f"interval must lie above {-margin:.4g}, so that small steps down do not add up"
    )
    return CriterionResult("Not worse than the best champion so far", False, sentence, GateReason.WORSE_THAN_BEST)


def _better_than_baseline(comparison: Comparison) -> CriterionResult:
    """Require the interval of the difference to each trivial baseline to lie above zero."""
    name, metric, baseline = "Better than a trivial baseline", comparison.metric, comparison.baseline
    kind = "mean" if is_regression(metric) else "class shares"
    figures = (
        f"{title(metric)} is {baseline.challenger:.4f}, compared with {baseline.champion:.4f} for the {kind} of the "
        "training rows"
    )
    if comparison.last_period is not None:
        figures += f" and {comparison.last_period.champion:.4f} for a last-period baseline ({kind} of the last days)"
    for difference in (baseline, comparison.last_period):
        if difference is not None and difference.low <= 0:
            sentence = f"Not shown to be better than a trivial baseline: {figures}; difference {_interval(difference)}"
            return CriterionResult(name, False, sentence, GateReason.NOT_BETTER_THAN_BASELINE)
    return CriterionResult(name, True, figures, GateReason.NOT_BETTER_THAN_BASELINE)


def _meets_requirement(comparison: Comparison) -> CriterionResult | None:
    """Require the interval of the difference to the champion to lie above minus the margin."""
    difference, promotion = comparison.champion, comparison.promotion
    if difference is None:
        return None
    better = promotion.requirement is Requirement.BETTER
    name = "Better than the champion" if better else "Not worse than the champion"
    trivial = comparison.baseline.champion
    margin, figures = margin_of(promotion, difference.champion, trivial), _figures(comparison, difference)
    if difference.low > -margin:
        return CriterionResult(name, True, figures, GateReason.WORSE)
    if difference.high < 0:
        return CriterionResult(name, False, f"Worse than the champion: {figures}", GateReason.WORSE)
    needed = f"the interval must lie above {-margin:.4g}" if margin else "the interval must lie above 0"
    if not better and margin < in_units(promotion.metric, float(promotion.non_inferiority_margin), difference.champion):
        needed += (
            f", a tenth of what separates the champion from the baseline ({trivial:.4g}), because "
            f"promotion.nonInferiorityMargin ({promotion.non_inferiority_margin}) is larger"
        )
    wanted = "better than" if better else "as good as"
    reason = GateReason.NOT_SHOWN_TO_BE_BETTER if better else GateReason.NOT_SHOWN_TO_BE_AS_GOOD
    sentence = f"Not shown to be {wanted} the champion: {figures}; {needed}"
    return CriterionResult(name, False, sentence, reason)


def _not_worse_on_slices(comparison: Comparison) -> CriterionResult | None:
    """Require that no slice is significantly worse by more than ``promotion.maxSliceDrop``."""
    if comparison.champion is None:
        return None
    passed, sentence = judge_slices(comparison.slices, comparison.promotion)
    return CriterionResult("Not worse on any slice", passed, sentence, GateReason.WORSE_ON_A_SLICE)


#: All criteria, in the order in which they decide.
CRITERIA: tuple[Criterion, ...] = (
    _plausible,
    _better_than_baseline,
    _reaches_minimum,
    _meets_requirement,
    _not_worse_than_best,
    _not_worse_on_slices,
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
    return f"{word} than the champion: {_figures(comparison, champion)}"


def _strongest_feature(comparison: Comparison) -> str:
    """Return a feature that nearly predicts the target alone, as the end of a sentence; no champion shows otherwise."""
    if not comparison.scores.suspects:
        return ""
    strongest = comparison.scores.suspects[0]
    return (
        f". {strongest.feature!r} alone scores {strongest.score:.4f}: if it is known only after the outcome, it leaks "
        "the target"
    )


def _figures(comparison: Comparison, difference: Difference) -> str:
    return (
        f"{title(comparison.metric)} {difference.challenger:.4f}, compared with {difference.champion:.4f}, on "
        f"{len(comparison.scores.truth):,} hold-out rows; difference {_interval(difference)} at "
        f"{comparison.confidence * 100:.4g}% confidence{_reuse(comparison)}"
    )


def _reuse(comparison: Comparison) -> str:
    """Return why the confidence is higher than declared; empty if it is not."""
    earlier = comparison.scores.earlier_comparisons
    if not earlier:
        return ""
    return f" (raised, because earlier trainings used these days {earlier:.2g} times)"


def _interval(difference: Difference) -> str:
    return f"{difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f}; positive is better)"
