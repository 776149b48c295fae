"""Automatic rollback: undo a promotion that the champion watch or a failed rollout shows to be bad, at most once."""

from __future__ import annotations

from modelmonitor_api.names import Reason
from modelmonitor_api.spec import WatchAction
from modelmonitor_api.times import format_time
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.intents import AutoRollback, RollbackCause
from modelmonitor_policy.observations import ChampionObservation


def promotion_token(champion: ChampionObservation) -> str:
    """Return the token of a promotion; the same version can become the champion again later."""
    return f"{champion.version}@{format_time(champion.since)}"


def find_auto_rollback(facts: Facts) -> AutoRollback | None:
    """Return the automatic rollback that is due, if any."""
    if facts.in_flight is not None or facts.pin is not None:
        return None
    return _worse_than_predecessor(facts) or _failed_rollout(facts)


def _worse_than_predecessor(facts: Facts) -> AutoRollback | None:
    """Return the rollback of a champion that is worse than its predecessor.

    The result of the watch must be about the current promotion: the check can have begun before it. A version that
    became the champion by a rollback is not watched, so two versions never alternate. The check ensures that, because
    it knows how each version became the champion, and so does the rollback Job itself.
    """
    watch, champion = facts.watch, facts.champion
    if facts.spec.promotion.watch.action is not WatchAction.ROLLBACK or facts.spec.suspend:
        return None
    if watch is None or champion is None or not watch.worse:
        return None
    if (watch.champion, watch.since) != (champion.version, champion.since):
        return None
    token = promotion_token(champion)
    if facts.watch_answered == token:
        return None
    return AutoRollback(
        version=watch.predecessor,
        instead_of=champion.version,
        cause=RollbackCause.WATCH,
        promotion=token,
        reason=Reason.WORSE_THAN_PREDECESSOR,
        message=watch.message,
    )


def _failed_rollout(facts: Facts) -> AutoRollback | None:
    """Return the rollback of a champion with which its Deployment did not become available."""
    failure = facts.rollout_failure
    if failure is None:
        return None
    rollback = AutoRollback(
        version=failure.previous,
        instead_of=failure.version,
        cause=RollbackCause.ROLLOUT,
        promotion=failure.version,
        reason=Reason.ROLLOUT_FAILED,
        message=failure.message,
    )
    return rollback if rollback.token not in facts.rollback_tokens else None
