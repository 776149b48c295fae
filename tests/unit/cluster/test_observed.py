"""What is observed of a monitor: its checks from pods, whose messages can be anything, and from the status."""

from __future__ import annotations

from modelmonitor_api.messages import Failure
from modelmonitor_api.names import FailureReason, Role
from modelmonitor_api.status import FAILED, RecentCheck
from modelmonitor_trainer.cluster.observed import observe_monitor
from support import monitors
from unit.cluster.observed import HOUR, NOW, UID, check_pod, job, last_check, observed


def test_checks_are_those_of_pods_and_of_the_status_each_once() -> None:
    pods = [
        check_pod("flights-check-0", monitors.check("Drift", time=NOW.replace(day=1))),
        check_pod("flights-check-1", monitors.check("NoDrift", time=NOW)),
        check_pod("broken", "no JSON"),
        check_pod("failed", Failure(reason=FailureReason.NOT_FOUND, message="no bucket")),
    ]
    checks = observed(pods=pods, last_check=last_check()).checks
    assert [(point.verdict, point.job_name) for point in checks] == [
        ("Failed", "failed"),
        ("Drift", "flights-check-0"),
        ("NoDrift", "flights-check-1"),
    ]
    assert checks[1].effect == 0.31


def test_pods_and_jobs_of_a_deleted_monitor_are_left_out() -> None:
    pod, other = check_pod("x", monitors.check()), job(Role.CHECK, "x")
    pod["metadata"]["labels"]["modelmonitor.io/monitor-uid"] = "other"
    other["metadata"]["labels"]["modelmonitor.io/monitor-uid"] = "other"
    monitor = observed(pods=[pod], jobs=[other, job(Role.TRAIN, "y")])
    assert monitor.checks == ()
    assert [each.name for each in monitor.jobs] == ["y"]


def test_an_invalid_spec_or_status_is_no_error() -> None:
    resource = {"metadata": {"name": "x", "uid": UID}, "spec": {"schedule": 3}, "status": {"conditions": "none"}}
    monitor = observe_monitor(resource)
    assert monitor.spec is None
    assert "schedule" in monitor.spec_problem
    assert monitor.facts() is None
    assert monitor.status.conditions == []


def test_checks_of_which_no_pod_is_left_are_those_of_the_status() -> None:
    listed = [
        RecentCheck(time=NOW - 27 * HOUR, job_name="flights-check-0", verdict="Drift", largest_effect="0.4"),
        RecentCheck(time=NOW - 51 * HOUR, job_name="flights-check-00", verdict=FAILED),
    ]
    monitor = observed(last_check=last_check(), recent_checks=listed)
    assert [(point.job_name, point.verdict, point.effect) for point in monitor.checks] == [
        ("flights-check-00", FAILED, None),
        ("flights-check-0", "Drift", 0.4),
        ("flights-check-1", "NoDrift", None),
    ]
