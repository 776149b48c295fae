"""What of the results is kept, and what a training tidies up when it is done.

Versions go by number, reports by age. Never deleted are the champion and the version that one step back leads to,
every version that somebody may still promote, the trainings of versions that are kept, the newest checks, and what is
not complete: another pod may be writing it.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelmonitor_api.spec import Retention
from modelmonitor_trainer.gate.verdict import GateReason
from modelmonitor_trainer.registry.champion import Pointer, VersionRecord, champion_pointer, list_versions
from modelmonitor_trainer.registry.claims import DELETION_FILE, announce_deletion, withdraw_deletion
from modelmonitor_trainer.registry.versions import VERSION_FILE, folder_of
from modelmonitor_trainer.storage.store import Store

_LOG = logging.getLogger(__name__)
_VERDICT = "verdict.json"
#: Checks that are kept however old: a monitor may check once a month, and its status names the newest.
_NEWEST_CHECKS = 10
#: What has served so lately stays, although something else serves now: a rollback may lead further than one step.
_AFTER_REIGN = dt.timedelta(days=30)
#: Folders that one training tidies up; what is left is the next one's.
_MOST = 500
_TIME = re.compile(r"^(\d{8}T\d{6})Z-")


@dataclass(frozen=True)
class Tidied:
    """What was deleted.

    Attributes
    ----------
    versions
        Names of versions.
    runs, checks
        How many reports of trainings, and of checks.
    profiles
        How many profiles of partitions.
    """

    versions: tuple[str, ...]
    runs: int
    checks: int
    profiles: int = 0


def tidy(store: Store, prefix: str, uid: str, retention: Retention, *, now: dt.datetime) -> Tidied:
    """Delete what is past the declared retention.

    Parameters
    ----------
    store, prefix
        Where the monitor's results are.
    uid
        UID of the monitor.
    retention
        ``spec.retraining.retention``.
    now
        The present, with time zone.

    Raises
    ------
    ModelMonitorError
        If the store cannot be used, or gives no right to delete; what is left is deleted by the next training.
    """
    records = list_versions(store, prefix)
    gone = []
    for record in expendable(records, champion_pointer(store, prefix), retention.versions, now=now)[:_MOST]:
        folder = folder_of(prefix, record.version)
        # Announced first, and only then looked who serves: a rollback announces itself and then looks for this.
        if not announce_deletion(store, folder, now):
            continue
        pointer = champion_pointer(store, prefix)
        if record in expendable(records, pointer, retention.versions, now=now):
            _delete_version(store, prefix, record)
            gone.append(record.version)
        else:
            withdraw_deletion(store, folder)
    kept = {record.version for record in records} - set(gone)
    before = now - dt.timedelta(days=retention.report_days)
    found = Tidied(
        tuple(gone),
        _delete_runs(store, f"{prefix}runs/{uid}/", kept, before),
        _delete_checks(store, f"{prefix}checks/{uid}/", before, retention.checks),
        _delete_profiles(store, f"{prefix}profiles/", now - dt.timedelta(days=retention.profile_days)),
    )
    if gone or found.runs or found.checks or found.profiles:
        _LOG.info(
            "past retraining.retention and deleted: %s versions, reports of %s trainings and %s checks, %s profiles",
            len(gone),
            found.runs,
            found.checks,
            found.profiles,
        )
    return found


def expendable(
    records: Sequence[VersionRecord], pointer: Pointer | None, newest: int, *, now: dt.datetime
) -> list[VersionRecord]:
    """Return the versions that may be deleted, the oldest first.

    Parameters
    ----------
    records
        All complete versions, the newest first.
    pointer
        The champion.
    newest
        How many of the newest are kept.
    now
        The present, with time zone.
    """
    serving = _recent(pointer, now) if pointer else set()
    return [
        record
        for record in reversed(records[newest:])
        if record.version not in serving and not _may_be_promoted(record, pointer)
    ]


def _recent(pointer: Pointer, now: dt.datetime) -> set[str | None]:
    """Return the champion, the one before it, and those that have served until lately: somebody may go back there."""
    reigns = pointer.history
    ends = [now, *(reign.since for reign in reigns)]
    lately = {reign.version for reign, end in zip(reigns, ends, strict=False) if end >= now - _AFTER_REIGN}
    return {pointer.version, pointer.previous, *lately}


def _may_be_promoted(record: VersionRecord, pointer: Pointer | None) -> bool:
    """Whether a version awaits somebody's approval: it has passed, or was too good to be true, against the champion."""
    if record.compared_with != (pointer.version if pointer else None):
        return False
    return record.outcome == "Passed" or record.reason == GateReason.TOO_GOOD_TO_BE_TRUE


def _delete_version(store: Store, prefix: str, record: VersionRecord) -> None:
    folder = folder_of(prefix, record.version)
    announced = folder + DELETION_FILE
    uris = [item.uri for item in store.list(folder) if item.uri != announced]
    _delete(store, uris, last=folder + VERSION_FILE)
    for watched in store.list(f"{prefix}watch/{record.version}/"):
        store.delete(watched.uri)
    withdraw_deletion(store, folder)


def _delete_runs(store: Store, folder: str, kept: Iterable[str], before: dt.datetime) -> int:
    """Delete trainings that ended before `before`, but for those of versions that are kept."""
    count, kept = 0, set(kept)
    for child in store.children(folder):
        verdict = store.head(f"{child}{_VERDICT}")
        if verdict is None or verdict.last_modified >= before or count == _MOST:
            continue
        if _version_of(store.read(verdict.uri)) in kept:
            continue
        _delete(store, [item.uri for item in store.list(child)], last=verdict.uri)
        count += 1
    return count


def _delete_checks(store: Store, folder: str, before: dt.datetime, most: int) -> int:
    """Delete checks that were due before `before`, but for the newest ones, and all but `most`."""
    due = sorted(
        (dt.datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=dt.UTC), child)
        for child in store.children(folder)
        if (found := _TIME.match(child.removeprefix(folder)))
    )
    count = 0
    beyond = len(due) - most
    for place, (time, child) in enumerate(due[:-_NEWEST_CHECKS]):
        if count == _MOST:
            break
        uris = [item.uri for item in store.list(child)] if time < before or place < beyond else []
        # A folder of a disk stays when what it holds is gone.
        if uris:
            _delete(store, uris, last=f"{child}{_VERDICT}")
            count += 1
    return count


def _delete_profiles(store: Store, folder: str, before: dt.datetime) -> int:
    """Delete profiles that were made before `before`: most are of partitions that no window will hold again."""
    old = [item.uri for item in store.list(folder) if item.last_modified < before][:_MOST]
    for uri in old:
        store.delete(uri)
    return len(old)


def _delete(store: Store, uris: Sequence[str], *, last: str) -> None:
    """Delete objects; `last` says that all are there, and so is found again where a pod was killed on the way."""
    for uri in uris:
        if uri != last:
            store.delete(uri)
    store.delete(last)


def _version_of(verdict: bytes) -> str | None:
    try:
        found = json.loads(verdict)
    except ValueError:
        return None
    version = found.get("version") if isinstance(found, dict) else None
    return version if isinstance(version, str) else None
