"""Model registry: which version of a monitor's model is the champion, and the changes of it.

``champion.json`` names the version in production and every one before it. It is replaced by conditional writes only,
so of two trainings that race one promotes, and the other learns that the champion it was compared with has been
replaced. Every step can be repeated: a restarted pod recognizes what it has done by the name of its Job.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import dataclass
from typing import Literal

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.reasons import Reason
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.times import format_time
from modelmonitor_trainer.errors import BadConfiguration, NotFound, ObjectChanged, PreconditionFailed
from modelmonitor_trainer.registry.dating import DatedChange, date_by_store, date_change, needs_store_clock
from modelmonitor_trainer.registry.decisions import copy_decisions
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.records import (
    Decision,
    Pointer,
    Tenure,
    VersionRecord,
    parse_pointer,
    pointer_of,
)
from modelmonitor_trainer.registry.recovery import PointerLost, find_evidence
from modelmonitor_trainer.registry.tenures import copy_tenures
from modelmonitor_trainer.registry.versions import ModelVersions
from modelmonitor_trainer.storage.base import JSON, Store

_LOG = logging.getLogger(__name__)

#: Changes of champion that are kept; at one a day, three years.
MAX_HISTORY = 1000
PREVIOUS = "previous"
_ATTEMPTS = 5


class ChampionPinned(ObjectChanged):
    """The champion is pinned, so only a person can replace it.

    Attributes
    ----------
    pointer
        The champion.
    """

    def __init__(self, pointer: Pointer, pin: Decision) -> None:
        super().__init__(
            f"{pointer.version} has been pinned since {format_time(pin.since)} ({pin.comment}); modelmonitor unpin "
            "releases it"
        )
        self.pointer = pointer


class ChampionChanged(ObjectChanged):
    """The champion is not the one that a decision was based on.

    Attributes
    ----------
    pointer
        The present champion, None if there is none.
    """

    def __init__(self, expected: str | None, pointer: Pointer | None) -> None:
        present = pointer.version if pointer else "none"
        super().__init__(
            f"the champion changed while this version was compared with {expected or 'no champion'}: it is {present} "
            "now; train again to compare with it"
        )
        self.pointer = pointer


@dataclass(frozen=True)
class ModelRegistry(ModelVersions):
    """Versions and champion of one monitor; see :class:`~modelmonitor_trainer.registry.versions.ModelVersions`."""

    @classmethod
    def of(cls, store: Store, spec: ModelMonitorSpec, monitor: MonitorRef) -> ModelRegistry:
        """Return the registry of a monitor."""
        return cls(store, ResultsLayout.of(spec, monitor))

    def pointer(self) -> tuple[Pointer, str] | None:
        """Return the champion pointer and its ETag, or None before the first promotion.

        Raises
        ------
        PointerLost
            If there is no pointer although there was a champion.
        BadData
            If the pointer is corrupt.
        """
        uri = self.layout.champion
        try:
            data, etag = self.store.read_versioned(uri)
        except NotFound:
            evidence = find_evidence(self.store, self.layout)
            if evidence is None:
                return None
            if self.store.head(uri) is None:
                raise PointerLost(uri, evidence) from None
            data, etag = self.store.read_versioned(uri)  # written since it was looked for
        return parse_pointer(data, uri), etag

    def champion(self) -> Pointer | None:
        """Return the champion, or None before the first promotion and after a retirement; see :meth:`pointer`."""
        serving = self.serving()
        return None if serving is None or serving.retired is not None else serving

    def serving(self) -> Pointer | None:
        """Return the version that serves, retired or not; None before the first promotion."""
        versioned = self.pointer()
        return versioned[0] if versioned else None

    def promote(
        self,
        record: VersionRecord,
        *,
        instead_of: str | None,
        by: str,
        now: dt.datetime,
        manually: bool = False,
        message: str | None = None,
    ) -> Pointer:
        """Make a version the champion and return the pointer.

        Parameters
        ----------
        record
            The version; complete.
        instead_of
            The champion that it was compared with, None for no champion.
        by
            Name of the Job. A Job that has already promoted this version does not promote it again, even after a
            rollback.
        now
            The present.
        manually
            Whether a person promotes it: that replaces a pinned champion as well.
        message
            Reason, one sentence; that of the gate if omitted.

        Raises
        ------
        ChampionChanged
            If another version has become the champion since.
        ChampionPinned
            If the champion is pinned.
        """
        self.require_conditional_writes()
        pointer, etag = self.pointer() or (None, None)
        if pointer is not None and _is_promoted(pointer, record.version, by):
            # Written by a pod that was killed before it copied the history, perhaps.
            copy_tenures(self.store, self.layout, pointer)
            return pointer
        if (pointer.version if pointer and pointer.retired is None else None) != instead_of:
            raise ChampionChanged(instead_of, pointer)
        if pointer is not None and pointer.pin is not None and not manually:
            raise ChampionPinned(pointer, pointer.pin)
        dated = self._date_change(pointer, record, now)
        tenure = _tenure(record, "Promoted", by, message or record.message, instead_of, dated.since)
        if manually:
            tenure = tenure.model_copy(update={"reason": Reason.REQUESTED.value})
        try:
            return self._replace_pointer(dated, etag, tenure)
        except PreconditionFailed:
            pointer = self.champion()
            # Written by this Job, if only the response of the object store was lost.
            if pointer is not None and _is_promoted(pointer, record.version, by):
                return pointer
            raise ChampionChanged(instead_of, pointer) from None

    def rollback(
        self, to: str, *, by: str, now: dt.datetime, reason: str = "", instead_of: str | None = None
    ) -> tuple[Pointer, bool]:
        """Make an earlier champion the champion again.

        Parameters
        ----------
        to
            A version that has been the champion, or "previous": the one before the present champion. Two rollbacks to
            the previous one end where they began, as with ``kubectl rollout undo``.
        by
            Name of the Job; it rolls back once, however often its pod is started.
        now
            The present.
        reason
            One CamelCase word.
        instead_of
            The champion that the rollback was decided for; None for any.

        Returns
        -------
        pointer, changed
            Not changed if the version is the champion already, or this Job has rolled back before.

        Raises
        ------
        NotFound
            If there is no champion, none before it, or no such version.
        BadConfiguration
            If the version has never been the champion.
        BadData
            If a file of the version is corrupt.
        ChampionChanged
            If the champion is not the one that the rollback was decided for.
        """
        self.require_conditional_writes()
        for _ in range(_ATTEMPTS):
            pointer, etag = self.pointer() or (None, None)
            if pointer is None:
                raise NotFound(
                    f"there is no champion under {self.layout.root}, so there is nothing to roll back; the first "
                    "training creates one"
                )
            if any(tenure.by == by and tenure.action == "RolledBack" for tenure in pointer.history):
                return pointer, False
            if instead_of is not None and pointer.version != instead_of:
                raise ChampionChanged(instead_of, pointer)
            version = _target(pointer, to)
            if version == pointer.version and pointer.retired is None:
                return pointer, False
            record = self.reserve(version)
            self.verify_model(record)
            message = f"rolled back from {pointer.version}"
            dated = self._date_change(pointer, record, now)
            tenure = _tenure(record, "RolledBack", by, message, pointer.version, dated.since)
            try:
                return self._replace_pointer(dated, etag, tenure.model_copy(update={"reason": reason})), True
            except PreconditionFailed:
                continue  # another Job was faster: start over from what it wrote
        raise ChampionChanged(None, self.champion())

    def _replace_pointer(self, dated: DatedChange, etag: str | None, tenure: Tenure) -> Pointer:
        """Write the pointer if it still is the one that was read.

        Raises
        ------
        PreconditionFailed
            If it is not.
        """
        pointer = dated.pointer
        numbers = pointer.numbers() if pointer else [0]
        earlier = [
            item.model_copy(update={"number": number})
            for number, item in zip(numbers, pointer.history if pointer else (), strict=False)
        ]
        tenure = tenure.model_copy(update={"number": numbers[0] + 1})
        pin = pointer.pin if pointer is not None else None
        replaced = pointer_of([tenure, *earlier][:MAX_HISTORY]).model_copy(update={"pin": pin})
        self.write_pointer(replaced, etag)
        copy_tenures(self.store, self.layout, replaced, corrected=dated.corrected)
        if pointer is not None and (pointer.pin, pointer.retired) != (None, None):
            copy_decisions(self.store, self.layout, replaced)
        return replaced

    def write_pointer(self, pointer: Pointer, etag: str | None) -> None:
        """Write the pointer if the present one has this ETag, None for no pointer.

        Raises
        ------
        PreconditionFailed
            If it has not.
        """
        data = json.dumps(pointer.to_wire(), indent=1, ensure_ascii=False, allow_nan=False).encode()
        if etag is None:
            self.store.write(self.layout.champion, data, if_absent=True, content_type=JSON)
        else:
            self.store.write(self.layout.champion, data, if_match=etag, content_type=JSON)

    def _date_change(self, pointer: Pointer | None, record: VersionRecord, now: dt.datetime) -> DatedChange:
        """Return when the tenure of a version begins, and the pointer that it replaces, with its times corrected."""
        if pointer is None or not needs_store_clock(pointer, now):
            return date_change(pointer, now)
        # What has just been written bears the present time of the object store.
        self.reserve(record.version)
        present = self.store.head(self.layout.version(record.version).reservation)
        previous = self.store.head(self.layout.champion)
        if present is None or previous is None:
            return date_change(pointer, now)
        dated = date_by_store(pointer, now, store_now=present.last_modified, store_then=previous.last_modified)
        _LOG.warning(
            "the clock of this machine shows %s, and %s is the champion since %s: one of the clocks is wrong. By the "
            "clock of the object store it is %s; the change is recorded as of %s",
            format_time(now),
            pointer.version,
            format_time(pointer.since),
            format_time(present.last_modified),
            format_time(dated.since),
        )
        return dated

    def require_conditional_writes(self) -> None:
        """Verify that two writers cannot overwrite each other in this store.

        Raises
        ------
        BadConfiguration
            If they can.
        """
        self.store.require_conditional_writes(self.layout.probes)

    def decide(self, **decision: Decision | None) -> Pointer:
        """Record a decision about the champion: ``pin`` or ``retired``; None revokes it.

        Raises
        ------
        NotFound
            If there is no champion.
        ChampionChanged
            If other Jobs keep changing the pointer.
        """
        for _ in range(_ATTEMPTS):
            pointer, etag = self.pointer() or (None, None)
            if pointer is None:
                raise NotFound(f"there is no champion under {self.layout.root}, so there is nothing to decide about it")
            changed = pointer.model_copy(update=decision)
            try:
                self.write_pointer(changed, etag)
            except PreconditionFailed:
                continue  # another Job was faster: start over from what it wrote
            copy_decisions(self.store, self.layout, changed)
            return changed
        raise ChampionChanged(None, self.champion())


def _target(pointer: Pointer, to: str) -> str:
    """Return the version that a rollback restores."""
    if to == PREVIOUS:
        earlier = next((tenure.version for tenure in pointer.history if tenure.version != pointer.version), None)
        if pointer.previous is None and earlier is not None:
            raise NotFound(
                f"{pointer.version} was judged as a first model, because the champion before it was retired; name the "
                f"version, for example {earlier} (modelmonitor rollback --to {earlier})"
            )
        if pointer.previous is None:
            raise NotFound(
                f"{pointer.version} is the first champion, there is none before it; modelmonitor versions lists all"
            )
        return pointer.previous
    if to != pointer.version and all(tenure.version != to for tenure in pointer.history):
        raise BadConfiguration(
            f"{to} has never been the champion, so it cannot be rolled back to; name a former champion (modelmonitor "
            "versions lists them), or promote it"
        )
    return to


def _is_promoted(pointer: Pointer, version: str, by: str) -> bool:
    """Return whether a version is the champion, or this Job has promoted it before."""
    if pointer.version == version:
        return True
    return any(tenure.version == version and tenure.by == by for tenure in pointer.history)


def _tenure(
    record: VersionRecord,
    action: Literal["Promoted", "RolledBack"],
    by: str,
    message: str,
    previous: str | None,
    now: dt.datetime,
) -> Tenure:
    return Tenure.model_validate(
        {
            "version": record.version,
            "since": now.replace(microsecond=0),
            "action": action,
            "by": by,
            "message": message,
            "previous": previous,
            **record.for_tenure(),
        }
    )
