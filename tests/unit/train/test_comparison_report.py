"""The page of a training: complete, self-contained, and safe with whatever the data say."""

import datetime as dt
import re

import pytest

from modelmonitor_trainer.report.comparison_page import WIDTH, charts, interval_bar
from modelmonitor_trainer.train.train import train


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
        "Difference to the champion",
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


def test_charts_of_what_there_is():
    assert charts({}) == []
    (residuals,) = charts({"residuals": {"challenger": [[1.0, 0.0], [1.0, 0.0]]}})
    assert residuals.ends[:2] == ("1", "1")
    assert len(residuals.dots["challenger"]) == 2
