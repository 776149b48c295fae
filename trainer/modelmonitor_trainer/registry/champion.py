"""The champion: one pointer, replaced only by whoever has seen what it replaces.

``champion.json`` names the version in production and every one before it. It is replaced by conditional writes, so
of two trainings that race one promotes, and the other learns that what it was compared with is no longer the
champion. Every step can be repeated: what a killed pod had done is recognised by the name of its Job.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from modelmonitor_api.resource import Message
from modelmonitor_api.status import Champion, Time
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound, ObjectChanged, PreconditionFailed
from modelmonitor_trainer.registry.reservations import reserve
from modelmonitor_trainer.registry.versions import (
    VersionRecord,
    check_files,
    list_versions,
    monitor_prefix,
    need_version,
    read_manifest,
    read_version,
)
from modelmonitor_trainer.storage.base import JSON, Store

if TYPE_CHECKING:
    from modelmonitor_trainer.registry.model_files import LoadedModel

__all__ = [
    "ChampionChanged",
    "Pointer",
    "ServingPeriod",
    "Tenure",
    "VersionRecord",
    "champion_pointer",
    "list_versions",
    "load_champion",
    "load_model",
    "monitor_prefix",
    "need_version",
    "pointer_uri",
    "promote",
    "read_manifest",
    "read_pointer",
    "read_version",
    "rollback",
    "served_between",
]

#: Changes of champion that are kept; at one a day, three years.
MAX_HISTORY = 1000
PREVIOUS = "previous"
_ATTEMPTS = 5


class Tenure(Message):
    """One version's time as champion."""

    version: str = Field(description="Version.")
    since: Time = Field(description="When it became the champion.")
    action: Literal["Promoted", "RolledBack"] = Field(description="How.")
    by: str = Field(description="Job that did it.")
    message: str = Field("", description="Why, in a sentence.")
    reason: str = Field("", description="Why, in one word, of a rollback.")
    previous: str | None = Field(None, description="Champion before it, to which one step back leads.")
    metric: str | None = Field(None, description="Name of its score.")
    score: float | None = Field(None, description="Score on the hold-out rows of its training.")
    data_end: dt.date | None = Field(None, description="Last day of its training window.")
    data_start: dt.date | None = Field(None, description="First day of its training window.")
    train_rows: int | None = Field(None, description="Labelled rows that it was trained on.")
    manifest_sha256: str | None = Field(None, description="SHA-256 of its data manifest.")
    image: str | None = Field(None, description="Image that trained it.")


class Pointer(Tenure):
    """The champion, and all reigns, its own included."""

    schema_version: Literal[1] = 1
    history: list[Tenure] = Field(description="All reigns, the present one first.", min_length=1)

    def to_champion(self) -> Champion:
        """Return the champion as the operator's status shows it; its data end where the next day begins."""
        end = None
        if self.data_end is not None:
            end = dt.datetime.combine(self.data_end + dt.timedelta(days=1), dt.time(), dt.UTC)
        return Champion(
            version=self.version,
            since=self.since,
            metric=self.metric,
            score=None if self.score is None else f"{self.score:.6g}",
            data_end=end,
        )


class ChampionChanged(ObjectChanged):
    """The champion is not the one that a decision was made about.

    Attributes
    ----------
    pointer
        The champion now, None where there is none.
    """

    def __init__(self, expected: str | None, pointer: Pointer | None) -> None:
        now = pointer.version if pointer else "none"
        super().__init__(
            f"the champion changed while this version was compared with {expected or 'no champion'}: it is {now} now; "
            "train again to compare with it"
        )
        self.pointer = pointer


def pointer_uri(prefix: str) -> str:
    """Return where the pointer is."""
    return f"{prefix}champion.json"


