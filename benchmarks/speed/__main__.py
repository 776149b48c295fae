"""What a check costs beside decoding the same columns: `make bench`.

Whole processes, run in turns, medians. Prints ratios and whether the bars are kept; `--record` appends the figures to
benchmarks/history.jsonl. The exit code is 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import monitor
from process import Taken, median, run
from shapes import SHAPES, Shape

HERE = Path(__file__).parent
MODELMONITOR = str(Path(sys.executable).with_name("modelmonitor"))

#: Data set → the most a check may take: times the processor time of decoding, and MB.
BARS = {"B": (1.5, 200), "C": (2.0, 200)}
#: Data set → the same with the reference's profiles kept.
CACHED_BARS = {"B": 0.9}
TWICE = "check, current x 2"


def check(data: Path, current: str = "current/") -> Taken:
    """Check the two sides of a data set, or its reference and both as the current one."""
    return run(
        [MODELMONITOR, "check", f"--reference={data}/reference/", f"--current={data}/{current}", "--output=json"]
    )


def ensure(name: str, folder: Path) -> Path:
    """Return the folder of a data set, made where it is not there."""
    made = folder / name
    if not (made / "complete").exists():
        run([sys.executable, str(HERE / "data.py"), name, str(made)])
    return made


def check_again(shape: Shape, data: Path) -> Taken:
    """Check a monitor whose reference has been profiled before, and whose current days are new."""
    with tempfile.TemporaryDirectory(dir=data.parent) as folder:
        file = monitor.write(shape, data, Path(folder))
        run([MODELMONITOR, "check", "-f", str(file), "--output", "json"])
        monitor.forget_current(Path(folder))
        return run([MODELMONITOR, "check", "-f", str(file), "--output", "json"])


def measure(name: str, folder: Path, rounds: int, everything: bool) -> dict[str, Taken]:
    """Return what each contestant takes on a data set."""
    data = ensure(name, folder)
    contestants: dict[str, Callable[[], Taken]] = {
        "decode": lambda: run([sys.executable, str(HERE / "decode.py"), str(data)]),
        "check": lambda: check(data),
        "check, cached reference": lambda: check_again(SHAPES[name], data),
    }
    if name == "B":
        contestants[TWICE] = lambda: check(data, "")
    if everything and SHAPES[name].rows <= 1_000_000:
        contestants["pandas + scipy"] = lambda: run([sys.executable, str(HERE / "pandas_scipy.py"), str(data)])
    taken: dict[str, list[Taken]] = {contestant: [] for contestant in contestants}
    for _ in range(rounds):  # in turns, so that a busy moment meets all of them
        for contestant, go in contestants.items():
            taken[contestant].append(go())
    return {contestant: median(found) for contestant, found in taken.items()}


def judged(name: str, found: dict[str, Taken]) -> list[tuple[str, bool]]:
    """Return the sentences of a data set's bars, and whether they are kept."""
    if name not in BARS:
        return []
    times, memory = BARS[name]
    ratio = found["check"].cpu / found["decode"].cpu
    cached = found["check, cached reference"].cpu / found["decode"].cpu
    sentences = [
        (f"check {ratio:.2f} x decoding, at most {times}", ratio <= times),
        (f"check {found['check'].memory:.0f} MB, at most {memory}", found["check"].memory <= memory),
    ]
    if bar := CACHED_BARS.get(name):
        sentences.append((f"with cached reference {cached:.2f} x, less than {bar}", cached < bar))
    if twice := found.get(TWICE):
        sentences.append((f"{TWICE} {twice.memory:.0f} MB, at most {memory}", twice.memory <= memory))
    return sentences


def main() -> int:
    """Measure, print, record; return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=["A", "B", "C"], help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BENCH_DATA", tempfile.gettempdir())))
    parser.add_argument("--all", action="store_true", help="pandas and scipy, and data on S3, as well")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/history.jsonl")
    options = parser.parse_args()
    kept = True
    for name in options.sets:
        found = measure(name, options.data / "modelmonitor-bench", options.rounds, options.all)
        print(f"\n{name}: {SHAPES[name].rows:,} rows x {SHAPES[name].columns} columns a side")
        for contestant, taken in found.items():
            times = f"{taken.cpu / found['decode'].cpu:6.2f} x"
            print(f"  {contestant:<26} {taken.wall:7.2f} s wall {taken.cpu:7.2f} s cpu {times} {taken.memory:6.0f} MB")
        for sentence, good in judged(name, found):
            print(f"  {'PASS' if good else 'FAIL'}  {sentence}")
            kept = kept and good
        if options.record:
            record(name, found)
    if options.all:
        # In a process of its own: what it imports must not weigh on those that are measured.
        more = ["--data", str(options.data), "--rounds", str(options.rounds), *(["--record"] if options.record else [])]
        kept = not subprocess.call([sys.executable, str(HERE / "s3.py"), *more]) and kept
    return 0 if kept else 1


def record(name: str, found: dict[str, Taken]) -> None:
    """Append the figures to the history."""
    line = {
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "set": name,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "taken": {contestant: asdict(taken) for contestant, taken in found.items()},
    }
    with (HERE.parent / "history.jsonl").open("a", encoding="utf-8") as history:
        history.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
