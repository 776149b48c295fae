"""The newest checks of a monitor, which the status lists for people."""

from __future__ import annotations

from modelmonitor_api.status import MAX_RECENT_CHECKS, ModelMonitorStatus, RecentCheck


def add_recent_check(status: ModelMonitorStatus, check: RecentCheck) -> ModelMonitorStatus:
    """Return the status with a check among the recent ones, newest first; each Job is listed once."""
    others = [each for each in status.recent_checks if each.job_name != check.job_name]
    newest = sorted([check, *others], key=lambda each: (each.time, each.job_name), reverse=True)
    return status.model_copy(update={"recent_checks": newest[:MAX_RECENT_CHECKS]})
