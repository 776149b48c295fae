"""The cost of a check compared with other tools on the same files: `make bench-peers`.

Measures whole processes with the defaults of each tool in alternation and takes medians. Each tool has a separate
environment, created in the first run. `--write` saves the table, `--record` appends the figures to
benchmarks/history.jsonl.
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
from benchmarks.speed.process import Usage, median, run
from benchmarks.speed.shapes import SHAPES

BENCHMARKS = Path(__file__).parents[1]
OURS, SCIPY = "modelmonitor check", "pandas + scipy, p < 0.05"
#: The columns of the data sets that have drifted (benchmarks/speed/data.py).
TRUTH = ("n1", "n5", "n11", "c1")


@dataclass(frozen=True)
class Peer:
    """The resource usage of a tool, and the columns that it flags."""

    name: str
    usage: Usage
    flagged: tuple[str, ...]

    @property
    def detected(self) -> int:
        """Number of drifted columns that it flags."""
        return len(set(TRUTH) & set(self.flagged))

    @property
    def wrong(self) -> tuple[str, ...]:
        """The columns that it flags although they have not drifted."""
        return tuple(name for name in self.flagged if name not in TRUTH)


def commands(data: Path, tools: list[str]) -> dict[str, list[str]]:
    """Return the command of each tool, which prints the columns that it flags."""
    sides = [f"--{side}={data / side}/" for side in ("reference", "current")]
    result = {
        OURS: [str(Path(sys.executable).with_name("modelmonitor")), "check", *sides, "--output", "json"],
        SCIPY: [sys.executable, str(BENCHMARKS / "speed" / "pandas_scipy.py"), str(data)],
    }
    for tool in tools:
        script = BENCHMARKS / "peers" / "tools" / f"{tool}_drift.py"
        result[f"{tool} {environments.version(tool)}"] = [str(environments.ensure(tool)), str(script), str(data)]
    return result


def flagged_columns(name: str, output: str) -> tuple[str, ...]:
    """Return the columns that a tool flags, from its output."""
    if name == OURS:
        return tuple(feature["name"] for feature in json.loads(output)["features"] if feature["drifted"])
    if name == SCIPY:
        pairs = [line.split() for line in output.splitlines()]
        return tuple(column for column, p_value in pairs if float(p_value) < 0.05)
    return tuple(json.loads(output.splitlines()[-1]))


def measure(data: Path, tools: list[str], rounds: int) -> list[Peer]:
    """Return the resource usage and the flagged columns of each tool."""
    tool_commands = commands(data, tools)
    runs: dict[str, list[Usage]] = {name: [] for name in tool_commands}
    outputs: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        for _ in range(rounds):  # in alternation, so that a busy period affects all of them
            for name, command in tool_commands.items():
                # exec replaces the shell, so that only the tool is measured.
                runs[name].append(run(["sh", "-c", 'exec "$@" >"$0"', str(output), *command]))
                outputs[name] = output.read_text(encoding="utf-8")
                sys.stderr.write(f"{name}: {runs[name][-1].cpu:.1f} s cpu\n")
    return [Peer(name, median(usages), flagged_columns(name, outputs[name])) for name, usages in runs.items()]


def table(name: str, peers: list[Peer]) -> str:
    """Return the table in Markdown."""
    shape, ours = SHAPES[name], peers[0].usage
    drifted = f"{len(TRUTH)} have drifted ({', '.join(TRUTH)})"
    heads = ("Tool, with its defaults", "Processor s", "× ours", "Wall s", "Peak memory MB", "× ours", "Found", "Wrong")
    lines = [
        f"Data set {name}: {shape.rows:,} rows × {shape.columns} columns on each side in Parquet, of which {drifted}.",
        "",
        f"| {' | '.join(heads)} |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for peer in peers:
        usage = peer.usage
        wrong = f"{len(peer.wrong)}: {', '.join(peer.wrong)}" if peer.wrong else "0"
        lines.append(
            f"| {peer.name} | {usage.cpu:.1f} | {usage.cpu / ours.cpu:.1f} | {usage.wall:.1f} | {usage.memory:.0f} "
            f"| {usage.memory / ours.memory:.1f} | {peer.detected} of {len(TRUTH)} | {wrong} |"
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
    """Measure, print and record; return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="?", default="A", choices=SHAPES)
    parser.add_argument("--tools", nargs="*", default=list(environments.TOOLS), choices=environments.TOOLS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BENCH_DATA", tempfile.gettempdir())))
    parser.add_argument("--write", type=Path, help="write the table to this file")
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
        "taken": {peer.name: asdict(peer.usage) for peer in peers},
        "flagged": {peer.name: list(peer.flagged) for peer in peers},
    }
    with (BENCHMARKS / "history.jsonl").open("a", encoding="utf-8") as history:
        history.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
