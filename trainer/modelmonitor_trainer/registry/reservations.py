"""Who wants a version and who is about to delete it: each says so first, and looks for the other afterwards.

Of a rollback and a retention that meet over an old version at least one sees what the other has written, whatever the
order of their steps: then the retention leaves the version, and a rollback that saw the retention is tried again or
told to somebody. Neither needs a lock that could stay behind.
"""

from __future__ import annotations

import datetime as dt

from modelmonitor_trainer.errors import ObjectChanged
from modelmonitor_trainer.registry.versions import VersionRecord, folder_of, need_version, read_version
from modelmonitor_trainer.storage.base import JSON, Store

#: In the folder of a version, and no part of it.
CLAIM_FILE = "wanted.json"
DELETION_FILE = "deleting.json"
#: A claim that is older is of a Job that has ended or was killed.
_CLAIM_LASTS = dt.timedelta(days=1)


def reserve(store: Store, prefix: str, version: str) -> VersionRecord:
    """Say that a version is about to serve again, so that no retention deletes it, and return its record.

    Raises
    ------
    NotFound
        If there is no such version.
    ObjectChanged
        If a retention is about to delete it.
    BadData
        If its record is damaged.
    """
    record = need_version(store, prefix, version)
    folder = folder_of(prefix, version)
    store.write(folder + CLAIM_FILE, b"{}", content_type=JSON)
    if store.head(folder + DELETION_FILE) is not None:
        raise ObjectChanged(
            f"version {version} is past retraining.retention and is about to be deleted by a training; try again, or "
            "name a younger one (modelmonitor versions lists them)"
        )
    # In this order: what had been announced and is not any more was left, or is gone.
    if read_version(store, prefix, version) is None:
        store.delete(folder + CLAIM_FILE)
        need_version(store, prefix, version)
    return record


def announce_deletion(store: Store, folder: str, now: dt.datetime) -> bool:
    """Say that the version in `folder` is about to be deleted; return whether nobody wants it."""
    store.write(folder + DELETION_FILE, b"{}", content_type=JSON)
    claimed = store.head(folder + CLAIM_FILE)
    if claimed is None or claimed.last_modified < now - _CLAIM_LASTS:
        return True
    withdraw_deletion(store, folder)
    return False


def withdraw_deletion(store: Store, folder: str) -> None:
    """Say that the version in `folder` is not about to be deleted, or is gone."""
    store.delete(folder + DELETION_FILE)
