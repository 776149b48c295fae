"""The cost of a check compared with decoding the same columns: `make bench`.

Measures whole processes in alternation and takes medians. Prints ratios and whether the bars are met; `--record`
appends the figures to benchmarks/history.jsonl. The exit code is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import compileall
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
from process import Usage, median, run
from shapes import SHAPES, Shape

HERE = Path(__file__).parent
MODELMONITOR = str(Path(sys.executable).with_name("modelmonitor"))

#: Data set → bars of a check: multiple of the CPU time of decoding, and MB.
BARS = {"B": (1.5, 200), "C": (2.0, 200)}
#: Data set → bar of the multiple if the profiles of the reference are cached.
CACHED_BARS = {"B": 0.9}
TWICE = "check, current x 2"


def check(data: Path, current: str = "current/") -> Usage:
    """Run a check on a data set; with an empty `current`, both sides together are the current window."""
    return run(
        [MODELMONITOR, "check", f"--reference={data}/reference/", f"--current={data}/{current}", "--output=json"]
    )


def ensure(name: str, folder: Path) -> Path:
    """Return the folder of a data set, and generate it if necessary."""
    target = folder / name
    if not (target / "complete").exists():
        run([sys.executable, str(HERE / "data.py"), name, str(target)])
    return target


def check_cached(shape: Shape, data: Path) -> Usage:
    """Run a check of a monitor whose reference is already profiled and whose current days are new."""
    with tempfile.TemporaryDirectory(dir=data.parent) as folder:
        file = monitor.write(shape, data, Path(folder))
        run([MODELMONITOR, "check", "-f", str(file), "--output", "json"])
        monitor.replace_current(Path(folder))
        return run([MODELMONITOR, "check", "-f", str(file), "--output", "json"])


def measure(name: str, folder: Path, rounds: int, everything: bool) -> dict[str, Usage]:
    """Return the resource usage of each contestant on a data set."""
    data = ensure(name, folder)
    contestants: dict[str, Callable[[], Usage]] = {
        "decode": lambda: run([sys.executable, str(HERE / "decode.py"), str(data)]),
        "check": lambda: check(data),
        "check, cached reference": lambda: check_cached(SHAPES[name], data),
    }
    if name == "B":
        contestants[TWICE] = lambda: check(data, "")
    if everything and SHAPES[name].rows <= 1_000_000:
        contestants["pandas + scipy"] = lambda: run([sys.executable, str(HERE / "pandas_scipy.py"), str(data)])
    runs: dict[str, list[Usage]] = {contestant: [] for contestant in contestants}
    for _ in range(rounds):  # in alternation, so that a busy period affects all of them
        for contestant, measure_once in contestants.items():
            runs[contestant].append(measure_once())
    return {contestant: median(usages) for contestant, usages in runs.items()}


def compare_with_bars(name: str, usage: dict[str, Usage]) -> list[tuple[str, bool]]:
    """Return a sentence for each bar of a data set, and whether it is met."""
    if name not in BARS:
        return []
    times, memory = BARS[name]
    ratio = usage["check"].cpu / usage["decode"].cpu
    cached = usage["check, cached reference"].cpu / usage["decode"].cpu
    sentences = [
        (f"check {ratio:.2f} x decoding, at most {times}", ratio <= times),
        (f"check {usage['check'].memory:.0f} MB, at most {memory}", usage["check"].memory <= memory),
    ]
    if bar := CACHED_BARS.get(name):
        sentences.append((f"with cached reference {cached:.2f} x, less than {bar}", cached < bar))
    if twice := usage.get(TWICE):
        sentences.append((f"{TWICE} {twice.memory:.0f} MB, at most {memory}", twice.memory <= memory))
    return sentences


def main() -> int:
    """Measure, print and record; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=["A", "B", "C"], help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BENCH_DATA", tempfile.gettempdir())))
    parser.add_argument("--all", action="store_true", help="also measure pandas and scipy, and data on S3")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/history.jsonl")
    options = parser.parse_args()
    # Installed packages have bytecode. Those of a checkout lack it where PYTHONDONTWRITEBYTECODE is set, and compiling
    # them takes as long as all other imports of a check.
    for package in ("api", "policy", "trainer"):
        compileall.compile_dir(HERE.parents[1] / package, quiet=1)
    passed = True
    for name in options.sets:
        usage = measure(name, options.data / "modelmonitor-bench", options.rounds, options.all)
        print(f"\n{name}: {SHAPES[name].rows:,} rows x {SHAPES[name].columns} columns per side")
        for contestant, one in usage.items():
            ratio = f"{one.cpu / usage['decode'].cpu:6.2f} x"
            print(f"  {contestant:<26} {one.wall:7.2f} s wall {one.cpu:7.2f} s cpu {ratio} {one.memory:6.0f} MB")
        for sentence, met in compare_with_bars(name, usage):
            print(f"  {'PASS' if met else 'FAIL'}  {sentence}")
            passed = passed and met
        if options.record:
            record(name, usage)
    if options.all:
        # In a separate process, because its imports must not add to the memory of the measured ones.
        arguments = [
            "--data",
            str(options.data),
            "--rounds",
            str(options.rounds),
            *(["--record"] if options.record else []),
        ]
        passed = not subprocess.call([sys.executable, str(HERE / "s3.py"), *arguments]) and passed
    return 0 if passed else 1


def record(name: str, usage: dict[str, Usage]) -> None:
    """Append the figures to the history."""
    line = {
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "set": name,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "taken": {contestant: asdict(one) for contestant, one in usage.items()},
    }
    with (HERE.parent / "history.jsonl").open("a", encoding="utf-8") as history:
        history.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
