"""Categories of a model in other spellings: what a check takes for equal is equal for the model."""

import numpy as np
import pytest

from modelmonitor_api.spec import Estimator, Feature, Task
from modelmonitor_trainer.model.pipeline import fit

FEATURES = (Feature(name="c", type="Categorical"),)


def model_of(values, encoding):
    """Fit a model to categories of which the first is never positive and the others always are."""
    words = np.array(values * 20, dtype=object)
    truth = (words != values[0]).astype(np.int64)
    estimator = Estimator.model_validate(
        {"name": "LogisticRegression", "preprocessing": {"categoricalEncoding": encoding}}
    )
    return fit(estimator, FEATURES, Task.BINARY_CLASSIFICATION, {"c": words}, truth, ("0", "1"), seed=0)


def scores(model, values):
    return model.scores({"c": np.array(values, dtype=object)}).tolist()


@pytest.mark.parametrize("encoding", ["Ordinal", "OneHot", "Target"])
@pytest.mark.parametrize(
    ("known", "other"),
    [
        (["false", "true"], ["0", "1"]),
        (["0", "1"], ["False", "T"]),
        (["1.5", "19.90"], ["1.50", "19.9"]),
        (["a", "7.0"], ["a", "7"]),
    ],
)
def test_other_spellings_are_scored_alike(known, other, encoding):
    model = model_of(known, encoding)
    assert scores(model, other) == scores(model, known)


def test_values_that_differ_stay_different():
    model = model_of(["1.1", "1.10", "2"], "OneHot")
    assert len(set(scores(model, ["1.1", "1.10", "007"]))) == 3


def test_spellings_within_the_training_rows_are_one_category():
    model = model_of(["false", "true", "1", "0"], "OneHot")
    assert scores(model, ["true"]) == scores(model, ["1"])
    assert scores(model, [None]) != scores(model, ["1"])
