"""Days that a training uses: those that violate the feature contract are left out by name."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import replace

from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import DetectorType, Feature, ModelMonitorSpec
from modelmonitor_trainer.data.manifest import LeftOutDay, Manifest, days_within
from modelmonitor_trainer.data.windows import Window
from modelmonitor_trainer.detect.broken_days import broken_days
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.profile.binning import fit_plan
from modelmonitor_trainer.profile.cache import ProfileCache
from modelmonitor_trainer.profile.plans import Plan
from modelmonitor_trainer.profile.reference import columns_of_rows, pinned_batches, read_reference
from modelmonitor_trainer.profile.window import BatchProfile, profile_window, stack
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.text import listed
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining

_LOG = logging.getLogger(__name__)

#: A window of which more than this share of the days cannot be used is not what a model is expected to meet.
MAX_BROKEN = 0.5
_SHOWN, _REASONS = 5, 3


def without_broken_days(registry: ModelRegistry, spec: ModelMonitorSpec, manifest: Manifest) -> Manifest:
    """Return a manifest without the days that violate the feature contract.

    Raises
    ------
    InconclusiveTraining
        If these are more than half of the days of the training window or of the hold-out.
    BadData
        If no day can be read.
    """
    features = _features_of_contract(spec)
    if features:
        plan, blocks = _profiles(registry, spec, manifest)
        window = stack(blocks, plan)
        broken = broken_days(features, window, lambda days: stack(days, plan))
        more = tuple(LeftOutDay(dt.date.fromisoformat(name), why) for name, why in sorted(broken.items()))
        days = {item.day for item in more}
        manifest = replace(
            manifest,
            features=tuple(pinned for pinned in manifest.features if pinned.day not in days),
            left_out=tuple(sorted([*manifest.left_out, *more], key=lambda item: item.day)),
        )
    for reason in dict.fromkeys(item.reason for item in manifest.left_out):
        days_of_reason = [str(item.day) for item in manifest.left_out if item.reason == reason]
        _LOG.warning("left out: %s: %s", listed(days_of_reason, _SHOWN), reason)
    for name, days_of_window in (("training window", manifest.train), ("hold-out", manifest.holdout)):
        _require_usable(name, manifest, days_of_window)
    return manifest


def in_words(left_out: Sequence[LeftOutDay]) -> str:
    """Return the days that are left out and why, as part of a sentence; empty if there are none."""
    if not left_out:
        return ""
    count = f"{len(left_out)} days" if len(left_out) > 1 else "1 day"
    reasons = list(dict.fromkeys(item.reason for item in left_out))
    groups = [
        f"{listed([str(item.day) for item in left_out if item.reason == reason], _SHOWN)}: {reason}"
        for reason in reasons[:_REASONS]
    ]
    if len(reasons) > _REASONS:
        more = len(reasons) - _REASONS
        groups.append(f"and {more} more {'reason' if more == 1 else 'reasons'}")
    return f"{count} that {'violate' if len(left_out) > 1 else 'violates'} the contract ({'; '.join(groups)})"


def _features_of_contract(spec: ModelMonitorSpec) -> list[Feature]:
    """Return the features that the DataQuality detectors test."""
    detectors = [item for item in spec.effective_detectors() if item.type is DetectorType.DATA_QUALITY]
    return [
        feature
        for feature in spec.model.features
        if any(not detector.columns or feature.name in detector.columns for detector in detectors)
    ]


def _profiles(registry: ModelRegistry, spec: ModelMonitorSpec, manifest: Manifest) -> tuple[Plan, list[BatchProfile]]:
    """Return the profiles of the days; those of the training window are the ones that the version will carry."""
    store, columns, fmt, prefix = registry.store, columns_of_rows(spec), manifest.fmt, registry.layout.profiles
    train, holdout = (pinned_batches(manifest.features, window) for window in (manifest.train, manifest.holdout))
    blocks: list[BatchProfile] = []
    try:
        reference = read_reference(store, train, columns, fmt, prefix, what="training window")
        plan, blocks, rest = reference.plan, list(reference.window.blocks), holdout
    except BadData:
        # An object cannot be decoded, and is named below.
        objects = [info for batch in train for info in batch.objects]
        plan, rest = fit_plan(store, objects, columns, fmt, skip_unreadable=True), (*train, *holdout)
    cache = ProfileCache(store, prefix)
    return plan, [*blocks, *profile_window(store, rest, plan, fmt, cache, what="hold-out").blocks]


def _require_usable(name: str, manifest: Manifest, window: Window) -> None:
    left_out = [item for item in manifest.left_out if window[0] <= item.day <= window[1]]
    days = len(days_within(manifest.features, window)) + len(left_out)
    if len(left_out) > MAX_BROKEN * days:
        raise InconclusiveTraining(
            GateReason.TOO_MANY_LEFT_OUT,
            f"{len(left_out)} of {days} days of the {name} violate the feature contract, first {left_out[0].day}: "
            f"{left_out[0].reason}; correct the data or spec.model.features, or wait for other days",
        )
