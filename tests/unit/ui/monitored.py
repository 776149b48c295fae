"""A site over monitors of a test, with results in a folder."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelmonitor_api.scores import ServedScore
from modelmonitor_trainer.cluster.errors import Missing
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.storage.local import LocalStore
from modelmonitor_trainer.ui.server import Site
from modelmonitor_trainer.ui.sources import Listing
from support import monitors
from unit.cluster.observed import NOW, UID

TOKEN = "a-token-that-cannot-be-guessed"
COOKIE = f"modelmonitor-ui={TOKEN}"
HOST = "localhost:8080"


class Monitors:
    """Monitors of which the results are in a local folder, or cannot be opened."""

    def __init__(self, *observed: ObservedMonitor, error: Exception | None = None, note: str = "") -> None:
        self.observed = observed
        self.error = error
        self.note = note

    def list(self) -> Listing:
        if self.error is not None:
            raise self.error
        return Listing(self.observed, self.note)

    def find(self, namespace: str, name: str) -> ObservedMonitor:
        for monitor in self.observed:
            if (monitor.namespace, monitor.name) == (namespace, name):
                return monitor
        raise Missing(f"there is no {namespace}/{name}")

    def results(self, _: ObservedMonitor) -> Store:
        if self.error is not None:
            raise self.error
        return LocalStore()

    def close(self) -> None:
        pass


def site_of(*observed: ObservedMonitor, token: str | None = TOKEN, **fields: Any) -> Site:
    return Site(Monitors(*observed, **fields), frozenset({"localhost"}), token, clock=lambda: NOW)


def write_check(
    folder: Path,
    days_ago: int,
    verdict: monitors.Verdict = "NoDrift",
    effects: Sequence[tuple[str, float, bool]] = (),
    score: ServedScore | None = None,
    page: str | None = None,
) -> str:
    """Write the results of a check of ml/flights; return the name of its folder."""
    due = NOW - dt.timedelta(days=days_ago)
    name = f"{due:%Y%m%dT%H%M%S}Z-flights-check-{days_ago}"
    check = folder / "ml" / "flights" / "checks" / UID / name
    check.mkdir(parents=True)
    answer = monitors.check(verdict, time=due, performance=score).to_wire()
    features = [{"name": column, "effect": effect, "drifted": drifted} for column, effect, drifted in effects]
    (check / "verdict.json").write_text(json.dumps({"answer": answer, "features": features}))
    if page is not None:
        (check / "report.html").write_text(page)
    return name


def served(score: str, promised: str | None = "0.8", **fields: Any) -> ServedScore:
    return ServedScore(**({"metric": "ROCAUC", "score": score, "promised": promised, "rows": 900} | fields))
