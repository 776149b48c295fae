"""Labels of a check: shares, notes, and when silence is not trusted."""

import pytest

from modelmonitor_api.names import Reason
from modelmonitor_trainer.detect.labelling import LabelledDay, Labelling, require_labels
from modelmonitor_trainer.detect.verdict import ExplainedVerdict

NO_ROW = "no row of their day, or of the days before, has their key."
QUIET = ExplainedVerdict("NoDrift", Reason.NO_DRIFT, "nothing")


def labelling(rows=500, unlabelled=0, immature=0, **more):
    more = {"labels": 500, "min_share": 0.5, "expected": True} | more
    return Labelling((LabelledDay("2024-01-01", rows, unlabelled, immature),), **more)


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [
        (None, "NoDrift"),
        (labelling(), "NoDrift"),
        (labelling(unlabelled=200), "NoDrift"),
        (labelling(unlabelled=260), "Inconclusive"),
        (labelling(unlabelled=260, min_share=0.4), "NoDrift"),
        (labelling(unlabelled=450, min_share=0.0), "Inconclusive"),
        (labelling(unscored=400), "Inconclusive"),
        (labelling(immature=500), "Inconclusive"),
        (labelling(unlabelled=500, expected=False), "NoDrift"),
        (labelling(rows=90, unlabelled=90), "NoDrift"),
        (labelling(problem="the keys differ"), "Inconclusive"),
        (Labelling((), expected=True, problem="the labels have no key"), "Inconclusive"),
        (Labelling((), expected=False, problem="the labels have no key"), "NoDrift"),
    ],
)
def test_when_labels_allow_silence(labels, verdict):
    decided = require_labels(QUIET, labels)
    assert decided.name == verdict
    assert (decided == QUIET) == (verdict == "NoDrift")


@pytest.mark.parametrize("name", ["Drift", "Corrupted", "Inconclusive", "PerformanceDrop"])
def test_other_verdicts_stay(name):
    verdict = ExplainedVerdict(name, Reason(name), "message")
    assert require_labels(verdict, labelling(unlabelled=500)) == verdict


@pytest.mark.parametrize(
    ("labels", "notes"),
    [
        (labelling(), ()),
        (labelling(unlabelled=40), ()),
        (
            labelling(unlabelled=100),
            ("Labels: 400 of 500 rows of the mature days (80 %) have a label that counts; 500 labels have arrived.",),
        ),
        (labelling(problem="none", unmatched=500), ("Labels: None.",)),
        (
            labelling(unmatched=60),
            (f"Labels: 60 of 500 labels that have arrived belong to no row: {NO_ROW}",),
        ),
    ],
)
def test_what_is_worth_a_note(labels, notes):
    assert labels.notes() == notes


def test_what_is_left_out_is_named():
    part = labelling(unlabelled=100, immature=50, unmatched=20, unscored=10).part
    assert part.share == pytest.approx(340 / 500)
    assert {item.reason.value: item.detail for item in part.left_out} == {
        "UnlabelledRows": "100 of 500 rows",
        "FewLabels": "50 of 500 rows",
        "UnmatchedLabels": "20 of 500",
        "UnscoredRows": "10 of 350",
    }
