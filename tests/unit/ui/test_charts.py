"""Charts of a monitor: the geometry that a reader sees."""

from __future__ import annotations

import datetime as dt
from typing import Any

from modelmonitor_trainer.cluster.page import Tone
from modelmonitor_trainer.report.histogram import WIDTH
from modelmonitor_trainer.ui.drift_map import MOST_COLUMNS, drift_map_of
from modelmonitor_trainer.ui.monitor_view import Event, Served, event_chart_of
from modelmonitor_trainer.ui.results import FeatureEffect, StoredCheck
from modelmonitor_trainer.ui.score_chart import HEIGHT, score_chart_of
from unit.cluster.observed import DAY, NOW
from unit.ui.monitored import served


def check(days: int, effects: dict[str, tuple[float, bool]] | None = None, **fields: Any) -> StoredCheck:
    known = {name: FeatureEffect(*pair) for name, pair in (effects or {}).items()}
    return StoredCheck(f"folder-{days}", NOW + days * DAY, "NoDrift", effects=known, **fields)


def test_the_cells_of_the_map_are_in_the_order_of_time() -> None:
    chart = drift_map_of(
        [
            check(0, {"temp": (0.01, False), "wind": (0.05, False)}),
            check(1),  # it compared nothing
            check(2, {"temp": (0.02, False)}),
            check(3, {"temp": (0.31, True), "wind": (0.2, False)}),
        ]
    )
    assert chart is not None
    assert [line.name for line in chart.lines] == ["temp", "wind"]
    assert (chart.width, chart.first, chart.last, chart.others) == (3, "2013-04-02", "2013-04-05", 0)
    temp, wind = chart.lines
    assert dict(temp.paths) == {0: "M0 0h2", 4: "M2 0h1"}
    assert temp.drifted == "M2 8h1"
    assert temp.summary == "temp: drifted in 1 of 3 checks; largest effect 0.31 on 2013-04-05"
    assert dict(wind.paths) == {1: "M0 0h1", 3: "M2 0h1"}
    assert wind.summary == "wind: no drift in 2 checks; largest effect 0.20 on 2013-04-05"


def test_only_the_columns_with_the_largest_effects_are_drawn() -> None:
    effects = {f"column-{index}": (index / 100, False) for index in range(MOST_COLUMNS + 3)}
    chart = drift_map_of([check(0, effects), check(1, effects)])
    assert chart is not None
    assert (len(chart.lines), chart.others) == (MOST_COLUMNS, 3)
    assert chart.lines[0].name == f"column-{MOST_COLUMNS + 2}"


def test_one_check_is_no_map_and_no_chart() -> None:
    assert drift_map_of([check(0, {"temp": (0.1, False)})]) is None
    assert score_chart_of([check(0, score=served("0.7"))]) is None
    assert (drift_map_of([]), score_chart_of([]), event_chart_of([], [], NOW)) == (None, None, None)


def test_scores_are_above_each_other_and_the_promise_is_a_step() -> None:
    chart = score_chart_of(
        [
            check(0, score=served("0.80", low="0.78", high="0.82")),
            check(1),
            check(2, score=served("0.70", promised="0.75")),
            check(4, score=served("0.72", promised="0.75")),
            check(5, score=served("not a number")),
            check(6, score=served("0.74", promised=None)),
        ]
    )
    assert chart is not None
    first, second, third, last = chart.marks
    assert 0 < first.high < first.y < first.low < second.y < HEIGHT
    assert third.y < second.y
    assert (first.x, last.x) == (8.0, WIDTH - 8)
    assert second.x - first.x == third.x - second.x
    assert chart.promise.count("V") == 1
    assert chart.promise.startswith("M8.0 ")
    assert chart.summary == "ROCAUC of the champion in 4 checks, from 0.8 on 2013-04-02 to 0.74 on 2013-04-08"
    assert first.title == "2013-04-02: 0.8 (0.78 to 0.82), 0.8 promised, 900 rows"


def test_only_scores_in_the_newest_metric_are_drawn() -> None:
    old = [check(day, score=served("9", metric="LogLoss")) for day in range(3)]
    chart = score_chart_of([*old, check(4, score=served("0.7")), check(5, score=served("0.7"))])
    assert chart is not None
    assert (chart.metric, len(chart.marks)) == ("ROCAUC", 2)
    assert float(chart.bottom) < 0.7 < float(chart.top), "equal scores have an axis"


def test_events_are_placed_by_their_time_over_the_champions() -> None:
    events = [
        Event(NOW - DAY, "NoDrift", "", Tone.GOOD, is_check=True),
        Event(NOW - 5 * DAY, "Promoted (Better)", "", Tone.GOOD),
        Event(NOW - 9 * DAY, "Held (Cooldown)", "", Tone.UNSURE),
        Event(NOW - 10 * DAY, "Drift", "", Tone.BAD, is_check=True),
    ]
    champions = [
        Served("v2", NOW - 5 * DAY, None, "", "", "", ""),
        Served("v1", NOW - 90 * DAY, NOW - 5 * DAY, "", "", "", ""),
    ]
    chart = event_chart_of(events, champions, NOW)
    assert chart is not None
    assert [(band.x, band.width, band.shaded) for band in chart.bands] == [
        (0, WIDTH / 2, False),
        (WIDTH / 2, WIDTH / 2, True),
    ]
    assert chart.bands[0].title == "v1 since 2013-01-02, until 2013-03-28 09:00"
    assert [round(tick.x / WIDTH, 2) for tick in chart.checks] == [0, 0.9]
    assert [tick.title for tick in chart.decisions] == ["2013-03-28 09:00 Promoted (Better)"]
    assert (chart.first, chart.last) == ("2013-03-23", "2013-04-02")


def test_an_event_in_the_future_widens_the_chart() -> None:
    """The clocks of pods and of this machine differ."""
    ahead = [Event(NOW + DAY, "NoDrift", "", Tone.GOOD, is_check=True), Event(NOW - DAY, "NoDrift", "", Tone.GOOD)]
    chart = event_chart_of(ahead, [], NOW)
    assert chart is not None
    assert [tick.x for tick in chart.checks] == [WIDTH]
    assert chart.last == (NOW + DAY).date().isoformat() == (dt.date(2013, 4, 3)).isoformat()
