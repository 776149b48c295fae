"""Why a Job has not started: each cause that the kubelet, the scheduler or the API server reports, and its fix."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from modelmonitor_api.names import LABEL_ROLE
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.job_start import find_refusal, needs_events, needs_pods, observe_wait
from modelmonitor_policy.observations import JobWait

NOW = dt.datetime(2013, 4, 2, 6, tzinfo=dt.UTC)
STARTED = "2013-04-02T05:59:00Z"
ACTIVE = {"startTime": STARTED, "active": 1, "ready": 0}


def job(role: str = "check", status: Object | None = None, **spec: Any) -> Object:
    return {
        "metadata": {
            "name": "flights-check",
            "namespace": "demo",
            "uid": "job-1",
            "labels": {LABEL_ROLE: role},
            "creationTimestamp": STARTED,
        },
        "spec": spec,
        "status": ACTIVE if status is None else status,
    }


def pod(name: str = "modelmonitor", created: str = STARTED, conditions: Any = (), **state: Any) -> Object:
    return {
        "metadata": {"name": "pod-1", "creationTimestamp": created},
        "spec": {
            "containers": [{"name": "modelmonitor", "image": "registry.example/trainer:1"}],
            "initContainers": [{"name": "train", "image": "registry.example/own:1"}],
        },
        "status": {"conditions": list(conditions), "containerStatuses": [{"name": name, "state": state}]},
    }


def waiting(reason: str, message: str = "", name: str = "modelmonitor") -> Object:
    return pod(name, waiting={"reason": reason, "message": message})


def unscheduled(message: str, created: str = STARTED, reason: str = "Unschedulable") -> Object:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return pod(created=created, conditions=[condition], waiting={"reason": "ContainerCreating"})


def refused(message: str, uid: str = "job-1", time: str = STARTED) -> Object:
    return {
        "reason": "FailedCreate",
        "involvedObject": {"uid": uid},
        "message": f"Error creating: {message}",
        "lastTimestamp": time,
    }


@pytest.mark.parametrize(
    ("pod", "reason", "words"),
    [
        (
            waiting("ImagePullBackOff", 'Back-off pulling image "registry.example/trainer:1"'),
            "ImageNotPulled",
            "'registry.example/trainer:1' cannot be pulled; correct the chart's trainerImage",
        ),
        (
            waiting("ErrImagePull", "rpc error: code = NotFound desc = not found", "train"),
            "ImageNotPulled",
            "'registry.example/own:1' cannot be pulled (there is no such image); correct spec.retraining.trainer.image",
        ),
        (waiting("ErrImagePull", "dial tcp: lookup x: no such host: not found"), "ImageNotPulled", "cannot be reached"),
        (waiting("ErrImagePull", "401 Unauthorized"), "ImageNotPulled", "denies access"),
        (waiting("InvalidImageName", "couldn't parse"), "ImageNotPulled", "is not a valid name"),
        (
            waiting("CreateContainerConfigError", 'secret "s3" not found'),
            "ContainerConfigError",
            "the Secret 's3' does not exist; create it in namespace demo, or correct spec.storage.credentialsSecretRef",
        ),
        (
            waiting("CreateContainerConfigError", "couldn't find key password in Secret demo/s3"),
            "ContainerConfigError",
            "the Secret 'demo/s3' has no key 'password'",
        ),
        (waiting("CreateContainerError", "mount failed"), "ContainerNotStarted", "mount failed"),
        (waiting("RunContainerError", "exec: not found", "train"), "ContainerNotStarted", "entry point of spec.retr"),
        (
            unscheduled("0/3 nodes are available: 3 Insufficient memory."),
            "Unschedulable",
            "3 Insufficient memory; lower spec.check.resources.requests, or add nodes",
        ),
        (unscheduled("0/3 nodes", created="2013-04-02T05:59:50Z"), "Pending", "no container runs"),
        (unscheduled("held", reason="SchedulingGated"), "Pending", "no container runs"),
        (waiting("ContainerCreating"), "Pending", "no container runs"),
    ],
)
def test_a_pod_that_does_not_run(pod: Object, reason: str, words: str) -> None:
    wait = observe_wait(job(), [pod], [], NOW)
    assert wait is not None
    assert wait.reason == reason
    assert words in wait.message
    assert wait.blocked is (reason != "Pending")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            'pods "flights-check-x7k2p" is forbidden: exceeded quota: small, requested: cpu=2, limited: cpu=1',
            "forbidden: exceeded quota: small, requested: cpu=2, limited: cpu=1; raise the ResourceQuota",
        ),
        (
            'pods "flights-check-1" is forbidden: serviceaccount "robot" not found',
            "create the ServiceAccount 'robot', or correct spec.storage.serviceAccountName",
        ),
        ('pods "a" is forbidden: maximum memory usage per Container is 1Gi', "the LimitRange of the namespace"),
        ('admission webhook "policy" denied the request: no', "the policy of the namespace"),
    ],
)
def test_a_pod_that_cannot_be_created(message: str, words: str) -> None:
    owner = job(status={"startTime": STARTED})
    assert needs_events(owner, [])
    wait = observe_wait(owner, [], [refused("an older cause", time="2013-04-02T05:00:00Z"), refused(message)], NOW)
    assert wait is not None
    assert wait.reason == "PodRefused"
    assert words in wait.message


def test_the_name_of_the_pod_that_differs_in_each_attempt_does_not_change_the_message() -> None:
    one, other = (refused(f'pods "flights-check-{suffix}" is forbidden: exceeded quota: q') for suffix in ("a", "b"))
    assert find_refusal(job(), [one]) == find_refusal(job(), [other])
    assert find_refusal(job(), [refused("of another Job", uid="job-2")]) is None


@pytest.mark.parametrize(
    ("job", "pods"),
    [
        pytest.param(job(status={**ACTIVE, "ready": 1}), [], id="ready"),
        pytest.param(job(), [pod(running={})], id="running, not ready yet"),
        pytest.param(job(), [pod("train", terminated={"exitCode": 0})], id="between two init containers"),
        pytest.param(job(status={"startTime": STARTED, "failed": 1}), [], id="before the next attempt"),
        pytest.param(
            job(status={"startTime": STARTED, "ready": 0, "uncountedTerminatedPods": {"succeeded": ["pod-1"]}}),
            [],
            id="just ended, not counted yet",
        ),
    ],
)
def test_a_job_that_has_started_does_not_wait(job: Object, pods: list[Object]) -> None:
    assert observe_wait(job, pods, [], NOW) is None


def test_a_container_that_waits_after_others_have_run_is_reported() -> None:
    later = pod("prepare", terminated={"exitCode": 0})
    later["status"]["initContainerStatuses"] = [{"name": "train", "state": {"waiting": {"reason": "ErrImagePull"}}}]
    wait = observe_wait(job("train"), [later], [], NOW)
    assert wait is not None
    assert wait.reason == "ImageNotPulled"


def test_a_suspended_job_is_queued_and_costs_no_request() -> None:
    suspended = job(suspend=True)
    assert not needs_pods(suspended)
    assert not needs_events(suspended, [])
    wait = observe_wait(suspended, [], [], NOW)
    assert wait is not None
    assert (wait.reason, wait.blocked) == ("Queued", False)


@pytest.mark.parametrize(
    ("status", "pods", "events"),
    [
        ({}, False, False),
        (ACTIVE, True, True),
        ({**ACTIVE, "ready": 1}, False, True),
        ({"startTime": STARTED}, False, True),
    ],
)
def test_what_is_read(status: Object, pods: bool, events: bool) -> None:
    owner = job(status=status)
    assert (needs_pods(owner), needs_events(owner, [])) == (pods, events)
    assert not needs_events(owner, [pod()])


def test_blocked() -> None:
    assert [JobWait(reason, "").blocked for reason in ("Pending", "Queued", "Unschedulable")] == [False, False, True]
