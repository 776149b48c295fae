"""Functions over a store and a prefix, for the callers in check/ until they take a :class:`ModelRegistry`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.records import Pointer, VersionRecord
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.storage.base import Store

if TYPE_CHECKING:
    from modelmonitor_trainer.registry.model_files import LoadedModel

__all__ = ["Pointer", "champion_pointer", "load_model", "read_pointer", "read_version"]


def read_pointer(store: Store, prefix: str) -> tuple[Pointer, str] | None:
    """Return :meth:`ModelRegistry.pointer`."""
    return ModelRegistry(store, ResultsLayout(prefix)).pointer()


def champion_pointer(store: Store, prefix: str) -> Pointer | None:
    """Return :meth:`ModelRegistry.champion`."""
    return ModelRegistry(store, ResultsLayout(prefix)).champion()


def read_version(store: Store, prefix: str, version: str) -> VersionRecord | None:
    """Return :meth:`ModelRegistry.find_version`."""
    return ModelRegistry(store, ResultsLayout(prefix)).find_version(version)


def load_model(store: Store, prefix: str, version: str) -> LoadedModel:
    """Return :func:`~modelmonitor_trainer.registry.model_files.load_model`."""
    # scikit-learn takes a second to import, and most checks only read the pointer.
    from modelmonitor_trainer.registry import model_files

    return model_files.load_model(ModelRegistry(store, ResultsLayout(prefix)), version)
