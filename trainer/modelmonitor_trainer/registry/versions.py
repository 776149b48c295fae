"""Versions of the model: folders that are written once, file by file, and never changed.

``versions/<version>/version.json`` is written last and names every other file with its SHA-256, so a version
either is complete or is not there. A pod that was killed halfway is started again, finds the files that it had
written, keeps them, and goes on.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, ValidationError

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.resource import Message
from modelmonitor_api.spec import Feature, Metric, ModelMonitorSpec, Task
from modelmonitor_api.status import Time
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.errors import BadData, NotFound, PreconditionFailed
from modelmonitor_trainer.storage.base import BINARY, HTML, JSON, Store

VERSION_FILE = "version.json"
MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.skops"
METRICS_FILE = "metrics.json"
#: Profiles of the training window, for checks; see :mod:`modelmonitor_trainer.profile.reference`.
REFERENCE_ROWS_FILE, REFERENCE_LABELS_FILE = "reference-rows.zip", "reference-labels.zip"
#: Prefix of the files that a trainer of the user's own made.
MODEL_FOLDER = "model/"
_CONTENT_TYPES = {"json": JSON, "html": HTML}

Outcome = Literal["Passed", "Rejected", "Inconclusive"]


class StoredFile(Message):
    """One file of a version."""

    name: str = Field(description="Path below the version's folder.")
    sha256: str = Field(description="SHA-256 of its content.")
    size: int = Field(description="Bytes.", ge=0)


class Period(Message):
    """Days and rows of a window."""

    start: dt.date = Field(description="First day.")
    end: dt.date = Field(description="Last day, included.")
    rows: int = Field(description="Labelled rows.", ge=0)


class VersionRecord(Message):
    """What a version is, and how it came to be."""

    schema_version: Literal[1] = 1
    version: str = Field(description="Name.")
    number: int = Field(description="Number of the training.")
    monitor_uid: str = Field(description="UID of the monitor.")
    created: Time = Field(description="When it was finished.")
    trigger: str = Field(description="What triggered the training.")
    kind: Literal["Skops", "Own"] = Field(
        "Skops", description="Skops: a pipeline of the built-in trainer. Own: files of a trainer of the user's own."
    )
    image: str = Field("", description="Image that trained it.")
    seed: int = Field(description="Seed of everything random.")
    task: Task = Field(description="What it predicts.")
    target: str = Field(description="Column that it predicts.")
    features: list[Feature] = Field(description="What it takes, in order.")
    classes: list[str] = Field(default_factory=list, description="Classes, in the order of its probabilities.")
    train: Period = Field(description="What it was trained on.")
    holdout: Period = Field(description="What it was compared on.")
    manifest_sha256: str = Field(description="SHA-256 of the data manifest.")
    predictions_sha256: str = Field(description="SHA-256 of its scores of the hold-out rows: equal fits, equal sums.")
    fitted_sha256: str | None = Field(
        None, description="SHA-256 of its fitted parameters: equal fits, equal sums, although the files differ."
    )
    train_seconds: float | None = Field(None, description="How long it took, from the first row to the model.", ge=0)
    peak_memory_bytes: int | None = Field(None, description="The most memory that its training has had.", ge=0)
    strategy: str | None = Field(None, description="How it was made: Refit, Retrain or WarmStart.")
    metric: Metric = Field(description="Name of the score.")
    score: float | None = Field(None, description="Score on the hold-out rows.")
    compared_with: str | None = Field(None, description="Champion that it was compared with.")
    outcome: Outcome = Field(description="What the gate said.")
    reason: str = Field(description="Why, in one word.")
    message: str = Field(description="Why, in a sentence.")
    files: list[StoredFile] = Field(default_factory=list, description="All other files of the version.")


def monitor_prefix(spec: ModelMonitorSpec, monitor: MonitorRef) -> str:
    """Return the prefix of everything that a monitor writes."""
    return f"{spec.storage.results_uri}{monitor.namespace}/{monitor.name}/"


def version_name(number: int, short: str) -> str:
    """Return the name of a version.

    >>> version_name(3, "0badcafe")
    'v3-0badcafe'
    """
    return f"v{number}-{short}"


def folder_of(prefix: str, version: str) -> str:
    """Return the folder of a version.

    Raises
    ------
    NotFound
        If `version` cannot be the name of one; it may come from an annotation.
    """
    if not version or not all(c.isascii() and (c.isalnum() or c in "-_") for c in version):
        raise NotFound(f"{version!r} is not the name of a version; modelmonitor versions lists them")
    return f"{prefix}versions/{version}/"


def put_once(store: Store, uri: str, data: bytes, content_type: str = BINARY) -> bytes:
    """Write an object if there is none, and return the content that is there now."""
    try:
        store.write(uri, data, if_absent=True, content_type=content_type)
    except PreconditionFailed:
        return store.read(uri)
    return data


def write_file(store: Store, folder: str, name: str, data: bytes) -> tuple[StoredFile, bytes]:
    """Write a file of a version once; return its record and the content that is there now."""
    kept = put_once(store, folder + name, data, _CONTENT_TYPES.get(name.rpartition(".")[2], BINARY))
    return StoredFile(name=name, sha256=hashlib.sha256(kept).hexdigest(), size=len(kept)), kept


def write_record(store: Store, prefix: str, record: VersionRecord) -> VersionRecord:
    """Complete a version and return its record; an earlier pod's stands."""
    folder = folder_of(prefix, record.version)
    data = json.dumps(record.to_wire(), indent=1, ensure_ascii=False, allow_nan=False).encode()
    return _parse(put_once(store, folder + VERSION_FILE, data, JSON), folder + VERSION_FILE)


