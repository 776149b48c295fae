"""The same numbers and categories, whatever type they were written with."""

from __future__ import annotations

import decimal
import math
import uuid

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from modelmonitor_trainer.data.arrow_floats import doubles_of, shortest
from modelmonitor_trainer.data.canonical import canonical, numeral
from modelmonitor_trainer.data.remarks import AS_TEXT, missing_as
from modelmonitor_trainer.data.text_numbers import are_numbers, text_numbers
from modelmonitor_trainer.profile import kernel
from support.profiles import profile_categories, profile_numbers

#: The first has no letters.
UUIDS = [uuid.UUID(int=0), *(uuid.uuid5(uuid.NAMESPACE_URL, str(number)) for number in range(4))]
NARROW = st.floats(width=32, allow_nan=False)


@pytest.fixture(params=["compiled", "numpy"])
def either_way(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(kernel, "_KERNEL", None)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.one_of(NARROW, st.none(), st.just(math.nan)), max_size=40),
    st.lists(st.one_of(NARROW.map(lambda x: float(str(np.float32(x)))), st.floats(allow_nan=False)), max_size=20),
    st.one_of(st.none(), NARROW),
    st.booleans(),
)
def test_a_narrow_float_is_in_the_cell_of_its_decimal(values, edges, bound, is_compiled):
    """The edges are converted instead of the values, which must come to the same."""
    edges = np.unique([edge for edge in edges if math.isfinite(edge)])
    bound = None if bound is None or not math.isfinite(bound) else float(str(np.float32(bound)))
    narrow = pa.array(values, pa.float32())
    wide = doubles_of(narrow)
    with pytest.MonkeyPatch.context() as patch:
        if not is_compiled:
            patch.setattr(kernel, "_KERNEL", None)
        one, other = (profile_numbers(pa.chunked_array([array]), edges, bound, bound) for array in (narrow, wide))
    assert one.counts.tolist() == other.counts.tolist()
    for field in ("rows", "nulls", "nans", "finite", "negative_infinities", "below", "above"):
        assert getattr(one, field) == getattr(other, field), field
    assert str((one.minimum, one.maximum)) == str((other.minimum, other.maximum))
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    if largest < 1e30:
        assert one.mean == pytest.approx(other.mean, abs=1e-6 * largest + 1e-40)


@settings(deadline=None)
@given(st.lists(NARROW, min_size=1))
def test_the_double_of_a_narrow_float_is_its_shortest_decimal(values):
    array = pa.array(values, pa.float32())
    expected = [float(str(np.float32(value))) for value in values]
    assert doubles_of(array).to_pylist() == expected == shortest(np.array(values)).tolist()


def test_every_half_is_its_shortest_decimal():
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    doubles = doubles_of(pa.array(halves)).to_pylist()
    assert str(doubles) == str([float(str(half)) for half in halves])


@settings(deadline=None, max_examples=300)
@given(
    st.integers(1, 38).flatmap(
        lambda digits: st.tuples(
            st.just(digits),
            st.integers(-3, digits),
            st.lists(st.one_of(st.none(), st.integers(-(10**digits) + 1, 10**digits - 1)), max_size=8),
        )
    ),
    st.sampled_from([pa.decimal32, pa.decimal64, pa.decimal128, pa.decimal256]),
)
def test_the_double_of_a_decimal_is_the_nearest(drawn, kind):
    digits, scale, unscaled = drawn
    widest = {pa.decimal32: 9, pa.decimal64: 18, pa.decimal128: 38, pa.decimal256: 76}[kind]
    if digits > widest:
        return
    with decimal.localcontext(prec=80):
        values = [None if value is None else decimal.Decimal(value).scaleb(-scale) for value in unscaled]
        try:
            array = pa.array(values, kind(digits, scale))
        except pa.ArrowInvalid:
            reject()  # Arrow multiplies before it divides: the largest 64-bit decimals of a negative scale overflow.
    assert doubles_of(array).to_pylist() == [None if value is None else float(value) for value in values]
    assert doubles_of(array[1:]).to_pylist() == [None if value is None else float(value) for value in values[1:]]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(-(10**18), 10**18).map(float))))
@example([2.0**-52])
def test_the_text_of_a_double_is_its_shortest_decimal(values):
    texts = canonical(pa.chunked_array([pa.array(values, pa.float64())])).to_pylist()
    for value, text in zip(values, texts, strict=True):
        if value is None or math.isnan(value):
            assert text is None
        else:
            # Doubles that may all have been 32-bit floats have the decimals of these.
            assert float(text) == value or float(np.float32(text)) == value
            assert text == numeral(text) or math.isinf(value) or abs(value) < 2**63


def words_of(array):
    return canonical(pa.chunked_array([array])).to_pylist()


