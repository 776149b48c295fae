"""Promotion of a version that passed the gate: automatic, or on approval."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from modelmonitor_api.names import ANNOTATION_PIN
from modelmonitor_api.outcomes import GateOutcome, RunOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import PromotionMode
from modelmonitor_trainer.registry.records import Pointer, VersionRecord
from modelmonitor_trainer.registry.registry import ChampionChanged, ChampionPinned
from modelmonitor_trainer.text import as_sentence
from modelmonitor_trainer.train.run import Run


@dataclass(frozen=True)
class PromotionDecision:
    """Outcome of a training with a comparison.

    Attributes
    ----------
    outcome, reason, message
        The outcome, for status and report.
    champion
        Champion pointer after the decision; None without a champion.
    """

    outcome: RunOutcome
    reason: str
    message: str
    champion: Pointer | None

    def serves(self, record: VersionRecord) -> bool:
        """Whether a version is the champion after the decision."""
        return self.champion is not None and self.champion.version == record.version


def promote(run: Run, record: VersionRecord, now: dt.datetime) -> PromotionDecision:
    """Promote a version if it passed the gate and ``promotion.mode`` is Auto.

    The promotion is idempotent: a restarted pod finds the version promoted. If another version became the champion
    since the comparison, the outcome is Inconclusive.
    """
    message = as_sentence(record.message)
    if record.outcome is not GateOutcome.PASSED:
        return PromotionDecision(RunOutcome(record.outcome.value), record.reason, message, run.registry.champion())
    if run.spec.promotion.mode is PromotionMode.MANUAL:
        message += (
            f" To promote it: modelmonitor promote --version {record.version}, or the annotation "
            f"modelmonitor.io/promote: {record.version}."
        )
        return PromotionDecision(RunOutcome.AWAITING_APPROVAL, record.reason, message, run.registry.champion())
    champion = run.registry.champion()
    if run.request.pinned and champion is not None and champion.version != record.version:
        message += f" The champion is pinned by the annotation {ANNOTATION_PIN}; modelmonitor.io/promote replaces it."
        return PromotionDecision(RunOutcome.AWAITING_APPROVAL, GateReason.PINNED.value, message, champion)
    try:
        pointer = run.registry.promote(record, instead_of=record.compared_with, by=run.job, now=now)
    except ChampionChanged as changed:
        reason = GateReason.CHAMPION_CHANGED.value
        return PromotionDecision(RunOutcome.INCONCLUSIVE, reason, as_sentence(str(changed)), changed.pointer)
    except ChampionPinned as pinned:
        message += f" It awaits approval: {as_sentence(str(pinned))}"
        return PromotionDecision(RunOutcome.AWAITING_APPROVAL, GateReason.PINNED.value, message, pinned.pointer)
    if pointer.version != record.version:
        message += f" Since then {pointer.version} has become the champion."
    return PromotionDecision(RunOutcome.PROMOTED, record.reason, message, pointer)
