"""Drift of columns: changes that are significant, exceed the variation between batches, and are large enough to matter.

A change counts as drift if its p-value, adjusted over all tests of the check, is below the level that the false-alarm
budget allows for one check, and the effect size is at least ``minimumEffect``. The p-value is the larger of two: that
of a test which takes rows as independent, and that of batches as clusters
(:mod:`~modelmonitor_trainer.detect.variation`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from modelmonitor_api.outcomes import DoubtReason, Verdict
from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.batches import Series
from modelmonitor_trainer.detect.calendar import Calendar
from modelmonitor_trainer.detect.column_series import distribution_series, missing_series
from modelmonitor_trainer.detect.equivalence import Doubt, doubts_about
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.detect.hypotheses import decide as decide_family
from modelmonitor_trainer.detect.rare_categories import hidden_distance, share_of_new_values, spread_rare
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
from modelmonitor_trainer.detect.variation import Variation, fit_variation, independent_rows
from modelmonitor_trainer.profile.columns import CategoricalProfile
from modelmonitor_trainer.profile.plans import CategoricalPlan, ColumnPlan, NumericPlan
from modelmonitor_trainer.profile.window import ColumnWindow, WindowProfile

_NO_BATCHES = Calendar.of((), ())
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
    batches
        The batches of the reference, and of the current window.
    lacking
        Share of the current rows that are in objects without the column.
    """

    detector: str
    role: str
    plan: ColumnPlan
    reference: ColumnWindow
    current: ColumnWindow
    batches: tuple[tuple[Batch, ...], tuple[Batch, ...]] = ((), ())
    lacking: float = 0.0

    @classmethod
    def of_windows(
        cls, detector: str, role: str, plan: ColumnPlan, reference: WindowProfile, current: WindowProfile
    ) -> Comparison:
        """Return the comparison of a column of two windows."""
        batches = tuple(batch.block for batch in reference.blocks), tuple(batch.block for batch in current.blocks)
        before, now = reference.columns[plan.name], current.columns[plan.name]
        lacking = 1 - int(now.rows.sum()) / current.rows if current.rows else 0.0
        return cls(detector, role, plan, before, now, batches, lacking)


@dataclass(frozen=True)
class ColumnTest:
    """A test of a column and its result.

    Attributes
    ----------
    what
        DISTRIBUTION or MISSING.
    evidence
        Effect, its interval, p-value; batches count as clusters.
    variation
        The variation between batches.
    adjusted_p
        The p-value adjusted for the number of tests of the check.
    ordinary
        Distance that windows reach without a change, by the level of the check.
    limit
        The larger of that and ``minimumEffect``: what drift must exceed.
    drifted
        Whether it counts as drift.
    doubts
        Why it cannot be ruled out that the column has changed by ``detectableEffect``.
    """

    what: str
    evidence: Evidence
    variation: Variation
    adjusted_p: float = 1.0
    ordinary: float = 0.0
    limit: float = 0.0
    drifted: bool = False
    doubts: tuple[Doubt, ...] = ()


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
    def doubts(self) -> tuple[Doubt, ...]:
        """Why a change of the column by ``detectableEffect`` cannot be ruled out."""
        reference, current = self.comparison.reference.rows, self.comparison.current.rows
        if not self.tests and reference.sum() and current.sum():
            return (Doubt(DoubtReason.NO_VALUES),)
        if not self.tests and self.comparison.lacking == 1 and reference.sum():
            return (Doubt(DoubtReason.MISSING_ROWS, size=1.0),)
        return tuple(doubt for test in self.tests for doubt in test.doubts)

    @property
    def verdict(self) -> Verdict:
        """Drift, NoDrift or Inconclusive."""
        if self.drifted:
            return Verdict.DRIFT
        return Verdict.INCONCLUSIVE if self.doubts or not self.tests else Verdict.NO_DRIFT

    @property
    def decisive(self) -> ColumnTest | None:
        """The test that decides the verdict: of drift, of a doubt, or that with most evidence."""
        return min(self.tests, key=_rank, default=None)


