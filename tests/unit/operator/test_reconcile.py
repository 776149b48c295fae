"""The reconcile loop against a Kubernetes API in memory: what it creates, leaves alone and reports."""

from __future__ import annotations

from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_api.messages import decode_request
from modelmonitor_api.names import FailureReason, Role
from modelmonitor_operator.gateway import Conflict, Forbidden, Invalid, Unavailable
from support.monitors import champion, check, failure, run
from unit.operator.first_check import first_check
from unit.operator.in_memory_cluster import NAMESPACE, InMemoryCluster

CONDITIONS = {"Ready", "Stalled", "Reconciling", "DriftDetected", "Training", "Suspended"}


@pytest.fixture
def cluster() -> InMemoryCluster:
    return InMemoryCluster()


async def champion_promoted(cluster: InMemoryCluster, **fields: Any) -> None:
    """Go on to a first champion."""
    await first_check(cluster)
    [job] = cluster.of_role(Role.TRAIN)
    cluster.pass_time(minutes=9)
    served = champion("v1-0a1b2c3d").model_copy(update={"since": cluster.now})
    cluster.finish(job["metadata"]["name"], run("Promoted", "v1-0a1b2c3d", champion=served, **fields))
    await cluster.settle()
    cluster.pass_time(hours=1)


async def later_check(cluster: InMemoryCluster, suffix: str, verdict: Any, **fields: Any) -> None:
    """Let a scheduled check end."""
    name = cluster.scheduled_check(suffix)
    cluster.pass_time(minutes=1)
    served = champion(cluster.status()["champion"]["version"]) if "champion" in cluster.status() else None
    cluster.finish(name, check(verdict, time=cluster.now, **{"champion": served, **fields}))
    await cluster.settle()


async def test_a_new_monitor_has_its_cron_job_a_first_check_and_all_conditions(cluster: InMemoryCluster) -> None:
    cluster.add()
    await cluster.settle()
    assert list(cluster.cron_jobs) == ["flights-check"]
    [job] = cluster.jobs.values()
    assert job["metadata"]["labels"][names.LABEL_ROLE] == "check"
    status = cluster.status()
    assert {condition["type"] for condition in status["conditions"]} == CONDITIONS
    assert {condition["observedGeneration"] for condition in status["conditions"]} == {1}
    assert status["observedGeneration"] == 1
    assert cluster.condition("Ready") == ("True", "Accepted")
    assert cluster.condition("DriftDetected") == ("Unknown", "NotCheckedYet")
    assert cluster.condition("Training") == ("False", "NotTriggered")
    assert status["nextCheckTime"] == "2013-04-03T06:00:00Z"


async def test_nothing_is_written_when_nothing_changes(cluster: InMemoryCluster) -> None:
    await champion_promoted(cluster)
    await later_check(cluster, "a", "NoDrift")
    written, posted = len(cluster.writes), len(cluster.events)
    for _ in range(3):
        cluster.pass_time(minutes=2)
        await cluster.reconcile()
    assert cluster.writes[written:] == []
    assert len(cluster.events) == posted


