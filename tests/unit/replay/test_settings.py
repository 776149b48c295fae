"""Settings of a replay: overrides of a spec, and folders of their own."""

import pytest

from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.replay.baselines import reactive_settings
from modelmonitor_trainer.replay.settings import Setting, with_overrides


def test_fields_are_replaced(past):
    spec = with_overrides(
        past.parsed(),
        ["sensitivity.minimumEffect=0.05", "spec.triggers.everyDays=7", "model.features.0.minimum=-1", "suspend=true"],
    )
    assert spec.sensitivity.minimum_effect == "0.05"
    assert spec.triggers.every_days == 7
    assert spec.model.features[0].minimum == "-1"
    assert spec.suspend is True
    assert with_overrides(past.parsed(), []) == past.parsed()


def test_fields_that_need_each_other_are_replaced_together(past):
    spec = with_overrides(
        past.parsed(), ["triggers.onExpectedGain=true", "costs.training=10", "costs.metricPointDay=0.5"]
    )
    assert spec.costs is not None
    assert (spec.costs.training, spec.costs.metric_point_day) == ("10", "0.5")


def test_the_override_that_is_wrong_is_named(past):
    with pytest.raises(BadConfiguration, match=r"^--set triggers.everyDays=0: spec.triggers.everyDays"):
        with_overrides(past.parsed(), ["promotion.holdoutDays=7", "triggers.everyDays=0"])
    with pytest.raises(BadConfiguration, match=r"onExpectedGain needs spec\.costs"):
        with_overrides(past.parsed(), ["triggers.onExpectedGain=true"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sensitivity", "write it as sensitivity.minimumEffect=0.05"),
        ("triggers.everyDay=7", "triggers.everyDay"),
        ("triggers.everyDays=often", "triggers.everyDays"),
        ("model.features.9.minimum=1", "'9' is not an index of a list of 3"),
        (
            "model.features.x.minimum=1",
            "'x' is not an index of a list of 3, which are counted from 0; or write the whole",
        ),
        ("retraining.estimator.parameters.C=1", "'C' is not an index of an empty list; write the whole list, such as "),
        ("schedule.minute=1", "'minute' is below a value that is not an object"),
        ("triggers.everyDays=[", "not YAML"),
        ("schedule=daily", "spec.schedule: 'daily' must have the five fields of cron"),
        ("timeZone=Mars/Phobos", "spec.timeZone: 'Mars/Phobos' is not a name of the tz database"),
        ("retraining.estimator.parameters={C: -1}", "spec.retraining.estimator"),
    ],
)
def test_what_cannot_be_replaced_is_named(past, override, message):
    with pytest.raises(BadConfiguration, match=r"^--set") as caught:
        with_overrides(past.parsed(), [override])
    assert message in str(caught.value)


def test_each_spec_has_a_folder_of_its_own(past):
    spec = past.parsed()
    keys = {
        Setting("Mine", spec).key,
        Setting("Mine", with_overrides(spec, ["triggers.everyDays=7"])).key,
        Setting("Mine", spec, gated=False).key,
        Setting("other", spec).key,
    }
    assert len(keys) == 4
    assert Setting("Mine", spec).key == Setting("Mine", past.parsed()).key
    assert Setting("On a drop, no gate", spec).key.startswith("on-a-drop-no-gate-")


def test_reactions_have_neither_gate_nor_period(past):
    drift, drop = reactive_settings(past.parsed())
    assert (drift.gated, drop.gated) == (False, False)
    assert (drift.spec.triggers.on_drift, drift.spec.triggers.on_performance) == (True, False)
    assert (drop.spec.triggers.on_drift, drop.spec.triggers.on_performance) == (False, True)
    assert drift.spec.triggers.every_days is None
