"""Jobs that have not started: what the status keeps of them, and the cause of their end."""

from __future__ import annotations

from typing import Any

import pytest

from modelmonitor_api.names import FailureReason, Role
from modelmonitor_api.status import MAX_WAITING_JOBS, ModelMonitorStatus
from modelmonitor_policy import JobObservation, apply_job_results, record_waiting_jobs
from modelmonitor_policy.observations import JobWait
from modelmonitor_policy.waiting import find_waiting
from support.monitors import failure
from unit.policy.factories import HOUR, NOW

PULL = "Container a cannot start: the image 'b' cannot be pulled"


def job(role: Role = Role.CHECK, reason: str | None = None, message: str = "", **fields: Any) -> JobObservation:
    """Return a Job that waits for a reason, if one is given."""
    wait = JobWait(reason, message) if reason is not None else None
    defaults: dict[str, Any] = {"name": "a", "uid": "uid-a", "role": role, "started": NOW, "waiting": wait}
    return JobObservation(**(defaults | fields))


def recorded(*jobs: JobObservation, status: ModelMonitorStatus | None = None) -> list[tuple[str, str]]:
    """Return the reasons and messages that the status remembers."""
    after = record_waiting_jobs(status or ModelMonitorStatus(), jobs)
    return [(waiting.reason, waiting.message) for waiting in after.waiting_jobs]


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        pytest.param(job(reason="Pending"), [], id="a check that is about to start"),
        pytest.param(job(Role.TRAIN, "Pending", "wait"), [("Pending", "wait")], id="a training that is about to start"),
        pytest.param(job(Role.TRAIN, "Queued", "wait"), [("Queued", "wait")], id="a queued training"),
        pytest.param(job(reason="PodRefused", message="quota"), [("PodRefused", "quota")], id="a blocked check"),
        pytest.param(job(Role.TRAIN), [], id="running"),
        pytest.param(job(reason="PodRefused", finished=NOW + HOUR), [], id="ended"),
    ],
)
def test_what_is_recorded(job: JobObservation, expected: list[tuple[str, str]]) -> None:
    assert recorded(job) == expected


def test_the_newest_of_many_are_kept() -> None:
    jobs = [job(reason="PodRefused", message=str(n), uid=f"uid-{n}", started=NOW + n * HOUR) for n in range(9)]
    status = record_waiting_jobs(ModelMonitorStatus(), reversed(jobs))
    assert [waiting.message for waiting in status.waiting_jobs] == [str(n) for n in range(9)][-MAX_WAITING_JOBS:]
    waiting = find_waiting(status, Role.CHECK)
    assert waiting is not None
    assert waiting.message == "8"


def test_the_cause_of_a_failed_pull_stays_while_the_kubelet_waits_to_pull_again() -> None:
    status = record_waiting_jobs(ModelMonitorStatus(), [job(reason="ImageNotPulled", message=f"{PULL} (denied)")])
    assert recorded(job(reason="ImageNotPulled", message=PULL), status=status) == [
        ("ImageNotPulled", f"{PULL} (denied)")
    ]
    assert recorded(job(reason="Unschedulable", message="x"), status=status) == [("Unschedulable", "x")]


@pytest.mark.parametrize(
    ("reason", "answer", "expected"),
    [
        ("ContainerConfigError", FailureReason.DEADLINE_EXCEEDED, "ContainerConfigError"),
        ("Pending", FailureReason.DEADLINE_EXCEEDED, "DeadlineExceeded"),
        ("ContainerConfigError", FailureReason.BAD_DATA, "BadData"),
        (None, FailureReason.DEADLINE_EXCEEDED, "DeadlineExceeded"),
    ],
)
def test_a_job_that_never_started_did_not_run_too_long(
    reason: str | None, answer: FailureReason, expected: str
) -> None:
    before = record_waiting_jobs(ModelMonitorStatus(), [job(reason=reason, message="the Secret 's3' does not exist")])
    after = apply_job_results(before, [job(finished=NOW + HOUR, answer=failure(answer, "it took too long"))])
    assert after.last_check_failure is not None
    assert after.last_check_failure.reason == expected
    assert ("did not start" in after.last_check_failure.message) is (expected == reason)
