"""References of checks: where the cells of a reference are cut, and the profile of each of its days.

A version of the model carries that of its own training window, so that checks neither read its data again nor need
them to be there: many buckets forget what is older than some months.
"""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelmonitor_api.spec import DataFormat, Feature, FeatureType, ModelMonitorSpec, Task
from modelmonitor_trainer.data.windows import Window
from modelmonitor_trainer.errors import NotFound
from modelmonitor_trainer.profile.binning import (
    WIDE_COLUMNS,
    Plan,
    digest,
    fit_plan,
    needs_rebinning,
    plan_from_json,
    plan_to_json,
    rebin,
)
from modelmonitor_trainer.profile.engine import ObjectProfile, ProfileCache, from_bytes, to_bytes
from modelmonitor_trainer.profile.window import (
    Batch,
    BatchProfile,
    WindowProfile,
    profile_window,
    require_readable,
    stack,
)
from modelmonitor_trainer.storage.base import JSON, Store

if TYPE_CHECKING:
    from modelmonitor_trainer.data.manifest import PinnedDay

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reference:
    """What a window is compared with.

    Attributes
    ----------
    plan
        How its columns, and those of the window, are profiled.
    window
        Its profile.
    """

    plan: Plan
    window: WindowProfile


def target_column(spec: ModelMonitorSpec) -> Feature:
    """Return the target as a column that is compared like a feature."""
    kind = FeatureType.NUMERIC if spec.model.task is Task.REGRESSION else FeatureType.CATEGORICAL
    return Feature(name=spec.model.target, type=kind)


def columns_of_rows(spec: ModelMonitorSpec) -> tuple[Feature, ...]:
    """Return what is compared of the live rows: the features, and the target where no labels bring it."""
    return (*spec.model.features, *(() if spec.data.labels else (target_column(spec),)))


def pinned_batches(days: Sequence[PinnedDay], window: Window) -> tuple[Batch, ...]:
    """Return the days of a manifest that lie in a window, as blocks."""
    return tuple(
        Batch(pinned.day.isoformat(), tuple(item.info for item in pinned.objects), pinned.day)
        for pinned in days
        if window[0] <= pinned.day <= window[1]
    )


def read_reference(
    store: Store, blocks: Sequence[Batch], columns: Sequence[Feature], fmt: DataFormat, prefix: str | None, *, what: str
) -> Reference:
    """Return the reference that some blocks are, read now or kept from before.

    Parameters
    ----------
    store, blocks, columns, fmt
        What to read, and how.
    prefix
        Where plans and profiles of objects are kept; None keeps none.
    what
        What a progress bar calls it.

    Raises
    ------
    BadData
        If an object cannot be read.
    """
    objects = [info for block in blocks for info in block.objects]
    key = digest(_described(columns), [f"{info.uri}\n{info.etag}\n{info.size}" for info in objects])
    first, better = (f"{prefix}plans/{key}{suffix}.json" if prefix is not None else None for suffix in ("", "-refit"))

    def profiled(plan: Plan) -> Reference:
        window = profile_window(store, blocks, plan, fmt, ProfileCache(store, prefix), what=what)
        require_readable(window, "reference")
        return Reference(plan, window)

    kept = _kept_plan(store, better)
    if kept is not None:
        return profiled(kept)
    found = profiled(_plan_at(store, first, lambda: fit_plan(store, objects, columns, fmt)))
    wide = len(columns) > WIDE_COLUMNS
    bad = {
        plan.name
        for plan in found.plan
        if needs_rebinning(plan, found.window.columns[plan.name].total.counts, wide=wide)
    }
    if not bad:
        return found
    _LOG.info("rows are in an order that the heads of the objects do not show; %s columns are cut anew", len(bad))
    some = [column for column in columns if column.name in bad]
    anew = {plan.name: plan for plan in rebin(store, objects, some, fmt, found.window.rows, wide=wide)}
    return profiled(_plan_at(store, better, lambda: tuple(anew.get(plan.name, plan) for plan in found.plan)))


def _plan_at(store: Store, uri: str | None, make: Callable[[], Plan]) -> Plan:
    """Return the plan that is kept at `uri`; otherwise make it and keep it."""
    kept = _kept_plan(store, uri)
    if kept is not None:
        return kept
    plan = make()
    if uri is not None:
        store.write(uri, plan_to_json(plan), content_type=JSON)
    return plan


def _kept_plan(store: Store, uri: str | None) -> Plan | None:
    if uri is None:
        return None
    try:
        return plan_from_json(store.read(uri))
    except NotFound:
        return None
    except ValueError as error:
        _LOG.warning("the plan %s cannot be used and is made anew: %s", uri, error)
        return None


def reference_to_bytes(reference: Reference, columns: Sequence[Feature]) -> bytes:
    """Return a reference as one archive; equal ones give equal bytes."""
    buffer = io.BytesIO()
    blocks = reference.window.blocks
    header = {"columns": _described(columns), "days": [block.block.name for block in blocks]}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        # Entries are named by ZipInfo, which has no time of its own.
        archive.writestr(zipfile.ZipInfo("reference.json"), json.dumps(header, ensure_ascii=False))
        archive.writestr(zipfile.ZipInfo("plan.json"), plan_to_json(reference.plan))
        for number, block in enumerate(blocks):
            profile = ObjectProfile(block.block.name, block.rows, block.columns)
            archive.writestr(zipfile.ZipInfo(f"{number}.profile"), to_bytes(profile))
    return buffer.getvalue()


def reference_from_bytes(data: bytes, columns: Sequence[Feature], blocks: Sequence[Batch]) -> Reference | None:
    """Return a reference that was kept; None where it is of other columns or days, or cannot be read.

    Parameters
    ----------
    data
        What :func:`reference_to_bytes` made.
    columns
        What is compared now: after a change of the spec it may be something else.
    blocks
        The days.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            header = json.loads(archive.read("reference.json"))
            if header["columns"] != _described(columns) or header["days"] != [block.name for block in blocks]:
                return None
            plan = plan_from_json(archive.read("plan.json"))
            found = [from_bytes(archive.read(f"{number}.profile"), plan) for number in range(len(blocks))]
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        _LOG.warning("the reference that the version carries cannot be used, and its data are read: %s", error)
        return None
    days = [
        BatchProfile(block, profile.rows, profile.columns, {}) for block, profile in zip(blocks, found, strict=True)
    ]
    return Reference(plan, stack(days, plan))


def _described(columns: Sequence[Feature]) -> list[str]:
    return [column.model_dump_json() for column in columns]
