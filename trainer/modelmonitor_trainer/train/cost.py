"""What a training takes of time and memory; kept with its version, so that growth shows before a limit is met."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What a training took.

    Attributes
    ----------
    seconds
        From the first row to the fitted model.
    peak_bytes
        The most memory that the process has had; None where it did not say.
    """

    seconds: float
    peak_bytes: int | None


def measured(begun: float) -> Cost:
    """Return the cost of what began at `begun`, a time of :func:`time.monotonic`."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts KiB, macOS bytes.
    return Cost(time.monotonic() - begun, peak if sys.platform == "darwin" else peak * 1024)