async def test_from_the_first_check_to_a_champion(cluster: InMemoryCluster) -> None:
    await first_check(cluster)
    [job] = cluster.of_role(Role.TRAIN)
    uid = cluster.monitors["flights"]["metadata"]["uid"]
    assert job["metadata"]["name"] == names.training_job_name("flights", uid, 1)
    request = decode_request(job["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_REQUEST])
    assert (request.kind, getattr(request, "number", None)) == ("Train", 1)
    assert cluster.condition("Training")[0] == "True"
    assert cluster.status()["lastTraining"]["reason"] == "NoChampion"
    cluster.pass_time(minutes=9)
    cluster.finish(job["metadata"]["name"], run("Promoted", "v1-0a1b2c3d", champion=champion("v1-0a1b2c3d")))
    await cluster.settle()
    status = cluster.status()
    assert status["champion"]["version"] == "v1-0a1b2c3d"
    assert status["lastTraining"]["outcome"] == "Promoted"
    assert status["lastTraining"]["imageID"] == "sha256:5eed"
    assert status["lastTraining"]["comparison"] == {
        "metric": "ROCAUC",
        "challenger": "0.8200",
        "champion": "0.8100",
        "difference": "0.0100",
        "low": "0.0020",
        "high": "0.0180",
        "trainRows": 90000,
        "holdoutRows": 14000,
    }
    assert [entry["action"] for entry in status["history"]] == ["Promoted", "TrainingStarted"]
    assert cluster.condition("Training")[0] == "False"
    assert [event["reason"] for event in cluster.events].count("Promoted") == 1
    assert len(cluster.of_role(Role.TRAIN)) == 1


async def test_drift_trains_once_and_clears_the_state_of_the_last_training(cluster: InMemoryCluster) -> None:
    await champion_promoted(cluster, report_uri="s3://monitors/report.html")
    await later_check(cluster, "a", "Drift")
    assert cluster.condition("DriftDetected") == ("True", "Drift")
    assert len(cluster.of_role(Role.TRAIN)) == 2
    running = cluster.status()["lastTraining"]
    assert running["number"] == 2
    assert not {"completionTime", "outcome", "version", "reportURI"} & set(running)
    cluster.finish(cluster.of_role(Role.TRAIN)[1]["metadata"]["name"], run("Rejected", "v2-0a1b2c3d"))
    await cluster.settle()
    cluster.pass_time(days=2)
    await cluster.settle()
    assert len(cluster.of_role(Role.TRAIN)) == 2
    assert cluster.status()["champion"]["version"] == "v1-0a1b2c3d"
    assert cluster.status()["history"][0]["action"] == "Rejected"


async def test_corrupted_data_block_even_a_requested_training(cluster: InMemoryCluster) -> None:
    await champion_promoted(cluster)
    await later_check(cluster, "a", "Corrupted")
    cluster.annotate(names.ANNOTATION_RETRAIN_REQUESTED, "now")
    await cluster.settle()
    assert cluster.condition("Training") == ("False", "CorruptedData")
    assert len(cluster.of_role(Role.TRAIN)) == 1
    await later_check(cluster, "b", "NoDrift")
    assert len(cluster.of_role(Role.TRAIN)) == 2
    assert cluster.status()["handledRequests"]["retrain"] == "now"
    assert cluster.status()["lastTraining"]["reason"] == "Requested"


async def test_a_failed_training_is_tried_again_after_an_hour_or_with_a_new_spec(cluster: InMemoryCluster) -> None:
    await first_check(cluster)
    [job] = cluster.of_role(Role.TRAIN)
    cluster.finish(job["metadata"]["name"], failure(FailureReason.BAD_DATA), failed="BackoffLimitExceeded")
    await cluster.settle()
    assert cluster.condition("Training") == ("False", "BackingOff")
    assert cluster.status()["lastTraining"]["failures"] == 1
    cluster.pass_time(minutes=59)
    await cluster.settle()
    assert len(cluster.of_role(Role.TRAIN)) == 1
    cluster.pass_time(minutes=2)
    await cluster.settle()
    assert [job["metadata"]["labels"][names.LABEL_NUMBER] for job in cluster.of_role(Role.TRAIN)] == ["1", "2"]
    cluster.finish(cluster.of_role(Role.TRAIN)[1]["metadata"]["name"], None, failed="BackoffLimitExceeded")
    await cluster.settle()
    assert cluster.status()["lastTraining"]["failures"] == 2
    cluster.edit(retraining={"windowDays": 30})
    await cluster.settle()
    assert len(cluster.of_role(Role.TRAIN)) == 3
    cluster.finish(cluster.of_role(Role.TRAIN)[2]["metadata"]["name"], None, failed="BackoffLimitExceeded")
    await cluster.settle()
    assert len(cluster.of_role(Role.TRAIN)) == 3, "the backoff starts over with the training of the new spec"


async def test_a_manually_created_job_counts_once(cluster: InMemoryCluster) -> None:
    await champion_promoted(cluster)
    await later_check(cluster, "by-hand", "Inconclusive")
    assert cluster.status()["lastCheck"]["jobName"] == "flights-check-by-hand"
    assert cluster.condition("DriftDetected") == ("Unknown", "Inconclusive")


async def test_a_drop_of_the_score_is_no_claim_about_drift(cluster: InMemoryCluster) -> None:
    await champion_promoted(cluster)
    await later_check(cluster, "dropped", "PerformanceDrop")
    assert cluster.condition("DriftDetected") == ("Unknown", "PerformanceDrop")


async def test_requests_by_annotation_are_executed_once_each(cluster: InMemoryCluster) -> None:
    await champion_promoted(cluster)
    cluster.annotate(names.ANNOTATION_CHECK_REQUESTED, "monday")
    cluster.annotate(names.ANNOTATION_ROLLBACK_TO, "previous")
    cluster.annotate(names.ANNOTATION_PROMOTE, "v9-0a1b2c3d")
    await cluster.settle()
    assert len(cluster.of_role(Role.CHECK)) == 2
    [rollback] = cluster.of_role(Role.ROLLBACK)
    assert cluster.of_role(Role.PROMOTE) == [], "one Job at a time moves the champion"
    before = champion("v0-0a1b2c3d").model_copy(update={"since": cluster.now})
    cluster.pass_time(minutes=1)
    cluster.finish(rollback["metadata"]["name"], run("RolledBack", "v0-0a1b2c3d", champion=before))
    await cluster.settle()
    assert cluster.status()["champion"]["version"] == "v0-0a1b2c3d"
    [promote] = cluster.of_role(Role.PROMOTE)
    cluster.finish(promote["metadata"]["name"], failure(FailureReason.NOT_FOUND), failed="PodFailurePolicy")
    await cluster.settle()
    handled = {"check": "monday", "rollback": "previous", "promote": "v9-0a1b2c3d"}
    assert cluster.status()["handledRequests"] == handled
    actions = [entry["action"] for entry in cluster.status()["history"]]
    assert actions[:2] == ["PromotionFailed", "RolledBack"]
    assert len(cluster.of_role(Role.ROLLBACK)) == len(cluster.of_role(Role.PROMOTE)) == 1
    started = {event["reason"]: event["message"] for event in cluster.events if event["reason"].endswith("Started")}
    assert started.keys() == {"TrainingStarted", "CheckStarted", "RollbackStarted", "PromotionStarted"}
    assert started["CheckStarted"] == "Started for the annotation modelmonitor.io/check-requested-at: monday"


async def test_a_champion_that_is_not_the_newest_version_is_still_the_champion(cluster: InMemoryCluster) -> None:
    """A rollback may leave the time at which the old version first became the champion."""
    await champion_promoted(cluster)
    cluster.annotate(names.ANNOTATION_ROLLBACK_TO, "v0-0a1b2c3d")
    await cluster.settle()
    [rollback] = cluster.of_role(Role.ROLLBACK)
    cluster.pass_time(minutes=1)
    cluster.finish(rollback["metadata"]["name"], run("RolledBack", "v0-0a1b2c3d", champion=champion("v0-0a1b2c3d")))
    await cluster.settle()
    assert cluster.status()["champion"]["version"] == "v0-0a1b2c3d"


async def test_suspended_neither_checks_nor_trains_but_rolls_back(cluster: InMemoryCluster) -> None:
    await champion_promoted(cluster)
    cluster.edit(suspend=True)
    for annotation in (names.ANNOTATION_CHECK_REQUESTED, names.ANNOTATION_RETRAIN_REQUESTED):
        cluster.annotate(annotation, "now")
    cluster.annotate(names.ANNOTATION_ROLLBACK_TO, "v0-0a1b2c3d")
    await cluster.settle()
    assert cluster.cron_jobs["flights-check"]["spec"]["suspend"] is True
    assert cluster.condition("Suspended") == ("True", "Suspended")
    assert "nextCheckTime" not in cluster.status()
    assert len(cluster.of_role(Role.CHECK)) == len(cluster.of_role(Role.TRAIN)) == 1
    assert len(cluster.of_role(Role.ROLLBACK)) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schedule": "61 * * * *"}, "spec.schedule"),
        ({"schedule": "@daily"}, "five fields"),
        ({"schedule": "0 0 30 2 *"}, "spec.schedule"),
        ({"timeZone": "Mars/Olympus"}, "spec.timeZone"),
        ({"storage": {"resultsURI": "file:///tmp/"}}, "s3://"),
        ({"promotion": {"metric": "R2"}}, "promotion.metric"),
        ({"nonsense": 1}, "spec.nonsense"),
    ],
)
async def test_an_invalid_spec_is_a_sentence_and_the_last_good_cron_job_stays(
    cluster: InMemoryCluster, change: dict[str, Any], words: str
) -> None:
    cluster.add()
    await cluster.settle()
    before = cluster.cron_jobs["flights-check"]
    cluster.edit(**change)
    await cluster.settle()
    assert cluster.condition("Stalled") == ("True", "InvalidSpec")
    assert cluster.condition("Ready") == ("False", "InvalidSpec")
    [sentence] = [c["message"] for c in cluster.status()["conditions"] if c["type"] == "Stalled"]
    assert words in sentence
    assert cluster.cron_jobs["flights-check"] == before
    assert cluster.status()["observedGeneration"] == 2


