"""The page of ``kubectl mmon status``: one state after the other, and the command that fits it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from modelmonitor_api.names import ConditionType
from modelmonitor_api.scores import ScoreComparison
from modelmonitor_api.status import (
    Champion,
    FeatureEvidence,
    HistoryEntry,
    LastCheckFailure,
    LastTraining,
    RowCounts,
    WaitingJob,
)
from modelmonitor_trainer.cluster.caller import Caller
from modelmonitor_trainer.cluster.page import render
from modelmonitor_trainer.cluster.status_page import status_blocks, status_document
from support import monitors
from unit.cluster.observed import DAY, HOSTILE, HOUR, NOW, READY, check_pod, condition, last_check, observed

CALLER = Caller("ml")
CHAMPION = Champion(
    version="v3-0a1b2c3d", since=NOW - 20 * DAY, metric="ROCAUC", score="0.81", data_end=NOW - 30 * DAY - 9 * HOUR
)


def training(**fields: Any) -> LastTraining:
    defaults: dict[str, Any] = {
        "number": 7,
        "job_name": "flights-train-7",
        "reason": "DriftDetected",
        "start_time": NOW - 2 * DAY,
        "completion_time": NOW - 2 * DAY + dt.timedelta(minutes=12),
        "outcome": "Rejected",
        "message": "It is worse.",
        "version": "v7-11111111",
    }
    return LastTraining(**(defaults | fields))


def page(**status: Any) -> str:
    return render(status_blocks(observed(**status), NOW, CALLER), width=120, color=False)


def waiting(reason: str) -> WaitingJob:
    return WaitingJob(job_name="flights-check-2", uid="u", role="check", reason=reason, message="the Secret is missing")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({}, "  Ready. The operator keeps it up to date."),
        ({"conditions": []}, "  Not processed. No operator has processed it."),
        (
            {"conditions": [condition(ConditionType.READY, "False", "InvalidSpec", "spec.x: wrong")]},
            "  Not ready (InvalidSpec). spec.x: wrong.",
        ),
        ({"observed_generation": 0}, "  Outdated. The operator has not processed the newest spec yet."),
        ({"spec": {"suspend": True}}, "  Paused. Neither checks nor trainings start."),
        (
            {
                "last_check_failure": LastCheckFailure(
                    time=NOW, job_name="j", reason="NotFound", message="no bucket", failures=3
                )
            },
            "  Checks fail 3 times in a row (NotFound). no bucket.",
        ),
        (
            {"waiting_jobs": [waiting("ContainerConfigError")]},
            "  A check Job waits (ContainerConfigError). the Secret is missing.",
        ),
        ({"waiting_jobs": [waiting("Pending")]}, "  Ready. The operator keeps it up to date."),
        (
            {"conditions": [READY, condition(ConditionType.CHAMPION_HEALTHY, "False", "WorseThanPredecessor")]},
            "  WorseThanPredecessor. because.",
        ),
        ({"last_check": last_check("Drift")}, "  Verdict  Drift. temp has drifted: effect size 0.31."),
        ({"last_check": last_check()}, "  Checked  3 h ago (2013-04-02 06:00 UTC)"),
        (
            {
                "last_check": last_check(
                    top_features=[FeatureEvidence(name="temp", effect="0.31", p_value="0", drifted=True)]
                )
            },
            "  Drifted  temp (effect 0.31)",
        ),
        (
            {"last_check": last_check(rows=RowCounts(reference=90000, current=28000))},  # without a champion
            "Rows     28,000 current, 90,000 in the reference\n",
        ),
        (
            {"last_check": last_check(rows=RowCounts(reference=90000, current=28000), new_rows=1200)},
            "28,000 current, 90,000 in the reference; 1,200 are newer than the champion's training data",
        ),
        ({"next_check_time": NOW + 9 * HOUR}, "  Next     in 9 h (2013-04-02 18:00 UTC)"),
        ({"champion": CHAMPION}, "  Promise     ROCAUC 0.81 on the hold-out of its promotion"),
        ({"champion": CHAMPION}, "  Trained on  days through 2013-03-02 (30 days old)"),
        (
            {
                "champion": CHAMPION,
                "last_training": training(
                    version=CHAMPION.version,
                    comparison=ScoreComparison(
                        metric="ROCAUC", challenger="0.81", champion="0.8", difference="0.01", low="0.002", high="0.018"
                    ),
                ),
            },
            "  Better by   0.01 than the version before it, between 0.002 and 0.018",
        ),
        (
            {"conditions": [READY, condition(ConditionType.TRAINING, "False", "CoolingDown", "Until noon")]},
            "  Now   Does not train (CoolingDown). Until noon.",
        ),
        (
            {"conditions": [READY, condition(ConditionType.TRAINING, "True", "DriftDetected", "Job x is running")]},
            "  Now   Trains (DriftDetected). Job x is running.",
        ),
        (
            {
                "conditions": [READY, condition(ConditionType.TRAINING, "False", "Rejected")],
                "last_training": training(),
            },
            "  Now   No training is due.",
        ),
        (
            {"last_training": training()},
            "  Last  Rejected. Training 7 ended 47 h ago (2013-03-31 09:12 UTC) and took 12 min. It is worse.",
        ),
        (
            {"last_training": training(outcome="AwaitingApproval")},
            "kubectl mmon promote flights -n ml              make v7-11111111 the champion",
        ),
        ({"spec": {"suspend": True}}, "  kubectl mmon resume flights -n ml"),
        ({"conditions": []}, "  kubectl mmon doctor flights -n ml   what is wrong, and how to fix it"),
        (
            {
                "history": [
                    HistoryEntry(time=NOW, action="Promoted", reason="Better", message="By 0.01", version="v7-11111111")
                ]
            },
            "  2013-04-02 09:00  Promoted (Better). v7-11111111: By 0.01.",
        ),
    ],
)
def test_a_state_has_its_line(status: dict[str, Any], line: str) -> None:
    text = page(**status)
    assert line in text, text


def test_the_time_line_shows_verdicts_and_effects() -> None:
    pods = [
        check_pod(f"c{day}", monitors.check("NoDrift", time=NOW.replace(day=1) - day * DAY, top_features=[]))
        for day in range(3)
    ]
    text = page(
        pods=pods,
        last_check=last_check("Drift", top_features=[FeatureEvidence(name="temp", effect="0.31", p_value="0")]),
    )
    assert (
        "  Time line  ···█  from 2013-03-30\n"
        "             ---D\n"
        "             - NoDrift ×3, D Drift ×1; bars: largest effect of a check, 0.31 to 0.31\n"
    ) in text


def test_a_long_time_line_has_several_lines() -> None:
    pods = [check_pod(f"c{n}", monitors.check("NoDrift", time=NOW - n * HOUR, top_features=[])) for n in range(70)]
    lines = page(pods=pods).splitlines()
    first = next(index for index, line in enumerate(lines) if "Time line" in line)
    assert [len(line.split()[-3]) for line in (lines[first], lines[first + 2])] == [60, 10]


def test_hostile_texts_are_harmless() -> None:
    evidence = FeatureEvidence(name=HOSTILE, effect=HOSTILE, p_value="0", drifted=True)
    text = page(
        last_check=last_check("Drift", message=HOSTILE, top_features=[evidence]),
        champion=CHAMPION.model_copy(update={"score": HOSTILE, "version": HOSTILE, "pinned": HOSTILE}),
        last_training=training(message=HOSTILE, outcome=HOSTILE),
        history=[HistoryEntry(time=NOW, action=HOSTILE, reason=HOSTILE, message=HOSTILE, version=HOSTILE)],
    )
    assert all(c.isprintable() or c == "\n" for c in text)


def test_the_document_for_scripts() -> None:
    document = status_document(observed(last_check=last_check("Drift"), champion=CHAMPION))
    assert (document["ready"], document["verdict"], document["paused"]) == (True, "Drift", False)
    assert document["champion"]["version"] == CHAMPION.version
    assert [point["verdict"] for point in document["checks"]] == ["Drift"]
