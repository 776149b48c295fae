"""The search: it chooses the best parameters, scores on later days only, and rejects an invalid space."""

import numpy as np
import pytest

from modelmonitor_api.resource import parse
from modelmonitor_api.spec import Estimator, Feature, Metric, Task
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.model.pipeline import fit
from modelmonitor_trainer.model.search import check_search, search, with_parameters

FEATURES = [Feature(name="x", type="Numeric"), Feature(name="kind", type="Categorical")]
ROWS = 900
DAYS = np.arange(ROWS) // 30


def declared(method="Grid", name="HistGradientBoostingClassifier", space=None, **more):
    space = space or {"max_iter": ["1", "40"], "learning_rate": ["0.001", "0.2"]}
    return parse(
        Estimator,
        {
            "name": name,
            "preprocessing": {"numericImputation": "Median"},
            "search": {
                "method": method,
                "space": [{"name": key, "values": values} for key, values in space.items()],
                "folds": 3,
                **more,
            },
        },
    )


def rows(seed=0):
    g = np.random.default_rng(seed)
    return {"x": g.normal(size=ROWS), "kind": g.choice(["a", "b"], ROWS).astype(object)}


def truth_of(arrays, task=Task.BINARY_CLASSIFICATION):
    signal = np.sin(3 * arrays["x"]) + (arrays["kind"] == "a")
    noise = np.random.default_rng(9).normal(size=ROWS) * 0.3
    if task is Task.REGRESSION:
        return signal + noise
    return np.digitize(signal + noise, [0.5] if task is Task.BINARY_CLASSIFICATION else [0.0, 1.0])


def searched(estimator, task=Task.BINARY_CLASSIFICATION, metric=Metric.LOG_LOSS, **more):
    arrays = rows()
    classes = {Task.BINARY_CLASSIFICATION: ("0", "1"), Task.MULTICLASS_CLASSIFICATION: ("a", "b", "c")}.get(task, ())
    truth = more.pop("truth", truth_of(arrays, task))
    return search(estimator, FEATURES, task, arrays, truth, classes, metric, seed=0, days=DAYS, **more)


@pytest.mark.parametrize(
    ("method", "name", "task", "metric"),
    [
        ("Grid", "HistGradientBoostingClassifier", Task.BINARY_CLASSIFICATION, Metric.LOG_LOSS),
        ("Random", "HistGradientBoostingClassifier", Task.MULTICLASS_CLASSIFICATION, Metric.LOG_LOSS),
        ("SuccessiveHalving", "HistGradientBoostingClassifier", Task.BINARY_CLASSIFICATION, Metric.ROC_AUC),
        ("Random", "HistGradientBoostingRegressor", Task.REGRESSION, Metric.MEAN_ABSOLUTE_ERROR),
    ],
)
def test_the_search_chooses_the_best_parameters(method, name, task, metric):
    estimator = declared(method, name)
    result = searched(estimator, task, metric)
    assert {parameter.name: parameter.value for parameter in result.chosen} == {
        "max_iter": "40",
        "learning_rate": "0.2",
    }
    assert result.tried == 4
    scores = [candidate.score for candidate in result.candidates]
    assert scores == sorted(scores, reverse=metric is Metric.ROC_AUC), "the best first"
    again = searched(estimator, task, metric)
    assert again.to_json() == result.to_json(), "the same rows, space and seed: the same choice"
    best = with_parameters(estimator, result.chosen)
    model = fit(best, FEATURES, task, rows(), truth_of(rows(), task), ("a", "b", "c")[:3], seed=0)
    assert model.pipeline["model"].max_iter == 40


def test_combinations_are_scored_on_later_days_only():
    """The relationship is reversed in the second half: a model of the first half scores badly on later days."""
    arrays = rows()
    truth = truth_of(arrays)
    truth[ROWS // 2 :] = 1 - truth[ROWS // 2 :]
    result = searched(declared(folds=2), metric=Metric.ROC_AUC, truth=truth)
    assert result.candidates[0].score < 0.7
    assert result.candidates[0].spread > 0


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (declared(space={"n_trees": ["1", "2"]}), ["n_trees", "max_iter"]),
        (declared(space={"max_iter": ["1", "many"]}), ["max_iter", "many"]),
        (declared(space={"random_state": ["1"]}), ["retraining.randomSeed"]),
        (declared(candidates=3), ["4 combinations", "candidates is 3", "Random"]),
        (
            parse(
                Estimator,
                {
                    "name": "Ridge",
                    "parameters": [{"name": "alpha", "value": "1"}],
                    "search": {"space": [{"name": "alpha", "values": ["1"]}]},
                },
            ),
            ["alpha is set twice"],
        ),
    ],
)
def test_spaces_that_cannot_be_searched(estimator, words):
    with pytest.raises(BadConfiguration) as raised:
        check_search(estimator, FEATURES, seed=0)
    for word in words:
        assert word in str(raised.value)


def test_without_a_space_there_is_nothing_to_check():
    plain = parse(Estimator, {"name": "Ridge"})
    check_search(plain, FEATURES, seed=0)
    with pytest.raises(BadConfiguration, match="search is not set"):
        searched(plain)


def test_combinations_that_all_fail_or_have_no_score():
    impossible = declared(name="LogisticRegression", space={"l1_ratio": ["1", "0.5"]})
    with pytest.raises(BadConfiguration, match="no combination could be fitted"):
        searched(impossible)
    one_class_later = np.zeros(ROWS, dtype=int)
    one_class_later[:40] = np.arange(40) % 2
    with pytest.raises(BadConfiguration, match=r"scored by ROCAUC.*windowDays"):
        searched(declared(), metric=Metric.ROC_AUC, truth=one_class_later)


def test_a_combination_that_cannot_be_fitted_is_skipped():
    result = searched(declared(name="LogisticRegression", space={"C": ["1"], "l1_ratio": ["1", "0"]}))
    assert {parameter.name: parameter.value for parameter in result.chosen}["l1_ratio"] == "0"
    assert result.to_json()["candidates"][-1]["score"] is None
    assert result.notes
