"""The result of a check: what the report shows, and its JSON form."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelmonitor_api.messages import CheckVerdict, MonitorRef
from modelmonitor_api.outcomes import DetectorStatus
from modelmonitor_api.resource import camel
from modelmonitor_api.scores import ServedScore
from modelmonitor_api.spec import Sensitivity
from modelmonitor_api.status import FeatureEvidence
from modelmonitor_api.times import format_time
from modelmonitor_trainer.data.dates import SECONDS_PER_DAY, date_text
from modelmonitor_trainer.data.windows import Batch, Window
from modelmonitor_trainer.detect.coverage import Coverage, coverage_to_json
from modelmonitor_trainer.detect.drift import DISTRIBUTION, MISSING, ColumnResult, ColumnTest, DriftResult
from modelmonitor_trainer.detect.findings import Finding
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.detect.inconclusive import NOT_RULED_OUT, explain_doubts
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.detect.quality import Violation
from modelmonitor_trainer.detect.wording import FILES, Wording
from modelmonitor_trainer.profile.columns import CategoricalProfile, NumericProfile
from modelmonitor_trainer.profile.plans import ColumnPlan, NumericPlan

#: Maximum number of hypotheses of a family in the JSON; a hundred columns have 4950 correlations.
MAX_SUBJECTS = 200


@dataclass(frozen=True)
class Side:
    """One of the two windows, as a report shows it.

    Attributes
    ----------
    title
        Its name, such as "training window of the champion v3-…".
    window
        First and last day; None for files.
    blocks
        Its partitions or files.
    rows
        Its rows.
    """

    title: str
    blocks: tuple[Batch, ...] = ()
    window: Window | None = None
    rows: int = 0


@dataclass(frozen=True)
class DetectorOutcome:
    """The outcome of a detector.

    Attributes
    ----------
    name, type
        As in the spec.
    outcome
        The outcome.
    message
        Reason, in a sentence.
    """

    name: str
    type: str
    outcome: DetectorStatus
    message: str


@dataclass(frozen=True)
class CheckResult:
    """The result of a check.

    Attributes
    ----------
    verdict
        Verdict for the operator.
    monitor
        The monitor; None for files.
    sensitivity, checks_per_day
        Settings in effect.
    reference, current
        What was compared.
    drift
        Decided drift tests; None without a reference.
    violations, performance, detectors
        Results of the detectors.
    coverage
        What was compared, and what was left out.
    findings
        What is unusual about columns that have not drifted.
    notes
        Notes on how the verdict was reached.
    timings
        Step → seconds.
    reproduce
        Command that repeats the check.
    wording
        Words for partitions or files.
    watch_uri
        Where the new look of the champion watch, ``verdict.watch``, is to be stored; empty if there is no new one.
    """

    verdict: CheckVerdict
    monitor: MonitorRef | None
    sensitivity: Sensitivity
    checks_per_day: float
    reference: Side
    current: Side
    drift: DriftResult | None = None
    violations: tuple[Violation, ...] = ()
    performance: tuple[PerformanceResult, ...] = ()
    detectors: tuple[DetectorOutcome, ...] = ()
    coverage: Coverage | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    reproduce: str = ""
    wording: Wording = FILES
    watch_uri: str = ""


def to_json(result: CheckResult) -> dict[str, Any]:
    """Return a result as JSON data; numbers that are not finite are null."""
    verdict = result.verdict
    drift = result.drift
    return {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "message": verdict.message,
        "performanceDropped": verdict.performance_dropped,
        "championProblem": verdict.champion_problem,
        "time": format_time(verdict.time),
        "monitor": result.monitor.to_wire() if result.monitor else None,
        "rows": {"reference": result.reference.rows, "current": result.current.rows},
        "newRows": verdict.new_rows,
        "driftOnset": verdict.drift_onset.isoformat() if verdict.drift_onset else None,
        "features": [_column(column, result) for column in drift.columns] if drift else [],
        "violations": [
            {"kind": v.kind, "column": v.column, "partitions": list(v.blocks), "message": v.message}
            for v in result.violations
        ],
        "relations": [_relation(relation) for relation in drift.relations] if drift else [],
        "performance": [_performance(performance) for performance in result.performance],
        "detectors": [vars(detector) for detector in result.detectors],
        "decision": _decision(result),
        "coverage": _coverage(result),
        "reference": _side(result.reference),
        "current": _side(result.current),
        "findings": [{"column": f.column, "kind": f.kind.value, "message": f.message} for f in result.findings],
        "notes": list(result.notes),
        "timings": {step: round(seconds, 4) for step, seconds in result.timings.items()},
        "reproduce": result.reproduce,
        "answer": verdict.to_wire(),
    }


def unlisted_notes(result: CheckResult) -> list[str]:
    """Return the notes that are neither in the message of the verdict nor among findings and what is left out."""
    listed_below = {finding.sentence for finding in result.findings}
    listed_below |= {*result.coverage.sentences()} if result.coverage else set()
    message = result.verdict.message
    return [
        note
        for note in result.notes
        if note not in listed_below
        and not (note.startswith(NOT_RULED_OUT) and note.removeprefix(NOT_RULED_OUT) in message)
    ]


def _coverage(result: CheckResult) -> dict[str, Any] | None:
    minimum = float(result.sensitivity.minimum_coverage)
    return coverage_to_json(result.coverage, minimum) if result.coverage else None


def top_features(columns: Sequence[ColumnResult], count: int) -> list[FeatureEvidence]:
    """Return the `count` columns with the strongest evidence, for the status."""
    shown = []
    for column in columns[:count]:
        test = column.decisive
        if test is not None:
            name = column.name if test.what == DISTRIBUTION else f"{column.name} (missing)"
            shown.append(
                FeatureEvidence(
                    name=name[:1024],
                    effect=f"{test.evidence.effect:.4f}",
                    p_value=f"{test.adjusted_p:.3g}",
                    drifted=column.drifted,
                )
            )
    return shown


def largest_effect(columns: Sequence[ColumnResult]) -> str | None:
    """Return the largest effect of a column, as the status has it; None if no column could be tested."""
    effects = [column.decisive.evidence.effect for column in columns if column.decisive is not None]
    return f"{max(effects):.4f}" if effects else None


def served_score(results: Sequence[PerformanceResult]) -> ServedScore | None:
    """Return the champion's score of the first detector that could compute one, as the status has it."""
    for result in results:
        if result.score is not None:
            texts = {
                name: f"{value:.4f}"
                for name, value in (("low", result.low), ("high", result.high), ("promised", result.promotion_score))
                if value is not None
            }
            return ServedScore(metric=result.metric, score=f"{result.score:.4f}", rows=result.rows, **texts)
    return None


