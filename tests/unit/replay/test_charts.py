"""Charts and sentences of a replay, from results that no run is needed for."""

import datetime as dt
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelmonitor_api.messages import RunVerdict
from modelmonitor_api.names import Reason
from modelmonitor_api.spec import Metric
from modelmonitor_policy import StartTraining, plan_job, plan_scheduled_check
from modelmonitor_trainer.replay.arrival import Arrival
from modelmonitor_trainer.replay.charts import HEIGHT, WIDTH, chart_decisions, regret_by_price, scores_over_time
from modelmonitor_trainer.replay.conclusion import conclude, headline, tone
from modelmonitor_trainer.replay.costs import Prices, lost_points
from modelmonitor_trainer.replay.page import render
from modelmonitor_trainer.replay.result import (
    Counts,
    Estimate,
    PolicyKind,
    PolicyResult,
    RegretCurve,
    ReplayResult,
    count_outcomes,
)
from modelmonitor_trainer.replay.simulation import Event
from modelmonitor_trainer.replay.text import render_text
from support.monitors import check
from unit.replay.conftest import MONITOR

FIRST = dt.date(2013, 1, 1)
DAYS = tuple((FIRST + dt.timedelta(days=n), FIRST + dt.timedelta(days=n)) for n in range(60))


def policy(name, kind, cost, regret, level=0.7):
    values = tuple(level + 0.01 * np.sin(np.arange(60)))
    return PolicyResult(
        name,
        kind,
        Counts(checks=60, alarms=2, trainings=3, promoted=2),
        served=values,
        models=("v1",) * 30 + ("v2",) * 30,
        mean=Estimate(level, level - 0.01, level + 0.01),
        difference=Estimate(0.0, 0.0, 0.0),
        cost=cost,
        regret=regret,
    )


@pytest.fixture
def result(past):
    spec = past.parsed()

    def event(day, job_request, answer):
        return Event(dt.datetime(2013, 1, day, 6, tzinfo=dt.UTC), job_request, answer)

    training = plan_job(StartTraining(1, Reason.DRIFT_DETECTED, "The check found <drift>."), MONITOR, spec)
    verdicts: list[tuple[int, Any]] = [
        (1, "NoDrift"),
        (2, "Drift"),
        (3, "Drift"),
        (4, "Corrupted"),
        (5, "Drift"),
    ]
    checks = [
        event(day, plan_scheduled_check(MONITOR, spec, dt.datetime(2013, 1, day, 6, tzinfo=dt.UTC)), check(verdict))
        for day, verdict in verdicts
    ]
    answer = RunVerdict(outcome="Promoted", reason="Better", message="Better <b>than</b> before", version="v2-0a1b2c3d")
    policies = (
        policy("your monitor", PolicyKind.MONITOR, 120.0, 20.0),
        policy("never retrain", PolicyKind.BASELINE, 110.0, 10.0, 0.72),
        policy("oracle", PolicyKind.ORACLE, 100.0, 0.0, 0.75),
    )
    own = policies[0]
    return ReplayResult(
        "ns/mon",
        FIRST,
        DAYS[-1][1],
        Arrival.DECLARED,
        "ROC AUC",
        True,
        DAYS,
        (900,) * 60,
        (replace(own, events=(*checks, event(3, training, answer))), *policies[1:]),
        Prices(2.0, 1.0, "EUR"),
        RegretCurve(
            (0.1, 1.0, 10.0), {"your monitor": (20.0, 20.0, 25.0), "never retrain": (9.0, 8.0, 0.0)}, (5, 3, 0)
        ),
        ("Labels are seen as they are now.",),
    )


def test_alarms_are_counted_when_they_begin(result):
    counts = count_outcomes(result.own.events)
    assert (counts.checks, counts.alarms, counts.alarmed_checks, counts.corrupted) == (5, 2, 3, 1)
    assert (counts.trainings, counts.promoted) == (1, 1)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (Counts(), "completed no check and never trained"),
        (Counts(checks=1), "raised no alarm in one check and never trained"),
        (Counts(checks=9, corrupted=7), "raised no alarm in 9 checks (7 found corrupted data) and never trained"),
        (Counts(checks=9, trainings=1), "raised no alarm in 9 checks, trained once and promoted no model"),
    ],
)
def test_nothing_in_words(result, counts, words):
    """Zero, one and many; and the reason is in the answer, not below a table of dashes."""
    own = PolicyResult("your monitor", PolicyKind.MONITOR, counts, unserved="The budget is used up.")
    sentence = conclude(replace(result, policies=(own,)))
    assert f"this monitor would have {words}. There is nothing to score: no model was ever promoted. The b" in sentence


