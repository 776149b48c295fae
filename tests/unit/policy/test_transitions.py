"""Transitions of the status: each result is applied once, in the order of the ends of the Jobs."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.names import FailureReason, Reason, Role
from modelmonitor_api.scores import ServedScore
from modelmonitor_api.status import (
    MAX_COMPARISONS,
    MAX_HISTORY,
    MAX_RECENT_JOBS,
    Champion,
    ChampionWatch,
    ModelMonitorStatus,
)
from modelmonitor_policy import (
    INITIAL_CHECK,
    AutoRollback,
    Intent,
    JobObservation,
    RollbackCause,
    StartCheck,
    StartPromotion,
    StartRollback,
    StartTraining,
    apply_job_results,
    fail_lost_training,
    known_jobs,
    record_intent,
)
from support import monitors
from unit.policy.factories import DAY, HOUR, NOW

EMPTY = ModelMonitorStatus(observed_generation=4)
MINUTE = dt.timedelta(minutes=1)


def job(role: Role, answer: Any = None, *, ended: dt.timedelta | None = None, name: str = "a", **fields: Any) -> Any:
    """Return a Job that started now, and ended after `ended` where that is given."""
    finished = None if ended is None else NOW + ended
    return JobObservation(name, f"uid-{name}", role, NOW, finished=finished, answer=answer, **fields)


def training(number: int = 1, answer: Any = None, *, ended: dt.timedelta | None = None, **fields: Any) -> Any:
    """Return the Job of a training."""
    trigger = "DriftDetected: The check found drift."
    return job(Role.TRAIN, answer, ended=ended, name=f"train-{number}", number=number, trigger=trigger, **fields)


def champion(version: str, since: dt.datetime = NOW) -> Champion:
    """Return a champion."""
    return monitors.champion(version).model_copy(update={"since": since})


def actions(status: ModelMonitorStatus) -> list[str]:
    """Return the actions of the history, newest first."""
    return [entry.action for entry in status.history]


def test_a_result_is_applied_once() -> None:
    ended = training(1, monitors.failure(), ended=HOUR)
    once = apply_job_results(EMPTY, [ended])
    assert apply_job_results(once, [ended]) == once
    assert known_jobs(once) == {"uid-train-1"}
    assert actions(once) == ["TrainingFailed", "TrainingStarted"]
    assert once.last_training is not None
    assert (once.last_training.failures, once.last_training.generation) == (1, 4)


def test_what_metrics_show_is_part_of_the_status() -> None:
    score = ServedScore(metric="ROCAUC", score="0.74", low="0.72", high="0.76", promised="0.81", rows=9000)
    verdict = monitors.check("Drift", time=NOW, drifted_features=2, largest_effect="0.31", performance=score)
    status = apply_job_results(EMPTY, [job(Role.CHECK, verdict, ended=MINUTE)])
    assert status.last_check is not None
    assert (status.last_check.drifted_features, status.last_check.largest_effect) == (2, "0.31")
    assert status.last_check.performance == score
    status = apply_job_results(status, [training(1, monitors.run("Rejected", peak_memory_bytes=7), ended=HOUR)])
    assert status.last_training is not None
    assert status.last_training.peak_memory_bytes == 7


def test_a_training_is_recorded_when_it_starts_with_the_request_that_it_serves() -> None:
    status = apply_job_results(EMPTY, [training(3, token="please")])
    assert status.last_training is not None
    assert (status.last_training.number, status.last_training.reason) == (3, "DriftDetected")
    assert status.last_training.completion_time is None
    assert (status.handled_requests.retrain, status.trainings) == ("please", [NOW])
    assert apply_job_results(status, [training(2)]) == status, "an older training is not the newest one"


def test_a_training_records_what_it_says_about_age() -> None:
    """Whatever its outcome: how many days newer its rows were than those of the champion, and how much better."""
    first = monitors.champion("v1").model_copy(update={"data_end": NOW - 40 * DAY})
    before = EMPTY.model_copy(update={"champion": first})
    verdict = monitors.run("Rejected", champion=None, train_end=(NOW - 16 * DAY).date())
    status = apply_job_results(before, [training(1, verdict, ended=HOUR)])
    [learnt] = status.comparisons
    assert (learnt.days, learnt.difference, learnt.low, learnt.high) == (24, "0.0100", "0.0020", "0.0180")
    for number in range(2, 20):
        status = apply_job_results(status, [training(number, verdict, ended=number * HOUR)])
    assert len(status.comparisons) == MAX_COMPARISONS
    assert status.comparisons[0].time == NOW + 19 * HOUR


def test_rejections_in_a_row_are_counted() -> None:
    outcomes = [
        (monitors.run("Rejected"), 1),
        (monitors.failure(), 1),
        (monitors.run("Rejected"), 2),
        (monitors.run("Inconclusive", comparison=None), 2),
        (monitors.run("Inconclusive", reason="TooGoodToBeTrue"), 3),
        (monitors.run("Promoted"), 0),
        (monitors.run("Rejected"), 1),
    ]
    status = EMPTY
    for number, (answer, rejections) in enumerate(outcomes, start=1):
        status = apply_job_results(status, [training(number, answer, ended=number * HOUR)])
        assert status.last_training is not None
        assert status.last_training.rejections == rejections


@pytest.mark.parametrize("train_end", [None, (NOW - 60 * DAY).date()], ids=["custom trainer", "older rows"])
def test_a_training_on_rows_that_are_not_newer_says_nothing_about_age(train_end: dt.date | None) -> None:
    first = monitors.champion("v1").model_copy(update={"data_end": NOW - 40 * DAY})
    verdict = monitors.run("Rejected", champion=None, train_end=train_end)
    status = apply_job_results(EMPTY.model_copy(update={"champion": first}), [training(1, verdict, ended=HOUR)])
    assert status.comparisons == []


def test_a_verdict_replaces_a_failure_and_counts_consecutive_drifts() -> None:
    failed = apply_job_results(EMPTY, [job(Role.CHECK, monitors.failure(), ended=MINUTE)])
    assert failed.last_check is None
    assert failed.last_check_failure is not None
    status, counts = failed, []
    for number, verdict in enumerate(("Drift", "Drift", "NoDrift", "Drift", "PerformanceDrop")):
        answer = monitors.check(verdict, time=NOW)  # type: ignore[arg-type]  # the values are literals
        status = apply_job_results(status, [job(Role.CHECK, answer, ended=(2 + number) * MINUTE, name=str(number))])
        assert status.last_check is not None
        counts.append(status.last_check.consecutive_drifts)
    assert counts == [1, 2, 0, 1, 0]
    assert status.last_check_failure is None


def test_a_new_champion_starts_the_count_of_drifts_over() -> None:
    drifted = apply_job_results(EMPTY, [job(Role.CHECK, monitors.check("Drift", time=NOW), ended=MINUTE)])
    promoted = monitors.run("Promoted", "v1-11111111", champion=champion("v1-11111111"))
    status = apply_job_results(drifted, [training(1, promoted, ended=HOUR)])
    assert status.last_check is not None
    assert status.last_check.consecutive_drifts == 0
    assert status.champion == champion("v1-11111111")


def test_a_check_that_began_before_a_promotion_does_not_restore_the_old_champion() -> None:
    before, after = champion("v1-11111111", NOW - HOUR), champion("v2-22222222", NOW)
    status = apply_job_results(EMPTY.model_copy(update={"champion": after}), [])
    late = job(Role.CHECK, monitors.check("NoDrift", time=NOW, champion=before), ended=HOUR)
    assert apply_job_results(status, [late]).champion == after
    # A rollback is authoritative, even to a champion that has been one for longer.
    back = job(Role.ROLLBACK, monitors.run("RolledBack", before.version, champion=before), ended=HOUR)
    assert apply_job_results(status, [back]).champion == before


def test_a_promotion_on_a_command_line_starts_over_what_was_counted_against_the_old_champion() -> None:
    onset = NOW.date()
    drift = monitors.check("Drift", champion=champion("v1"), drift_onset=onset)
    status = apply_job_results(EMPTY, [job(Role.CHECK, drift, ended=MINUTE, name="one")])
    later = monitors.check("Inconclusive", champion=champion("v2", NOW + 2 * MINUTE))
    status = apply_job_results(status, [job(Role.CHECK, later, ended=3 * MINUTE, name="two")])
    assert status.champion is not None
    assert status.champion.version == "v2"
    assert status.last_check is not None
    assert (status.last_check.drift_onset, status.last_check.consecutive_drifts) == (None, 0)
    again = monitors.check("Drift", champion=champion("v2", NOW + 2 * MINUTE))
    status = apply_job_results(status, [job(Role.CHECK, again, ended=4 * MINUTE, name="three")])
    assert status.last_check is not None
    assert status.last_check.consecutive_drifts == 1


def test_drift_from_the_reference_of_an_old_champion_is_not_counted() -> None:
    promoted = monitors.run(champion=champion("v2", NOW + 2 * MINUTE))
    status = apply_job_results(EMPTY, [training(1, promoted, ended=2 * MINUTE)])
    late = monitors.check("Drift", champion=champion("v1"), drift_onset=NOW.date())
    status = apply_job_results(status, [job(Role.CHECK, late, ended=3 * MINUTE, name="late")])
    assert status.last_check is not None
    assert (status.last_check.drift_onset, status.last_check.consecutive_drifts) == (None, 0)


def test_a_day_of_corrupted_data_does_not_revoke_the_result_of_the_watch() -> None:
    served = champion("v2-22222222")
    figures = {"difference": "-0.04", "low": "-0.06", "high": "-0.02"}
    watch = ChampionWatch(
        champion=served.version,
        since=served.since,
        predecessor="v1-11111111",
        metric="ROCAUC",
        days=4,
        rows=4000,
        worse=True,
        **figures,
    )
    first = job(Role.CHECK, monitors.check("NoDrift", time=NOW, champion=served, watch=watch), ended=MINUTE)
    status = apply_job_results(EMPTY, [first])
    corrupted = monitors.check("Corrupted", time=NOW, champion=served)
    status = apply_job_results(status, [job(Role.CHECK, corrupted, ended=HOUR, name="b")])
    assert status.last_check is not None
    assert status.last_check.watch == watch
    other = monitors.check("NoDrift", time=NOW, champion=champion("v3-33333333"))
    status = apply_job_results(status, [job(Role.CHECK, other, ended=2 * HOUR, name="c")])
    assert status.last_check is not None
    assert status.last_check.watch is None


@pytest.mark.parametrize("role", list(Role))
def test_a_result_of_the_wrong_kind_is_a_failure(role: Role) -> None:
    wrong = monitors.run("Promoted") if role is Role.CHECK else monitors.check("NoDrift", time=NOW)
    ended = training(1, wrong, ended=HOUR) if role is Role.TRAIN else job(role, wrong, ended=HOUR)
    status = apply_job_results(EMPTY, [ended])
    assert status.champion is None
    failure = status.last_check_failure if role is Role.CHECK else status.history[0]
    assert failure is not None
    assert failure.reason == "UnexpectedAnswer"
    assert "not asked for" in failure.message


def test_a_training_whose_job_was_deleted_has_failed() -> None:
    running = apply_job_results(EMPTY, [training(1)])
    assert fail_lost_training(running, [training(1)], NOW) == running
    failed = fail_lost_training(running, [], NOW + HOUR)
    assert failed.last_training is not None
    assert (failed.last_training.outcome, failed.last_training.failures) == ("Failed", 1)
    assert failed.last_training.completion_time == NOW + HOUR
    assert fail_lost_training(failed, [], NOW + 2 * HOUR) == failed
    assert fail_lost_training(EMPTY, [], NOW) == EMPTY


AUTOMATIC = {"instead_of": "v2", "promotion": "v2@now", "message": "worse"}


@pytest.mark.parametrize(
    ("intent", "handled"),
    [
        (StartCheck(INITIAL_CHECK, requested=False), {}),
        (StartCheck("now", requested=True), {"check": "now"}),
        (StartRollback("v1", "v1#2"), {"rollback": "v1#2"}),
        (StartPromotion("v1", "v1"), {"promote": "v1"}),
        (StartTraining(1, Reason.REQUESTED, "Requested.", "please"), {"retrain": "please"}),
        (
            AutoRollback("v1", cause=RollbackCause.WATCH, reason=Reason.WORSE_THAN_PREDECESSOR, **AUTOMATIC),
            {"watch": "v2@now"},
        ),
        (AutoRollback("v1", cause=RollbackCause.ROLLOUT, reason=Reason.ROLLOUT_FAILED, **AUTOMATIC), {}),
    ],
)
def test_an_executed_intent_is_recorded(intent: Intent, handled: dict[str, str]) -> None:
    started = training(1, token=intent.token) if isinstance(intent, StartTraining) else job(Role.CHECK)
    status = record_intent(EMPTY, intent, started, NOW)
    assert status.handled_requests.to_wire() == handled
    watched = isinstance(intent, AutoRollback) and intent.cause is RollbackCause.WATCH
    assert ("RollbackStarted" in actions(status)) == watched


ANSWERS = {
    Role.CHECK: [monitors.check("Drift", time=NOW), monitors.check("Corrupted", time=NOW), monitors.failure()],
    Role.TRAIN: [monitors.run("Promoted"), monitors.run("Rejected"), monitors.failure(FailureReason.NO_VERDICT)],
    Role.ROLLBACK: [monitors.run("RolledBack"), monitors.failure()],
    Role.PROMOTE: [monitors.run("Promoted"), monitors.failure()],
}
histories = st.lists(
    st.sampled_from(list(Role)).flatmap(lambda role: st.tuples(st.just(role), st.sampled_from(ANSWERS[role]))),
    max_size=40,
)


@given(histories, st.integers(0, 40))
def test_any_history_is_bounded_and_does_not_depend_on_how_often_it_is_observed(
    history: list[tuple[Role, Any]], seen: int
) -> None:
    numbers = itertools.count(1)
    # Several Jobs end in the same second.
    jobs = [
        training(next(numbers), answer, ended=index // 3 * MINUTE)
        if role is Role.TRAIN
        else job(role, answer, ended=index // 3 * MINUTE, name=f"{role}-{index}")
        for index, (role, answer) in enumerate(history)
    ]
    status = apply_job_results(EMPTY, jobs)
    assert len(status.history) <= MAX_HISTORY
    assert len(status.recent_jobs) <= MAX_RECENT_JOBS
    assert apply_job_results(status, jobs) == status
    assert apply_job_results(apply_job_results(EMPTY, jobs[:seen]), jobs) == status


def test_jobs_that_ended_together_are_forgotten_together() -> None:
    """A Job beyond those that are remembered stays known, even if it ended in the same second as the oldest of them."""
    together = [job(Role.CHECK, monitors.check("Drift"), ended=MINUTE, name=name) for name in ("z", "a")]
    later = [
        job(Role.CHECK, monitors.check("NoDrift"), ended=(2 + index) * MINUTE, name=f"later-{index}")
        for index in range(MAX_RECENT_JOBS - 1)
    ]
    status = apply_job_results(EMPTY, [*together, *later])
    assert status.last_check is not None
    assert status.last_check.job_name == f"later-{MAX_RECENT_JOBS - 2}"
    assert apply_job_results(status, [*together, *later]) == status


def dated(created: dt.timedelta, ended: dt.timedelta, answer: Any, name: str) -> Any:
    """Return a check by when it was created and ended."""
    return dataclasses.replace(job(Role.CHECK, answer, ended=ended, name=name), started=NOW + created)


@pytest.mark.parametrize(
    ("older", "newer", "verdict", "failed"),
    [
        pytest.param(monitors.failure(), monitors.check("Drift"), "Drift", None, id="a stale failure"),
        pytest.param(monitors.check("NoDrift"), monitors.check("Drift"), "Drift", None, id="a stale verdict"),
        pytest.param(monitors.check("NoDrift"), monitors.failure(), "NoDrift", "new", id="an older verdict stays"),
        pytest.param(monitors.failure(), monitors.failure(), None, "new", id="a stale failure after another"),
    ],
)
def test_a_job_that_ends_late_does_not_overwrite_a_newer_result(
    older: Any, newer: Any, verdict: str | None, failed: str | None
) -> None:
    status = apply_job_results(
        EMPTY, [dated(MINUTE, 2 * MINUTE, newer, "new"), dated(0 * MINUTE, 15 * MINUTE, older, "old")]
    )
    assert (status.last_check.verdict if status.last_check else None) == verdict
    assert (status.last_check_failure.job_name if status.last_check_failure else None) == failed
    assert len(status.recent_jobs) == 2


def test_failures_in_a_row_are_counted() -> None:
    jobs = [dated(n * HOUR, n * HOUR + MINUTE, monitors.failure(), str(n)) for n in range(3)]
    status = apply_job_results(EMPTY, jobs)
    assert status.last_check_failure is not None
    assert status.last_check_failure.failures == 3
    status = apply_job_results(status, [dated(4 * HOUR, 5 * HOUR, monitors.check(), "4")])
    assert status.last_check_failure is None
