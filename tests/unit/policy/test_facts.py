"""Facts: built from plain values."""

from __future__ import annotations

from modelmonitor_api.names import Reason, Role
from modelmonitor_api.status import HandledRequests, LastTraining, ModelMonitorStatus, Rollout
from modelmonitor_policy import JobObservation, Requests, facts_of
from modelmonitor_policy.observations import JobInFlight, RolloutFailure
from support import monitors
from unit.policy.factories import HOUR, NOW, spec

SPEC = spec()


def test_a_new_monitor() -> None:
    facts = facts_of(SPEC, 1, Requests(check="now"), ModelMonitorStatus(), [])
    assert (facts.ever_checked, facts.last_number, facts.requests) == (False, 0, Requests(check="now"))
    assert (facts.check, facts.training, facts.champion, facts.in_flight) == (None, None, None, None)


def test_a_running_check_is_not_in_flight_and_a_training_is() -> None:
    check = JobObservation("c", "1", Role.CHECK, NOW)
    ended = JobObservation("r", "2", Role.ROLLBACK, NOW, finished=NOW + HOUR, token="previous")
    running = JobObservation("t", "3", Role.TRAIN, NOW, number=7)
    assert facts_of(SPEC, 1, Requests(), ModelMonitorStatus(), [check, ended]).in_flight is None
    facts = facts_of(SPEC, 1, Requests(), ModelMonitorStatus(), [check, ended, running])
    assert facts.in_flight == JobInFlight(Role.TRAIN, "t")
    assert (facts.ever_checked, facts.last_number, facts.rollback_tokens) == (True, 7, frozenset({"previous"}))


def test_handled_requests_are_not_pending_and_numbers_never_go_back() -> None:
    status = ModelMonitorStatus(
        handled_requests=HandledRequests(check="now", watch="v1@then"),
        last_training=LastTraining(number=9, job_name="t", start_time=NOW),
    )
    old = JobObservation("t", "3", Role.TRAIN, NOW, finished=NOW, number=7)
    facts = facts_of(SPEC, 1, Requests(check="now", retrain="please"), status, [old])
    assert (facts.requests, facts.watch_answered) == (Requests(retrain="please"), "v1@then")
    assert facts.last_number == 9
    assert facts.training is not None
    assert facts.training.start == NOW


def test_a_failed_rollout_counts_for_the_champion_alone_and_needs_a_version_to_go_back_to() -> None:
    champion = monitors.champion("v2-22222222")
    failed = Rollout(
        deployment="scorer",
        version="v2-22222222",
        reason=Reason.ROLLOUT_FAILED,
        message="not available",
        time=NOW,
        available_version="v1-11111111",
    )

    def of(**changes: str | None) -> RolloutFailure | None:
        status = ModelMonitorStatus(champion=champion, rollout=failed.model_copy(update=changes))
        facts = facts_of(SPEC, 1, Requests(), status, [])
        assert facts.champion is not None
        assert (facts.champion.version, facts.champion.since) == ("v2-22222222", champion.since)
        return facts.rollout_failure

    assert of() == RolloutFailure("v2-22222222", "v1-11111111", "not available")
    assert of(version="v3-33333333") is None
    assert of(available_version=None) is None
    assert of(reason=Reason.ROLLOUT_PROGRESSING) is None
