"""Tables whose folder holds more files than the table: Delta, whose log is read, and those that are refused.

A Delta table keeps the files that an update or a compaction has replaced, until they are vacuumed. Which files are
current is in ``_delta_log/``: commits as JSON, and checkpoints as Parquet that sum up the commits before them. The
manifests of Iceberg and Hudi are Avro and are not read.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_trainer.data.left_out import LeftOut
from modelmonitor_trainer.errors import BadConfiguration, BadData, CredentialsRefused
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_LOG_FOLDER = "/_delta_log/"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet")
_ICEBERG = re.compile(r"(.*)/metadata/[^/]*\.metadata\.json")
_EXPORT = "write its rows to Parquet files, one folder for each day or period, and check those"


@dataclass(frozen=True)
class DeltaTable:
    """The current files of a Delta table.

    Attributes
    ----------
    root
        URI of its folder, without a slash at the end.
    live
        URIs of the current files.
    """

    root: str
    live: frozenset[str]


@dataclass(frozen=True)
class TableFiles:
    """The objects that are data, and those that are not because a table does not list them.

    Attributes
    ----------
    objects
        Objects of no table, and the current ones of tables.
    left_out
        Files that a table has removed, and files that it lists and that do not exist.
    """

    objects: tuple[ObjectInfo, ...]
    left_out: tuple[LeftOut, ...] = ()


def files_of_tables(store: Store, folder: str, objects: Sequence[ObjectInfo]) -> TableFiles:
    """Return which objects of a listing are data according to the tables that they belong to.

    Parameters
    ----------
    store
        Object store.
    folder
        The folder that the listing is of, with a slash at the end. It can be a partition of a table.
    objects
        The listing, with the objects of the tables' logs if they are below `folder`.

    Raises
    ------
    BadConfiguration
        If an object belongs to an Iceberg or Hudi table, or to a Delta table that uses what is not supported.
    BadData
        If the log of a Delta table cannot be read.
    """
    _refuse_tables_within(objects)
    roots = {info.uri[: info.uri.index(_LOG_FOLDER)] for info in objects if _LOG_FOLDER in info.uri}
    roots |= _roots_above(store, folder)
    tables = [read_delta_table(store, root) for root in sorted(roots)]
    left_out: list[LeftOut] = []
    for table in tables:
        removed = [info for info in objects if _is_file_of(table, info.uri) and info.uri not in table.live]
        left_out += [LeftOut(LeftOutReason.REMOVED_FROM_TABLE, info.uri, info.size) for info in removed]
    names = {item.name for item in left_out}
    return TableFiles(
        tuple(info for info in objects if info.uri not in names), (*left_out, *_lost_files(tables, objects))
    )


def _is_file_of(table: DeltaTable, uri: str) -> bool:
    return uri.startswith(f"{table.root}/") and _LOG_FOLDER not in uri and uri.endswith(".parquet")


def _lost_files(tables: Iterable[DeltaTable], objects: Sequence[ObjectInfo]) -> Iterator[LeftOut]:
    """Yield the current files that do not exist, in folders of which the listing has other files."""
    present = {info.uri for info in objects}
    folders = {uri.rpartition("/")[0] for uri in present}
    for table in tables:
        for uri in sorted(table.live - present):
            if uri.rpartition("/")[0] in folders:
                yield LeftOut(LeftOutReason.MISSING_FROM_TABLE, uri)


def _refuse_tables_within(objects: Iterable[ObjectInfo]) -> None:
    for info in objects:
        iceberg = _ICEBERG.fullmatch(info.uri)
        if iceberg:
            raise _unsupported_table(iceberg[1], "an Iceberg table")
        if "/.hoodie/" in info.uri:
            raise _unsupported_table(info.uri.partition("/.hoodie/")[0], "a Hudi table")


def _unsupported_table(root: str, what: str) -> BadConfiguration:
    return BadConfiguration(
        f"{root}/ is {what}, whose folder holds files that it has removed, and whose manifests cannot be read here; "
        f"{_EXPORT}"
    )


def _roots_above(store: Store, folder: str) -> set[str]:
    """Return the Delta tables that a folder is, or is a partition of; refuse other tables.

    Raises
    ------
    BadConfiguration
        If it belongs to an Iceberg or Hudi table.
    """
    roots = set()
    for depth, root in enumerate(_table_folders(folder)):
        # The folders above may be out of bounds for these credentials, and then their tables are not read.
        with suppress(*([CredentialsRefused] if depth else [])):
            if f"{root}{_LOG_FOLDER}" in store.children(f"{root}/_delta_log"):
                roots.add(root)
            if f"{root}/.hoodie/" in store.children(f"{root}/.hoodie"):
                raise _unsupported_table(root, "a Hudi table")
            if any(_ICEBERG.fullmatch(uri) for uri in _children_of(store, root, "metadata")):
                raise _unsupported_table(root, "an Iceberg table")
    return roots


def _children_of(store: Store, root: str, name: str) -> list[str]:
    present = f"{root}/{name}/" in store.children(f"{root}/{name}")
    return store.children(f"{root}/{name}/") if present else []


def _table_folders(folder: str) -> Iterator[str]:
    """Yield the folders whose table `folder` can be a part of: itself, those above partitions and above data/.

    >>> list(_table_folders("s3://b/t/data/region=eu/"))
    ['s3://b/t/data/region=eu', 's3://b/t/data', 's3://b/t']
    """
    root = folder.rstrip("/")
    yield root
    above, _, name = root.rpartition("/")
    while ("=" in name or name == "data") and not above.endswith("/"):
        yield above
        above, _, name = above.rpartition("/")


@dataclass
class _State:
    """The files of a table after some actions of its log."""

    root: str
    files: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, actions: Sequence[Mapping[str, Any]]) -> None:
        """Apply the actions of one commit, or of a checkpoint."""
        for action in actions:
            if action.get("remove") is not None:
                self.files.pop(self._uri(action["remove"]["path"]), None)
            if action.get("metaData") is not None:
                self.configuration = dict(action["metaData"].get("configuration") or {})
        # A file whose rows are marked as deleted is removed and added in the same commit.
        added = [action["add"] for action in actions if action.get("add") is not None]
        self.files |= {self._uri(file["path"]): file for file in added}

    def _uri(self, path: str) -> str:
        path = unquote(path)
        return path if "://" in path or path.startswith("/") else f"{self.root}/{path}"


def read_delta_table(store: Store, root: str) -> DeltaTable:
    """Return the current files of a Delta table: its newest checkpoint, and the commits after it.

    A log that begins later than its table, and has no checkpoint, names the files of the commits that are there.

    Raises
    ------
    BadData
        If commits are missing, or one cannot be read.
    BadConfiguration
        If the table uses deletion vectors, column mapping, files elsewhere, or checkpoints of version 2 only.
    """
    commits, checkpoints, others = _log_of(store, root)
    start = max((version for version, parts in checkpoints.items() if parts), default=-1)
    if others and start < 0 and 0 not in commits:
        raise _refused_table(root, "has checkpoints of version 2 only")
    state = _State(root)
    try:
        for uri in checkpoints.get(start, []):
            state.apply(_checkpoint(store, uri))
        versions = [version for version in sorted(commits) if version > start]
        _require_no_gap(root, versions, start)
        for version in versions:
            state.apply([json.loads(line) for line in store.read(commits[version]).splitlines() if line.strip()])
    except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowException, OSError) as error:
        raise BadData(f"the log of the Delta table {root}/ cannot be read: {error!r}; {_EXPORT}") from error
    _require_supported(state)
    return DeltaTable(root, frozenset(state.files))


def _log_of(store: Store, root: str) -> tuple[dict[int, str], dict[int, list[str]], bool]:
    """Return the commits by version, the complete checkpoints by version, and whether there are others."""
    commits: dict[int, str] = {}
    parts: dict[int, list[tuple[int, str]]] = {}
    others = False
    for uri in store.children(f"{root}{_LOG_FOLDER}"):
        name = uri.rpartition("/")[2]
        commit, checkpoint = _COMMIT.fullmatch(name), _CHECKPOINT.fullmatch(name)
        if commit:
            commits[int(commit[1])] = uri
        elif checkpoint:
            parts.setdefault(int(checkpoint[1]), []).append((int(checkpoint[3] or 1), uri))
        else:
            others = others or ".checkpoint." in name
    complete = {
        version: sorted(uri for count, uri in items if count == max(items)[0])
        for version, items in parts.items()
        if sum(count == max(items)[0] for count, _ in items) == max(items)[0]
    }
    return commits, complete, others


def _checkpoint(store: Store, uri: str) -> list[Mapping[str, Any]]:
    """Return the actions of a checkpoint."""
    info = store.head(uri)
    if info is None:
        return []
    with store.open(info) as file:
        parquet = pq.ParquetFile(file)
        wanted = [name for name in ("add", "remove", "metaData") if name in parquet.schema_arrow.names]
        rows: list[dict[str, Any]] = parquet.read(columns=wanted).to_pylist()
    return [row | ({"metaData": _with_mapping(row["metaData"])} if row.get("metaData") else {}) for row in rows]


def _with_mapping(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata with its configuration as a mapping: Arrow returns a map as pairs."""
    return {**metadata, "configuration": dict(metadata.get("configuration") or ())}


def _require_no_gap(root: str, versions: Sequence[int], start: int) -> None:
    first = start + 1 if start >= 0 else (versions[0] if versions else 0)
    missing = next((version for version in range(first, first + len(versions)) if version not in set(versions)), None)
    if missing is not None:
        raise BadData(f"the log of the Delta table {root}/ lacks the commit of version {missing}; {_EXPORT}")


def _require_supported(state: _State) -> None:
    if state.configuration.get("delta.columnMapping.mode", "none") not in {"none", ""}:
        raise _refused_table(state.root, "maps the names of its columns (delta.columnMapping.mode)")
    if any(added.get("deletionVector") for added in state.files.values()):
        raise _refused_table(state.root, "marks rows as deleted (deletion vectors)")
    elsewhere = next((uri for uri in state.files if not uri.startswith(f"{state.root}/")), None)
    if elsewhere is not None:
        raise _refused_table(state.root, f"lists the file {elsewhere} of another folder")


def _refused_table(root: str, why: str) -> BadConfiguration:
    return BadConfiguration(f"the Delta table {root}/ {why}, which is not supported; {_EXPORT}")