async def test_a_spec_that_was_never_valid_has_all_conditions(cluster: InMemoryCluster) -> None:
    cluster.add(timeZone="Mars/Olympus")
    await cluster.settle()
    assert {condition["type"] for condition in cluster.status()["conditions"]} == CONDITIONS
    assert cluster.jobs == cluster.cron_jobs == {}


async def test_a_cron_job_that_was_changed_or_deleted_is_restored(cluster: InMemoryCluster) -> None:
    cluster.add()
    await cluster.settle()
    cluster.cron_jobs["flights-check"]["spec"]["schedule"] = "0 0 * * *"
    await cluster.settle()
    assert cluster.cron_jobs["flights-check"]["spec"]["schedule"] == "0 6 * * *"
    del cluster.cron_jobs["flights-check"]
    await cluster.settle()
    assert "flights-check" in cluster.cron_jobs
    cluster.edit(schedule="0 7 * * *")
    await cluster.settle()
    assert cluster.cron_jobs["flights-check"]["spec"]["schedule"] == "0 7 * * *"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Invalid("cronjobs.batch is invalid: spec.schedule: bad"), "ObjectRefused"),
        (Forbidden("cronjobs.batch is forbidden: exceeded quota"), "ObjectRefused"),
    ],
)
async def test_a_rejected_object_is_reported_with_the_servers_message(
    cluster: InMemoryCluster, error: Exception, reason: str
) -> None:
    cluster.add()
    cluster.refuse["apply_cron_job"] = error
    await cluster.settle()
    assert cluster.condition("Ready") == ("False", reason)
    [sentence] = [c["message"] for c in cluster.status()["conditions"] if c["type"] == "Ready"]
    assert str(error) in sentence
    del cluster.refuse["apply_cron_job"]
    await cluster.settle()
    assert cluster.condition("Ready") == ("True", "Accepted")


