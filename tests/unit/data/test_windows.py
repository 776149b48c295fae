"""Partitions and windows: their days and objects, and the number of requests."""

import datetime as dt

import pytest

from modelmonitor_api.resource import parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.data.windows import (
    days_after,
    expand,
    folders_without_day,
    hours_of,
    last_whole_day,
    latest_partition,
    live_window,
    partitions,
    survey_partitions,
    training_windows,
)
from modelmonitor_trainer.errors import BadConfiguration, NotFound
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store


def day(text):
    return dt.date.fromisoformat(text)


def spec(**changes):
    data = {
        "live": {"uri": "s3://b/f/%Y-%m-%d/", "windowDays": changes.get("window", 28), "end": changes.get("end", "Now")}
    }
    if "delay" in changes:
        data["labels"] = {"uri": "s3://b/l/%Y-%m-%d/", "joinKey": "id", "delayDays": changes["delay"]}
    return parse(
        ModelMonitorSpec,
        {
            "schedule": "0 6 * * *",
            "storage": {"resultsURI": "s3://r/"},
            "data": data,
            "model": {"task": "Regression", "target": "y", "features": [{"name": "x", "type": "Numeric"}]},
            "retraining": {"windowDays": 90, "estimator": {"name": "Ridge"}},
            "promotion": {"metric": "R2", "holdoutDays": 14},
        },
    )


class Counting:
    """A store that counts the listings of another."""

    def __init__(self, store):
        self.store = store
        self.listed = []

    def list(self, prefix):
        self.listed.append(prefix)
        return self.store.list(prefix)

    def children(self, prefix):
        self.listed.append(prefix)
        return self.store.children(prefix)


@pytest.fixture
def lay(tmp_path):
    store, base = open_store(None), uri_of(tmp_path)

    def put(*names):
        for name in names:
            store.write(f"{base}/{name}", b"x")
        return Counting(store), base

    return put


@pytest.mark.parametrize(
    ("template", "expanded"),
    [
        ("s3://b/f/date=%Y-%m-%d/", "s3://b/f/date=2013-01-02/"),
        ("s3://b/%Y/%m/%d/", "s3://b/2013/01/02/"),
        ("s3://b/%Y%m%d-%H/", "s3://b/20130102-"),
        ("s3://b/y=%Y/%Y-%m-%d.parquet", "s3://b/y=2013/2013-01-02.parquet"),
    ],
)
def test_expand(template, expanded):
    assert expand(template, day("2013-01-02")) == expanded


def test_only_partitions_with_objects_in_order(lay):
    store, base = lay("d=2013-01-03/b", "d=2013-01-03/a", "d=2013-01-01/x", "d=2013-02-01/y", "d=2012-12-31/z")
    result = partitions(store, f"{base}/d=%Y-%m-%d/", day("2013-01-01"), day("2013-02-01"))
    assert [(p.day, [o.uri.removeprefix(base) for o in p.objects]) for p in result] == [
        (day("2013-01-01"), ["/d=2013-01-01/x"]),
        (day("2013-01-03"), ["/d=2013-01-03/a", "/d=2013-01-03/b"]),
        (day("2013-02-01"), ["/d=2013-02-01/y"]),
    ]
    assert result[0].uri == f"{base}/d=2013-01-01/"


def test_a_window_costs_a_listing_a_month_for_each_way_to_write_it(lay):
    store, base = lay("d=2013-01-03/b")
    partitions(store, f"{base}/d=%Y-%m-%d/", day("2013-01-15"), day("2013-03-02"))
    assert [asked.removeprefix(base) for asked in store.listed] == [
        "/d=2013-01-",
        "/d=2013-1-",
        "/d=2013-02-",
        "/d=2013-2-",
        "/d=2013-03-",
        "/d=2013-3-",
    ]
    store.listed.clear()
    partitions(store, f"{base}/d=%Y-%m-%d/", day("2013-11-15"), day("2013-11-30"))
    assert store.listed == [f"{base}/d=2013-11-"]
    partitions(store, f"{base}/d=%Y%m%d/", day("2013-01-15"), day("2013-01-30"))
    assert store.listed[1:] == [f"{base}/d=201301"], "without separators, there is one way"


def test_hours_and_markers(lay):
    store, base = lay("2013-01-01/00/a", "2013-01-01/23/b", "2013-01-01/23/_SUCCESS", "2013-01-02/00/.hidden")
    (partition,) = partitions(store, f"{base}/%Y-%m-%d/%H/", day("2013-01-01"), day("2013-01-02"))
    assert [o.uri.removeprefix(base) for o in partition.objects] == ["/2013-01-01/00/a", "/2013-01-01/23/b"]


