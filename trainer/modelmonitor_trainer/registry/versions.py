"""Functions over a store and a prefix, for the callers in check/ until they take a :class:`ModelRegistry`."""

from __future__ import annotations

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.registry.layout import (
    METRICS_FILE,
    REFERENCE_LABELS_FILE,
    REFERENCE_ROWS_FILE,
    ResultsLayout,
)
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.registry.writer import put_once
from modelmonitor_trainer.storage.base import Store

__all__ = [
    "METRICS_FILE",
    "REFERENCE_LABELS_FILE",
    "REFERENCE_ROWS_FILE",
    "file_if_any",
    "manifest_of",
    "monitor_prefix",
    "need_version",
    "put_once",
    "read_version",
]


def monitor_prefix(spec: ModelMonitorSpec, monitor: MonitorRef) -> str:
    """Return the root of :meth:`ResultsLayout.of`."""
    return ResultsLayout.of(spec, monitor).root


def read_version(store: Store, prefix: str, version: str) -> VersionRecord | None:
    """Return :meth:`ModelRegistry.find_version`."""
    return ModelRegistry(store, ResultsLayout(prefix)).find_version(version)


def need_version(store: Store, prefix: str, version: str) -> VersionRecord:
    """Return :meth:`ModelRegistry.version`."""
    return ModelRegistry(store, ResultsLayout(prefix)).version(version)


def manifest_of(store: Store, prefix: str, record: VersionRecord) -> Manifest:
    """Return :meth:`ModelRegistry.manifest`."""
    return ModelRegistry(store, ResultsLayout(prefix)).manifest(record)


def file_if_any(store: Store, prefix: str, record: VersionRecord, name: str) -> bytes | None:
    """Return :meth:`ModelRegistry.find_file`."""
    return ModelRegistry(store, ResultsLayout(prefix)).find_file(record, name)
