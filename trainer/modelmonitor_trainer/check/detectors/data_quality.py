"""DataQuality: rows that violate the feature contract, changed units, partial or missing partitions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from modelmonitor_api.outcomes import DetectorStatus
from modelmonitor_api.spec import Detector as DetectorSpec
from modelmonitor_api.spec import DetectorType
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import CheckData, ProfiledData
from modelmonitor_trainer.check.detectors.base import (
    Detector,
    DetectorResult,
    Findings,
    Stage,
    register,
    select_features,
)
from modelmonitor_trainer.data.windows import days_of
from modelmonitor_trainer.detect.quality import Violation, contract_violations, missing_partitions
from modelmonitor_trainer.detect.unit_changes import row_count_violations, unit_changes
from modelmonitor_trainer.profile.plans import date_columns
from modelmonitor_trainer.profile.window import WindowProfile


def _days_with_rows(window: WindowProfile) -> list[dt.date]:
    """Return the days that have rows, or objects that cannot be read: a partition without rows is a missing one."""
    return [block.block.day for block in window.blocks if block.block.day and (block.rows or block.unreadable)]


def _expected_days(source: CheckData, current: WindowProfile) -> list[dt.date]:
    """Return the days of the live window; of files, which can be any selection of days, those that have a file."""
    if source.current_window is not None:
        return list(days_of(source.current_window))
    return [block.block.day for block in current.blocks if block.block.day]


@register
class DataQuality(Detector):
    """Tests the current window against the declared contract and against the reference."""

    type = DetectorType.DATA_QUALITY
    stage = Stage.CONTRACT

    def run(self, ctx: CheckContext, data: ProfiledData, specs: Sequence[DetectorSpec]) -> DetectorResult:
        """Return the violations of the contract."""
        source, (reference, current) = data.source, (data.rows.reference, data.rows.current)
        selected = select_features(specs, source.features)
        features = [feature for feature in source.features if feature.name in selected]
        if not source.has_contract and (reference is None or not reference.rows):
            # Inferred columns declare nothing, and a reference without rows shows nothing.
            features = []
        dates = date_columns(data.rows.plan) if not source.has_contract else frozenset()
        violations: list[Violation] = []
        if reference is not None and features:
            violations += unit_changes(
                [feature for feature in features if feature.name not in dates], current, reference
            )
            violations += row_count_violations(current, reference)
        # What a feature was does not bind it once the spec declares another type: a training is to learn it.
        retyped = source.champion.retyped if source.champion else frozenset()
        violations += contract_violations([f for f in features if f.name not in retyped], current, reference, dates)
        violations += contract_violations([f for f in features if f.name in retyped], current, None, dates)
        before = _days_with_rows(reference) if reference else []
        violations += missing_partitions(_expected_days(source, current), _days_with_rows(current), before)
        return DetectorResult(violations=tuple(violations))

    def outcome(self, spec: DetectorSpec, findings: Findings) -> tuple[DetectorStatus, str]:
        """Return whether the contract is kept."""
        if findings.violations:
            return DetectorStatus.BROKEN, "; ".join(violation.message for violation in findings.violations)
        return DetectorStatus.KEPT, "all rows satisfy the contract"
