"""CSV and JSON Lines read block by block have the same columns as objects read as a whole."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data import json_blocks, text_blocks
from modelmonitor_trainer.data.tables import Unreadable, scan
from modelmonitor_trainer.data.text_numbers import NULL_WORDS
from modelmonitor_trainer.storage.open import open_store

CELLS = st.sampled_from(
    ["", "1", "-7", "2.5", "true", "x", "NA", "2024-01-31", "2024-01-31 10:00:00", "12:30:00", "nan"]
)


def read(path, columns=None, fmt=DataFormat.CSV, **options):
    store = open_store(None)
    with scan(store, store.list(f"file://{path}")[0], columns, fmt, **options) as opened:
        parts: dict[str, list[pa.Array]] = {}
        for name, values in opened.chunks:
            parts.setdefault(name, []).extend(
                chunk.dictionary_decode() if pa.types.is_dictionary(chunk.type) else chunk for chunk in values.chunks
            )
        return dict(opened.types), opened.rows, {n: pa.chunked_array(p).to_pylist() for n, p in parts.items()}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=25))
def test_csv_in_blocks_is_csv_as_a_whole(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("csv")
    lines = ["a,b,c,pad", *(",".join([*row, "p" * 40]) for row in rows)]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    whole = pyarrow.csv.read_csv(
        folder / "t.csv",
        convert_options=pyarrow.csv.ConvertOptions(
            null_values=list(NULL_WORDS), strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "BLOCK_BYTES", 128)
        types, count, columns = read(folder / "t.csv")
    assert count == whole.num_rows == len(rows)
    assert types == {field.name: field.type for field in whole.schema}
    assert str(columns) == str({name: whole.column(name).to_pylist() for name in whole.column_names})


def test_a_fraction_after_many_integers_changes_the_type(tmp_path, monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 1000)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,007\n" * 1000 + b"1.5,008\n"))
    types, rows, columns = read(tmp_path / "t.csv.gz", ["b", "a", "none"], text=["b"])
    assert (types, rows) == ({"b": pa.string(), "a": pa.float64()}, 1001)
    assert (columns["a"][-1], columns["b"][0], len(columns["b"])) == (1.5, "007", 1001)
    _, rows, columns = read(tmp_path / "t.csv.gz", ["a"], head=5)
    assert columns == {"a": [1] * 5}


@pytest.mark.parametrize("last", [{"a": 1.5}, {"a": 2}, {"a": None}, {"c": 3}, {"a": 2, "b": None}])
def test_json_lines_in_blocks(tmp_path, monkeypatch, last):
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 1000)
    rows = [{"a": 1, "b": "x"}] * 300 + [last]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, count, columns = read(tmp_path / "t.jsonl", ["a", "b", "c"], DataFormat.JSON_LINES)
    assert count == 301
    assert columns["a"] == [row.get("a") for row in rows]
    assert columns["b"] == [row.get("b") for row in rows]
    assert ("c" in columns) == ("c" in last)


def test_json_lines_with_changing_fields_too_large_to_read_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(json_blocks, "WHOLE_BYTES", 2000)
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n' * 1000 + '{"c": 1}\n')
    with pytest.raises(Unreadable, match="fields change after the first rows"):
        read(tmp_path / "t.jsonl", fmt=DataFormat.JSON_LINES)


@pytest.mark.parametrize("block", [1000, 10_000_000])
def test_scalars_of_several_types_are_text(tmp_path, monkeypatch, block):
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", block)
    values = [*["5"] * 400, 5, 1.5, True, None, "x"]
    rows = [{"a": value, "b": index, "c": 1 if index % 2 else "1"} for index, value in enumerate(values)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    types, count, columns = read(tmp_path / "t.jsonl", ["a", "b", "c"], DataFormat.JSON_LINES)
    assert (types["a"], types["b"], types["c"], count) == (pa.string(), pa.int64(), pa.string(), len(values))
    assert columns["a"][-5:] == ["5", "1.5", "true", None, "x"]
    assert {*columns["c"]} == {"1"}


@pytest.mark.parametrize("other", [{"p": 1}, [1]])
def test_objects_and_scalars_in_one_field_are_refused_with_its_name(tmp_path, other):
    (tmp_path / "t.jsonl").write_text(json.dumps({"a": 1}) + "\n" + json.dumps({"a": other}) + "\n")
    with pytest.raises(Unreadable, match="the type of 'a' is number in some rows and "):
        read(tmp_path / "t.jsonl", fmt=DataFormat.JSON_LINES)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl"])
def test_progress_of_reading(tmp_path, monkeypatch, name):
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 10_000)
    numbers = np.random.default_rng(0).normal(size=100_000)
    lines = [json.dumps({"a": number}) if name == "t.jsonl" else repr(number) for number in numbers.tolist()]
    data = "\n".join(["a", *lines] if name.startswith("t.csv") else lines).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    size = (tmp_path / name).stat().st_size
    reported: list[int] = []
    read(
        tmp_path / name, ["a"], DataFormat.JSON_LINES if name == "t.jsonl" else DataFormat.CSV, progress=reported.append
    )
    passes = len(reported) // 2
    assert 0 < reported[0] < size / 4, "Arrow may be some blocks ahead"
    assert reported[passes - 1] == size // 2 < reported[passes] < 3 * size / 4
    assert reported[-1] == size


def test_memory_is_bounded_by_a_block(tmp_path):
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 25_000_000, 1))
    before, peak = pa.total_allocated_bytes(), 0
    store = open_store(None)
    with scan(store, store.list(f"file://{tmp_path}/")[0], ["a"], DataFormat.CSV) as opened:
        for _, _values in opened.chunks:
            peak = max(peak, pa.total_allocated_bytes() - before)
        assert opened.rows == 25_000_000
    assert peak < 130 * 1024 * 1024  # a whole table takes 200 MB for each of its columns


@given(
    st.lists(st.sampled_from([b'{"a": 1}', b'{"a": null}', b"", b"  ", b'{"b": "x\\n{"}']), max_size=30), st.booleans()
)
def test_blocks_of_json_lines_are_whole_lines(tmp_path_factory, lines, ends):
    data = b"\n".join(lines) + b"\n" * ends
    path = tmp_path_factory.mktemp("blocks") / "t.jsonl"
    path.write_bytes(data)
    source = text_blocks.TextSource(lambda: path.open("rb"), gzipped=False, size=len(data), progress=lambda _read: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "BLOCK_BYTES", 20)
        blocks = list(json_blocks.blocks_of(source))
    assert [line for block in blocks for line in block.split(b"\n") if line.strip()] == [x for x in lines if x.strip()]
    assert all(block.strip() for block in blocks)
    assert all(block.endswith(b"\n") for block in blocks[:-1])


def test_a_line_longer_than_a_block_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 1 << 20)
    (tmp_path / "t.jsonl").write_text(json.dumps({"a": "x" * (3 << 20)}) + "\n")
    with pytest.raises(Unreadable, match="a line is longer than 1 MiB"):
        read(tmp_path / "t.jsonl", fmt=DataFormat.JSON_LINES)


@pytest.mark.parametrize("start", ["null\n", "\ufeffnull\n", " \n null\nnull\n", "null "])
def test_a_first_row_that_is_null_has_no_values(tmp_path, start):
    """Arrow crashes Python on it."""
    (tmp_path / "t.jsonl").write_text(start + '{"a": 1}\nnull\n{"a": 2}\n')
    _, rows, columns = read(tmp_path / "t.jsonl", fmt=DataFormat.JSON_LINES)
    assert rows == 3 + start.count("null")
    assert [value for value in columns["a"] if value is not None] == [1, 2]


@pytest.mark.parametrize("last", ['{"a": 3}', '{"a": 1, "b": 2}', '{"a": "x"}'])
def test_rows_that_are_null_can_be_anywhere(tmp_path, monkeypatch, last):
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 100)
    (tmp_path / "t.jsonl").write_text(('{"a": 1}\n' + "null\n" * 30) * 20 + last + "\n")
    if '"x"' in last:
        with pytest.raises(Unreadable, match="cannot be read as JSONLines"):
            read(tmp_path / "t.jsonl", fmt=DataFormat.JSON_LINES)
        return
    _, rows, columns = read(tmp_path / "t.jsonl", fmt=DataFormat.JSON_LINES)
    assert (rows, sum(value is not None for value in columns["a"])) == (20 * 31 + 1, 21)


def test_only_null(tmp_path):
    (tmp_path / "t.jsonl").write_text("null")
    assert read(tmp_path / "t.jsonl", fmt=DataFormat.JSON_LINES) == ({}, 1, {})
