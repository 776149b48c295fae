"""The cost of a check whose data are on S3: `make bench`.

Uses a real S3 server on the loopback interface that shares the processors, once without and once with 50 ms of latency
per request. Checks of the same data on S3 and in a folder alternate. The figures are those of the check process alone.
`small` has two thousand objects of 20 KB and a monitor that also caches its profiles on S3.
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
from process import Usage, median, run
from shapes import SHAPES, SIDES

HERE = Path(__file__).parent
MODELMONITOR = str(Path(sys.executable).with_name("modelmonitor"))
sys.path.insert(0, str(HERE.parent.parent / "tests"))

#: Bars: multiple of the CPU time of the same check of a folder, and MB.
CPU_BAR, MEMORY_BAR = 1.5, 300
#: Bar with latency: multiple of the wall time of the same check of a folder.
LATENCY_BAR = 4.0
LATENCY_SECONDS = 0.05
BUCKET = "bench"
SMALL_OBJECTS, SMALL_DAYS, SMALL_COLUMNS, SMALL_ROWS = 2_000, 100, 10, 240

Server = Any  # support.s3.S3Server, imported lazily because child processes inherit the peak memory of this one


@contextlib.contextmanager
def with_latency(server: Server) -> Iterator[str]:
    """Yield a URL of the server with additional latency."""
    from support.processes import Process, free_port

    port, target = free_port(), server.endpoint.rpartition(":")[2]
    command = [sys.executable, HERE / "s3_latency.py", str(port), target, "--seconds", str(LATENCY_SECONDS)]
    proxy = Process(command, log=server.folder / "latency.log")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        proxy.kill()


def environment(server: Server, endpoint: str) -> Mapping[str, str]:
    """Return the environment variables that point a check to the object store."""
    return {
        **server.environment,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": server.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def upload(server: Server, folder: Path, prefix: str) -> None:
    """Upload the files of a folder that are not on the server yet."""
    with contextlib.suppress(server.client.exceptions.BucketAlreadyOwnedByYou):
        server.client.create_bucket(Bucket=BUCKET)
    for path in sorted(folder.rglob("*.parquet")):
        key = f"{prefix}/{path.relative_to(folder)}"
        objects = server.client.list_objects_v2(Bucket=BUCKET, Prefix=key).get("Contents", [])
        if not any(one["Key"] == key and one["Size"] == path.stat().st_size for one in objects):
            server.client.upload_file(str(path), BUCKET, key)


def large(name: str, data: Path, server: Server, distant: str, rounds: int) -> dict[str, Usage]:
    """Return the usage of a check of a data set in a folder, on S3, and on S3 with latency."""
    upload(server, data / name, name)

    def check(uri: str, **env: str) -> Usage:
        sides = [f"--{side}={uri}/{side}/" for side in SIDES]
        return run([MODELMONITOR, "check", *sides, "--output", "json"], env)

    contestants = {
        "folder": lambda: check(str(data / name)),
        "S3": lambda: check(f"s3://{BUCKET}/{name}", **environment(server, server.endpoint)),
        "S3 far away": lambda: check(f"s3://{BUCKET}/{name}", **environment(server, distant)),
    }
    return measure_in_turns(contestants, rounds)


def small(data: Path, server: Server, distant: str, rounds: int) -> dict[str, Usage]:
    """Return the usage of a check of many small objects, without and with cached profiles."""
    name = f"small-{SMALL_OBJECTS}"
    folder = make_small(data / name)
    upload_small(server, folder, name)
    for old in [*server.folder.glob(f"*/{BUCKET}/results-*"), *data.glob("*-results")]:
        shutil.rmtree(old)

    def new_results() -> str:
        return f"s3://{BUCKET}/results-{dt.datetime.now(dt.UTC):%H%M%S%f}/"

    def check(uri: str, results: str, endpoint: str | None) -> Usage:
        with tempfile.TemporaryDirectory(dir=data) as scratch:
            file = Path(scratch) / "monitor.yaml"
            file.write_text(yaml.safe_dump(small_monitor(uri, results or f"file://{scratch}/results/")))
            env = environment(server, endpoint) if endpoint else {}
            return run([MODELMONITOR, "check", "-f", str(file), "--output", "json"], env)

    cached, prefix = (f"file://{data}/{name}-results/", new_results()), f"s3://{BUCKET}/{name}"
    check(f"file://{folder}", cached[0], None)
    check(prefix, cached[1], server.endpoint)
    contestants = {
        "folder": lambda: check(f"file://{folder}", "", None),
        "S3": lambda: check(prefix, new_results(), server.endpoint),
        "S3 far away": lambda: check(prefix, new_results(), distant),
        "folder, profiles kept": lambda: check(f"file://{folder}", cached[0], None),
        "S3, profiles kept": lambda: check(prefix, cached[1], server.endpoint),
        "S3 far away, profiles kept": lambda: check(prefix, cached[1], distant),
    }
    return measure_in_turns(contestants, rounds)


def make_small(folder: Path) -> Path:
    """Return the folder of the small objects, and generate them if necessary."""
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
    """Upload the small objects unless they are on the server already."""
    with contextlib.suppress(server.client.exceptions.BucketAlreadyOwnedByYou):
        server.client.create_bucket(Bucket=BUCKET)
    if server.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}-complete").get("Contents"):
        return
    with ThreadPoolExecutor(4) as pool:
        paths = sorted(folder.rglob("*.parquet"))
        list(pool.map(lambda p: server.client.upload_file(str(p), BUCKET, f"{prefix}/{p.relative_to(folder)}"), paths))
    server.client.put_object(Bucket=BUCKET, Key=f"{prefix}-complete", Body=b"")


def small_monitor(uri: str, results: str) -> dict[str, Any]:
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
                "live": {"uri": f"{uri}/date=%Y-%m-%d/", "windowDays": half},
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


def measure_in_turns(contestants: Mapping[str, Callable[[], Usage]], rounds: int) -> dict[str, Usage]:
    """Return the median usage of each contestant; they alternate, so that a busy period affects all of them."""
    runs: dict[str, list[Usage]] = {contestant: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant, measure_once in contestants.items():
            runs[contestant].append(measure_once())
    return {contestant: median(usages) for contestant, usages in runs.items()}


def compare_with_bars(name: str, usage: Mapping[str, Usage]) -> list[tuple[str, bool]]:
    """Return a sentence for each bar, and whether it is met.

    Small objects have a bar for memory only, because their time depends on the number of requests.
    """
    cpu = usage["S3"].cpu / usage["folder"].cpu
    wall = usage["S3 far away"].wall / usage["folder"].wall
    memory = max(one.memory for one in usage.values())
    latency = f"with {1000 * LATENCY_SECONDS:.0f} ms per request"
    large = [
        (f"on S3 {cpu:.2f} x the CPU time of a folder, at most {CPU_BAR}", cpu <= CPU_BAR),
        (f"{latency} {wall:.2f} x the time of a folder, at most {LATENCY_BAR}", wall <= LATENCY_BAR),
    ]
    small_ones = [(f"{latency} {wall:.2f} x the time of a folder", True)]
    return [
        *(large if name != "small" else small_ones),
        (f"{memory:.0f} MB, at most {MEMORY_BAR}", memory <= MEMORY_BAR),
    ]


def measure(sets: list[str], data: Path, rounds: int, record: bool) -> bool:
    """Measure, print and record; return whether all bars are met."""
    from support.s3 import S3Server

    folder, passed = data / "s3", True
    folder.mkdir(parents=True, exist_ok=True)
    server = S3Server(folder)
    try:
        with with_latency(server) as distant:
            for name in sets:
                usage = (
                    small(data, server, distant, rounds)
                    if name == "small"
                    else large(name, data, server, distant, rounds)
                )
                print(f"\n{name}, on S3")
                for contestant, one in usage.items():
                    print(f"  {contestant:<26} {one.wall:7.2f} s wall {one.cpu:7.2f} s cpu {one.memory:14.0f} MB")
                for sentence, met in compare_with_bars(name, usage):
                    print(f"  {'PASS' if met else 'FAIL'}  {sentence}")
                    passed = passed and met
                if record:
                    _record(name, usage)
    finally:
        server.stop()
    return passed


def _record(name: str, usage: Mapping[str, Usage]) -> None:
    line = {
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "set": f"{name}, on S3",
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "taken": {contestant: asdict(one) for contestant, one in usage.items()},
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
    for name in sorted(set(options.sets) - {"small"}):
        if not (folder / name / "complete").exists():
            run([sys.executable, str(HERE / "data.py"), name, str(folder / name)])
    sys.exit(0 if measure(options.sets, folder, options.rounds, options.record) else 1)