@pytest.mark.parametrize("template", ["file:///x/", "file:///x/%Y-%m/", "file:///x/%Y-%m-%H-%d/"])
def test_a_template_must_distinguish_days(lay, template):
    store, _ = lay()
    with pytest.raises(BadConfiguration, match="include %Y, %m and %d"):
        partitions(store, template, day("2013-01-01"), day("2013-01-02"))


@pytest.mark.parametrize(
    ("names", "template", "latest"),
    [
        (["d=2013-01-31/a", "d=2013-02-01/a", "d=2012-12-31/a"], "d=%Y-%m-%d/", "2013-02-01"),
        (["2012/12/31/a", "2013/02/01/a", "2013/01/31/a"], "%Y/%m/%d/", "2013-02-01"),
        (["31.12.2012/a", "01.02.2013/a"], "%d.%m.%Y/", "2013-02-01"),
        (["2013/2013-02-01.parquet", "2013/2013-01-01.parquet"], "%Y/%Y-%m-%d.parquet", "2013-02-01"),
        (["2013-02-02/_SUCCESS", "2013-02-01/a", "2013-02-30/a", "notes/a"], "%Y-%m-%d/", "2013-02-01"),
        (["2013/02/x", "2013/01/31/f/a", "2013/02/01/g/a"], "%Y/%m/%d/f/", "2013-01-31"),
        (["2013-02-01-05/a", "2013-02-01-04/a"], "%Y-%m-%d-%H/", "2013-02-01"),
        ([], "%Y-%m-%d/", None),
    ],
)
def test_the_latest_partition(lay, names, template, latest):
    store, base = lay(*names)
    assert latest_partition(store, f"{base}/{template}") == (day(latest) if latest else None)


def test_partitions_of_the_future_can_be_ignored(lay):
    store, base = lay("2013-02-01/a", "2099-01-01/a")
    assert latest_partition(store, f"{base}/%Y-%m-%d/", until=day("2013-03-01")) == day("2013-02-01")


def test_the_live_window():
    today, latest = day("2013-03-10"), day("2013-03-05")
    assert live_window(spec(window=7), latest, today) == (day("2013-03-03"), day("2013-03-09"))
    assert live_window(spec(window=7, end="LatestPartition"), latest, today) == (day("2013-02-27"), latest)
    with pytest.raises(NotFound, match="no partition under s3://b/f/"):
        live_window(spec(end="LatestPartition"), None, today)


@pytest.mark.parametrize(
    ("delay", "champion", "labels", "train", "holdout"),
    [
        (None, None, None, ("2013-01-17", "2013-04-16"), ("2013-04-17", "2013-04-30")),
        (2, None, None, ("2013-01-15", "2013-04-14"), ("2013-04-15", "2013-04-28")),
        (2, None, "2013-04-20", ("2013-01-07", "2013-04-06"), ("2013-04-07", "2013-04-20")),
        (2, "2013-04-20", None, ("2013-01-21", "2013-04-20"), ("2013-04-21", "2013-04-28")),
        (2, "2013-04-29", None, ("2013-01-30", "2013-04-29"), ("2013-04-30", "2013-04-28")),
    ],
)
def test_training_windows(delay, champion, labels, train, holdout):
    windows = training_windows(
        spec() if delay is None else spec(delay=delay),
        day("2013-04-30"),
        day(champion) if champion else None,
        latest_labels=day(labels) if labels else None,
    )
    assert windows.train == tuple(map(day, train))
    assert windows.holdout == tuple(map(day, holdout))
    assert (windows.train[1] - windows.train[0]).days == 89
    assert windows.holdout_days == max(0, (windows.holdout[1] - windows.holdout[0]).days + 1)


def names_of(items, base):
    return [(item.reason.value, item.name.removeprefix(base)) for item in items]


def test_what_is_left_out_of_partitions(lay):
    store, base = lay(
        "d=2013-01-01/a",
        "d=2013-01-01/_SUCCESS",
        "d=2013-01-01/_temporary/0/part-1",
        "d=2013-01-01/.ipynb_checkpoints/a-checkpoint",
        "d=2013-01-01/k=1/b",
        "d=2013-01-01/README.md",
        "d=2013-01-02/_started_1",
    )
    survey = survey_partitions(store, f"{base}/d=%Y-%m-%d/", day("2013-01-01"), day("2013-01-02"))
    (partition,) = survey.partitions
    assert [o.uri.removeprefix(base) for o in partition.objects] == ["/d=2013-01-01/a", "/d=2013-01-01/k=1/b"]
    assert names_of(survey.left_out, base) == [
        ("Marker", "/d=2013-01-01/.ipynb_checkpoints/a-checkpoint"),
        ("NotData", "/d=2013-01-01/README.md"),
        ("Marker", "/d=2013-01-01/_SUCCESS"),
        ("Marker", "/d=2013-01-01/_temporary/0/part-1"),
        ("Marker", "/d=2013-01-02/_started_1"),
    ]


