"""What came of each detector, and what a reader should know of how the verdict was reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelmonitor_api.spec import Detector, DetectorType
from modelmonitor_trainer.check.compare import Windows
from modelmonitor_trainer.detect.drift import DriftResult
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.detect.quality import Violation
from modelmonitor_trainer.detect.result import DetectorOutcome


@dataclass(frozen=True)
class Finding:
    """Everything that one pass over the data has found.

    Attributes
    ----------
    windows, labels
        The profiles of the rows, and of the labels where the target comes with them.
    drift
        None where there was nothing to compare with.
    violations, performance
        What the other detectors found.
    """

    windows: Windows
    labels: Windows | None
    drift: DriftResult | None
    violations: tuple[Violation, ...]
    performance: tuple[PerformanceResult, ...]


def outcomes(detectors: Sequence[Detector], found: Finding) -> tuple[DetectorOutcome, ...]:
    """Return what came of each detector."""
    by_type = {
        DetectorType.DATA_QUALITY: _quality,
        DetectorType.PERFORMANCE: _performance,
        DetectorType.FEATURE_DRIFT: _drift,
        DetectorType.TARGET_DRIFT: _drift,
    }
    return tuple(
        DetectorOutcome(detector.name, detector.type.value, *by_type[detector.type](detector, found))
        for detector in detectors
    )


def _quality(_detector: Detector, found: Finding) -> tuple[str, str]:
    if found.violations:
        return "Broken", "; ".join(violation.message for violation in found.violations)
    return "Kept", "all rows keep the contract"


def _performance(detector: Detector, found: Finding) -> tuple[str, str]:
    result = next((result for result in found.performance if result.detector == detector.name), None)
    if result is None:
        return "NotTested", "the data are broken" if found.violations else "there is no champion yet"
    if result.score is None:
        return "NotTested", result.message
    return "Dropped" if result.dropped else "Held", result.message


def _drift(detector: Detector, found: Finding) -> tuple[str, str]:
    if found.drift is None:
        return "NotTested", "there is nothing to compare with"
    role = "Target" if detector.type is DetectorType.TARGET_DRIFT else "Feature"
    wanted = set(detector.columns or [])
    looked = [
        column
        for column in found.drift.columns
        if column.comparison.role == role and column.tests and (not wanted or column.name in wanted)
    ]
    if not looked:
        return "NotTested", "one of the sides has no values" if role == "Feature" else "one of the sides has no labels"
    drifted = [column.name for column in looked if column.drifted]
    if drifted:
        return "Drift", f"{', '.join(drifted)}; {len(looked)} columns tested"
    return "NoDrift", f"{len(looked)} columns tested" if len(looked) > 1 else "1 column tested"


def notes_on(drift: DriftResult | None, windows: Windows) -> tuple[str, ...]:
    """Return what a reader should know of how the verdict was reached."""
    found = []
    calibrations = drift.calibrations.items() if drift else ()
    for role, calibration in calibrations:
        if calibration.method == "None":
            found.append(
                f"{role}: the reference has too few partitions to measure how much they differ by themselves, so the "
                "test assumes exchangeable rows. If the rows of a day are alike, expect more false alarms."
            )
        else:
            how = "neighbouring" if calibration.method == "Contiguous" else "randomly drawn"
            found.append(
                f"{role}: drift must also exceed what {calibration.windows} pseudo-current windows of {how} partitions "
                "of the reference reach."
            )
    if windows.reference is not None:
        found += [
            f"Column {name!r} is missing from the reference and could not be compared."
            for name in windows.reference.columns
            if not windows.reference.columns[name].rows.sum()
        ]
    return tuple(found)
