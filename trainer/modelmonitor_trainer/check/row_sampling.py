"""Moved to :mod:`modelmonitor_trainer.data`; these names remain until the callers import from there."""

from __future__ import annotations

from modelmonitor_trainer.data.arrow_floats import numbers_of
from modelmonitor_trainer.data.row_sampling import sample_batches

#: Earlier name.
sample_blocks = sample_batches

__all__ = ["numbers_of", "sample_batches", "sample_blocks"]
