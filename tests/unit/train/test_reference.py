"""A version carries the profiles of its training window, and checks use them instead of its data."""

import datetime as dt
import json
import shutil

import pytest

from modelmonitor_api.messages import CheckRequest
from modelmonitor_trainer.check.publish import publish_check
from modelmonitor_trainer.detect.result import to_json
from modelmonitor_trainer.errors import BadData, NotFound, ObjectChanged
from modelmonitor_trainer.registry.layout import REFERENCE_ROWS_FILE
from modelmonitor_trainer.storage.local import path_of

NOW = dt.datetime(2013, 12, 31, 6, tzinfo=dt.UTC)


def check_result(world, number):
    request = CheckRequest(monitor=world.monitor, spec=world.parsed())
    _, result = publish_check(world.store, request, job=f"mon-check-{number}", now=NOW)
    assert result
    return to_json(result)


def forget_training_window(world):
    """Remove the days that the champion was trained on, as a bucket with a lifetime for objects does."""
    for day in range(3, 13):
        for kind in ("rows", "labels"):
            shutil.rmtree(path_of(f"{world.base}/{kind}/date=2013-01-{day:02}"))
    shutil.rmtree(path_of(f"{world.prefix}profiles"))


@pytest.fixture
def crowned(world):
    """A champion of the days 3 to 12, and live days after them."""
    world.land(1, 18)
    assert world.train().outcome == "Promoted"
    world.land(19, 40, slope=-2.0)
    return world


def test_a_check_does_not_need_the_data_of_the_reference(crowned):
    before = check_result(crowned, 1)
    assert before["reference"]["rows"] == 1000
    forget_training_window(crowned)
    after = check_result(crowned, 2)
    for part in ("features", "decision", "rows", "verdict", "message", "performance"):
        assert after[part] == before[part], part


def test_stored_profiles_are_used_although_the_data_exist(crowned):
    shutil.rmtree(path_of(f"{crowned.prefix}profiles"))
    check_result(crowned, 1)
    written = {path for path in crowned.results() if path.startswith("profiles/")}
    assert written, "of the live days"
    assert not [path for path in written if "/plans/" in path], "no cells were computed again"


def test_other_columns_are_read_from_the_data(crowned):
    crowned.spec["model"]["features"][0] |= {"minimum": "-100"}
    assert check_result(crowned, 1)["rows"]["reference"] == 1000
    assert {path for path in crowned.results() if path.startswith("profiles/plans/")}


def test_a_detector_that_needs_deleted_rows_is_not_tested(crowned):
    crowned.spec["detectors"] = [
        {"name": "features", "type": "FeatureDrift"},
        {"name": "relations", "type": "Ablation"},
    ]
    forget_training_window(crowned)
    outcome = {item["name"]: item for item in check_result(crowned, 1)["detectors"]}["relations"]
    assert outcome["outcome"] == "NotTested"
    assert "rows of the reference are needed" in outcome["message"]
    assert any(f"date={day}/" in outcome["message"] for day in ("2013-01-11", "2013-01-12")), "the last days come first"


def test_a_rejected_version_has_no_profiles(crowned):
    crowned.land(35, 40)  # the relationship is reversed again after the training window
    verdict = crowned.train(2)
    assert verdict.outcome == "Rejected"
    carried = {path.rpartition("/")[2] for path in crowned.results() if f"/{verdict.version}/" in path}
    assert "model.skops" in carried
    assert REFERENCE_ROWS_FILE not in carried


def test_a_damaged_profile_is_named_and_computed_again(crowned, caplog):
    before = check_result(crowned, 1)
    version = json.loads(crowned.results()["champion.json"])["version"]
    path = path_of(f"{crowned.prefix}versions/{version}/{REFERENCE_ROWS_FILE}")
    path.write_bytes(path.read_bytes()[:-1])
    after = check_result(crowned, 2)
    for part in ("features", "decision", "rows", "verdict", "message"):
        assert after[part] == before[part], part
    assert f"{REFERENCE_ROWS_FILE} has changed" in caplog.text
    forget_training_window(crowned)
    with pytest.raises((BadData, NotFound, ObjectChanged)):
        check_result(crowned, 3)
