"""Targets and predictions as files have them: the bias is computed right, or not tested with what to do."""

import decimal
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.cli.main import main

ROWS = 2000


@pytest.fixture
def check(tmp_path, capsys):
    """Compare two files with the same rows in another order; returns the JSON."""

    def run(target, predict=lambda chance: chance, now=None, expected=0, options=()):
        g = np.random.default_rng(1)
        x = g.normal(size=ROWS)
        chance = 1 / (1 + np.exp(-x))
        truth = (g.random(ROWS) < chance).astype(np.int64)
        for side, write in (("reference", target), ("current", now or target)):
            rows = pa.table({"x": x, "y": write(truth), "score": predict(chance)})
            pq.write_table(rows.take(pa.array(g.permutation(ROWS))), tmp_path / f"{side}.parquet")
        sides = ("--reference", tmp_path / "reference.parquet", "--current", tmp_path / "current.parquet")
        arguments = ("check", *sides, "--target", "y", "--prediction", "score", "--output", "json", *options)
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert code == expected, captured.err
        return json.loads(captured.out) if captured.out else captured.err

    return run


def bias(document):
    return next((d["outcome"], d["message"]) for d in document["detectors"] if d["name"] == "bias")


def words(no, yes):
    return lambda truth: [yes if value else no for value in truth]


@pytest.mark.parametrize(
    "target",
    [
        lambda t: t.astype(bool),
        lambda t: t.astype(np.float32),
        lambda t: pa.array([decimal.Decimal(int(value)) for value in t], pa.decimal128(4, 2)),
        words("false", "true"),
        words("no", "Yes"),
        words("0", "1"),
        lambda t: pa.array(words("n", "y")(t)).dictionary_encode(),
    ],
)
def test_every_spelling_of_no_and_yes_is_a_binary_outcome(check, target):
    document = check(target)
    assert (document["verdict"], bias(document)[0]) == ("NoDrift", "NoDrift"), bias(document)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (lambda t: t + 1, "1, 2"),
        (lambda t: t * 2 - 1, "-1, 1"),
        (lambda t: t * 3 + 2.0, "2, 5"),
        (lambda t: t + np.arange(ROWS) % 3, "0, 1, 2, …"),
        (lambda t: t * 0 + 5, "5"),
    ],
)
def test_numbers_that_may_be_classes_have_no_bias(check, target, shown):
    document = check(target)
    outcome, message = bias(document)
    assert (document["verdict"], outcome) == ("NoDrift", "NotTested"), message
    assert f"the target 'y' is {shown} in the reference, which may be the numbers of classes" in message
    assert "write 1 for the outcome that the prediction is the probability of" in message


def test_whole_numbers_with_predictions_on_their_scale_are_a_regression(check):
    document = check(
        lambda t: t * 3 + np.arange(ROWS) % 5, lambda chance: 3 * chance + 2, options=("--independent-rows",)
    )
    assert (document["verdict"], bias(document)[0]) == ("NoDrift", "NoDrift"), bias(document)


def test_values_and_predictions_on_two_scales_have_no_bias(check):
    document = check(lambda t: t * 100 + np.arange(ROWS))
    assert (document["verdict"], bias(document)[0]) == ("NoDrift", "NotTested")
    assert "so they are not on one scale; log the predicted value" in bias(document)[1]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (words("bad", "good"), "the target 'y' is text"),
        (lambda _: pa.nulls(ROWS), "0 usable labelled rows are too few"),
        (lambda _: pa.nulls(ROWS, pa.float64()), "0 usable labelled rows are too few"),
        (lambda _: np.full(ROWS, np.nan), "0 usable labelled rows are too few"),
    ],
)
def test_a_target_without_outcomes_to_average_is_not_tested(check, target, message):
    document = check(target)
    assert bias(document)[0] == "NotTested"
    assert message in bias(document)[1]


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (lambda t: t + 1, r"the target 'y' is '2' in"),
        (words("bad", "good"), "and the classes of the model are '0' and '1'"),
        (lambda _: pa.nulls(ROWS), "0 usable labelled rows are too few"),
    ],
)
def test_outcomes_that_are_no_longer_0_and_1_are_named(check, now, message):
    outcome, document = bias(check(lambda t: t, now=now))
    assert outcome == "NotTested"
    assert message in document


def test_a_single_outcome_on_one_side_is_tested(check):
    assert bias(check(lambda t: t, now=lambda t: t * 0))[0] == "Drift"
    outcome, message = bias(check(lambda t: t + np.arange(ROWS) % 7, lambda c: c * 9, now=lambda t: t * 0 + 4))
    assert (outcome, "the outcome is 4 in all 2,000 labelled rows" in message) == ("NotTested", True)


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda _: np.full(ROWS, np.nan), "the predictions of all 2,000 labelled rows are missing or not finite"),
        (lambda _: np.full(ROWS, np.inf), "the predictions of all 2,000 labelled rows are missing or not finite"),
        (lambda _: pa.nulls(ROWS), "the predictions of all 2,000 labelled rows are missing or not finite"),
        (lambda _: ["high"] * ROWS, "the prediction column 'score' is string, not numeric; log the score"),
        (lambda c: np.log(c / (1 - c)), "so they are not probabilities; log the probability of the positive class"),
        (lambda c: c * 100, "so they are not probabilities"),
    ],
)
def test_predictions_that_cannot_be_used_are_named(check, predict, message):
    outcome, document = bias(check(lambda t: t, predict))
    assert outcome == "NotTested"
    assert message in document


def test_rows_without_a_prediction_are_counted(check):
    def predict(chance):
        return np.where(np.arange(ROWS) % 4 == 0, np.where(np.arange(ROWS) % 8 == 0, np.nan, -np.inf), chance)

    outcome, message = bias(check(lambda t: t, predict))
    assert outcome == "NoDrift"
    assert "1,500 labelled rows" in message
    assert message.endswith("500 rows are left out, because their prediction is missing or not finite")


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.timestamp("us"), pa.duration("s")])
def test_a_prediction_of_another_type_is_refused_by_name(check, kind):
    document = check(lambda t: t, lambda _: pa.array([None] * ROWS, kind), expected=2)
    assert "--prediction 'score' is" in document
