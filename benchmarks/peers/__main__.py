"""What a check costs beside other tools on the same files: `make bench-peers`.

Whole processes with the defaults of each tool, run in turns, medians. Every tool has an environment of its own, made
at the first run. `--write` keeps the table, `--record` appends the figures to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers import environments
from benchmarks.speed.process import Taken, median, run
from benchmarks.speed.shapes import SHAPES

BENCHMARKS = Path(__file__).parents[1]
OURS, SCIPY = "modelmonitor check", "pandas + scipy, p < 0.05"
#: The columns of the data sets that have drifted (benchmarks/speed/data.py).
TRUTH = ("n1", "n5", "n11", "c1")


@dataclass(frozen=True)
class Peer:
    """What one tool took, and which columns it flags."""

    name: str
    taken: Taken
    flagged: tuple[str, ...]

    @property
    def found(self) -> int:
        """How many of the drifted columns it flags."""
        return len(set(TRUTH) & set(self.flagged))

    @property
    def wrong(self) -> tuple[str, ...]:
        """The columns that it flags and that have not drifted."""
        return tuple(name for name in self.flagged if name not in TRUTH)


def commands(data: Path, tools: list[str]) -> dict[str, list[str]]:
    """Return what is run: each prints what it flags."""
    sides = [f"--{side}={data / side}/" for side in ("reference", "current")]
    found = {
        OURS: [str(Path(sys.executable).with_name("modelmonitor")), "check", *sides, "--output", "json"],
        SCIPY: [sys.executable, str(BENCHMARKS / "speed" / "pandas_scipy.py"), str(data)],
    }
    for tool in tools:
        script = BENCHMARKS / "peers" / "tools" / f"{tool}_drift.py"
        found[f"{tool} {environments.version(tool)}"] = [str(environments.ensure(tool)), str(script), str(data)]
    return found


def flags(name: str, said: str) -> tuple[str, ...]:
    """Return the columns that a tool flags, from what it printed."""
    if name == OURS:
        return tuple(feature["name"] for feature in json.loads(said)["features"] if feature["drifted"])
    if name == SCIPY:
        pairs = [line.split() for line in said.splitlines()]
        return tuple(column for column, p_value in pairs if float(p_value) < 0.05)
    return tuple(json.loads(said.splitlines()[-1]))


def measure(data: Path, tools: list[str], rounds: int) -> list[Peer]:
    """Return what each tool takes and flags."""
    wanted = commands(data, tools)
    taken: dict[str, list[Taken]] = {name: [] for name in wanted}
    said: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "said"
        for _ in range(rounds):  # in turns, so that a busy moment meets all of them
            for name, command in wanted.items():
                # The shell becomes the tool, so that what is measured is the tool.
                taken[name].append(run(["sh", "-c", 'exec "$@" >"$0"', str(kept), *command]))
                said[name] = kept.read_text(encoding="utf-8")
                sys.stderr.write(f"{name}: {taken[name][-1].cpu:.1f} s cpu\n")
    return [Peer(name, median(found), flags(name, said[name])) for name, found in taken.items()]


def table(name: str, peers: list[Peer]) -> str:
    """Return the table in Markdown."""
    shape, ours = SHAPES[name], peers[0].taken
    drifted = f"{len(TRUTH)} have drifted ({', '.join(TRUTH)})"
    heads = ("Tool, with its defaults", "Processor s", "× ours", "Wall s", "Peak memory MB", "× ours", "Found", "Wrong")
    lines = [
        f"Data set {name}: {shape.rows:,} rows × {shape.columns} columns on each side in Parquet, of which {drifted}.",
        "",
        f"| {' | '.join(heads)} |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for peer in peers:
        taken = peer.taken
        wrong = f"{len(peer.wrong)}: {', '.join(peer.wrong)}" if peer.wrong else "0"
        lines.append(
            f"| {peer.name} | {taken.cpu:.1f} | {taken.cpu / ours.cpu:.1f} | {taken.wall:.1f} | {taken.memory:.0f} "
            f"| {taken.memory / ours.memory:.1f} | {peer.found} of {len(TRUTH)} | {wrong} |"
        )
    return "\n".join(lines) + "\n"


PAGE = """# Speed compared with other tools

This page is written by `make bench-peers`. What a check costs compared with reading the data is in
[Cost](cost.md).

Each tool runs as a process of its own that reads the same files, with the defaults of its documentation and in its own
environment (`benchmarks/peers/requirements/`). {rounds} in turns on {processors} processors ({machine}),
Python {python}, {date}. Compare the processor time: wall time is longer on a busy machine. "Found" counts the
drifted columns that a tool flags, "wrong" the other columns that it flags.

{table}
The other tools do other things as well (reports, plots, profiles to keep), which these figures do not measure. They
hold both data sets in memory. A check streams them, so its memory does not grow with the number of rows.
"""


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="?", default="A", choices=SHAPES)
    parser.add_argument("--tools", nargs="*", default=list(environments.TOOLS), choices=environments.TOOLS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BENCH_DATA", tempfile.gettempdir())))
    parser.add_argument("--write", type=Path, help="keep the table in this file")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/history.jsonl")
    options = parser.parse_args()
    data = options.data / "modelmonitor-bench" / options.set
    if not (data / "complete").exists():
        run([sys.executable, str(BENCHMARKS / "speed" / "data.py"), options.set, str(data)])
    peers = measure(data, options.tools, options.rounds)
    text = table(options.set, peers)
    print(text)
    if options.write:
        page = PAGE.format(
            table=text,
            rounds=f"Medians of {options.rounds} runs" if options.rounds > 1 else "One run of each",
            processors=os.cpu_count(),
            machine=platform.machine(),
            python=platform.python_version(),
            date=f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        )
        options.write.write_text(page, encoding="utf-8")
    if options.record:
        record(options.set, peers)
    return 0


def record(name: str, peers: list[Peer]) -> None:
    """Append the figures to the history."""
    line = {
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "set": name,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "taken": {peer.name: asdict(peer.taken) for peer in peers},
        "flagged": {peer.name: list(peer.flagged) for peer in peers},
    }
    with (BENCHMARKS / "history.jsonl").open("a", encoding="utf-8") as history:
        history.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
