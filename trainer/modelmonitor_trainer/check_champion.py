"""The champion as a check sees it: its facts for the operator, and the objects that it was trained on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from modelmonitor_api.status import Champion
from modelmonitor_trainer.check_inputs import ChampionFacts
from modelmonitor_trainer.profile_window import Block
from modelmonitor_trainer.storage import Store

if TYPE_CHECKING:
    from modelmonitor_trainer.manifest import FrozenObject


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
    from modelmonitor_trainer.registry import champion_pointer
    from modelmonitor_trainer.registry_versions import read_manifest, read_record

    pointer = champion_pointer(store, prefix)
    if pointer is None:
        return None, None
    trained = read_manifest(store, prefix, read_record(store, prefix, pointer.version)).train
    return pointer.status(), ChampionFacts(
        version=pointer.version,
        window=trained.window,
        features=_blocks(trained.features),
        labels=_blocks(trained.labels),
    )


def _blocks(objects: Sequence[FrozenObject]) -> tuple[Block, ...]:
    def day_of(frozen: FrozenObject) -> dt.date:
        return frozen.day

    by_day = groupby(sorted(objects, key=lambda frozen: (frozen.day, frozen.uri)), key=day_of)
    return tuple(Block(day.isoformat(), tuple(frozen.info for frozen in found), day) for day, found in by_day)
