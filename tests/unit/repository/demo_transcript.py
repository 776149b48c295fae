"""Print what the demo prints when everything happens as planned, without a cluster.

Run in a process of its own with hack/demo on the path: the modules of the demo have names that others have too.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

DEMO = Path(__file__).parents[3] / "hack" / "demo"
STATUS: dict[str, Any] = {
    "champion": {"version": "v2"},
    "rollout": {"reason": "RolloutAvailable", "version": "v2", "message": "v2 is served."},
    "lastTraining": {"number": 3, "completionTime": "2013-06-03T00:00:00Z"},
    "lastCheck": {"verdict": "Corrupted", "message": "The data violate the feature contract.", "jobName": "check"},
    "recentJobs": [{"uid": "uid"}],
    "conditions": [{"type": "Training", "reason": "CorruptedData", "message": "Training is blocked."}],
    "history": [
        {"time": "2013-06-03T00:00:00Z", "action": action, "reason": action, "message": f"{action}."}
        for action in ("RolledBack", "Promoted", "Rejected", "Promoted")
    ],
}


class Lake:
    """An S3 server that has everything."""

    def __init__(self, *_: object) -> None:
        self.scored: set[dt.date] = set()

    def land(self, days: list[Any]) -> int:
        return len(days)

    def missing(self, days: list[Any]) -> list[Any]:
        missing = [day for day in days if day.date not in self.scored]
        self.scored |= {day.date for day in days}
        return missing

    def land_labels(self, days: list[Any]) -> None:
        pass

    def reports(self) -> list[str]:
        return []


def run(*command: str | Path, text: str | None = None) -> str:
    """Return what a program would print."""
    del text
    if "secret" in command:
        key = base64.b64encode(b"key").decode()
        return json.dumps({"data": {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": key}})
    if "jobs" in command:
        tokens = ("spring", "summer", "corruption")
        jobs = [{"name": "check", "uid": "uid", "annotations": {"modelmonitor.io/token": token}} for token in tokens]
        return json.dumps({"items": [{"metadata": job} for job in jobs]})
    if "modelmonitor" in command and "get" in command:
        return json.dumps({"status": STATUS})
    return ""


def wait_for(what: str, seen: Callable[[dict[str, Any]], bool], **_: object) -> dict[str, Any]:
    """Return the status, in which everything has happened."""
    assert seen(STATUS), what
    return STATUS


@contextlib.contextmanager
def forwarded(*_: object) -> Iterator[int]:
    """Yield a port that nothing connects to."""
    yield 1


def main(output: Path) -> int:
    """Run the demo."""
    sys.path.insert(0, str(DEMO))
    vars(importlib.import_module("cluster"))["run"] = run
    spec = importlib.util.spec_from_file_location("demo", DEMO / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    replaced = {
        "run": run,
        "wait_for": wait_for,
        "forwarded": forwarded,
        "Lake": Lake,
        "OUTPUT": output,
        "load": lambda: None,
        "days": lambda _flights, *dates: [SimpleNamespace(date=date, features=[]) for date in dates],
        "corrupt": lambda day: day,
        "score": lambda _port, _day: (1, "v2"),
    }
    for name, value in replaced.items():
        assert hasattr(demo, name), name
        setattr(demo, name, value)
    return int(demo.main())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
