"""Drift: which columns have changed by more than chance, more than ordinarily, and enough to matter.

A change counts as drift when three things hold at once: its p-value, adjusted over all tests of the
check, is below the level that the false-alarm budget leaves for one check; it is larger than the
windows of the reference lie apart themselves (where the reference has enough blocks to tell); and its
size is at least the one that the user cares about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.detect.hypotheses import decide as decide_relation
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
    """A column to be compared between two windows.

    Attributes
    ----------
    detector
        Name of the detector that asks for it.
    role
        "Feature", "Target" or "Prediction".
    plan, reference, current
        The column, and its profiles.
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
    """One test and what came of it.

    Attributes
    ----------
    what
        DISTRIBUTION or MISSING.
    evidence
        Effect, interval, p-value.
    adjusted_p
        The p-value adjusted for the number of tests of the check.
    measured, limit
        The distance as calibration measures it (with what chance adds), and the one that ordinary variation
        reaches; None if the reference cannot tell.
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
    """What the tests of one column found.

    Attributes
    ----------
    comparison
        The column.
    tests
        Those that could be made.
    stability, jensen_shannon
        For people who think in them; NaN where a side is empty.
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
    """What the check found over all columns.

    Attributes
    ----------
    columns
        By evidence, the strongest first.
    level
        Level of the check.
    tests
        How many tests it was adjusted for.
    calibrations
        Role → how the level was calibrated.
    detectable
        Smallest effect that the rows would have shown four times in five.
    rows_needed
        How many rows the current window must have for ``detectableEffect``; None if no number is enough.
    relations
        Tests of what holds between columns; one p-value each among the tests.
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
        """The columns with very many values, most of which do not occur in the reference."""
        return tuple(column for column in self.columns if _mostly_new(column.comparison))

    @property
    def changed_relations(self) -> tuple[HypothesisFamily, ...]:
        """The relations that have changed."""
        return tuple(relation for relation in self.relations if relation.drifted)


def level_of(sensitivity: Sensitivity, checks_per_day: float) -> float:
    """Return the level of one check, at which the budget of false alarms is kept on average.

    The number of false alarms expected in ``perDays`` is the level times the number of checks in them,
    however much successive windows overlap.
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
        Give the level, and the effect that matters.
    rows
        Of the reference and of the current window.
    calendars
        Role → blocks of both windows; a role without one is not calibrated.
    relations
        Tests of what holds between columns, not yet decided.
    """
    level = level_of(sensitivity, checks_per_day)
    results = [_tested(comparison) for comparison in comparisons]
    raw = [test.evidence.p_value for result in results for test in result.tests]
    p_values = adjusted([*raw, *(p for relation in relations if (p := relation.p_value) is not None)])
    calibrations = _calibrations(results, level, len(p_values), calendars)
    minimum = float(sensitivity.minimum_effect)
    decided, place, used = [], 0, dict.fromkeys(calibrations, 0)
    for result in results:
        tests = []
        for test in result.tests:
            calibration = calibrations[result.comparison.role]
            number = used[result.comparison.role]
            used[result.comparison.role] += 1
            calibrated = calibration.method != "None"
            beyond = not calibrated or bool(calibration.exceeded()[number])
            adjusted_p = float(p_values[place])
            tests.append(
                replace(
                    test,
                    adjusted_p=adjusted_p,
                    measured=float(calibration.observed[number]) if calibrated else None,
                    limit=float(calibration.limits[number]) if calibrated else None,
                    drifted=adjusted_p < level and beyond and test.evidence.effect >= minimum,
                )
            )
            place += 1
        decided.append(replace(result, tests=tuple(tests)))
    count = max(1, len(p_values))
    return DriftResult(
        columns=tuple(sorted(decided, key=_column_rank)),
        level=level,
        tests=len(p_values),
        calibrations=calibrations,
        detectable=detectable_effect(*rows, level, count),
        rows_needed=rows_needed(rows[0], float(sensitivity.detectable_effect), level, count),
        relations=_decided_relations(relations, p_values[len(raw) :], level, minimum),
    )


def _decided_relations(
    relations: Sequence[HypothesisFamily], p_values: Floats, level: float, minimum: float
) -> tuple[HypothesisFamily, ...]:
    left = iter(p_values.tolist())
    return tuple(
        relation if relation.p_value is None else decide_relation(relation, next(left), level, minimum)
        for relation in relations
    )


def _tested(comparison: Comparison) -> ColumnResult:
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
    # A target without a value is a label that has not come yet: no change of the world.
    if rates is not None and comparison.role != "Target":
        tests.append(ColumnTest(MISSING, rates))
    return ColumnResult(comparison, tuple(tests), *stability)


def _calibrations(
    results: Sequence[ColumnResult], level: float, tests: int, calendars: Mapping[str, Calendar]
) -> dict[str, DriftThresholds]:
    """Return the calibration of each role; the level is shared out by the number of tests."""
    found = {}
    for role in dict.fromkeys(result.comparison.role for result in results):
        series = [
            _distributions(result.comparison)
            if test.what == DISTRIBUTION
            else missing_series(result.comparison.reference, result.comparison.current)
            for result in results
            if result.comparison.role == role
            for test in result.tests
        ]
        found[role] = fit_thresholds(series, calendars.get(role, _NO_BLOCKS), level * len(series) / max(1, tests))
    return found


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
