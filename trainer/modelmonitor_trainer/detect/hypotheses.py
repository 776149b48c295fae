"""Families of hypotheses about rows: pairs of columns, slices, features.

Within a family, p-values are adjusted with the method of Benjamini and Hochberg. Among the tests of the check, a
family counts once, with its smallest adjusted p-value, which is that of

    R. J. Simes, An improved Bonferroni procedure for multiple tests of significance, 1986.

So a matrix of thousands of correlations does not reduce the power of the tests of columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelmonitor_trainer.detect.statistics import adjusted
from modelmonitor_trainer.text import listed, number

BIAS, CORRELATION, ABLATION = "PredictionBias", "CorrelationDrift", "Ablation"


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis of a family: that one quantity has not changed.

    Attributes
    ----------
    name
        A pair of columns, a slice, a feature.
    before, now
        The quantity on both sides, in its own units.
    effect, low, high
        Size of the change, 0 to 1, signed where that means something, and its interval.
    p_value, adjusted_p
        Of no change; the latter adjusted over the family.
    limit
        Threshold of the size of the change; None if the reference has too few batches.
    changed
        Whether the change is significant, exceeds its threshold, and is large enough.
    """

    name: str
    before: float
    now: float
    effect: float
    low: float
    high: float
    p_value: float
    adjusted_p: float = 1.0
    limit: float | None = None
    changed: bool = False


@dataclass(frozen=True)
class HypothesisFamily:
    """A family of hypotheses.

    Attributes
    ----------
    detector, type
        Name and type of the detector.
    what
        What is compared, such as "Pearson correlations".
    subjects
        Hypotheses, the strongest evidence first.
    message
        How they were tested, or why they were not.
    adjusted_p
        Of the family, over all tests of the check.
    drifted
        Whether it counts as drift.
    tested
        Whether the data could be used at all; `message` explains why not.
    headings
        Headings of the report for the subject, and for the quantity on both sides.
    is_matrix
        Whether subjects are pairs of columns, which a report draws as a matrix.
    unresolved
        Names of the hypotheses whose interval includes a change of ``detectableEffect``.
    """

    detector: str
    type: str
    what: str
    subjects: tuple[Hypothesis, ...] = ()
    message: str = ""
    adjusted_p: float = 1.0
    drifted: bool = False
    tested: bool = True
    headings: tuple[str, str, str] = ("Columns", "Before", "Now")
    is_matrix: bool = False
    unresolved: tuple[str, ...] = ()

    @property
    def p_value(self) -> float | None:
        """The p-value of the family (Simes); None if nothing was tested."""
        return min((subject.adjusted_p for subject in self.subjects), default=None)

    @property
    def changed(self) -> tuple[Hypothesis, ...]:
        """The hypotheses that were rejected."""
        return tuple(subject for subject in self.subjects if subject.changed)


def family(test: HypothesisFamily, subjects: Sequence[Hypothesis]) -> HypothesisFamily:
    """Return `test` with `subjects`, their p-values adjusted for their number."""
    p_values = adjusted([subject.p_value for subject in subjects])
    adjusted_subjects = [replace(subject, adjusted_p=float(p)) for subject, p in zip(subjects, p_values, strict=True)]
    return replace(test, subjects=tuple(sorted(adjusted_subjects, key=_rank)))


def decide(
    test: HypothesisFamily, adjusted_p: float, level: float, minimum: float, detectable: float
) -> HypothesisFamily:
    """Return `test` decided: family and hypothesis below the level, above the threshold, and large enough.

    Parameters
    ----------
    test
        A family.
    adjusted_p
        p-value of the family, adjusted over all tests of the check.
    level, minimum, detectable
        Level of the check, the effect that matters, and the one that must be ruled out.
    """
    beyond = adjusted_p < level
    subjects = tuple(replace(subject, changed=beyond and _counts(subject, level, minimum)) for subject in test.subjects)
    drifted = any(subject.changed for subject in subjects)
    unresolved = tuple(s.name for s in subjects if not s.changed and max(abs(s.low), abs(s.high)) >= detectable)
    ranked = tuple(sorted(subjects, key=_rank))
    return replace(test, adjusted_p=adjusted_p, subjects=ranked, drifted=drifted, unresolved=unresolved)


def in_words(test: HypothesisFamily) -> str:
    """Return the rejected hypotheses of a family, as part of a sentence."""
    changed = test.changed
    return f"{test.what}: {listed([f'{s.name} ({number(s.before, 3)} to {number(s.now, 3)})' for s in changed], 3)}"


def _counts(subject: Hypothesis, level: float, minimum: float) -> bool:
    size = abs(subject.effect)
    return subject.adjusted_p < level and size >= minimum and (subject.limit is None or size > subject.limit)


def _rank(subject: Hypothesis) -> tuple[bool, float, float, str]:
    size = abs(subject.effect)
    return not subject.changed, subject.adjusted_p, -size if np.isfinite(size) else 0.0, subject.name
