"""The champion: its status, and the objects that it was trained on."""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.status import Champion
from modelmonitor_trainer.check.data import ChampionInfo
from modelmonitor_trainer.profile.reference import pinned_batches
from modelmonitor_trainer.storage.base import Store


def find_champion(store: Store, prefix: str) -> tuple[Champion | None, ChampionInfo | None]:
    """Return the model in production and what it was trained on, or None twice.

    Raises
    ------
    BadData
        If the pointer or the manifest is damaged.
    NotFound
        If the version that the pointer names is missing.
    """
    # Before the first promotion a check imports nothing that can load a model.
    if store.head(f"{prefix}champion.json") is None:
        return None, None
    from modelmonitor_trainer.registry import champion as registry
    from modelmonitor_trainer.registry import versions

    pointer = registry.champion_pointer(store, prefix)
    if pointer is None:
        return None, None
    record = versions.need_version(store, prefix, pointer.version)
    manifest = versions.manifest_of(store, prefix, record)
    return pointer.to_champion(), ChampionInfo(
        version=pointer.version,
        window=manifest.train,
        features=pinned_batches(manifest.features, manifest.train),
        labels=pinned_batches(manifest.labels, manifest.train),
        since=pointer.to_champion().since.astimezone(dt.UTC).date(),
        stored_features=versions.file_if_any(store, prefix, record, versions.REFERENCE_ROWS_FILE),
        stored_labels=versions.file_if_any(store, prefix, record, versions.REFERENCE_LABELS_FILE),
    )
