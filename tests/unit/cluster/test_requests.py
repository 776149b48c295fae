"""Requests to a monitor: the annotations that make them, and how far they have come."""

from __future__ import annotations

from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_api.names import ConditionType, Role, requested_job_name
from modelmonitor_api.status import (
    HandledRequests,
    HistoryEntry,
    LastCheckFailure,
    LastTraining,
    QueuedTraining,
    RecentJob,
    WaitingJob,
)
from modelmonitor_policy import Requests
from modelmonitor_policy.requests import version_of
from modelmonitor_trainer.cluster.requests import (
    Request,
    Stage,
    follow,
    refuse_useless,
    request_check,
    request_promotion,
    request_rollback,
    request_training,
    version_to_promote,
)
from modelmonitor_trainer.errors import BadConfiguration
from unit.cluster.observed import NOW, READY, UID, condition, job, last_check, observed

CHECK, TRAIN = Request(Role.CHECK, "t"), Request(Role.TRAIN, "token-7")
ROLLBACK = Request(Role.ROLLBACK, "previous#t")
CHECK_JOB = requested_job_name("flights", UID, Role.CHECK, "t")
ROLLBACK_JOB = requested_job_name("flights", UID, Role.ROLLBACK, "previous#t")
#: What the status remembers once each request has been seen.
SEEN = HandledRequests(check="t", retrain="token-7", rollback="previous#t")


def training(**fields: Any) -> LastTraining:
    return LastTraining(**({"number": 7, "job_name": "train-7", "start_time": NOW} | fields))


def waits(name: str, role: Role) -> WaitingJob:
    return WaitingJob(job_name=name, uid="u", role=role, reason="ImageNotPulled", message="no such image")


@pytest.mark.parametrize(
    ("request_", "status", "stage", "reason"),
    [
        (CHECK, {}, Stage.WAITING, ""),
        (CHECK, {"handled_requests": SEEN}, Stage.RUNNING, ""),
        (
            CHECK,
            {"handled_requests": SEEN, "waiting_jobs": [waits(CHECK_JOB, Role.CHECK)]},
            Stage.WAITING,
            "ImageNotPulled",
        ),
        (CHECK, {"handled_requests": SEEN, "last_check": last_check("Drift")}, Stage.RUNNING, ""),
        (CHECK, {"last_check": last_check("Drift", job_name=CHECK_JOB)}, Stage.DONE, "Drift"),
        (
            CHECK,
            {"last_check_failure": LastCheckFailure(time=NOW, job_name=CHECK_JOB, reason="NotFound", message="m")},
            Stage.FAILED,
            "NotFound",
        ),
        (
            CHECK,
            {
                "handled_requests": SEEN,
                "jobs": [job(Role.CHECK, CHECK_JOB, ended=NOW)],
                "recent_jobs": [RecentJob(uid=f"uid-of-{CHECK_JOB}", time=NOW)],
            },
            Stage.FAILED,
            "Superseded",
        ),
        (TRAIN, {}, Stage.WAITING, ""),
        (
            TRAIN,
            {"conditions": [READY, condition(ConditionType.TRAINING, "False", "CorruptedData", "… is 'token-7'")]},
            Stage.WAITING,
            "CorruptedData",
        ),
        (
            TRAIN,
            {"conditions": [READY, condition(ConditionType.TRAINING, "False", "CoolingDown", "of another trigger")]},
            Stage.WAITING,
            "",
        ),
        (TRAIN, {"queued_training": QueuedTraining(time=NOW, message="2 run")}, Stage.WAITING, "TrainingQueued"),
        (TRAIN, {"jobs": [job(Role.ROLLBACK, "other")]}, Stage.WAITING, "InFlight"),
        (TRAIN, {"handled_requests": SEEN, "last_training": training()}, Stage.RUNNING, ""),
        (
            TRAIN,
            {"handled_requests": SEEN, "last_training": training(completion_time=NOW, outcome="Rejected")},
            Stage.DONE,
            "Rejected",
        ),
        (
            TRAIN,
            {"handled_requests": SEEN, "last_training": training(completion_time=NOW, outcome="Failed")},
            Stage.FAILED,
            "Failed",
        ),
        # A training of before, which has ended: the requested one has not started.
        (TRAIN, {"last_training": training(completion_time=NOW, outcome="Promoted")}, Stage.WAITING, ""),
        (ROLLBACK, {}, Stage.WAITING, ""),
        (ROLLBACK, {"handled_requests": SEEN}, Stage.RUNNING, ""),
        (
            ROLLBACK,
            {
                "handled_requests": SEEN,
                "jobs": [job(Role.ROLLBACK, ROLLBACK_JOB, ended=NOW)],
                "recent_jobs": [RecentJob(uid=f"uid-of-{ROLLBACK_JOB}", time=NOW)],
                "history": [HistoryEntry(time=NOW, action="RolledBack", message="v1 again")],
            },
            Stage.DONE,
            "RolledBack",
        ),
        (
            ROLLBACK,
            {
                "handled_requests": SEEN,
                "jobs": [job(Role.ROLLBACK, ROLLBACK_JOB, ended=NOW)],
                "recent_jobs": [RecentJob(uid=f"uid-of-{ROLLBACK_JOB}", time=NOW)],
                "history": [HistoryEntry(time=NOW, action="RollbackFailed", reason="NotFound", message="m")],
            },
            Stage.FAILED,
            "RollbackFailed",
        ),
    ],
)
def test_progress(request_: Request, status: dict[str, Any], stage: Stage, reason: str) -> None:
    progress = follow(request_, observed(**status))
    assert (progress.stage, progress.reason) == (stage, reason)


