"""The history of a monitor: decisions and outcomes, those that held a training back included."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from modelmonitor_api.status import RecordedDecision
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.cluster.page import Block, Row, Tone, duration, full_stop
from modelmonitor_trainer.cluster.status_page import tone_of


def recorded_decisions(monitor: ObservedMonitor) -> list[RecordedDecision]:
    """Return what the status remembers, newest first."""
    status = monitor.status
    if status.decisions:
        return list(status.decisions)
    return [
        RecordedDecision(
            time=entry.time, action=entry.action, reason=entry.reason, message=entry.message, version=entry.version
        )
        for entry in status.history
    ]


def history_page(name: str, decisions: Sequence[RecordedDecision], source: str) -> tuple[Block, ...]:
    """Return the page of ``kubectl mmon history``.

    Parameters
    ----------
    name
        Namespace and name of the monitor.
    decisions
        The decisions, newest first.
    source
        Where they are from.
    """
    rows = []
    for entry in decisions:
        reason = f" ({entry.reason})" if entry.reason and entry.reason != entry.action else ""
        cost = f" [{duration(entry.seconds)}]" if entry.seconds and entry.action != "Held" else ""
        version = f"{entry.version}: " if entry.version and entry.version not in entry.message else ""
        text = f"{version}{full_stop(entry.message)}{cost}"
        time = f"{entry.time.astimezone(dt.UTC):%Y-%m-%d %H:%M}"
        rows.append(Row(time, text, f"{entry.action}{reason}.", tone_of(entry.action)))
    if not rows:
        rows.append(Row("", "No decision has been recorded yet.", tone=Tone.DIM))
    count = f"{len(decisions)} decision{'' if len(decisions) == 1 else 's'}"
    return (Block(f"{name}: {count}, newest first ({source}; times in UTC)", tuple(rows)),)


def history_document(monitor: ObservedMonitor, decisions: Sequence[RecordedDecision]) -> dict[str, Any]:
    """Return the history as JSON data, for scripts."""
    return {
        "namespace": monitor.namespace,
        "name": monitor.name,
        "decisions": [entry.to_wire() for entry in decisions],
    }
