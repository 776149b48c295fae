"""What came of each detector, and what a reader should know of how the verdict was reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelmonitor_api.spec import Detector, DetectorType
from modelmonitor_trainer.check.compare import ProfiledPair
from modelmonitor_trainer.detect.drift import DriftResult
from modelmonitor_trainer.detect.hypotheses import in_words
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.detect.quality import Violation
from modelmonitor_trainer.detect.result import DetectorOutcome
from modelmonitor_trainer.detect.thresholds import DriftThresholds

#: From here on a reader should know that limits were stretched.
NOTABLE_STRETCH = 1.05

_ROLES = {
    DetectorType.FEATURE_DRIFT: "Feature",
    DetectorType.TARGET_DRIFT: "Target",
    DetectorType.PREDICTION_DRIFT: "Prediction",
}
_NOTHING = {
    "Feature": "one of the sides has no values",
    "Target": "one of the sides has no labels",
    "Prediction": "there are no logged predictions of this model from before the live window",
}
_NOTHING_IN_FILES = {
    "Feature": "one of the sides has no values",
    "Target": "one of the sides has no values of the target",
    "Prediction": "one of the sides has no predictions",
}


@dataclass(frozen=True)
class CheckFindings:
    """Everything that one pass over the data has found.

    Attributes
    ----------
    windows, labels, predictions
        The profiles of the rows, of the labels where the target comes with them, and of the predictions.
    drift
        None where there was nothing to compare with.
    violations, performance
        What the other detectors found.
    """

    windows: ProfiledPair
    labels: ProfiledPair | None
    drift: DriftResult | None
    violations: tuple[Violation, ...]
    performance: tuple[PerformanceResult, ...]
    predictions: ProfiledPair | None = None


def detector_outcomes(detectors: Sequence[Detector], found: CheckFindings) -> tuple[DetectorOutcome, ...]:
    """Return what came of each detector."""
    by_type = {
        DetectorType.DATA_QUALITY: _quality,
        DetectorType.PERFORMANCE: _performance,
        DetectorType.FEATURE_DRIFT: _drift,
        DetectorType.TARGET_DRIFT: _drift,
        DetectorType.PREDICTION_DRIFT: _drift,
        DetectorType.PREDICTION_BIAS: _relation,
        DetectorType.CORRELATION_DRIFT: _relation,
        DetectorType.ABLATION: _relation,
    }
    return tuple(
        DetectorOutcome(detector.name, detector.type.value, *by_type[detector.type](detector, found))
        for detector in detectors
    )


def _quality(_detector: Detector, found: CheckFindings) -> tuple[str, str]:
    if found.violations:
        return "Broken", "; ".join(violation.message for violation in found.violations)
    return "Kept", "all rows keep the contract"


def _performance(detector: Detector, found: CheckFindings) -> tuple[str, str]:
    result = next((result for result in found.performance if result.detector == detector.name), None)
    if result is None:
        return "NotTested", "the data are broken" if found.violations else "there is no champion yet"
    if result.score is None or result.promised is None:
        return "NotTested", result.message
    return "Dropped" if result.dropped else "Held", result.message


def _relation(detector: Detector, found: CheckFindings) -> tuple[str, str]:
    if found.violations:
        return "NotTested", "the data are broken"
    made = [r for r in found.drift.relations if r.detector == detector.name] if found.drift else []
    if not made:
        return "NotTested", "there is nothing to compare with"
    said = "; ".join(f"{in_words(r)} ({r.message})" if r.drifted else f"{r.what}: {r.message}" for r in made)
    if any(relation.drifted for relation in made):
        return "Drift", said
    return "NoDrift" if any(relation.subjects for relation in made) else "NotTested", said


def _drift(detector: Detector, found: CheckFindings) -> tuple[str, str]:
    if found.drift is None:
        return "NotTested", "there is nothing to compare with"
    role = _ROLES[detector.type]
    wanted = set(detector.columns or [])
    looked = [
        column
        for column in found.drift.columns
        if column.comparison.role == role and column.tests and (not wanted or column.name in wanted)
    ]
    if not looked:
        return "NotTested", (_NOTHING_IN_FILES if of_files(found.windows) else _NOTHING)[role]
    tested = f"{len(looked)} columns tested" if len(looked) > 1 else "1 column tested"
    drifted = [column.name for column in looked if column.drifted]
    if drifted:
        return "Drift", f"{', '.join(drifted)}; {tested}"
    return "NoDrift", tested


def of_files(windows: ProfiledPair) -> bool:
    """Whether the current window is made of files, and not of partitions of days."""
    return bool(windows.current.blocks) and not any(block.block.day for block in windows.current.blocks)


def notes_on(drift: DriftResult | None, windows: ProfiledPair) -> tuple[str, ...]:
    """Return what a reader should know of how the verdict was reached."""
    parts = "files" if of_files(windows) else "partitions"
    told: dict[str, list[str]] = {}
    for role, calibration in drift.calibrations.items() if drift else ():
        for said in _calibrated(calibration, parts):
            told.setdefault(said, []).append(role)
    found = [f"{', '.join(roles)}: {said}" for said, roles in told.items()]
    if windows.reference is not None:
        found += [
            f"Column {name!r} is missing from the reference and could not be compared."
            for name in windows.reference.columns
            if not windows.reference.columns[name].rows.sum()
        ]
    strange = [column.name for column in drift.mostly_new] if drift else []
    if strange:
        found.append(
            f"Most of the different values of {', '.join(strange[:5])} do not occur in the reference. Where there are "
            "so many, they are compared in groups, and other values in the same proportions look alike: if these are "
            "no identifiers, look at them; if they are, leave the column out."
        )
    return tuple(found)


def _calibrated(calibration: DriftThresholds, parts: str) -> list[str]:
    """Return how the limits of one kind of columns were found."""
    if calibration.method == "None":
        text = f"the reference has too few {parts} to measure how much they differ by themselves, so the test assumes "
        return [text + "exchangeable rows. If the rows of a day are alike, expect more false alarms."]
    how = "neighbouring" if calibration.method == "Contiguous" else "randomly drawn"
    text = (
        f"drift must also exceed what {calibration.windows} pseudo-current windows of {how} {parts} of the reference "
        f"reach. The level of one check is extrapolated from about {calibration.independent:.0f} independent ones, and "
        "the limits are widened for it."
    )
    if calibration.stretch <= NOTABLE_STRETCH:
        return [text]
    return [text, f"neighbouring days are alike, so limits are stretched up to {calibration.stretch:.1f} times."]
