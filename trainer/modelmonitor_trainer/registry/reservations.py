"""Reservations: how a rollback keeps the retention from deleting the version that it restores.

Each side first writes its own object and then reads the other's. If a rollback and a retention meet over an old
version, at least one of them sees the other, whatever the order of their steps. The retention then keeps the version; a
rollback that saw the retention fails and is retried. Neither needs a lock that could be left behind.

Ages are differences of two times of the object store's own clock. The clock of the caller has no part in them: it may
differ from the store's, or be a simulated one.
"""

from __future__ import annotations

import datetime as dt

from modelmonitor_trainer.errors import ObjectChanged
from modelmonitor_trainer.registry.layout import VersionLayout
from modelmonitor_trainer.registry.reader import find_record, read_record
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.storage.base import JSON, Store

#: An older reservation belongs to a Job that has ended or was killed.
_RESERVATION_LASTS = dt.timedelta(days=1)


def reserve(store: Store, version: VersionLayout) -> VersionRecord:
    """Keep a version from being deleted by the retention, and return its record.

    Raises
    ------
    NotFound
        If there is no such version.
    ObjectChanged
        If a retention is deleting it.
    BadData
        If its record is corrupt.
    """
    record = read_record(store, version)
    store.write(version.reservation, b"{}", content_type=JSON)
    if store.head(version.deletion) is not None:
        raise ObjectChanged(
            f"version {version.name} is past retraining.retention and a training is deleting it; try again, or name a "
            "newer version (modelmonitor versions lists them)"
        )
    # In this order: a deletion that was announced and no longer is was either given up or is complete.
    if find_record(store, version) is None:
        store.delete(version.reservation)
        read_record(store, version)
    return record


def announce_deletion(store: Store, version: VersionLayout) -> bool:
    """Announce that a version is about to be deleted; return whether nothing has reserved it."""
    store.write(version.deletion, b"{}", content_type=JSON)
    reservation = store.head(version.reservation)
    if reservation is None:
        return True
    announcement = store.head(version.deletion)
    # What was just written bears the present time of the store's clock.
    if announcement is not None and reservation.last_modified < announcement.last_modified - _RESERVATION_LASTS:
        return True
    withdraw_deletion(store, version)
    return False


def withdraw_deletion(store: Store, version: VersionLayout) -> None:
    """Withdraw the announcement of a deletion, either given up or complete."""
    store.delete(version.deletion)
