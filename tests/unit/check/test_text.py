"""Numbers and shares in messages and on pages, as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.text import number, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (29640.0, "29,640"),
        (1234567.891, "1,234,568"),
        (999.96, "1,000"),
        (12.5, "12.5"),
        (0.12345678, "0.1235"),
        (0.00001234, "0.00001234"),
        (-3.0, "-3"),
        (0.0, "0"),
        (5e-324, "0"),
        (1.5e21, "1.5e21"),
        (2e-9, "2e-9"),
        (float("inf"), "∞"),
        (float("nan"), "–"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.129, "12.9 %"),
        (0.5, "50 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.0004, "0.04 %"),
        (0.9996, "99.96 %"),
        (1e-9, "< 0.0001 %"),
        (1 - 1e-9, "> 99.9999 %"),
    ],
)
def test_shares(share, text):
    assert percent(share) == text


@given(
    st.floats(min_value=-1e15, max_value=1e15, exclude_min=True, exclude_max=True).filter(
        lambda value: abs(value) > 1e-6
    )
)
def test_numbers_have_four_digits_and_no_exponent_where_people_write_none(value):
    text = number(value)
    assert "e" not in text
    assert float(text.replace(",", "")) == pytest.approx(value, rel=5e-4, abs=0.5 if abs(value) >= 1000 else 0)


@given(st.floats(min_value=0, max_value=1))
def test_only_all_and_nothing_are_shown_as_such(share):
    text = percent(share)
    assert (text == "0 %") == (share == 0)
    assert (text == "100 %") == (share == 1)
    shown = float(text.lstrip("<> ").removesuffix(" %")) / 100
    assert math.isclose(shown, share, abs_tol=6e-4)
