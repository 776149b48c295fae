"""The ledger: all decisions about a monitor, which the operator gives to its pods because it accesses no object store.

Each file holds the newest decisions at its time, so files overlap, and their union is the ledger. The same decisions
have the same name: a pod that finds them written writes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.status import RecordedDecision
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.writer import put_once
from modelmonitor_trainer.storage.base import JSON, Store


def write_decisions(
    store: Store, layout: ResultsLayout, monitor: MonitorRef, decisions: Sequence[RecordedDecision]
) -> None:
    """Write decisions to the ledger, unless they are there."""
    if not decisions:
        return
    newest = max(decision.time for decision in decisions)
    document = {
        "monitor": {"namespace": monitor.namespace, "name": monitor.name, "uid": monitor.uid},
        "decisions": [decision.to_wire() for decision in decisions],
    }
    data = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    put_once(store, layout.ledger(monitor.uid, newest, hashlib.sha256(data).hexdigest()[:8]), data, JSON)


def read_ledger(store: Store, layout: ResultsLayout, uid: str) -> list[RecordedDecision]:
    """Return all decisions about a monitor, oldest first, each once."""
    decisions: dict[tuple[object, str, str], RecordedDecision] = {}
    for info in store.list(f"{layout.root}ledger/{uid}/"):
        for entry in json.loads(store.read(info.uri))["decisions"]:
            decision = RecordedDecision.model_validate(entry)
            decisions[decision.time, decision.action, decision.reason] = decision
    return sorted(decisions.values(), key=lambda decision: (decision.time, decision.action))
