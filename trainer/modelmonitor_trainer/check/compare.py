"""The comparison at the heart of a check: plans, profiles, tests and contract, for any two windows."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from modelmonitor_api.spec import DataFormat, Detector, DetectorType, Feature, Sensitivity
from modelmonitor_trainer.check.windows import WindowPair
from modelmonitor_trainer.detect.drift import Comparison, DriftResult, comparisons_of, find_drift
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.detect.quality import Violation, contract_violations, structural_violations
from modelmonitor_trainer.detect.thresholds import Calendar
from modelmonitor_trainer.detect.unit_changes import row_count_violations, unit_changes
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.profile.binning import Plan, fit_plan
from modelmonitor_trainer.profile.engine import ProfileCache
from modelmonitor_trainer.profile.reference import Reference, read_reference, reference_from_bytes
from modelmonitor_trainer.profile.window import Batch, WindowProfile, profile_window
from modelmonitor_trainer.storage.base import Store

_LOG = logging.getLogger(__name__)


@dataclass
class Stopwatch:
    """How long the steps of a check took.

    Attributes
    ----------
    seconds
        Step → seconds.
    """

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time of the ``with`` block to a step."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


@dataclass(frozen=True)
class ProfiledPair:
    """The profiles of two windows; without a reference only the contract can be judged."""

    plan: Plan
    reference: WindowProfile | None
    current: WindowProfile


@dataclass(frozen=True)
class CheckContext:
    """Where a check reads and keeps things.

    Attributes
    ----------
    store
        All data.
    prefix
        Where profiles are kept; None keeps none.
    fmt
        How objects are encoded.
    watch
        Takes the times.
    """

    store: Store
    prefix: str | None
    fmt: DataFormat
    watch: Stopwatch


def profile_pair(at: CheckContext, pair: WindowPair, what: str) -> ProfiledPair:
    """Return the profiles of both windows.

    Raises
    ------
    BadData
        If the reference cannot be read; a broken current window is a finding, not a failure.
    """
    reference = None
    if pair.reference:
        with at.watch.step("reference"):
            reference = _kept(pair) or read_reference(
                at.store, pair.reference, pair.columns, at.fmt, at.prefix, what=f"{what}: reference"
            )
        plan = reference.plan
    else:
        with at.watch.step("plan"):
            # Its cells follow the live window: not worth keeping.
            objects = [info for block in pair.current for info in block.objects]
            plan = fit_plan(at.store, objects, pair.columns, at.fmt, skip_unreadable=True)
    with at.watch.step("current"):
        cache = ProfileCache(at.store, at.prefix)
        current = profile_window(at.store, pair.current, plan, at.fmt, cache, what=f"{what}: current")
    return ProfiledPair(plan, reference.window if reference else None, current)


def _kept(pair: WindowPair) -> Reference | None:
    """Return the reference that the champion carries, where it is of these columns."""
    return reference_from_bytes(pair.kept, pair.columns, pair.reference) if pair.kept is not None else None


def features_of(detectors: Sequence[Detector], kind: DetectorType, features: Sequence[Feature]) -> dict[str, str]:
    """Return feature → name of the first detector of a kind that looks at it.

    Raises
    ------
    BadConfiguration
        If a detector names a column that is not a feature.
    """
    known = [feature.name for feature in features]
    found: dict[str, str] = {}
    for detector in detectors:
        if detector.type is not kind:
            continue
        for column in detector.columns or known:
            if column not in known:
                raise BadConfiguration(
                    f"the detector {detector.name} looks at {column!r}, which is not in spec.model.features; "
                    "add it there, or remove it from the detector"
                )
            found.setdefault(column, detector.name)
    return found


def compare(
    detectors: Sequence[Detector],
    features: Sequence[Feature],
    target: str | None,
    windows: Sequence[ProfiledPair],
    sensitivity: Sensitivity,
    checks_per_day: float,
    *,
    prediction: str | None = None,
    relations: Sequence[HypothesisFamily] = (),
) -> DriftResult | None:
    """Test what the detectors ask for; None where there is no reference.

    Parameters
    ----------
    detectors, features, target, prediction
        What to look at.
    windows
        The rows first; then the labels, if the target comes with them, and the predictions.
    sensitivity, checks_per_day
        Give the level.
    relations
        Tests of what holds between columns: they share the level.
    """
    by_feature = features_of(detectors, DetectorType.FEATURE_DRIFT, features)
    special = {}
    for name, kind, role in (
        (prediction, DetectorType.PREDICTION_DRIFT, "Prediction"),
        (target, DetectorType.TARGET_DRIFT, "Target"),
    ):
        if name is not None:
            special[name] = (role, next((d.name for d in detectors if d.type is kind), None))
    comparisons: list[Comparison] = []
    calendars: dict[str, Calendar] = {}
    for pair in windows:
        if pair.reference is None:
            continue
        for column in pair.plan:
            role, detector = special.get(column.name, ("Feature", by_feature.get(column.name)))
            if detector is not None:
                comparisons += comparisons_of(detector, role, [column], pair.reference, pair.current)
                calendars[role] = _calendar(pair.reference, pair.current)
    first = windows[0]
    if first.reference is None:
        return None
    rows = (first.reference.rows, first.current.rows)
    return find_drift(comparisons, sensitivity, checks_per_day, rows=rows, calendars=calendars, relations=relations)


def _calendar(reference: WindowProfile, current: WindowProfile) -> Calendar:
    filled = [profile.block.day for profile in current.blocks if profile.rows]
    return Calendar.of([profile.block.day for profile in reference.blocks], filled)


def broken(detectors: Sequence[Detector], features: Sequence[Feature], windows: ProfiledPair) -> list[Violation]:
    """Return how the current window breaks the contract, as far as detectors ask; structure always counts."""
    found = structural_violations(windows.current)
    asked = features_of(detectors, DetectorType.DATA_QUALITY, features)
    judged = [feature for feature in features if feature.name in asked]
    if windows.reference is not None and judged:
        found += unit_changes(judged, windows.current, windows.reference)
        found += row_count_violations(windows.current, windows.reference)
    return found + contract_violations(judged, windows.current, windows.reference)


def blocks_with_rows(window: WindowProfile) -> list[Batch]:
    """Return the blocks that have rows."""
    return [profile.block for profile in window.blocks if profile.rows]
