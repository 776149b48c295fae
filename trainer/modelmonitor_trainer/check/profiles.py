"""Profiles of the windows of a check."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import ProfiledPair, WindowPair
from modelmonitor_trainer.data.decimal_marks import Marks, decide_marks, differ_from_own
from modelmonitor_trainer.data.object_format import AnyFormat, with_marks
from modelmonitor_trainer.data.recent_values import RecentValues
from modelmonitor_trainer.data.remarks import COMMA, POINT, POINT_OR_THOUSANDS
from modelmonitor_trainer.profile.binning import fit_plan
from modelmonitor_trainer.profile.cache import ProfileCache
from modelmonitor_trainer.profile.columns import NumericProfile
from modelmonitor_trainer.profile.reference import Reference, read_reference, reference_from_bytes
from modelmonitor_trainer.profile.window import BatchProfile, profile_window

#: From here on, numbers can have a mark between thousands.
_GROUP = 1000


def profile_pair(ctx: CheckContext, pair: WindowPair, what: str) -> tuple[ProfiledPair, AnyFormat]:
    """Return the profiles of both windows, and the format with the decimal marks that were decided from both.

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
    profiled = _profile(ctx, pair, what)
    windows = [window for window in (profiled.reference, profiled.current) if window is not None]
    batches = [batch for window in windows for batch in window.blocks]
    remarks = [{name: column.kinds for name, column in batch.columns.items()} for batch in batches]
    decided = _without_misfits(decide_marks(remarks), batches)
    marks = {info.uri: of for batch, of in zip(batches, decided, strict=True) if of for info in batch.block.objects}
    if not marks:
        return profiled, ctx.fmt
    fmt = with_marks(ctx.fmt, marks)
    # An object can differ from the others of its batch.
    commas = any(
        "," in of.values() and len(batch.block.objects) > 1 for batch, of in zip(batches, decided, strict=True)
    )
    if commas or differ_from_own(remarks, decided):
        # Some values were read with another mark than that of all objects.
        profiled = _profile(replace(ctx, fmt=fmt), replace(pair, stored_profile=None), what)
    return profiled, fmt


#: Size of a decoded reference, as a multiple of its stored size.
_DECODED_SIZE = 4
#: References of champions that this process has decoded, with their size in bytes.
_DECODED: RecentValues[tuple[Reference, int]] = RecentValues(lambda decoded: decoded[1])


def _profile(ctx: CheckContext, pair: WindowPair, what: str) -> ProfiledPair:
    reference = None
    if pair.reference:
        with ctx.stopwatch.step("reference"):
            reference = _stored_reference(pair) or read_reference(
                ctx.store,
                pair.reference,
                pair.columns,
                ctx.fmt,
                ctx.cache_prefix,
                what=f"{what}: reference",
                engine=ctx.engine,
            )
        plan = reference.plan
    else:
        with ctx.stopwatch.step("plan"):
            # The bins follow the live window, so this plan is not worth caching.
            objects = [info for batch in pair.current for info in batch.objects]
            plan = fit_plan(ctx.store, objects, pair.columns, ctx.fmt, skip_unreadable=True)
    with ctx.stopwatch.step("current"):
        cache = ProfileCache(ctx.store, ctx.cache_prefix)
        current = profile_window(
            ctx.store, pair.current, plan, ctx.fmt, cache, what=f"{what}: current", engine=ctx.engine
        )
    return ProfiledPair(plan, reference.window if reference else None, current)


def _without_misfits(decided: Sequence[Marks], batches: Sequence[BatchProfile]) -> list[Marks]:
    """Return decimal marks, None for columns that are below 1000 with them, where batches without marks are above.

    ``123.456`` can then be 123,456, which others write without a mark.
    """
    points = {name for marks in decided for name, mark in marks.items() if mark == "."}
    misfits = {name for name in points if _is_above(name, batches)}

    def is_misfit(name: str, batch: BatchProfile) -> bool:
        return name in misfits and POINT_OR_THOUSANDS in batch.columns[name].kinds

    return [
        {name: None if is_misfit(name, batch) else mark for name, mark in marks.items()}
        for marks, batch in zip(decided, batches, strict=True)
    ]


def _is_above(name: str, batches: Sequence[BatchProfile]) -> bool:
    """Whether numbers of a column without marks are at least 1000, and no other batch shows the decimal mark."""
    columns = [batch.columns[name] for batch in batches if name in batch.columns]
    if any(column.kinds & {POINT, COMMA} for column in columns):
        return False
    return any(
        isinstance(column, NumericProfile)
        and POINT_OR_THOUSANDS not in column.kinds
        and max(abs(column.minimum), abs(column.maximum)) >= _GROUP
        for column in columns
    )


def _stored_reference(pair: WindowPair) -> Reference | None:
    """Return the reference that the champion carries, if it has the same columns."""
    data = pair.stored_profile
    if data is None:
        return None
    columns = tuple(column.model_dump_json() for column in pair.columns)
    key = hashlib.sha256(data).digest(), columns, pair.reference
    known = _DECODED.find(key)
    if known is None:
        reference = reference_from_bytes(data, pair.columns, pair.reference)
        if reference is None:
            return None
        known = reference, len(data) * _DECODED_SIZE
        _DECODED.put(key, known)
    return known[0]
