"""Narrows the type of a value in a test, for mypy and as an assertion."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def as_type(kind: type[T], value: object) -> T:
    """Return `value`, which must be an instance of `kind`."""
    assert isinstance(value, kind), f"expected {kind.__name__}, got {value!r}"
    return value
