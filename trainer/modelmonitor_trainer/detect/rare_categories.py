"""Rare categories: how columns with many distinct values are binned, and what that hides.

A sample of the reference decides which values have a bin of their own. For the rarest of them that is partly chance,
which regresses to the mean. So only values that would have had one in any sample keep it; all others go to the buckets
of their hashes. This partition does not depend on drift. What changes among the values of a bucket is hidden, unless it
is too large not to show in any of them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from modelmonitor_trainer.arrays import Counts, Ints
from modelmonitor_trainer.detect.statistics import rare_categories
from modelmonitor_trainer.detect.total_variation import largest_distance
from modelmonitor_trainer.profile.cardinality import SKETCH_ERROR, distinct, increase_error
from modelmonitor_trainer.profile.columns import CategoricalProfile
from modelmonitor_trainer.profile.hashing import bucket_of, checksums_of, hashes_of
from modelmonitor_trainer.profile.plans import CategoricalPlan, ColumnPlan
from modelmonitor_trainer.profile.window import ColumnWindow

_NORMAL_95, _NORMAL_975 = 1.6448536269514722, 1.959963984540054


def spread_rare(plan: ColumnPlan, reference: ColumnWindow, current: ColumnWindow) -> tuple[ColumnWindow, ColumnWindow]:
    """Return both windows with rare values in their hash buckets, which become bins; other columns are unchanged.

    Parameters
    ----------
    plan
        The column. One without buckets is unchanged.
    reference, current
        Its profiles. The bins of the result are the plan's categories, of which the rare ones are empty, the buckets,
        and an empty one.
    """
    if not isinstance(plan, CategoricalPlan) or not plan.buckets:
        return reference, current
    rare = np.flatnonzero(rare_categories(reference.total.counts, current.total.counts)[:-1])
    bucket = bucket_of(hashes_of(checksums_of([plan.categories[index] for index in rare])), plan.buckets)
    return _spread(reference, rare, bucket), _spread(current, rare, bucket)


def share_of_new_values(reference: CategoricalProfile, current: CategoricalProfile) -> float | None:
    """Return the share of the distinct values of the current window that do not occur in the reference.

    Buckets do not show that values are replaced by others, so "no drift" needs evidence that most values are known.
    Sketches estimate the numbers; the maximum of two sketches is that of both together.

    Returns
    -------
    float or None
        From 0 to 1; None if the share is below a half with 95 % confidence.
    """
    before, now = distinct(reference.registers), distinct(current.registers)
    new = distinct(np.maximum(reference.registers, current.registers)) - before
    if not now or new + _NORMAL_95 * increase_error(before, now / 2) < now / 2:
        return None
    return min(1.0, new / now)


def hidden_distance(plan: CategoricalPlan, reference: ColumnWindow, current: ColumnWindow) -> float:
    """Return by how much the distribution of rare values may have changed without a sign of it.

    Parameters
    ----------
    plan
        The column.
    reference, current
        Its profiles, as :func:`spread_rare` returns them; both have rows.

    Returns
    -------
    float
        A total variation distance with 95 % confidence, at most the share of the rows that have a rare value.

    Notes
    -----
    A bucket holds K values by chance. A change of these by d_j moves its share by a sum of random terms, which is about
    normal with the variance Σ d_j², so the distance of all values is at most sqrt(π K / 2) times that of the buckets.
    The sum over B buckets varies by sqrt((π / 2 - 1) / B) of itself with the hashes, and K is an estimate.
    """
    before, now = reference.total.counts, current.total.counts
    n, m = int(before.sum()), int(now.sum())
    rare = rare_categories(before, now)
    buckets = slice(before.size - 1 - plan.buckets, before.size - 1)
    if plan.buckets and not rare[buckets].any():
        rest, rest_now = (int(side.sum() - side[buckets].sum()) for side in (before, now))
        high = largest_distance(np.append(before[buckets], rest), np.append(now[buckets], rest_now), _NORMAL_975)
        named = int(((before + now)[: buckets.start] > 0).sum())
        distinct_values = _distinct_values(reference, current) * (1 + _NORMAL_975 * SKETCH_ERROR)
        values = max(1.0, (distinct_values - named) / plan.buckets)
        high /= 1 - _NORMAL_975 * math.sqrt((math.pi / 2 - 1) / plan.buckets)
        return min(1 - rest / n, 1 - rest_now / m, math.sqrt(math.pi / 2 * values) * high)
    if int(((before + now)[rare] > 0).sum()) < 2 and not now[-1] and not before[-1]:
        return 0.0  # a single value
    return float(min(before[rare].sum() / n, now[rare].sum() / m))


def _distinct_values(reference: ColumnWindow, current: ColumnWindow) -> int:
    assert isinstance(reference.total, CategoricalProfile)
    assert isinstance(current.total, CategoricalProfile)
    return distinct(np.maximum(reference.total.registers, current.total.registers))


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
