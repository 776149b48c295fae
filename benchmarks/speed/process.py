"""Runs a process and measures its time and memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """Resource usage of a process: wall time and CPU time in seconds, and peak resident memory in MB."""

    wall: float
    cpu: float
    memory: float


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Usage:
    """Run a command and return its resource usage.

    Raises
    ------
    RuntimeError
        If it fails; the message has the end of its error output.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "jemalloc", **(environment or {})},
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}:\n{errors.decode()[-2000:]}")
    return Usage(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median(runs: Sequence[Usage]) -> Usage:
    """Return the medians of several runs."""
    return Usage(
        statistics.median(one.wall for one in runs),
        statistics.median(one.cpu for one in runs),
        statistics.median(one.memory for one in runs),
    )
