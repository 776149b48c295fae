"""What a process keeps of what it has read: bounded, and never of another object."""

import datetime as dt
from dataclasses import replace

import pytest

from modelmonitor_api.spec import CSVOptions, DataFormat
from modelmonitor_trainer.data.object_format import FileFormat
from modelmonitor_trainer.data.recent_values import RecentValues, objects_key
from modelmonitor_trainer.storage.base import ObjectInfo

INFO = ObjectInfo("s3://b/a.csv", "e1", 10, dt.datetime(2024, 1, 1, tzinfo=dt.UTC))


def test_values_are_read_once_and_the_least_recently_used_are_forgotten():
    values, reads = RecentValues[str](len, limit=10), []

    def get(key):
        def read():
            reads.append(key)
            return key * 4

        return values.get(key, read)

    assert [get("a"), get("b"), get("a"), get("c"), get("a"), get("b")] == [key * 4 for key in "abacab"]
    assert reads == ["a", "b", "c", "b"], "c displaced b, which was not used for longest"


def test_a_large_value_displaces_no_others():
    values = RecentValues[str](len, limit=10)
    values.put("small", "xxx")
    values.put("large", "x" * 6)
    assert (values.find("small"), values.find("large")) == ("xxx", None)


@pytest.mark.parametrize(
    ("info", "fmt"),
    [
        (replace(INFO, etag="e2"), DataFormat.CSV),
        (replace(INFO, last_modified=INFO.last_modified + dt.timedelta(seconds=1)), DataFormat.CSV),
        (INFO, DataFormat.PARQUET),
        (INFO, FileFormat(DataFormat.CSV, CSVOptions(decimal=","))),
        (INFO, FileFormat(DataFormat.CSV, marks={INFO.uri: {"x": ","}})),
    ],
)
def test_another_object_or_another_way_to_read_it_is_another_key(info, fmt):
    assert objects_key([info], fmt) != objects_key([INFO], DataFormat.CSV)
    assert objects_key([INFO], DataFormat.CSV) == objects_key([replace(INFO)], FileFormat(DataFormat.CSV))