def annotations_of(request: Request) -> dict[str, Any]:
    return dict(request.patch()["metadata"]["annotations"])


def test_the_operator_reads_what_is_requested() -> None:
    for request, field in (
        (request_check(NOW), "check"),
        (request_training(NOW), "retrain"),
        (request_rollback("previous", NOW), "rollback"),
        (request_promotion("v2-0badcafe", "the slice is closed", NOW), "promote"),
    ):
        requests = Requests.from_annotations(annotations_of(request))
        assert getattr(requests, field) == request.token
    assert version_of(request_promotion("v2-0badcafe", "", NOW).token) == "v2-0badcafe"
    assert request_rollback("v1-0badcafe", NOW).token != request_rollback("v1-0badcafe", NOW.replace(minute=1)).token


def test_a_promotion_without_a_reason_removes_that_of_an_earlier_one() -> None:
    assert annotations_of(request_promotion("v2", "", NOW))[names.ANNOTATION_PROMOTE_REASON] is None
    assert annotations_of(request_promotion("v2", "why", NOW))[names.ANNOTATION_PROMOTE_REASON] == "why"


@pytest.mark.parametrize("version", ["", "v1#x", "../v1", "v" * 65, "v1 2"])
def test_a_version_is_a_name(version: str) -> None:
    with pytest.raises(BadConfiguration, match="not a valid name of a version"):
        request_rollback(version, NOW)


def test_the_version_to_promote_is_the_one_that_awaits_approval() -> None:
    awaiting = training(completion_time=NOW, outcome="AwaitingApproval", version="v7-1")
    assert version_to_promote(observed(last_training=awaiting)) == "v7-1"
    for last in (None, training(outcome="Rejected", version="v7-1")):
        with pytest.raises(BadConfiguration, match="no version awaits approval"):
            version_to_promote(observed(last_training=last))


def test_what_nothing_would_serve_is_refused() -> None:
    paused = observed(spec={"suspend": True})
    for role in (Role.CHECK, Role.TRAIN):
        with pytest.raises(BadConfiguration, match=r"is paused.*run: resume it"):
            refuse_useless(paused, role, "resume it")
    refuse_useless(paused, Role.ROLLBACK, "")
    invalid = observed(conditions=[condition(ConditionType.READY, "False", "InvalidSpec", "spec.x")])
    with pytest.raises(BadConfiguration, match=r"not ready \(InvalidSpec\): spec.x"):
        refuse_useless(invalid, Role.ROLLBACK, "")
    refuse_useless(observed(), Role.CHECK, "")
