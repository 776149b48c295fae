"""Retention: which results a training deletes when it has ended.

Versions are kept by number, reports by age. Never deleted are the champion, the best champion so far, the version that
a rollback restores, every version that can still be promoted, the trainings of versions that are kept, the newest
checks, and everything incomplete, because another pod may be writing it. A version whose record is damaged is kept, for
a person to repair.

Ages are measured with one clock each. The age of a check is the time since it was due, by the caller's `now`, which may
be simulated. The age of a training or a profile is the time since the object store wrote it, by the store's own clock:
its present is when the newest verdict of a training was written, which is that of the training that applies the
retention.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import Retention
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.registry.layout import CheckLayout, ResultsLayout, RunLayout
from modelmonitor_trainer.registry.records import Pointer, VersionRecord
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.registry.reservations import announce_deletion, withdraw_deletion
from modelmonitor_trainer.registry.succession import best_champion
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_LOG = logging.getLogger(__name__)
#: Checks that are kept at any age: a monitor may check once a month, and its status names the newest.
_NEWEST_CHECKS = 10
#: A former champion is kept for so long after its tenure: a rollback may go back further than one step.
_AFTER_TENURE = dt.timedelta(days=30)
#: An older object of a probe was left behind by a pod that was killed.
_PROBE_LASTS = dt.timedelta(days=1)
#: Folders that one training deletes at most; the next training deletes the rest.
_MOST = 500


@dataclass(frozen=True)
class RetentionResult:
    """Number of deleted results.

    Attributes
    ----------
    versions
        Names of the versions.
    runs, checks
        Reports of trainings, and of checks.
    profiles
        Profiles of partitions.
    """

    versions: tuple[str, ...]
    runs: int
    checks: int
    profiles: int = 0


def apply_retention(registry: ModelRegistry, uid: str, retention: Retention, *, now: dt.datetime) -> RetentionResult:
    """Delete what is past the declared retention.

    Parameters
    ----------
    registry
        Registry of the monitor.
    uid
        UID of the monitor.
    retention
        ``spec.retraining.retention``.
    now
        The present, with time zone, by the clock that checks and promotions go by.

    Raises
    ------
    ModelMonitorError
        If the object store is unavailable or denies the deletion; the next training deletes the rest.
    """
    store, layout = registry.store, registry.layout
    kept, deleted = _delete_versions(registry, retention, now)
    runs = _ended_runs(store, layout.runs(uid))
    # The store's clock, not `now`: see above.
    written = max((verdict.last_modified for _, verdict in runs), default=None)
    result = RetentionResult(
        deleted,
        _delete_runs(store, runs, kept, written - dt.timedelta(days=retention.report_days)) if written else 0,
        _delete_checks(store, layout.checks(uid), now - dt.timedelta(days=retention.report_days), retention.checks),
        _delete_old(store, layout.profiles, written - dt.timedelta(days=retention.profile_days)) if written else 0,
    )
    if written:
        _delete_old(store, layout.all_scores, written - dt.timedelta(days=retention.profile_days))
        _delete_old(store, layout.probes, written - _PROBE_LASTS)
    if deleted or result.runs or result.checks or result.profiles:
        _LOG.info(
            "deleted past retraining.retention: %s versions, reports of %s trainings and %s checks, %s profiles",
            len(deleted),
            result.runs,
            result.checks,
            result.profiles,
        )
    return result


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
        How many of the newest versions are kept.
    now
        The present, with time zone, by the clock of the promotions.
    """
    serving = _recent_champions(pointer, now) if pointer else set()
    serving |= _best_champions(records, pointer) if pointer else set()
    return [
        record
        for record in reversed(records[newest:])
        if record.version not in serving and not awaits_approval(record, pointer)
    ]


def _recent_champions(pointer: Pointer, now: dt.datetime) -> set[str | None]:
    """Return the champion, the one before it, and those whose tenure ended recently."""
    ends = [now, *pointer.starts()]
    recent = {tenure.version for tenure, end in zip(pointer.history, ends, strict=False) if end >= now - _AFTER_TENURE}
    return {pointer.version, pointer.previous, *recent}


def _best_champions(records: Sequence[VersionRecord], pointer: Pointer) -> set[str | None]:
    """Return the best champions so far, with which successors of the champion and of the previous one are compared."""
    by_name = {record.version: record for record in records}
    heads = (by_name.get(name) for name in (pointer.version, pointer.previous) if name is not None)
    best = (best_champion(head, by_name.get) for head in heads)
    return {record.version for record in best if record is not None}


