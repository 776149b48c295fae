"""The operator on a real API server with many monitors: `make bench-operator`.

    python benchmarks/operator 1000 10000

Starts etcd, kube-apiserver and its controllers, and the operator as the chart does, for each number of monitors. The
Job controller is left out, because there are no nodes: this program writes the status of pods and Jobs. Needs the
programs of `make binaries`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from fleet import Fleet
from observer import Observer
from page import write
from usage import AuditLog, Sampler, by_kind, machine_seconds, processor_seconds

from modelmonitor_api.names import cron_job_name
from support.apiserver import CONTROLLERS, ApiServer, start_api_server
from support.client import Object
from support.operator import OperatorProcess, install
from support.processes import wait_until

_HISTORY = Path(__file__).resolve().parents[1] / "history.jsonl"
#: Job ends in the burst, which are spread over a minute.
BURST = 1000
#: Edits, and ends of scheduled checks, that are measured one by one.
CHANGES = 100
#: Seconds between two of them, so that they meet a resync.
_PAUSE = 0.7
_SETTLED_SECONDS = 15.0


class Run:
    """One run: an API server, an operator and its monitors.

    Parameters
    ----------
    folder
        An empty folder.
    size
        Number of monitors.
    minutes
        Most time that each phase may take.
    seeded
        Whether the monitors and their children are written before the operator starts, instead of by it.
    """

    def __init__(self, folder: Path, size: int, minutes: float, *, seeded: bool = False) -> None:
        self._seeded = seeded
        self._size, self._seconds = size, minutes * 60
        self._audit = AuditLog(folder)
        controllers = [name for name in CONTROLLERS if name != "job-controller"]
        self._server = start_api_server(folder, controllers=controllers, arguments=self._audit.arguments())
        self._folder = folder
        self._fleet = Fleet(self._server.client, size)
        self.figures: dict[str, Any] = {"monitors": size}

    def measure(self) -> dict[str, Any]:
        """Go through all phases and return the figures; what was measured is kept if a phase takes too long."""
        server = self._server
        try:
            self._prepare(server)
            begin = [self._burst_of_checks] if self._seeded else [self._create, self._end_first_checks]
            for phase in (*begin, self._idle, self._change, self._restart):
                phase()
                print(json.dumps(self.figures), flush=True)
        except AssertionError as error:
            self.figures["failure"] = str(error)[:300]
        finally:
            self._observer.stop()
            self._operator.end()
            server.stop()
        return self.figures

    def _prepare(self, server: ApiServer) -> None:
        server.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}})
        self._fleet.create_namespaces()
        installation = install(server, self._folder, "bench", watchAllNamespaces=True)
        self._operator = OperatorProcess(installation, self._folder)
        if self._seeded:
            start = time.monotonic()
            self._fleet.seed(installation.environment)
            self.figures["seconds to seed"] = time.monotonic() - start
        self._observer = Observer(server.credentials)
        self._operator.start()
        self._sampler = Sampler(self._operator.pid)
        time.sleep(3)
        self.figures["MiB at start"] = self._sampler.last()

    def _create(self) -> None:
        """Create all monitors, and wait until they are ready."""
        start, position, before = time.monotonic(), self._audit.position(), self._seconds_used()
        self._fleet.create()
        self.figures["seconds to create"] = time.monotonic() - start
        ready = self._observer.ready
        self._wait(lambda: len(ready) == self._size, lambda: f"{len(ready)} of {self._size} monitors are ready")
        self.figures["seconds to all ready"] = max(ready.values()) - start
        self._settle()
        reads, writes, _ = by_kind(self._audit.count(position))
        self.figures |= {"reads per new monitor": reads / self._size, "writes per new monitor": writes / self._size}
        for name, used in self._seconds_used().items():
            self.figures[f"CPU ms per new monitor, {name}"] = 1000 * (used - before[name]) / self._size

    def _end_first_checks(self) -> None:
        """End the first check of each monitor: a thousand within a minute, then the others."""
        jobs = self._fleet.jobs()
        burst, others = jobs[:BURST], jobs[BURST:]
        self._fleet.start_pods(jobs)
        self._settle()
        self._measure_burst(burst)
        self._fleet.end_jobs(others)
        self._wait_recorded(others)
        self._settle()

    def _burst_of_checks(self) -> None:
        """Start and end a scheduled check of a thousand monitors within a minute."""
        self._settle()
        jobs = self._fleet.start_checks(BURST)
        self._fleet.start_pods(jobs)
        self._settle()
        self._measure_burst(jobs)
        self._settle()

    def _measure_burst(self, burst: list[Object]) -> None:
        start, ends = time.monotonic(), self._end(burst, 60.0)
        self._wait_recorded(burst)
        self.figures["burst: Jobs"] = len(burst)
        self.figures["burst: seconds"] = max(self._observer.recorded[uid] for uid in ends) - start
        self._latencies("burst: Job end to status", [self._observer.recorded[uid] - ends[uid] for uid in ends])

    def _end(self, jobs: list[Object], seconds: float) -> dict[str, float]:
        """End Jobs within some seconds; return the time of each."""
        ends: dict[str, float] = {}
        start, step = time.monotonic(), seconds / len(jobs)
        planned = {job["metadata"]["uid"]: start + number * step for number, job in enumerate(jobs)}

        def wait(job: Object) -> None:
            uid = job["metadata"]["uid"]
            time.sleep(max(0.0, planned[uid] - time.monotonic()))
            ends[uid] = time.monotonic()

        self._fleet.end_jobs(jobs, wait)
        return ends

    def _idle(self) -> None:
        """Count requests while nothing changes."""
        seconds = 120.0
        api, etcd = (Sampler(self._server.pids[name]) for name in ("kube-apiserver", "etcd"))
        start, position = time.monotonic(), self._audit.position()
        time.sleep(seconds)
        counts, minutes = self._audit.count(position), seconds / 60
        reads, writes, watches = by_kind(counts)
        self.figures |= {
            "idle: reads a minute": reads / minutes,
            "idle: writes a minute": writes / minutes,
            "idle: watches a minute": watches / minutes,
            "idle: requests a minute": {name: count / minutes for name, count in counts.most_common()},
            "idle: cores": self._sampler.cores(start),
            "idle: cores of the API server": api.cores(start),
            "idle: cores of etcd": etcd.cores(start),
            "MiB steady": self._sampler.last(),
        }
        api.stop()
        etcd.stop()

    def _change(self) -> None:
        """Edit monitors and end scheduled checks, one by one."""
        position = self._audit.position()
        keys = self._fleet.sample(2 * CHANGES)
        edited, checked = keys[: len(keys) // 2], keys[len(keys) // 2 :]
        edits: dict[tuple[str, str, str], float] = {}
        ends: dict[str, float] = {}
        for number, (edit, check) in enumerate(zip(edited, checked, strict=False)):
            job = self._fleet.start_check(check, f"{number:04}")
            self._fleet.start_pods([job])
            time.sleep(_PAUSE / 2)
            now = time.monotonic()
            edits[edit[0], cron_job_name(edit[1]), self._fleet.edit(edit, number % 29)] = now
            ends[job["metadata"]["uid"]] = time.monotonic()
            self._fleet.end_job(job)
            time.sleep(_PAUSE / 2)
        seen, recorded = self._observer.schedules, self._observer.recorded
        self._wait(lambda: edits.keys() <= seen.keys(), lambda: "edits reach their CronJobs")
        self._wait(lambda: ends.keys() <= recorded.keys(), lambda: "ends of Jobs reach the status")
        self._latencies("edit to CronJob", [seen[key] - edits[key] for key in edits])
        self._latencies("Job end to status", [recorded[uid] - ends[uid] for uid in ends])
        self._settle()
        reads, writes, _ = by_kind(self._audit.count(position))
        self.figures |= {"reads per change": reads / len(keys), "writes per change": writes / len(keys)}
        self.figures["MiB peak"] = self._sampler.peak()

    def _restart(self) -> None:
        """Restart the operator while nothing changes."""
        self._sampler.stop()
        self._operator.stop()
        position, start = self._audit.position(), time.monotonic()
        self._operator.start()
        self.figures["restart: seconds to healthy"] = time.monotonic() - start
        self._sampler = Sampler(self._operator.pid)
        time.sleep(min(90.0, 30 + self._size / 100))
        end = self._audit.position()
        reads, writes, _ = by_kind(self._audit.count(position, end))
        quiet = self._sampler.quiet_since()
        self.figures |= {
            "restart: reads": reads,
            "restart: writes": writes,
            "restart: seconds to steady": None if quiet is None else quiet - start,
            "restart: MiB peak": self._sampler.peak(),
            "restart: MiB": self._sampler.last(),
        }
        edit = self._fleet.sample(1)[0]
        now = time.monotonic()
        key = (edit[0], cron_job_name(edit[1]), self._fleet.edit(edit, 31))
        self._wait(lambda: key in self._observer.schedules, lambda: "an edit after the restart")
        self.figures["restart: edit to CronJob"] = self._observer.schedules[key] - now
        self._sampler.stop()

    def _seconds_used(self) -> dict[str, float]:
        """Return the processor time that each program has used, and all others on this machine together."""
        pids = {"operator": self._operator.pid, **self._server.pids, "benchmark": os.getpid()}
        used = {name: processor_seconds(pid) for name, pid in pids.items()}
        return {**used, "other programs": machine_seconds() - sum(used.values())}

    def _wait_recorded(self, jobs: list[Object]) -> None:
        uids, recorded = {job["metadata"]["uid"] for job in jobs}, self._observer.recorded
        self._wait(lambda: uids <= recorded.keys(), lambda: f"{len(uids - recorded.keys())} Jobs are not in a status")

    def _settle(self) -> None:
        """Wait until the operator writes nothing for some seconds."""
        end, last = time.monotonic() + self._seconds, time.monotonic()
        position = self._audit.position()
        while time.monotonic() - last < _SETTLED_SECONDS:
            assert time.monotonic() < end, "the operator does not come to rest"
            time.sleep(1)
            current = self._audit.position()
            if by_kind(self._audit.count(position, current))[1]:
                last = time.monotonic()
            position = current

    def _wait(self, condition: Any, what: Any) -> None:
        def check() -> bool:
            assert condition(), what()
            return True

        wait_until(check, "the operator", seconds=self._seconds, interval=0.2)

    def _latencies(self, name: str, seconds: list[float]) -> None:
        cuts = statistics.quantiles(seconds, n=20, method="inclusive")
        self.figures |= {f"{name}, p50": cuts[9], f"{name}, p95": cuts[18], f"{name}, max": max(seconds)}


def main() -> int:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[1000, 10000], help="numbers of monitors")
    parser.add_argument("--minutes", type=float, default=15, help="most time that each phase may take")
    parser.add_argument("--seeded", action="store_true", help="write the monitors before the operator starts")
    parser.add_argument("--write", type=Path, help="write the page of the documentation, from all recorded runs")
    parser.add_argument("--record", action="store_true", help="append the figures to benchmarks/history.jsonl")
    options = parser.parse_args()
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="modelmonitor-operator-", dir=os.environ.get("BENCH_DATA")) as folder:
            figures = Run(Path(folder), size, options.minutes, seeded=options.seeded).measure()
        print(json.dumps(figures, indent=1), flush=True)
        if options.record:
            _record(figures)
    if options.write:
        write(options.write, _recorded())
    return 0


def _record(figures: dict[str, Any]) -> None:
    """Append the figures to the history."""
    entry = {
        "time": dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat(),
        "set": "operator",
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()},
    }
    with _HISTORY.open("a", encoding="utf-8") as history:
        history.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _recorded() -> list[dict[str, Any]]:
    """Return the newest recorded figures of each number of monitors."""
    newest: dict[int, dict[str, Any]] = {}
    for line in _HISTORY.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry.get("set") == "operator" and "failure" not in entry:
            newest[entry["monitors"]] = entry
    return [newest[size] for size in sorted(newest)]


if __name__ == "__main__":
    sys.exit(main())