def _column(column: ColumnResult, result: CheckResult) -> dict[str, Any]:
    reference, current = column.comparison.reference.total, column.comparison.current.total
    test = column.decisive
    assert result.drift is not None
    rows = (result.reference.rows, result.current.rows)
    doubts = zip(column.doubts, explain_doubts(column, result.drift, rows, result.wording), strict=True)
    document: dict[str, Any] = {
        "name": column.name,
        "role": column.comparison.role,
        "type": type_of(column.comparison.plan),
        "verdict": column.verdict.value,
        "drifted": column.drifted,
        "decidedBy": test.what if test else None,
        "effect": test.evidence.effect if test else None,
        "effectLow": test.evidence.low if test else None,
        "effectHigh": test.evidence.high if test else None,
        "pValue": test.evidence.p_value if test else None,
        "adjustedPValue": test.adjusted_p if test else None,
        "limit": test.limit if test else None,
        "doubts": [{"reason": doubt.reason.value, "message": text} for doubt, text in doubts],
        "nullRate": {"reference": _rate(reference), "current": _rate(current)},
        "tests": [_test(test, numeric=isinstance(reference, NumericProfile)) for test in column.tests],
        "populationStabilityIndex": column.stability,
        "jensenShannonDistance": column.jensen_shannon,
    }
    if isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        statistics = _statistics_of_dates if type_of(column.comparison.plan) == "Date" else _statistics
        document["statistics"] = {"reference": statistics(reference), "current": statistics(current)}
    elif isinstance(reference, CategoricalProfile) and isinstance(current, CategoricalProfile):
        document["distinctValues"] = {"reference": reference.distinct, "current": current.distinct}
    cleaned: dict[str, Any] = _without_nan(document)
    return cleaned


