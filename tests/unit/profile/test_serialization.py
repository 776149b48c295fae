"""Serialization of arrays: round trips are exact, and corruption is detected."""

from __future__ import annotations

import ast
import contextlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.profile.serialization import pack, unpack

ARRAYS: dict[str, Array] = {
    "counts": np.arange(6, dtype=np.uint16).reshape(2, 3),
    "none": np.empty(0, dtype=np.uint8),
    "sums": np.array([[0.5, -np.inf], [np.nan, 1e300]]),
    "every other": np.arange(10)[::2],
    "highest byte first": np.arange(3, dtype=">i8"),
}


def test_arrays_survive_a_round_trip() -> None:
    description, arrays = unpack(pack({"name": "ä\n", "rows": 3}, ARRAYS))
    assert description == {"name": "ä\n", "rows": 3}
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
    assert arrays["counts"].dtype == np.uint16
    assert pack({}, ARRAYS) == pack({}, dict(ARRAYS))


def test_only_numbers_are_kept() -> None:
    with pytest.raises(ValueError, match="what is of type"):
        pack({}, {"what": np.array(["words"])})


@given(st.data())
@example(None)
def test_a_changed_byte_is_detected_or_changes_nothing(data: st.DataObject | None) -> None:
    good = pack({"rows": 3}, ARRAYS)
    # The last byte before the checksum may have bits without meaning.
    index = data.draw(st.integers(0, len(good) - 1)) if data else len(good) - 5
    for other in range(256) if data is None else [data.draw(st.integers(0, 255))]:
        with contextlib.suppress(ValueError):
            assert pack(*unpack(good[:index] + bytes([other]) + good[index + 1 :])) == good


@given(st.integers(0, len(pack({"rows": 3}, ARRAYS)) - 1))
def test_truncated_bytes_are_corrupted(length: int) -> None:
    with pytest.raises(ValueError, match="corrupted"):
        unpack(pack({"rows": 3}, ARRAYS)[:length])


def test_nothing_is_parsed_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Python 3.11 threads that parse at once stop each other, and profiles are read by threads."""
    packed = pack({}, ARRAYS)
    for name in ("parse", "literal_eval"):
        monkeypatch.delattr(ast, name)
    unpack(packed)
