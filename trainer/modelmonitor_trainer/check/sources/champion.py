"""The champion: its status, and the objects that it was trained on."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence

from modelmonitor_api.spec import Feature
from modelmonitor_api.status import Champion
from modelmonitor_trainer.check.data import ChampionInfo
from modelmonitor_trainer.errors import BadData, NotFound
from modelmonitor_trainer.profile.reference import pinned_batches
from modelmonitor_trainer.registry.layout import REFERENCE_LABELS_FILE, REFERENCE_ROWS_FILE
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.text import as_sentence

_LOG = logging.getLogger(__name__)


def find_champion(
    registry: ModelRegistry, features: Sequence[Feature] = ()
) -> tuple[Champion | None, ChampionInfo | None, str]:
    """Return the model in production, what it was trained on, and why that is not known; None twice without a champion.

    Parameters
    ----------
    registry
        Versions and champion of the monitor.
    features
        Features that the spec declares.

    Raises
    ------
    BadData
        If the pointer is damaged.
    """
    pointer = registry.champion()
    if pointer is None:
        return None, None, ""
    try:
        record = registry.version(pointer.version)
        manifest = registry.manifest(record)
    except (BadData, NotFound) as error:
        problem = (
            f"what the champion {pointer.version} was trained on is not known: {error}. Restore the file, or roll back "
            "to another version"
        )
        return pointer.to_champion(), None, as_sentence(problem)
    declared = {feature.name: feature.type for feature in features}
    info = ChampionInfo(
        version=pointer.version,
        window=record.reference,
        features=pinned_batches(manifest.features, record.reference),
        labels=pinned_batches(manifest.labels, record.reference),
        change_point=record.change_point,
        retyped=frozenset(old.name for old in record.features if declared.get(old.name, old.type) is not old.type),
        since=pointer.to_champion().since.astimezone(dt.UTC).date(),
        stored_features=_find_profiles(registry, record, REFERENCE_ROWS_FILE),
        stored_labels=_find_profiles(registry, record, REFERENCE_LABELS_FILE),
    )
    return pointer.to_champion(), info, ""


def _find_profiles(registry: ModelRegistry, record: VersionRecord, name: str) -> bytes | None:
    """Return stored profiles; None if there are none or they are damaged, and the rows have to be read."""
    try:
        return registry.find_file(record, name)
    except (BadData, NotFound) as error:
        _LOG.warning("%s; the profiles are computed again", error)
        return None
