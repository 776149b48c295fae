"""The interface of detectors, and their registry.

A detector is one module of this package with one class. ``docs/contributing/adding-a-detector.md`` shows a complete
example. The detector compares; the pipeline decides: p-values of all detectors are adjusted together, so that the
false-alarm budget of a check does not depend on the number of its detectors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import ClassVar, TypeVar

from modelmonitor_api.outcomes import DetectorStatus
from modelmonitor_api.spec import Detector as DetectorSpec
from modelmonitor_api.spec import DetectorType, Feature
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import CheckData, ProfiledData
from modelmonitor_trainer.detect.drift import Comparison, DriftResult
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily, in_words
from modelmonitor_trainer.detect.labelling import Labelling
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.detect.quality import Violation
from modelmonitor_trainer.detect.result import DetectorOutcome
from modelmonitor_trainer.errors import BadConfiguration, BadData, ObjectChanged


class Stage(IntEnum):
    """When a detector runs. Violations of an earlier stage skip all later detectors except those of columns."""

    CONTRACT = 0
    MODEL = 1
    DRIFT = 2


class Need(Enum):
    """What a detector needs; without it the detector does not run."""

    REFERENCE = "reference"
    OUTCOMES = "outcomes"
    CHAMPION = "champion"
    #: Profiles that are made only for detectors that need them.
    LABEL_PROFILE = "label profile"


@dataclass(frozen=True)
class DetectorResult:
    """What a detector found, before the pipeline decides what is significant.

    Attributes
    ----------
    comparisons
        Columns whose distributions are to be tested.
    families
        Families of hypotheses about rows: pairs of columns, slices, features.
    violations
        Violations of the feature contract. They make the verdict Corrupted.
    performance
        Scores of the champion.
    notes
        Sentences for the report.
    labelling
        How rows and labels found each other; None if they were not joined.
    """

    comparisons: tuple[Comparison, ...] = ()
    families: tuple[HypothesisFamily, ...] = ()
    violations: tuple[Violation, ...] = ()
    performance: tuple[PerformanceResult, ...] = ()
    notes: tuple[str, ...] = ()
    labelling: Labelling | None = None

    def __add__(self, other: DetectorResult) -> DetectorResult:
        """Return the results of both."""
        return DetectorResult(
            self.comparisons + other.comparisons,
            self.families + other.families,
            self.violations + other.violations,
            self.performance + other.performance,
            self.notes + other.notes,
            self.labelling or other.labelling,
        )


@dataclass(frozen=True)
class Findings:
    """The results of all detectors, decided together.

    Attributes
    ----------
    data
        What was compared.
    violations, performance
        As the detectors returned them.
    drift
        Decided comparisons and families; None without a reference.
    notes
        Sentences for the report.
    labelling
        How rows and labels found each other; None if they were not joined.
    """

    data: ProfiledData
    violations: tuple[Violation, ...] = ()
    performance: tuple[PerformanceResult, ...] = ()
    drift: DriftResult | None = None
    notes: tuple[str, ...] = ()
    labelling: Labelling | None = None


class Detector(ABC):
    """A kind of detector.

    Attributes
    ----------
    type
        Its type in the spec.
    stage
        When it runs.
    needs
        What it needs to run.
    runs_on_corrupted_data
        Whether it runs even if the data violate the contract.
    """

    type: ClassVar[DetectorType]
    stage: ClassVar[Stage] = Stage.DRIFT
    needs: ClassVar[frozenset[Need]] = frozenset()
    runs_on_corrupted_data: ClassVar[bool] = False

    @abstractmethod
    def run(self, ctx: CheckContext, data: ProfiledData, specs: Sequence[DetectorSpec]) -> DetectorResult:
        """Return what the detectors of this type found.

        Parameters
        ----------
        ctx, data
            The check, and what it compares.
        specs
            All detectors of this type, in the order of the spec.
        """

    @abstractmethod
    def outcome(self, spec: DetectorSpec, findings: Findings) -> tuple[DetectorStatus, str]:
        """Return the outcome of one detector, and why in a sentence, from the decided results."""


class RowDetector(Detector):
    """A detector that reads rows and returns families of hypotheses, such as correlations of pairs of columns.

    The families appear in the verdict, in the JSON result, and as cards of the report page.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.REFERENCE})

    @abstractmethod
    def test(self, ctx: CheckContext, data: ProfiledData, spec: DetectorSpec) -> Sequence[HypothesisFamily]:
        """Return the families of one detector, undecided.

        Raises
        ------
        BadData
            If the rows cannot be used; the message becomes the outcome of the detector.
        """

    def run(self, ctx: CheckContext, data: ProfiledData, specs: Sequence[DetectorSpec]) -> DetectorResult:
        """Return the families of all detectors of this type; rows that cannot be used are reported, not raised."""
        families: list[HypothesisFamily] = []
        for spec in specs:
            try:
                with ctx.stopwatch.step(spec.name):
                    families += self.test(ctx, data, spec)
            except BadData as error:
                families.append(self.not_tested(spec, str(error)))
            except ObjectChanged as error:
                # Profiles of the reference are stored, its rows are not: only these detectors need them.
                if error.uri not in _reference_uris(data.source):
                    raise
                reason = f"the rows of the reference are needed, and {error.uri} has been replaced or deleted"
                families.append(self.not_tested(spec, reason))
        return DetectorResult(families=tuple(families))

    def outcome(self, spec: DetectorSpec, findings: Findings) -> tuple[DetectorStatus, str]:
        """Return the outcome of the families of one detector."""
        if findings.violations:
            return DetectorStatus.NOT_TESTED, "the data violate the contract"
        families = [f for f in findings.drift.relations if f.detector == spec.name] if findings.drift else []
        if not families:
            return DetectorStatus.NOT_TESTED, "there is nothing to compare with"
        message = "; ".join(f"{in_words(f)} ({f.message})" if f.drifted else f"{f.what}: {f.message}" for f in families)
        if any(family.drifted for family in families):
            return DetectorStatus.DRIFT, message
        if any(family.unresolved for family in families):
            return DetectorStatus.INCONCLUSIVE, message
        tested = any(family.subjects for family in families)
        return DetectorStatus.NO_DRIFT if tested else DetectorStatus.NOT_TESTED, message

    def not_tested(self, spec: DetectorSpec, reason: str) -> HypothesisFamily:
        """Return a family that could not be tested, and why."""
        return HypothesisFamily(spec.name, self.type.value, "not tested", message=reason, tested=False)