def test_leading_zeros_can_be_missing(lay):
    store, base = lay("y=2013/m=1/d=5/a", "y=2013/m=01/d=05/b", "y=2013/m=1/d=15/c", "y=2013/m=11/d=5/d")
    template = f"{base}/y=%Y/m=%m/d=%d/"
    result = partitions(store, template, day("2013-01-01"), day("2013-01-31"))
    assert [(p.day.day, [o.uri[-1] for o in p.objects]) for p in result] == [(5, ["b", "a"]), (15, ["c"])]
    assert latest_partition(store, template) == day("2013-11-05")


def test_objects_must_match_what_follows_the_hour(lay):
    store, base = lay("2013-01-01/h=00/a/x", "2013-01-01/h=00/b/x", "2013-01-01/h=1/a/x", "2013-01-01/total")
    template = f"{base}/%Y-%m-%d/h=%H/a/"
    survey = survey_partitions(store, template, day("2013-01-01"), day("2013-01-01"))
    (partition,) = survey.partitions
    assert [o.uri.removeprefix(base) for o in partition.objects] == ["/2013-01-01/h=00/a/x", "/2013-01-01/h=1/a/x"]
    assert hours_of(template, partition.objects) == {0, 1}
    assert names_of(survey.left_out, base) == [
        ("OutsidePattern", "/2013-01-01/h=00/b/x"),
        ("OutsidePattern", "/2013-01-01/total"),
    ]


def test_files_that_a_delta_table_has_removed_are_in_no_partition(lay):
    store, base = lay("d=2013-01-01/old.parquet", "d=2013-01-01/new.parquet")
    store.store.write(f"{base}/_delta_log/{0:020d}.json", b'{"add": {"path": "d=2013-01-01/new.parquet"}}')
    survey = survey_partitions(store.store, f"{base}/d=%Y-%m-%d/", day("2013-01-01"), day("2013-01-02"))
    assert [o.uri.removeprefix(base) for p in survey.partitions for o in p.objects] == ["/d=2013-01-01/new.parquet"]
    assert names_of(survey.left_out, base) == [("RemovedFromTable", "/d=2013-01-01/old.parquet")]


def test_folders_that_are_no_days(lay):
    store, base = lay("d=2013-01-01/a", "d=unknown/a", "d=2013-01-01T00/a", "other/a", "_x/a", ".y/a", "note")
    assert names_of(folders_without_day(store, f"{base}/d=%Y-%m-%d/"), base) == [
        ("NotADay", "/d=2013-01-01T00/"),
        ("NotADay", "/d=unknown/"),
        ("OutsidePattern", "/other/"),
    ]
    names = names_of(folders_without_day(store, f"{base}/d=%Y-%m-%d"), base)
    assert names == [("NotADay", "/d=unknown/"), ("OutsidePattern", "/other/")], "a name can go on after the day"


def test_the_current_day_and_days_of_the_future(lay):
    store, base = lay("2013-02-01/a", "2013-02-02/a", "2099-01-01/a", "2098-01-01/_SUCCESS")
    last = last_whole_day(dt.datetime(2013, 2, 2, 2, 30, tzinfo=dt.UTC))
    assert last == day("2013-02-01")
    assert latest_partition(store, f"{base}/%Y-%m-%d/", until=last) == last
    assert days_after(store, f"{base}/%Y-%m-%d/", last) == [day("2013-02-02"), day("2099-01-01")]


def test_days_of_the_future_cost_a_listing_a_month_however_many_there_are(lay):
    days = [day("2013-02-01") + dt.timedelta(days=number) for number in range(60)]
    store, base = lay("2013-02-01/_SUCCESS", *(f"{later}/a" for later in days if later.day % 2), "2099-01-01/a")
    assert days_after(store, f"{base}/%Y-%m-%d/", days[0]) == [
        *(later for later in days[1:] if later.day % 2),
        day("2099-01-01"),
    ]
    listed = [asked.removeprefix(base) for asked in store.listed]
    assert sum(asked.startswith("/2013-0") for asked in listed) == 4, "each of two months, written in two ways"
