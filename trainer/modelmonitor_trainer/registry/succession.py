"""Succession of champions: from which one the steps began that were "not worse".

A version records it, so that the versions in between can be deleted.
"""

from __future__ import annotations

from collections.abc import Callable

from modelmonitor_api.reasons import GateReason
from modelmonitor_trainer.registry.records import VersionRecord

#: Returns the record of a version, or None if there is none.
Find = Callable[[str], VersionRecord | None]


def best_champion(champion: VersionRecord | None, find: Find) -> VersionRecord | None:
    """Return the last champion that was shown to be better than those before it, or was the first one.

    Parameters
    ----------
    champion
        The present champion.
    find
        Finds records.

    Returns
    -------
    VersionRecord
        None without a champion, or if the champion is the best one itself.
    """
    best = champion
    seen: set[str] = set()
    while best is not None:
        seen.add(best.version)
        before = best.compared_with if best.reason == GateReason.NOT_WORSE else None
        records = (find(name) for name in (best.best_champion, before) if name is not None)
        earlier = next((record for record in records if record is not None and record.version not in seen), None)
        if earlier is None:
            break
        best = earlier
    return None if best is None or champion is None or best.version == champion.version else best


def best_before(
    champion: VersionRecord | None, find: Find, reason: GateReason, *, better_than_best: bool | None
) -> str | None:
    """Return the version that stays the best champion so far if a new version is promoted.

    Parameters
    ----------
    champion
        The champion that the new version was compared with.
    find
        Finds records.
    reason
        Reason of the gate.
    better_than_best
        Whether the new version was shown to be better than the best champion so far, too; None if it was not compared
        with that.

    Returns
    -------
    str
        None if the new version is the best one itself. An improvement on a champion that is worse than the best one is
        a step back up, and not a new measure.
    """
    if champion is None or reason not in {GateReason.NOT_WORSE, GateReason.BETTER}:
        return None
    best = best_champion(champion, find)
    if reason is GateReason.NOT_WORSE:
        return (best or champion).version
    return best.version if best is not None and better_than_best is False else None
