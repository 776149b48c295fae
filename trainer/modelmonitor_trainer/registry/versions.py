"""The versions of a monitor's model: their records and files, each written once and verified when read."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.errors import BadData, NotFound
from modelmonitor_trainer.registry import reader, writer
from modelmonitor_trainer.registry.layout import MANIFEST_FILE, ResultsLayout, VersionLayout, is_version_name
from modelmonitor_trainer.registry.records import StoredFile, VersionRecord, is_essential
from modelmonitor_trainer.registry.reservations import reserve
from modelmonitor_trainer.storage.base import Store

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelVersions:
    """Versions of one monitor.

    Attributes
    ----------
    store
        Object store of the results.
    layout
        Where they are.
    """

    store: Store
    layout: ResultsLayout

    def find_version(self, name: str) -> VersionRecord | None:
        """Return the record of a version, or None if there is no complete version of that name.

        Raises
        ------
        NotFound
            If `name` cannot be the name of a version.
        BadData
            If the record is corrupt.
        """
        return reader.find_record(self.store, self.layout.version(name))

    def version(self, name: str) -> VersionRecord:
        """Return the record of a version.

        Raises
        ------
        NotFound
            If there is no complete version of that name.
        BadData
            If the record is corrupt.
        """
        return reader.read_record(self.store, self.layout.version(name))

    def version_names(self) -> list[str]:
        """Return the names of all folders of versions, complete or not."""
        folders = (child for child in self.store.children(self.layout.versions) if child.endswith("/"))
        return [name for folder in folders if is_version_name(name := VersionLayout(folder).name)]

    def versions(self) -> list[VersionRecord]:
        """Return the records of all complete versions, the newest first.

        One that cannot be read is left out: it must not hide the others. See
        :mod:`~modelmonitor_trainer.registry.inventory`.
        """
        records = []
        for name in self.version_names():
            try:
                record = self.find_version(name)
            except BadData as error:
                _LOG.warning("a version is left out: %s", error)
                continue
            if record is not None:
                records.append(record)
        return sorted(records, key=lambda record: (record.created, record.number), reverse=True)

    def read_file(self, record: VersionRecord, name: str) -> bytes:
        """Return a file of a version if it still is what was written.

        Raises
        ------
        NotFound
            If the version has no such file.
        BadData
            If the content has changed.
        """
        return reader.read_file(self.store, self.layout.version(record.version), record, name)

    def find_file(self, record: VersionRecord, name: str) -> bytes | None:
        """Return a file of a version, or None if the version was written without it.

        Raises
        ------
        NotFound, BadData
            If it was written, and is missing or has changed.
        """
        return self.read_file(record, name) if any(stored.name == name for stored in record.files) else None

    def verify_model(self, record: VersionRecord) -> None:
        """Verify that the files without which a version cannot serve exist and are what was written.

        A change of another file, such as the card, is only logged.

        Raises
        ------
        BadData
            If a file of the model, or the manifest, is missing or has changed.
        """
        for stored in record.files:
            try:
                self.read_file(record, stored.name)
            except (NotFound, BadData) as error:
                if is_essential(stored.name):
                    raise BadData(
                        f"{record.version} cannot serve, so nothing was changed: {error}. Restore the file, or choose "
                        "another version; modelmonitor versions names those that are damaged"
                    ) from error
                _LOG.warning("%s", error)

    def manifest(self, record: VersionRecord) -> Manifest:
        """Return the data manifest of a version.

        Raises
        ------
        NotFound, BadData
            If it is missing or corrupt.
        """
        uri = self.layout.version(record.version).file(MANIFEST_FILE)
        return Manifest.from_json(self.read_file(record, MANIFEST_FILE), uri)

    def reserve(self, name: str) -> VersionRecord:
        """Keep a version from being deleted by the retention, and return its record.

        Raises
        ------
        NotFound, ObjectChanged, BadData
            See :func:`~modelmonitor_trainer.registry.reservations.reserve`.
        """
        return reserve(self.store, self.layout.version(name))

    def write_file(self, version: str, name: str, data: bytes) -> tuple[StoredFile, bytes]:
        """Write a file of a version once; return its entry for the record and the content that is stored now."""
        return writer.write_file(self.store, self.layout.version(version), name, data)

    def write_record(self, record: VersionRecord) -> VersionRecord:
        """Complete a version and return its record; if an earlier pod wrote one, that one."""
        return writer.write_record(self.store, self.layout.version(record.version), record)


def version_name(number: int, short: str) -> str:
    """Return the name of a version.

    >>> version_name(3, "0badcafe")
    'v3-0badcafe'
    """
    return f"v{number}-{short}"