async def test_an_event_that_cannot_be_posted_stops_nothing(cluster: InMemoryCluster) -> None:
    cluster.refuse["create_event"] = Unavailable("no events today")
    await champion_promoted(cluster)
    assert cluster.status()["champion"]["version"] == "v1-0a1b2c3d"


async def test_a_conflict_of_the_status_is_left_to_the_next_reconciliation(cluster: InMemoryCluster) -> None:
    cluster.add()
    cluster.refuse["patch_status"] = Conflict("changed meanwhile")
    with pytest.raises(Conflict):
        await cluster.reconcile()
    assert cluster.events == []
    del cluster.refuse["patch_status"]
    await cluster.settle()
    assert len(cluster.of_role(Role.CHECK)) == 1


async def test_a_lost_status_is_rebuilt_from_the_jobs(cluster: InMemoryCluster) -> None:
    await champion_promoted(cluster)
    await later_check(cluster, "a", "Drift")
    before = cluster.status()
    del cluster.monitors["flights"]["status"]
    await cluster.settle()
    after = cluster.status()
    for field in ("champion", "lastTraining", "trainings", "lastCheck"):
        assert after[field] == before[field], field
    assert len(cluster.of_role(Role.TRAIN)) == 2
    assert len(cluster.of_role(Role.CHECK)) == 2


async def test_a_champion_whose_score_is_no_number_stops_nothing(cluster: InMemoryCluster) -> None:
    """Every pass of the monitor failed, for ever."""
    await first_check(cluster)
    [job] = cluster.of_role(Role.TRAIN)
    served = champion("v1-0a1b2c3d", score="")
    cluster.finish(job["metadata"]["name"], run("Promoted", "v1-0a1b2c3d", champion=served))
    await cluster.settle()
    assert cluster.status()["champion"]["version"] == "v1-0a1b2c3d"
    assert cluster.condition("Ready") == ("True", "Accepted")


