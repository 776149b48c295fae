"""Models that are known already: that of the champion, and those that a rollback has replaced.

Training again on the same data gives the same model. As a new version it would take away the step back (the previous
champion would be the same model), or bring back what a person has rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.registry.records import Pointer, Tenure, VersionRecord
from modelmonitor_trainer.registry.registry import ModelRegistry


@dataclass(frozen=True)
class LeftModel:
    """A version that a rollback has replaced.

    Attributes
    ----------
    version
        Its name.
    rollback
        The tenure that began with the rollback.
    manifest_sha256, model_sha256
        Digests of its data manifest and its model; None if they are unknown.
    """

    version: str
    rollback: Tenure
    manifest_sha256: str | None
    model_sha256: str | None


def left_models(registry: ModelRegistry, pointer: Pointer) -> tuple[LeftModel, ...]:
    """Return the versions that rollbacks have replaced, the latest first.

    A model that has become the champion again since is not among them.
    """
    later: set[str | None] = set()
    left = []
    tenures = {tenure.version: tenure for tenure in reversed(pointer.history)}
    for tenure in pointer.history:
        later |= {tenure.version, tenure.model_sha256 or _digests(registry, tenure.version, tenure)[1]}
        if tenure.action != "RolledBack" or tenure.previous is None:
            continue
        manifest, model = _digests(registry, tenure.previous, tenures.get(tenure.previous))
        if tenure.previous not in later and (model is None or model not in later):
            left.append(LeftModel(tenure.previous, tenure, manifest, model))
    return tuple(left)


def find_trained(
    registry: ModelRegistry, *, manifest_sha256: str, champion: str | None, image: str
) -> VersionRecord | None:
    """Return the version that an earlier training made from the same data, spec and image; None if there is none.

    It is the champion, or was compared with it: another champion would be another comparison.
    """
    for record in _records(registry):
        same = record.manifest_sha256 == manifest_sha256 and record.image == image
        if same and champion in {record.version, record.compared_with}:
            return record
    return None


def _records(registry: ModelRegistry) -> Iterator[VersionRecord]:
    """Yield the readable records, the newest first."""
    try:
        yield from registry.versions()
    except BadData:
        # A damaged record of another version must not stop a training.
        return


def _digests(registry: ModelRegistry, version: str, tenure: Tenure | None) -> tuple[str | None, str | None]:
    """Return the digests of data and model, also where an earlier release wrote the tenure without them."""
    if tenure is not None and tenure.model_sha256 is not None:
        return tenure.manifest_sha256, tenure.model_sha256
    try:
        record = registry.find_version(version)
    except BadData:
        record = None
    if record is None:
        return (tenure.manifest_sha256 if tenure is not None else None), None
    return record.manifest_sha256, record.model_sha256
