"""Drift of columns: changes that are significant, exceed normal variation, and are large enough to matter.

A change counts as drift if three conditions hold at once: its p-value, adjusted over all tests of the check, is below
the level that the false-alarm budget allows for one check; it exceeds the variation between windows of the reference
(if the reference has enough batches); and the effect size is at least ``minimumEffect``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.detect.hypotheses import decide as decide_family
from modelmonitor_trainer.detect.rare_categories import mostly_new, spread_rare
from modelmonitor_trainer.detect.statistics import (
    Evidence,
    adjusted,
    compare_categories,
    compare_numbers,
    compare_rates,
    detectable_effect,
    population_stability,
    rows_needed,
)
from modelmonitor_trainer.detect.thresholds import (
    Calendar,
    DriftThresholds,
    Series,
    distribution_series,
    fit_thresholds,
    missing_series,
)
from modelmonitor_trainer.profile.binning import CategoricalPlan, ColumnPlan, NumericPlan
from modelmonitor_trainer.profile.columns import CategoricalProfile
from modelmonitor_trainer.profile.window import ColumnWindow, WindowProfile

_NO_BLOCKS = Calendar.of((), ())
DISTRIBUTION, MISSING = "Distribution", "MissingValues"


@dataclass(frozen=True)
class Comparison:
    """A column of two windows to compare.

    Attributes
    ----------
    detector
        Name of the detector.
    role
        "Feature", "Target" or "Prediction".
    plan, reference, current
        The bins of the column, and its profiles.
    """

    detector: str
    role: str
    plan: ColumnPlan
    reference: ColumnWindow
    current: ColumnWindow

    @classmethod
    def of_windows(
        cls, detector: str, role: str, plan: ColumnPlan, reference: WindowProfile, current: WindowProfile
    ) -> Comparison:
        """Return the comparison of a column of two windows."""
        return cls(detector, role, plan, reference.columns[plan.name], current.columns[plan.name])


@dataclass(frozen=True)
class ColumnTest:
    """A test of a column and its result.

    Attributes
    ----------
    what
        DISTRIBUTION or MISSING.
    evidence
        Effect, interval, p-value.
    adjusted_p
        The p-value adjusted for the number of tests of the check.
    measured, limit
        The distance including the part that chance adds, and its threshold; None if the reference has too few
        batches for thresholds.
    drifted
        Whether it counts as drift.
    """

    what: str
    evidence: Evidence
    adjusted_p: float = 1.0
    measured: float | None = None
    limit: float | None = None
    drifted: bool = False


@dataclass(frozen=True)
class ColumnResult:
    """The result of the tests of a column.

    Attributes
    ----------
    comparison
        The column.
    tests
        Tests that could be made.
    stability, jensen_shannon
        For comparison with other tools; NaN if a side is empty.
    """

    comparison: Comparison
    tests: tuple[ColumnTest, ...]
    stability: float
    jensen_shannon: float

    @property
    def name(self) -> str:
        """The column."""
        return self.comparison.plan.name

    @property
    def drifted(self) -> bool:
        """Whether any test counts as drift."""
        return any(test.drifted for test in self.tests)

    @property
    def decisive(self) -> ColumnTest | None:
        """The test with most evidence; that of the distribution where they are equal."""
        return min(self.tests, key=_rank, default=None)


@dataclass(frozen=True)
class DriftResult:
    """The decided tests of a check.

    Attributes
    ----------
    columns
        Columns, the strongest evidence first.
    level
        Level of the check.
    tests
        Number of tests that p-values are adjusted for.
    calibrations
        Role → thresholds.
    detectable
        Smallest effect that the rows would show with a power of 80 %.
    rows_needed
        Number of rows of the current window at which ``detectableEffect`` is detectable; None if none is enough.
    relations
        Families of hypotheses about rows; each counts as one test.
    """

    columns: tuple[ColumnResult, ...]
    level: float
    tests: int
    calibrations: dict[str, DriftThresholds]
    detectable: float
    rows_needed: int | None
    relations: tuple[HypothesisFamily, ...] = ()

    @property
    def drifted(self) -> tuple[ColumnResult, ...]:
        """The columns that have drifted, the strongest evidence first."""
        return tuple(column for column in self.columns if column.drifted)

    @property
    def mostly_new(self) -> tuple[ColumnResult, ...]:
        """The columns with very many distinct values, most of which do not occur in the reference."""
        return tuple(column for column in self.columns if _mostly_new(column.comparison))

    @property
    def changed_relations(self) -> tuple[HypothesisFamily, ...]:
        """The families that have drifted."""
        return tuple(relation for relation in self.relations if relation.drifted)


def level_of(sensitivity: Sensitivity, checks_per_day: float) -> float:
    """Return the significance level of one check that meets the false-alarm budget on average.

    The expected number of false alarms in ``perDays`` is the level times the number of checks, even if successive
    windows overlap.
    """
    budget = sensitivity.false_alarms
    return min(0.5, budget.count / (budget.per_days * checks_per_day))


def find_drift(
    comparisons: Sequence[Comparison],
    sensitivity: Sensitivity,
    checks_per_day: float,
    *,
    rows: tuple[int, int],
    calendars: Mapping[str, Calendar],
    relations: Sequence[HypothesisFamily] = (),
) -> DriftResult:
    """Compare all columns and decide which have drifted.

    Parameters
    ----------
    comparisons
        The columns of all detectors, each once.
    sensitivity, checks_per_day
        Determine the level, and the smallest effect that matters.
    rows
        Of the reference and of the current window.
    calendars
        Role → batches of both windows; a role without one has no thresholds.
    relations
        Undecided families of hypotheses.
    """
    level = level_of(sensitivity, checks_per_day)
    results = [_test_column(comparison) for comparison in comparisons]
    raw = [test.evidence.p_value for result in results for test in result.tests]
    p_values = adjusted([*raw, *(p for relation in relations if (p := relation.p_value) is not None)])
    calibrations = _calibrations(results, level, len(p_values), calendars)
    minimum = float(sensitivity.minimum_effect)
    decided, index, used = [], 0, dict.fromkeys(calibrations, 0)
    for result in results:
        tests = []
        for test in result.tests:
            calibration = calibrations[result.comparison.role]
            number = used[result.comparison.role]
            used[result.comparison.role] += 1
            calibrated = calibration.method != "None"
            beyond = not calibrated or bool(calibration.exceeded()[number])
            adjusted_p = float(p_values[index])
            tests.append(
                replace(
                    test,
                    adjusted_p=adjusted_p,
                    measured=float(calibration.observed[number]) if calibrated else None,
                    limit=float(calibration.limits[number]) if calibrated else None,
                    drifted=adjusted_p < level and beyond and test.evidence.effect >= minimum,
                )
            )
            index += 1
        decided.append(replace(result, tests=tuple(tests)))
    count = max(1, len(p_values))
    return DriftResult(
        columns=tuple(sorted(decided, key=_column_rank)),
        level=level,
        tests=len(p_values),
        calibrations=calibrations,
        detectable=detectable_effect(*rows, level, count),
        rows_needed=rows_needed(rows[0], float(sensitivity.detectable_effect), level, count),
        relations=_decide_relations(relations, p_values[len(raw) :], level, minimum),
    )


def _decide_relations(
    relations: Sequence[HypothesisFamily], p_values: Floats, level: float, minimum: float
) -> tuple[HypothesisFamily, ...]:
    left = iter(p_values.tolist())
    return tuple(
        relation if relation.p_value is None else decide_family(relation, next(left), level, minimum)
        for relation in relations
    )


def _test_column(comparison: Comparison) -> ColumnResult:
    plan, before, now = comparison.plan, comparison.reference.total, comparison.current.total
    if isinstance(plan, NumericPlan):
        evidence = compare_numbers(before.counts, now.counts, plan.edges)
        stability = population_stability(before.counts, now.counts)
    else:
        cut = spread_rare(plan, comparison.reference, comparison.current)
        evidence = compare_categories(cut[0].total.counts, cut[1].total.counts)
        stability = population_stability(before.counts, now.counts, groups=None)
    tests = [ColumnTest(DISTRIBUTION, evidence)] if evidence else []
    rates = compare_rates(before.missing, before.rows, now.missing, now.rows)
    # A target without a value is a label that has not arrived yet, not a change.
    if rates is not None and comparison.role != "Target":
        tests.append(ColumnTest(MISSING, rates))
    return ColumnResult(comparison, tuple(tests), *stability)


def _calibrations(
    results: Sequence[ColumnResult], level: float, tests: int, calendars: Mapping[str, Calendar]
) -> dict[str, DriftThresholds]:
    """Return the thresholds of each role; roles share the level in proportion to their tests."""
    thresholds = {}
    for role in dict.fromkeys(result.comparison.role for result in results):
        series = [
            _distributions(result.comparison)
            if test.what == DISTRIBUTION
            else missing_series(result.comparison.reference, result.comparison.current)
            for result in results
            if result.comparison.role == role
            for test in result.tests
        ]
        thresholds[role] = fit_thresholds(series, calendars.get(role, _NO_BLOCKS), level * len(series) / max(1, tests))
    return thresholds


def _distributions(comparison: Comparison) -> Series:
    cut = spread_rare(comparison.plan, comparison.reference, comparison.current)
    return distribution_series(comparison.plan, *cut)


def _mostly_new(comparison: Comparison) -> bool:
    reference, current = comparison.reference.total, comparison.current.total
    if not isinstance(comparison.plan, CategoricalPlan) or not comparison.plan.buckets:
        return False
    assert isinstance(reference, CategoricalProfile)
    assert isinstance(current, CategoricalProfile)
    return mostly_new(reference, current)


def _rank(test: ColumnTest) -> tuple[bool, float, float]:
    return not test.drifted, test.adjusted_p, -test.evidence.effect


def _column_rank(result: ColumnResult) -> tuple[bool, float, float, str]:
    test = result.decisive
    return (*(_rank(test) if test else (True, 1.0, 0.0)), result.name)
