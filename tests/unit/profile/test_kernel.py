"""The compiled kernel and numpy return the same counts for any values."""

from __future__ import annotations

import ctypes
import shutil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelmonitor_trainer.data.arrow_floats import doubles_of
from modelmonitor_trainer.profile import kernel
from modelmonitor_trainer.profile.binning import fit_edges
from modelmonitor_trainer.profile.counting import bin_counts, profile_floats_in_numpy

HOSTILE = [0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1.0, np.nextafter(1.0, 2), -1.0, 1e16, 1.7e308, -1.7e308]
FLOATS = st.one_of(
    st.sampled_from([*HOSTILE, float("inf"), float("-inf"), float("nan"), None]),
    st.floats(),
    st.integers(-5, 5).map(float),
)
EDGES = st.lists(
    st.one_of(st.sampled_from(HOSTILE), st.floats(allow_nan=False, allow_infinity=False)), max_size=60
).map(lambda edges: np.unique(np.array(edges, dtype=np.float64) + 0.0))

needs_kernel = pytest.mark.skipif(not kernel.compiled(), reason="there was no C compiler at installation")


def test_the_kernel_is_compiled_if_there_is_a_compiler() -> None:
    assert kernel.compiled() or not any(map(shutil.which, ("cc", "gcc", "clang")))


def bin_column(
    array: pa.DoubleArray, edges: np.ndarray, minimum: float | None = None, maximum: float | None = None
) -> kernel.Binned:
    passes = kernel.Binning(kernel.CellTable(edges), minimum, maximum)
    passes.add(array)
    return passes.result()


def same(array: pa.Array, edges: np.ndarray, minimum: float | None = None, maximum: float | None = None) -> None:
    result = bin_column(doubles_of(array), edges, minimum, maximum)
    expected = profile_floats_in_numpy(array, edges, minimum, maximum)
    assert result.counts.tolist() == expected.counts.tolist()
    for name in ("nulls", "nans", "finite", "negative_infinities", "below", "above"):
        assert getattr(result, name) == getattr(expected, name), name
    for name in ("minimum", "maximum"):
        assert np.array_equal(getattr(result, name), getattr(expected, name), equal_nan=True), name


@needs_kernel
@settings(deadline=None)
@given(st.lists(FLOATS, max_size=80), EDGES, st.integers(0, 20), st.integers(0, 90))
@example([1.0, None, float("nan")], np.empty(0), 0, 90)
def test_same_counts(values: list[float | None], edges: np.ndarray, start: int, length: int) -> None:
    same(pa.array(values, pa.float64()).slice(start, length), edges, -1.0, 1e16)


@needs_kernel
@settings(deadline=None)
@given(EDGES)
def test_edges_themselves_and_their_neighbours(edges: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        near = np.concatenate([edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)])
    same(pa.array(near), edges)


@needs_kernel
@pytest.mark.parametrize("bins", [16, 256, 1024, 4096])
@pytest.mark.parametrize("kind", ["normal", "offset", "lognormal", "t2", "pareto", "ties", "zeros", "wide", "huge"])
def test_all_kinds_of_columns(kind: str, bins: int) -> None:
    draw = np.random.default_rng(1)
    values = {
        "normal": lambda: draw.normal(size=20_000),
        "offset": lambda: 1e6 + draw.normal(size=20_000) * 1e-3,
        "lognormal": lambda: draw.lognormal(sigma=2, size=20_000),
        "t2": lambda: draw.standard_t(2, size=20_000),
        "pareto": lambda: draw.pareto(1.5, size=20_000),
        "ties": lambda: draw.poisson(3, 20_000).astype(float),
        "zeros": lambda: np.where(draw.random(20_000) < 0.4, 0, draw.normal(size=20_000)),
        "wide": lambda: draw.choice([-1, 1], 20_000) * 10 ** draw.uniform(-300, 300, 20_000),
        "huge": lambda: draw.uniform(-1, 1, 20_000) * 1.7e308,
    }[kind]()
    edges = fit_edges(values[:5_000], bins)
    array = pa.array(values, mask=draw.random(values.size) < 0.1)
    same(array, edges)
    same(array.slice(13, 7_001), edges)
    result = bin_column(array, edges, None, None)
    assert result.counts.sum() + result.nulls + result.nans == values.size
    expected = profile_floats_in_numpy(array, edges)
    if kind not in {"wide", "huge"}:  # their squares are beyond the range of doubles
        assert result.mean == pytest.approx(expected.mean, rel=1e-12, abs=1e-12)
        assert result.m2 == pytest.approx(expected.m2, rel=1e-9)


@needs_kernel
@pytest.mark.parametrize("kind", [pa.int64(), pa.int8(), pa.uint32(), pa.float32(), pa.bool_()], ids=str)
def test_other_types_are_converted(kind: pa.DataType) -> None:
    array = pa.array([1, 0, None, 1, 1], pa.int8()).cast(kind)
    same(array, np.array([0.0, 0.5, 1.0]))


@needs_kernel
@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60), st.floats(-1e6, 1e6))
def test_moments(values: list[float], edge: float) -> None:
    result = bin_column(pa.array(values), np.array([edge]), None, None)
    assert result.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-3)
    assert result.m2 == pytest.approx(np.var(values) * len(values), rel=1e-6, abs=1e2)
    assert result.m2 >= 0


@needs_kernel
@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.sampled_from("abcdef")), max_size=60), st.integers(0, 9), st.integers(0, 60))
def test_codes_of_words(words: list[str | None], start: int, length: int) -> None:
    array = pa.array(words, pa.string()).dictionary_encode().slice(start, length)
    codes = kernel.CodeCounts(len(array.dictionary))
    codes.add(array.indices)
    counts, missing = codes.result()
    result = dict(zip(array.dictionary.to_pylist(), counts.tolist(), strict=True))
    expected = words[start : start + length]
    assert {word: count for word, count in result.items() if count} == {
        word: expected.count(word) for word in set(expected) - {None}
    }
    assert missing == expected.count(None)


def test_numpy_counts_like_searchsorted() -> None:
    edges = np.array([-1.0, 0.0, 2.0])
    values = np.array([-5, -1, -0.0, 0, 1.9, 2, 9])
    assert bin_counts(values, edges).tolist() == [1, 1, 3, 2]


def test_the_kernel_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_KERNEL", kernel._load(kernel.LIBRARY.with_name("no such library")))
    assert not kernel.compiled()
    with pytest.raises(RuntimeError, match="not compiled"):
        bin_column(pa.array([1.0]), np.array([0.0]), None, None)


@needs_kernel
def test_a_library_of_another_version_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Older(ctypes.Structure):
        _fields_ = kernel._Moments._fields_[1:]

    assert kernel._load(kernel.LIBRARY) is not None
    monkeypatch.setattr(kernel, "_Moments", Older)
    assert kernel._load(kernel.LIBRARY) is None


@needs_kernel
def test_moments_far_from_the_edges_are_exact() -> None:
    passes = kernel.Binning(kernel.CellTable(np.array([1.0])), None, None)
    for part in ([None, None], [None, 1e9, None, 1e9 + 2, None], [1e9 + 4]):
        passes.add(pa.array(part, pa.float64()))
    result = passes.result()
    assert (result.mean, result.m2, result.nulls, result.finite) == (1e9 + 2, 8.0, 5, 3)
