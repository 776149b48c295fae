"""What the status keeps of decisions for the ledger: outcomes and holds, each once, whatever the history forgets."""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.names import Reason
from modelmonitor_api.status import MAX_DECISIONS, HistoryEntry, LastTraining, ModelMonitorStatus
from modelmonitor_policy import Action, Decision
from modelmonitor_policy.decision_record import record_decisions
from unit.policy.factories import HOUR, NOW

NOTHING = Decision(Action.NOTHING, Reason.NOT_TRIGGERED, "No trigger is active.")


def hold(reason: Reason = Reason.COOLING_DOWN) -> Decision:
    """Return a decision against a training."""
    return Decision(Action.HOLD, reason, f"It is {reason}.")


def actions(status: ModelMonitorStatus) -> list[tuple[str, str, int | None]]:
    """Return what is recorded, newest first."""
    return [(entry.action, entry.reason, entry.seconds) for entry in status.decisions]


def entry(action: str, time: dt.datetime = NOW, reason: str = "Drift") -> HistoryEntry:
    """Return an entry of the history."""
    return HistoryEntry(time=time, action=action, reason=reason)


def test_outcomes_with_their_cost_and_holds_with_the_cost_that_they_save() -> None:
    training = LastTraining(number=1, job_name="a", start_time=NOW - HOUR, completion_time=NOW)
    status = ModelMonitorStatus(
        history=[entry("Rejected"), entry("TrainingStarted", NOW - HOUR)], last_training=training
    )
    status = record_decisions(status, hold(), NOW + HOUR)
    expected = [("Held", "CoolingDown", 3600), ("Rejected", "Drift", 3600), ("TrainingStarted", "Drift", None)]
    assert actions(status) == expected
    assert actions(record_decisions(status, hold(), NOW + 2 * HOUR)) == expected, "the same hold is one decision"
    assert record_decisions(status, NOTHING, NOW + 2 * HOUR) == status
    later = record_decisions(status, hold(Reason.BUDGET_EXHAUSTED), NOW + 2 * HOUR)
    assert actions(later)[0] == ("Held", "BudgetExhausted", 3600)


def test_a_job_in_progress_is_no_decision() -> None:
    assert record_decisions(ModelMonitorStatus(), hold(Reason.IN_FLIGHT), NOW).decisions == []


def test_the_newest_are_kept() -> None:
    status = ModelMonitorStatus()
    for number in range(40):
        reason = Reason.COOLING_DOWN if number % 2 else Reason.BUDGET_EXHAUSTED
        status = status.model_copy(update={"history": [entry("Rejected", NOW)]})
        status = record_decisions(status, hold(reason), NOW + number * HOUR)
    assert len(status.decisions) == MAX_DECISIONS
    assert status.decisions[0].time == NOW + 39 * HOUR
    assert all(decision.action == "Held" for decision in status.decisions)
