"""Inventory of a registry: every version with its state, when it served, and what is damaged.

Nothing here fails because of a damaged object: each is named, and does not hide the others.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_trainer.data.manifest import Manifest, days_within
from modelmonitor_trainer.errors import BadData, NotFound
from modelmonitor_trainer.registry.records import Pointer, ServingPeriod, StoredFile, VersionRecord, is_essential
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.registry.retention import awaits_approval

#: Larger files are only compared by size, unless the inventory is asked for a complete verification.
_READ = 64 * 1024 * 1024
_NUMBER = re.compile(r"v(\d+)-")


class VersionState(StrEnum):
    """What a version is to the champion pointer."""

    CHAMPION = "Champion"
    PREVIOUS = "Previous"
    FORMER = "Former"
    UNKNOWN = "Unknown"
    AWAITING = "Awaiting"
    OUTDATED = "Outdated"
    REJECTED = "Rejected"
    INCONCLUSIVE = "Inconclusive"
    INCOMPLETE = "Incomplete"
    DAMAGED = "Damaged"


@dataclass(frozen=True)
class DataDays:
    """The days of a training window that had rows.

    Attributes
    ----------
    first, last
        First and last such day; those of the window if the days are not known.
    count
        Number of such days; None if they are not known.
    """

    first: dt.date
    last: dt.date
    count: int | None


@dataclass(frozen=True)
class VersionEntry:
    """One version of an inventory.

    Attributes
    ----------
    name
        Name of the version.
    state
        What it is to the champion pointer.
    record
        Its record; None if it is missing or cannot be read.
    days
        The days it was trained on; None without a record.
    served
        When it was the champion, the earliest first.
    same_as
        The oldest other version with the same model.
    problems
        What is damaged or missing, one sentence each.
    """

    name: str
    state: VersionState
    record: VersionRecord | None = None
    days: DataDays | None = None
    served: tuple[ServingPeriod, ...] = ()
    same_as: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """What a registry contains.

    Attributes
    ----------
    pointer
        The champion pointer; None if there is none, or it cannot be read.
    pointer_problem
        Why it cannot be read.
    versions
        All versions, the newest first.
    """

    pointer: Pointer | None
    pointer_problem: str | None
    versions: tuple[VersionEntry, ...]


def take_inventory(registry: ModelRegistry, *, complete: bool = False) -> Inventory:
    """Return what a registry contains.

    Parameters
    ----------
    registry
        Registry of a monitor.
    complete
        Verify the content of all files, and not only the size of large ones and of those that serving does not need.
    """
    pointer, problem = None, None
    try:
        pointer = registry.serving()
    except BadData as error:
        problem = str(error)
    sizes = {info.uri: info.size for info in registry.store.list(registry.layout.versions)}
    records: dict[str, VersionRecord] = {}
    problems: dict[str, list[str]] = {}
    for name in dict.fromkeys([*registry.version_names(), *_serving(pointer)]):
        try:
            record = registry.find_version(name)
        except BadData as error:
            problems[name] = [str(error)]
            continue
        if record is None:
            problems[name] = []
            continue
        records[name] = record
        problems[name] = _damaged_files(registry, record, sizes, complete=complete)
    names = sorted(problems, key=lambda name: (_number(name, records.get(name)), name), reverse=True)
    lost = problem is not None
    entries = [_entry(registry, name, records, problems[name], pointer, lost=lost) for name in names]
    return Inventory(pointer, problem, tuple(entries))


def version_state(
    name: str, record: VersionRecord | None, pointer: Pointer | None, *, damaged: bool, lost: bool = False
) -> VersionState:
    """Return what a version is to the champion pointer.

    Parameters
    ----------
    name, record
        The version; None if its record is missing or cannot be read.
    pointer
        The champion pointer.
    damaged
        Whether its record exists and cannot be read.
    lost
        Whether the champion pointer is lost or damaged, so that a version that passed may have served or not.
    """
    if pointer is not None:
        if pointer.version == name:
            return VersionState.CHAMPION
        if pointer.previous == name:
            return VersionState.PREVIOUS
        if any(tenure.version == name for tenure in pointer.history):
            return VersionState.FORMER
    if record is None:
        return VersionState.DAMAGED if damaged else VersionState.INCOMPLETE
    if not lost and awaits_approval(record, pointer):
        return VersionState.AWAITING
    return {
        GateOutcome.PASSED: VersionState.UNKNOWN if lost else VersionState.OUTDATED,
        GateOutcome.REJECTED: VersionState.REJECTED,
        GateOutcome.INCONCLUSIVE: VersionState.INCONCLUSIVE,
    }[record.outcome]


def same_models(records: Sequence[VersionRecord]) -> dict[str, str]:
    """Return for each version whose model another one has, too, the oldest of these, except for the oldest itself."""
    oldest: dict[str, str] = {}
    same = {}
    for record in sorted(records, key=lambda record: (record.number, record.created)):
        if record.model_sha256 is None:
            continue
        first = oldest.setdefault(record.model_sha256, record.version)
        if first != record.version:
            same[record.version] = first
    return same


def _entry(
    registry: ModelRegistry,
    name: str,
    records: Mapping[str, VersionRecord],
    problems: Sequence[str],
    pointer: Pointer | None,
    *,
    lost: bool,
) -> VersionEntry:
    record = records.get(name)
    state = version_state(name, record, pointer, damaged=bool(problems), lost=lost)
    missing = record is None and not problems and state is not VersionState.INCOMPLETE
    served = [period for period in pointer.all_periods() if period.tenure.version == name] if pointer else []
    return VersionEntry(
        name,
        state,
        record,
        _days(registry, record) if record else None,
        tuple(served),
        same_models(list(records.values())).get(name),
        (f"{registry.layout.version(name).record} is missing",) if missing else tuple(problems),
    )


def _serving(pointer: Pointer | None) -> list[str]:
    """Return the champion and the version to which a rollback leads; they must exist."""
    return [name for name in (pointer.version, pointer.previous) if name is not None] if pointer else []


def _number(name: str, record: VersionRecord | None) -> int:
    """Return the number of a version, by which the newest is found even if its record cannot be read."""
    match = _NUMBER.match(name)
    return record.number if record else int(match[1]) if match else 0


def _damaged_files(
    registry: ModelRegistry, record: VersionRecord, sizes: Mapping[str, int], *, complete: bool
) -> list[str]:
    """Return a sentence for each file of a version that is missing or has changed."""
    folder = registry.layout.version(record.version)
    problems = []
    for stored in record.files:
        uri = folder.file(stored.name)
        optional = "" if is_essential(stored.name) else " (the version can serve without it)"
        if uri not in sizes:
            problems.append(f"{uri} is missing{optional}")
        elif sizes[uri] != stored.size:
            problems.append(f"{uri} has {sizes[uri]:,} bytes instead of {stored.size:,}{optional}")
        elif (complete or (is_essential(stored.name) and stored.size <= _READ)) and _is_changed(registry, uri, stored):
            problems.append(f"{uri} has changed since it was written, its SHA-256 differs{optional}")
    return problems


def _is_changed(registry: ModelRegistry, uri: str, stored: StoredFile) -> bool:
    return hashlib.sha256(registry.store.read(uri)).hexdigest() != stored.sha256


def _days(registry: ModelRegistry, record: VersionRecord) -> DataDays:
    """Return the days with rows; records of older releases do not have them, but the manifest does."""
    train = record.train
    if train.first_day is not None and train.last_day is not None:
        return DataDays(train.first_day, train.last_day, train.days)
    try:
        manifest: Manifest = registry.manifest(record)
    except (BadData, NotFound):
        return DataDays(train.start, train.end, None)
    days = [pinned.day for pinned in days_within(manifest.features, manifest.train) if pinned.rows]
    return DataDays(min(days), max(days), len(days)) if days else DataDays(train.start, train.end, None)
