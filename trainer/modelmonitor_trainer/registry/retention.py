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
from modelmonitor_trainer.registry.versions import VERSION_FILE, folder_of
from modelmonitor_trainer.storage.store import Store

_LOG = logging.getLogger(__name__)
_VERDICT = "verdict.json"
#: Checks that are kept however old: a monitor may check once a month, and its status names the newest.
_NEWEST_CHECKS = 10
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
    """

    versions: tuple[str, ...]
    runs: int
    checks: int


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
    for record in expendable(records, champion_pointer(store, prefix), retention.versions)[:_MOST]:
        # Somebody may have rolled back meanwhile.
        pointer = champion_pointer(store, prefix)
        if record in expendable(records, pointer, retention.versions):
            _delete_version(store, prefix, record)
            gone.append(record.version)
    kept = {record.version for record in records} - set(gone)
    before = now - dt.timedelta(days=retention.report_days)
    found = Tidied(
        tuple(gone),
        _delete_runs(store, f"{prefix}runs/{uid}/", kept, before),
        _delete_checks(store, f"{prefix}checks/{uid}/", before),
    )
    if gone or found.runs or found.checks:
        _LOG.info(
            "past retraining.retention and deleted: %s versions, reports of %s trainings and %s checks",
            len(gone),
            found.runs,
            found.checks,
        )
    return found


def expendable(records: Sequence[VersionRecord], pointer: Pointer | None, newest: int) -> list[VersionRecord]:
    """Return the versions that may be deleted, the oldest first.

    Parameters
    ----------
    records
        All complete versions, the newest first.
    pointer
        The champion.
    newest
        How many of the newest are kept.
    """
    serving = {pointer.version, pointer.previous} if pointer else set()
    return [
        record
        for record in reversed(records[newest:])
        if record.version not in serving and not _may_be_promoted(record, pointer)
    ]


def _may_be_promoted(record: VersionRecord, pointer: Pointer | None) -> bool:
    """Whether a version awaits somebody's approval: it has passed, or was too good to be true, against the champion."""
    if record.compared_with != (pointer.version if pointer else None):
        return False
    return record.outcome == "Passed" or record.reason == GateReason.TOO_GOOD_TO_BE_TRUE


def _delete_version(store: Store, prefix: str, record: VersionRecord) -> None:
    folder = folder_of(prefix, record.version)
    _delete(store, [item.uri for item in store.list(folder)], last=folder + VERSION_FILE)


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


def _delete_checks(store: Store, folder: str, before: dt.datetime) -> int:
    """Delete checks that were due before `before`, but for the newest ones."""
    due = sorted(
        (dt.datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=dt.UTC), child)
        for child in store.children(folder)
        if (found := _TIME.match(child.removeprefix(folder)))
    )
    count = 0
    for time, child in due[:-_NEWEST_CHECKS]:
        uris = [item.uri for item in store.list(child)] if time < before else []
        # A folder of a disk stays when what it holds is gone.
        if uris and count < _MOST:
            _delete(store, uris, last=f"{child}{_VERDICT}")
            count += 1
    return count


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
