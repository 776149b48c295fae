"""Repair of a registry: what is damaged, what can be restored from the objects that are there, and its restoration."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelmonitor_api.names import short_hash
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound, ObjectChanged, PreconditionFailed
from modelmonitor_trainer.registry.decisions import Decisions, copy_decisions, read_decisions
from modelmonitor_trainer.registry.inventory import Inventory, take_inventory
from modelmonitor_trainer.registry.records import Pointer, Tenure, pointer_of
from modelmonitor_trainer.registry.recovery import find_history
from modelmonitor_trainer.registry.registry import MAX_HISTORY, ModelRegistry
from modelmonitor_trainer.registry.tenures import copy_tenures
from modelmonitor_trainer.registry.writer import put_once
from modelmonitor_trainer.storage.base import JSON


@dataclass(frozen=True)
class Diagnosis:
    """What is damaged, and what can be restored.

    Attributes
    ----------
    inventory
        The registry, with all files verified.
    restorable
        The champion pointer as it can be restored; None if it is in order, or nothing is known about the champion.
    etag
        ETag of the damaged pointer; None if there is none.
    decisions
        Pin and retirement of the champion; None if they are not known.
    """

    inventory: Inventory
    restorable: Pointer | None
    etag: str | None = None
    decisions: Decisions | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is damaged."""
        return self.inventory.pointer_problem is None and not any(entry.problems for entry in self.inventory.versions)


def diagnose(registry: ModelRegistry) -> Diagnosis:
    """Return what is damaged in a registry, and what can be restored; nothing is changed."""
    inventory = take_inventory(registry, complete=True)
    if inventory.pointer_problem is None:
        return Diagnosis(inventory, None)
    damaged, etag = _damaged_pointer(registry)
    decisions = read_decisions(registry.store, registry.layout, damaged)
    history = find_history(registry.store, registry.layout, registry.versions())
    return Diagnosis(inventory, _pointer(history, decisions) if history else None, etag, decisions)


def _damaged_pointer(registry: ModelRegistry) -> tuple[bytes | None, str | None]:
    try:
        return registry.store.read_versioned(registry.layout.champion)
    except NotFound:
        return None, None


def _pointer(history: Sequence[Tenure], decisions: Decisions | None) -> Pointer:
    pointer = pointer_of(history[:MAX_HISTORY])
    return decisions.apply_to(pointer) if decisions is not None else pointer


def choose_champion(
    registry: ModelRegistry, diagnosis: Diagnosis, version: str, *, by: str, now: dt.datetime
) -> Diagnosis:
    """Return the diagnosis with a pointer to a version that a person chooses, in front of the known history.

    Raises
    ------
    BadConfiguration
        If the pointer is in order: then a promotion or a rollback changes the champion.
    NotFound, BadData
        If there is no such version, or it is damaged.
    """
    if diagnosis.inventory.pointer_problem is None:
        raise BadConfiguration(
            "the champion pointer is in order, so no champion has to be chosen; use modelmonitor promote or rollback"
        )
    record = registry.version(version)
    registry.verify_model(record)
    known = diagnosis.restorable
    if known is not None and known.version == version:
        return diagnosis
    since = max(now.replace(microsecond=0), known.starts()[0]) if known else now.replace(microsecond=0)
    tenure = Tenure.model_validate(
        {
            "number": known.numbers()[0] + 1 if known else 1,
            "version": version,
            "since": since,
            "action": "Promoted",
            "by": by,
            "message": "chosen manually when the champion pointer was repaired",
            "previous": known.version if known else None,
            **record.for_tenure(),
        }
    )
    history = [tenure, *(known.history if known else ())]
    return replace(diagnosis, restorable=_pointer(history, diagnosis.decisions))


def restore(registry: ModelRegistry, diagnosis: Diagnosis) -> Pointer | None:
    """Write what can be restored, and return the restored pointer; None if there is nothing to restore.

    A damaged pointer is kept in `damaged/`. A repair that was interrupted can be repeated.

    Raises
    ------
    ObjectChanged
        If another process has written a pointer since.
    BadConfiguration
        If the object store does not support conditional writes.
    """
    store, layout = registry.store, registry.layout
    if diagnosis.restorable is None:
        if diagnosis.inventory.pointer is not None:
            copy_tenures(store, layout, diagnosis.inventory.pointer)
        return None
    registry.require_conditional_writes()
    if diagnosis.etag is not None:
        damaged = store.read(layout.champion, etag=diagnosis.etag)
        put_once(store, layout.damaged_champion(short_hash(damaged.hex())), damaged, JSON)
    try:
        registry.write_pointer(diagnosis.restorable, diagnosis.etag)
    except PreconditionFailed as error:
        raise ObjectChanged(
            f"{layout.champion} has been written by another process in the meantime; run modelmonitor repair again"
        ) from error
    copy_tenures(store, layout, diagnosis.restorable)
    copy_decisions(store, layout, diagnosis.restorable)
    return diagnosis.restorable


def require_restorable(diagnosis: Diagnosis) -> None:
    """Refuse to restore a pointer of which nothing is known.

    Raises
    ------
    BadData
        With what to do instead.
    """
    if diagnosis.inventory.pointer_problem is not None and diagnosis.restorable is None:
        raise BadData(
            "nothing shows which version was the champion; restore the champion pointer from a backup, or choose the "
            "version that serves with --champion VERSION"
        )
