"""The page of a training: complete, self-contained, and safe with whatever the data say."""

import datetime as dt
import itertools
import re

import numpy as np
import pytest

from modelmonitor_trainer.report.comparison_evidence import _bins
from modelmonitor_trainer.report.comparison_page import WIDTH, charts, interval_bar
from modelmonitor_trainer.train.train import train
from unit.train import conftest as training

#: The monitor of the tests of trainings.
world, cheap_trainings = training.world, training.cheap_trainings


def page(world, number=1):
    return world.results()[f"runs/u-1/{number}/report.html"].decode()


def test_a_first_and_a_second_page(world):
    first = world.train(1)
    text = page(world)
    assert f"Promoted: {first.version}" in text
    assert "no champion" in text
    world.land(19, 40, slope=-2.0)
    second = world.train(2)
    text = page(world, 2)
    assert second.message.split(",")[0] in text
    for part in (
        "Difference from the champion",
        "ROC curve",
        "Calibration",
        "origin = JFK",
        "LogisticRegression",
        "gust",
    ):
        assert part in text, part
    assert "<script" not in text
    assert not re.findall(r"(?:src|href)=", text)
    assert "default-src 'none'" in text


def test_hostile_names_stay_text(world):
    hostile = "<img src=x onerror=alert(1)>"
    world.spec["model"]["slices"] = []
    world.spec["model"]["features"] = [{"name": "x", "type": "Numeric"}]
    world.spec["retraining"]["estimator"] = {"name": "RandomForestClassifier", "parameters": []}
    request = world.request().model_copy(update={"message": hostile, "trainer_image": hostile})
    train(world.store, request, job="j", now=dt.datetime(2013, 12, 31, tzinfo=dt.UTC))
    text = page(world)
    assert hostile not in text
    assert "&lt;img" in text


@pytest.mark.parametrize(
    ("difference", "margin"),
    [
        ({"low": -0.01, "value": 0.0, "high": 0.02}, 0.005),
        ({"low": 0.0, "value": 0.0, "high": 0.0}, 0.0),
        ({"low": 0.0, "value": 0.0, "high": 0.0}, 0.005),
        ({"low": -5.0, "value": -4.0, "high": -3.0}, 0.0),
    ],
)
def test_an_interval_is_drawn_within_its_chart(difference, margin):
    bar = interval_bar(difference, margin)
    assert bar is not None
    assert 0 <= bar.low <= bar.value <= bar.high <= WIDTH
    assert 0 < bar.margin <= bar.zero < WIDTH
    assert interval_bar(None, margin) is None


def test_charts_of_available_figures():
    assert charts({}) == []
    (residuals,) = charts({"residuals": {"challenger": [[1.0, 0.0], [1.0, 0.0]]}})
    assert residuals.ends[:2] == ("1", "1")
    assert len(residuals.dots["challenger"]) == 2


def test_several_classes_have_a_curve_each():
    one = {"challenger": [[0.0, 0.0], [1.0, 1.0]]}
    result = charts({"rocByClass": [{"class": "late", "curves": one}, {"class": "<b>", "curves": one}]})
    assert [chart.title for chart in result] == ["ROC curve of late", "ROC curve of <b>"]


@pytest.mark.parametrize("rows", [1, 7, 10, 95, 1000])
@pytest.mark.parametrize("distinct", [1, 2, 5, 1000])
def test_bins_of_a_calibration_do_not_part_equal_scores(rows, distinct):
    scores = np.random.default_rng(0).integers(0, distinct, rows) / distinct
    bins = _bins(scores)
    assert sorted(np.concatenate(bins).tolist()) == list(range(rows))
    assert len(bins) <= 10
    for before, after in itertools.pairwise(bins):
        assert scores[before].max() < scores[after].min()
    if distinct == rows == 1000:
        assert len(bins) == 10


def test_a_training_that_compares_nothing_has_a_page_too(world):
    world.train(1)
    world.spec["promotion"]["minHoldoutRows"] = 5000
    verdict = world.train(2)
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooFewRows")
    assert verdict.report_uri.endswith("runs/u-1/2/report.html")
    text = page(world, 2)
    assert "no comparison" in text
    assert "promotion.minHoldoutRows is 5,000" in text
    assert verdict.champion.version in text, "what there is already"
    assert "default-src 'none'" in text


def test_scores_in_another_metric_are_marked(world):
    world.train(1)
    world.land(19, 40)
    world.spec["promotion"]["metric"] = "LogLoss"
    world.train(2)
    text = page(world, 2)
    assert '<span class="soft">ROC AUC</span>' in text
    assert text.count('<span class="soft">log loss</span>') == 0
