"""Retraining strategies and the champion watch on a real cluster."""

from __future__ import annotations

import pytest

from modelmonitor_api.names import ANNOTATION_CHECK_REQUESTED, ANNOTATION_RETRAIN_REQUESTED, ConditionType, Reason
from support.kind import Kind
from support.lake import Lake
from support.live import Monitor

LOG_LOSS = {"name": "loss", "value": "log_loss"}


@pytest.fixture(scope="module")
def month(lake: Lake) -> Lake:
    lake.add_days(0, 30)
    return lake


def test_the_retrain_strategy_repeats_the_search(release: Kind, month: Lake) -> None:
    space = [{"name": "C", "values": ["0.01", "1"]}]
    monitor = Monitor(
        release,
        month,
        "search",
        retraining={
            "strategy": "Retrain",
            "estimator": {"search": {"method": "SuccessiveHalving", "space": space, "candidates": 2, "folds": 2}},
        },
    )
    first = monitor.wait_training(1)
    assert first["outcome"] == "Promoted", first
    month.add_days(30, 6)
    monitor.annotate(ANNOTATION_RETRAIN_REQUESTED, "again")
    second = monitor.wait_training(2)
    for last in (first, second):
        assert monitor.parameters(last["version"])["search"]["tried"] == 2


def test_a_warm_start_continues_from_the_champion(release: Kind, month: Lake) -> None:
    monitor = Monitor(
        release,
        month,
        "warm",
        retraining={"strategy": "WarmStart", "estimator": {"name": "SGDClassifier", "parameters": [LOG_LOSS]}},
    )
    first = monitor.wait_training(1)
    assert first["outcome"] == "Promoted", first
    month.add_days(36, 6)
    monitor.annotate(ANNOTATION_RETRAIN_REQUESTED, "continue")
    second = monitor.wait_training(2)
    parameters = monitor.parameters(second["version"])
    assert (parameters["strategy"], parameters["warmStart"]["from"]) == ("WarmStart", first["version"])


def test_a_champion_that_turns_out_worse_is_rolled_back(release: Kind, lake: Lake, month: Lake) -> None:
    """It is better on its hold-out; then the relationship returns to the one that its predecessor was trained on."""
    watch = {"action": "Rollback", "days": 4}
    monitor = Monitor(release, month, "watched", promotion={"watch": watch})
    assert monitor.wait_training(1)["outcome"] == "Promoted"
    lake.add_days(36, 20, slope=-0.15)
    monitor.annotate(ANNOTATION_RETRAIN_REQUESTED, "reversed")
    second = monitor.wait_training(2)
    assert second["outcome"] == "Promoted", second
    lake.add_days(56, 6)
    monitor.annotate(ANNOTATION_CHECK_REQUESTED, "restored")
    release.wait("the rollback", lambda: monitor.status().get("champion", {}).get("version", "").startswith("v1-"))
    actions = [(entry["action"], entry["reason"]) for entry in monitor.status()["history"]][:2]
    assert actions[-1] == (Reason.ROLLBACK_STARTED, Reason.WORSE_THAN_PREDECESSOR), monitor.status()["history"]
    assert actions[0] == (Reason.ROLLED_BACK, Reason.WORSE_THAN_PREDECESSOR)
    kinds = [condition["type"] for condition in monitor.status()["conditions"]]
    assert ConditionType.CHAMPION_HEALTHY not in kinds, "a version that was rolled back to is not watched"
