"""Whether a training fits into memory: said before it is killed for what it cannot have.

The estimate is made from the manifest alone: cells, rows times columns, as they are counted in the Parquet files.
docs/training.md has the measured figures that it rests on, and benchmarks/training measures them.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.data.manifest import Manifest, days_within
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.model.batches import STREAMING, why_not_in_batches

#: What the process takes before the first row: Python, scikit-learn, Arrow.
BASE_BYTES = 300 * 2**20
#: Bytes that a cell of a window takes at the peak of a training: its Arrow array, the array of the model, its place in
#: the data frame and what the steps before the estimator make of it. Measured are 53 for boosting, which takes least;
#: a training that might fit is not refused.
CELL_BYTES = 48
#: Where the kernel says how much a container may have: version 2 and version 1 of control groups.
_LIMIT_FILES = ("memory.max", "memory/memory.limit_in_bytes")
_UNITS = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True)
class MemoryEstimate:
    """What a training is estimated to need.

    Attributes
    ----------
    rows, holdout_rows
        Rows of features of both windows.
    columns
        Columns that are read.
    """

    rows: int
    holdout_rows: int
    columns: int

    @property
    def bytes(self) -> int:
        """With all rows at once."""
        return BASE_BYTES + (self.rows + self.holdout_rows) * self.columns * CELL_BYTES


def estimate_memory(spec: ModelMonitorSpec, manifest: Manifest) -> MemoryEstimate:
    """Return what a training on a manifest is estimated to need."""
    rows, holdout = (
        sum(day.rows for day in days_within(manifest.features, window)) for window in (manifest.train, manifest.holdout)
    )
    keys = 1 if spec.data.labels is not None else 0
    return MemoryEstimate(rows, holdout, len(spec.model.features) + len(spec.model.slices) + 1 + keys)


def in_batches(spec: ModelMonitorSpec, need: MemoryEstimate) -> bool:
    """Whether a training is done in batches: it can be, and is estimated not to fit otherwise.

    It goes by the limit that the spec declares and not by the one of the machine, so that the same manifest and seed
    give the same model everywhere.
    """
    estimator, declared = spec.retraining.estimator, spec.retraining.trainer.resources.limits.memory
    if estimator is None or declared is None or why_not_in_batches(estimator) is not None:
        return False
    return need.bytes > quantity(declared)


def refuse_what_does_not_fit(spec: ModelMonitorSpec, need: MemoryEstimate, limit: int | None) -> None:
    """Refuse a training that is estimated not to fit into the memory of its container.

    Parameters
    ----------
    spec, need
        The training, with all rows at once.
    limit
        Bytes that the container may have; None where there is no limit.

    Raises
    ------
    BadConfiguration
        Saying what to raise, or to shorten.
    """
    if limit is None or need.bytes <= limit:
        return
    estimator = spec.retraining.estimator
    other = f", or use {' or '.join(STREAMING)}, which learn in batches"
    if estimator is not None and estimator.name in STREAMING:
        other = f"; it cannot be done in batches either: {why_not_in_batches(estimator)}"
    fits = int(spec.retraining.window_days * (limit - BASE_BYTES) / (need.bytes - BASE_BYTES))
    shorter = f" or lower retraining.windowDays to about {fits}" if fits > 0 else ""
    raise BadConfiguration(
        f"{need.rows + need.holdout_rows:,} rows of {need.columns} columns are estimated to need "
        f"{_gib(need.bytes)}, and the container may have {_gib(limit)}; raise "
        f"retraining.trainer.resources.limits.memory{shorter}{other}"
    )


def memory_limit(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return how many bytes this container, or else this machine, may have; None where nobody says."""
    found = []
    for name in _LIMIT_FILES:
        try:
            text = (root / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            found.append(int(text))
    with contextlib.suppress(ValueError, OSError):  # not every system counts its pages
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(found, default=None)


def quantity(text: str) -> float:
    """Return a Kubernetes quantity as a number.

    >>> quantity("2Gi"), quantity("1.5G"), quantity("500")
    (2147483648.0, 1500000000.0, 500.0)
    """
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text)
    if found is None or found[2] not in _UNITS | _BINARY:
        raise BadConfiguration(f"{text!r} is not an amount of memory; write it like 2Gi")
    return float(found[1]) * (_UNITS | _BINARY)[found[2]]


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
