"""Retention: old versions and reports are deleted, and those that can still be needed never are."""

import datetime as dt
import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.spec import Retention
from modelmonitor_trainer.errors import BadData, NotFound, ObjectChanged
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.records import Pointer, Tenure
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.registry.retention import apply_retention, expendable
from modelmonitor_trainer.storage.local import path_of, uri_of
from modelmonitor_trainer.storage.open import open_store
from support.versions import version_record

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
LATER = START + dt.timedelta(days=400)


def record(number, outcome="Rejected", reason="Worse", compared_with="v1"):
    return version_record(
        number,
        version=f"v{number}",
        created=START + dt.timedelta(days=number),
        outcome=outcome,
        reason=reason,
        compared_with=compared_with,
    )


def pointer(version, previous=None):
    tenure = Tenure(version=version, since=START, action="Promoted", by="job", previous=previous)
    return Pointer(**tenure.model_dump(), history=[tenure])


RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["Passed", "Rejected", "Inconclusive"]),
        st.sampled_from(["Better", "TooGoodToBeTrue"]),
        st.sampled_from(["v1", "v2", "v3", None]),
    ),
    min_size=1,
    max_size=12,
).map(lambda drawn: [record(index + 1, *parts) for index, parts in reversed(list(enumerate(drawn)))])


@given(
    records=RECORDS,
    champion=st.sampled_from(["v1", "v2", "v3"]),
    previous=st.sampled_from(["v1", "v4", None]),
    newest=st.integers(2, 6),
)
def test_versions_that_are_never_expendable(records, champion, previous, newest):
    gone = expendable(records, pointer(champion, previous), newest, now=LATER)
    names = {each.version for each in gone}
    assert not names & {champion, previous}
    assert not names & {each.version for each in records[:newest]}
    assert all(not (each.outcome == "Passed" and each.compared_with == champion) for each in gone)
    numbers = [each.number for each in gone]
    assert numbers == sorted(numbers), "the oldest first"


def test_the_best_champion_so_far_is_kept():
    steps = [record(1, "Passed", "FirstModel", None)]
    steps += [record(number, "Passed", "NotWorse", f"v{number - 1}") for number in range(2, 5)]
    steps += [
        record(5, "Passed", "NotWorse", "v4").model_copy(update={"best_champion": "v1"}),
        *(record(number, compared_with="v5") for number in range(6, 10)),
    ]
    gone = [each.version for each in expendable(steps[::-1], pointer("v5", "v4"), 3, now=LATER)]
    assert gone == ["v2", "v3", "v6"]


def test_rejected_and_outdated_versions_are_expendable():
    records = [record(number) for number in range(9, 0, -1)]
    assert [each.version for each in expendable(records, pointer("v7", "v2"), 3, now=LATER)] == [
        "v1",
        "v3",
        "v4",
        "v5",
        "v6",
    ]
    waiting = [*records[:-1], record(1, "Passed", "Better", "v7")]
    assert "v1" not in [each.version for each in expendable(waiting, pointer("v7", "v2"), 3, now=LATER)]
    bygone = [*records[:-1], record(1, "Passed", "Better", "v5")]
    assert "v1" in [each.version for each in expendable(bygone, pointer("v7", "v2"), 3, now=LATER)], (
        "it cannot be promoted anymore"
    )


class Results:
    """Results in a local folder, with modification times that a test sets."""

    def __init__(self, folder):
        self.store, self.prefix = open_store(None), f"{uri_of(folder)}/ns/mon/"
        self.now = START + dt.timedelta(days=400)

    def put(self, name, data=b"{}", days_old=0):
        self.store.write(self.prefix + name, data)
        then = (dt.datetime.now(dt.UTC) - dt.timedelta(days=days_old)).timestamp()
        os.utime(path_of(self.prefix + name), (then, then))

    def apply_retention(self, **retention):
        """Apply a retention, as a training does that has just written its verdict."""
        self.put("runs/u/99/verdict.json", b'{"version": null}')
        now = dt.datetime.now(dt.UTC)
        result = apply_retention(self.registry(), "u", Retention(**retention), now=now)
        self.store.delete(f"{self.prefix}runs/u/99/verdict.json")
        return result

    def registry(self, store=None):
        return ModelRegistry(store or self.store, ResultsLayout(self.prefix))

    def names(self):
        root = path_of(self.prefix)
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path)