def read_pointer(store: Store, prefix: str) -> tuple[Pointer, str] | None:
    """Return the pointer and its ETag, or None where nothing has been promoted yet.

    Raises
    ------
    BadData
        If the pointer is damaged.
    """
    uri = pointer_uri(prefix)
    try:
        data, etag = store.read_versioned(uri)
    except NotFound:
        return None
    try:
        return Pointer.model_validate_json(data), etag
    except ValidationError as error:
        why = error.errors(include_url=False)[0]["msg"]
        raise BadData(
            f"{uri} cannot be read ({why}); restore it from a backup. Without it nobody knows which version serves"
        ) from error


def champion_pointer(store: Store, prefix: str) -> Pointer | None:
    """Return the champion, or None where none has been promoted yet; see :func:`read_pointer`."""
    found = read_pointer(store, prefix)
    return found[0] if found else None


def load_model(store: Store, prefix: str, version: str) -> LoadedModel:
    """Return the model of a version; as :func:`modelmonitor_trainer.registry.model_files.load_model`."""
    # scikit-learn takes a second to import: who only reads the pointer, as most checks do, must not pay for it.
    from modelmonitor_trainer.registry import model_files

    return model_files.load_model(store, prefix, version)


def load_champion(store: Store, prefix: str) -> LoadedModel | None:
    """Return the champion ready to be asked, or None where there is none.

    Raises
    ------
    BadConfiguration
        If a trainer of the user's own made it.
    BadData, NotFound
        If its files are damaged or missing.
    """
    pointer = champion_pointer(store, prefix)
    if pointer is None:
        return None
    return load_model(store, prefix, pointer.version)


@dataclass(frozen=True)
class ServingPeriod:
    """A reign and when it ended.

    Attributes
    ----------
    reign
        Which version, since when, and what it was trained on: told although the version itself may be deleted by now.
    until
        When another version took its place; None for the present champion.
    """

    reign: Tenure
    until: dt.datetime | None


def served_between(pointer: Pointer, start: dt.datetime, end: dt.datetime) -> list[ServingPeriod]:
    """Return who was the champion from `start` until before `end`, the earliest first.

    Parameters
    ----------
    pointer
        The champion, with all reigns.
    start, end
        With time zone. Where they are equal, who served at that moment.
    """
    reigns = pointer.history
    ends = [None, *(reign.since for reign in reigns)]
    found = [
        ServingPeriod(reign, until)
        for reign, until in zip(reigns, ends, strict=False)
        if (reign.since <= start or reign.since < end) and (until is None or start < until) and until != reign.since
    ]
    return found[::-1]


def promote(
    store: Store, prefix: str, record: VersionRecord, *, instead_of: str | None, by: str, now: dt.datetime
) -> Pointer:
    """Make a version the champion and return the pointer.

    Parameters
    ----------
    store, prefix
        Where the monitor's results are.
    record
        The version; complete.
    instead_of
        The champion that it was compared with, None for no champion.
    by
        Name of the Job. A Job that has promoted this version already does not promote it again, even where somebody
        has rolled back since.
    now
        The present.

    Raises
    ------
    ChampionChanged
        If another version has become the champion since.
    """
    pointer, etag = _read(store, prefix)
    if pointer is not None and _has_done(pointer, record.version, by):
        return pointer
    if (pointer.version if pointer else None) != instead_of:
        raise ChampionChanged(instead_of, pointer)
    reign = _reign(record, "Promoted", by, record.message, instead_of, now)
    try:
        return _replace(store, prefix, pointer, etag, reign)
    except PreconditionFailed:
        pointer, _ = _read(store, prefix)
        # Ours, if only the answer of the store was lost.
        if pointer is not None and _has_done(pointer, record.version, by):
            return pointer
        raise ChampionChanged(instead_of, pointer) from None


