"""Formats of objects: from their names, and from their content where the name does not show it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.object_names import FORMATS, suffix_of
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: First and last bytes of a Parquet file; the first of one with an encrypted footer are others.
_PARQUET = b"PAR1"
#: Bytes of a JSON file that are inspected: its first line must be an object.
_INSPECTED = 1 << 20
#: Objects that are inspected at the same time.
_THREADS = 8


def format_of_object(store: Store, info: ObjectInfo) -> DataFormat | None:
    """Return the format of an object; None if neither its name nor its content shows it.

    Athena, Hive and Redshift write Parquet files without a suffix, and Spark names JSON Lines ``.json``.
    """
    suffix = suffix_of(info.uri)
    if suffix in FORMATS:
        return FORMATS[suffix]
    if suffix == ".json":
        return DataFormat.JSON_LINES if _is_json_lines(store, info) else None
    return DataFormat.PARQUET if _is_parquet(store, info) else None


def formats_of(store: Store, objects: Sequence[ObjectInfo]) -> dict[str, DataFormat | None]:
    """Return URI → format of some objects."""
    # Of a remote store, each object whose name does not show its format is a request.
    with ThreadPoolExecutor(_THREADS) as pool:
        formats = list(pool.map(lambda info: format_of_object(store, info), objects))
    return {info.uri: fmt for info, fmt in zip(objects, formats, strict=True)}


def has_several_rows(store: Store, info: ObjectInfo) -> bool:
    """Whether a JSON Lines object has two rows or more: settings and schemas are often one JSON object in one line."""
    lines = [line for line in _start(store, info).splitlines()[:3] if line.strip()]
    return len(lines) > 1


def _start(store: Store, info: ObjectInfo) -> bytes:
    with store.open(info) as file:
        stream = pa.CompressedInputStream(file, "gzip") if info.uri.lower().endswith(".gz") else file
        return bytes(stream.read(_INSPECTED))


def _is_parquet(store: Store, info: ObjectInfo) -> bool:
    if info.size < 2 * len(_PARQUET):
        return False
    with store.open(info) as file:
        return file.read(len(_PARQUET)) == _PARQUET


def _is_json_lines(store: Store, info: ObjectInfo) -> bool:
    """Whether the first line is a JSON object by itself: a document over several lines is not JSON Lines."""
    try:
        return isinstance(json.loads(_start(store, info).partition(b"\n")[0]), dict)
    except (ValueError, OSError, pa.ArrowException):
        return False
