"""The published result of a check: once per Job, however often its pod starts.

A look of the champion watch is written first, then report.html, and verdict.json last. Nothing else writes results.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from dataclasses import dataclass, replace

from pydantic import ValidationError

from modelmonitor_api.messages import CheckRequest, CheckVerdict
from modelmonitor_api.outcomes import Verdict
from modelmonitor_trainer.check.champion_watch import store_look
from modelmonitor_trainer.check.pipeline import check_monitor
from modelmonitor_trainer.detect.result import CheckResult, to_json
from modelmonitor_trainer.registry.layout import CheckLayout, ResultsLayout
from modelmonitor_trainer.report.check_page import render
from modelmonitor_trainer.storage.base import HTML, JSON, Store

_LOG = logging.getLogger(__name__)

#: Number of checks, from the newest one back, that are asked for the onset of a change.
_REMEMBERED = 100
#: The CronJob controller ends the name of a Job with its scheduled time, in minutes since 1970.
_SCHEDULED = re.compile(r"-(\d{8,9})$")


def publish_check(
    store: Store, request: CheckRequest, *, job: str, now: dt.datetime
) -> tuple[CheckVerdict, CheckResult | None]:
    """Check a monitor's live window, write the report and the result, and return the verdict.

    Parameters
    ----------
    store
        Object store of data and results.
    request
        The monitor and its spec.
    job
        Name of the Job; "local" outside a cluster.
    now
        The current time, with time zone.

    Returns
    -------
    verdict, result
        The result is None if an earlier pod of the same Job has finished the check.
    """
    layout = ResultsLayout.of(request.spec, request.monitor)
    earlier = _earlier_verdict(store, layout.checks(request.monitor.uid), job)
    if earlier is not None:
        _LOG.info("an earlier pod of this Job has finished the check; its verdict stands")
        return earlier, None
    prepared, result = prepare_check(store, request, job=job, now=now)
    write_check(store, prepared)
    return prepared.verdict, result


@dataclass(frozen=True)
class PreparedCheck:
    """The result of a check, ready to be written.

    Attributes
    ----------
    layout
        Its folder.
    verdict
        The verdict, with the URIs of the files.
    page, document
        Contents of the report page, None if there is none, and of the verdict's file.
    look_uri
        Where the result of a look of the champion watch is written; None if there was none.
    """

    layout: CheckLayout
    verdict: CheckVerdict
    page: bytes | None
    document: bytes
    look_uri: str | None = None

    def without_page(self) -> PreparedCheck:
        """Return the check without its report page."""
        return replace(self, page=None, verdict=self.verdict.model_copy(update={"report_uri": None}))


def prepare_check(
    store: Store, request: CheckRequest, *, job: str, now: dt.datetime
) -> tuple[PreparedCheck, CheckResult]:
    """Check a monitor's live window, and return the result with its files; nothing is written but profiles."""
    due = due_time(job, now)
    layout = ResultsLayout.of(request.spec, request.monitor).check(request.monitor.uid, due, job)
    result = check_monitor(store, request, due=due, now=now)
    uris = {"report_uri": layout.report, "result_uri": layout.verdict}
    result = replace(result, verdict=result.verdict.model_copy(update=uris))
    document = json.dumps(to_json(result), ensure_ascii=False, allow_nan=False, indent=1).encode()
    look_uri = result.watch_uri if result.verdict.watch is not None else None
    return PreparedCheck(layout, result.verdict, render(result).encode(), document, look_uri or None), result


def write_check(store: Store, prepared: PreparedCheck) -> None:
    """Write the files of a check."""
    if prepared.look_uri is not None and prepared.verdict.watch is not None:
        store_look(store, prepared.look_uri, prepared.verdict.watch)
    if prepared.page is not None:
        store.write(prepared.layout.report, prepared.page, content_type=HTML)
    # Last: a verdict that exists means that everything does.
    store.write(prepared.layout.verdict, prepared.document, content_type=JSON)


def due_time(job: str, now: dt.datetime) -> dt.datetime:
    """Return when a check was due: the scheduled time in the name of a CronJob's Job, otherwise now.

    >>> due_time("flights-check-29000000", dt.datetime(2030, 1, 1, tzinfo=dt.UTC)).isoformat()
    '2025-02-19T21:20:00+00:00'
    """
    match = _SCHEDULED.search(job)
    return dt.datetime.fromtimestamp(int(match[1]) * 60, dt.UTC) if match else now.replace(microsecond=0)


def known_onset(store: Store, layout: ResultsLayout, uid: str, champion: str | None) -> dt.date | None:
    """Return the first day after the change that the newest checks have found, as the operator keeps it in the status.

    Parameters
    ----------
    store, layout, uid
        Where the results of the checks are.
    champion
        The champion; checks of an earlier one do not count.
    """
    onset: dt.date | None = None
    for folder in reversed(store.children(layout.checks(uid))[-_REMEMBERED:]):
        verdict = _read_verdict(store, CheckLayout(folder).verdict)
        if verdict is None:
            continue
        if verdict.verdict == Verdict.NO_DRIFT or (verdict.champion.version if verdict.champion else None) != champion:
            break
        onset = min(filter(None, (onset, verdict.drift_onset)), default=None)
    return onset


def _earlier_verdict(store: Store, folder: str, job: str) -> CheckVerdict | None:
    """Return the verdict that an earlier pod of the same Job wrote."""
    if job == "local":
        return None
    for check in map(CheckLayout, reversed(store.children(folder))):
        uri = check.verdict
        if check.job == job and store.head(uri) is not None:
            verdict = _read_verdict(store, uri)
            if verdict is not None:
                return verdict
            _LOG.warning("the check is repeated")
    return None


def _read_verdict(store: Store, uri: str) -> CheckVerdict | None:
    """Return the verdict of a check; None if there is none, or it is damaged."""
    if store.head(uri) is None:
        return None
    try:
        return CheckVerdict.model_validate(json.loads(store.read(uri))["answer"])
    except (ValueError, KeyError, TypeError, ValidationError):
        _LOG.warning("%s is damaged", uri)
        return None
