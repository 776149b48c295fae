"""Other values of categorical columns: hash buckets, cardinality, and exact merging."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmonitor_trainer.profile import kernel
from modelmonitor_trainer.profile.arrow_values import kind_of
from modelmonitor_trainer.profile.cardinality import add_hashes, distinct, no_registers
from modelmonitor_trainer.profile.categories import BUCKETS, LONGEST, shorten
from modelmonitor_trainer.profile.columns import CategoricalProfile, merge
from modelmonitor_trainer.profile.hashing import bucket_of, checksums_of, hashes_of
from modelmonitor_trainer.profile.object_profile import ObjectProfile, from_bytes, to_bytes
from modelmonitor_trainer.profile.plans import CategoricalPlan
from support.narrowing import as_type
from support.profiles import profile_categories, profile_numbers

WORDS = st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=60)


def profile(words, buckets=8):
    return profile_categories(pa.chunked_array([pa.array(words, pa.string())]), {"a": 0, "": 1}, None, buckets)


@settings(deadline=None)
@given(WORDS, WORDS, WORDS)
def test_buckets_and_sketches_merge_exactly_in_any_order(a, b, c):
    one, two, three, whole = profile(a), profile(b), profile(c), profile(a + b + c)
    for result in (merge([one, two, three]), merge([three, one, two]), one.merged(two.merged(three))):
        merged = as_type(CategoricalProfile, result)
        assert merged.buckets.tolist() == whole.buckets.tolist()
        assert merged.registers.tolist() == whole.registers.tolist()
        assert merged.counts.tolist() == whole.counts.tolist()
        assert merged.others == whole.others
    assert whole.buckets.sum() == whole.counts[-1]


@pytest.fixture(params=["compiled", "numpy"])
def either_way(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(kernel, "_KERNEL", None)


@pytest.mark.usefixtures("either_way")
def test_long_values_are_stored_as_prefix_and_checksum():
    """A profile stores values by name, and would grow with them."""
    long, other = "ä" * 5_000 + "a", "ä" * 5_000 + "b"
    kept = shorten(pa.array([long, other, None, "short", "x" * LONGEST, long])).to_pylist()
    assert kept[2:5] == [None, "short", "x" * LONGEST]
    assert kept[0] == kept[5] != kept[1]
    assert kept[0].startswith("ä" * 60 + "… ")
    assert all(word is None or len(word.encode()) <= LONGEST for word in kept)
    plain = pa.array(["a", None])
    assert shorten(plain) is plain


@pytest.mark.usefixtures("either_way")
def test_allowed_values_can_be_long():
    long, other = "y" * 5_000, "y" * 4_999
    column = pa.chunked_array([pa.array([long, other, long])])
    result = profile_categories(column, {}, frozenset({long}))
    assert result.disallowed_rows == 1


@settings(deadline=None)
@given(WORDS)
def test_numpy_counts_like_the_kernel(words):
    fast = profile(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "_KERNEL", None)
        slow = profile(words)
    assert str(vars(fast)) == str(vars(slow))


def test_a_hash_is_the_same_everywhere():
    assert hashes_of(checksums_of(["v1", "é", ""])).tolist() == [
        8033445438698622359,
        1136047645494374104,
        16294208416658607535,
    ]


@pytest.mark.parametrize("count", [0, 1, 10, 1000, 3000, 50_000])
def test_the_estimated_cardinality(count):
    registers = no_registers()
    add_hashes(registers, hashes_of(checksums_of([f"v{number}" for number in range(count)])))
    assert distinct(registers) == pytest.approx(count, rel=0.1, abs=0.5)


def test_words_spread_evenly_over_buckets():
    words = [f"customer-{number:06}" for number in range(64_000)]
    counts = np.bincount(bucket_of(hashes_of(checksums_of(words)), BUCKETS), minlength=BUCKETS)
    assert ((counts - 500) ** 2 / 500).sum() < 200  # chi-square of 127 degrees: 0.003 %


def test_dictionaries_shared_by_parts_are_those_of_one_part():
    words = pa.array(["a", "b", None, "a", "c"]).dictionary_encode()
    parts = pa.chunked_array([words, words.slice(1), pa.array(["c", "z"]).dictionary_encode()])
    result = profile_categories(parts, {"a": 0, "b": 1}, frozenset(["a", "b"]))
    assert (result.counts.tolist(), result.rows, result.nulls) == ([3, 2, 4], 11, 2)
    assert (result.others, result.disallowed_rows, result.distinct) == ({"c": 3, "z": 1}, 4, 4)


def test_profiles_with_buckets_survive_storage():
    plan = (CategoricalPlan("w", ("a", ""), None, 8),)
    stored = ObjectProfile("u", 5, {"w": profile(["a", "b", "c", None, ""])})
    restored = from_bytes(to_bytes(stored), plan)
    assert str(vars(restored.columns["w"])) == str(vars(stored.columns["w"]))
    with pytest.raises(ValueError, match="buckets"):
        from_bytes(to_bytes(stored), (CategoricalPlan("w", ("a", ""), None, 4),))


def test_the_text_nan_is_a_category_and_the_number_is_missing():
    assert profile(["nan", None, "nan"]).others == {"nan": 2}
    floats = pa.chunked_array([pa.array([1.5, float("nan"), None])])
    assert profile_categories(floats, {"1.5": 0}).nulls == 2


def test_times_are_seconds_and_nested_values_are_named():
    edges = np.array([43_200.0, 86_400.0])
    for column in (
        pa.array([dt.date(1970, 1, 1), dt.date(1970, 1, 2), None]),
        pa.array([0, 86_400_000, None], pa.int64()).cast(pa.date64()),
        pa.array([0, 86_400, None], pa.int64()).cast(pa.timestamp("s", "UTC")),
        pa.array([0, 86_400 * 10**9, None], pa.int64()).cast(pa.timestamp("ns")),
        pa.array([0, 86_400 * 10**6, None], pa.int64()).cast(pa.duration("us")),
    ):
        result = profile_numbers(pa.chunked_array([column]), edges)
        assert (result.counts.tolist(), result.nulls, result.maximum) == ([1, 0, 1], 1, 86_400.0), column.type
        assert result.kinds == {"time"}
    noon = pa.array([dt.time(12), None])
    assert profile_numbers(pa.chunked_array([noon]), edges).counts.tolist() == [0, 1, 0]
    for column in (pa.array([[1], None]), pa.array([{"a": 1}, None])):
        assert kind_of(column.type) == "nested"
        for nested in (
            profile_numbers(pa.chunked_array([column]), edges),
            profile_categories(pa.chunked_array([column]), {}),
        ):
            assert (nested.rows, nested.missing, nested.kinds) == (2, 2, frozenset({"nested"}))


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.decimal128(38, 0), pa.decimal256(50, 0)], ids=str)
def test_beyond_two_to_the_53_neighbours_share_a_bin(kind):
    large = 2**53
    column = pa.chunked_array([pa.array([large, large + 1, large + 4, None]).cast(pa.decimal128(38, 0)).cast(kind)])
    result = profile_numbers(column, np.array([float(large), float(large + 4)]))
    assert (result.counts.tolist(), result.nulls, result.minimum) == ([0, 2, 1], 1, float(large))
    names = profile_categories(column, {str(large): 0, str(large + 1): 1})  # as categories they stay apart
    assert names.counts.tolist() == [1, 1, 1]


def test_small_floats_are_numbers():
    halves = pa.array(np.array([1.0, 2.5], dtype=np.float16))
    assert profile_numbers(pa.chunked_array([halves]), np.array([2.0])).counts.tolist() == [1, 1]
