"""Columns of ``key=value`` folders read like columns of the object, in every format."""

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.column_names import columns_of
from modelmonitor_trainer.data.formats import format_of_object
from modelmonitor_trainer.data.tables import MissingColumn, read_table, scan
from modelmonitor_trainer.storage.open import open_store

ROWS = 5
FORMATS = {"parquet": DataFormat.PARQUET, "csv": DataFormat.CSV, "jsonl": DataFormat.JSON_LINES}


def write(path, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(pa.table(columns), path)
    else:
        rows = pa.table(columns).to_pylist()
        path.write_text("".join(f"{row}\n".replace("'", '"').replace("None", "null") for row in rows))


@pytest.fixture(params=FORMATS)
def lake(request, tmp_path):
    """Writes objects of a format and returns them as listed."""

    def put(*named, format_=request.param):
        for name, columns in named:
            write(tmp_path / f"{name}.{format_}", columns)
        return open_store(None), open_store(None).list(f"file://{tmp_path}/"), FORMATS[format_]

    return put


PATH = "region=eu/store=17/empty=__HIVE_DEFAULT_PARTITION__/part"


def test_a_scan_returns_the_columns_of_the_path(lake):
    store, (info,), fmt = lake((PATH, {"x": [1.0] * ROWS}))
    with scan(store, info, ["store", "x", "region", "empty", "other"], fmt, text=["region", "empty"]) as opened:
        columns = {name: values.combine_chunks() for name, values in opened.chunks}
        assert opened.rows == ROWS
        assert opened.types.keys() >= {"store", "x", "region", "empty"}
    assert columns.keys() == {"store", "x", "region", "empty"}
    assert columns["region"].to_pylist() == ["eu"] * ROWS
    assert columns["store"].to_pylist() == [17.0] * ROWS
    assert columns["empty"].null_count == ROWS


def test_a_table_has_the_columns_of_the_path(lake):
    store, objects, fmt = lake(
        ("region=eu/a", {"x": [1.0] * ROWS}), ("region=us/b", {"x": [2.0] * 2}), ("region=us/c", {"region": ["in"]})
    )
    table = read_table(store, objects[:2], ["region", "x"], fmt, text=["region"])
    assert table["region"].to_pylist() == ["eu"] * ROWS + ["us"] * 2
    assert read_table(store, objects[2:], ["region"], fmt)["region"].to_pylist() == ["in"], "a column goes first"
    assert read_table(store, objects[:2], ["region"], fmt).num_rows == ROWS + 2
    with pytest.raises(MissingColumn):
        read_table(store, objects, ["city"], fmt)


def test_all_columns_are_those_of_the_object(lake):
    store, (info,), fmt = lake((PATH, {"x": [1.0] * ROWS}))
    with scan(store, info, None, fmt) as opened:
        assert list(opened.types) == ["x"]


def test_a_head_is_as_short_as_its_columns(lake):
    store, (info,), fmt = lake((PATH, {"x": [1.0] * ROWS}))
    with scan(store, info, ["region"], fmt, head=2) as opened:
        assert sum(len(values) for _, values in opened.chunks) == 2


def test_columns_of_later_objects_are_seen(lake):
    store, objects, fmt = lake(("a", {"x": [1.5]}), ("b", {"x": [1.5], "discount": [0.5]}), ("c", {"x": [2.0]}))
    seen = columns_of(store, objects, fmt)
    assert {name: column.objects for name, column in seen.items()} == {"x": 3, "discount": 1}
    assert pa.types.is_floating(seen["x"].type)


def test_an_object_that_cannot_be_read_has_no_columns(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"junk that is no file")
    store = open_store(None)
    assert columns_of(store, store.list(f"file://{tmp_path}/"), DataFormat.PARQUET) == {}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"junk", DataFormat.CSV),
        ("a.json", b'{"x": 1}\n{"x": 2}\n', DataFormat.JSON_LINES),
        ("a.json", b'[{"x": 1}]', None),
        ("a.json", b'{\n "x": 1\n}', None),
        ("a.json.gz", b"no gzip", None),
        ("a.csv.zst", b"\x28\xb5\x2f\xfd 123456", None),
        ("20260101_144951_00037", b"PAR1 123456789 PAR1", DataFormat.PARQUET),
        ("000000_0", b"1\x012\x013 and more", None),
        ("a.parq", b"PAR1", None),
    ],
)
def test_formats(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    store = open_store(None)
    (info,) = store.list(f"file://{tmp_path}/")
    assert format_of_object(store, info) is expected