def test_few_values_have_no_interval(result):
    """The interval of one value would have no width."""
    assert Estimate(0.7, 0.68, 0.72).describe_interval(between=" – ") == "0.6800 – 0.7200"
    few = tuple(replace(policy, mean=Estimate(0.7, None, None), difference=None) for policy in result.policies)
    result = replace(result, policies=few)
    assert "the served model's ROC AUC was 0.7000. At" in conclude(result)
    assert [line.split("  ")[0:1] + line.split()[2:4] for line in render_text(result, "f", None).splitlines()][3] == [
        "your monitor",
        "0.7000",
        "–",
    ]
    page = render(result)
    assert "too few for intervals" in page
    assert "95 % interval" not in page
    chart = scores_over_time(result)
    assert chart is not None
    assert chart.band == ""


def test_champions_follow_each_other_without_gaps(result):
    first, second = chart_decisions(result).champions
    assert (first.x, second.x + second.width) == pytest.approx((0, WIDTH))
    assert second.x == pytest.approx(first.x + first.width)


def test_the_answer_comes_first(result):
    assert headline(result) == "Cheapest: never retrain"
    assert tone(result) == "unsure"
    sentence = conclude(result)
    assert "alarmed twice in 60 checks, trained 3 times and promoted 2 models" in sentence
    assert "'never retrain' would have been the cheapest of 2 policies, 10.00 EUR above" in sentence
    assert sentence.endswith("this monitor would have cost 10.00 EUR more.")


@pytest.mark.parametrize(("greater", "level", "ends"), [(True, 0.998, ("1", None)), (False, 0.002, (None, "0"))])
def test_the_axis_ends_where_the_metric_does(result, greater, level, ends):
    policies = tuple(policy(p.name, p.kind, p.cost, p.regret, level) for p in result.policies)
    chart = scores_over_time(replace(result, greater_is_better=greater, policies=policies))
    assert chart is not None
    assert all(end in {None, seen} for end, seen in zip(ends, (chart.top, chart.bottom), strict=True))


def test_lines_stay_within_their_chart(result):
    scores, regret = scores_over_time(result), regret_by_price(result)
    assert scores is not None
    assert regret is not None
    for chart in (scores, regret):
        for line in chart.lines:
            points = np.array([[float(x) for x in point.split(",")] for point in line.points[0].split()])
            assert (points >= -0.1).all()
            assert (points[:, 0] <= WIDTH + 0.1).all()
            assert (points[:, 1] <= HEIGHT + 0.1).all()
    assert [line.name for line in scores.lines] == ["your monitor", "oracle", "never retrain"]
    assert {line.name: line.number for line in regret.lines}["never retrain"] == 1
    assert regret.marker is not None
    assert 0 < regret.marker < WIDTH


def test_policies_that_are_as_cheap_as_the_oracle_are_drawn_at_the_bottom(result):
    names = ("your monitor", "never retrain", "oracle")
    regrets: dict[str, tuple[float, ...]] = dict.fromkeys(names, (0.0, 0.0, 0.0))
    for highest in (0.0, 4.0):  # with a median of zero, too
        curve = RegretCurve((0.1, 1.0, 10.0), regrets | {"every 7 days": (0.0, 0.0, highest)}, (0, 0, 0))
        policies = (*result.policies, policy("every 7 days", PolicyKind.BASELINE, 100.0, 0.0))
        chart = regret_by_price(replace(result, curve=curve, policies=policies))
        assert chart is not None
        assert all(math.isfinite(float(x)) for line in chart.lines for x in line.points[0].replace(",", " ").split())


def test_an_amount_of_nothing_has_no_sign():
    assert Prices().describe(-1e-12) == Prices().describe(0.0) == "0.00"
    assert Prices(currency="EUR").describe(-2.5) == "-2.50 EUR"


def test_decisions_are_drawn_where_they_were_made(result):
    decisions = chart_decisions(result)
    assert [block.tone for block in decisions.checks] == ["good", "bad", "bad", "broken", "bad"]
    assert len(decisions.champions) == 2
    assert decisions.trainings[0].title == "2013-01-03: train (DriftDetected): Promoted"
    assert [label for _, label in decisions.ticks] == ["Jan 2013", "Feb", "Mar"]


def test_the_page_is_one_safe_file(result):
    page = render(result)
    assert "Cheapest: never retrain" in page
    assert "Better &lt;b&gt;than&lt;/b&gt; before" in page
    assert "<script" not in page
    assert "Labels are seen as they are now." in page
    assert "EUR" in page


def test_points_of_metrics():
    values = np.array([0.9, np.nan])
    assert lost_points(Metric.ROC_AUC, values, 1.0)[0] == pytest.approx(10.0)
    assert lost_points(Metric.LOG_LOSS, values, 1.0)[0] == pytest.approx(90.0)
    assert lost_points(Metric.MEAN_ABSOLUTE_ERROR, values, 2.0)[0] == pytest.approx(45.0)
