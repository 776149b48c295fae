"""The ROC AUC without each day, by pairs instead of by ranking all rows again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.spec import Metric
from modelmonitor_trainer.gate.delong import auc_without_each_day
from modelmonitor_trainer.model.metrics import Undefined, metric_value


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(20, 300),
    days=st.integers(2, 12),
    levels=st.sampled_from([3, 1000]),
)
def test_it_is_the_score_of_the_other_rows(seed, rows, days, levels):
    g = np.random.default_rng(seed)
    truth = (g.random(rows) < 0.4).astype(np.int64)
    truth[:2], number = (0, 1), g.integers(5, 5 + days, rows)
    # Few levels make ties.
    scores = g.integers(0, levels, rows) / levels
    try:
        expected = [metric_value(Metric.ROC_AUC, truth[number != d], scores[number != d]) for d in np.unique(number)]
    except Undefined:
        with pytest.raises(Undefined):
            auc_without_each_day(truth, scores, number)
        return
    assert auc_without_each_day(truth, scores, number) == pytest.approx(expected, abs=1e-12)


def test_a_day_with_all_rows_of_a_class_cannot_be_left_out():
    truth, days = np.array([1, 1, 0, 0, 0]), np.array([1, 1, 1, 2, 3])
    with pytest.raises(Undefined):
        auc_without_each_day(truth, np.linspace(0, 1, 5), days)
