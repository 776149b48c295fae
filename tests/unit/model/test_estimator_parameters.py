"""The names of parameters that the operator knows are those of scikit-learn."""

from __future__ import annotations

import inspect

import pytest

from modelmonitor_api.resource import InvalidSpec, parse
from modelmonitor_api.spec import Estimator, EstimatorName
from modelmonitor_policy.estimator_parameters import PARAMETERS, RESERVED, validate_parameters
from modelmonitor_trainer.model.estimators import ESTIMATORS


@pytest.mark.parametrize("name", EstimatorName, ids=str)
def test_the_names_are_those_of_scikit_learn(name):
    assert PARAMETERS[name] == set(inspect.signature(ESTIMATORS[name]).parameters) - set(RESERVED)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"parameters": [{"name": "max_iters", "value": "1"}]},
            "parameters[0].name: Ridge has no parameter 'max_iters'; did you mean max_iter?",
        ),
        ({"parameters": [{"name": "x", "value": "1"}]}, "it has alpha, copy_X"),
        ({"parameters": [{"name": "random_state", "value": "1"}]}, "set retraining.randomSeed"),
        ({"parameters": [{"name": "alpha", "value": "1"}] * 2}, "parameters[1].name: alpha is set twice"),
        ({"search": {"space": [{"name": "alfa", "values": ["1"]}]}}, "search.space[0].name"),
    ],
)
def test_other_names_are_refused(fields, words):
    with pytest.raises(InvalidSpec) as refused:
        validate_parameters(parse(Estimator, {"name": "Ridge", **fields}))
    assert words in str(refused.value)
