"""The fleet: what the row of a monitor says, and which rows a reader sees in which order."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from modelmonitor_api.names import ConditionType
from modelmonitor_api.status import FAILED, LastCheckFailure, RecentCheck, RecordedDecision
from modelmonitor_trainer.cluster.page import Tone
from modelmonitor_trainer.ui.fleet import ORDERS, FleetRow, Query, count_states, fleet_row, select_rows
from support import monitors
from unit.cluster.observed import DAY, HOUR, NOW, READY, condition, last_check, observed
from unit.ui.monitored import served


def failure() -> LastCheckFailure:
    return LastCheckFailure(time=NOW, job_name="x", reason="NotFound", message="no bucket")


@pytest.mark.parametrize(
    ("fields", "state", "tone"),
    [
        ({}, "NotChecked", Tone.UNSURE),
        ({"last_check": last_check("NoDrift")}, "NoDrift", Tone.GOOD),
        ({"last_check": last_check("Drift")}, "Drift", Tone.BAD),
        ({"last_check": last_check("Inconclusive")}, "Inconclusive", Tone.UNSURE),
        ({"last_check": last_check("NoDrift"), "last_check_failure": failure()}, FAILED, Tone.BAD),
        ({"last_check": last_check("NoDrift"), "spec": {"suspend": True}}, "Paused", Tone.UNSURE),
        ({"spec": {"storage": {"resultsURI": "nowhere"}}}, "InvalidSpec", Tone.BAD),
    ],
)
def test_the_state_of_a_monitor(fields: dict[str, Any], state: str, tone: Tone) -> None:
    row = fleet_row(observed(**fields), NOW)
    assert (row.state, row.tone) == (state, tone)
    assert row.message


def test_checks_of_one_tone_are_one_stroke_and_the_summary_counts_verdicts() -> None:
    verdicts = ["NoDrift", "NoDrift", "Drift", FAILED, "Inconclusive", "NoDrift"]
    checks = [
        RecentCheck(time=NOW - index * DAY, job_name=f"check-{index}", verdict=verdict)
        for index, verdict in enumerate(reversed(verdicts))
    ]
    line = fleet_row(observed(recent_checks=checks), NOW).line
    assert line is not None
    assert dict(line.paths) == {Tone.GOOD: "M0 0h2M5 0h1", Tone.BAD: "M2 0h2", Tone.UNSURE: "M4 0h1"}
    assert line.summary == "2013-03-28 to 2013-04-02: 3 NoDrift, 1 Drift, 1 Failed, 1 Inconclusive"
    assert fleet_row(observed(), NOW).line is None


def test_the_champion_its_age_its_score_and_what_it_cost() -> None:
    champion = monitors.champion("v3-0a1b2c3d").model_copy(update={"data_end": NOW - 12 * DAY})
    decisions = [
        RecordedDecision(time=NOW - HOUR, action="Promoted", reason="Better", seconds=3600, version="v3-0a1b2c3d"),
        RecordedDecision(time=NOW - HOUR, action="Held", reason="Cooldown", seconds=3600),
        RecordedDecision(time=NOW - 20 * DAY, action="Rejected", seconds=9000),
    ]
    fields: dict[str, Any] = {"champion": champion, "decisions": decisions, "trainings": [NOW - HOUR, NOW - 20 * DAY]}
    row = fleet_row(observed(last_check=last_check(performance=served("0.74")), **fields), NOW)
    assert (row.champion, row.champion_days, row.trainings) == ("v3-0a1b2c3d", 12, 1)
    # One hour of half a processor, which is what the spec requests by default.
    assert row.hours == 0.5
    assert row.score is not None
    assert (row.score.served, row.score.promised) == (0.74, 0.8)
    bare = fleet_row(observed(), NOW)
    assert (bare.champion, bare.champion_days, bare.score, bare.hours) == ("", None, None, None)
    assert fleet_row(observed(last_check=last_check(performance=served("a lot"))), NOW).score is not None


@pytest.mark.parametrize(
    ("conditions", "blocked"),
    [
        ([READY, condition(ConditionType.TRAINING, "False", "NotTriggered")], ""),
        ([READY, condition(ConditionType.TRAINING, "True", "Running")], ""),
        ([READY, condition(ConditionType.TRAINING, "False", "Cooldown", "2 h left")], "Cooldown: 2 h left"),
        (
            [condition(ConditionType.READY, "False", "NameCollision", "owned by another")],
            "NameCollision: owned by another",
        ),
    ],
)
def test_what_keeps_it_from_training(conditions: list[Any], blocked: str) -> None:
    assert fleet_row(observed(conditions=conditions), NOW).blocked == blocked


def row(name: str, **fields: Any) -> FleetRow:
    defaults: dict[str, Any] = {
        "namespace": "ml",
        "name": name,
        "state": "NoDrift",
        "tone": Tone.GOOD,
        "message": "",
        "line": None,
        "champion": "",
        "champion_days": None,
        "score": None,
        "trainings": 0,
        "hours": None,
        "next_check": None,
        "blocked": "",
    }
    return FleetRow(**(defaults | fields))


ROWS = [
    row("a", champion_days=3, next_check=NOW + HOUR),
    row("b", state="Drift", tone=Tone.BAD, message="Temp has drifted.", trainings=2),
    row("c", state="Inconclusive", tone=Tone.UNSURE, namespace="web", champion="v9", trainings=2, hours=1.0),
    row("d", champion_days=40, next_check=NOW, blocked="Cooldown: wait"),
]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (Query(), "bcad"),
        (Query(sort="nothing known"), "bcad"),
        (Query(sort="name"), "abdc"),
        (Query(sort="champion"), "dabc"),
        (Query(sort="trainings"), "cbad"),
        (Query(sort="next"), "dabc"),
        (Query(text="temp DRIFTED"), "b"),
        (Query(text="v9 web"), "c"),
        (Query(text="cooldown"), "d"),
        (Query(namespace="ml", state="NoDrift"), "ad"),
        (Query(text="%s"), ""),
    ],
)
def test_which_rows_a_reader_sees(query: Query, names: str) -> None:
    assert "".join(each.name for each in select_rows(ROWS, query)) == names


def test_each_order_is_total() -> None:
    """The order does not depend on that of the list."""
    for sort in ORDERS:
        assert select_rows(ROWS, Query(sort=sort)) == select_rows(ROWS[::-1], Query(sort=sort))


def test_states_are_counted() -> None:
    assert count_states(ROWS) == {"NoDrift": 2, "Drift": 1, "Inconclusive": 1}


def test_months_are_those_of_utc() -> None:
    east = dt.timezone(dt.timedelta(hours=9))
    start = dt.datetime(2013, 3, 31, 23, tzinfo=dt.UTC)
    assert fleet_row(observed(trainings=[start]), dt.datetime(2013, 4, 1, 8, 30, tzinfo=east)).trainings == 1
    assert fleet_row(observed(trainings=[start]), dt.datetime(2013, 4, 1, 9, 30, tzinfo=east)).trainings == 0
