"""Moving the champion by hand: approving a version, and going back to an earlier one."""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.messages import PromoteRequest, RollbackRequest, RunVerdict
from modelmonitor_trainer import registry
from modelmonitor_trainer.failures import BadConfiguration
from modelmonitor_trainer.storage import Store


def roll_back(store: Store, request: RollbackRequest, job: str | None, now: dt.datetime) -> RunVerdict:
    """Make an earlier version the champion again; see :func:`registry.rollback`."""
    prefix = registry.monitor_prefix(request.spec, request.monitor)
    pointer = registry.rollback(store, prefix, request.to, job, now.replace(microsecond=0))
    return RunVerdict(
        outcome="RolledBack",
        reason="Requested",
        message=f"{pointer.version} is the champion again, as it was asked ({request.to}).",
        version=pointer.version,
        champion=pointer.to_champion(),
    )


def approve(store: Store, request: PromoteRequest, now: dt.datetime) -> RunVerdict:
    """Make a version that awaits approval the champion.

    Raises
    ------
    BadConfiguration
        If there is no such version, or it did not pass the gate.
    """
    prefix = registry.monitor_prefix(request.spec, request.monitor)
    version = registry.read_version(store, prefix, request.version)
    if version is None:
        raise BadConfiguration(f"there is no version {request.version!r}; modelmonitor versions lists them")
    if version.outcome not in {"AwaitingApproval", "Promoted"}:
        raise BadConfiguration(
            f"{version.version} is {version.outcome} ({version.reason}) and cannot be promoted; a version that once was "
            "the champion can be rolled back to"
        )
    pointer = registry.promote(
        store, prefix, version, version.compared_with, "approved by hand", now.replace(microsecond=0)
    )
    if pointer.version != version.version:
        return RunVerdict(
            outcome="Inconclusive",
            reason="ChampionChanged",
            message=f"{version.version} was compared with {version.compared_with or 'no champion'}, and the champion is "
            f"{pointer.version} by now; train again.",
            version=version.version,
            champion=pointer.to_champion(),
        )
    return RunVerdict(
        outcome="Promoted",
        reason="Requested",
        message=f"{version.version} is the champion, approved by hand. {version.message}"[:1024],
        version=version.version,
        champion=pointer.to_champion(),
    )
