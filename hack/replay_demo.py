"""A first quarter of an hour with data of one's own: draft a monitor, validate it, and replay half a year.

The data are the flights that left New York in 2013, as daily partitions in a local folder. No cluster is needed.
"""

from __future__ import annotations

import datetime as dt
import shlex
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "demo"))
import flights

FIRST, LAST = dt.date(2013, 1, 1), dt.date(2013, 7, 31)
FOLDER = Path("build/replay-demo")


def write_partitions(folder: Path) -> None:
    """Write flights and labels of each day, unless they are there."""
    for day in flights.days(flights.load(), FIRST, LAST):
        for kind, rows in (("flights", day.features), ("labels", day.labels)):
            path = folder / kind / f"date={day.date}" / "part-0.parquet"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                rows.to_parquet(path, index=False, compression="zstd")


def run(*args: str) -> None:
    """Show a command and run it."""
    print(f"\n$ modelmonitor {shlex.join(args)}", flush=True)
    subprocess.run([sys.executable, "-m", "modelmonitor_trainer.cli.main", *args], check=True)


def main() -> None:
    """Run the demo."""
    print(f"Writing the flights of {FIRST} through {LAST} below {FOLDER}", flush=True)
    write_partitions(FOLDER)
    monitor, page = FOLDER / "monitor.yaml", FOLDER / "replay.html"
    monitor.unlink(missing_ok=True)
    run("init", "--data", f"{FOLDER}/flights", "--labels", f"{FOLDER}/labels", "--target", "late", "-o", str(monitor))
    run("validate", "-f", str(monitor))
    begin = FIRST + dt.timedelta(days=106)
    options = ["--set", "data.labels.delayDays=2", "--policies", "--results", str(FOLDER / "results")]
    dates = ["--from", str(begin), "--to", str(LAST)]
    run("replay", "-f", str(monitor), *dates, *options, "--html", str(page))
    print(f"\nOpen {page.absolute()}")


if __name__ == "__main__":
    main()
