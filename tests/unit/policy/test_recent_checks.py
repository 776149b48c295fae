"""The recent checks of a status: each Job once, newest first, and no more than people look at."""

from __future__ import annotations

from typing import Any

from modelmonitor_api.names import Role
from modelmonitor_api.status import FAILED, MAX_RECENT_CHECKS, ModelMonitorStatus, RecentCheck
from modelmonitor_policy import JobObservation, apply_job_results
from modelmonitor_policy.recent_checks import add_recent_check
from support import monitors
from unit.policy.factories import HOUR, NOW


def test_each_check_that_has_ended_is_listed_newest_first() -> None:
    verdicts: list[Any] = [monitors.check("Drift", time=NOW + HOUR, largest_effect="0.31"), monitors.failure()]
    jobs = [
        JobObservation(f"check-{index}", f"uid-{index}", Role.CHECK, NOW, finished=NOW + index * HOUR, answer=answer)
        for index, answer in enumerate(verdicts, start=2)
    ]
    status = apply_job_results(ModelMonitorStatus(), jobs)
    assert [(each.job_name, each.verdict, each.largest_effect) for each in status.recent_checks] == [
        ("check-3", FAILED, None),
        ("check-2", "Drift", "0.31"),
    ]
    assert [each.time for each in status.recent_checks] == [NOW + 3 * HOUR, NOW + HOUR]


def test_an_older_check_that_ends_later_takes_its_place() -> None:
    status = ModelMonitorStatus()
    for index in (1, 3, 2):
        check = RecentCheck(time=NOW + index * HOUR, job_name=f"check-{index}", verdict="NoDrift")
        status = add_recent_check(status, check)
    assert [each.job_name for each in status.recent_checks] == ["check-3", "check-2", "check-1"]


def test_the_oldest_are_forgotten_and_no_job_is_listed_twice() -> None:
    status = ModelMonitorStatus()
    for index in range(MAX_RECENT_CHECKS + 5):
        for verdict in (FAILED, "NoDrift"):
            check = RecentCheck(time=NOW + index * HOUR, job_name=f"check-{index}", verdict=verdict)
            status = add_recent_check(status, check)
    assert len(status.recent_checks) == MAX_RECENT_CHECKS
    assert {each.verdict for each in status.recent_checks} == {"NoDrift"}
    assert status.recent_checks[0].job_name == f"check-{MAX_RECENT_CHECKS + 4}"
