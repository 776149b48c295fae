"""The check: windows → profiles → tests → verdict → report, once for every Job however often its pod starts."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import replace

from pydantic import ValidationError

from modelmonitor_api.messages import CheckRequest, CheckVerdict
from modelmonitor_api.spec import Detector, DetectorType, ModelMonitorSpec
from modelmonitor_api.status import MAX_TOP_FEATURES, Champion, RowCounts
from modelmonitor_trainer.check.champion import find_champion
from modelmonitor_trainer.check.champion_watch import WatchResult, watch_champion
from modelmonitor_trainer.check.compare import CheckContext, ProfiledPair, Stopwatch, broken, compare, profile_pair
from modelmonitor_trainer.check.detector_results import CheckFindings, detector_outcomes, notes_on
from modelmonitor_trainer.check.performance import measure
from modelmonitor_trainer.check.relations import Scene, find_relations
from modelmonitor_trainer.check.windows import ChampionInfo, CheckWindows, resolve_windows
from modelmonitor_trainer.data.tables import scan
from modelmonitor_trainer.data.windows import days_of, partitions
from modelmonitor_trainer.detect.drift import DriftResult, level_of
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.detect.quality import duplicate_keys, missing_partitions, structural_violations
from modelmonitor_trainer.detect.result import CheckResult, Side, to_json, top_features
from modelmonitor_trainer.detect.verdict import decide
from modelmonitor_trainer.registry.versions import monitor_prefix
from modelmonitor_trainer.report.check_page import render
from modelmonitor_trainer.storage.base import HTML, JSON, Store

_LOG = logging.getLogger(__name__)

#: CronJob controllers end a Job's name with its due time in minutes since 1970.
_DUE = re.compile(r"-(\d{8,9})$")


def due_time(job: str, now: dt.datetime) -> dt.datetime:
    """Return when a check was due: the minute in the name of a CronJob's Job, otherwise now.

    >>> due_time("flights-check-29000000", dt.datetime(2030, 1, 1, tzinfo=dt.UTC)).isoformat()
    '2025-02-19T21:20:00+00:00'
    """
    found = _DUE.search(job)
    return dt.datetime.fromtimestamp(int(found[1]) * 60, dt.UTC) if found else now.replace(microsecond=0)


def check(
    store: Store, request: CheckRequest, *, job: str, now: dt.datetime
) -> tuple[CheckVerdict, CheckResult | None]:
    """Check a monitor's live window, write the result and the report, and return the verdict.

    Parameters
    ----------
    store
        Data and results.
    request
        The monitor and its spec.
    job
        Name of the Job; "local" outside a cluster.
    now
        The present, with time zone.

    Returns
    -------
    verdict, result
        The result is None where an earlier pod of the same Job had finished the check.
    """
    prefix = monitor_prefix(request.spec, request.monitor)
    folder = f"{prefix}checks/{request.monitor.uid}/"
    earlier = _earlier(store, folder, job)
    if earlier is not None:
        _LOG.info("an earlier pod of this Job has finished the check; its verdict stands")
        return earlier, None
    due = due_time(job, now)
    folder += f"{due:%Y%m%dT%H%M%SZ}-{job}/"
    result = _checked(store, request, prefix, due, now)
    verdict = result.verdict.model_copy(
        update={"report_uri": f"{folder}report.html", "result_uri": f"{folder}verdict.json"}
    )
    result = replace(result, verdict=verdict)
    with_report = render(result)
    store.write(f"{folder}report.html", with_report.encode(), content_type=HTML)
    # Last, because a verdict that is there says that all of it is there.
    store.write(f"{folder}verdict.json", _encoded(result), content_type=JSON)
    return verdict, result


def _encoded(result: CheckResult) -> bytes:
    return json.dumps(to_json(result), ensure_ascii=False, allow_nan=False, indent=1).encode()


def _earlier(store: Store, folder: str, job: str) -> CheckVerdict | None:
    """Return the verdict that an earlier pod of the same Job wrote."""
    if job == "local":
        return None
    for child in reversed(store.children(folder)):
        if child.endswith(f"Z-{job}/") and store.head(f"{child}verdict.json") is not None:
            try:
                return CheckVerdict.model_validate(json.loads(store.read(f"{child}verdict.json"))["answer"])
            except (ValueError, KeyError, TypeError, ValidationError):
                _LOG.warning("%sverdict.json is damaged; the check is made again", child)
    return None


def _checked(store: Store, request: CheckRequest, prefix: str, due: dt.datetime, now: dt.datetime) -> CheckResult:
    spec, watch = request.spec, Stopwatch()
    detectors = spec.effective_detectors()
    with watch.step("windows"):
        champion, facts = find_champion(store, prefix)
        inputs = resolve_windows(store, spec, facts, now.astimezone(dt.UTC).date())
    at = CheckContext(store, f"{prefix}profiles/", spec.data.format, watch)
    _LOG.info("live window %s to %s, reference: %s", *inputs.window, inputs.reference_title)
    found = _look(at, spec, detectors, inputs)
    level = level_of(spec.sensitivity, request.checks_per_day)
    # Scores of a model on broken rows would accuse the model.
    if champion is not None and facts is not None and not found.violations:
        with watch.step("performance"):
            measured = measure(store, prefix, spec, champion, facts, inputs, level)
        found = _without_duplicates(replace(found, performance=measured), spec, detectors)
    scene = Scene(at, spec, inputs, found.windows, prefix, facts, level)
    relations = () if found.violations else find_relations(scene, detectors)
    with watch.step("tests"):
        found = replace(found, drift=_drift(spec, detectors, request.checks_per_day, found, relations))
    with watch.step("watch"):
        beside = _beside(store, prefix, spec, inputs, found, facts)
    with watch.step("new rows"):
        new_rows = _new_rows(store, spec, facts, inputs, found.windows)
    result = _result(request, inputs, found, champion, new_rows, due, watch)
    notes = (*result.notes, beside.note) if beside.note else result.notes
    return replace(result, verdict=result.verdict.model_copy(update={"watch": beside.finding}), notes=notes)


def _beside(
    store: Store,
    prefix: str,
    spec: ModelMonitorSpec,
    inputs: CheckWindows,
    found: CheckFindings,
    facts: ChampionInfo | None,
) -> WatchResult:
    """Return how the champion does beside the version before it; on broken rows both would be accused."""
    if facts is None or found.violations:
        return WatchResult()
    return watch_champion(store, prefix, spec, inputs)


def _look(
    at: CheckContext,
    spec: ModelMonitorSpec,
    detectors: Sequence[Detector],
    inputs: CheckWindows,
) -> CheckFindings:
    """Return the profiles of everything, and what the detectors of data quality find."""
    windows = profile_pair(at, inputs.rows, "rows")
    wants_target = any(detector.type is DetectorType.TARGET_DRIFT for detector in detectors)
    labels = profile_pair(at, inputs.labels, "labels") if inputs.labels and wants_target else None
    predictions = profile_pair(at, inputs.predictions, "predictions") if inputs.predictions else None
    with at.watch.step("tests"):
        violations = broken(detectors, spec.model.features, windows)
        if any(detector.type is DetectorType.DATA_QUALITY for detector in detectors):
            violations += missing_partitions(
                inputs.window,
                [block.day for block in inputs.rows.current if block.day],
                [block.day for block in inputs.rows.reference if block.day],
            )
        if labels is not None:
            violations += [v for v in structural_violations(labels.current) if v.kind != "NoRows"]
    return CheckFindings(windows, labels, None, tuple(violations), (), predictions)


def _without_duplicates(found: CheckFindings, spec: ModelMonitorSpec, detectors: Sequence[Detector]) -> CheckFindings:
    """Return `found` with the days whose join keys repeat, where a detector asks: then scores mean nothing."""
    asked = any(detector.type is DetectorType.DATA_QUALITY for detector in detectors)
    counted = found.performance[0].duplicates if found.performance else ()
    if spec.data.labels is None or not asked:
        return found
    broken_days = duplicate_keys(spec.data.labels.join_key, counted)
    return replace(found, violations=tuple(broken_days), performance=()) if broken_days else found


def _drift(
    spec: ModelMonitorSpec,
    detectors: Sequence[Detector],
    checks_per_day: float,
    found: CheckFindings,
    relations: Sequence[HypothesisFamily],
) -> DriftResult | None:
    return compare(
        detectors,
        spec.model.features,
        spec.model.target,
        [windows for windows in (found.windows, found.labels, found.predictions) if windows is not None],
        spec.sensitivity,
        checks_per_day,
        prediction=spec.model.prediction_column,
        relations=relations,
    )


def _new_rows(
    store: Store, spec: ModelMonitorSpec, facts: ChampionInfo | None, inputs: CheckWindows, windows: ProfiledPair
) -> int | None:
    """Return the rows of the days after the champion's training window; None without a champion."""
    if facts is None:
        return None
    start = facts.window[1] + dt.timedelta(days=1)
    known = {profile.block.day: profile.rows for profile in windows.current.blocks}
    total = sum(rows for day, rows in known.items() if day and day >= start)
    unknown = [day for day in days_of((start, inputs.window[1])) if day < inputs.window[0]]
    if unknown:
        found = partitions(store, spec.data.live.uri, unknown[0], unknown[-1])
        objects = [info for partition in found for info in partition.objects]
        with store.ahead(objects):
            for info in objects:
                with scan(store, info, [], inputs.fmt) as opened:
                    total += opened.rows
    return total


