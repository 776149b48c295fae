"""The store of the past: nothing of the future can be seen, and nothing outside of the replay can be written."""

import datetime as dt

import pytest

from modelmonitor_trainer.data.windows import latest_partition
from modelmonitor_trainer.errors import BadConfiguration, NotFound
from modelmonitor_trainer.replay.arrival import Arrival
from modelmonitor_trainer.replay.past_store import PastData, PastStore, ResultsFolder

NOON = dt.datetime(2013, 2, 10, 12, tzinfo=dt.UTC)


@pytest.fixture
def store(past):
    return past_store(past)


def past_store(past, arrival=Arrival.DECLARED):
    data = PastData.list(past.store, past.parsed(), arrival)
    root = f"{past.base}/replay/"
    return PastStore(past.store, data, ResultsFolder(root, f"{root}profiles/"), NOON)


def rows_of(past, day):
    return f"{past.base}/rows/date={day}/part.parquet"


def labels_of(past, day):
    return f"{past.base}/labels/date={day}/part.parquet"


def test_rows_arrive_with_the_end_of_their_day(past, store):
    assert store.head(rows_of(past, "2013-02-09")) is not None
    assert store.head(rows_of(past, "2013-02-10")) is None
    assert latest_partition(store, past.spec["data"]["live"]["uri"]) == dt.date(2013, 2, 9)
    assert latest_partition(store.at(NOON.replace(month=3)), past.spec["data"]["live"]["uri"]) == dt.date(2013, 3, 9)


@pytest.mark.parametrize(("arrival", "newest"), [(Arrival.DECLARED, "2013-02-07"), (Arrival.PARTITION, "2013-02-09")])
def test_labels_arrive_after_their_delay(past, arrival, newest):
    store = past_store(past, arrival)
    assert latest_partition(store, past.spec["data"]["labels"]["uri"]) == dt.date.fromisoformat(newest)


def test_objects_arrive_when_they_were_written(past):
    store = past_store(past, Arrival.MODIFIED)
    assert store.head(rows_of(past, "2013-01-01")) is None
    assert store.at(dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).head(rows_of(past, "2013-03-30")) is not None


def test_the_future_cannot_be_read_by_someone_who_knows_where_it_is(past, store):
    """A listing that leaks from a later time is of no use."""
    leak = store.at(NOON.replace(month=3)).head(labels_of(past, "2013-02-20"))
    assert leak is not None
    for read in (
        lambda: store.open(leak),
        lambda: store.read(leak.uri, etag=leak.etag),
        lambda: store.read_versioned(leak.uri),
        lambda: store.ahead([leak]).__enter__(),
    ):
        with pytest.raises(NotFound, match="had not arrived at 2013-02-10 12:00 UTC"):
            read()


def test_an_object_that_was_written_after_the_listing_is_not_there(past, store):
    uri = f"{past.base}/rows/date=2013-01-05/late.parquet"
    past.store.write(uri, b"late")
    try:
        assert store.head(uri) is None
        assert uri not in [info.uri for info in store.list(f"{past.base}/rows/")]
    finally:
        past.store.delete(uri)


def test_only_the_folder_of_the_replay_is_written(past, store):
    for write in (
        lambda uri: store.write(uri, b"x"),
        lambda uri: store.write_behind(uri, b"x"),
        store.delete,
        store.require_conditional_writes,
    ):
        for uri in (f"{past.base}/results/default/mon/champion.json", rows_of(past, "2013-01-01")):
            with pytest.raises(BadConfiguration, match="a replay writes below"):
                write(uri)


def test_settings_share_their_profiles(past, store):
    root = f"{past.base}/replay/"
    store.write(f"{root}settings/one/default/mon/profiles/p", b"profile")
    store.write(f"{root}settings/one/default/mon/champion.json", b"champion")
    other = f"{root}settings/other/default/mon/"
    assert store.read(f"{other}profiles/p") == b"profile"
    assert [info.uri for info in store.list(f"{other}profiles/")] == [f"{other}profiles/p"]
    assert store.children(f"{other}profiles/") == [f"{other}profiles/p"]
    assert store.head(f"{other}champion.json") is None


def test_results_can_be_inside_the_folder_of_the_data(past):
    spec = past.parsed()
    data = PastData.list(past.store, spec, Arrival.DECLARED)
    root = f"{past.base}/rows/replay/"
    store = PastStore(past.store, data, ResultsFolder(root, f"{root}profiles/"), NOON)
    store.write(f"{root}x", b"x")
    assert store.read(f"{root}x") == b"x"
    store.delete(f"{root}x")
