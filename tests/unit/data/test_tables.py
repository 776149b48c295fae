"""Objects as Arrow tables: pinned, reconciled, and named when they cannot be read."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.tables import MissingColumn, Unreadable, read_table, scan
from modelmonitor_trainer.errors import BadData, ObjectChanged
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store

PARQUET, CSV, JSONL = DataFormat.PARQUET, DataFormat.CSV, DataFormat.JSON_LINES


@pytest.fixture
def put(tmp_path):
    """Write objects in the order given, and return the store and their listing."""
    store = open_store(None)

    def write(*contents, suffix=".parquet"):
        for number, content in enumerate(contents):
            data = content
            if isinstance(content, dict | pa.Table):
                buffer = pa.BufferOutputStream()
                pq.write_table(pa.table(content), buffer, row_group_size=2)
                data = buffer.getvalue().to_pybytes()
            store.write(f"{uri_of(tmp_path)}/{number}{suffix}", data)
        return store, store.list(f"{uri_of(tmp_path)}/")

    return write


def test_columns_have_the_requested_order_and_rows_that_of_the_objects(put):
    store, objects = put({"a": [1, 2, 3], "b": ["x", None, "y"]}, {"b": ["z"], "a": [4]})
    table = read_table(store, objects, ["b", "a"], PARQUET)
    assert table.column_names == ["b", "a"]
    assert table.to_pydict() == {"b": ["x", None, "y", "z"], "a": [1, 2, 3, 4]}


def test_compatible_types_are_reconciled(put):
    store, objects = put(
        {"a": pa.array([1, 2]), "d": pa.array(["x", "y"]).dictionary_encode()},
        {"a": pa.array([0.5]), "d": ["z"]},
        {"a": pa.nulls(1), "d": pa.nulls(1)},
    )
    table = read_table(store, objects, ["a", "d"], PARQUET)
    assert table.to_pydict() == {"a": [1.0, 2.0, 0.5, None], "d": ["x", "y", "z", None]}


def test_incompatible_types_are_named(put):
    store, objects = put({"a": [1]}, {"a": ["one"]})
    with pytest.raises(BadData, match=r"1\.parquet: column 'a' is string, and int64 in earlier objects"):
        read_table(store, objects, ["a"], PARQUET)


def test_numbers_in_text_meet_numbers(put):
    """Checks count them as numbers, so a day that is written as text must not end a training."""
    store, objects = put({"a": [1, 2]}, {"a": ["3", "4.5", None]}, {"a": [0.5]})
    for listed in (objects, objects[::-1], objects[1:]):
        values = read_table(store, listed, ["a"], PARQUET).column("a").to_pylist()
        assert values.count(None) == 1
        assert {3.0, 4.5, 0.5} <= set(values)


def test_a_missing_column_is_named_with_its_object(put):
    store, objects = put({"a": [1], "b": [1]}, {"a": [1]})
    with pytest.raises(MissingColumn, match=r"1\.parquet has no column 'b'; it has 'a'") as raised:
        read_table(store, objects, ["a", "b"], PARQUET)
    assert (raised.value.uri, raised.value.column) == (objects[1].uri, "b")


@pytest.mark.parametrize("damage", ["empty", "truncated", "noise", "page"])
def test_damaged_parquet_is_named(put, damage):
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": list(range(50_000))}), buffer, compression="zstd")
    good = buffer.getvalue().to_pybytes()
    bad = {"empty": b"", "truncated": good[:-20], "noise": b"PAR1" + b"\x07" * 500 + b"PAR1"}.get(damage)
    if bad is None:
        bad = good[:4] + b"\xff" * 3000 + good[3004:]
    store, objects = put({"a": [1]}, bad)
    with pytest.raises(Unreadable, match=r"1\.parquet cannot be read as Parquet"):
        read_table(store, objects, ["a"], PARQUET)
    with pytest.raises(Unreadable), scan(store, objects[1], ["a"], PARQUET) as opened:
        list(opened.chunks)


def test_a_replaced_object_is_rejected(put):
    store, objects = put({"a": [1]})
    store.write(objects[0].uri, b"other")
    with pytest.raises(ObjectChanged):
        read_table(store, objects, ["a"], PARQUET)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_csv(put, suffix):
    text = b'id,name,x\n007,"NA",1\n008,NA,\n009,,2.5\n'
    store, objects = put(gzip.compress(text) if suffix.endswith("gz") else text, suffix=suffix)
    table = read_table(store, objects, ["id", "name", "x"], CSV, text=["id", "name"])
    assert table.to_pydict() == {"id": ["007", "008", "009"], "name": ["NA", None, None], "x": [1.0, None, 2.5]}


def test_csv_types_are_inferred_from_all_rows(put):
    rows = "\n".join(["1"] * 700_000 + ["0.5"])
    store, objects = put(f"x\n{rows}\n".encode(), suffix=".csv")
    assert read_table(store, objects, ["x"], CSV).column("x").type == pa.float64()


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_json_lines(put, suffix):
    text = b'{"a": 1, "b": "x"}\n{"a": 2.5}\n'
    store, objects = put(gzip.compress(text) if suffix.endswith("gz") else text, suffix=suffix)
    assert read_table(store, objects, ["b", "a"], JSONL).to_pydict() == {"b": ["x", None], "a": [1.0, 2.5]}


@pytest.mark.parametrize(("fmt", "text"), [(CSV, b"a,b\n1\n"), (JSONL, b'{"a": 1')])
def test_damaged_text_is_named(put, fmt, text):
    store, objects = put(text, suffix=".txt")
    with pytest.raises(Unreadable, match=rf"0\.txt cannot be read as {fmt.value}"):
        read_table(store, objects, ["a"], fmt)


@pytest.mark.parametrize("fmt", [CSV, JSONL])
def test_an_object_without_text_has_no_rows(put, fmt):
    store, objects = put(b"\n", suffix=".txt")
    table = read_table(store, objects, ["a"], fmt)
    assert (table.column_names, table.num_rows) == (["a"], 0)


def test_no_objects_have_no_rows(put):
    store, _ = put()
    table = read_table(store, [], ["a"], PARQUET)
    assert (table.column_names, table.num_rows) == (["a"], 0)


def test_a_scan_reads_row_groups_with_strings_as_dictionaries(put):
    store, objects = put({"a": [1, 2, 3], "b": ["x", "y", "x"]})
    with scan(store, objects[0], ["b", "a", "nowhere"], PARQUET) as opened:
        chunks = [(name, len(column)) for name, column in opened.chunks]
        assert opened.rows == 3
        assert set(opened.types) == {"a", "b"}
    assert chunks == [("b", 2), ("a", 2), ("b", 1), ("a", 1)]


def test_columns_with_strange_names(put):
    name = 'a.b "<c>" \u202e'
    store, objects = put({name: [1.0, None, 2.0], "a": [1, 2, 3]})
    assert read_table(store, objects, [name], PARQUET).to_pydict() == {name: [1.0, None, 2.0]}
    with scan(store, objects[0], [name], PARQUET) as opened:
        assert sum(len(column) for _, column in opened.chunks) == 3


def test_a_damaged_page_is_not_taken_for_values(tmp_path):
    path = tmp_path / "damaged.parquet"
    values = np.random.default_rng(0).normal(size=20_000)
    pq.write_table(pa.table({"x": values}), path, compression="none", use_dictionary=False, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    data[80_000] ^= 0xFF
    path.write_bytes(data)
    store = open_store(None)
    [info] = store.list(uri_of(path))
    with (
        pytest.raises(Unreadable, match=r"damaged\.parquet") as raised,
        scan(store, info, ["x"], DataFormat.PARQUET) as opened,
    ):
        list(opened.chunks)
    assert ".." not in str(raised.value)
