"""Reads of version records and files, with their SHA-256 verified."""

from __future__ import annotations

import hashlib

from modelmonitor_trainer.errors import BadData, NotFound
from modelmonitor_trainer.registry.layout import VersionLayout
from modelmonitor_trainer.registry.records import VersionRecord, parse_record
from modelmonitor_trainer.storage.base import Store


def find_record(store: Store, version: VersionLayout) -> VersionRecord | None:
    """Return the record of a version, or None if there is no complete version.

    Raises
    ------
    BadData
        If the record is corrupt.
    """
    uri = version.record
    return parse_record(store.read(uri), uri) if store.head(uri) is not None else None


def read_record(store: Store, version: VersionLayout) -> VersionRecord:
    """Return the record of a version.

    Raises
    ------
    NotFound
        If there is no complete version of that name.
    BadData
        If the record is corrupt.
    """
    record = find_record(store, version)
    if record is None:
        parent = version.folder.removesuffix(f"{version.name}/")
        raise NotFound(
            f"there is no version {version.name} under {parent}; modelmonitor versions lists the existing versions"
        )
    return record


def read_file(store: Store, version: VersionLayout, record: VersionRecord, name: str) -> bytes:
    """Return a file of a version if it still is what was written.

    Raises
    ------
    NotFound
        If the version has no such file.
    BadData
        If the content has changed.
    """
    listed = next((stored for stored in record.files if stored.name == name), None)
    if listed is None:
        raise NotFound(f"version {record.version} has no file {name}")
    uri = version.file(name)
    data = store.read(uri)
    if hashlib.sha256(data).hexdigest() != listed.sha256:
        raise BadData(
            f"{uri} has changed since it was written (its SHA-256 differs), so it is not used; restore it, or roll "
            "back to another version"
        )
    return data
