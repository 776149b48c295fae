"""What a check costs when its data are on S3: `make bench`.

A real S3 server on the loopback interface of this machine, on the same processors: once as it is, once with 50 ms of
latency a request. The checks of the same data on S3 and in a folder are run in turns. Figures are of the checking
process alone. `small` is two thousand objects of 20 KB, looked at by a monitor that keeps its profiles on S3 as well.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from process import Taken, median, run
from shapes import SHAPES, SIDES

HERE = Path(__file__).parent
MODELMONITOR = str(Path(sys.executable).with_name("modelmonitor"))
sys.path.insert(0, str(HERE.parent.parent / "tests"))

#: At most: times the processor time of the same check of a folder, and MB.
CPU_BAR, MEMORY_BAR = 1.5, 300
#: With latency, at most: times the wall time of the same check of a folder.
LATENCY_BAR = 4.0
LATENCY_SECONDS = 0.05
BUCKET = "bench"
SMALL_OBJECTS, SMALL_DAYS, SMALL_COLUMNS, SMALL_ROWS = 2_000, 100, 10, 240

Server = Any  # support.s3.S3Server: imported where it is needed, because the measured processes inherit our memory


@contextlib.contextmanager
def far_away(server: Server) -> Iterator[str]:
    """Give a URL at which the server answers late."""
    from support.processes import Process, free_port

    port, target = free_port(), server.endpoint.rpartition(":")[2]
    command = [sys.executable, HERE / "s3_latency.py", str(port), target, "--seconds", str(LATENCY_SECONDS)]
    proxy = Process(command, log=server.folder / "latency.log")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        proxy.kill()


def environment(server: Server, endpoint: str) -> Mapping[str, str]:
    """Return what tells a check where the store is."""
    return {
        **server.environment,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": server.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def upload(server: Server, folder: Path, prefix: str) -> None:
    """Put the files of a folder on the server, unless they are there."""
    with contextlib.suppress(server.client.exceptions.BucketAlreadyOwnedByYou):
        server.client.create_bucket(Bucket=BUCKET)
    for path in sorted(folder.rglob("*.parquet")):
        key = f"{prefix}/{path.relative_to(folder)}"
        found = server.client.list_objects_v2(Bucket=BUCKET, Prefix=key).get("Contents", [])
        if not any(one["Key"] == key and one["Size"] == path.stat().st_size for one in found):
            server.client.upload_file(str(path), BUCKET, key)


def large(name: str, data: Path, server: Server, late: str, rounds: int) -> dict[str, Taken]:
    """Return what the check of a data set takes in a folder, on S3, and on S3 far away."""
    upload(server, data / name, name)

    def check(where: str, **env: str) -> Taken:
        sides = [f"--{side}={where}/{side}/" for side in SIDES]
        return run([MODELMONITOR, "check", *sides, "--output", "json"], env)

    contestants = {
        "folder": lambda: check(str(data / name)),
        "S3": lambda: check(f"s3://{BUCKET}/{name}", **environment(server, server.endpoint)),
        "S3 far away": lambda: check(f"s3://{BUCKET}/{name}", **environment(server, late)),
    }
    return in_turns(contestants, rounds)


def small(data: Path, server: Server, late: str, rounds: int) -> dict[str, Taken]:
    """Return what the check of many small objects takes: at first, and with all profiles kept."""
    name = f"small-{SMALL_OBJECTS}"
    folder = make_small(data / name)
    upload_small(server, folder, name)
    for old in [*server.folder.glob(f"*/{BUCKET}/results-*"), *data.glob("*-results")]:
        shutil.rmtree(old)

    def fresh() -> str:
        return f"s3://{BUCKET}/results-{dt.datetime.now(dt.UTC):%H%M%S%f}/"

    def check(where: str, results: str, endpoint: str | None) -> Taken:
        with tempfile.TemporaryDirectory(dir=data) as scratch:
            file = Path(scratch) / "monitor.yaml"
            file.write_text(yaml.safe_dump(small_monitor(where, results or f"file://{scratch}/results/")))
            env = environment(server, endpoint) if endpoint else {}
            return run([MODELMONITOR, "check", "-f", str(file), "--output", "json"], env)

    kept, there = (f"file://{data}/{name}-results/", fresh()), f"s3://{BUCKET}/{name}"
    check(f"file://{folder}", kept[0], None)
    check(there, kept[1], server.endpoint)
    contestants = {
        "folder": lambda: check(f"file://{folder}", "", None),
        "S3": lambda: check(there, fresh(), server.endpoint),
        "S3 far away": lambda: check(there, fresh(), late),
        "folder, profiles kept": lambda: check(f"file://{folder}", kept[0], None),
        "S3, profiles kept": lambda: check(there, kept[1], server.endpoint),
        "S3 far away, profiles kept": lambda: check(there, kept[1], late),
    }
    return in_turns(contestants, rounds)


def make_small(folder: Path) -> Path:
    """Return the folder of the small objects, made where it is not there."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not (folder / "complete").exists():
        draw = np.random.default_rng(0)
        for number in range(SMALL_OBJECTS):
            day = folder / f"date={dt.date(2013, 1, 1) + dt.timedelta(days=number % SMALL_DAYS)}"
            day.mkdir(parents=True, exist_ok=True)
            table = {f"x{column}": draw.normal(size=SMALL_ROWS) for column in range(SMALL_COLUMNS)}
            pq.write_table(pa.table(table), day / f"{number}.parquet", compression="zstd")
        (folder / "complete").touch()
    return folder


