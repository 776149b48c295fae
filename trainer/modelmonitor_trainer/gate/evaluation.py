"""The gate: whether a challenger may replace the champion. Pure: scores in, a decision with its reasons out.

A challenger passes if it was compared on enough later rows, is not suspiciously good, beats a trivial
baseline, is not worse than the champion (or better, as the spec requires) with the stated confidence, and
is worse on no slice. The first of these that fails decides; all are looked at, for the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from modelmonitor_api.outcomes import GateOutcome as Outcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import Metric, Promotion, Requirement
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.gate.interval import Difference, paired_difference
from modelmonitor_trainer.gate.leakage import Suspect, needs_no_leak, suspicious_gains, too_good
from modelmonitor_trainer.gate.slices import SliceResult, compare_slices
from modelmonitor_trainer.model.metrics import Undefined, in_units, is_regression, title

#: The modules that use the gate import its outcomes from here.
__all__ = ["GateReason", "Outcome"]


@dataclass(frozen=True)
class GateInput:
    """Two models and a baseline on the same rows, which none of them has seen.

    Attributes
    ----------
    truth : (n,)
        Places of classes, or values.
    challenger, champion, baseline : (n,) or (n, k)
        Scores; no champion for a first model.
    slices
        Column → its value in each row, as text.
    days : (n,)
        Number of the day of each row, or None where it is not known.
    suspects
        Features that alone predict the target, or nearly so.
    last_period : (n,) or (n, k)
        Scores of the trivial model that knows the last days only; None where it is not asked.
    promised
        Score of the champion in the comparison that made it champion; None where it is not known in this metric.
    """

    truth: Array
    challenger: Array
    champion: Array | None
    baseline: Array
    slices: Mapping[str, Array] = field(default_factory=dict)
    days: Ints | None = None
    suspects: tuple[Suspect, ...] = ()
    last_period: Array | None = None
    promised: float | None = None


@dataclass(frozen=True)
class Criterion:
    """One thing that the gate looked at.

    Attributes
    ----------
    name
        What was asked.
    passed
        The answer; None where it could not be told.
    sentence
        With the figures.
    """

    name: str
    passed: bool | None
    sentence: str


@dataclass(frozen=True)
class GateResult:
    """What the gate says and why.

    Attributes
    ----------
    outcome, reason, message
        The decision.
    metric, rows
        What was compared, on how many rows.
    champion
        Challenger against champion; None without a champion, or where it could not be computed.
    baseline
        Challenger against the trivial baseline.
    last_period
        Challenger against the trivial model that knows the last days only.
    slices
        Every slice, also those with too few rows to decide.
    checks
        All that was looked at, in order.
    """

    outcome: Outcome
    reason: GateReason
    message: str
    metric: Metric
    rows: int
    champion: Difference | None = None
    baseline: Difference | None = None
    last_period: Difference | None = None
    slices: tuple[SliceResult, ...] = ()
    checks: tuple[Criterion, ...] = ()


def evaluate(contest: GateInput, promotion: Promotion, *, seed: int) -> GateResult:
    """Return whether the challenger may replace the champion.

    Parameters
    ----------
    contest
        Scores on the hold-out rows.
    promotion
        ``spec.promotion``.
    seed
        Of the bootstrap.
    """
    rows = len(contest.truth)
    metric = promotion.metric
    if rows < promotion.min_holdout_rows:
        return too_few_rows(metric, rows, promotion.min_holdout_rows)
    confidence = float(promotion.confidence)
    try:
        over_baseline = _against(contest, contest.baseline, metric, confidence, seed)
        over_last = (
            None if contest.last_period is None else _against(contest, contest.last_period, metric, confidence, seed)
        )
        over_champion = (
            None if contest.champion is None else _against(contest, contest.champion, metric, confidence, seed)
        )
    except Undefined as undefined:
        text = f"{title(metric)} cannot be computed on the {rows:,} hold-out rows: {undefined}"
        return GateResult(
            Outcome.INCONCLUSIVE, GateReason.METRIC_UNDEFINED, f"{text}; raise promotion.holdoutDays", metric, rows
        )
    slices: tuple[SliceResult, ...] = ()
    if contest.champion is not None:
        slices = compare_slices(
            contest.truth, contest.champion, contest.challenger, contest.slices, promotion, seed, contest.days
        )
    steps = [
        (
            Outcome.INCONCLUSIVE,
            GateReason.TOO_GOOD_TO_BE_TRUE,
            _check_leak(contest, metric, over_baseline, over_champion),
        ),
        (Outcome.REJECTED, GateReason.NOT_BETTER_THAN_BASELINE, _check_baseline(metric, over_baseline, over_last)),
    ]
    if over_champion is not None:
        reason, check = _check_champion(over_champion, promotion, rows)
        steps.append((Outcome.REJECTED, reason, check))
        steps.append((Outcome.REJECTED, GateReason.WORSE_ON_A_SLICE, _check_slices(slices, promotion)))
    found = GateResult(
        Outcome.PASSED,
        _reason_to_pass(over_champion),
        _praise(metric, over_champion, over_baseline, rows, confidence),
        metric,
        rows,
        over_champion,
        over_baseline,
        over_last,
        slices,
        tuple(check for _, _, check in steps),
    )
    for outcome, reason, check in steps:
        if check.passed is False:
            return replace(found, outcome=outcome, reason=reason, message=check.sentence)
    return found


def too_few_rows(metric: Metric, rows: int, needed: int) -> GateResult:
    """Return that nothing can be told from so few rows."""
    text = (
        f"{rows:,} labelled hold-out rows are too few to compare models, promotion.minHoldoutRows is {needed:,}; "
        "wait for more labels, or raise promotion.holdoutDays"
    )
    return GateResult(Outcome.INCONCLUSIVE, GateReason.TOO_FEW_ROWS, text, metric, rows)


def _against(contest: GateInput, other: Array, metric: Metric, confidence: float, seed: int) -> Difference:
    return paired_difference(
        metric, contest.truth, other, contest.challenger, confidence=confidence, seed=seed, days=contest.days
    )


def _check_leak(
    contest: GateInput, metric: Metric, over_baseline: Difference, over_champion: Difference | None
) -> Criterion:
    """Whether the challenger is good in a way that real data hardly allow, by itself or after this champion.

    Where the champion scores as well, somebody has let it through: the problem is an easy one.
    """
    name = "Not too good to be true"
    value, strange = over_baseline.challenger, None
    certain = [suspect for suspect in contest.suspects if suspect.certain]
    perfect = too_good(metric, value, over_baseline.champion)
    if over_champion is None or contest.champion is None:
        if perfect or certain:
            strange = ""
    elif not too_good(metric, over_champion.champion, over_baseline.champion):
        earlier = [over_champion.champion, *([] if contest.promised is None else [contest.promised])]
        if perfect or suspicious_gains(metric, value, *earlier):
            strange = f", and that of the champion {over_champion.champion:.5g}"
        elif certain and over_champion.low > 0 and not needs_no_leak(metric, contest.truth, contest.champion):
            strange = f", and the champion, which does without, has {over_champion.champion:.5g}"
    if strange is None:
        return Criterion(name, True, f"{title(metric)} of {value:.4f} is within what real data allow")
    named = ", ".join(f"{suspect.feature} ({suspect.score:.4f} alone)" for suspect in contest.suspects[:5])
    why = f"; look at {named}" if named else "; no single feature explains it, look at how rows were selected"
    return Criterion(
        name,
        False,
        f"Too good to be true: {title(metric)} is {value:.5g} on rows that the model has not seen{strange}. A feature "
        f"may hold the answer{why}. If it is right all the same, promote this version by hand",
    )


def _check_baseline(metric: Metric, found: Difference, last: Difference | None) -> Criterion:
    what = "the mean" if is_regression(metric) else "the class shares"
    figures = (
        f"{title(metric)} is {found.challenger:.4f}, that of a trivial model ({what} of the training rows) "
        f"{found.champion:.4f}"
    )
    if last is not None:
        figures += f" and that of one which goes on as the last days were ({what} of these) {last.champion:.4f}"
    failed = next((difference for difference in (found, last) if difference and difference.low <= 0), None)
    if failed is None:
        return Criterion("Better than a trivial model", True, figures)
    return Criterion(
        "Better than a trivial model",
        False,
        f"Not shown to be better than a trivial model: {figures}, difference {_interval(failed)}",
    )


def margin_of(promotion: Promotion, champion: float) -> float:
    """Return how much worse than `champion` a model may score, in units of the metric."""
    if promotion.requirement is not Requirement.NOT_WORSE:
        return 0.0
    return in_units(promotion.metric, float(promotion.non_inferiority_margin), champion)


def _check_champion(found: Difference, promotion: Promotion, rows: int) -> tuple[GateReason, Criterion]:
    """Return whether the requirement holds, and the reason in case it does not."""
    margin = margin_of(promotion, found.champion)
    figures = _figures(promotion.metric, found, rows, float(promotion.confidence))
    name = "Better than the champion" if promotion.requirement is Requirement.BETTER else "Not worse than the champion"
    needed = f"the interval must lie above {-margin:.4g}" if margin else "the interval must lie above 0"
    if found.low > -margin:
        return GateReason.WORSE, Criterion(name, True, figures)
    if found.high < 0:
        return GateReason.WORSE, Criterion(name, False, f"Worse than the champion: {figures}")
    if promotion.requirement is Requirement.BETTER:
        return GateReason.NOT_SHOWN_TO_BE_BETTER, Criterion(name, False, f"Not shown to be better: {figures}; {needed}")
    return GateReason.NOT_SHOWN_TO_BE_AS_GOOD, Criterion(name, False, f"Not shown to be as good: {figures}; {needed}")


def _check_slices(slices: Sequence[SliceResult], promotion: Promotion) -> Criterion:
    name = "Worse on no slice"
    deciding = [found for found in slices if found.decides]
    worse = sorted((found for found in deciding if found.worse), key=lambda found: found.difference or 0.0)
    if worse:
        named = "; ".join(
            f"{found.column} = {found.value}: {found.champion:.4f} to {found.challenger:.4f} on {found.rows:,} rows"
            for found in worse[:3]
        )
        more = f" and {len(worse) - 3} more" if len(worse) > 3 else ""
        return Criterion(
            name,
            False,
            f"Worse on {len(worse)} of {len(deciding)} slices by more than maxSliceDrop {_slice_drop(promotion)}, "
            f"which is not chance: {named}{more}",
        )
    if not deciding:
        if not slices:
            return Criterion(name, True, "No slices are declared")
        undefined = next((found.undefined for found in slices if found.undefined), "")
        return Criterion(
            name, None, f"No slice can be judged: {undefined}" if undefined else "No slice has enough rows"
        )
    return Criterion(
        name, True, f"{len(deciding)} slices: none drops by more than {_slice_drop(promotion)} beyond chance"
    )


def _slice_drop(promotion: Promotion) -> str:
    relative = in_units(promotion.metric, 1.0, 2.0) != 1.0
    return f"{promotion.max_slice_drop}{' of the error' if relative else ''}"


def _reason_to_pass(found: Difference | None) -> GateReason:
    if found is None:
        return GateReason.FIRST_MODEL
    return GateReason.BETTER if found.low > 0 else GateReason.NOT_WORSE


def _praise(metric: Metric, champion: Difference | None, baseline: Difference, rows: int, confidence: float) -> str:
    if champion is None:
        return (
            f"The first model: {title(metric)} {baseline.challenger:.4f} on {rows:,} later rows, "
            f"a trivial model has {baseline.champion:.4f}"
        )
    word = "Better" if champion.low > 0 else "Not worse"
    return f"{word} than the champion: {_figures(metric, champion, rows, confidence)}"


def _figures(metric: Metric, found: Difference, rows: int, confidence: float) -> str:
    return (
        f"{title(metric)} {found.challenger:.4f} against {found.champion:.4f} on {rows:,} later rows, difference "
        f"{_interval(found)} at {confidence * 100:g} %"
    )


def _interval(found: Difference) -> str:
    return f"{found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f}; positive is better)"


def day_numbers(days: Sequence[object]) -> Ints:
    """Return a number for each distinct day, in order; (n,)."""
    return np.unique(np.asarray(days, dtype=str), return_inverse=True)[1].astype(np.int64)
