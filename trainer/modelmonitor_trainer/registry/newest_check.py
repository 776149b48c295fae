"""The newest check of a monitor whose result is stored."""

from __future__ import annotations

import json
import logging

from pydantic import ValidationError

from modelmonitor_api.messages import CheckVerdict
from modelmonitor_trainer.registry.layout import CheckLayout
from modelmonitor_trainer.registry.registry import ModelRegistry

_LOG = logging.getLogger(__name__)


def newest_check(registry: ModelRegistry) -> CheckVerdict | None:
    """Return the verdict of the newest stored check of a monitor of this name; None if there is none."""
    store = registry.store
    folders = [
        CheckLayout(folder) for uid in store.children(registry.layout.all_checks) for folder in store.children(uid)
    ]
    dated = [(folder.due, folder) for folder in folders if folder.due is not None]
    for _, folder in sorted(dated, key=lambda item: item[0], reverse=True):
        if store.head(folder.verdict) is None:
            continue
        try:
            return CheckVerdict.model_validate(json.loads(store.read(folder.verdict))["answer"])
        except (ValueError, KeyError, TypeError, ValidationError):
            _LOG.warning("%s is damaged and ignored", folder.verdict)
    return None
