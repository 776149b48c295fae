"""Recognition of partitions in the names of objects."""

import datetime as dt

import pytest

from modelmonitor_trainer.draft.partitions import find_partitions
from modelmonitor_trainer.errors import BadConfiguration, NotFound
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store

DAYS = (dt.date(2013, 1, 31), dt.date(2013, 2, 1), dt.date(2013, 12, 5))


def put(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("date={0:%Y-%m-%d}/part-0.parquet", "date=%Y-%m-%d/"),
        ("{0:%Y-%m-%d}/rows.csv", "%Y-%m-%d/"),
        ("year={0.year}/month={0.month}/day={0.day}/p.parquet", "year=%Y/month=%m/day=%d/"),
        ("{0:%Y/%m/%d}/p.parquet", "%Y/%m/%d/"),
        ("rows-{0:%Y-%m-%d}.parquet", "rows-%Y-%m-%d.parquet"),
        ("{0:%Y%m%d}.jsonl", "%Y%m%d.jsonl"),
        ("dt={0:%Y_%m_%d}/a.csv", "dt=%Y_%m_%d/"),
        ("v2/date={0:%Y-%m-%d}/region=eu/a.parquet", "v2/date=%Y-%m-%d/"),
        ("date={0:%Y-%m-%d}/hour=07/a.parquet", "date=%Y-%m-%d/hour=%H/"),
        ("{0:%Y/%m/%d}/23/a.parquet", "%Y/%m/%d/%H/"),
    ],
)
def test_layouts(tmp_path, name, template):
    put(tmp_path, [name.format(day) for day in DAYS])
    put(tmp_path, ["_SUCCESS", "README.md"])
    partitions = find_partitions(open_store(None), uri_of(tmp_path))
    assert partitions.template == f"{uri_of(tmp_path)}/{template}"
    assert tuple(partitions.days) == DAYS
    assert (partitions.first, partitions.last) == (DAYS[0], DAYS[-1])


def test_most_objects_decide_and_the_others_are_named(tmp_path):
    put(tmp_path, [f"date={day}/a.parquet" for day in DAYS] + ["export-2013-02-03.parquet"])
    partitions = find_partitions(open_store(None), uri_of(tmp_path))
    assert partitions.template.endswith("/date=%Y-%m-%d/")
    assert partitions.others == (f"{uri_of(tmp_path)}/export-2013-02-03.parquet",)


def test_a_template_is_taken_as_it_is(tmp_path):
    put(tmp_path, [f"rows/{day}/a.parquet" for day in DAYS])
    partitions = find_partitions(open_store(None), f"{uri_of(tmp_path)}/rows/%Y-%m-%d/")
    assert tuple(partitions.days) == DAYS


def test_a_sample_is_spread_over_all_days(tmp_path):
    days = [dt.date(2013, 1, 1) + dt.timedelta(days=index) for index in range(20)]
    put(tmp_path, [f"{day}/a.parquet" for day in days])
    partitions = find_partitions(open_store(None), uri_of(tmp_path))
    names = [info.uri.split("/")[-2] for info in partitions.sample(3)]
    assert names == ["2013-01-01", "2013-01-11", "2013-01-20"]
    assert len(partitions.sample(100)) == 20


def test_names_without_a_day(tmp_path):
    put(tmp_path, ["part-0.parquet", "part-20139999.parquet"])
    with pytest.raises(BadConfiguration, match=r"no day is recognized in the names of the 2 objects .*date=2013-01-31"):
        find_partitions(open_store(None), uri_of(tmp_path))


def test_a_file_is_no_folder_of_partitions(tmp_path):
    put(tmp_path, ["rows.parquet"])
    with pytest.raises(BadConfiguration, match=r"rows\.parquet is one file; a monitor reads a partition a day"):
        find_partitions(open_store(None), uri_of(tmp_path / "rows.parquet"))


def test_no_data(tmp_path):
    with pytest.raises(NotFound, match="there are no data under"):
        find_partitions(open_store(None), uri_of(tmp_path))
