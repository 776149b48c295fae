"""Manual changes of the champion: the promotion of a version, the rollback to an earlier one, and the pin."""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.messages import PromoteRequest, RollbackRequest, RunVerdict
from modelmonitor_api.names import Reason
from modelmonitor_api.outcomes import GateOutcome, RunOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.registry.mlflow_tracking import move_alias, tracked_name, with_note
from modelmonitor_trainer.registry.records import Decision, Pointer, VersionRecord
from modelmonitor_trainer.registry.registry import ChampionChanged, ChampionPinned, ModelRegistry
from modelmonitor_trainer.storage.base import Store

_REQUESTED = "Requested"


def handle_promotion(store: Store, request: PromoteRequest, *, job: str, now: dt.datetime) -> RunVerdict:
    """Make a version the champion that a person has chosen.

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
        Promoted, or Inconclusive if the champion is no longer the one that it was compared with, and no comment says
        that the person knows.

    Raises
    ------
    NotFound
        If there is no such version.
    BadConfiguration
        If it did not pass the promotion gate, and no comment says why it is promoted all the same. The exception is a
        version whose score is suspiciously good: only a person can decide whether a feature leaks the target, and
        promoting it is that decision.
    BadData
        If one of its files is corrupt.
    """
    registry = ModelRegistry.of(store, request.spec, request.monitor)
    record = registry.version(request.version)
    before = registry.champion()
    if not request.comment and (before is None or before.version != record.version):
        _require_passed(record)
    registry.reserve(record.version)
    registry.verify_model(record)
    # A comment is a decision about the present champion, whichever the version was compared with.
    instead_of = (before.version if before else None) if request.comment else record.compared_with
    judged = f"The gate: {record.outcome} ({record.reason}): {record.message}"
    reason = f"promoted manually: {request.comment}. {judged}" if request.comment else record.message
    try:
        pointer = registry.promote(record, instead_of=instead_of, by=job, now=now, manually=True, message=reason[:1024])
    except ChampionChanged as changed:
        return RunVerdict(
            outcome="Inconclusive",
            reason=GateReason.CHAMPION_CHANGED.value,
            message=f"{record.version} was not promoted: {changed}. To promote it all the same, state a reason "
            "(--reason, or the annotation modelmonitor.io/promote-reason)."[:1024],
            version=record.version,
            champion=changed.pointer.to_champion() if changed.pointer else None,
        )
    message = f"{record.version} is the champion, approved manually. {record.message}."
    if request.comment:
        message = f"{record.version} is the champion, {reason}."[:1024]
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
        would restore a version that the champion watch has already rolled back (two versions must not alternate), or
        replace a pinned champion.
    """
    registry = ModelRegistry.of(store, request.spec, request.monitor)
    before = registry.champion()
    rejection = _reject_pinned(before, request) or _reject_alternation(before, request, job)
    if rejection is not None:
        return rejection
    try:
        pointer, changed = registry.rollback(
            request.to, by=job, now=now, reason=request.reason, instead_of=request.instead_of
        )
    except ChampionChanged as error:
        return _champion_changed(request, error.pointer)
    if changed:
        message = (
            f"{pointer.version} is the champion again and replaces {pointer.previous}. "
            f"{_consequences(registry, pointer)}"
        )
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


def handle_pin(registry: ModelRegistry, comment: str | None, *, job: str, now: dt.datetime) -> RunVerdict:
    """Pin the champion, so that only a person can replace it, or release it.

    Parameters
    ----------
    registry
        Registry of the monitor.
    comment
        Why it is pinned; None to release it.
    job
        Name of the Job.
    now
        The present, with time zone.

    Raises
    ------
    NotFound
        If there is no champion.
    BadConfiguration
        If the comment is empty.
    """
    if comment is not None and not comment.strip():
        raise BadConfiguration("the reason for a pin is empty; state why the champion is held (--reason TEXT)")
    pin = None if comment is None else Decision(since=now.replace(microsecond=0), by=job, comment=comment)
    pointer = registry.decide(pin=pin)
    if pin is None:
        message = f"{pointer.version} is not pinned: the next version that passes the gate replaces it."
    else:
        message = (
            f"{pointer.version} is pinned: {comment}. Trainings and automatic rollbacks do not replace it until "
            "modelmonitor unpin; a person can promote another version or roll back."
        )
    return RunVerdict(
        outcome=RunOutcome.PINNED if pin else RunOutcome.RELEASED,
        reason=_REQUESTED,
        message=message,
        version=pointer.version,
        champion=pointer.to_champion(),
    )


def handle_retirement(registry: ModelRegistry, comment: str, *, job: str, now: dt.datetime) -> RunVerdict:
    """Start over: the next version is judged as a first model. All versions and the history are kept.

    Parameters
    ----------
    registry
        Registry of the monitor.
    comment
        Why the champion is retired.
    job
        Name of the Job.
    now
        The present, with time zone.

    Raises
    ------
    NotFound
        If there is no champion.
    BadConfiguration
        If the comment is empty.
    """
    if not comment.strip():
        raise BadConfiguration("the reason for a retirement is empty; state why (--reason TEXT)")
    decision = Decision(since=now.replace(microsecond=0), by=job, comment=comment)
    pointer = registry.decide(retired=decision, pin=None)
    return RunVerdict(
        outcome=RunOutcome.RETIRED,
        reason=_REQUESTED,
        message=f"{pointer.version} is retired: {comment}. It serves until the next training promotes a version, which "
        "is compared with the trivial baselines only. Checks compare with spec.data.reference until then. To undo it: "
        f"modelmonitor rollback --to {pointer.version}.",
        version=pointer.version,
    )


def _consequences(registry: ModelRegistry, pointer: Pointer) -> str:
    """Return whether a rollback has changed the model, and what follows from it."""
    left = pointer.previous or ""
    now, before = (registry.find_version(version) for version in (pointer.version, left))
    if now is not None and before is not None and now.model_sha256 == before.model_sha256:
        return (
            f"It is the same model as {left}: the parameters are equal. To go back further, name a version; "
            "modelmonitor versions lists them."
        )
    held = "" if pointer.pin else " A model from newer data can replace it, unless modelmonitor pin prevents that."
    return (
        f"It is another model. {left} and models equal to it are not promoted again automatically; modelmonitor "
        f"promote --version {left} promotes it.{held}"
    )


def _reject_pinned(pointer: Pointer | None, request: RollbackRequest) -> RunVerdict | None:
    """Reject an automatic rollback of a pinned champion; None if it is allowed."""
    if pointer is None or pointer.pin is None or request.reason == Reason.REQUESTED:
        return None
    return RunVerdict(
        outcome="Rejected",
        reason=GateReason.PINNED.value,
        message=f"Nothing was rolled back: {ChampionPinned(pointer, pointer.pin)}.",
        version=request.to,
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
        f"({record.reason}): {record.message}. To promote it all the same, state why: --reason TEXT, or the annotation "
        "modelmonitor.io/promote-reason"
    )