#: Detectors by their type in the spec.
REGISTRY: dict[DetectorType, Detector] = {}

_D = TypeVar("_D", bound=type[Detector])


def register(cls: _D) -> _D:
    """Add a detector class to the registry."""
    REGISTRY[cls.type] = cls()
    return cls


def outcome_of(spec: DetectorSpec, findings: Findings) -> DetectorOutcome:
    """Return the outcome of a detector for the result."""
    status, message = REGISTRY[spec.type].outcome(spec, findings)
    return DetectorOutcome(spec.name, spec.type.value, status, message)


def select_features(specs: Sequence[DetectorSpec], features: Sequence[Feature]) -> dict[str, str]:
    """Return feature → name of the first detector that includes it.

    Raises
    ------
    BadConfiguration
        If a detector names a column that is not a feature.
    """
    known = [feature.name for feature in features]
    selected: dict[str, str] = {}
    for spec in specs:
        for column in spec.columns or known:
            if column not in known:
                raise BadConfiguration(
                    f"the detector {spec.name} includes {column!r}, which is not in spec.model.features; "
                    "add it there, or remove it from the detector"
                )
            selected.setdefault(column, spec.name)
    return selected


def _reference_uris(data: CheckData) -> set[str]:
    pairs = (data.rows, data.labels)
    return {info.uri for pair in pairs if pair for batch in pair.reference for info in batch.objects}
