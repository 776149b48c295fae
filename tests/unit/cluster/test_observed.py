"""What is observed of a monitor: its checks from pods, whose messages can be anything, and from the status."""

from __future__ import annotations

from modelmonitor_api.messages import Failure
from modelmonitor_api.names import FailureReason, Role
from modelmonitor_trainer.cluster.observed import observe_monitor
from support import monitors
from unit.cluster.observed import NOW, UID, check_pod, job, last_check, observed


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