def rollback(
    store: Store,
    prefix: str,
    to: str,
    *,
    by: str,
    now: dt.datetime,
    reason: str = "",
    instead_of: str | None = None,
) -> tuple[Pointer, bool]:
    """Make an earlier champion the champion again.

    Parameters
    ----------
    store, prefix
        Where the monitor's results are.
    to
        A version that has been the champion, or "previous": the one before the present champion. Asking for the
        previous one twice goes back and forth, as with ``kubectl rollout undo``.
    by
        Name of the Job; it rolls back once, however often its pod is started.
    now
        The present.
    reason
        Why, in one word.
    instead_of
        The champion that the rollback was decided about; None for whichever it is.

    Returns
    -------
    pointer, changed
        Not changed where the version is the champion already, or this Job has rolled back before.

    Raises
    ------
    NotFound
        If there is no champion, none before it, or no such version.
    BadConfiguration
        If the version has never been the champion.
    BadData
        If a file of the version is damaged.
    ChampionChanged
        If the champion is not the one that the rollback was decided about.
    """
    for _ in range(_ATTEMPTS):
        pointer, etag = _read(store, prefix)
        if pointer is None:
            raise NotFound(
                f"there is no champion under {prefix}, so nothing to roll back; the first training makes one"
            )
        if any(reign.by == by and reign.action == "RolledBack" for reign in pointer.history):
            return pointer, False
        if instead_of is not None and pointer.version != instead_of:
            raise ChampionChanged(instead_of, pointer)
        version = _target(pointer, to)
        if version == pointer.version:
            return pointer, False
        record = reserve(store, prefix, version)
        check_files(store, prefix, record)
        message = f"rolled back from {pointer.version}"
        reign = _reign(record, "RolledBack", by, message, pointer.version, now).model_copy(update={"reason": reason})
        try:
            return _replace(store, prefix, pointer, etag, reign), True
        except PreconditionFailed:
            continue  # somebody was faster: look again at what they left
    raise ChampionChanged(None, champion_pointer(store, prefix))


def _target(pointer: Pointer, to: str) -> str:
    """Return the version that a rollback leads to."""
    if to == PREVIOUS:
        if pointer.previous is None:
            raise NotFound(
                f"{pointer.version} is the first champion, there is none before it; modelmonitor versions lists all"
            )
        return pointer.previous
    if to != pointer.version and all(reign.version != to for reign in pointer.history):
        raise BadConfiguration(
            f"{to} has never been the champion, so it cannot be rolled back to; name one that has (modelmonitor "
            "versions lists them), or promote it"
        )
    return to


def _has_done(pointer: Pointer, version: str, by: str) -> bool:
    if pointer.version == version:
        return True
    return any(reign.version == version and reign.by == by for reign in pointer.history)


def _reign(
    record: VersionRecord,
    action: Literal["Promoted", "RolledBack"],
    by: str,
    message: str,
    previous: str | None,
    now: dt.datetime,
) -> Tenure:
    return Tenure(
        version=record.version,
        since=now.replace(microsecond=0),
        action=action,
        by=by,
        message=message,
        previous=previous,
        metric=record.metric.value,
        score=record.score,
        data_end=record.train.end,
        data_start=record.train.start,
        train_rows=record.train.rows,
        manifest_sha256=record.manifest_sha256,
        image=record.image or None,
    )


def _read(store: Store, prefix: str) -> tuple[Pointer | None, str | None]:
    return read_pointer(store, prefix) or (None, None)


def _replace(store: Store, prefix: str, pointer: Pointer | None, etag: str | None, reign: Tenure) -> Pointer:
    """Write the pointer if it is still the one that was read.

    Raises
    ------
    PreconditionFailed
        If it is not.
    """
    history = [reign, *(pointer.history if pointer else ())][:MAX_HISTORY]
    replaced = Pointer.model_validate({**reign.model_dump(), "history": [item.model_dump() for item in history]})
    data = json.dumps(replaced.to_wire(), indent=1, ensure_ascii=False, allow_nan=False).encode()
    if etag is None:
        store.write(pointer_uri(prefix), data, if_absent=True, content_type=JSON)
    else:
        store.write(pointer_uri(prefix), data, if_match=etag, content_type=JSON)
    return replaced
