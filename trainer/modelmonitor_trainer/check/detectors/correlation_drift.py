"""CorrelationDrift: Pearson and rank correlations of numeric features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelmonitor_api.spec import Detector as DetectorSpec
from modelmonitor_api.spec import DetectorType
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import ProfiledData
from modelmonitor_trainer.check.detectors.base import RowDetector, register, select_features
from modelmonitor_trainer.detect.correlation import find_correlation_drift
from modelmonitor_trainer.detect.drift import level_of
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.profile.cache import ProfileCache
from modelmonitor_trainer.profile.moments import MAX_COLUMNS, Moments, Scale, scale_of
from modelmonitor_trainer.profile.plans import NumericPlan
from modelmonitor_trainer.profile.window import WindowProfile
from modelmonitor_trainer.profile.window_moments import window_moments

#: Maximum number of values per side that are read again for correlations that were not requested.
MAX_OPTIONAL_VALUES = 2_000_000


@register
class CorrelationDrift(RowDetector):
    """Compares the correlations of all pairs of numeric features."""

    type = DetectorType.CORRELATION_DRIFT

    def test(self, ctx: CheckContext, data: ProfiledData, spec: DetectorSpec) -> Sequence[HypothesisFamily]:
        """Return the families of Pearson and rank correlations."""
        source, reference, current = data.source, data.rows.reference, data.rows.current
        assert reference is not None
        selected = select_features([spec], source.features)
        # A correlation with a date is one with time, which the windows differ by.
        plans = [plan for plan in data.rows.plan if isinstance(plan, NumericPlan) and not plan.dates]
        numeric = [plan for plan in plans if plan.name in selected]
        values = max(reference.rows, current.rows) * len(numeric)
        if spec.name in source.optional and values > MAX_OPTIONAL_VALUES:
            rows = max(reference.rows, current.rows)
            reason = (
                f"{rows:,} rows of {len(numeric)} numeric columns are too many to read again by default; "
                f"{source.wording.correlations_option}"
            )
            return [replace(self.not_tested(spec, reason), what="correlations")]
        scales = [
            scale
            for plan in numeric[:MAX_COLUMNS]
            if (scale := scale_of(plan, reference.columns[plan.name].total.counts)) is not None
        ]
        before, now = (_moments(ctx, window, scales) if len(scales) > 1 else [] for window in (reference, current))
        level = level_of(source.sensitivity, source.checks_per_day)
        names, independent = [scale.name for scale in scales], source.sensitivity.independent_rows
        families = find_correlation_drift(spec.name, names, before, now, level, independent=independent)
        skipped = len(numeric) - MAX_COLUMNS
        if skipped > 0:
            more = f"; {skipped} more columns are not compared; select columns with the detector's columns"
            families = [replace(family, message=family.message + more) for family in families]
        return families


def _moments(ctx: CheckContext, window: WindowProfile, scales: Sequence[Scale]) -> list[Moments]:
    batches = [profile.block for profile in window.blocks]
    cache = ProfileCache(ctx.store, ctx.cache_prefix)
    return window_moments(ctx.store, batches, scales, ctx.fmt, cache, engine=ctx.engine)
