"""Tenures: one object for each change of the champion, written once, from which a lost pointer can be restored.

The pointer decides which version serves. Its history is copied after each change. A copy that is missing because a pod
was killed in between is written with the next change.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection

from pydantic import ValidationError

from modelmonitor_trainer.errors import ModelMonitorError
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.records import Pointer, Tenure
from modelmonitor_trainer.registry.writer import put_once
from modelmonitor_trainer.storage.base import JSON, Store

_LOG = logging.getLogger(__name__)
_NUMBER = re.compile(r"(\d+)-")


def copy_tenures(
    store: Store, layout: ResultsLayout, pointer: Pointer, *, corrected: Collection[int] = frozenset()
) -> None:
    """Write the tenures of a pointer's history that have no copy yet, and those whose numbers are in `corrected`.

    The champion has changed already, so a failure is only logged.
    """
    try:
        existing = set(store.children(layout.tenures))
        for number, tenure in zip(pointer.numbers(), pointer.history, strict=True):
            uri = layout.tenure(number, tenure.version)
            data = json.dumps(tenure.model_copy(update={"number": number}).to_wire(), indent=1, ensure_ascii=False)
            if number in corrected:
                store.write(uri, data.encode(), content_type=JSON)
            elif uri not in existing:
                put_once(store, uri, data.encode(), JSON)
    except ModelMonitorError as error:
        _LOG.warning("the history of the champion was not copied, the next change of the champion does it: %s", error)


def read_tenures(store: Store, layout: ResultsLayout) -> tuple[list[Tenure], list[str]]:
    """Return the copied tenures, the newest first, and the URIs of those that cannot be read."""
    tenures, damaged = [], []
    for uri in store.children(layout.tenures):
        number = _NUMBER.match(uri.removeprefix(layout.tenures))
        if number is None:
            continue
        try:
            tenure = Tenure.model_validate_json(store.read(uri))
        except ValidationError:
            damaged.append(uri)
            continue
        tenures.append(tenure.model_copy(update={"number": int(number[1])}))
    return sorted(tenures, key=lambda tenure: tenure.number or 0, reverse=True), damaged
