"""The published result of a check: once per Job, however often its pod starts.

A look of the champion watch is written first, then report.html, and verdict.json last. Nothing else writes results.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from dataclasses import replace

from pydantic import ValidationError

from modelmonitor_api.messages import CheckRequest, CheckVerdict
from modelmonitor_trainer.check.champion_watch import store_look
from modelmonitor_trainer.check.pipeline import check_monitor
from modelmonitor_trainer.detect.result import CheckResult, to_json
from modelmonitor_trainer.registry.layout import CheckLayout, ResultsLayout
from modelmonitor_trainer.report.check_page import render
from modelmonitor_trainer.storage.base import HTML, JSON, Store

_LOG = logging.getLogger(__name__)

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
    layout, uid = ResultsLayout.of(request.spec, request.monitor), request.monitor.uid
    earlier = _earlier_verdict(store, layout.checks(uid), job)
    if earlier is not None:
        _LOG.info("an earlier pod of this Job has finished the check; its verdict stands")
        return earlier, None
    due = due_time(job, now)
    result = check_monitor(store, request, due=due, now=now)
    published = _publish(store, layout.check(uid, due, job), result)
    return published.verdict, published


def due_time(job: str, now: dt.datetime) -> dt.datetime:
    """Return when a check was due: the scheduled time in the name of a CronJob's Job, otherwise now.

    >>> due_time("flights-check-29000000", dt.datetime(2030, 1, 1, tzinfo=dt.UTC)).isoformat()
    '2025-02-19T21:20:00+00:00'
    """
    match = _SCHEDULED.search(job)
    return dt.datetime.fromtimestamp(int(match[1]) * 60, dt.UTC) if match else now.replace(microsecond=0)


def _publish(store: Store, layout: CheckLayout, result: CheckResult) -> CheckResult:
    """Write a result, and return it with the URIs of its files."""
    uris = {"report_uri": layout.report, "result_uri": layout.verdict}
    result = replace(result, verdict=result.verdict.model_copy(update=uris))
    if result.watch_uri and result.verdict.watch is not None:
        store_look(store, result.watch_uri, result.verdict.watch)
    store.write(uris["report_uri"], render(result).encode(), content_type=HTML)
    # Last: a verdict that exists means that everything does.
    content = json.dumps(to_json(result), ensure_ascii=False, allow_nan=False, indent=1).encode()
    store.write(uris["result_uri"], content, content_type=JSON)
    return result


def _earlier_verdict(store: Store, folder: str, job: str) -> CheckVerdict | None:
    """Return the verdict that an earlier pod of the same Job wrote."""
    if job == "local":
        return None
    for check in map(CheckLayout, reversed(store.children(folder))):
        uri = check.verdict
        if check.job == job and store.head(uri) is not None:
            try:
                return CheckVerdict.model_validate(json.loads(store.read(uri))["answer"])
            except (ValueError, KeyError, TypeError, ValidationError):
                _LOG.warning("%s is damaged; the check is repeated", uri)
    return None