def test_one_number_has_one_text():
    for array in (
        pa.array([1, None, -20], pa.int8()),
        pa.array([1, None, -20], pa.float16()),
        pa.array([1, None, -20], pa.float32()),
        pa.array([1.0, None, -20.0]),
        pa.array([decimal.Decimal("1.00"), None, decimal.Decimal(-20)], pa.decimal128(8, 2)),
        pa.array(["1", None, "-20"]),
        pa.array(["1.0", None, "-20.00"], pa.large_string()),
        pa.array(["1.0", None, "-20.0"]).dictionary_encode(),
        pa.array([b"1", None, b"-20.0"]),
        pa.array(["1", None, "-20"], pa.string_view()),
    ):
        assert words_of(array) == ["1", None, "-20"], array.type
    assert words_of(pa.array(["007", "1.10", "1.1", "v1.0", "1.0.0"])) == ["007", "1.10", "1.1", "v1.0", "1.0.0"]


def test_bytes_are_the_text_that_they_are():
    identifier = "0b7e2c6e-9a1f-4a53-8c58-0e9f4f6a1b2c"
    raw = bytes.fromhex(identifier.replace("-", ""))
    for array in (
        pa.array([raw], pa.binary(16)),
        pa.array([raw], pa.uuid()),
        pa.array([identifier.upper()]),
        pa.array([identifier.encode()]),
    ):
        assert words_of(array) == [identifier], array.type
    assert words_of(pa.array([b"K\xc3\xb6ln", b"K\xf6ln", None])) == ["Köln", "0x4bf66c6e", None]


def latin1(*words):
    """Text that is not UTF-8, as some writers of Parquet leave it."""
    data = [word.encode("latin-1") for word in words]
    ends = np.cumsum([0, *map(len, data)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(data), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(data))])


def test_text_that_is_not_utf8_is_read_and_reported():
    column = pa.chunked_array([latin1("Köln", "Bonn", "Köln")])
    profile = profile_categories(column, {"Köln": 0, "Bonn": 1})
    assert profile.counts.tolist() == [2, 1, 0]
    assert profile.kinds == {"text", "not UTF-8"}


@pytest.mark.usefixtures("either_way")
def test_categories_written_in_two_ways_are_counted_together():
    column = pa.chunked_array([pa.array(["1", "1.0", "2"]), pa.array(["1.0", "2.0", None])])
    profile = profile_categories(column, {"1": 0})
    assert (profile.counts.tolist(), profile.others, profile.distinct) == ([3, 2], {"2": 2}, 2)


def test_fractions_are_known_by_their_value_unless_two_spellings_are_known():
    column = pa.chunked_array([pa.array(["1.50", "1.5", "15e-1", "2.5"])])
    assert profile_categories(column, {"1.5": 0}).counts.tolist() == [3, 1]
    assert profile_categories(column, {"1.50": 0}).counts.tolist() == [3, 1]
    assert profile_categories(column, {"1.5": 0, "1.50": 1}).counts.tolist() == [1, 1, 2]


@pytest.mark.parametrize("known", [("true", "false"), ("1", "0"), ("T", "F"), ("False", "True")])
def test_true_and_false_in_every_spelling(known):
    cells = {word: index for index, word in enumerate(known)}
    yes = known.index(next(word for word in known if word[0] in "tT1"))
    for array in (
        pa.array([True, None]),
        pa.array([1.0, None]),
        pa.array(["t", None]),
        pa.array(["TRUE", None]),
        pa.array([1], pa.uint8()),
        pa.array([decimal.Decimal("1.0")]),
    ):
        assert profile_categories(pa.chunked_array([array]), cells).counts[yes] == 1, array.type


def test_allowed_values_are_compared_by_their_canonical_text():
    def disallowed(array, *allowed):
        return profile_categories(pa.chunked_array([array]), {}, frozenset(allowed)).disallowed_rows

    assert disallowed(pa.array([1.0, 2.0]), "1", "2.0") == 0
    assert disallowed(pa.array([True, False]), "0", "1") == 0
    assert disallowed(pa.array([decimal.Decimal("0.50")]), "0.50") == 0
    assert disallowed(pa.array([3.0, 2.0]), "1", "2.0") == 1


def test_text_among_numbers_is_named():
    column = pa.chunked_array([pa.array(["1", "x", "x", "2.5"])])
    profile = profile_numbers(column, np.array([1.0]))
    assert (profile.nulls, profile.present, profile.strays) == (2, 2, {"x": 2})
    assert profile.merged(profile).strays == {"x": 4}


@pytest.mark.parametrize(
    "form",
    [
        lambda value: str(value).upper(),
        lambda value: value.hex,
        lambda value: value.hex.upper(),
        lambda value: f"{{{value}}}",
        lambda value: value.urn,
        lambda value: f" {value} ",
    ],
)
def test_uuids_have_one_text(form):
    assert words_of(pa.array([form(value) for value in UUIDS])) == [str(value) for value in UUIDS]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(16), pa.uuid()], ids=str)
