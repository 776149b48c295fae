"""Profiles of Arrow columns, counted as a check counts them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass

import numpy as np
import pyarrow as pa

from modelmonitor_trainer.data import parquet
from modelmonitor_trainer.profile.columns import CategoricalProfile, ColumnProfile, NumericProfile
from modelmonitor_trainer.profile.plans import CategoricalPlan, NumericPlan
from modelmonitor_trainer.profile.tasks import Counters
from modelmonitor_trainer.storage.base import Store


def profile_numbers(
    column: pa.ChunkedArray, edges: np.ndarray, minimum: float | None = None, maximum: float | None = None
) -> NumericProfile:
    """Return the profile of a numeric column."""
    profile = _profile(NumericPlan("column", edges, minimum, maximum), column)
    assert isinstance(profile, NumericProfile)
    return profile


def profile_categories(
    column: pa.ChunkedArray, bins: Mapping[str, int], allowed: frozenset[str] | None = None, buckets: int = 0
) -> CategoricalProfile:
    """Return the profile of a categorical column; `bins` maps each known category to its index."""
    known = tuple(sorted(bins, key=bins.__getitem__))
    permitted = None if allowed is None else tuple(sorted(allowed))
    profile = _profile(CategoricalPlan("column", known, permitted, buckets), column)
    assert isinstance(profile, CategoricalProfile)
    return profile


def _profile(plan: NumericPlan | CategoricalPlan, column: pa.ChunkedArray) -> ColumnProfile:
    counter = Counters((plan,)).counter("column")
    counter.add(column)
    return counter.profile()


def assert_same(one: object, other: object) -> None:
    """Compare every number of two profiles; NaN equals NaN, and the order within a set does not matter."""
    assert type(one) is type(other)
    assert is_dataclass(one)
    assert is_dataclass(other)
    assert not isinstance(one, type)
    assert not isinstance(other, type)
    np.testing.assert_equal(asdict(one), asdict(other))


def set_part_bytes(size: int) -> None:
    """Make parts of Parquet files small in the current process; an initializer of worker processes."""
    parquet.PART_BYTES = size


@dataclass(frozen=True)
class KillingStore:
    """A store whose opening ends the process, as the kernel does when memory runs out."""

    def open(self) -> Store:
        """End the process."""
        os._exit(1)