@dataclass(frozen=True)
class DriftResult:
    """The decided tests of a check.

    Attributes
    ----------
    columns
        Columns: drifted ones, inconclusive ones, and the others, each with the strongest evidence first.
    level
        Level of the check.
    tests
        Number of tests that p-values are adjusted for.
    detectable
        Smallest effect that the rows would show with a power of 80 %, if they were independent.
    rows_needed
        Number of rows of the current window at which ``detectableEffect`` is detectable; None if none is enough.
    relations
        Families of hypotheses about rows; each counts as one test.
    """

    columns: tuple[ColumnResult, ...]
    level: float
    tests: int
    detectable: float
    rows_needed: int | None
    relations: tuple[HypothesisFamily, ...] = ()

    @property
    def drifted(self) -> tuple[ColumnResult, ...]:
        """The columns that have drifted, the strongest evidence first."""
        return tuple(column for column in self.columns if column.drifted)

    @property
    def inconclusive(self) -> tuple[ColumnResult, ...]:
        """The columns that may have changed; those of which a side has no rows were not compared."""
        return tuple(column for column in self.columns if column.doubts and not column.drifted)

    @property
    def compared(self) -> tuple[ColumnResult, ...]:
        """The columns of which at least one test could be made."""
        return tuple(column for column in self.columns if column.tests)

    @property
    def unchanged(self) -> tuple[ColumnResult, ...]:
        """The columns in which a change of ``detectableEffect`` is ruled out."""
        return tuple(column for column in self.columns if column.verdict is Verdict.NO_DRIFT)

    @property
    def changed_relations(self) -> tuple[HypothesisFamily, ...]:
        """The families that have drifted."""
        return tuple(relation for relation in self.relations if relation.drifted)

    @property
    def inconclusive_relations(self) -> tuple[HypothesisFamily, ...]:
        """The families of which a hypothesis may be wrong by ``detectableEffect``."""
        return tuple(relation for relation in self.relations if relation.unresolved and not relation.drifted)


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
    """Compare all columns and decide which have drifted, and of which that can be ruled out.

    Parameters
    ----------
    comparisons
        The columns of all detectors, each once.
    sensitivity, checks_per_day
        Determine the level, and the effects that matter.
    rows
        Of the reference and of the current window.
    calendars
        Role → weekdays of the batches of both windows.
    relations
        Undecided families of hypotheses.
    """
    level = level_of(sensitivity, checks_per_day)
    results = _test_columns(comparisons, calendars, independent=sensitivity.independent_rows)
    raw = [test.evidence.p_value for result in results for test in result.tests]
    p_values = adjusted([*raw, *(p for relation in relations if (p := relation.p_value) is not None)])
    count = max(1, len(p_values))
    # The level of one test at which Benjamini and Hochberg reject: p is below it where the adjusted p is below `level`.
    each = level * max(1, int((p_values < level).sum())) / count
    left = iter(p_values.tolist())
    decided = [_decide(result, left, sensitivity, level, each) for result in results]
    wanted = float(sensitivity.detectable_effect)
    return DriftResult(
        columns=tuple(sorted(decided, key=_column_rank)),
        level=level,
        tests=len(p_values),
        detectable=detectable_effect(*rows, level, count),
        rows_needed=rows_needed(rows[0], wanted, level, count),
        relations=tuple(
            relation
            if relation.p_value is None
            else decide_family(relation, next(left), level, float(sensitivity.minimum_effect), wanted)
            for relation in relations
        ),
    )


def _decide(
    result: ColumnResult, adjusted_ps: Iterator[float], sensitivity: Sensitivity, level: float, each: float
) -> ColumnResult:
    """Return a column with its tests decided; `each` is the level of one test."""
    minimum, wanted = float(sensitivity.minimum_effect), float(sensitivity.detectable_effect)
    tests = []
    # As for the coverage of a check: a share u of rows that were not read can move a distance by u.
    lacks = result.comparison.lacking > 1 - float(sensitivity.minimum_coverage) + 1e-9
    missing = (Doubt(DoubtReason.MISSING_ROWS, size=result.comparison.lacking),) if lacks else ()
    for test in result.tests:
        adjusted_p = next(adjusted_ps)
        ordinary = test.variation.limit(each)
        drifted = adjusted_p < level and test.evidence.effect >= minimum
        odd_days = test.variation.odd_current(each, wanted)
        rare_values = _doubts_about_rare_values(result.comparison, wanted) if test.what == DISTRIBUTION else ()
        tests.append(
            replace(
                test,
                adjusted_p=adjusted_p,
                ordinary=ordinary,
                limit=max(minimum, ordinary),
                drifted=drifted,
                doubts=rare_values
                if drifted
                else doubts_about(test.evidence, test.variation, wanted, odd_days, rare_values)
                + missing * (test.what == DISTRIBUTION),
            )
        )
    return replace(result, tests=tuple(tests))


