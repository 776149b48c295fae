"""Moments of the batches of a window, for correlations.

Until profiles and moments share one reader and one cache, a monitor and files are read in two ways here, and nowhere
else; both take all rows of an object that has at most ``SAMPLE_ROWS`` of them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import CheckData
from modelmonitor_trainer.check.row_sampling import numbers_of, sample_batches
from modelmonitor_trainer.data.tables import Unreadable
from modelmonitor_trainer.errors import NotFound
from modelmonitor_trainer.profile import moments
from modelmonitor_trainer.profile.binning import digest
from modelmonitor_trainer.profile.moments import Moments, Scale
from modelmonitor_trainer.profile.window import WindowProfile

_LOG = logging.getLogger(__name__)

#: Maximum number of rows per side that are sampled from files.
FILE_ROWS = 20_000


def moments_of_window(
    ctx: CheckContext, data: CheckData, window: WindowProfile, scales: Sequence[Scale]
) -> list[Moments]:
    """Return the moments of each batch of a window."""
    if data.monitor is None:
        return _sampled_moments(ctx, window, scales)
    return _cached_moments(ctx, window, scales)


def _sampled_moments(ctx: CheckContext, window: WindowProfile, scales: Sequence[Scale]) -> list[Moments]:
    names = [scale.name for scale in scales]
    batches = [(profile.block, profile.rows) for profile in window.blocks]
    return [
        moments.moments_of([numbers_of(rows.column(name)) for name in names], scales)
        for rows in sample_batches(ctx.store, batches, names, ctx.fmt, FILE_ROWS)
    ]


def _cached_moments(ctx: CheckContext, window: WindowProfile, scales: Sequence[Scale]) -> list[Moments]:
    key = moments.scales_key(scales)
    prefix = f"{ctx.cache_prefix}{key}/" if ctx.cache_prefix is not None else None
    known = {info.uri for info in ctx.store.list(prefix)} if prefix else set()
    objects = [info for profile in window.blocks for info in profile.block.objects]

    def task(index: int) -> Moments:
        info = objects[index]
        uri = f"{prefix}{digest([info.uri, info.etag, str(info.size)])}.moments"
        if uri in known:
            try:
                return moments.from_bytes(ctx.store.read(uri), len(scales))
            except (ValueError, NotFound) as error:
                _LOG.warning("the cached moments %s are damaged and are computed again: %s", uri, error)
        try:
            result = moments.moments_of_object(ctx.store, info, scales, ctx.fmt)
        except Unreadable:
            return moments.empty(len(scales))  # DataQuality reports it
        if prefix:
            ctx.store.write(uri, moments.to_bytes(result))
        return result

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1), thread_name_prefix="moments") as pool:
        results = iter(list(pool.map(task, range(len(objects)))))
    return [moments.total([next(results) for _ in profile.block.objects], len(scales)) for profile in window.blocks]