def version(results, number, **more):
    written = record(number, **more)
    results.put(f"versions/{written.version}/model.skops", b"model")
    results.put(f"versions/{written.version}/version.json", written.model_dump_json(by_alias=True).encode())


def test_retention_deletes_old_versions_with_their_runs(results):
    for number in range(1, 7):
        version(results, number)
        results.put(f"runs/u/{number}/report.html", days_old=100)
        results.put(f"runs/u/{number}/verdict.json", f'{{"version": "v{number}"}}'.encode(), days_old=100)
    results.put("runs/u/7/manifest.json", days_old=100)
    results.put("versions/v7/model.skops")
    results.put("champion.json", pointer("v2", "v1").model_dump_json(by_alias=True).encode())
    before = results.names()
    deleted = results.apply_retention(versions=2, report_days=30)
    assert deleted.versions == ("v3", "v4")
    assert deleted.runs == 2
    gone = {
        name for number in (3, 4) for name in (f"versions/v{number}/model.skops", f"versions/v{number}/version.json")
    }
    gone |= {name for number in (3, 4) for name in (f"runs/u/{number}/report.html", f"runs/u/{number}/verdict.json")}
    assert before - results.names() == gone, "nothing that is not complete, and nothing of versions that are kept"
    assert results.apply_retention(versions=2, report_days=30).versions == ()


def test_recent_reports_are_kept(results):
    results.put("runs/u/1/verdict.json", b'{"version": "v1"}', days_old=5)
    results.put("runs/u/2/verdict.json", b"not JSON", days_old=50)
    assert results.apply_retention(report_days=30).runs == 1
    assert results.names() == {"runs/u/1/verdict.json"}


def test_checks_are_deleted_by_their_due_time_and_the_newest_are_kept(results):
    today = dt.datetime.now(dt.UTC)
    for age in range(0, 60, 3):
        due = today - dt.timedelta(days=age)
        results.put(f"checks/u/{due:%Y%m%dT%H%M%SZ}-mon-check/verdict.json")
        results.put(f"checks/u/{due:%Y%m%dT%H%M%SZ}-mon-check/report.html")
    results.put("checks/u/notes.txt")
    assert results.apply_retention(report_days=30).checks == 10
    assert results.apply_retention(report_days=30).checks == 0
    assert len(results.names()) == 10 * 2 + 1
    assert results.apply_retention(report_days=7).checks == 0, "the ten newest stay, whatever their age"


def test_a_version_that_becomes_the_champion_during_retention_is_kept(results):
    for number in range(1, 5):
        version(results, number)
    pointers = [pointer("v4", "v3"), pointer("v1", "v4")]

    class Moving:
        def __getattr__(self, name):
            return getattr(results.store, name)

        def read_versioned(self, _):
            current = pointers[0] if len(pointers) == 1 else pointers.pop(0)
            return current.model_dump_json(by_alias=True).encode(), "etag"

    deleted = apply_retention(results.registry(Moving()), "u", Retention(versions=2), now=results.now)
    assert deleted.versions == ("v2",)


