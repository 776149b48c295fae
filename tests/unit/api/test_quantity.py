"""Kubernetes quantities as numbers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from modelmonitor_api.quantity import parse_quantity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "0"),
        ("128974848", "128974848"),
        ("1.5G", "1500000000"),
        ("2Gi", "2147483648"),
        ("512Mi", "536870912"),
        ("1Ei", "1152921504606846976"),
        ("1E", "1000000000000000000"),
        ("100m", "0.1"),
        ("5u", "0.000005"),
        ("7n", "0.000000007"),
        (".5k", "500"),
        ("3.", "3"),
        ("-1Ki", "-1024"),
        ("+2", "2"),
        ("12e6", "12000000"),
        ("1E-3", "0.001"),
    ],
)
def test_a_quantity_is_a_number(text: str, expected: str) -> None:
    assert parse_quantity(text) == Decimal(expected)


def test_equal_amounts_in_different_units_are_equal() -> None:
    assert parse_quantity("1024Mi") == parse_quantity("1Gi")
    assert parse_quantity("0.5") == parse_quantity("500m")


@pytest.mark.parametrize("text", ["", "Gi", "2 gigs", "2gi", "1.2.3", "1Kb", "1e", "0x10", "١", "2Gi\n", "--1", "."])
def test_what_is_not_a_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity; write it like 500m or 2Gi"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["1e99999999999999999999", "1e9999999", "1e-9999999999", "1e" + "9" * 5000])
def test_an_exponent_that_no_number_has_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is too large or too small for a quantity"):
        parse_quantity(text)
