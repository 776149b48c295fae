"""The champion: its status, and the objects that it was trained on."""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.status import Champion
from modelmonitor_trainer.check.data import ChampionInfo
from modelmonitor_trainer.profile.reference import pinned_batches
from modelmonitor_trainer.registry.layout import REFERENCE_LABELS_FILE, REFERENCE_ROWS_FILE
from modelmonitor_trainer.registry.registry import ModelRegistry


def find_champion(registry: ModelRegistry) -> tuple[Champion | None, ChampionInfo | None]:
    """Return the model in production and what it was trained on, or None twice.

    Raises
    ------
    BadData
        If the pointer or the manifest is damaged.
    NotFound
        If the version that the pointer names is missing.
    """
    pointer = registry.champion()
    if pointer is None:
        return None, None
    record = registry.version(pointer.version)
    manifest = registry.manifest(record)
    return pointer.to_champion(), ChampionInfo(
        version=pointer.version,
        window=record.reference,
        features=pinned_batches(manifest.features, record.reference),
        labels=pinned_batches(manifest.labels, record.reference),
        change_point=record.change_point,
        since=pointer.to_champion().since.astimezone(dt.UTC).date(),
        stored_features=registry.find_file(record, REFERENCE_ROWS_FILE),
        stored_labels=registry.find_file(record, REFERENCE_LABELS_FILE),
    )
