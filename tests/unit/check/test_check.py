"""A check from partitions to verdict, on a folder."""

import datetime as dt
import json

import pytest

from modelmonitor_api.messages import decode_answer, encode_answer
from modelmonitor_trainer.check import profiles
from modelmonitor_trainer.check.publish import due_time
from modelmonitor_trainer.data import label_table
from modelmonitor_trainer.errors import BadConfiguration, BadData, Interrupted, NotFound
from modelmonitor_trainer.profile import cache


def shifted(rows):
    return rows | {"x": rows["x"] + 1.5}


def test_good_data(world):
    verdict, result = world.check()
    assert (verdict.verdict, verdict.reason) == ("NoDrift", "NoDrift"), verdict.message
    assert (verdict.rows.reference, verdict.rows.current) == (25 * 150, 7 * 150)
    assert verdict.data_end == dt.datetime(2013, 2, 10, tzinfo=dt.UTC), "2013-02-09 is the last day, and is included"
    assert verdict.champion is None
    assert verdict.new_rows is None
    assert {outcome.name: outcome.outcome for outcome in result.detectors} == {
        "contract": "Kept",
        "features": "NoDrift",
        "target": "NoDrift",
        "performance": "NotTested",
    }
    assert result.violations == ()
    assert {c.name for c in result.drift.columns} == {"x", "z", "kind", "late"}
    assert decode_answer(encode_answer(verdict)) == verdict


def test_drift_is_reported_and_written(world):
    world.land_days(34, 40, shifted)
    verdict, _ = world.check()
    assert verdict.verdict == "Drift"
    assert verdict.message.startswith("1 of 4 columns has drifted: x (effect 0.5")
    assert [f.name for f in verdict.top_features if f.drifted] == ["x"]
    assert verdict.drifted_features == 1
    assert verdict.largest_effect == max(feature.effect for feature in verdict.top_features)
    page = world.store.read(verdict.report_uri).decode()
    assert verdict.message[:20] in page
    written = json.loads(world.store.read(verdict.result_uri))
    assert written["verdict"] == "Drift"
    assert written["features"][0]["name"] == "x"
    assert written["features"][0]["drifted"] is True
    assert written["rows"] == {"reference": 3750, "current": 1050}
    assert verdict.result_uri.startswith(f"{world.base}/results/ns/mon/checks/u-1/20130210T060000Z-local/")


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda r: r | {"x": r["x"] * 100}, "OutOfRange", "'x'"),
        (lambda r: r | {"x": [None] * 150}, "NullBurst", "'x' lacks 100 %"),
        (lambda r: r | {"x": [f"v{v}" for v in r["x"]]}, "TypeChanged", "holds text"),
        (lambda r: r | {"kind": ["oops"] * 150}, "NotAllowed", "'oops'"),
        (lambda r: {k: v for k, v in r.items() if k != "z"}, "MissingColumn", "'z' is missing from file://"),
        (lambda r: r | {"z": [1.0] * 150}, "Stuck", "has the value 1 in all of 150 rows"),
    ],
)
def test_one_corrupted_partition_makes_the_verdict_corrupted(world, change, kind, message):
    day = dt.date(2013, 2, 6)
    world.land(day, change)
    verdict, result = world.check()
    assert verdict.verdict == "Corrupted"
    assert message in verdict.message
    violation = next(v for v in result.violations if v.kind == kind)
    assert violation.blocks == ("2013-02-06",)


def test_an_object_that_cannot_be_read_is_named(world):
    world.store.write(f"{world.base}/rows/date=2013-02-06/part.parquet", b"PAR1 no more PAR1")
    verdict, _ = world.check()
    assert verdict.verdict == "Corrupted"
    assert "date=2013-02-06/part.parquet cannot be read as Parquet" in verdict.message


def test_missing_partitions(world):
    world.store.delete(f"{world.base}/rows/date=2013-02-05/part.parquet")
    verdict, _ = world.check()
    assert (verdict.verdict, "2013-02-05" in verdict.message) == ("Corrupted", True)
    world.land(dt.date(2013, 2, 5))
    world.spec["data"]["live"]["end"] = "Now"
    verdict, _ = world.check(now=dt.datetime(2013, 2, 12, 6, tzinfo=dt.UTC))
    assert verdict.verdict == "Corrupted"
    assert "no rows have arrived for 2013-02-10 to 2013-02-11; have the data stopped arriving?" in verdict.message


def test_days_without_data_are_ordinary_where_data_arrive_irregularly(world):
    for day in (3, 8, 12, 13, 20, 24, 36):
        date = dt.date(2012, 12, 31) + dt.timedelta(days=day)
        world.store.delete(f"{world.base}/rows/date={date}/part.parquet")
    verdict, result = world.check()
    assert verdict.verdict == "NoDrift", verdict.message
    assert result.coverage.days.left_out == ()


def test_the_contract_is_checked_only_by_its_detector(world):
    world.spec["detectors"] = [{"name": "only-z", "type": "FeatureDrift", "columns": ["z"]}]
    world.land(dt.date(2013, 2, 6), lambda r: r | {"kind": ["oops"] * 150})
    verdict, result = world.check()
    assert verdict.verdict == "NoDrift"
    assert [c.name for c in result.drift.columns] == ["z"]


def test_a_detector_of_an_unknown_column_is_rejected(world):
    world.spec["detectors"] = [{"name": "d", "type": "FeatureDrift", "columns": ["nope"]}]
    with pytest.raises(BadConfiguration, match=r"'nope', which is not in spec\.model\.features"):
        world.check()


def test_too_few_rows_are_inconclusive(world):
    world.spec["data"]["live"]["windowDays"] = 1
    verdict, _ = world.check()
    assert verdict.verdict == "Inconclusive"
    assert "150 rows against 3,750 are too few" in verdict.message
    assert "more rows are needed" in verdict.message


