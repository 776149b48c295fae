"""Profiles of the windows of a check."""

from __future__ import annotations

from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import ProfiledPair, WindowPair
from modelmonitor_trainer.profile.binning import fit_plan
from modelmonitor_trainer.profile.cache import ProfileCache
from modelmonitor_trainer.profile.reference import Reference, read_reference, reference_from_bytes
from modelmonitor_trainer.profile.window import profile_window


def profile_pair(ctx: CheckContext, pair: WindowPair, what: str) -> ProfiledPair:
    """Return the profiles of both windows.

    Parameters
    ----------
    ctx, pair
        The check, and the windows.
    what
        Name of the pair in a progress bar.

    Raises
    ------
    BadData
        If the reference cannot be read. An unreadable current window is a violation, not an error.
    """
    reference = None
    if pair.reference:
        with ctx.stopwatch.step("reference"):
            reference = _stored_reference(pair) or read_reference(
                ctx.store, pair.reference, pair.columns, ctx.fmt, ctx.cache_prefix, what=f"{what}: reference"
            )
        plan = reference.plan
    else:
        with ctx.stopwatch.step("plan"):
            # The bins follow the live window, so this plan is not worth caching.
            objects = [info for batch in pair.current for info in batch.objects]
            plan = fit_plan(ctx.store, objects, pair.columns, ctx.fmt, skip_unreadable=True)
    with ctx.stopwatch.step("current"):
        cache = ProfileCache(ctx.store, ctx.cache_prefix)
        current = profile_window(ctx.store, pair.current, plan, ctx.fmt, cache, what=f"{what}: current")
    return ProfiledPair(plan, reference.window if reference else None, current)


def _stored_reference(pair: WindowPair) -> Reference | None:
    """Return the reference that the champion carries, if it has the same columns."""
    if pair.stored_profile is None:
        return None
    return reference_from_bytes(pair.stored_profile, pair.columns, pair.reference)
