"""The pipeline of a check: resolve → profile → run detectors → decide → :class:`CheckResult`. It writes no result.

A monitor and files on the command line are two sources of the same pipeline. Only profiles are cached, so that the
next check reads new objects only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from modelmonitor_api.messages import CheckRequest, CheckVerdict
from modelmonitor_api.outcomes import Verdict
from modelmonitor_api.spec import DataFormat, DetectorType, Sensitivity
from modelmonitor_api.spec import Detector as DetectorSpec
from modelmonitor_api.status import MAX_TOP_FEATURES, FirstTrainingData, RowCounts
from modelmonitor_trainer.check import detectors as _detectors  # noqa: F401 - registers all detectors
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.coverage import coverage_of
from modelmonitor_trainer.check.data import CheckData, ProfiledData, WatchResult
from modelmonitor_trainer.check.detectors.base import (
    REGISTRY,
    DetectorResult,
    Findings,
    Need,
    Stage,
    outcome_of,
)
from modelmonitor_trainer.check.growing_dates import without_growing_dates
from modelmonitor_trainer.check.label_survey import survey_labels
from modelmonitor_trainer.check.notes import notes_on, notes_on_few_rows, notes_on_repeated_rows, with_coverage_notes
from modelmonitor_trainer.check.onset import onset_of
from modelmonitor_trainer.check.profiles import profile_pair
from modelmonitor_trainer.check.single_values import sample_crowded
from modelmonitor_trainer.check.sources.files import Files, require_one_type, resolve_files
from modelmonitor_trainer.check.values import values_of
from modelmonitor_trainer.data.tables import refuse_undecided
from modelmonitor_trainer.detect.calendar import Calendar
from modelmonitor_trainer.detect.coverage import Coverage, require_coverage
from modelmonitor_trainer.detect.drift import DriftResult, find_drift
from modelmonitor_trainer.detect.findings import Finding, find_unusual
from modelmonitor_trainer.detect.gaps import days_overdue
from modelmonitor_trainer.detect.labelling import require_labels, with_labels
from modelmonitor_trainer.detect.quality import Violation, structural_violations
from modelmonitor_trainer.detect.result import CheckResult, Side, largest_effect, served_score, top_features
from modelmonitor_trainer.detect.verdict import ExplainedVerdict, decide, with_age, with_champion, with_drop
from modelmonitor_trainer.profile.engine import Engine
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.text import as_sentence


def check_monitor(
    store: Store, request: CheckRequest, *, due: dt.datetime, now: dt.datetime, engine: Engine | None = None
) -> CheckResult:
    """Return the result of a check of a monitor's live window.

    Parameters
    ----------
    store
        Object store of data and results.
    request
        The monitor and its spec.
    due
        When the check was due.
    now
        The current time, with time zone.
    engine
        Where objects are profiled; threads of this process by default.
    """
    from modelmonitor_trainer.check.sources.monitor import resolve_monitor

    return run_check(*resolve_monitor(store, request, now), time=due, engine=engine)


def check_files(
    store: Store,
    files: Files,
    sensitivity: Sensitivity,
    checks_per_day: float,
    *,
    now: dt.datetime,
    engine: Engine | None = None,
) -> CheckResult:
    """Return the result of a check of two sets of files.

    Parameters
    ----------
    store
        Object store.
    files
        The files.
    sensitivity, checks_per_day
        Determine the level of the check.
    now
        The current time, with time zone.
    engine
        Where objects are profiled; threads of this process by default.

    Raises
    ------
    NotFound, BadConfiguration, BadData
        If there are no files of one known format, or nothing in them can be compared.
    """
    return run_check(*resolve_files(store, files, sensitivity, checks_per_day), time=now, engine=engine)


def run_check(ctx: CheckContext, data: CheckData, *, time: dt.datetime, engine: Engine | None = None) -> CheckResult:
    """Return the result of a check of resolved data, whose objects `engine` profiles."""
    ctx = replace(ctx, engine=engine)
    ctx, profiled = _profile(ctx, data)
    profiled = without_growing_dates(profiled)
    data = profiled.source
    results = _run_detectors(ctx, profiled)
    with ctx.stopwatch.step("tests"):
        drift = _decide_drift(profiled, results)
    labelling = results.labelling
    if labelling is None and not results.violations:
        with ctx.stopwatch.step("labels"):
            labelling = survey_labels(ctx, data)
    findings = Findings(profiled, results.violations, results.performance, drift, results.notes, labelling)
    return _result(ctx, findings, time)


def _profile(ctx: CheckContext, data: CheckData) -> tuple[CheckContext, ProfiledData]:
    """Return the profiles of all windows, and the context in which further rows are read."""
    needs = {need for spec in data.detectors for need in REGISTRY[spec.type].needs}
    labels = data.labels if Need.LABEL_PROFILE in needs else None
    rows, fmt = profile_pair(ctx, data.rows, data.wording.windows)
    if not data.has_contract:
        refuse_undecided(fmt, {} if isinstance(fmt, DataFormat) else fmt.marks)
        require_one_type(rows)
    others = []
    for pair, what in ((labels, "labels"), (data.predictions, "predictions")):
        profiled, fmt = profile_pair(replace(ctx, fmt=fmt), pair, what) if pair else (None, fmt)
        others.append(profiled)
    return replace(ctx, fmt=fmt), ProfiledData(data, rows, *others)


def _run_detectors(ctx: CheckContext, data: ProfiledData) -> DetectorResult:
    """Return what all detectors found, in the order of the stages."""
    with ctx.stopwatch.step("tests"):
        result = _check_contract(ctx, data)
    for stage in (Stage.MODEL, Stage.DRIFT):
        result += _run_stage(ctx, data, stage, result.violations)
    return result


def _check_contract(ctx: CheckContext, data: ProfiledData) -> DetectorResult:
    """Return all violations that profiles show; unreadable objects and missing columns always count."""
    wording = data.source.wording
    rows = DetectorResult(
        violations=tuple(structural_violations(data.rows.current, wording, optional=_optional_columns(data)))
    )
    result = rows + _run_stage(ctx, data, Stage.CONTRACT, ())
    if data.labels is None:
        return result
    # Labels that have not arrived yet are not a violation.
    labels = structural_violations(data.labels.current, wording, require_rows=False)
    return result + DetectorResult(violations=tuple(labels))


def _optional_columns(data: ProfiledData) -> frozenset[str]:
    """Return the columns that may be missing: undeclared ones that a part of the reference lacks."""
    reference = data.rows.reference
    if data.source.has_contract or reference is None:
        return frozenset()
    return frozenset(name for block in reference.blocks for name in block.lacking)


def _run_stage(ctx: CheckContext, data: ProfiledData, stage: Stage, violations: Sequence[Violation]) -> DetectorResult:
    specs_by_type: dict[DetectorType, list[DetectorSpec]] = {}
    for spec in data.source.detectors:
        specs_by_type.setdefault(spec.type, []).append(spec)
    result = DetectorResult()
    for kind, specs in specs_by_type.items():
        detector = REGISTRY[kind]
        skipped = bool(violations) and not detector.runs_on_corrupted_data
        if detector.stage is stage and not skipped and all(_is_met(need, data) for need in detector.needs):
            result += detector.run(ctx, data, specs)
    return result


def _is_met(need: Need, data: ProfiledData) -> bool:
    if need is Need.REFERENCE:
        return data.rows.reference is not None
    if need is Need.OUTCOMES:
        return data.source.outcomes is not None
    return need is not Need.CHAMPION or data.source.champion is not None


def _decide_drift(data: ProfiledData, results: DetectorResult) -> DriftResult | None:
    """Decide all tests of the check together; None without a reference."""
    if data.rows.reference is None:
        return None
    position = {id(plan): index for index, plan in enumerate(plan for pair in data.pairs for plan in pair.plan)}
    order = {spec.name: index for index, spec in enumerate(data.source.detectors)}
    comparisons = sorted(results.comparisons, key=lambda comparison: position[id(comparison.plan)])
    role_of = {id(comparison.plan): comparison.role for comparison in comparisons}
    calendars: dict[str, Calendar] = {}
    for pair in data.pairs:
        if pair.reference is not None:
            calendar = Calendar.of_windows(pair.reference, pair.current)
            calendars |= {role_of[id(plan)]: calendar for plan in pair.plan if id(plan) in role_of}
    return find_drift(
        comparisons,
        data.source.sensitivity,
        data.source.checks_per_day,
        rows=(data.rows.reference.rows, data.rows.current.rows),
        calendars=calendars,
        relations=sorted(results.families, key=lambda family: order[family.detector]),
    )


def _result(ctx: CheckContext, findings: Findings, time: dt.datetime) -> CheckResult:
    data, drift = findings.data.source, findings.drift
    reference, current = findings.data.rows.reference, findings.data.rows.current
    rows = (reference.rows if reference else 0, current.rows)
    monitor, window = data.monitor, data.current_window
    watch = _watch_champion(ctx, findings)
    new_rows = _count_new_rows(ctx, findings.data)
    with ctx.stopwatch.step("coverage"):
        coverage = replace(coverage_of(findings.data), values=values_of(ctx, findings.data))
    coverage = with_labels(coverage, findings.labelling)
    problem = (monitor and monitor.champion_problem) or next(
        (as_sentence(result.message) for result in findings.performance if result.unusable), ""
    )
    problem = problem[:1024]
    decided = _decide(findings, coverage, rows, problem)
    verdict = CheckVerdict(
        verdict=decided.name,
        reason=decided.reason.value,
        message=decided.message[:1024],
        performance_dropped=any(result.dropped for result in findings.performance),
        champion_problem=problem,
        time=time,
        rows=RowCounts(reference=rows[0], current=rows[1]),
        new_rows=new_rows,
        data_end=_end(window[1]) if window else None,
        drift_onset=onset_of(findings.data, drift, findings.performance) if _is_change(decided.name) else None,
        top_features=top_features(drift.columns, MAX_TOP_FEATURES) if drift else [],
        drifted_features=len(drift.drifted) if drift else None,
        largest_effect=largest_effect(drift.columns) if drift else None,
        performance=served_score(findings.performance),
        champion=monitor.champion_status if monitor else None,
        first_training=_describe_first_training(ctx, findings.data),
        watch=watch.finding,
    )
    unusual = _unusual(ctx, findings.data, drift)
    return CheckResult(
        verdict=verdict,
        monitor=monitor.ref if monitor else None,
        sensitivity=data.sensitivity,
        checks_per_day=data.checks_per_day,
        reference=Side(data.reference_title, data.rows.reference, data.reference_window, rows[0]),
        current=Side(data.current_title, data.rows.current, window, rows[1]),
        drift=drift,
        violations=findings.violations,
        performance=findings.performance,
        detectors=tuple(outcome_of(spec, findings) for spec in data.detectors),
        notes=(*_notes(findings, unusual, coverage), *((watch.note,) if watch.note else ())),
        findings=unusual,
        coverage=coverage,
        timings=ctx.stopwatch.seconds,
        reproduce=data.reproduce,
        wording=data.wording,
        watch_uri=watch.uri,
    )


def _decide(findings: Findings, coverage: Coverage, rows: tuple[int, int], problem: str) -> ExplainedVerdict:
    """Return the verdict: of the tests, then of what was not compared, then of the champion.

    Parameters
    ----------
    findings, coverage
        What the detectors have found, and what was compared.
    rows
        Of the reference and of the current window.
    problem
        Why the champion cannot be used; empty if it can.
    """
    data = findings.data.source
    decided = decide(
        findings.drift,
        findings.violations,
        findings.performance,
        data.sensitivity,
        rows=rows,
        wording=data.wording,
        nothing_to_compare=data.nothing_to_compare,
    )
    decided = require_coverage(decided, coverage, float(data.sensitivity.minimum_coverage))
    decided = require_labels(decided, findings.labelling)
    decided = with_champion(with_drop(decided, findings.performance), problem)
    return with_age(decided, _age(findings.data))


def _age(data: ProfiledData) -> str:
    """Return in a sentence that the newest rows of a monitor are old; empty if they are not."""
    monitor = data.source.monitor
    days = [block.block.day for block in data.rows.current.blocks if block.block.day is not None and block.rows]
    overdue = None if monitor is None else days_overdue(days, monitor.last_day)
    if overdue is None:
        return ""
    return f"No rows have arrived for {overdue:,} days; those of {days[-1]} are the newest."


def _notes(findings: Findings, unusual: Sequence[Finding], coverage: Coverage) -> tuple[str, ...]:
    data = findings.data.source
    unlike = (
        *notes_on(findings.drift, findings.data.rows, data.wording),
        *(finding.sentence for finding in unusual),
        *notes_on_few_rows(findings.data.rows),
        *notes_on_repeated_rows(findings.data.rows),
    )
    left_out = (
        *findings.notes,
        *(findings.labelling.notes() if findings.labelling else ()),
        *filter(None, [_age(findings.data)]),
        *data.notes,
    )
    # Notes of the first kind name days as well, which must not hide that a part of their hours is missing.
    return (*unlike, *with_coverage_notes(left_out, coverage))


def _is_change(verdict: str) -> bool:
    """Whether a verdict says that data or score have changed; corrupted days are not after a change."""
    return verdict in {Verdict.DRIFT, Verdict.PERFORMANCE_DROP}


def _unusual(ctx: CheckContext, data: ProfiledData, drift: DriftResult | None) -> tuple[Finding, ...]:
    """Return findings about features and predictions; those of the target have days of their own."""
    if drift is None:
        return ()
    columns = [column for column in drift.columns if column.comparison.role == "Feature"]
    names = [batch.block.label for batch in data.rows.current.blocks]
    least = float(data.source.sensitivity.minimum_effect)
    with ctx.stopwatch.step("findings"):
        samples = sample_crowded(ctx, data, columns)
    return find_unusual(columns, names, least, drift.level, data.source.wording, samples)


def _end(day: dt.date) -> dt.datetime:
    """Return the end of a day: midnight at which the next one begins, as for the champion's data."""
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC)


def _watch_champion(ctx: CheckContext, findings: Findings) -> WatchResult:
    """Return how the champion compares with its predecessor; corrupted rows would make both look bad."""
    monitor = findings.data.source.monitor
    if monitor is None or monitor.champion is None or findings.violations:
        return WatchResult()
    from modelmonitor_trainer.check.champion_watch import watch_champion

    with ctx.stopwatch.step("champion watch"):
        return watch_champion(ctx, monitor)


def _describe_first_training(ctx: CheckContext, data: ProfiledData) -> FirstTrainingData | None:
    if data.source.monitor is None or data.source.monitor.champion_status is not None:
        return None
    from modelmonitor_trainer.check.sources.monitor import describe_first_training

    with ctx.stopwatch.step("first training"):
        return describe_first_training(ctx, data)


def _count_new_rows(ctx: CheckContext, data: ProfiledData) -> int | None:
    if data.source.champion is None:
        return None
    from modelmonitor_trainer.check.sources.monitor import count_new_rows

    with ctx.stopwatch.step("new rows"):
        return count_new_rows(ctx, data)
