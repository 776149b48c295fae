"""The whole loop in worlds that are known: `make bench-loop`.

Lives each world of :mod:`support.walk.worlds` day by day, from several seeds, with the real check, plan, training and
gate on a simulated clock. A judge that knows the worlds scores what served, and each promotion. The exit code is 1 if
an invariant does not hold, or something happens more often than is stated, beyond chance.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from table import beyond, markdown

from support.walk.life import live_in
from support.walk.summary import Summary, summarize
from support.walk.worlds import Kind, world

_HISTORY = Path(__file__).resolve().parents[1] / "history.jsonl"


def run(kind: Kind, seed: int, days: int) -> tuple[Summary, float]:
    """Live a world, and return what it amounts to and the processor time."""
    started = time.process_time()
    with tempfile.TemporaryDirectory(prefix="modelmonitor-loop-") as folder:
        life = live_in(world(kind, seed, days), Path(folder))
        return summarize(life), time.process_time() - started


def main() -> int:
    """Measure and print; return 0 if everything holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="lives of each world")
    parser.add_argument("--days", type=int, default=365, help="simulated days of each life")
    parser.add_argument("--only", default="", help="only worlds whose name contains this text")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--write", type=Path, help="write the table to this file")
    parser.add_argument("--record", action="store_true", help="append the figures to benchmarks/history.jsonl")
    options = parser.parse_args()
    tasks = [(kind, seed, options.days) for seed in range(options.seeds) for kind in Kind if options.only in kind.value]
    summaries: list[Summary] = []
    started, seconds = time.monotonic(), 0.0
    with ProcessPoolExecutor(options.processes, mp_context=multiprocessing.get_context("fork")) as pool:
        for done in as_completed([pool.submit(run, *task) for task in tasks]):
            summary, taken = done.result()
            summaries.append(summary)
            seconds += taken
            elapsed = time.monotonic() - started
            sys.stderr.write(f"{elapsed:6.0f} s  {summary.kind}, seed {summary.seed}: {taken:.0f} s of processor\n")
            sys.stderr.writelines(f"          {sentence}\n" for sentence in summary.violations)
    summaries.sort(key=lambda summary: (list(Kind).index(summary.kind), summary.seed))
    text = markdown(summaries)
    sys.stdout.write(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    if options.record:
        _record(text, options.seeds, options.days, seconds)
    return 1 if beyond(summaries) else 0


def _record(text: str, seeds: int, days: int, seconds: float) -> None:
    rows = [line for line in text.splitlines() if line.startswith("|")]
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
        "set": "loop",
        "seeds": seeds,
        "days": days,
        "processor seconds": round(seconds),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "table": rows,
    }
    with _HISTORY.open("a", encoding="utf-8") as history:
        history.write(json.dumps(entry, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