def _test_columns(
    comparisons: Sequence[Comparison], calendars: Mapping[str, Calendar], *, independent: bool
) -> list[ColumnResult]:
    """Return the undecided tests of all columns."""
    results: dict[int, ColumnResult] = {}
    for role in dict.fromkeys(comparison.role for comparison in comparisons):
        chosen = [(index, comparison) for index, comparison in enumerate(comparisons) if comparison.role == role]
        tested = [(index, comparison, *_evidence(comparison)) for index, comparison in chosen]
        series = [item for _, _, tests, _ in tested for _, _, item in tests]
        variations = iter(
            map(independent_rows, series) if independent else fit_variation(series, calendars.get(role, _NO_BATCHES))
        )
        for index, comparison, tests, stability in tested:
            done = tuple(_with_clusters(what, evidence, next(variations)) for what, evidence, _ in tests)
            results[index] = ColumnResult(comparison, done, *stability)
    return [results[index] for index in range(len(comparisons))]


def _evidence(comparison: Comparison) -> tuple[list[tuple[str, Evidence, Series]], tuple[float, float]]:
    """Return the tests of a column with rows as independent, and its stability."""
    plan, before, now = comparison.plan, comparison.reference.total, comparison.current.total
    cut = spread_rare(plan, comparison.reference, comparison.current)
    tests: list[tuple[str, Evidence, Series]] = []
    if isinstance(plan, NumericPlan):
        evidence = compare_numbers(before.counts, now.counts, plan.edges)
        stability = population_stability(before.counts, now.counts)
    else:
        evidence = compare_categories(cut[0].total.counts, cut[1].total.counts)
        stability = population_stability(before.counts, now.counts, groups=None)
    if evidence is not None:
        tests.append((DISTRIBUTION, evidence, distribution_series(plan, *cut)))
    rates = compare_rates(before.missing, before.rows, now.missing, now.rows)
    # A target without a value is a label that has not arrived yet, not a change.
    if rates is not None and comparison.role != "Target":
        tests.append((MISSING, rates, missing_series(comparison.reference, comparison.current)))
    return tests, stability


def _with_clusters(what: str, evidence: Evidence, variation: Variation) -> ColumnTest:
    """Return a test with batches as clusters: a wider interval and a larger p-value."""
    between = variation.between()
    widened = replace(
        evidence,
        low=max(0.0, evidence.effect - math.hypot(evidence.effect - evidence.low, between)),
        high=min(1.0, evidence.effect + math.hypot(evidence.high - evidence.effect, between)),
        p_value=max(evidence.p_value, variation.p_value()),
    )
    return ColumnTest(what, widened, variation)


def _doubts_about_rare_values(comparison: Comparison, wanted: float) -> tuple[Doubt, ...]:
    """Return the doubt that rare values, which are compared together, were replaced or have changed."""
    reference, current, plan = comparison.reference.total, comparison.current.total, comparison.plan
    if not isinstance(plan, CategoricalPlan):
        return ()
    assert isinstance(reference, CategoricalProfile)
    assert isinstance(current, CategoricalProfile)
    share = share_of_new_values(reference, current) if plan.buckets else None
    if share is not None:
        return (Doubt(DoubtReason.NEW_VALUES, size=share),)
    hidden = hidden_distance(plan, *spread_rare(plan, comparison.reference, comparison.current))
    return (Doubt(DoubtReason.RARE_VALUES, size=hidden),) if hidden >= wanted else ()


def _rank(test: ColumnTest) -> tuple[bool, bool, float, float]:
    return not test.drifted, not test.doubts, test.adjusted_p, -test.evidence.effect


def _column_rank(result: ColumnResult) -> tuple[bool, bool, float, float, str]:
    """Drifted columns come first, then inconclusive ones, each in the order of their evidence."""
    test = result.decisive
    return (*(_rank(test) if test else (True, not result.doubts, 1.0, 0.0)), result.name)
