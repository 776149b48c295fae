"""Write-once objects: the files of a version, and its record, which completes it.

``version.json`` is written last and lists every other file with its SHA-256, so a version either is complete or does
not exist. A pod that starts again after a kill finds the files already written, keeps them, and writes the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from modelmonitor_trainer.errors import PreconditionFailed
from modelmonitor_trainer.registry.layout import VersionLayout
from modelmonitor_trainer.registry.records import StoredFile, VersionRecord, parse_record
from modelmonitor_trainer.storage.base import BINARY, HTML, JSON, Store

_CONTENT_TYPES = {"json": JSON, "html": HTML}


def put_once(store: Store, uri: str, data: bytes, content_type: str = BINARY) -> bytes:
    """Write an object unless it exists, and return the content that is stored now."""
    try:
        store.write(uri, data, if_absent=True, content_type=content_type)
    except PreconditionFailed:
        return store.read(uri)
    return data


def write_file(store: Store, version: VersionLayout, name: str, data: bytes) -> tuple[StoredFile, bytes]:
    """Write a file of a version once; return its entry for the record and the content that is stored now."""
    kept = put_once(store, version.file(name), data, _CONTENT_TYPES.get(name.rpartition(".")[2], BINARY))
    return StoredFile(name=name, sha256=hashlib.sha256(kept).hexdigest(), size=len(kept)), kept


def write_record(store: Store, version: VersionLayout, record: VersionRecord) -> VersionRecord:
    """Complete a version and return its record; if an earlier pod wrote one, that one."""
    data = json.dumps(record.to_wire(), indent=1, ensure_ascii=False, allow_nan=False).encode()
    return parse_record(put_once(store, version.record, data, JSON), version.record)


def encode_documents(documents: Mapping[str, object]) -> dict[str, bytes]:
    """Return JSON documents as the content of files, indented and with sorted keys."""
    return {
        name: json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
        for name, document in documents.items()
    }