def type_of(plan: ColumnPlan) -> str:
    """Return the type of a column, as it is shown: Numeric, Date or Categorical."""
    if isinstance(plan, NumericPlan):
        return "Date" if plan.dates else "Numeric"
    return "Categorical"


def _statistics(profile: NumericProfile) -> dict[str, Any]:
    return {
        "minimum": profile.minimum,
        "maximum": profile.maximum,
        "mean": _mean(profile),
        "deviation": profile.deviation,
    }


def _statistics_of_dates(profile: NumericProfile) -> dict[str, Any]:
    """Return statistics as dates, and the deviation in days."""
    dates = {key: value for key, value in _statistics(profile).items() if key != "deviation"}
    shown = {
        key: date_text(value) if value is not None and np.isfinite(value) else None for key, value in dates.items()
    }
    return {**shown, "deviation": profile.deviation / SECONDS_PER_DAY}


def _performance(performance: PerformanceResult) -> dict[str, Any]:
    document = {camel(key): _without_nan(value) for key, value in vars(performance).items() if key != "scale"}
    return document | {"periods": [_without_nan(vars(period)) for period in performance.periods]}


#: The p-value has the same name as for columns. The effect is that of a column, so a relationship has a change.
_SUBJECT_KEYS = {"adjusted_p": "adjustedPValue", "effect": "change"}


def _relation(relation: HypothesisFamily) -> dict[str, Any]:
    return {
        "detector": relation.detector,
        "type": relation.type,
        "what": relation.what,
        "drifted": relation.drifted,
        "pValue": relation.p_value,
        "adjustedPValue": relation.adjusted_p if relation.subjects else None,
        "subjectsTested": len(relation.subjects),
        "subjects": [
            _without_nan({_SUBJECT_KEYS.get(key, camel(key)): value for key, value in vars(subject).items()})
            for subject in relation.subjects[:MAX_SUBJECTS]
        ],
        "message": relation.message,
    }


def _test(test: ColumnTest, *, numeric: bool) -> dict[str, Any]:
    return {
        "what": test.what,
        "statistic": _statistic(test, numeric=numeric),
        "effect": test.evidence.effect,
        "effectLow": test.evidence.low,
        "effectHigh": test.evidence.high,
        "pValue": test.evidence.p_value,
        "adjustedPValue": test.adjusted_p,
        "ordinaryVariation": test.ordinary,
        "limit": test.limit,
        "drifted": test.drifted,
    }


def _statistic(test: ColumnTest, *, numeric: bool) -> str:
    """Return the name of what the effect of a test is."""
    if test.what == MISSING:
        return "DifferenceOfShares"
    return "KolmogorovSmirnovDistance" if numeric else "TotalVariationDistance"


def _decision(result: CheckResult) -> dict[str, Any]:
    drift = result.drift
    budget = result.sensitivity.false_alarms
    return {
        "falseAlarms": {"count": budget.count, "perDays": budget.per_days},
        "checksPerDay": result.checks_per_day,
        "minimumEffect": float(result.sensitivity.minimum_effect),
        "detectableEffectWanted": float(result.sensitivity.detectable_effect),
        "level": drift.level if drift else None,
        "tests": drift.tests if drift else 0,
        "detectableEffect": drift.detectable if drift else None,
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "title": side.title,
        "start": side.window[0].isoformat() if side.window else None,
        "end": side.window[1].isoformat() if side.window else None,
        "rows": side.rows,
        "objects": [
            {"uri": info.uri, "etag": info.etag, "size": info.size} for block in side.blocks for info in block.objects
        ],
    }


def _rate(profile: Any) -> float | None:
    return profile.missing / profile.rows if profile.rows else None


def _mean(profile: NumericProfile) -> float | None:
    return profile.mean if profile.finite else None


def _without_nan(value: Any) -> Any:
    """Return JSON data with null for numbers that JSON cannot represent."""
    if isinstance(value, Mapping):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, dt.date):
        return value.isoformat()
    return value
