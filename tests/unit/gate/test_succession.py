"""Many successors: steps down do not add up, a floor holds, and hold-outs that are used again cost confidence."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.resource import parse
from modelmonitor_api.spec import Promotion
from modelmonitor_trainer.gate.comparison import GateInput
from modelmonitor_trainer.gate.evaluation import evaluate
from modelmonitor_trainer.gate.reuse import count_earlier, spent_confidence

ROWS = 40_000
FIRST = dt.date(2013, 1, 1)


def promotion(**changes):
    return parse(Promotion, {"metric": "ROCAUC", **changes})


class Rows:
    """Hold-out rows on which models of any ROC AUC can be scored; all models share most of their noise."""

    def __init__(self, seed, rows=ROWS):
        self._generator = np.random.default_rng(seed)
        self.truth = (self._generator.random(rows) < 0.5).astype(int)
        self._common = self._generator.normal(size=rows)
        self.days = self._generator.integers(0, 14, rows)

    def scores(self, auc):
        own = self._generator.normal(size=len(self.truth))
        noise = 0.98**0.5 * self._common + 0.02**0.5 * own
        return norm.cdf(noise + norm.ppf(auc) * 2**0.5 * self.truth - 1)

    def contest(self, challenger, champion=None, best=None, **more):
        return GateInput(
            truth=self.truth,
            challenger=self.scores(challenger),
            champion=None if champion is None else self.scores(champion),
            baseline=np.full(len(self.truth), 0.5),
            days=self.days,
            best=None if best is None else self.scores(best),
            best_version="" if best is None else "v1",
            **more,
        )


def succession(*, best, steps=10, step=0.003):
    """Return the score of the champion after so many challengers, each worse than the champion by `step`."""
    champion = first = 0.85
    for seed in range(steps):
        challenger = champion - step
        compared = first if best and champion != first else None
        if (
            evaluate(Rows(seed).contest(challenger, champion, compared), promotion(), seed=0).outcome
            is GateOutcome.PASSED
        ):
            champion = challenger
    return champion


def test_ten_small_steps_down_do_not_add_up():
    assert succession(best=False) < 0.84  # what the comparison with the champion alone lets happen
    assert succession(best=True) >= 0.845


def test_a_challenger_is_compared_with_the_best_champion_so_far():
    result = evaluate(Rows(0).contest(0.841, 0.842, 0.85), promotion(), seed=0)
    assert (result.outcome, result.reason) == (GateOutcome.REJECTED, GateReason.WORSE_THAN_BEST)
    assert "v1, the last champion that was better than its predecessor" in result.message
    assert evaluate(Rows(0).contest(0.849, 0.848, 0.85), promotion(), seed=0).outcome is GateOutcome.PASSED


def test_the_margin_to_the_best_champion_is_small_for_a_rare_class():
    """A Brier score of 0.005 is more than a trivial model scores if one row in 500 is positive."""
    generator = np.random.default_rng(0)
    truth = (generator.random(ROWS) < 0.002).astype(int)
    best, champion = np.where(truth, 0.9, 0.001), np.where(truth, 0.5, 0.001)
    scores = GateInput(
        truth=truth,
        challenger=champion,
        champion=champion,
        baseline=np.full(ROWS, truth.mean()),
        days=generator.integers(0, 14, ROWS),
        best=best,
        best_version="v1",
    )
    result = evaluate(scores, promotion(metric="BrierScore", nonInferiorityMargin="0.005"), seed=0)
    assert result.reason == GateReason.WORSE_THAN_BEST, result.message


@pytest.mark.parametrize(
    ("minimum", "champion", "outcome"),
    [
        ("0.84", None, GateOutcome.PASSED),
        ("0.86", None, GateOutcome.REJECTED),
        ("0.86", 0.85, GateOutcome.REJECTED),
        ("0.8", 0.85, GateOutcome.PASSED),
    ],
)
def test_a_floor_holds_whatever_the_champion_scores(minimum, champion, outcome):
    result = evaluate(Rows(1).contest(0.85, champion), promotion(minimumScore=minimum), seed=0)
    assert result.outcome is outcome
    if outcome is GateOutcome.REJECTED:
        assert result.reason is GateReason.BELOW_MINIMUM_SCORE
        assert f"promotion.minimumScore is {minimum}" in result.message


def test_a_floor_of_an_error_is_a_ceiling():
    errors = replace(Rows(1).contest(0.85), baseline=np.full(ROWS, 0.5))
    assert evaluate(errors, promotion(metric="BrierScore", minimumScore="0.3"), seed=0).outcome is GateOutcome.PASSED
    result = evaluate(errors, promotion(metric="BrierScore", minimumScore="0.1"), seed=0)
    assert result.reason in {GateReason.BELOW_MINIMUM_SCORE, GateReason.NOT_BETTER_THAN_BASELINE}


def test_rows_that_were_used_before_need_more_confidence():
    rows = Rows(2)
    fresh = rows.contest(0.852, 0.85)
    first = evaluate(fresh, promotion(), seed=0)
    again = evaluate(replace(fresh, earlier_comparisons=13.0), promotion(), seed=0)
    assert first.champion is not None
    assert again.champion is not None
    assert first.champion.low > again.champion.low
    assert first.confidence == pytest.approx(0.95)
    assert again.confidence == pytest.approx(1 - 0.1 / (14 * 15))
    assert "at 95% confidence" in first.message
    once = evaluate(replace(fresh, earlier_comparisons=1.0), promotion(), seed=0)
    assert "at 98.33% confidence (raised, because earlier trainings used these days once)" in once.message
    assert "at 99.95% confidence (raised, because earlier trainings used these days 13 times)" in again.message


@given(confidence=st.floats(0.5, 0.999), comparisons=st.integers(1, 200))
def test_all_comparisons_together_keep_the_declared_error(confidence, comparisons):
    # A worse model passes by one side of each interval.
    spent = sum((1 - spent_confidence(confidence, earlier)) / 2 for earlier in range(comparisons))
    assert spent <= 1 - confidence
    assert spent_confidence(confidence, 0) == pytest.approx(confidence)


days = st.integers(0, 60).map(lambda number: FIRST + dt.timedelta(days=number))
windows = st.tuples(days, st.integers(0, 20)).map(lambda pair: (pair[0], pair[0] + dt.timedelta(days=pair[1])))


@given(holdout=windows, others=st.lists(windows, max_size=8))
def test_a_comparison_counts_by_the_days_that_it_shares(holdout, others):
    counted = count_earlier(holdout, others)
    assert 0 <= counted <= len(others)
    assert count_earlier(holdout, [*others, holdout]) == pytest.approx(counted + 1)
    after = holdout[1] + dt.timedelta(days=1)
    assert count_earlier(holdout, [*others, (after, after)]) == pytest.approx(counted)
