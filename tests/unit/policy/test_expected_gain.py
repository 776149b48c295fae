"""The expected gain of a newer model: what past comparisons say, and when it is worth a training."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelmonitor_api.names import Reason
from modelmonitor_api.spec import Metric
from modelmonitor_api.status import AgeComparison
from modelmonitor_policy import Facts, decide
from modelmonitor_policy.expected_gain import PERIOD_DEVIATION, PRIOR_DEVIATION, Decay, learn_decay, point_of
from unit.policy.factories import CHAMPION, DAY, NOW, check, facts, spec, training

NEWEST = dt.date(2013, 6, 30)


def compared(days: int, difference: float, error: float = 0.001) -> AgeComparison:
    """Return a comparison whose 95 % interval has the standard error `error`."""
    low, high = difference - 1.96 * error, difference + 1.96 * error
    return AgeComparison(time=NOW, days=days, difference=f"{difference:.6f}", low=f"{low:.6f}", high=f"{high:.6f}")


def learn(*comparisons: AgeComparison) -> Decay:
    return learn_decay(comparisons, point=0.01, confidence=0.95)


def test_without_comparisons_the_prior_decides() -> None:
    decay = learn()
    assert (decay.mean, decay.comparisons) == (0, 0)
    assert (decay.deviation, decay.period_deviation) == (PRIOR_DEVIATION, PERIOD_DEVIATION)


def test_precise_comparisons_determine_the_rate() -> None:
    """A model that is 50 days older is worse by half a point: a hundredth of a point a day."""
    decay = learn(*[compared(50, 0.005, error=1e-4)] * 12)
    assert decay.mean == pytest.approx(0.01, rel=0.05)
    assert decay.comparisons == 12


def test_comparisons_that_say_little_change_little() -> None:
    assert learn(compared(50, 0.005, error=0.5)).mean == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    "broken",
    [
        {"difference": "", "low": "x"},
        {"difference": "nan"},
        {"low": "-inf", "high": "inf"},
        {"low": "1", "high": "0"},
        {"difference": "1e308"},
        {"high": "1e308"},
    ],
)
def test_a_comparison_that_a_status_has_lost_counts_for_nothing(broken: dict[str, str]) -> None:
    good = compared(50, 0.005)
    assert learn(good, good.model_copy(update=broken)) == learn(good)


def test_models_that_do_not_age_are_not_expected_to_gain() -> None:
    stable, ageing = learn(*[compared(50, 0.0)] * 6), learn(*[compared(50, 0.02)] * 6)
    assert stable.expected_rate < learn().expected_rate < ageing.expected_rate
    harmful = learn(*[compared(50, -0.02)] * 6)
    assert 0 < harmful.expected_rate < stable.expected_rate


@given(st.floats(-0.1, 0.1), st.floats(0.005, 0.1))
def test_the_expected_rate_is_the_mean_of_the_positive_part(mean: float, deviation: float) -> None:
    quantiles = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000, mean, deviation)
    assert Decay(mean, deviation).expected_rate == pytest.approx(np.maximum(quantiles, 0).mean(), abs=1e-5)


@given(st.lists(st.tuples(st.integers(1, 365), st.floats(-0.1, 0.1), st.floats(1e-3, 0.1)), max_size=12))
def test_the_rate_is_the_posterior_of_a_normal_regression(drawn: list[tuple[int, float, float]]) -> None:
    """Against the textbook formula for a line through the origin, on a grid of rates."""
    decay = learn(*[compared(*values) for values in drawn])
    grid = np.linspace(-0.2, 0.2, 40_001)
    log = stats.norm.logpdf(grid, 0, PRIOR_DEVIATION)
    for days, difference, error in drawn:
        log += stats.norm.logpdf(difference / 0.01, grid * days, np.hypot(error / 0.01, decay.period_deviation * days))
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    mean = float(weights @ grid)
    assert decay.mean == pytest.approx(mean, abs=1e-4)
    assert decay.deviation == pytest.approx(np.sqrt(weights @ (grid - mean) ** 2), abs=1e-4)


def test_periods_that_differ_widen_what_is_expected() -> None:
    steady = learn(*[compared(50, 0.005)] * 6)
    changing = learn(*[compared(50, 0.025), compared(50, -0.015)] * 3)
    assert steady.period_deviation < PERIOD_DEVIATION < changing.period_deviation
    assert steady.expected_rate < changing.expected_rate


@given(st.floats(0.001, 0.1), st.floats(0.1, 100))
def test_a_constant_rate_is_answered_at_the_cheapest_period(rate: float, price: float) -> None:
    """The loss reaches the price at the period with the least cost a day, price / T + rate * T / 2."""
    decay = Decay(rate, 1e-9)
    period = np.sqrt(2 * price / rate)
    assert decay.loss(1) * period**2 == pytest.approx(price, rel=1e-3)
    cost = [price / days + rate * days / 2 for days in (0.9 * period, period, 1.1 * period)]
    assert cost[1] == min(cost)


def test_points_of_errors_are_shares_of_the_champions_error() -> None:
    assert point_of(Metric.ROC_AUC, 0.7) == 0.01
    assert point_of(Metric.MEAN_ABSOLUTE_ERROR, 250.0) == pytest.approx(2.5)
    assert point_of(Metric.ROOT_MEAN_SQUARED_ERROR, None) == 0.01


def priced(days: int, price: str = "5", **fields: object) -> Facts:
    """Return facts about a champion that lacks the newest `days`; hold-outs are of 14 days, and learnt from."""
    weighing = spec(triggers={"onExpectedGain": True}, costs={"training": price, "metricPointDay": "1"})
    champion = CHAMPION.__class__("v1", CHAMPION.since, train_end=NEWEST - days * DAY)
    return facts(**({"spec": weighing, "champion": champion, "check": check(newest_day=NEWEST)} | fields))


@pytest.mark.parametrize(
    ("known", "trains"),
    [
        pytest.param(priced(20), False, id="young"),
        pytest.param(priced(60), True, id="old"),
        pytest.param(priced(60, price="50"), False, id="dear"),
        pytest.param(priced(20, price="0"), True, id="free"),
        pytest.param(priced(0, price="0"), False, id="nothing newer"),
        pytest.param(priced(60, comparisons=(compared(60, 0.0),) * 6), False, id="known not to age"),
        pytest.param(priced(25, comparisons=(compared(60, 0.03),) * 6), True, id="known to age"),
        pytest.param(priced(60, training=training(DAY, train_end=NEWEST - 16 * DAY)), False, id="just tried"),
        pytest.param(priced(60, check=None), False, id="not checked"),
    ],
)
def test_a_training_is_worth_its_price(known: Facts, trains: bool) -> None:
    decision = decide(known, NOW)
    assert (decision.reason is Reason.EXPECTED_GAIN) is trains
    if trains:
        assert "A training costs" in decision.message
