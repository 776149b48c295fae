"""Equivalence: whether a change of ``detectableEffect`` can be ruled out, and if not, why.

"No drift" is a claim. It holds for a column if the upper end of the 95 % interval of every effect is below
``detectableEffect``: the interval inclusion rule of an equivalence test (D. J. Schuirmann, A comparison of the two
one-sided tests procedure, 1987). A union of such claims needs no adjustment for their number: the verdict is wrong only
if the claim about a column that has changed is (R. L. Berger, Multiparameter hypothesis testing and acceptance
sampling, 1982).
"""

from __future__ import annotations

from dataclasses import dataclass

from modelmonitor_api.outcomes import DoubtReason
from modelmonitor_trainer.detect.statistics import Evidence
from modelmonitor_trainer.detect.variation import Variation

#: A movement of the reference is a trend if it has carried it this share of ``detectableEffect``.
_TREND = 0.5


@dataclass(frozen=True)
class Doubt:
    """Why a change of a column cannot be ruled out.

    Attributes
    ----------
    reason
        The reason.
    batches
        Indices of the batches it is about: of the reference for CHANGE_POINT, otherwise of the current window. For
        BATCHES_VARY that is the one farthest from the reference, if it is farther than ``detectableEffect``.
    size
        Distance that it is about; for NEW_VALUES, the share of the distinct values that are new.
    """

    reason: DoubtReason
    batches: tuple[int, ...] = ()
    size: float = 0.0


def doubts_about(
    evidence: Evidence,
    variation: Variation,
    wanted: float,
    odd: tuple[int, ...],
    rare_values: tuple[Doubt, ...] = (),
) -> tuple[Doubt, ...]:
    """Return why a change of `wanted` cannot be ruled out; nothing if it can.

    Parameters
    ----------
    evidence, variation
        Of the test.
    wanted
        ``detectableEffect``.
    odd
        Indices of batches of the current window that are unlike those of the reference.
    rare_values
        The doubt about values that are compared together, if there is one.
    """
    doubts = []
    if variation.follows_trend and variation.trend >= _TREND * wanted:
        doubts.append(Doubt(DoubtReason.TREND, size=variation.trend))
    if odd:
        doubts.append(Doubt(DoubtReason.ODD_BATCHES, odd))
    doubts += rare_values
    if evidence.high >= wanted and not doubts:
        doubts.append(_too_wide(evidence, variation, wanted))
    return tuple(doubts)


def _too_wide(evidence: Evidence, variation: Variation, wanted: float) -> Doubt:
    """Return what makes the interval too wide."""
    if variation.change_points and evidence.effect >= wanted / 2:
        return Doubt(DoubtReason.CHANGE_POINT, variation.change_points, evidence.effect)
    between = variation.between()
    by_rows = (evidence.high - evidence.effect) ** 2 - between**2
    if between**2 < by_rows or evidence.effect + between < wanted:
        return Doubt(DoubtReason.TOO_FEW_ROWS, size=evidence.high)
    single = variation.single
    far = (int(single.argmax()),) if single.size > 1 and single.max() >= wanted else ()
    return Doubt(DoubtReason.BATCHES_VARY, far, between)
