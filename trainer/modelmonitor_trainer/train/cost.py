"""Duration and peak memory of a training, stored with its version, so that growth is seen before a limit is reached."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Cost of a training.

    Attributes
    ----------
    seconds
        Duration from the first row to the fitted model.
    peak_bytes
        Peak memory of the process; None if unknown.
    """

    seconds: float
    peak_bytes: int | None


def measure_cost(start: float) -> Cost:
    """Return the cost since `start`, a time of :func:`time.monotonic`."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux reports KiB, macOS bytes.
    return Cost(time.monotonic() - start, peak if sys.platform == "darwin" else peak * 1024)
