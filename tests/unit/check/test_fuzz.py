"""Any input ends in a verdict or a sentence: random Parquet, CSV and JSON Lines through the command line.

The suite tries some dozen inputs. ``make fuzz`` tries new ones for an hour; hypothesis keeps what failed.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import decimal
import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelmonitor_trainer.cli.main import main

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
VERDICTS = {"NoDrift", "Drift", "Corrupted", "Inconclusive"}

NAMES = st.one_of(
    st.just("x"),
    st.sampled_from(["x", "y", "id", " a ", "date", "Unnamed: 0", "__index_level_0__", "", "é", "a,b", 'q"q', "x\ny"]),
    st.text(max_size=5),
)
INTEGERS = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
FLOATS = st.one_of(st.sampled_from([0.0, 1.0, 0.1, -999.0, 1e300, 5e-324, float("nan"), float("inf")]), st.floats())
TEXTS = st.one_of(
    st.sampled_from(
        ["", "NA", "1", "1.0", "007", "1,5", "1.234,5", "$5", "12 %", "True", "f", "2024-01-31", "\x00", "é"]
    ),
    st.text(max_size=6),
)
TIMES = st.datetimes(dt.datetime.fromisoformat("1700-01-01"), dt.datetime.fromisoformat("2200-01-01"))
DECIMALS = st.decimals(-99999, 99999, places=2, allow_nan=False)
#: Arrow type → values of it.
COLUMNS = [
    (pa.null(), st.none()),
    (pa.bool_(), st.booleans()),
    (pa.int8(), st.integers(-128, 127)),
    (pa.int64(), INTEGERS),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float16(), st.floats(width=16).map(np.float16)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), FLOATS),
    (pa.decimal32(9, 2), DECIMALS),
    (pa.decimal128(9, 2), DECIMALS),
    (pa.decimal256(60, 2), DECIMALS),
    (pa.decimal128(38, 0), st.integers(-(10**37), 10**37).map(decimal.Decimal)),
    (pa.string(), TEXTS),
    (pa.large_string(), TEXTS),
    (pa.string_view(), TEXTS),
    (pa.binary(), st.one_of(st.binary(max_size=4), TEXTS.map(str.encode))),
    (pa.binary_view(), st.binary(max_size=4)),
    (pa.binary(16), st.binary(min_size=16, max_size=16)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.uuid(), st.uuids().map(lambda value: value.bytes)),
    (pa.date32(), TIMES.map(dt.datetime.date)),
    (pa.date64(), TIMES.map(dt.datetime.date)),
    (pa.timestamp("ms"), TIMES),
    (pa.timestamp("ns", "UTC"), TIMES),
    (pa.time32("s"), st.times().map(lambda value: value.replace(microsecond=0))),
    (pa.time64("us"), st.times()),
    (pa.duration("us"), st.timedeltas(dt.timedelta(-999), dt.timedelta(999))),
    (pa.list_(pa.int32()), st.lists(st.integers(0, 3), max_size=2)),
    (pa.struct([("a", pa.int32())]), st.fixed_dictionaries({"a": st.integers(0, 3)})),
    (
        pa.map_(pa.string(), pa.int32()),
        st.dictionaries(TEXTS, st.integers(0, 3), max_size=2).map(lambda d: [*d.items()]),
    ),
]
DICTIONARIES = [pa.string(), pa.int64(), pa.float64(), pa.date32(), pa.bool_(), pa.binary()]


@st.composite
def arrays(draw, rows):
    """Return a column of any type: few distinct values, repeated."""
    kind, values = draw(st.sampled_from(COLUMNS))
    some = draw(st.lists(st.one_of(st.none(), values), min_size=1, max_size=6))
    array = pa.array([some[index % len(some)] for index in range(rows)], kind)
    if kind in DICTIONARIES and draw(st.booleans()):
        array = array.dictionary_encode()
    if pa.types.is_string(array.type) and draw(st.integers(0, 5)) == 0:
        # Text that is not UTF-8, as some writers leave it.
        return pa.Array.from_buffers(pa.string(), rows, pa.array([b"K\xf6ln"] * rows, pa.binary()).buffers())
    return array


@st.composite
def headers(draw, most=4):
    """Return names of columns: nearly always different ones, with a column that can be compared among them."""
    rare = draw(st.integers(0, 15)) == 0
    names = draw(st.lists(NAMES, min_size=1, max_size=most, unique=not rare))
    return names if rare else ["sure", *(name for name in names if name.strip() != "sure")]


@st.composite
def tables(draw):
    """Return an Arrow table of any types."""
    rows = draw(st.sampled_from([40, 300, 40, 300, 0, 1, 2]))
    names = draw(headers())
    columns = [draw(arrays(rows)) for _ in names]
    if names[0] == "sure":
        columns[0] = pa.array(np.arange(rows) % 7)
    return pa.table(columns, names=names)


CELLS = st.one_of(
    TEXTS,
    FLOATS.map(str),
    INTEGERS.map(str),
    st.sampled_from(["1,234", "1.234", "€ 1", "1'000", "1 000,5", "(5)", "-", "?", "2024-01-31 10:00:00", "12:30:00"]),
)


#: Values of one column.
CELL_COLUMNS = [
    ["1", "2", ""],
    ["1.5", "NA", "-2"],
    ["1,5", "2,25", "1.234,5"],
    ["1,234", "5,678", ""],
    ["$1,234.50", "$7", "N/A"],
    ["12 %", "7.5 %", ""],
    ["true", "false", ""],
    ["2024-01-31", "2024-02-29", ""],
    ["2024-01-31 10:00:00", "", "2024-01-31 11:00:00"],
    ["Köln", "Ulm", "n/a"],
    ["(5)", "5", "7"],
    ["007", "8", "9"],
]


@st.composite
def csvs(draw):
    """Return CSV or what is taken for it."""
    if draw(st.integers(0, 15)) == 0:
        return draw(st.binary(max_size=200))
    separator = draw(st.sampled_from([*",,,;;\t|: ", "\x01"]))
    header = draw(headers(3))
    columns = [draw(st.one_of(CELLS, st.sampled_from(CELL_COLUMNS).flatmap(st.sampled_from))) for _ in header]
    kinds = [draw(st.sampled_from(CELL_COLUMNS)) for _ in columns]
    some = [[draw(st.sampled_from([*kind, cell])) for kind, cell in zip(kinds, columns, strict=True)] for _ in range(5)]
    if draw(st.integers(0, 9)) == 0:
        some.append(draw(st.lists(CELLS, max_size=6)))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, None]))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    rows = [header, *some * draw(st.sampled_from([60, 60, 1, 0]))]
    buffer = io.StringIO()
    if quoting is None:
        buffer.write(end.join(separator.join(row) for row in rows))
    else:
        csv.writer(buffer, delimiter=separator, quoting=quoting, lineterminator=end, escapechar="\\").writerows(rows)
    encodings = ["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252", "cp1251", "shift_jis", "utf-16-le"]
    return buffer.getvalue().encode(draw(st.sampled_from(encodings)), errors="replace")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)


#: Values of one column.
JSON_COLUMNS = [
    st.booleans(),
    INTEGERS,
    st.floats(allow_nan=False, allow_infinity=False),
    st.one_of(st.integers(0, 5), st.floats(0, 5)),
    TEXTS,
    TIMES.map(str),
    st.none(),
    st.lists(st.integers(0, 3), max_size=2),
    st.fixed_dictionaries({"a": st.integers(0, 3)}),
    JSON,
]


@st.composite
def json_lines(draw):
    """Return JSON Lines or what is taken for them."""
    if draw(st.integers(0, 15)) == 0:
        return draw(st.one_of(st.binary(max_size=100), JSON.map(lambda value: json.dumps(value).encode())))
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(JSON_COLUMNS), min_size=1, max_size=4)) | {"sure": INTEGERS}
    rows = [{name: draw(st.one_of(values, st.none())) for name, values in kinds.items()} for _ in range(4)]
    if draw(st.integers(0, 7)) == 0:
        rows.append(draw(st.dictionaries(NAMES, JSON, max_size=4)))
    return "".join(json.dumps(row) + "\n" for row in rows * draw(st.sampled_from([1, 60]))).encode()


@st.composite
def files(draw):
    """Return suffix and content of a file."""
    kind = draw(st.sampled_from([".parquet", ".csv", ".jsonl", ".json"]))
    if kind != ".parquet":
        return kind, draw(csvs() if kind == ".csv" else json_lines())
    buffer = io.BytesIO()
    pq.write_table(draw(tables()), buffer, row_group_size=draw(st.sampled_from([7, 1000])))
    data = buffer.getvalue()
    if draw(st.integers(0, 30)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
    return kind, data


@st.composite
def inputs(draw):
    """Return the files of both sides; often the same ones on both, so that there is something to compare."""
    reference = draw(st.lists(files(), min_size=1, max_size=3))
    current = reference if draw(st.booleans()) else draw(st.lists(files(), min_size=1, max_size=2))
    return reference, current


def check(folder: Path, sides, more) -> tuple[int, str, str]:
    """Run a check on the command line."""
    for name, contents in zip(("reference", "current"), sides, strict=True):
        (folder / name).mkdir()
        for number, (suffix, data) in enumerate(contents):
            (folder / name / f"{number}{suffix}").write_bytes(data)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        args = ["check", "--reference", f"{folder}/reference", "--current", f"{folder}/current", "--output", "json"]
        code = main([*args, *more])
    return code, out.getvalue(), err.getvalue()


OPTIONS = st.sampled_from(
    [
        [],
        [],
        ["--target", "sure"],
        ["--target", "x"],
        ["--target", "sure", "--prediction", "x"],
        ["--target", "x", "--prediction", "sure"],
        ["--target", "sure", "--ablation"],
        ["--target", "x", "--ablation"],
        ["--correlations"],
        ["--ignore", "x"],
        ["--columns", "sure,x"],
        ["--type", "sure=Categorical"],
        ["--type", "x=Categorical"],
        ["--type", "x=Numeric"],
        ["--null-values", "?,-"],
        ["--decimal", ","],
        ["--encoding", "cp1252"],
        ["--separator", ";"],
    ]
)


@settings(
    deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(inputs(), OPTIONS, st.booleans())
def test_any_input_ends_in_a_verdict_or_a_sentence(tmp_path_factory, sides, more, page):
    folder = tmp_path_factory.mktemp("fuzz")
    if page:
        more = [*more, "--html", f"{folder}/page.html"]
    code, out, err = check(folder, sides, more)
    if code == 0:
        assert json.loads(out)["verdict"] in VERDICTS
    else:
        assert code == 2, err
        assert out == ""
        assert err.startswith("modelmonitor: ")
        assert err.rstrip("\n").count("\n") == 0, err