def upload_small(server: Server, folder: Path, prefix: str) -> None:
    """Put the small objects on the server, unless they are there."""
    with contextlib.suppress(server.client.exceptions.BucketAlreadyOwnedByYou):
        server.client.create_bucket(Bucket=BUCKET)
    if server.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}-complete").get("Contents"):
        return
    with ThreadPoolExecutor(4) as pool:
        paths = sorted(folder.rglob("*.parquet"))
        list(pool.map(lambda p: server.client.upload_file(str(p), BUCKET, f"{prefix}/{p.relative_to(folder)}"), paths))
    server.client.put_object(Bucket=BUCKET, Key=f"{prefix}-complete", Body=b"")


def small_monitor(where: str, results: str) -> dict[str, Any]:
    """Return the monitor of the small objects."""
    half = SMALL_DAYS // 2
    return {
        "apiVersion": "modelmonitor.io/v1alpha1",
        "kind": "ModelMonitor",
        "metadata": {"name": "bench"},
        "spec": {
            "schedule": "0 6 * * *",
            "storage": {"resultsURI": results},
            "data": {
                "live": {"uri": f"{where}/date=%Y-%m-%d/", "windowDays": half},
                "reference": {"start": "2013-01-01", "end": str(dt.date(2013, 1, 1) + dt.timedelta(days=half - 1))},
            },
            "model": {
                "task": "BinaryClassification",
                "target": "none",
                "features": [{"name": f"x{column}", "type": "Numeric"} for column in range(SMALL_COLUMNS)],
            },
            "retraining": {"estimator": {"name": "HistGradientBoostingClassifier"}},
            "promotion": {"metric": "ROCAUC"},
        },
    }


def in_turns(contestants: Mapping[str, Callable[[], Taken]], rounds: int) -> dict[str, Taken]:
    """Return the medians of what each takes; in turns, so that a busy moment meets all of them."""
    taken: dict[str, list[Taken]] = {contestant: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant, go in contestants.items():
            taken[contestant].append(go())
    return {contestant: median(found) for contestant, found in taken.items()}


def judged(name: str, found: Mapping[str, Taken]) -> list[tuple[str, bool]]:
    """Return the sentences of the bars, and whether they are kept.

    Small objects have a bar of memory only: their requests are what they cost.
    """
    cpu = found["S3"].cpu / found["folder"].cpu
    wall = found["S3 far away"].wall / found["folder"].wall
    memory = max(taken.memory for taken in found.values())
    late = f"with {1000 * LATENCY_SECONDS:.0f} ms a request"
    large = [
        (f"on S3 {cpu:.2f} x the processor time of a folder, at most {CPU_BAR}", cpu <= CPU_BAR),
        (f"{late} {wall:.2f} x the time of a folder, at most {LATENCY_BAR}", wall <= LATENCY_BAR),
    ]
    small_ones = [(f"{late} {wall:.2f} x the time of a folder", True)]
    return [
        *(large if name != "small" else small_ones),
        (f"{memory:.0f} MB, at most {MEMORY_BAR}", memory <= MEMORY_BAR),
    ]


def measure(sets: list[str], data: Path, rounds: int, record: bool) -> bool:
    """Measure, print and record; return whether all bars are kept."""
    from support.s3 import S3Server

    folder, kept = data / "s3", True
    folder.mkdir(parents=True, exist_ok=True)
    server = S3Server(folder)
    try:
        with far_away(server) as late:
            for name in sets:
                found = (
                    small(data, server, late, rounds) if name == "small" else large(name, data, server, late, rounds)
                )
                print(f"\n{name}, on S3")
                for contestant, taken in found.items():
                    print(f"  {contestant:<26} {taken.wall:7.2f} s wall {taken.cpu:7.2f} s cpu {taken.memory:14.0f} MB")
                for sentence, good in judged(name, found):
                    print(f"  {'PASS' if good else 'FAIL'}  {sentence}")
                    kept = kept and good
                if record:
                    _record(name, found)
    finally:
        server.stop()
    return kept


def _record(name: str, found: Mapping[str, Taken]) -> None:
    line = {
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "set": f"{name}, on S3",
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "taken": {contestant: asdict(taken) for contestant, taken in found.items()},
    }
    with (HERE.parent / "history.jsonl").open("a", encoding="utf-8") as history:
        history.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=["B", "small"], help=f"of small, {', '.join(SHAPES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BENCH_DATA", tempfile.gettempdir())))
    parser.add_argument("--record", action="store_true", help="append to benchmarks/history.jsonl")
    options = parser.parse_args()
    folder = options.data / "modelmonitor-bench"
    for wanted in sorted(set(options.sets) - {"small"}):
        if not (folder / wanted / "complete").exists():
            run([sys.executable, str(HERE / "data.py"), wanted, str(folder / wanted)])
    sys.exit(0 if measure(options.sets, folder, options.rounds, options.record) else 1)
