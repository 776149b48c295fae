"""The criteria of the promotion gate, each a pure function of a comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import Requirement
from modelmonitor_trainer.gate.comparison import Comparison, figures_of, interval_of, margin_of
from modelmonitor_trainer.gate.interval import Difference
from modelmonitor_trainer.gate.leakage import is_easy_problem, is_suspicious_gain, is_too_good
from modelmonitor_trainer.gate.slices import judge_slices
from modelmonitor_trainer.model.metrics import MARGIN_SHARE, bounded, in_units, is_regression, sign, title


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
    declared = float(comparison.promotion.non_inferiority_margin)
    margin = bounded(comparison.metric, declared, best.champion, comparison.baseline.champion, MARGIN_SHARE)
    figures = figures_of(comparison, best)
    if best.low > -margin:
        return CriterionResult("Not worse than the best champion so far", True, figures, GateReason.WORSE_THAN_BEST)
    sentence = (
        f"Not shown to be as good as {version}, the last champion that was better than its predecessor: {figures}; the "
        f"interval must lie above {-margin:.4g}, so that small steps down do not add up"
    )
    return CriterionResult("Not worse than the best champion so far", False, sentence, GateReason.WORSE_THAN_BEST)


def _better_than_baseline(comparison: Comparison) -> CriterionResult:
    """Require that a challenger is better than the trivial baselines.

    A first model must be shown to be better: the interval lies above zero. Where the champion is compared, that
    comparison protects what is served, and a better value is enough: on days that no model predicts well, none is shown
    to be better than a constant, and the oldest would stay for ever.
    """
    name, metric, baseline = "Better than a trivial baseline", comparison.metric, comparison.baseline
    kind = "mean" if is_regression(metric) else "class shares"
    figures = (
        f"{title(metric)} is {baseline.challenger:.4f}, compared with {baseline.champion:.4f} for the {kind} of the "
        "training rows"
    )
    if comparison.last_period is not None:
        figures += f" and {comparison.last_period.champion:.4f} for a last-period baseline ({kind} of the last days)"
    champion = comparison.champion
    failed = next((difference for difference in _baselines(comparison) if not _beats(difference, champion)), None)
    if failed is None:
        return CriterionResult(name, True, figures, GateReason.NOT_BETTER_THAN_BASELINE)
    verb = "Not shown to be better" if champion is None else "Not better"
    sentence = f"{verb} than a trivial baseline: {figures}; difference {interval_of(failed)}"
    return CriterionResult(name, False, sentence, GateReason.NOT_BETTER_THAN_BASELINE)


def _baselines(comparison: Comparison) -> tuple[Difference, ...]:
    """Return the differences to the trivial baselines that the comparison has."""
    both = (comparison.baseline, comparison.last_period)
    return tuple(difference for difference in both if difference is not None)


def _beats(baseline: Difference, champion: Difference | None) -> bool:
    """Return whether a challenger beats a baseline: significantly, or by its value where the champion is compared."""
    return (baseline.low if champion is None else baseline.value) > 0


def _meets_requirement(comparison: Comparison) -> CriterionResult | None:
    """Require the interval of the difference to the champion to lie above minus the margin."""
    difference, promotion = comparison.champion, comparison.promotion
    if difference is None:
        return None
    better = promotion.requirement is Requirement.BETTER
    name = "Better than the champion" if better else "Not worse than the champion"
    trivial = comparison.baseline.champion
    margin, figures = margin_of(promotion, difference.champion, trivial), figures_of(comparison, difference)
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
