"""What a scrape of the metrics costs the operator.

    python benchmarks/operator/scrape.py 1000 10000

Serves the metrics of monitors with 20 features, a champion and a training each from a process of their own, scrapes
them as Prometheus does, and prints a line of JSON for each number of monitors.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
import zlib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from modelmonitor_operator.cache import ObjectCache
from modelmonitor_operator.gateway import Kind
from modelmonitor_operator.metrics.activity import Activity
from modelmonitor_operator.metrics.server import MetricsServer
from support.monitored import monitored
from support.processes import free_port

_SCRAPES = 5
_NAMESPACES = 50
_FEATURES = [{"name": f"feature_{index}", "type": "Numeric"} for index in range(20)]
_MIB = 2**20


def fill(size: int) -> ObjectCache:
    """Return the cache of a fleet."""
    cache = ObjectCache()
    for index in range(size):
        name, namespace = f"monitor-{index:05d}", f"team-{index % _NAMESPACES:02d}"
        cache.put(Kind.MONITOR, monitored(name, namespace, model={"features": _FEATURES}))
    return cache


def memory(field: str) -> float:
    """Return the resident memory of this process, now (VmRSS) or at most (VmHWM), in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def forget_peak() -> None:
    """Let VmHWM begin again."""
    Path("/proc/self/clear_refs").write_text("5")


async def serve(size: int, port: int, features: str) -> None:
    """Serve the metrics until the standard input ends; then print the figures of this process."""
    activity = Activity()
    server = MetricsServer(fill(size), activity.registry, activity.training_seconds, features=features == "features")
    await server.start(port)
    await asyncio.sleep(0.2)
    before, processor = memory("VmRSS"), time.process_time()
    forget_peak()
    print("ready", flush=True)
    loop, late = asyncio.get_running_loop(), 0.0
    end = loop.run_in_executor(None, sys.stdin.read)
    while not end.done():
        start = loop.time()
        await asyncio.sleep(0.005)
        late = max(late, loop.time() - start - 0.005)
    figures = {
        "memoryBefore": round(before, 1),
        "memoryMost": round(memory("VmHWM"), 1),
        "memoryAfter": round(memory("VmRSS"), 1),
        "processorSeconds": round((time.process_time() - processor) / _SCRAPES, 2),
        "loopLateMilliseconds": round(1000 * late),
    }
    print(json.dumps(figures), flush=True)
    await server.stop()


def scrape(port: int) -> tuple[float, int, int, int]:
    """Return the seconds, the compressed and plain bytes, and the series of a scrape."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "gzip"})
    start = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as response:
        packed = response.read()
    seconds = time.perf_counter() - start
    text = zlib.decompress(packed, wbits=31)
    return seconds, len(packed), len(text), sum(not line.startswith(b"#") for line in text.splitlines())


def measure(size: int, features: str) -> dict[str, Any]:
    """Return the figures of a fleet."""
    port = free_port()
    command = [sys.executable, __file__, "--serve", str(size), str(port), features]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        scrapes = [scrape(port) for _ in range(_SCRAPES)]
        process.stdin.close()
        figures: dict[str, Any] = json.loads(process.stdout.readline())
    seconds, packed, plain, series = min(scrapes)
    size_figures = {"packedMiB": round(packed / _MIB, 2), "plainMiB": round(plain / _MIB, 1), "series": series}
    return {"monitors": size, "features": features, "seconds": round(seconds, 2), **size_figures, **figures}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
    else:
        for count in map(int, sys.argv[1:] or ["1000", "10000"]):
            for columns in ("plain", "features"):
                print(json.dumps(measure(count, columns)), flush=True)
