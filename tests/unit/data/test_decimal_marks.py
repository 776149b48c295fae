"""Decimal marks that one object does not show are decided from all objects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.data.decimal_marks import decide_marks, differ_from_own, mark_by_itself
from modelmonitor_trainer.data.remarks import COMMA, COMMA_OR_THOUSANDS, GROUPED, POINT, POINT_OR_THOUSANDS

DOT, MARK = frozenset({POINT_OR_THOUSANDS}), frozenset({COMMA_OR_THOUSANDS})
POINTS, COMMAS = frozenset({POINT}), frozenset({COMMA})
ENGLISH, GERMAN = POINTS | {GROUPED}, COMMAS | {GROUPED}


@pytest.mark.parametrize(
    ("objects", "marks"),
    [
        ([{"x": DOT}, {"x": DOT}], [".", "."]),
        ([{"x": DOT}, {"x": GERMAN}], [",", None]),
        ([{"x": DOT}, {"x": DOT, "y": GERMAN}], [",", ","]),
        ([{"x": DOT}, {"x": POINTS}], [".", None]),
        ([{"x": MARK}, {"x": ENGLISH}], [".", None]),
        ([{"x": MARK}, {"x": COMMAS}], [",", None]),
        ([{"x": DOT, "y": COMMAS}, {"x": DOT, "y": COMMAS}], [",", ","]),
        ([{"x": DOT, "y": COMMAS}, {"x": MARK, "y": POINTS}], [",", "."]),
    ],
)
def test_what_other_objects_show(objects, marks):
    assert [decided.get("x") for decided in decide_marks(objects)] == marks


@pytest.mark.parametrize(
    "objects",
    [
        [{"x": MARK}, {"x": MARK}],
        [{"x": DOT}, {"x": MARK}],
        [{"x": MARK}, {"x": POINTS}],
        [{"x": DOT}, {"x": COMMAS}],
        [{"x": DOT}, {"x": GERMAN}, {"x": ENGLISH}],
    ],
)
def test_what_nothing_shows_must_be_declared(objects):
    assert decide_marks(objects)[0] == {"x": None}


@given(st.lists(st.dictionaries(st.sampled_from("xyz"), st.sampled_from([DOT, MARK, POINTS, COMMAS, GERMAN, ENGLISH]))))
def test_a_column_has_one_mark_unless_objects_show_both(objects):
    decided = decide_marks(objects)
    assert [marks.keys() for marks in decided] == [{n for n, r in of.items() if r in (DOT, MARK)} for of in objects]
    shown = {name: {m for of in objects for m in of.get(name, ()) if m in {POINT, COMMA}} for name in "xyz"}
    if all(len(marks) < 2 for marks in shown.values()):
        for name in "xyz":
            assert len({marks[name] for marks in decided if marks.get(name)}) < 2
    else:
        for of, marks in zip(objects, decided, strict=True):
            assert set(marks.values()) <= {None, mark_by_itself(of.values())}
    assert differ_from_own(objects, decided) is any(
        mark != mark_by_itself(of.values())
        for of, marks in zip(objects, decided, strict=True)
        for mark in marks.values()
    )