def _result(
    request: CheckRequest,
    inputs: CheckWindows,
    found: CheckFindings,
    champion: Champion | None,
    new_rows: int | None,
    due: dt.datetime,
    watch: Stopwatch,
) -> CheckResult:
    spec = request.spec
    before = found.windows.reference
    rows = (before.rows if before else 0, found.windows.current.rows)
    decided = decide(
        found.drift,
        found.violations,
        found.performance,
        spec.sensitivity,
        rows=rows,
        nothing_to_compare="there is nothing to compare with yet: no champion, and no spec.data.reference",
    )
    verdict = CheckVerdict(
        verdict=decided.name,
        reason=decided.reason.value,
        message=decided.message[:1024],
        performance_dropped=any(result.dropped for result in found.performance),
        time=due,
        rows=RowCounts(reference=rows[0], current=rows[1]),
        new_rows=new_rows,
        # A day stands for itself, as with the champion's.
        data_end=dt.datetime.combine(inputs.window[1], dt.time(), dt.UTC),
        top_features=top_features(found.drift.columns, MAX_TOP_FEATURES) if found.drift else [],
        champion=champion,
    )
    return CheckResult(
        verdict=verdict,
        monitor=request.monitor,
        sensitivity=spec.sensitivity,
        checks_per_day=request.checks_per_day,
        reference=Side(inputs.reference_title, inputs.rows.reference, inputs.reference_window, rows[0]),
        current=Side("live window", inputs.rows.current, inputs.window, rows[1]),
        drift=found.drift,
        violations=found.violations,
        performance=found.performance,
        detectors=detector_outcomes(spec.effective_detectors(), found),
        notes=notes_on(found.drift, found.windows),
        timings=watch.seconds,
        reproduce="modelmonitor check -f MONITOR.yaml",
    )
