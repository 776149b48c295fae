"""Repeated checks: a verdict that a check could not give is asked for again, without waiting for the schedule.

A new spec asks again at once. Without one, a check that has failed is repeated with increasing delays: a few times if
its pod has run, because the cause may pass, and for as long as it lasts if no pod could start, because nothing else
would notice that a missing Secret has been created. The pods cannot talk to Kubernetes, and the operator does not read
Secrets: a pod that waits for one starts by itself.
"""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.names import FailureReason, Reason
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.schedule import next_time

FIRST_DELAY = dt.timedelta(minutes=5)
MAX_DELAY = dt.timedelta(hours=1)
#: Repetitions of a check whose pod has run and failed.
MAX_REPETITIONS = 3

#: Failures before a container has run: only a change in the cluster ends them.
NOT_STARTED = frozenset(
    {
        FailureReason.IMAGE_NOT_PULLED,
        FailureReason.CONTAINER_CONFIG_ERROR,
        FailureReason.CONTAINER_NOT_STARTED,
        FailureReason.UNSCHEDULABLE,
        FailureReason.POD_REFUSED,
    }
)


def repetition_token(facts: Facts, now: dt.datetime) -> str | None:
    """Return the token of a check that is to be repeated now; the same cause gives the same token."""
    if facts.checking:
        return None
    before = facts.lost_check or _outdated(facts)
    if before is not None:
        return f"{before}-generation-{facts.generation}"
    due = repeat_at(facts)
    if due is None or now < due or facts.check_failure is None:
        return None
    return f"{facts.check_failure.job_name}-repeated"


def repeat_at(facts: Facts) -> dt.datetime | None:
    """Return when a failed check is repeated; None if it is not, or if the schedule repeats it before."""
    failure = facts.check_failure
    if failure is None or facts.checking or facts.spec.suspend or failure.reason == FailureReason.BAD_CONFIGURATION:
        return None
    if failure.reason not in NOT_STARTED and failure.failures > MAX_REPETITIONS:
        return None
    due = failure.time + min(FIRST_DELAY * (1 << min(failure.failures - 1, 8)), MAX_DELAY)
    return due if due < next_time(facts.spec.schedule, facts.spec.time_zone, failure.time) else None


def _outdated(facts: Facts) -> str | None:
    """Return the Job of the newest check if it gave no usable verdict for an older spec."""
    failure, check = facts.check_failure, facts.check
    if failure is not None:
        return failure.job_name if _is_older(failure.generation, facts) else None
    if check is None or check.verdict != Reason.CORRUPTED:
        return None
    return check.job_name if _is_older(check.generation, facts) else None


def _is_older(generation: int | None, facts: Facts) -> bool:
    return generation is not None and generation < facts.generation
