"""Moving the champion by hand: approving a version, and going back to an earlier one."""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.messages import PromoteRequest, RollbackRequest, RunVerdict
from modelmonitor_trainer.failures import BadConfiguration
from modelmonitor_trainer.gate.verdict import GateReason
from modelmonitor_trainer.registry.champion import (
    ChampionChanged,
    VersionRecord,
    champion_pointer,
    monitor_prefix,
    need_version,
    promote,
    rollback,
)
from modelmonitor_trainer.registry.tracking import move_alias, tracked_name
from modelmonitor_trainer.registry.versions import check_files
from modelmonitor_trainer.storage.store import Store

_REQUESTED = "Requested"


def promote_version(store: Store, request: PromoteRequest, *, job: str, now: dt.datetime) -> RunVerdict:
    """Make a version that awaits approval the champion.

    Parameters
    ----------
    store
        Where the results are.
    request
        Which version.
    job
        Name of the Job.
    now
        The present, with time zone.

    Returns
    -------
    RunVerdict
        Promoted, or Inconclusive where the champion is no longer the one that it was compared with.

    Raises
    ------
    NotFound
        If there is no such version.
    BadConfiguration
        If the gate did not let it pass. One exception is a version that was too good to be true: whether a
        feature holds the answer is for a human to say, and this is how they say it.
    BadData
        If one of its files is damaged.
    """
    prefix = monitor_prefix(request.spec, request.monitor)
    record = need_version(store, prefix, request.version)
    before = champion_pointer(store, prefix)
    if before is None or before.version != record.version:
        _refuse_what_did_not_pass(record)
    check_files(store, prefix, record)
    try:
        pointer = promote(store, prefix, record, instead_of=record.compared_with, by=job, now=now)
    except ChampionChanged as changed:
        return RunVerdict(
            outcome="Inconclusive",
            reason=GateReason.CHAMPION_CHANGED.value,
            message=f"{record.version} is not promoted: {changed}."[:1024],
            version=record.version,
            champion=changed.pointer.to_champion() if changed.pointer else None,
        )
    move_alias(tracked_name(request.monitor), record.version)
    return RunVerdict(
        outcome="Promoted",
        reason=_REQUESTED,
        message=f"{record.version} is the champion, approved by hand. {record.message}."[:1024],
        version=record.version,
        champion=pointer.to_champion(),
    )


def roll_back(store: Store, request: RollbackRequest, *, job: str, now: dt.datetime) -> RunVerdict:
    """Make an earlier champion the champion again; see :func:`~modelmonitor_trainer.registry.champion.rollback`.

    Parameters
    ----------
    store
        Where the results are.
    request
        Which version, or "previous".
    job
        Name of the Job: it rolls back once, however often its pod is started.
    now
        The present, with time zone.
    """
    prefix = monitor_prefix(request.spec, request.monitor)
    pointer, changed = rollback(store, prefix, request.to, by=job, now=now)
    if changed:
        message = f"{pointer.version} is the champion again, in place of {pointer.previous}."
    else:
        message = f"{pointer.version} is the champion already; nothing was changed."
    move_alias(tracked_name(request.monitor), pointer.version)
    return RunVerdict(
        outcome="RolledBack",
        reason=_REQUESTED,
        message=message,
        version=pointer.version,
        champion=pointer.to_champion(),
    )


def _refuse_what_did_not_pass(record: VersionRecord) -> None:
    if record.outcome == "Passed" or record.reason == GateReason.TOO_GOOD_TO_BE_TRUE:
        return
    raise BadConfiguration(
        f"{record.version} was not let pass and is not promoted. {record.outcome} ({record.reason}): {record.message}"
    )
