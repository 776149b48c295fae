"""Reference windows of checks: the binning plan and the profile of each day.

A model version stores that of its training window, so that checks need not read its training data again. Many buckets
delete objects after some months.
"""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelmonitor_api.spec import Feature, FeatureType, ModelMonitorSpec, Task
from modelmonitor_trainer.data.object_format import AnyFormat, format_key
from modelmonitor_trainer.data.windows import Batch, Window
from modelmonitor_trainer.errors import NotFound
from modelmonitor_trainer.profile.binning import WIDE_COLUMNS, fit_plan, needs_rebinning, rebin
from modelmonitor_trainer.profile.cache import ProfileCache
from modelmonitor_trainer.profile.engine import Engine
from modelmonitor_trainer.profile.hashing import digest
from modelmonitor_trainer.profile.object_profile import ObjectProfile, from_bytes, to_bytes
from modelmonitor_trainer.profile.plans import Plan, plan_from_json, plan_to_json
from modelmonitor_trainer.profile.window import BatchProfile, WindowProfile, profile_window, require_readable, stack
from modelmonitor_trainer.storage.base import JSON, Store

if TYPE_CHECKING:
    from modelmonitor_trainer.data.manifest import PinnedDay

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reference:
    """Reference of a comparison.

    Attributes
    ----------
    plan
        How the columns of both windows are profiled.
    window
        Profile of the reference window.
    """

    plan: Plan
    window: WindowProfile


def target_column(spec: ModelMonitorSpec) -> Feature:
    """Return the target as a feature, to be compared like one."""
    kind = FeatureType.NUMERIC if spec.model.task is Task.REGRESSION else FeatureType.CATEGORICAL
    return Feature(name=spec.model.target, type=kind)


def columns_of_rows(spec: ModelMonitorSpec) -> tuple[Feature, ...]:
    """Return the columns of the live rows that are compared: the features, and the target unless labels hold it."""
    return (*spec.model.features, *(() if spec.data.labels else (target_column(spec),)))


def pinned_batches(days: Sequence[PinnedDay], window: Window) -> tuple[Batch, ...]:
    """Return one batch per day of a manifest that lies in a window."""
    return tuple(
        Batch(pinned.day.isoformat(), tuple(item.info for item in pinned.objects), pinned.day)
        for pinned in days
        if window[0] <= pinned.day <= window[1]
    )


def read_reference(
    store: Store,
    blocks: Sequence[Batch],
    columns: Sequence[Feature],
    fmt: AnyFormat,
    prefix: str | None,
    *,
    what: str,
    engine: Engine | None = None,
) -> Reference:
    """Return the reference of some batches, from the cache where it is there.

    Parameters
    ----------
    store
        Object store.
    blocks
        Objects of the window, by batch.
    columns
        Columns to profile.
    fmt
        Encoding of the objects.
    prefix
        Where plans and profiles of objects are stored; None stores none.
    what
        Description of the progress bar.
    engine
        Where objects are profiled; threads of this process by default.

    Raises
    ------
    BadData
        If an object cannot be decoded.
    """
    objects = [info for batch in blocks for info in batch.objects]
    pinned = [f"{info.uri}\n{info.etag}\n{info.size}" for info in objects]
    key = digest(_column_specs(columns), pinned, *format_key(fmt))
    first, rebinned = (f"{prefix}plans/{key}{suffix}.json" if prefix is not None else None for suffix in ("", "-refit"))

    def profiled(plan: Plan) -> Reference:
        window = profile_window(store, blocks, plan, fmt, ProfileCache(store, prefix), what=what, engine=engine)
        require_readable(window, "reference")
        return Reference(plan, window)

    stored = _stored_plan(store, rebinned)
    if stored is not None:
        return profiled(stored)
    reference = profiled(_stored_or_new_plan(store, first, lambda: fit_plan(store, objects, columns, fmt)))
    wide = len(columns) > WIDE_COLUMNS
    bad = {
        plan.name
        for plan in reference.plan
        if needs_rebinning(plan, reference.window.columns[plan.name].total.counts, wide=wide)
    }
    if not bad:
        return reference
    _LOG.info("the heads of the objects are not representative; %s columns are rebinned", len(bad))
    some = [column for column in columns if column.name in bad]
    better = {plan.name: plan for plan in rebin(store, objects, some, fmt, reference.window.rows, wide=wide)}
    return profiled(
        _stored_or_new_plan(store, rebinned, lambda: tuple(better.get(plan.name, plan) for plan in reference.plan))
    )


def _stored_or_new_plan(store: Store, uri: str | None, fit: Callable[[], Plan]) -> Plan:
    """Return the plan that is stored at `uri`; if there is none, fit and store it."""
    stored = _stored_plan(store, uri)
    if stored is not None:
        return stored
    plan = fit()
    if uri is not None:
        store.write(uri, plan_to_json(plan), content_type=JSON)
    return plan


def _stored_plan(store: Store, uri: str | None) -> Plan | None:
    if uri is None:
        return None
    try:
        return plan_from_json(store.read(uri))
    except NotFound:
        return None
    except ValueError as error:
        _LOG.warning("the plan %s cannot be used and is fitted again: %s", uri, error)
        return None


def reference_to_bytes(reference: Reference, columns: Sequence[Feature]) -> bytes:
    """Serialize a reference as one archive; equal ones give equal bytes."""
    buffer = io.BytesIO()
    batches = reference.window.blocks
    header = {"columns": _column_specs(columns), "days": [batch.block.name for batch in batches]}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        # ZipInfo has a constant time stamp.
        archive.writestr(zipfile.ZipInfo("reference.json"), json.dumps(header, ensure_ascii=False))
        archive.writestr(zipfile.ZipInfo("plan.json"), plan_to_json(reference.plan))
        for number, batch in enumerate(batches):
            profile = ObjectProfile(batch.block.name, batch.rows, batch.columns)
            archive.writestr(zipfile.ZipInfo(f"{number}.profile"), to_bytes(profile))
    return buffer.getvalue()


def reference_from_bytes(data: bytes, columns: Sequence[Feature], blocks: Sequence[Batch]) -> Reference | None:
    """Deserialize a reference; None if it has other columns or days, or is corrupted.

    Parameters
    ----------
    data
        Result of :func:`reference_to_bytes`.
    columns
        Columns that are compared now; a change of the spec can change them.
    blocks
        One batch per day of the reference window.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            header = json.loads(archive.read("reference.json"))
            if header["columns"] != _column_specs(columns) or header["days"] != [batch.name for batch in blocks]:
                return None
            plan = plan_from_json(archive.read("plan.json"))
            profiles = [from_bytes(archive.read(f"{number}.profile"), plan) for number in range(len(blocks))]
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        _LOG.warning("the reference stored with the model version cannot be used, so its data are read: %s", error)
        return None
    days = [
        BatchProfile(batch, profile.rows, profile.columns, {}) for batch, profile in zip(blocks, profiles, strict=True)
    ]
    return Reference(plan, stack(days, plan))


def _column_specs(columns: Sequence[Feature]) -> list[str]:
    return [column.model_dump_json() for column in columns]
