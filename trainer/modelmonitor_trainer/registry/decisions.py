"""Copy of the decisions about the champion: its pin and its retirement, from which a lost pointer gets them back.

The pointer decides. The copy is written after each decision, and after each change of a champion that had one.
"""

from __future__ import annotations

import json
import logging

from pydantic import Field, ValidationError

from modelmonitor_api.resource import Message
from modelmonitor_trainer.errors import ModelMonitorError, NotFound
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.records import Decision, Pointer
from modelmonitor_trainer.storage.base import JSON, Store

_LOG = logging.getLogger(__name__)


class Decisions(Message):
    """Decisions about the champion."""

    version: str = Field(description="The champion.")
    pin: Decision | None = Field(None, description="Present if only a person may replace the champion.")
    retired: Decision | None = Field(None, description="Present if the champion is not compared with any more.")

    def apply_to(self, pointer: Pointer) -> Pointer:
        """Return a pointer with the decisions: a pin holds any champion, a retirement is that of one version."""
        retired = self.retired if self.version == pointer.version else None
        return pointer.model_copy(update={"pin": self.pin, "retired": retired})


def copy_decisions(store: Store, layout: ResultsLayout, pointer: Pointer) -> None:
    """Copy the decisions of a pointer; it has been written already, so a failure is only logged."""
    decisions = Decisions(version=pointer.version, pin=pointer.pin, retired=pointer.retired)
    data = json.dumps(decisions.to_wire(), indent=1, ensure_ascii=False).encode()
    try:
        store.write(layout.decisions, data, content_type=JSON)
    except ModelMonitorError as error:
        _LOG.warning("the pin of the champion was not copied: %s", error)


def read_decisions(store: Store, layout: ResultsLayout, damaged_pointer: bytes | None) -> Decisions | None:
    """Return the decisions that a damaged pointer still shows, or their copy; None if neither can be read."""
    for data in (damaged_pointer, _read(store, layout.decisions)):
        try:
            document = json.loads(data or b"null")
            if isinstance(document, dict) and (document.keys() & {"pin", "retired"} or data is not damaged_pointer):
                known = {name: document[name] for name in ("version", "pin", "retired") if name in document}
                return Decisions.model_validate(known)
        except (ValueError, ValidationError):
            continue
    return None


def _read(store: Store, uri: str) -> bytes | None:
    try:
        return store.read(uri)
    except NotFound:
        return None