def test_without_a_reference_only_the_contract_is_checked(world):
    del world.spec["data"]["reference"]
    verdict, result = world.check()
    assert verdict.verdict == "Inconclusive"
    assert "no reference yet" in verdict.message
    assert result.drift is None
    world.land(dt.date(2013, 2, 6), lambda r: r | {"x": r["x"] * 100})
    assert world.check()[0].verdict == "Corrupted"


def test_a_missing_or_corrupted_reference_is_a_failure(world):
    world.spec["data"]["reference"] = {"start": "2012-01-01", "end": "2012-02-01"}
    with pytest.raises(NotFound, match="2012-01-01 to 2012-02-01 has no partition"):
        world.check()
    world.spec["data"]["reference"] = {"start": "2013-01-01", "end": "2013-01-25"}
    world.store.write(f"{world.base}/rows/date=2013-01-05/part.parquet", b"no parquet")
    with pytest.raises(BadData, match=r"date=2013-01-05/part\.parquet cannot be read"):
        world.check()


def test_no_data_at_all(world):
    world.spec["data"]["live"]["uri"] = f"{world.base}/elsewhere/%Y-%m-%d/"
    with pytest.raises(NotFound, match="there is no partition under"):
        world.check()


def test_a_restarted_pod_gives_the_same_verdict(world):
    first, result = world.check(job="mon-check-abc")
    assert result is not None
    world.land_days(34, 40, shifted)
    again, nothing = world.check(job="mon-check-abc", now=dt.datetime(2013, 2, 10, 6, 5, tzinfo=dt.UTC))
    assert again == first
    assert nothing is None
    other, _ = world.check(job="mon-check-abd")
    assert other.verdict == "Drift"


def test_a_pod_stopped_at_any_write_leaves_no_partial_result(world):
    writes = []

    class Stopped:
        def __init__(self, store, after):
            self._store, self._left = store, after

        def __getattr__(self, name):
            return getattr(self._store, name)

        def write(self, uri, *args, **kwargs):
            if self._left == 0:
                raise Interrupted("stopped")
            self._left -= 1
            writes.append(uri)
            return self._store.write(uri, *args, **kwargs)

    real, after, done = world.store, 0, False
    while not done:
        world.store = Stopped(real, after)
        try:
            world.check(job="job-1")
            done = True
        except Interrupted:
            after += 17
    world.store = real
    verdict, result = world.check(job="job-1")
    assert result is None
    assert verdict.verdict == "NoDrift"
    assert writes[-1] == verdict.result_uri


def test_a_second_check_reads_only_what_is_new(world):
    world.check()
    opened = []

    class Watching:
        def __init__(self, store):
            self._store = store

        def __getattr__(self, name):
            return getattr(self._store, name)

        def open(self, info):
            opened.append(info.uri.removeprefix(world.base))
            return self._store.open(info)

    world.land(dt.date(2013, 2, 10))
    world.store = Watching(world.store)
    for recent in (label_table._RECENT_KEYS, label_table._RECENT_LABELS, cache._DECODED, profiles._DECODED):
        recent.clear()
    verdict, _ = world.check(now=dt.datetime(2013, 2, 11, 6, tzinfo=dt.UTC))
    assert verdict.verdict == "NoDrift"
    # The newest object is opened for its rows, and for the columns that the spec does not declare.
    newest = "/rows/date=2013-02-10/part.parquet"
    profiled = ["/labels/date=2013-02-08/part.parquet", newest, newest]
    assert [opened.count(uri) >= profiled.count(uri) for uri in profiled] == [True] * len(profiled)
    # In a new process, and before there is a champion, the keys of three mature days are joined with the labels that
    # have arrived since.
    rows = {f"/rows/date=2013-02-{day:02}/part.parquet" for day in (6, 7, 8)}
    labels = {f"/labels/date=2013-02-{day:02}/part.parquet" for day in range(5, 11)}
    assert set(opened) == {newest} | rows | labels


def test_the_time_that_a_check_was_due():
    now = dt.datetime(2013, 2, 10, 6, 0, 3, 7, tzinfo=dt.UTC)
    assert due_time("mon-check-22678920", now) == dt.datetime(2013, 2, 13, 6, tzinfo=dt.UTC)
    assert due_time("mon-check-4f", now) == now.replace(microsecond=0)


def test_a_target_among_the_live_rows(world):
    del world.spec["data"]["labels"]
    for number in range(40):
        day = dt.date(2013, 1, 1) + dt.timedelta(days=number)
        _, labels = world.rows(day)
        world.land(day, lambda r, late=labels["late"]: r | {"late": late})
    verdict, result = world.check()
    assert verdict.verdict == "NoDrift"
    assert {o.name: o.outcome for o in result.detectors}["target"] == "NoDrift"
    assert next(c for c in result.drift.columns if c.name == "late").comparison.role == "Target"


@pytest.mark.parametrize("drifted", [False, True])
def test_that_data_have_stopped_to_arrive_is_said(world, drifted):
    """A verdict is about the newest rows, however old they are."""
    if drifted:
        world.land_days(34, 40, lambda rows: rows | {"x": rows["x"] + 3.0})
    age = "No rows have arrived for 4 days; those of 2013-02-09 are the newest."
    for days, said in ((3, False), (4, True)):
        verdict, result = world.check(now=dt.datetime(2013, 2, 10 + days, 6, tzinfo=dt.UTC))
        assert verdict.verdict == ("Drift" if drifted else "NoDrift")
        assert (age in result.notes) == said
        assert verdict.message.endswith(age) == (said and not drifted)
