"""What names tell: markers, formats, and the folders of Hive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.data.object_names import folder_keys, is_document, is_marker, is_time, suffix_of


@pytest.mark.parametrize(
    "path",
    [
        "_SUCCESS",
        "_started_123",
        "_committed_123",
        "_metadata",
        "_temporary/0/task_7/part-1.parquet",
        "day=1/_temporary/0/part-1.parquet",
        ".staging/x.parquet",
        ".hive-staging_1/x",
        ".ipynb_checkpoints/x-checkpoint.csv",
        "day=1/.part-0.parquet.crc",
        ".key=1/x.parquet",
        "_delta_log/00000000000000000000.json",
        "+tmp/topic/x.parquet",
        "day=1_$folder$",
        "part-0.parquet._COPYING_",
        "part-0.parquet.tmp",
        "part-0-1.inprogress",
        ".DS_Store",
        "x.tmp",
        "@eaDir/x.csv",
        "$RECYCLE.BIN/x.csv",
        "lost+found/x",
    ],
)
def test_markers_and_unfinished_output(path):
    assert is_marker(path)


@pytest.mark.parametrize(
    "path",
    ["part-0", "day=1/part-00000-1.c000.snappy.parquet", "_key=1/x.parquet", "t+0+0000000000.json", "a_b.c/d_.csv"],
)
def test_data(path):
    assert not is_marker(path)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("s3://b/a.csv", ".csv"),
        ("s3://b/a.CSV.GZ", ".csv"),
        ("s3://b/a.csv.zst", ".zst"),
        ("s3://b.parquet/20260101_144951_00037_v74wa_1ad6f92e", ""),
        ("s3://b/part-0.c000.snappy.parquet", ".parquet"),
    ],
)
def test_suffixes(name, suffix):
    assert suffix_of(name) == suffix


def test_documents():
    assert all(map(is_document, ["s3://b/README", "s3://b/readme.md", "s3://b/a.csv.sha256", "s3://b/.a.parquet.crc"]))
    of_desktops = [
        "Thumbs.db",
        "desktop.ini",
        "~x.parquet",
        "~$x.csv",
        "#x.csv#",
        "x.csv~",
        "x.swp",
        "x.crc",
        "x.csv.bak",
    ]
    assert all(is_document(f"s3://b/{name}") for name in of_desktops)
    assert not any(
        map(
            is_document,
            ["s3://b/a.csv", "s3://b/000000_0", "s3://b/a.txt", "s3://b/a.json", "s3://b/a~b.csv", "s3://b/#1.csv"],
        )
    )


def test_folders_of_hive():
    assert folder_keys("region=eu/k=a%2Fb/x=__HIVE_DEFAULT_PARTITION__/year=2024/k=v.parquet") == {
        "region": "eu",
        "k": "a/b",
        "x": None,
        "year": "2024",
    }
    assert folder_keys("region/=eu/1=2/part.parquet") == {}


@given(st.dates())
def test_dates_are_times_however_they_are_written(day):
    texts = [day.isoformat(), f"{day.year:04d}-{day.month}-{day.day}", f"{day:%Y%m%d}", f"{day.isoformat()}-05"]
    assert is_time("anything", texts) is (1900 <= day.year < 2100)


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("month", ["1", "12"], True),
        ("event_hour", ["00", "23"], True),
        ("hour", ["00", None], True),
        ("month", ["jan"], False),
        ("store", ["1", "2"], False),
        ("region", ["eu", "2024-01-05"], False),
        ("region", [None], False),
    ],
)
def test_keys_of_time(key, values, expected):
    assert is_time(key, values) is expected
