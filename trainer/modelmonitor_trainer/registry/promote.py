"""Moving the champion by hand: approving a version, and going back to an earlier one."""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.messages import PromoteRequest, RollbackRequest, RunVerdict
from modelmonitor_api.names import Reason
from modelmonitor_trainer.failures import BadConfiguration
from modelmonitor_trainer.gate.verdict import GateReason
from modelmonitor_trainer.registry.champion import (
    ChampionChanged,
    Pointer,
    VersionRecord,
    champion_pointer,
    monitor_prefix,
    need_version,
    promote,
    rollback,
)
from modelmonitor_trainer.registry.claims import claim
from modelmonitor_trainer.registry.tracking import move_alias, tracked_name, with_note
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
    claim(store, prefix, record.version)
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
    message = f"{record.version} is the champion, approved by hand. {record.message}."
    return RunVerdict(
        outcome="Promoted",
        reason=_REQUESTED,
        message=with_note(message, move_alias(tracked_name(request.monitor), record.version)),
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

    Returns
    -------
    RunVerdict
        RolledBack; Inconclusive where the rollback was decided about another champion; Rejected where the watch asks
        for a version that it has sent back itself: two versions must not take turns.
    """
    prefix = monitor_prefix(request.spec, request.monitor)
    refused = _refused(champion_pointer(store, prefix), request, job)
    if refused is not None:
        return refused
    try:
        pointer, changed = rollback(
            store, prefix, request.to, by=job, now=now, reason=request.reason, instead_of=request.instead_of
        )
    except ChampionChanged as moved:
        return _overtaken(request, moved.pointer)
    if changed:
        message = f"{pointer.version} is the champion again, in place of {pointer.previous}."
    else:
        message = f"{pointer.version} is the champion already; nothing was changed."
    message = f"{message} {request.message}".strip()
    return RunVerdict(
        outcome="RolledBack",
        reason=request.reason,
        message=with_note(message, move_alias(tracked_name(request.monitor), pointer.version)),
        version=pointer.version,
        champion=pointer.to_champion(),
    )


def _overtaken(request: RollbackRequest, pointer: Pointer | None) -> RunVerdict:
    now = pointer.version if pointer else "none"
    return RunVerdict(
        outcome="Inconclusive",
        reason=GateReason.CHAMPION_CHANGED.value,
        message=f"Nothing was rolled back: the champion is {now} by now, and the rollback was decided about "
        f"{request.instead_of}.",
        version=request.to,
        champion=pointer.to_champion() if pointer else None,
    )


def _refused(pointer: Pointer | None, request: RollbackRequest, job: str) -> RunVerdict | None:
    """Return why the watch may not go back to a version: it was sent back by the watch itself."""
    if pointer is None or request.reason != Reason.WORSE_THAN_PREDECESSOR:
        return None
    sent_back = any(
        reign.action == "RolledBack"
        and reign.reason == Reason.WORSE_THAN_PREDECESSOR
        and reign.previous == request.to
        and reign.by != job
        for reign in pointer.history
    )
    if not sent_back:
        return None
    return RunVerdict(
        outcome="Rejected",
        reason=Reason.WORSE_THAN_PREDECESSOR.value,
        message=f"Nothing was rolled back: {pointer.version} is worse than {request.to}, which was itself sent back as "
        "worse than the version before it. Train again, or set modelmonitor.io/rollback-to by hand.",
        version=request.to,
        champion=pointer.to_champion(),
    )


def _refuse_what_did_not_pass(record: VersionRecord) -> None:
    if record.outcome == "Passed" or record.reason == GateReason.TOO_GOOD_TO_BE_TRUE:
        return
    raise BadConfiguration(
        f"{record.version} was not let pass and is not promoted. {record.outcome} ({record.reason}): {record.message}"
    )
