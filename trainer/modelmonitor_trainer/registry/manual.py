"""Manual changes of the champion: the approval of a version, and the rollback to an earlier one."""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.messages import PromoteRequest, RollbackRequest, RunVerdict
from modelmonitor_api.names import Reason
from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.registry.mlflow_tracking import move_alias, tracked_name, with_note
from modelmonitor_trainer.registry.records import Pointer, VersionRecord
from modelmonitor_trainer.registry.registry import ChampionChanged, ModelRegistry
from modelmonitor_trainer.storage.base import Store

_REQUESTED = "Requested"


def handle_promotion(store: Store, request: PromoteRequest, *, job: str, now: dt.datetime) -> RunVerdict:
    """Make a version that awaits approval the champion.

    Parameters
    ----------
    store
        Object store of the results.
    request
        Which version.
    job
        Name of the Job.
    now
        The present, with time zone.

    Returns
    -------
    RunVerdict
        Promoted, or Inconclusive if the champion is no longer the one that it was compared with.

    Raises
    ------
    NotFound
        If there is no such version.
    BadConfiguration
        If it did not pass the promotion gate. The exception is a version whose score is suspiciously good: only a
        person can decide whether a feature leaks the target, and promoting it is that decision.
    BadData
        If one of its files is corrupt.
    """
    registry = ModelRegistry.of(store, request.spec, request.monitor)
    record = registry.version(request.version)
    before = registry.champion()
    if before is None or before.version != record.version:
        _require_passed(record)
    registry.reserve(record.version)
    registry.verify_model(record)
    try:
        pointer = registry.promote(record, instead_of=record.compared_with, by=job, now=now)
    except ChampionChanged as changed:
        return RunVerdict(
            outcome="Inconclusive",
            reason=GateReason.CHAMPION_CHANGED.value,
            message=f"{record.version} was not promoted: {changed}."[:1024],
            version=record.version,
            champion=changed.pointer.to_champion() if changed.pointer else None,
        )
    message = f"{record.version} is the champion, approved manually. {record.message}."
    return RunVerdict(
        outcome="Promoted",
        reason=_REQUESTED,
        message=with_note(message, move_alias(tracked_name(request.monitor), record.version)),
        version=record.version,
        champion=pointer.to_champion(),
    )


def handle_rollback(store: Store, request: RollbackRequest, *, job: str, now: dt.datetime) -> RunVerdict:
    """Make an earlier champion the champion again; see :meth:`ModelRegistry.rollback`.

    Parameters
    ----------
    store
        Object store of the results.
    request
        Which version, or "previous".
    job
        Name of the Job: it rolls back once, however often its pod is started.
    now
        The present, with time zone.

    Returns
    -------
    RunVerdict
        RolledBack; Inconclusive if the rollback was decided for another champion; Rejected if an automatic rollback
        would restore a version that the champion watch has already rolled back: two versions must not alternate.
    """
    registry = ModelRegistry.of(store, request.spec, request.monitor)
    rejection = _reject_alternation(registry.champion(), request, job)
    if rejection is not None:
        return rejection
    try:
        pointer, changed = registry.rollback(
            request.to, by=job, now=now, reason=request.reason, instead_of=request.instead_of
        )
    except ChampionChanged as error:
        return _champion_changed(request, error.pointer)
    if changed:
        message = f"{pointer.version} is the champion again and replaces {pointer.previous}."
    else:
        message = f"{pointer.version} is already the champion; nothing was changed."
    message = f"{message} {request.message}".strip()
    return RunVerdict(
        outcome="RolledBack",
        reason=request.reason,
        message=with_note(message, move_alias(tracked_name(request.monitor), pointer.version)),
        version=pointer.version,
        champion=pointer.to_champion(),
    )


def _champion_changed(request: RollbackRequest, pointer: Pointer | None) -> RunVerdict:
    present = pointer.version if pointer else "none"
    return RunVerdict(
        outcome="Inconclusive",
        reason=GateReason.CHAMPION_CHANGED.value,
        message=f"Nothing was rolled back: the champion is now {present}, and the rollback was decided for "
        f"{request.instead_of}.",
        version=request.to,
        champion=pointer.to_champion() if pointer else None,
    )


def _reject_alternation(pointer: Pointer | None, request: RollbackRequest, job: str) -> RunVerdict | None:
    """Reject an automatic rollback to a version that an automatic rollback has replaced; None if it is allowed."""
    if pointer is None or request.reason != Reason.WORSE_THAN_PREDECESSOR:
        return None
    replaced = any(
        tenure.action == "RolledBack"
        and tenure.reason == Reason.WORSE_THAN_PREDECESSOR
        and tenure.previous == request.to
        and tenure.by != job
        for tenure in pointer.history
    )
    if not replaced:
        return None
    return RunVerdict(
        outcome="Rejected",
        reason=Reason.WORSE_THAN_PREDECESSOR.value,
        message=f"Nothing was rolled back: {pointer.version} is worse than {request.to}, which was itself rolled back "
        "as worse than its predecessor. Train again, or set modelmonitor.io/rollback-to manually.",
        version=request.to,
        champion=pointer.to_champion(),
    )


def _require_passed(record: VersionRecord) -> None:
    if record.outcome is GateOutcome.PASSED or record.reason == GateReason.TOO_GOOD_TO_BE_TRUE:
        return
    raise BadConfiguration(
        f"{record.version} did not pass the promotion gate, so it was not promoted. {record.outcome} "
        f"({record.reason}): {record.message}"
    )