def read_version(store: Store, prefix: str, version: str) -> VersionRecord | None:
    """Return the record of a version, or None where there is no complete one.

    Raises
    ------
    NotFound
        If `version` cannot be the name of one.
    BadData
        If its record is damaged.
    """
    uri = folder_of(prefix, version) + VERSION_FILE
    return _parse(store.read(uri), uri) if store.head(uri) is not None else None


def need_version(store: Store, prefix: str, version: str) -> VersionRecord:
    """Return the record of a version.

    Raises
    ------
    NotFound
        If there is no complete version of that name.
    BadData
        If its record is damaged.
    """
    record = read_version(store, prefix, version)
    if record is None:
        where = f"{prefix}versions/"
        raise NotFound(f"there is no version {version} under {where}; modelmonitor versions lists those that there are")
    return record


def list_versions(store: Store, prefix: str) -> list[VersionRecord]:
    """Return the records of all complete versions, the newest first."""
    found = []
    for child in store.children(f"{prefix}versions/"):
        record = read_version(store, prefix, child.rstrip("/").rpartition("/")[2])
        if record is not None:
            found.append(record)
    return sorted(found, key=lambda record: (record.created, record.number), reverse=True)


def read_file(store: Store, prefix: str, record: VersionRecord, name: str) -> bytes:
    """Return a file of a version after checking that it is the one that was written.

    Raises
    ------
    NotFound
        If the version has no such file.
    BadData
        If its content has changed.
    """
    uri = folder_of(prefix, record.version) + name
    known = next((stored for stored in record.files if stored.name == name), None)
    if known is None:
        raise NotFound(f"version {record.version} has no file {name}")
    data = store.read(uri)
    if hashlib.sha256(data).hexdigest() != known.sha256:
        raise BadData(
            f"{uri} is not the file that was written (its SHA-256 differs), and is not used; restore it, or roll back "
            "to another version"
        )
    return data


def check_files(store: Store, prefix: str, record: VersionRecord) -> None:
    """Refuse a version of which a file is missing or changed.

    Raises
    ------
    NotFound, BadData
        Naming the file.
    """
    for stored in record.files:
        read_file(store, prefix, record, stored.name)


def read_manifest(store: Store, prefix: str, version: str) -> Manifest:
    """Return the data manifest of a version.

    Raises
    ------
    NotFound, BadData
        If there is no such version, or its files are damaged.
    """
    return manifest_of(store, prefix, need_version(store, prefix, version))


def manifest_of(store: Store, prefix: str, record: VersionRecord) -> Manifest:
    """Return the data manifest of a version whose record has been read.

    Raises
    ------
    NotFound, BadData
        If it is not there, or damaged.
    """
    where = folder_of(prefix, record.version) + MANIFEST_FILE
    return Manifest.from_json(read_file(store, prefix, record, MANIFEST_FILE), where)


def file_if_any(store: Store, prefix: str, record: VersionRecord, name: str) -> bytes | None:
    """Return a file of a version, or None where the version was made without it.

    Raises
    ------
    NotFound, BadData
        If it was made with it, and it is not there or has changed.
    """
    known = any(stored.name == name for stored in record.files)
    return read_file(store, prefix, record, name) if known else None


def files_as_json(documents: Mapping[str, object]) -> dict[str, bytes]:
    """Return documents as the content of files, readable and in a stable order."""
    return {
        name: json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
        for name, document in documents.items()
    }


def _parse(data: bytes, uri: str) -> VersionRecord:
    try:
        return VersionRecord.model_validate_json(data)
    except ValidationError as error:
        why = error.errors(include_url=False)[0]["msg"]
        raise BadData(f"{uri} cannot be read ({why}); it was damaged, or a newer release wrote it") from error