def awaits_approval(record: VersionRecord, pointer: Pointer | None) -> bool:
    """Return whether a version can still be promoted: it passed, or may leak the target, against the champion."""
    # A retired champion is not compared with.
    if record.compared_with != (pointer.version if pointer is not None and pointer.retired is None else None):
        return False
    return record.outcome is GateOutcome.PASSED or record.reason == GateReason.TOO_GOOD_TO_BE_TRUE


def _delete_versions(
    registry: ModelRegistry, retention: Retention, now: dt.datetime
) -> tuple[set[str], tuple[str, ...]]:
    """Delete versions, and return the names of those that are kept and of those that were deleted."""
    store, layout = registry.store, registry.layout
    records, names = registry.versions(), set(registry.version_names())
    try:
        serving = registry.serving()
    except BadData as error:
        # Which versions are still needed is not known. Reports and profiles do not depend on it.
        _LOG.warning("no version is deleted: %s", error)
        return names, ()
    deleted = []
    for record in expendable(records, serving, retention.versions, now=now)[:_MOST]:
        version = layout.version(record.version)
        # Announce first and only then read the champion: a rollback reserves its version and then looks for this.
        if not announce_deletion(store, version):
            continue
        if record in expendable(records, registry.serving(), retention.versions, now=now):
            _delete_version(store, layout, record)
            deleted.append(record.version)
        else:
            withdraw_deletion(store, version)
    return names - set(deleted), tuple(deleted)


def _delete_version(store: Store, layout: ResultsLayout, record: VersionRecord) -> None:
    version = layout.version(record.version)
    uris = [item.uri for item in store.list(version.folder) if item.uri != version.deletion]
    _delete(store, uris, last=version.record)
    for folder in (layout.watches(record.version), layout.scores(record.version)):
        for item in store.list(folder):
            store.delete(item.uri)
    withdraw_deletion(store, version)


def _ended_runs(store: Store, folder: str) -> list[tuple[RunLayout, ObjectInfo]]:
    """Return the trainings that have ended, with their verdicts."""
    runs = (RunLayout(child) for child in store.children(folder))
    return [(run, verdict) for run in runs if (verdict := store.head(run.verdict)) is not None]


def _delete_runs(
    store: Store, runs: Sequence[tuple[RunLayout, ObjectInfo]], kept: Iterable[str], before: dt.datetime
) -> int:
    """Delete trainings that ended before `before`, except those of versions that are kept."""
    count, kept = 0, set(kept)
    for run, verdict in runs:
        if count == _MOST:
            break
        if verdict.last_modified >= before or _version_of(store.read(verdict.uri)) in kept:
            continue
        _delete(store, [item.uri for item in store.list(run.folder)], last=verdict.uri)
        count += 1
    return count


def _delete_checks(store: Store, folder: str, before: dt.datetime, most: int) -> int:
    """Delete checks that were due before `before`, and all but `most`; the newest ones are kept."""
    checks = sorted(
        ((check.due, check) for child in store.children(folder) if (check := CheckLayout(child)).due is not None),
        key=lambda pair: (pair[0], pair[1].folder),
    )
    count = 0
    surplus = len(checks) - most
    for index, (due, check) in enumerate(checks[:-_NEWEST_CHECKS]):
        if count == _MOST:
            break
        uris = [item.uri for item in store.list(check.folder)] if due < before or index < surplus else []
        # A folder of a disk remains when its files are gone.
        if uris:
            _delete(store, uris, last=check.verdict)
            count += 1
    return count


def _delete_old(store: Store, folder: str, before: dt.datetime) -> int:
    """Delete objects written before `before`, such as profiles of partitions that no window will contain again."""
    old = [item.uri for item in store.list(folder) if item.last_modified < before][:_MOST]
    for uri in old:
        store.delete(uri)
    return len(old)


def _delete(store: Store, uris: Sequence[str], *, last: str) -> None:
    """Delete objects. `last` marks the folder as complete, so a deletion that a kill interrupted is found again."""
    for uri in uris:
        if uri != last:
            store.delete(uri)
    store.delete(last)


def _version_of(verdict: bytes) -> str | None:
    try:
        document = json.loads(verdict)
    except ValueError:
        return None
    version = document.get("version") if isinstance(document, dict) else None
    return version if isinstance(version, str) else None
