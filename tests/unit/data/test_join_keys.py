"""Join keys: rows and labels meet whatever types they were written with."""

import datetime as dt
import decimal
import uuid

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmonitor_trainer.data.join_keys import BadJoinKey, KeyReader, meet
from modelmonitor_trainer.errors import BadData


def column(values, kind=None):
    array = values if isinstance(values, pa.Array) else pa.array(values, kind)
    return pa.chunked_array([array])


def met(left, right):
    readers = KeyReader("id"), KeyReader("id")
    sides = [reader(side) for reader, side in zip(readers, (left, right), strict=True)]
    return [side.to_pylist() for side in meet(sides[0], sides[1], readers[0].kinds | readers[1].kinds)]


INTEGERS = {
    "int64": lambda n: column(n, pa.int64()),
    "int32": lambda n: column(n, pa.int32()),
    "uint32": lambda n: column(n, pa.uint32()),
    "float64": lambda n: column([float(v) for v in n], pa.float64()),
    "decimal": lambda n: column([decimal.Decimal(v) for v in n], pa.decimal128(20, 4)),
    "decimal of hundreds": lambda n: column([decimal.Decimal(v) * 100 for v in n], pa.decimal128(20, -2)),
    "text": lambda n: column([str(v) for v in n]),
    "large text": lambda n: column([str(v) for v in n], pa.large_string()),
    "text view": lambda n: column([str(v) for v in n], pa.string_view()),
    "text of floats": lambda n: column([f"{v}.0" for v in n]),
    "padded text": lambda n: column([f"{v:08} " for v in n]),
    "bytes": lambda n: column([str(v).encode() for v in n], pa.binary()),
    "fixed bytes": lambda n: column([str(v).encode().ljust(12, b"\0") for v in n], pa.binary(12)),
    "dictionary of text": lambda n: column([str(v) for v in n]).dictionary_encode(),
    "dictionary of integers": lambda n: column(n, pa.int64()).dictionary_encode(),
    "runs": lambda n: column(pa.compute.run_end_encode(pa.array(n, pa.int64()))),
}


