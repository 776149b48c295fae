"""Rare values: columns with more values than cells, cut so that a move among rare values is seen.

Which values have a cell of their own is decided by a sample of the reference, and near the rarest of them partly by its
luck, which does not last. So only those that would have had one with any luck keep it; all others go to the buckets of
their hashes, named in the plan or not. That is a partition that says nothing of drift.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from modelmonitor_trainer.arrays import Counts, Ints
from modelmonitor_trainer.detect.statistics import rare_categories
from modelmonitor_trainer.profile.binning import CategoricalPlan, ColumnPlan
from modelmonitor_trainer.profile.cardinality import SKETCH_ERROR, distinct
from modelmonitor_trainer.profile.columns import CategoricalProfile
from modelmonitor_trainer.profile.hashing import bucket_of, checksums_of, hashes_of
from modelmonitor_trainer.profile.window import ColumnWindow


def spread_rare(plan: ColumnPlan, reference: ColumnWindow, current: ColumnWindow) -> tuple[ColumnWindow, ColumnWindow]:
    """Return both windows with rare values in their buckets, which become ordinary cells; others as they are.

    Parameters
    ----------
    plan
        The column. One without buckets is left alone.
    reference, current
        Its profiles. The cells of what is returned are the plan's categories, of which the rare ones are empty, the
        buckets, and last an empty one.
    """
    if not isinstance(plan, CategoricalPlan) or not plan.buckets:
        return reference, current
    rare = np.flatnonzero(rare_categories(reference.total.counts, current.total.counts)[:-1])
    bucket = bucket_of(hashes_of(checksums_of([plan.categories[place] for place in rare])), plan.buckets)
    return _spread(reference, rare, bucket), _spread(current, rare, bucket)


def mostly_new(reference: CategoricalProfile, current: CategoricalProfile) -> bool:
    """Whether most of the different values of the current window do not occur in the reference, beyond doubt.

    Their numbers are estimated by sketches, whose maximum is the sketch of both together. Its errors, of three per cent
    each, are allowed for three times over.
    """
    before, now = distinct(reference.registers), distinct(current.registers)
    both = distinct(np.maximum(reference.registers, current.registers))
    doubt = 3 * SKETCH_ERROR * float(np.hypot(both, before))
    return now > 0 and both - before - doubt > now / 2


def _spread(window: ColumnWindow, rare: Ints, bucket: Ints) -> ColumnWindow:
    assert isinstance(window.total, CategoricalProfile)
    total = _cells(window.total.counts[None], window.total.buckets[None], rare, bucket)[0]
    return replace(
        window,
        total=replace(window.total, counts=total),
        counts=_cells(window.counts, window.buckets, rare, bucket),
    )


def _cells(counts: Counts, buckets: Counts, rare: Ints, bucket: Ints) -> Counts:
    """Return (blocks, categories + 1) and (blocks, buckets) as (blocks, categories + buckets + 1) cells."""
    named, in_buckets = counts[:, :-1].copy(), buckets.copy()
    np.add.at(in_buckets.T, bucket, named[:, rare].T)
    named[:, rare] = 0
    return np.concatenate([named, in_buckets, np.zeros((counts.shape[0], 1), dtype=np.int64)], axis=1)
