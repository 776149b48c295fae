"""Whether a new champion that turns out worse than the version before it is sent back: once a promotion."""

from __future__ import annotations

from dataclasses import dataclass

from modelmonitor_api.names import Reason
from modelmonitor_api.spec import WatchAction
from modelmonitor_api.status import format_time
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.observations import ChampionObservation


@dataclass(frozen=True)
class AutoRollback:
    """A rollback that the watch calls for.

    Parameters
    ----------
    to, instead_of
        The version before, and the champion that it replaces.
    token
        Names the promotion: each is answered once.
    reason, message
        Why.
    """

    to: str
    instead_of: str
    token: str
    reason: Reason
    message: str


def promotion_token(champion: ChampionObservation) -> str:
    """Return the name of a promotion: the same version may become the champion again later."""
    return f"{champion.version}@{format_time(champion.since)}"


def find_auto_rollback(facts: Facts) -> AutoRollback | None:
    """Return the rollback that the watch calls for; None where it calls for none, or it has been asked for before.

    What was found must be about the champion as it is now: a check may have begun before it was promoted. A version
    that became the champion by a rollback is not watched, so that two versions never take turns; of that the check
    takes care, which sees how each came to be the champion, and again the rollback itself.
    """
    seen, champion = facts.watch, facts.champion
    if facts.spec.promotion.watch.action is not WatchAction.ROLLBACK or facts.spec.suspend:
        return None
    if seen is None or champion is None or not seen.worse or facts.in_flight is not None:
        return None
    if (seen.champion, seen.since) != (champion.version, champion.since):
        return None
    token = promotion_token(champion)
    if facts.watch_answered == token:
        return None
    return AutoRollback(seen.predecessor, champion.version, token, Reason.WORSE_THAN_PREDECESSOR, seen.message)