def hundreds(make):
    """Return a maker of the same numbers from hundredths of them."""
    return lambda numbers: make([value // 100 for value in numbers])


#: Text with zeros in front is a number only if the other side has numbers.
PADDED = {"padded text"}
NUMBERS = {name for name in INTEGERS if "int" in name or "decimal" in name or name in {"float64", "runs"}}


@pytest.mark.parametrize("left", INTEGERS)
@pytest.mark.parametrize("right", INTEGERS)
def test_the_same_integers_meet(left, right):
    numbers = [0, 7, 100, 2**24 - 1]
    if "hundreds" in left or "hundreds" in right:
        numbers = [0, 100, 700]
        make = {name: hundreds(f) if "hundreds" in name else f for name, f in INTEGERS.items()}
    else:
        make = INTEGERS
    first, second = met(make[left](numbers), make[right](numbers))
    if (left in PADDED) != (right in PADDED) and not {left, right} & NUMBERS:
        assert first != second  # "007" and "7" are two texts
    else:
        assert first == second
        assert len(set(first)) == len(numbers)


UUIDS = [uuid.UUID(int=v) for v in (2**100 + 5, 2**127 + 77, 3, 0)] + [
    uuid.uuid5(uuid.NAMESPACE_URL, str(v)) for v in range(300)
]
SPELLINGS = {
    "fixed bytes": lambda ids: column([v.bytes for v in ids], pa.binary(16)),
    "bytes": lambda ids: column([v.bytes for v in ids], pa.binary()),
    "large bytes": lambda ids: column([v.bytes for v in ids], pa.large_binary()),
    "uuid": lambda ids: column(pa.array([v.bytes for v in ids], pa.uuid())),
    "text": lambda ids: column([str(v) for v in ids]),
    "capitals": lambda ids: column([str(v).upper() for v in ids]),
    "hex": lambda ids: column([v.hex for v in ids]),
    "braces": lambda ids: column([f"{{{v}}}" for v in ids]),
    "urn": lambda ids: column([v.urn for v in ids]),
    "dictionary": lambda ids: column([v.bytes for v in ids], pa.binary(16)).dictionary_encode(),
}


@pytest.mark.parametrize("left", SPELLINGS)
@pytest.mark.parametrize("right", SPELLINGS)
def test_uuids_meet_as_bytes_and_text(left, right):
    first, second = met(SPELLINGS[left](UUIDS), SPELLINGS[right](UUIDS))
    assert first == second
    assert len(set(first)) == len(UUIDS)


@pytest.mark.parametrize("prefix", ["0x", "\\x", ""])
def test_bytes_meet_their_hexadecimal_digits(prefix):
    raw = [bytes([255, number, 7]) for number in range(40)]
    first, second = met(column(raw, pa.binary(3)), column([prefix + value.hex() for value in raw]))
    assert first == second


def test_times_meet_in_any_unit_zone_and_text():
    times = [dt.datetime(2024, 3, 1, 12, 30, second, tzinfo=dt.UTC) for second in range(3)]
    times.append(dt.datetime(2024, 3, 2, tzinfo=dt.UTC))
    kinds = [pa.timestamp("s", "UTC"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("ns", "UTC")]
    columns = [column(times, kind) for kind in kinds]
    columns.append(column([time.replace(tzinfo=None) for time in times], pa.timestamp("ms")))
    columns.append(column([time.isoformat() for time in times]))
    columns.append(column([time.strftime("%Y-%m-%d %H:%M:%SZ") for time in times]))
    for other in columns[1:]:
        first, second = met(columns[0], other)
        assert first == second
    first, second = met(column([dt.date(2024, 3, 2)], pa.date32()), column(times[-1:], pa.timestamp("us")))
    assert first == second == ["2024-03-02"]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_fractions_meet_as_their_shortest_decimals(kind):
    written = column(np.array([0.5, 1.25, -2.0, np.nan, np.inf], kind.to_pandas_dtype()), kind)
    assert met(written, column(["0.50", "1.25", "-2", "x", "y"]))[0] == ["0.5", "1.25", "-2", None, None]
    if kind != pa.float16():
        assert met(column(np.array([0.1], kind.to_pandas_dtype()), kind), column(["1e-1"])) == [["0.1"], ["0.1"]]


def test_what_is_missing_meets_nothing():
    assert met(column([None, "", "  "]), column([None, None, None], pa.null())) == [[None] * 3] * 2
    assert met(column([None, b"a"], pa.binary(1)), column([None, 1.0])) == [[None, "a"], [None, "1"]]


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([[1]], pa.list_(pa.int64()), r"'id' is list<.*cannot identify rows; name a column"),
        ([{"a": 1}], pa.struct([("a", pa.int64())]), r"'id' is struct<a: int64>"),
        ([dt.timedelta(1)], pa.duration("s"), r"'id' is duration"),
    ],
)
def test_a_type_that_cannot_be_a_key_is_refused_by_name(values, kind, message):
    with pytest.raises(BadJoinKey, match=message):
        KeyReader("id")(column(values, kind))


@pytest.mark.parametrize(("value", "kind"), [(2.0**53, pa.float64()), (2.0**24, pa.float32())])
def test_floats_that_have_lost_digits_are_refused(value, kind):
    with pytest.raises(BadData, match="last digits are lost; write it as int64"):
        KeyReader("id")(column([value, 1.0], kind))


def test_slices_of_fixed_bytes_keep_their_places():
    array = pa.array([v.bytes for v in UUIDS], pa.binary(16)).slice(100, 7)
    assert KeyReader("id")(column(array)).to_pylist() == [v.hex for v in UUIDS[100:107]]


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), texts, st.binary(max_size=16).map(bytes.hex)), max_size=20))
def test_any_text_meets_itself(values):
    for make in (lambda v: column(v, pa.string()), lambda v: column(v, pa.large_string()).dictionary_encode()):
        for other in (column([1, 2]), column([b"\xff"]), column([dt.date(2024, 1, 1)]), column(["a"])):
            (first, _), (second, _) = met(make(values), other), met(column(values, pa.string()), other)
            assert first == second
            assert [key is None for key in first] == [value is None or not value.strip() for value in values]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(2**53) + 1, 2**53 - 1)), max_size=20))
def test_any_integers_meet_as_floats(values):
    first, second = met(column(values, pa.int64()), column(values, pa.float64()))
    assert first == second == [None if value is None else str(value) for value in values]


def test_accents_of_keys_can_be_written_in_two_ways():
    left, right = met(column(["K\u00f6ln", "Ulm"]), column(["Ko\u0308ln", "Ulm"]))
    assert left == right
