"""A ModelMonitor with a valid spec."""

from __future__ import annotations

from dataclasses import dataclass

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import RecordedDecision


@dataclass(frozen=True)
class Monitor:
    """A ModelMonitor whose spec has been validated.

    Attributes
    ----------
    namespace, name, uid, generation, labels, annotations
        From its metadata.
    spec
        The parsed spec.
    decisions
        Newest decisions, for the ledger that its pods write.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: ModelMonitorSpec
    decisions: tuple[RecordedDecision, ...] = ()

    @property
    def ref(self) -> MonitorRef:
        """Reference to the monitor for the requests of its pods."""
        return MonitorRef(namespace=self.namespace, name=self.name, uid=self.uid, generation=self.generation)
