"""FeatureDrift, TargetDrift and PredictionDrift: distributions and missing values of single columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from modelmonitor_api.outcomes import DetectorStatus
from modelmonitor_api.spec import Detector as DetectorSpec
from modelmonitor_api.spec import DetectorType
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import ProfiledData
from modelmonitor_trainer.check.detectors.base import (
    Detector,
    DetectorResult,
    Findings,
    Need,
    register,
    select_features,
)
from modelmonitor_trainer.detect.drift import Comparison


class DistributionDrift(Detector):
    """Compares columns of one role: features, the target, or predictions.

    Attributes
    ----------
    role
        Role of the columns in the result.
    """

    role: ClassVar[str]
    runs_on_corrupted_data = True

    @abstractmethod
    def columns(self, data: ProfiledData, specs: Sequence[DetectorSpec]) -> dict[str, str]:
        """Return column → name of the detector that includes it."""

    def run(self, ctx: CheckContext, data: ProfiledData, specs: Sequence[DetectorSpec]) -> DetectorResult:
        """Return the comparisons of the columns."""
        selected = self.columns(data, specs)
        comparisons = [
            Comparison.of_windows(selected[plan.name], self.role, plan, pair.reference, pair.current)
            for pair in data.pairs
            if pair.reference is not None
            for plan in pair.plan
            if plan.name in selected
        ]
        return DetectorResult(comparisons=tuple(comparisons))

    def outcome(self, spec: DetectorSpec, findings: Findings) -> tuple[DetectorStatus, str]:
        """Return which columns have drifted."""
        if findings.drift is None:
            return DetectorStatus.NOT_TESTED, "there is nothing to compare with"
        wanted = set(spec.columns or [])
        tested = [
            column
            for column in findings.drift.columns
            if column.comparison.role == self.role and column.tests and (not wanted or column.name in wanted)
        ]
        if not tested:
            return DetectorStatus.NOT_TESTED, findings.data.source.wording.not_compared[self.role]
        count = f"{len(tested)} columns tested" if len(tested) > 1 else "1 column tested"
        drifted = [column.name for column in tested if column.drifted]
        if drifted:
            return DetectorStatus.DRIFT, f"{', '.join(drifted)}; {count}"
        unsure = [column.name for column in tested if column.doubts]
        if unsure:
            return DetectorStatus.INCONCLUSIVE, f"{', '.join(unsure)}; {count}"
        return DetectorStatus.NO_DRIFT, count


@register
class FeatureDrift(DistributionDrift):
    """Drift of the features."""

    type = DetectorType.FEATURE_DRIFT
    role = "Feature"

    def columns(self, data: ProfiledData, specs: Sequence[DetectorSpec]) -> dict[str, str]:
        """Return the features that the detectors include."""
        return select_features(specs, data.source.features)


@register
class TargetDrift(DistributionDrift):
    """Drift of the true outcome."""

    type = DetectorType.TARGET_DRIFT
    role = "Target"
    needs = frozenset({Need.LABEL_PROFILE})

    def columns(self, data: ProfiledData, specs: Sequence[DetectorSpec]) -> dict[str, str]:
        """Return the target."""
        return {data.source.target: specs[0].name} if data.source.target is not None else {}


@register
class PredictionDrift(DistributionDrift):
    """Drift of the predictions of one and the same model."""

    type = DetectorType.PREDICTION_DRIFT
    role = "Prediction"

    def columns(self, data: ProfiledData, specs: Sequence[DetectorSpec]) -> dict[str, str]:
        """Return the logged predictions."""
        return {data.source.prediction: specs[0].name} if data.source.prediction is not None else {}
