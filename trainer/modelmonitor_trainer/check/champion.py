"""The champion as a check sees it: its facts for the operator, and the objects that it was trained on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelmonitor_api.status import Champion
from modelmonitor_trainer.check.inputs import ChampionFacts
from modelmonitor_trainer.data.windows import Window
from modelmonitor_trainer.profile.window import Block
from modelmonitor_trainer.storage.store import Store

if TYPE_CHECKING:
    from modelmonitor_trainer.data.manifest import PinnedDay


def find_champion(store: Store, prefix: str) -> tuple[Champion | None, ChampionFacts | None]:
    """Return the model in production and what it was trained on, or None twice.

    Raises
    ------
    BadData
        If the pointer or the manifest is damaged.
    NotFound
        If the version that the pointer names is not there.
    """
    # Before the first promotion a check needs nothing of what can load a model.
    if store.head(f"{prefix}champion.json") is None:
        return None, None
    from modelmonitor_trainer.registry import champion as registry

    found = registry.read_pointer(store, prefix)
    if found is None:
        return None, None
    pointer = found[0]
    manifest = registry.read_manifest(store, prefix, pointer.version)
    return pointer.to_champion(), ChampionFacts(
        version=pointer.version,
        window=manifest.train,
        features=_blocks(manifest.features, manifest.train),
        labels=_blocks(manifest.labels, manifest.train),
        since=pointer.to_champion().since.astimezone(dt.UTC).date(),
    )


def _blocks(days: Sequence[PinnedDay], window: Window) -> tuple[Block, ...]:
    from modelmonitor_trainer.data.manifest import objects_of

    return tuple(
        Block(day.day.isoformat(), tuple(objects_of([day], window)), day.day)
        for day in days
        if window[0] <= day.day <= window[1]
    )
