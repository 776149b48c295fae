"""Regret of policies on real data: `make bench-replay`.

Each data set is replayed with the default settings, with other settings, and with the policies that need no monitor;
the table shows what each costs above the cheapest schedule in hindsight, at several prices of a training.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from lakes import CACHE, LAKES, ROOT, Lake

from modelmonitor_trainer.cli.monitor_file import read_monitor
from modelmonitor_trainer.replay.costs import Prices
from modelmonitor_trainer.replay.replay import ReplayRequest, replay
from modelmonitor_trainer.replay.result import ReplayResult
from modelmonitor_trainer.replay.run import Range
from modelmonitor_trainer.replay.settings import Setting, with_overrides

#: Settings of the monitor that differ from its defaults.
VARIANTS = {
    "no final fit": ("promotion.finalFit=None",),
    "hold-out of 7 days": ("promotion.holdoutDays=7",),
    "expected gain alone, at a price of 10": (
        "triggers.onExpectedGain=true",
        "triggers.onDrift=false",
        "triggers.onPerformance=false",
        "costs.training=10",
        "costs.metricPointDay=1",
    ),
}
HISTORY = ROOT / "benchmarks" / "history.jsonl"
#: Prices of a training, in points of the metric and days.
PRICES = (0.1, 1.0, 10.0, 100.0)
#: Price of a training in the table of all data sets: a training costs what a point of the metric lacks in ten days.
SUMMARY_PRICE = 10.0


def measure(lake: Lake, processes: int | None, *, resume: bool) -> ReplayResult:
    """Replay a data set with all settings and policies."""
    folder = CACHE / lake.name
    folder.mkdir(parents=True, exist_ok=True)
    if not resume:  # of another version of the code
        shutil.rmtree(folder / "replay" / "settings", ignore_errors=True)
    monitor, spec = read_monitor(str(lake.write(folder)))
    settings = [Setting("ModelMonitor", spec)]
    settings += [Setting(name, with_overrides(spec, changes)) for name, changes in VARIANTS.items()]
    started = time.monotonic()

    def report(name: str, event: object) -> None:
        if event is None:
            sys.stderr.write(f"{time.monotonic() - started:6.0f} s  {lake.name}: {name}\n")

    request = ReplayRequest(
        monitor, tuple(settings), Range(lake.first, lake.last), folder / "replay", baselines=True,
        prices=Prices(1.0, 1.0), processes=processes,
    )  # fmt: skip
    return replay(request, report)


def regret_at(result: ReplayResult, name: str, price: float) -> float | None:
    """Return the regret of a policy at the nearest price that the curve has."""
    curve = result.curve
    if curve is None or name not in curve.regrets:
        return None
    nearest = min(range(len(curve.prices)), key=lambda index: abs(curve.prices[index] - price))
    return curve.regrets[name][nearest]


def record_of(lake: Lake, result: ReplayResult, seconds: float) -> dict[str, Any]:
    """Return what the history keeps of a data set."""
    policies = [
        {
            "name": policy.name,
            "mean": round(policy.mean.value, 4),
            "trainings": policy.counts.trainings,
            "promoted": policy.counts.promoted,
            "regrets": [round(regret_at(result, policy.name, price) or 0.0, 1) for price in PRICES],
        }
        for policy in result.policies
        if policy.mean is not None
    ]
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
        "set": f"replay, {lake.name}",
        "seconds": round(seconds),
        "metric": str(result.metric),
        "policies": policies,
    }


def latest_records() -> dict[str, dict[str, Any]]:
    """Return the newest record of each data set."""
    records = [json.loads(line) for line in HISTORY.read_text(encoding="utf-8").splitlines()]
    return {record["set"]: record for record in records if record.get("set", "").startswith("replay, ")}


def page(records: dict[str, dict[str, Any]]) -> str:
    """Return the page of the documentation, with a table for each data set that has been measured."""
    measured = {lake.name: records[f"replay, {lake.name}"] for lake in LAKES if f"replay, {lake.name}" in records}
    tables = [_table(lake, measured[lake.name]) for lake in LAKES if lake.name in measured]
    return "\n".join([*_HEAD, *_summary(measured), *(line for table in tables for line in table)]).rstrip() + "\n"


_HEAD = (
    "# What retraining policies cost",
    "",
    "This page is written by `make bench-replay`. Each data set is replayed day by day with the real checks,",
    "trainings and promotions. A cost is the number of trainings times their price, and a point of the metric",
    "(0.01) that the served model lacks for a day costs 1. Regret is the cost above the cheapest schedule that",
    "knew the future: the smaller the better, and 0 is a bound that no policy reaches without that knowledge.",
    "",
    "`ModelMonitor` has default settings, and no period. The lines below it change what they name. The other",
    "policies promote whatever they train: after drift, after a drop of the score, or every so many days.",
    "",
)


def _summary(records: dict[str, dict[str, Any]]) -> list[str]:
    """Return a table of the regret of all policies on all data sets, at one price, the best worst case first."""
    regrets: dict[str, list[float | None]] = {}
    for index, record in enumerate(records.values()):
        for policy in record["policies"]:
            row = regrets.setdefault(policy["name"], [None] * len(records))
            row[index] = policy["regrets"][PRICES.index(SUMMARY_PRICE)]
    regrets.pop("oracle", None)
    # Periods that are no candidate on every data set cannot be compared over all of them.
    complete = {name: [value for value in row if value is not None] for name, row in regrets.items() if None not in row}
    lines = [
        f"## All data sets, at a price of {SUMMARY_PRICE:g}",
        "",
        f"| policy | {' | '.join(records)} | highest |",
        "|---|" + "--:|" * (len(records) + 1),
    ]
    for name, row in sorted(complete.items(), key=lambda item: max(item[1])):
        lines.append(f"| {name} | {' | '.join(f'{value:,.1f}' for value in row)} | {max(row):,.1f} |")
    return [*lines, ""]


def _table(lake: Lake, record: dict[str, Any]) -> list[str]:
    head = [f"regret at {price:g}" for price in PRICES]
    lines = [
        f"## {lake.name}",
        "",
        f"{lake.what[:1].upper()}{lake.what[1:]}; {lake.first} through {lake.last}. Measured on {record['time'][:10]}.",
        "",
        f"| policy | {record['metric']} | trainings | promoted | {' | '.join(head)} |",
        "|---|--:|--:|--:|" + "--:|" * len(PRICES),
    ]
    for policy in record["policies"]:
        cells = [f"{regret:,.1f}" for regret in policy["regrets"]]
        counts = f"{policy['trainings']} | {policy['promoted']}"
        lines.append(f"| {policy['name']} | {policy['mean']:.4f} | {counts} | {' | '.join(cells)} |")
    return [*lines, ""]


def main() -> int:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [lake.name for lake in LAKES]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="measure these data sets")
    parser.add_argument("--write", type=Path, help="write the newest tables of all data sets to this file")
    parser.add_argument("--processes", type=int, help="number of processes (default: all cores)")
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run of this code stopped")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    for lake in LAKES:
        if lake.name in options.only:
            started = time.monotonic()
            result = measure(lake, options.processes, resume=options.resume)
            record = record_of(lake, result, time.monotonic() - started)
            with HISTORY.open("a", encoding="utf-8") as history:
                history.write(json.dumps(record) + "\n")
            sys.stdout.write("\n".join(_table(lake, record)) + "\n")
    if options.write:
        options.write.write_text(page(latest_records()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
