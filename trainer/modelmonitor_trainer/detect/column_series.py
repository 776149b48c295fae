"""Series of a column: its counts in each batch of the reference and of the current window."""

from __future__ import annotations

import numpy as np

from modelmonitor_trainer.detect.batches import Series
from modelmonitor_trainer.detect.statistics import rare_categories
from modelmonitor_trainer.profile.plans import ColumnPlan, NumericPlan
from modelmonitor_trainer.profile.window import ColumnWindow


def distribution_series(plan: ColumnPlan, reference: ColumnWindow, current: ColumnWindow) -> Series:
    """Return the distribution of a column as a series.

    Rare categories are pooled as in the test.
    """
    if isinstance(plan, NumericPlan):
        return Series(reference.counts, current.counts, ordered=True)
    rare = rare_categories(reference.total.counts, current.total.counts)
    before, now = (
        np.concatenate([side.counts[:, ~rare], side.counts[:, rare].sum(axis=1, keepdims=True)], axis=1)
        for side in (reference, current)
    )
    return Series(before, now, ordered=False)


def missing_series(reference: ColumnWindow, current: ColumnWindow) -> Series:
    """Return the missing and present rows of a column as a series of two bins."""
    before, now = (np.stack([side.missing, side.rows - side.missing], axis=1) for side in (reference, current))
    return Series(before, now, ordered=False)
