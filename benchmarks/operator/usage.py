"""What processes use, and what requests they send."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_INTERVAL = 0.25

#: Logs the requests of the operator's service account, and nothing else.
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "users": ["system:serviceaccount:bench:modelmonitor"]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True)
class Sample:
    """Resident memory in bytes and processor time in seconds of a process at a time."""

    time: float
    rss: int
    cpu: float


class Sampler:
    """Samples a process until it is stopped."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stopped = threading.Event()
        self.samples = [self._sample()]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _sample(self) -> Sample:
        with self._process.oneshot():
            times = self._process.cpu_times()
            return Sample(time.monotonic(), self._process.memory_info().rss, times.user + times.system)

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            try:
                self.samples.append(self._sample())
            except psutil.NoSuchProcess:
                return

    def stop(self) -> None:
        """Stop sampling."""
        self._stopped.set()
        self._thread.join()

    def peak(self, since: float = 0.0) -> float:
        """Return the most memory since a time, in MiB."""
        return max(sample.rss for sample in self.samples if sample.time >= since) / 2**20

    def last(self) -> float:
        """Return the newest memory, in MiB."""
        return self.samples[-1].rss / 2**20

    def cores(self, since: float, until: float | None = None) -> float:
        """Return the mean number of cores that were used between two times."""
        used = [s for s in self.samples if s.time >= since and (until is None or s.time <= until)]
        return (used[-1].cpu - used[0].cpu) / max(used[-1].time - used[0].time, _INTERVAL)

    def quiet_since(self, seconds: float = 4.0, cores: float = 0.1) -> float | None:
        """Return the first time from which on no period of some seconds used more than some cores."""
        quiet: float | None = None
        for sample in reversed(self.samples):
            start = next((s for s in self.samples if s.time >= sample.time - seconds), sample)
            elapsed = sample.time - start.time
            if elapsed >= seconds / 2 and sample.cpu - start.cpu > cores * elapsed:
                return quiet
            quiet = sample.time
        return quiet


class AuditLog:
    """The requests of the operator, as the API server logged them."""

    def __init__(self, folder: Path) -> None:
        self._policy, self._log = folder / "audit-policy.json", folder / "audit.log"
        self._policy.write_text(json.dumps(POLICY))

    def arguments(self) -> list[str]:
        """Return the arguments of kube-apiserver."""
        return [f"--audit-policy-file={self._policy}", f"--audit-log-path={self._log}", "--audit-log-maxsize=2000"]

    def position(self) -> int:
        """Return where the log ends now."""
        return self._log.stat().st_size if self._log.exists() else 0

    def count(self, start: int, end: int | None = None) -> Counter[str]:
        """Return the number of requests by "verb resource" between two positions; watches count when they begin."""
        counts: Counter[str] = Counter()
        for entry in self._entries(start, end):
            verb = entry["verb"]
            if verb == "watch" and entry["stage"] != "ResponseStarted":
                continue
            if verb != "watch" and entry["stage"] != "ResponseComplete":
                continue
            reference = entry.get("objectRef") or {}
            resource = "/".join(filter(None, (reference.get("resource", ""), reference.get("subresource"))))
            counts[f"{verb} {resource}".strip()] += 1
        return counts

    def _entries(self, start: int, end: int | None) -> Iterable[dict[str, Any]]:
        if not self._log.exists():
            return
        with self._log.open("rb") as log:
            log.seek(start)
            data = log.read() if end is None else log.read(end - start)
        for line in data.splitlines():
            try:
                yield json.loads(line)
            except ValueError:  # the last line is being written
                continue


def by_kind(counts: Counter[str]) -> tuple[int, int, int]:
    """Return the numbers of reads, of writes and of watches that were begun."""
    verbs: Counter[str] = Counter()
    for name, count in counts.items():
        verbs[name.split()[0]] += count
    writes = sum(verbs[verb] for verb in WRITES)
    return verbs["get"] + verbs["list"], writes, verbs["watch"]


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def machine_seconds() -> float:
    """Return the processor time that all processes of the machine have used since its start."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + times.irq + times.softirq)