def pointer_of(*spans):
    """Return the pointer of versions that became the champion so many days ago, the present one first."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    history = [
        Tenure(version=name, since=now - dt.timedelta(days=days), action="Promoted", by="job") for name, days in spans
    ]
    return Pointer(**(history[0].model_dump() | {"previous": spans[1][0]}), history=history)


def test_versions_that_served_recently_are_kept():
    records = [record(number) for number in range(9, 0, -1)]
    # v3 served until 20 days ago, v2 until 40 days ago.
    champions = pointer_of(("v7", 5), ("v6", 15), ("v3", 20), ("v2", 20.5), ("v1", 40))
    gone = expendable(records, champions, 2, now=dt.datetime.now(dt.UTC))
    assert [each.version for each in gone] == ["v4", "v5"], "v1 served until 20.5 days ago"
    champions = pointer_of(("v7", 35), ("v6", 45), ("v3", 50))
    assert "v3" in [each.version for each in expendable(records, champions, 2, now=dt.datetime.now(dt.UTC))]


def test_profiles_and_scores_are_deleted_by_age(results):
    results.put("profiles/a/1.json", days_old=200)
    results.put("profiles/a/2.json", days_old=20)
    results.put("scores/v1/a/1.scores", days_old=200)
    results.put("scores/v1/a/2.scores", days_old=20)
    deleted = results.apply_retention()
    assert deleted.profiles == 1
    assert results.names() == {"profiles/a/2.json", "scores/v1/a/2.scores"}


def test_checks_beyond_the_declared_number_are_deleted_at_any_age(results):
    today = dt.datetime.now(dt.UTC)
    for hour in range(30):
        due = today - dt.timedelta(hours=hour)
        results.put(f"checks/u/{due:%Y%m%dT%H%M%SZ}-mon-check/verdict.json")
    assert results.apply_retention(checks=12).checks == 18
    newest = today - dt.timedelta(hours=11)
    assert min(results.names()) == f"checks/u/{newest:%Y%m%dT%H%M%SZ}-mon-check/verdict.json"


def test_the_looks_of_the_champion_watch_and_scores_are_deleted_with_their_version(results):
    for number in range(1, 5):
        version(results, number)
        results.put(f"watch/v{number}/4-0badcafe.json")
        results.put(f"scores/v{number}/a/b.scores")
    results.put("champion.json", pointer("v4", "v3").model_dump_json(by_alias=True).encode())
    assert results.apply_retention(versions=2).versions == ("v1", "v2")
    assert {name for name in results.names() if name.startswith("watch/")} == {
        "watch/v3/4-0badcafe.json",
        "watch/v4/4-0badcafe.json",
    }
    assert {name for name in results.names() if name.startswith("scores/")} == {
        "scores/v3/a/b.scores",
        "scores/v4/a/b.scores",
    }
    assert not [name for name in results.names() if name.startswith(("versions/v1", "versions/v2"))]


class Interleaved:
    """A store that runs one step of another process after each call."""

    def __init__(self, store, other):
        self.store, self.other = store, other

    def __getattr__(self, name):
        attribute = getattr(self.store, name)
        if not callable(attribute):
            return attribute

        def call(*args, **more):
            result = attribute(*args, **more)
            next(self.other, None)
            return result

        return call


@pytest.mark.parametrize("pause", range(40))
def test_a_rollback_and_a_retention_never_leave_a_champion_without_its_files(results, pause):
    """The whole rollback happens after the call number `pause` of the retention."""
    for number in range(1, 6):
        version(results, number)
    old = pointer("v5", "v4")
    served = [old.history[0], Tenure(version="v1", since=START, action="Promoted", by="job")]
    stored = old.model_copy(update={"history": served})
    results.put("champion.json", stored.model_dump_json(by_alias=True).encode())
    failed = []

    def other():
        for _ in range(pause):
            yield
        try:
            results.registry().rollback("v1", by="by-hand", now=LATER)
        except (NotFound, ObjectChanged, BadData) as error:
            failed.append(error)
        while True:
            yield

    now = dt.datetime.now(dt.UTC)
    apply_retention(results.registry(Interleaved(results.store, other())), "u", Retention(versions=2), now=now)
    champion = results.registry().champion()
    assert champion is not None
    assert results.registry().find_version(champion.version) is not None
    assert f"versions/{champion.version}/model.skops" in results.names()


@pytest.mark.parametrize("pause", range(16))
def test_a_retention_during_a_rollback_never_deletes_its_target(results, pause):
    """The whole retention happens after the call number `pause` of the rollback."""
    for number in range(1, 6):
        version(results, number)
    old = pointer("v5", "v4")
    served = [old.history[0], Tenure(version="v1", since=START, action="Promoted", by="job")]
    stored = old.model_copy(update={"history": served})
    results.put("champion.json", stored.model_dump_json(by_alias=True).encode())

    def other():
        for _ in range(pause):
            yield
        results.apply_retention(versions=2)
        while True:
            yield

    with suppress(NotFound, ObjectChanged, BadData):
        results.registry(Interleaved(results.store, other())).rollback("v1", by="by-hand", now=LATER)
    champion = results.registry().champion()
    assert champion is not None
    assert results.registry().find_version(champion.version) is not None
    assert f"versions/{champion.version}/model.skops" in results.names()


def test_a_reservation_that_was_left_behind_expires(results):
    for number in range(1, 4):
        version(results, number)
    results.put("champion.json", pointer("v3", "v2").model_dump_json(by_alias=True).encode())
    results.put("versions/v1/wanted.json")
    assert results.apply_retention(versions=2).versions == ()
    results.put("versions/v1/wanted.json", days_old=2)
    assert results.apply_retention(versions=2).versions == ("v1",)
    assert not [name for name in results.names() if name.startswith("versions/v1/")]


@pytest.mark.parametrize("now", [START - dt.timedelta(days=4000), dt.datetime.now(dt.UTC) + dt.timedelta(days=4000)])
def test_a_simulated_time_makes_no_reservation_and_no_report_older(results, now):
    """A replay passes the time that it simulates; the store stamps its objects with its own."""
    for number in range(1, 4):
        version(results, number)
    results.put("champion.json", pointer("v3", "v2").model_dump_json(by_alias=True).encode())
    results.put("versions/v1/wanted.json")
    results.put("runs/u/1/verdict.json", b'{"version": "gone"}', days_old=5)
    results.put("runs/u/2/verdict.json", b'{"version": "gone"}')
    results.put("profiles/a/1.profile", days_old=5)
    result = apply_retention(results.registry(), "u", Retention(versions=2, report_days=30), now=now)
    assert (result.versions, result.runs, result.profiles) == ((), 0, 0)
    assert {"versions/v1/model.skops", "runs/u/1/verdict.json", "profiles/a/1.profile"} < results.names()


@pytest.mark.parametrize("content", [b'{"version": "v5', None])
def test_a_damaged_version_does_not_stop_retention(results, content):
    """Its own files and the report of its training are kept, for a person to restore it."""
    for number in range(1, 7):
        version(results, number)
        results.put(f"runs/u/{number}/verdict.json", f'{{"version": "v{number}"}}'.encode(), days_old=100)
    results.put("champion.json", pointer("v6", "v5").model_dump_json(by_alias=True).encode())
    for number in (2, 5):
        if content is None:
            results.store.delete(f"{results.prefix}versions/v{number}/version.json")
        else:
            results.put(f"versions/v{number}/version.json", content)
    deleted = results.apply_retention(versions=2, report_days=30)
    assert deleted.versions == ("v1", "v3")
    assert deleted.runs == 2
    assert {"versions/v2/model.skops", "versions/v5/model.skops", "runs/u/2/verdict.json"} < results.names()


@pytest.mark.parametrize("content", [b"damaged", None])
def test_without_a_readable_pointer_no_version_is_deleted(results, content):
    for number in range(1, 7):
        version(results, number)
    results.put("runs/u/1/verdict.json", b'{"version": "gone"}', days_old=100)
    if content is None:
        results.put("tenures/000001-v1.json", pointer("v1").history[0].model_dump_json(by_alias=True).encode())
    else:
        results.put("champion.json", content)
    deleted = results.apply_retention(versions=2, report_days=30)
    assert (deleted.versions, deleted.runs) == ((), 1)


def test_what_a_killed_probe_left_behind_is_deleted(results):
    results.put("probes/a.json", days_old=2)
    results.put("probes/b.json")
    results.apply_retention()
    assert results.names() == {"probes/b.json"}
