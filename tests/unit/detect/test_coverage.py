"""Coverage: shares, sentences, and when NoDrift becomes Inconclusive."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.names import Reason
from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_trainer.data.left_out import LeftOut
from modelmonitor_trainer.detect.coverage import (
    MAX_NAMES,
    Coverage,
    columns_part,
    coverage_to_json,
    days_part,
    objects_part,
    require_coverage,
)
from modelmonitor_trainer.detect.verdict import ExplainedVerdict

R = LeftOutReason


def file(reason, name="b", size=100, side="current", share=1.0):
    return LeftOut(reason, name, size, side=side, share=share)


def objects(*left_out, current=(1, 100), reference=(1, 100)):
    return objects_part({"reference": reference, "current": current}, left_out)


@pytest.mark.parametrize(
    ("left_out", "share"),
    [
        ([], 1.0),
        ([file(R.UNKNOWN_FORMAT)], 0.5),
        ([file(R.UNKNOWN_FORMAT, size=1)], 0.5),
        ([file(R.UNKNOWN_FORMAT, size=900)], 0.1),
        ([file(R.UNKNOWN_FORMAT, side="reference")], 0.5),
        ([file(R.OTHER_FORMAT, size=25)], 0.8),
        ([file(R.MARKER), file(R.NOT_DATA), file(R.REMOVED_FROM_TABLE), file(R.NO_ROWS)], 1.0),
        ([file(R.BOTH_SIDES)], 0.0),
        ([file(R.BOTH_SIDES, share=0.0)], 1.0),
    ],
)
def test_the_share_of_objects_is_of_numbers_and_of_bytes(left_out, share):
    assert objects(*left_out).share == pytest.approx(share)


def test_an_object_on_both_sides_is_compared_with_itself():
    assert objects(file(R.BOTH_SIDES, size=20), current=(4, 100)).share == pytest.approx(0.75)
    assert objects(file(R.BOTH_SIDES, size=40), current=(4, 100)).share == pytest.approx(0.6)


def test_the_share_of_days_counts_hours():
    half = LeftOut(R.MISSING_HOURS, "2024-01-02", share=0.5, side="current")
    gone = LeftOut(R.MISSING_DAY, "2024-01-03", side="current")
    assert days_part({"reference": 10, "current": 3}, [half]).share == pytest.approx(2.5 / 3)
    assert days_part({"reference": 10, "current": 3}, [half, gone]).share == pytest.approx(2.5 / 4)
    assert days_part({"reference": 10, "current": 3}, [LeftOut(R.UNFINISHED_DAY, "x", side="current")]).share == 1


def test_the_share_of_columns():
    assert columns_part(3, [LeftOut(R.UNSUPPORTED_COLUMN, "a")]).share == pytest.approx(0.75)
    assert columns_part(4, [LeftOut(R.PARTIAL_COLUMN, "a", share=0.5)]).share == pytest.approx(3.5 / 4)
    fine = [R.TIME_COLUMN, R.NEW_COLUMN, R.UNDECLARED_COLUMN, R.SELECTED_COLUMN, R.GROWING_COLUMN, R.EXCLUDED_COLUMN]
    assert columns_part(1, [LeftOut(reason, "a") for reason in fine]).share == 1


@given(
    st.lists(st.sampled_from(list(R)), max_size=8),
    st.integers(0, 5),
    st.integers(0, 10**9),
    st.floats(0, 1),
)
def test_a_share_is_a_share(reasons, count, size, minimum):
    left_out = [file(reason, size=size) for reason in reasons]
    parts = (
        objects(*left_out, current=(count, count * size)),
        days_part({"reference": count, "current": count}, left_out),
        columns_part(count, left_out),
    )
    coverage = Coverage(*parts, (0, 0))
    assert all(0 <= part.share <= 1 for part in parts)
    decided = require_coverage(QUIET, coverage, minimum)
    assert (decided.name == "NoDrift") is (coverage.share >= minimum)
    json.dumps(coverage_to_json(coverage, minimum), allow_nan=False)


QUIET = ExplainedVerdict("NoDrift", Reason.NO_DRIFT, "No significant change.")


def coverage_of(*left_out):
    return Coverage(objects(*left_out), None, columns_part(3, []), (10, 20))


def test_too_little_coverage_is_not_no_drift():
    coverage = coverage_of(file(R.UNKNOWN_FORMAT, "s3://b/x.zst"), file(R.MARKER, "s3://b/_SUCCESS"))
    decided = require_coverage(QUIET, coverage, 0.9)
    assert (decided.name, decided.reason) == ("Inconclusive", Reason.INCONCLUSIVE)
    assert decided.message == (
        "No drift found in what was compared, but that is 50 % of the objects, less than sensitivity.minimumCoverage "
        "(90 %). Not compared (current): s3://b/x.zst. Neither name nor content is that of a Parquet, CSV or JSON "
        "Lines file; write it as one, or move it elsewhere. No significant change."
    )
    assert require_coverage(QUIET, coverage, 0.5) == QUIET


@pytest.mark.parametrize("name", ["Drift", "Corrupted", "Inconclusive"])
def test_other_verdicts_stay(name):
    verdict = ExplainedVerdict(name, Reason.DRIFT, "why")
    assert require_coverage(verdict, coverage_of(file(R.UNKNOWN_FORMAT)), 1) == verdict


def test_a_drop_of_the_score_stays_the_reason():
    dropped = ExplainedVerdict("NoDrift", Reason.PERFORMANCE_DROP, "It scores worse.")
    decided = require_coverage(dropped, coverage_of(file(R.UNKNOWN_FORMAT)), 0.9)
    assert (decided.name, decided.reason) == ("Inconclusive", Reason.PERFORMANCE_DROP)


def test_names_are_bounded_and_counts_are_not():
    coverage = coverage_of(*(file(R.UNKNOWN_FORMAT, f"s3://b/{number}.zst") for number in range(50)))
    (group,) = coverage_to_json(coverage, 0.9)["objects"]["leftOut"]
    assert (group["reason"], group["side"], group["count"], len(group["names"])) == (
        "UnknownFormat",
        "current",
        50,
        MAX_NAMES,
    )
    assert "s3://b/4.zst and 45 more." in group["message"]


def test_what_is_left_out_in_every_check_is_no_note():
    coverage = coverage_of(file(R.MARKER, "s3://b/_SUCCESS"), file(R.UNKNOWN_FORMAT, "s3://b/x"))
    assert [names for _, names in coverage.notes()] == [["s3://b/x"]]
    assert len(coverage.sentences()) == 2
