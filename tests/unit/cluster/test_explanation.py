"""The page of ``kubectl mmon explain``: the policy's own triggers and holds, in its order."""

from __future__ import annotations

from typing import Any

import pytest

from modelmonitor_api.names import ConditionType
from modelmonitor_api.status import RecordedDecision
from modelmonitor_policy import Facts, decide
from modelmonitor_policy.holds import HOLDS
from modelmonitor_policy.triggers import TRIGGERS
from modelmonitor_trainer.cluster.explanation import explain, explanation_blocks, explanation_document
from modelmonitor_trainer.cluster.page import render
from unit.cluster.observed import condition, observed
from unit.policy.factories import DAY, HOUR, NOW, drifted, facts, retrain, spec, training


def page(given: Facts, **status: Any) -> str:
    return render(explanation_blocks(observed(**status), explain(given, NOW), NOW), width=120, color=False)


@pytest.mark.parametrize(
    "given",
    [
        facts(),
        facts(check=drifted()),
        facts(check=drifted(), spec=spec(retraining={"mode": "DryRun"})),
        facts(check=drifted(), spec=spec(suspend=True, retraining={"mode": "Manual"})),
        facts(check=None, champion=None),
        facts(requests=retrain()),
        facts(check=drifted(), training=training(HOUR, failures=2, message="no memory")),
    ],
)
def test_an_explanation_is_the_decision_of_the_operator(given: Facts) -> None:
    explanation = explain(given, NOW)
    decision = decide(given, NOW)
    assert explanation.decision == decision
    assert [step.name for step in explanation.triggers] == [rule.__name__ for rule in TRIGGERS]
    assert [step.name for step in explanation.holds] == [rule.__name__ for rule in HOLDS]
    deciding = [step for step in explanation.holds if step.decides]
    assert [step.message for step in deciding] == ([decision.message] if deciding else [])


def test_each_hold_that_applies_is_shown_and_the_first_one_decides() -> None:
    text = page(facts(check=drifted(), spec=spec(suspend=True, retraining={"mode": "Manual"})))
    assert (
        "  It does not train (Suspended). The monitor is suspended; set spec.suspend to false to resume it.\n" in text
    )
    assert "  YES  Enough consecutive checks found drift: the check of 2013-04-02T05:00:00Z found drift.\n" in text
    assert "  HOLDS  Never train while the monitor is suspended.\n" in text
    assert "  pass   Never train on corrupted data, not even on request.\n" in text
    assert "  holds  Leave the decision to the user in manual mode. A training is due:" in text


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (facts(), "  It does not train. No trigger is active.\n"),
        (facts(), "  No trigger is active, so there is nothing to hold."),
        (facts(), "  Switched on  onDrift, onPerformance\n"),
        (facts(check=None, champion=None), "  Check        none has returned a verdict\n"),
        (facts(check=drifted(in_a_row=3)), "Drift, 60 min ago (2013-04-02 05:00 UTC), 3 checks in a row found drift"),
        (facts(requests=retrain("now")), "  A training starts (Requested). The annotation"),
        (facts(training=training(5 * DAY, rejections=2, outcome="Rejected")), "Rejected, 2 rejections in a row\n"),
        (
            facts(check=drifted(), spec=spec(retraining={"cooldownSeconds": 864000}), training=training(2 * DAY)),
            "  Time alone can change this in 8 days (2013-04-10 06:00 UTC).\n",
        ),
    ],
)
def test_facts_have_their_lines(given: Facts, line: str) -> None:
    text = page(given)
    assert line in text, text


def test_a_running_training_is_no_contradiction() -> None:
    running = condition(ConditionType.TRAINING, "True", "DriftDetected", "Job train-7 is running")
    text = page(facts(), conditions=[running])
    assert "  A training is running (DriftDetected). Job train-7 is running.\n" in text
    assert "  No other training starts. No trigger is active.\n" in text


def test_the_record_of_decisions_is_shown_without_repeating_the_present_one() -> None:
    given = facts(check=drifted(), spec=spec(suspend=True))
    present = decide(given, NOW)
    text = page(
        given,
        decisions=[
            RecordedDecision(time=NOW, action="Held", reason="Suspended", message=present.message),
            RecordedDecision(time=NOW - DAY, action="Promoted", reason="Better", message="By 0.01"),
        ],
    )
    assert "  2013-04-02 06:00  Held (Suspended). As above.\n" in text
    assert "  2013-04-01 06:00  Promoted (Better). By 0.01." in text


def test_the_document_for_scripts() -> None:
    document = explanation_document(observed(), explain(facts(check=drifted(), spec=spec(suspend=True)), NOW))
    assert document["decision"]["action"] == "Hold"
    assert [hold["name"] for hold in document["holds"] if hold["decides"]] == ["suspended"]