def test_uuids_in_bytes_are_their_text(kind):
    values = [None, *(value.bytes for value in UUIDS)]
    array = pa.array(values, pa.binary(16) if kind == pa.uuid() else kind)
    array = pa.ExtensionArray.from_storage(kind, array) if kind == pa.uuid() else array
    assert words_of(array) == [None, *map(str, UUIDS)]
    assert words_of(array[2:]) == [str(value) for value in UUIDS[1:]]


def test_what_is_no_uuid_stays():
    digits = "12345678901234567890123456789012"
    assert words_of(pa.array([digits, digits])) == [digits, digits]
    text = [b"sixteen letters!", b"and 16 of others"]
    assert words_of(pa.array(text, pa.binary())) == [word.decode() for word in text]
    assert words_of(pa.array(["0" * 31 + "g", "-" * 36])) == ["0" * 31 + "g", "-" * 36]


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("missing", [None, math.nan])
def test_doubles_that_were_narrow_are_the_decimals_that_they_were(missing):
    decimals = [0.1, 0.2, 19.9, 3.0, missing, 0.1]
    wide = pa.array(decimals, pa.float32()).cast(pa.float64())
    assert doubles_of(wide).drop_null().to_pylist()[:3] == [0.1, 0.2, 19.9]
    assert words_of(wide) == ["0.1", "0.2", "19.9", "3", None, "0.1"]
    edges = np.array([0.1, 0.2, 19.9])
    one, other = (profile_numbers(pa.chunked_array([array]), edges) for array in (wide, pa.array(decimals)))
    assert (one.counts.tolist(), one.minimum, one.maximum) == (other.counts.tolist(), other.minimum, other.maximum)


@pytest.mark.parametrize(
    "values", [[0.1, 0.5], [1.0, 2.0**40], [math.pi], [], [math.inf, 1e300], [1e-310, 0.375], [1.8638867139816284, 0.5]]
)
def test_other_doubles_are_what_they_are(values):
    array = pa.array(values, pa.float64())
    assert doubles_of(array) is array


@given(st.lists(st.integers(-(10**6), 10**6), max_size=20), st.integers(0, 4))
def test_narrow_decimals_survive_a_wider_type(values, digits):
    narrow = pa.array([0.1, *(value / 10**digits for value in values)], pa.float32())
    assert doubles_of(narrow.cast(pa.float64())).to_pylist() == doubles_of(narrow).to_pylist()


def test_accents_can_be_written_in_two_ways():
    composed, apart = "K\u00f6ln", "Ko\u0308ln"
    assert words_of(pa.array([composed, apart, "Ulm", None])) == [composed, composed, "Ulm", None]
    assert words_of(pa.array([apart.encode()], pa.binary())) == [composed]
    profile = profile_categories(pa.chunked_array([pa.array([apart, composed])]), {composed: 0})
    assert (profile.counts.tolist()[0], profile.padded) == (2, 0)


def test_blanks_around_text_do_not_count():
    column = pa.chunked_array([pa.array(["a ", "\ta", "a", "\u00a0b", "b c", "b", None])])
    profile = profile_categories(column, {"a": 0, "b": 1})
    assert (profile.counts.tolist(), profile.others, profile.padded) == ([3, 2, 1], {"b c": 1}, 3)
    assert profile.merged(profile).padded == 6
    assert profile_categories(pa.chunked_array([pa.array(["a"])]), {}, frozenset({"a "})).disallowed_rows == 0


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["1.50", "-2", "+3", ".5", "1e3", "inf"], [1.5, -2.0, 3.0, 0.5, 1000.0, math.inf]),
        ([" 1 ", "n.a.", "-", "", "NIL", "#NV", "missing", "2"], [1.0, *[None] * 6, 2.0]),
        (["yes", "No", "ON", "off", "-"], [1.0, 0.0, 1.0, 0.0, None]),
    ],
)
def test_text_that_stands_for_numbers(words, values):
    parsed = text_numbers(canonical(pa.chunked_array([pa.array(words)])).chunk(0))
    assert parsed.values.to_pylist() == values
    assert not any(parsed.strays.to_pylist())
    assert are_numbers([pa.array(words)]) is not parsed.truth


@pytest.mark.parametrize("word", ["007", "x", "1,5", "nope", "1.2.3", "0x10"])
def test_other_text_is_no_number(word):
    parsed = text_numbers(pa.array(["1", word]))
    assert (parsed.values.to_pylist(), parsed.strays.to_pylist()) == ([1.0, None], [False, True])


def test_numbers_as_text_are_counted_as_numbers(either_way):
    numbers = pa.chunked_array([pa.array([1.5, None, 2.5, 2.5])])
    text = pa.chunked_array([pa.array(["1.5", "-", "2.5", "2.50"])])
    profiles = [profile_numbers(column, np.array([2.0])) for column in (numbers, text)]
    assert profiles[0].counts.tolist() == profiles[1].counts.tolist() == [1, 2]
    assert (profiles[1].missing, profiles[1].mean) == (1, profiles[0].mean)
    assert profiles[1].kinds == {"number", AS_TEXT, *missing_as(["-"])}
