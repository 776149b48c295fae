"""Detector statuses that a report highlights."""

from __future__ import annotations

from modelmonitor_api.outcomes import DetectorStatus

#: Outcomes that a report highlights.
ALARMS = frozenset({DetectorStatus.DRIFT, DetectorStatus.BROKEN, DetectorStatus.DROPPED})
