"""The verdict of a check and its message.

The first of Corrupted, Drift, ChampionUnusable, PerformanceDrop, Inconclusive and NoDrift that applies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from modelmonitor_api.names import Reason
from modelmonitor_api.outcomes import Verdict
from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.detect.drift import DISTRIBUTION, ColumnResult, DriftResult
from modelmonitor_trainer.detect.hypotheses import in_words
from modelmonitor_trainer.detect.inconclusive import count_of_columns, count_of_rows, why_inconclusive
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.detect.quality import Violation
from modelmonitor_trainer.detect.wording import Wording
from modelmonitor_trainer.text import as_sentence, listed, percent

Name = Literal["NoDrift", "Drift", "Corrupted", "ChampionUnusable", "PerformanceDrop", "Inconclusive"]


@dataclass(frozen=True)
class ExplainedVerdict:
    """A verdict with its reason and its message."""

    name: Name
    reason: Reason
    message: str


def decide(
    drift: DriftResult | None,
    violations: Sequence[Violation],
    performance: Sequence[PerformanceResult],
    sensitivity: Sensitivity,
    *,
    rows: tuple[int, int],
    wording: Wording,
    nothing_to_compare: str = "",
) -> ExplainedVerdict:
    """Return the verdict of a check.

    Parameters
    ----------
    drift
        Decided drift tests; None without a reference.
    violations, performance
        Results of the other detectors.
    sensitivity
        Has the effect that a check must be able to detect.
    rows
        Of the reference and of the current window.
    wording
        Words for partitions or files.
    nothing_to_compare
        Why `drift` is None.
    """
    dropped = " ".join(as_sentence(result.message) for result in performance if result.dropped)
    if violations:
        return ExplainedVerdict("Corrupted", Reason.CORRUPTED, _describe_violations(violations, wording))
    if drift is not None and (drift.drifted or drift.changed_relations):
        return ExplainedVerdict("Drift", Reason.DRIFT, _join_sentences(_describe_drift(drift), dropped))
    if drift is None or not any(column.tests for column in drift.columns):
        why = nothing_to_compare or "no column could be compared: one side has no values"
        return ExplainedVerdict("Inconclusive", Reason.INCONCLUSIVE, _join_sentences(as_sentence(why), dropped))
    if drift.inconclusive or drift.inconclusive_relations:
        text = why_inconclusive(drift, float(sensitivity.detectable_effect), rows, wording)
        return ExplainedVerdict("Inconclusive", Reason.INCONCLUSIVE, _join_sentences(text, dropped))
    quiet = _quiet(drift, sensitivity, rows)
    unsure = [result for result in performance if result.may_have_dropped(float(sensitivity.detectable_effect))]
    if unsure and not dropped:
        scores = " ".join(as_sentence(result.message) for result in unsure)
        text = f"The labelled rows are too few to rule out that the champion's score has dropped. {scores}"
        return ExplainedVerdict("Inconclusive", Reason.INCONCLUSIVE, _join_sentences(text, quiet))
    return ExplainedVerdict("NoDrift", Reason.NO_DRIFT, _join_sentences(dropped, quiet))


def with_champion(decided: ExplainedVerdict, problem: str) -> ExplainedVerdict:
    """Return the verdict ChampionUnusable in place of NoDrift, Inconclusive or PerformanceDrop.

    Parameters
    ----------
    decided
        The verdict without the champion.
    problem
        Why the champion cannot be loaded or scored, in a sentence; empty if it can.
    """
    if not problem:
        return decided
    if decided.name in {"Corrupted", "Drift"}:
        return ExplainedVerdict(decided.name, decided.reason, _join_sentences(decided.message, problem))
    inconclusive = decided.reason is Reason.INCONCLUSIVE
    reason = Reason.INCONCLUSIVE if inconclusive else Reason.CHAMPION_UNUSABLE
    return ExplainedVerdict("ChampionUnusable", reason, _join_sentences(problem, decided.message))


def with_drop(decided: ExplainedVerdict, performance: Sequence[PerformanceResult]) -> ExplainedVerdict:
    """Return the verdict PerformanceDrop in place of NoDrift or Inconclusive if the champion's score has dropped.

    The reason is still Inconclusive if there were too few data to rule out drift.
    """
    if decided.name not in {"NoDrift", "Inconclusive"} or not any(result.dropped for result in performance):
        return decided
    reason = Reason.INCONCLUSIVE if decided.name == "Inconclusive" else Reason.PERFORMANCE_DROP
    return ExplainedVerdict("PerformanceDrop", reason, decided.message)


def with_age(decided: ExplainedVerdict, age: str) -> ExplainedVerdict:
    """Return a verdict that no change was found with the sentence that its data are old; empty if they are not."""
    if not age or decided.name not in {Verdict.NO_DRIFT.value, Verdict.INCONCLUSIVE.value}:
        return decided
    return replace(decided, message=f"{as_sentence(decided.message)} {age}")


def probability(value: float) -> str:
    """Return a probability as text.

    >>> probability(0.0), probability(0.00123), probability(0.25)
    ('< 1e-15', '0.0012', '0.25')
    """
    if value < 1e-15:
        return "< 1e-15"
    return f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def evidence_in_words(column: ColumnResult) -> str:
    """Return the result of a column's decisive test, as part of a sentence."""
    test = column.decisive
    if test is None:
        return column.name
    if test.what == DISTRIBUTION:
        return f"{column.name} (effect {test.evidence.effect:.2f}, adjusted p {probability(test.adjusted_p)})"
    before, now = column.comparison.reference.total, column.comparison.current.total
    return (
        f"missing values of {column.name} ({percent(before.missing / before.rows)} before, "
        f"{percent(now.missing / now.rows)} now, adjusted p {probability(test.adjusted_p)})"
    )


def _describe_violations(violations: Sequence[Violation], wording: Wording) -> str:
    shown = "; ".join(violation.message for violation in violations[:3])
    more = f"; and {len(violations) - 3} more" if len(violations) > 3 else ""
    return wording.corrupted.format(violations=shown + more)


def _describe_drift(drift: DriftResult) -> str:
    drifted = drift.drifted
    sentences = []
    if drifted:
        shown = listed([evidence_in_words(column) for column in drifted], 3)
        verb = "has" if len(drifted) == 1 else "have"
        sentences.append(f"{len(drifted)} of {count_of_columns(len(drift.compared))} {verb} drifted: {shown}.")
    if drift.changed_relations:
        relations = "; ".join(in_words(relation) for relation in drift.changed_relations)
        sentences.append(f"Relationships between columns have changed: {relations}.")
    return " ".join(sentences)


def _quiet(drift: DriftResult, sensitivity: Sensitivity, rows: tuple[int, int]) -> str:
    others = [column.name for column in drift.columns if not column.tests]
    text = (
        f"No change of {sensitivity.detectable_effect} or more in {count_of_columns(len(drift.unchanged))}, with 95 % "
        f"confidence, and no significant one of {sensitivity.minimum_effect} or more; {count_of_rows(rows[1])} against "
        f"{rows[0]:,}."
    )
    return f"{text} Not compared: {listed(others, 3)}." if others else text


def _join_sentences(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