async def test_a_status_that_cannot_be_read_is_rebuilt(cluster: InMemoryCluster) -> None:
    cluster.add()
    await cluster.settle()
    cluster.monitors["flights"]["status"] = {"lastTraining": {"number": "nonsense"}}
    await cluster.settle()
    assert cluster.condition("Ready") == ("True", "Accepted")
    assert "lastTraining" not in cluster.status()


async def test_a_training_whose_job_was_deleted_has_failed(cluster: InMemoryCluster) -> None:
    await first_check(cluster)
    [job] = cluster.of_role(Role.TRAIN)
    del cluster.jobs[job["metadata"]["name"]]
    await cluster.settle()
    assert cluster.status()["lastTraining"]["outcome"] == "Failed"
    assert cluster.condition("Training") == ("False", "BackingOff")
    cluster.pass_time(hours=2)
    await cluster.settle()
    [job] = cluster.of_role(Role.TRAIN)
    assert job["metadata"]["labels"][names.LABEL_NUMBER] == "2", "a number is never used twice"


async def test_a_check_that_began_before_a_promotion_does_not_bring_the_old_champion_back(
    cluster: InMemoryCluster,
) -> None:
    await first_check(cluster)
    late = cluster.scheduled_check("late")
    [job] = cluster.of_role(Role.TRAIN)
    cluster.pass_time(minutes=9)
    served = champion("v1-0a1b2c3d").model_copy(update={"since": cluster.now})
    cluster.finish(job["metadata"]["name"], run("Promoted", "v1-0a1b2c3d", champion=served))
    await cluster.settle()
    cluster.pass_time(minutes=1)
    cluster.finish(late, check(time=cluster.now, champion=None))
    await cluster.settle()
    assert cluster.status()["champion"]["version"] == "v1-0a1b2c3d"
    assert len(cluster.of_role(Role.TRAIN)) == 1


async def test_a_monitor_that_is_being_deleted_is_not_changed(cluster: InMemoryCluster) -> None:
    cluster.add()
    cluster.monitors["flights"]["metadata"]["deletionTimestamp"] = "2013-04-02T12:00:00Z"
    await cluster.reconcile()
    await cluster.reconcile("never-was")
    assert cluster.writes == []


async def test_the_count_of_consecutive_drifts_starts_over_with_a_new_champion(cluster: InMemoryCluster) -> None:
    cluster.add(sensitivity={"consecutiveChecks": 2})
    await champion_promoted(cluster)
    await later_check(cluster, "a", "Drift")
    assert cluster.condition("Training") == ("False", "WaitingForConsecutiveChecks")
    await later_check(cluster, "b", "Drift")
    assert len(cluster.of_role(Role.TRAIN)) == 2
    served = champion("v2-0a1b2c3d").model_copy(update={"since": cluster.now})
    cluster.pass_time(minutes=5)
    cluster.finish(cluster.of_role(Role.TRAIN)[1]["metadata"]["name"], run("Promoted", "v2-0a1b2c3d", champion=served))
    await cluster.settle()
    cluster.pass_time(hours=1)
    await later_check(cluster, "c", "Drift", champion=served)
    assert cluster.status()["lastCheck"]["consecutiveDrifts"] == 1
    assert len(cluster.of_role(Role.TRAIN)) == 2


def test_names_are_those_of_the_monitor() -> None:
    assert NAMESPACE not in names.cron_job_name("flights")


async def test_decisions_are_logged_once_and_nothing_else(
    cluster: InMemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await champion_promoted(cluster)
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("demo/flights: TrainingStarted (NoChampion): There is no champion") for line in lines)
    assert any(line.startswith("demo/flights: Promoted v1-0a1b2c3d") for line in lines)
    assert "lastModelTime" in cluster.status()
    assert cluster.status()["reason"] == "Promoted"
    caplog.clear()
    for _ in range(3):
        cluster.pass_time(minutes=2)
        await cluster.reconcile()
    assert caplog.records == []
