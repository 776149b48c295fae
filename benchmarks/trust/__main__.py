"""False-alarm rate and power of a check: `make bench-trust`.

Draws seeded data sets of 20 columns, applies the product's drift rule and those of other tools, and
prints a table. The exit code is 1 if a bar is missed: significantly more false alarms than the budget
allows (95 % Clopper-Pearson interval), or too little power.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from cells import Cell, cells
from measure import measure, tasks
from ours import CHECKS_PER_DAY, SENSITIVITY
from table import Measured, markdown, passed

from modelmonitor_trainer.detect.drift import level_of


def main() -> int:
    """Measure and print; return 0 if all bars are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small table that takes a minute")
    parser.add_argument("--only", default="", help="only cells whose description contains this text")
    parser.add_argument("--sets", type=int, default=10**6, help="maximum number of data sets per cell")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", type=Path, help="write the table to this file")
    parser.add_argument(
        "--store", type=Path, help="keep finished cells in this file, and go on after those of an interrupted run"
    )
    options = parser.parse_args()
    chosen = [
        replace(cell, seeds=min(cell.seeds, options.sets))
        for cell in cells(quick=options.quick)
        if options.only in cell.key
    ]
    stored = _stored(options.store)
    counts = [Counter[str](stored.get(_name(cell), {})) for cell in chosen]
    level = level_of(SENSITIVITY, CHECKS_PER_DAY)
    started = time.monotonic()
    # Forked, so that workers can import these modules. The thread pools of Arrow and BLAS do not exist yet.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
        todo = [task for task in tasks(chosen) if _name(task[1]) not in stored]
        for done in as_completed([pool.submit(measure, task) for task in todo]):
            index, alarms = done.result()
            counts[index] += alarms
            if counts[index]["sets"] == chosen[index].seeds:
                one = Measured(chosen[index], counts[index], level)
                sys.stderr.write(f"{time.monotonic() - started:6.0f} s  {one.sentence()}\n")
                _store(options.store, chosen[index], counts[index])
    measured = [Measured(cell, count, level) for cell, count in zip(chosen, counts, strict=True)]
    text = markdown(measured, level)
    sys.stdout.write(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    return 0 if passed(measured) else 1


def _name(cell: Cell) -> str:
    return f"{cell.key}, {cell.seeds} sets"


def _stored(file: Path | None) -> dict[str, dict[str, int]]:
    """Return the counts of the cells that an earlier run has finished; it must have measured the same code."""
    if file is None or not file.exists():
        return {}
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {line["cell"]: line["counts"] for line in lines}


def _store(file: Path | None, cell: Cell, counts: Counter[str]) -> None:
    if file is not None:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"cell": _name(cell), "counts": counts}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
