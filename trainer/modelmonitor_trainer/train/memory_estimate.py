"""Memory estimate: refuses trainings that would exceed the memory limit up front instead of being OOM-killed.

The estimate uses the manifest only: cells, that is rows times columns, as counted in the Parquet metadata.
docs/explanation/training.md has the measurements that it is based on; benchmarks/training repeats them.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from modelmonitor_api.quantity import parse_quantity
from modelmonitor_api.spec import CategoricalEncoding, FeatureType, ModelMonitorSpec
from modelmonitor_policy.training_calendar import fits_with_holdout
from modelmonitor_trainer.data.labels import Dataset
from modelmonitor_trainer.data.manifest import Manifest, days_within
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.model.batches import STREAMING, why_not_in_batches

#: Memory of the process before the first row: Python, scikit-learn, Arrow.
BASE_BYTES = 300 * 2**20
#: Bytes per cell at the peak of a training: its Arrow array, the array of the model, its share of the data frame and
#: of the preprocessing. Measured are 53 for boosting, which needs least; the estimate is lower, so that no training
#: that could fit is refused.
CELL_BYTES = 48
#: Bytes per cell of the training window that a final fit keeps while it reads its own window: its Arrow array.
KEPT_BYTES = 8
#: Bytes per cell that one-hot encoding makes: a double, and most of a copy in scaling and fitting. Measured are 15.
ENCODED_BYTES = 14
#: Files of the kernel with the memory limit of a container: control groups version 2 and version 1.
_LIMIT_FILES = ("memory.max", "memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class MemoryEstimate:
    """Size of a training, and the memory that it needs.

    Attributes
    ----------
    rows, holdout_rows
        Rows of features in both windows.
    columns
        Columns that are read.
    encoded, train_rows
        Columns that one-hot encoding makes, and the rows that are encoded at once; 0 while they are unknown.
    fits_again
        Whether a final fit follows, while the rows of the comparison are kept.
    """

    rows: int
    holdout_rows: int
    columns: int
    encoded: int = 0
    train_rows: int = 0
    fits_again: bool = False

    @property
    def bytes(self) -> int:
        """Memory of a training on all rows at once."""
        bytes_per_cell = CELL_BYTES + (KEPT_BYTES if self.fits_again else 0)
        read = (self.rows + self.holdout_rows) * self.columns * bytes_per_cell
        return BASE_BYTES + read + self.train_rows * self.encoded * ENCODED_BYTES


def estimate_memory(spec: ModelMonitorSpec, manifest: Manifest) -> MemoryEstimate:
    """Return the estimated size of a training on a manifest."""
    rows, holdout = (
        sum(day.rows for day in days_within(manifest.features, window)) for window in (manifest.train, manifest.holdout)
    )
    keys = 1 if spec.data.labels is not None else 0
    columns = len(spec.model.features) + len(spec.model.slices) + 1 + keys
    return MemoryEstimate(rows, holdout, columns, fits_again=fits_with_holdout(spec))


def encoded_columns(spec: ModelMonitorSpec, rows: Dataset) -> int:
    """Return how many columns one-hot encoding makes of the categories that occur; 0 without it."""
    estimator = spec.retraining.estimator
    if estimator is None or estimator.preprocessing.categorical_encoding is not CategoricalEncoding.ONE_HOT:
        return 0
    most = estimator.preprocessing.max_categories
    names = [feature.name for feature in spec.model.features if feature.type is FeatureType.CATEGORICAL]
    return sum(min(most, int(pc.count_distinct(rows.table.column(name), mode="all").as_py())) for name in names)


def least_limit(spec: ModelMonitorSpec, machine: int | None) -> int | None:
    """Return the memory that a training can use: what the pod may use, or less if the machine has less.

    The declared limit counts outside of a pod as well, so that the same training is refused everywhere.
    """
    declared = spec.retraining.trainer.resources.limits.memory
    limits = [int(parse_quantity(declared))] if declared else []
    return min([*limits, *([machine] if machine is not None else [])], default=None)


def needs_batches(spec: ModelMonitorSpec, estimate: MemoryEstimate) -> bool:
    """Whether a training runs in batches: its estimator supports them, and all rows at once would not fit.

    The declared limit decides, and not the memory of the machine, so that the same manifest and seed give the same
    model everywhere.
    """
    estimator, limit = spec.retraining.estimator, spec.retraining.trainer.resources.limits.memory
    if estimator is None or limit is None or why_not_in_batches(estimator) is not None:
        return False
    return estimate.bytes > parse_quantity(limit)


def require_memory(spec: ModelMonitorSpec, estimate: MemoryEstimate, limit: int | None) -> None:
    """Refuse a training on all rows at once that would exceed the memory limit of its container.

    Parameters
    ----------
    spec, estimate
        Spec and estimated size of the training.
    limit
        Memory limit in bytes; None if there is no limit.

    Raises
    ------
    BadConfiguration
        If the estimate exceeds the limit; the message names the settings to change.
    """
    if limit is None or estimate.bytes <= limit:
        return
    estimator = spec.retraining.estimator
    alternative = f", or use {' or '.join(STREAMING)}, which can be trained in batches"
    if estimator is not None and estimator.name in STREAMING:
        alternative = f"; it cannot be trained in batches either: {why_not_in_batches(estimator)}"
    encoded = f" ({estimate.encoded:,} after one-hot encoding)" if estimate.encoded else ""
    if estimate.encoded:
        alternative = ", or lower preprocessing.maxCategories, or set categoricalEncoding to Target or Ordinal"
    days = int(spec.retraining.window_days * (limit - BASE_BYTES) / (estimate.bytes - BASE_BYTES))
    shorter = f" or lower retraining.windowDays to about {days}" if days > 0 else ""
    raise BadConfiguration(
        f"{estimate.rows + estimate.holdout_rows:,} rows of {estimate.columns} columns{encoded} are estimated to need "
        f"{_gib(estimate.bytes)}, but the memory limit is {_gib(limit)}; raise "
        f"retraining.trainer.resources.limits.memory{shorter}{alternative}"
    )


def memory_limit(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the memory limit of this container, or else the memory of this machine, in bytes; None if unknown."""
    limits = []
    for name in _LIMIT_FILES:
        try:
            text = (root / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    with contextlib.suppress(ValueError, OSError):  # not every system reports its pages
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"
