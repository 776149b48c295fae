"""Retention: what is past it goes, and what somebody may still need never does."""

import datetime as dt
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.spec import Retention
from modelmonitor_trainer.registry.champion import Pointer, Reign, VersionRecord
from modelmonitor_trainer.registry.retention import expendable, tidy
from modelmonitor_trainer.storage.local import path_of, uri_of
from modelmonitor_trainer.storage.store import open_store

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def record(number, outcome="Rejected", reason="Worse", compared_with="v1"):
    period = {"start": "2024-01-01", "end": "2024-01-10", "rows": 100}
    return VersionRecord(
        version=f"v{number}",
        number=number,
        monitor_uid="u",
        created=START + dt.timedelta(days=number),
        trigger="DriftDetected",
        seed=0,
        task="Regression",
        target="y",
        features=[],
        train=period,
        holdout=period,
        manifest_sha256="0",
        predictions_sha256="0",
        metric="R2",
        outcome=outcome,
        reason=reason,
        message="m",
        compared_with=compared_with,
    )


def pointer(version, previous=None):
    reign = Reign(version=version, since=START, action="Promoted", by="job", previous=previous)
    return Pointer(**reign.model_dump(), history=[reign])


RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["Passed", "Rejected", "Inconclusive"]),
        st.sampled_from(["Better", "TooGoodToBeTrue"]),
        st.sampled_from(["v1", "v2", "v3", None]),
    ),
    min_size=1,
    max_size=12,
).map(lambda drawn: [record(place + 1, *parts) for place, parts in reversed(list(enumerate(drawn)))])


@given(
    records=RECORDS,
    champion=st.sampled_from(["v1", "v2", "v3"]),
    previous=st.sampled_from(["v1", "v4", None]),
    newest=st.integers(2, 6),
)
def test_what_is_never_expendable(records, champion, previous, newest):
    gone = expendable(records, pointer(champion, previous), newest)
    names = {each.version for each in gone}
    assert not names & {champion, previous}
    assert not names & {each.version for each in records[:newest]}
    assert all(not (each.outcome == "Passed" and each.compared_with == champion) for each in gone)
    numbers = [each.number for each in gone]
    assert numbers == sorted(numbers), "the oldest first"


def test_rejected_and_bygone_versions_go():
    records = [record(number) for number in range(9, 0, -1)]
    assert [each.version for each in expendable(records, pointer("v7", "v2"), 3)] == ["v1", "v3", "v4", "v5", "v6"]
    waiting = [*records[:-1], record(1, "Passed", "Better", "v7")]
    assert "v1" not in [each.version for each in expendable(waiting, pointer("v7", "v2"), 3)]
    bygone = [*records[:-1], record(1, "Passed", "Better", "v5")]
    assert "v1" in [each.version for each in expendable(bygone, pointer("v7", "v2"), 3)], (
        "it cannot be promoted anymore"
    )


class Results:
    """Results on a folder, as old as they are said to be."""

    def __init__(self, folder):
        self.store, self.prefix = open_store(None), f"{uri_of(folder)}/ns/mon/"
        self.now = START + dt.timedelta(days=400)

    def put(self, name, data=b"{}", days_old=0):
        self.store.write(self.prefix + name, data)
        then = (dt.datetime.now(dt.UTC) - dt.timedelta(days=days_old)).timestamp()
        os.utime(path_of(self.prefix + name), (then, then))

    def tidy(self, **retention):
        return tidy(self.store, self.prefix, "u", Retention(**retention), now=dt.datetime.now(dt.UTC))

    def names(self):
        root = path_of(self.prefix)
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path)


def version(results, number, **more):
    found = record(number, **more)
    results.put(f"versions/{found.version}/model.skops", b"model")
    results.put(f"versions/{found.version}/version.json", found.model_dump_json(by_alias=True).encode())


def test_tidying(results):
    for number in range(1, 7):
        version(results, number)
        results.put(f"runs/u/{number}/report.html", days_old=100)
        results.put(f"runs/u/{number}/verdict.json", f'{{"version": "v{number}"}}'.encode(), days_old=100)
    results.put("runs/u/7/manifest.json", days_old=100)
    results.put("versions/v7/model.skops")
    results.put("champion.json", pointer("v2", "v1").model_dump_json(by_alias=True).encode())
    before = results.names()
    found = results.tidy(versions=2, report_days=30)
    assert found.versions == ("v3", "v4")
    assert found.runs == 2
    gone = {
        name for number in (3, 4) for name in (f"versions/v{number}/model.skops", f"versions/v{number}/version.json")
    }
    gone |= {name for number in (3, 4) for name in (f"runs/u/{number}/report.html", f"runs/u/{number}/verdict.json")}
    assert before - results.names() == gone, "nothing that is not complete, and nothing of versions that are kept"
    assert results.tidy(versions=2, report_days=30).versions == ()


def test_young_reports_stay(results):
    results.put("runs/u/1/verdict.json", b'{"version": "v1"}', days_old=5)
    results.put("runs/u/2/verdict.json", b"not JSON", days_old=50)
    assert results.tidy(report_days=30).runs == 1
    assert results.names() == {"runs/u/1/verdict.json"}


def test_checks_go_by_the_time_they_were_due_and_the_newest_stay(results):
    today = dt.datetime.now(dt.UTC)
    for age in range(0, 60, 3):
        due = today - dt.timedelta(days=age)
        results.put(f"checks/u/{due:%Y%m%dT%H%M%SZ}-mon-check/verdict.json")
        results.put(f"checks/u/{due:%Y%m%dT%H%M%SZ}-mon-check/report.html")
    results.put("checks/u/notes.txt")
    assert results.tidy(report_days=30).checks == 10
    assert results.tidy(report_days=30).checks == 0
    assert len(results.names()) == 10 * 2 + 1
    assert results.tidy(report_days=7).checks == 0, "the ten newest stay, whatever their age"


def test_a_version_that_is_rolled_back_to_meanwhile_stays(results):
    for number in range(1, 5):
        version(results, number)
    pointers = [pointer("v4", "v3"), pointer("v1", "v4")]

    class Moving:
        def __getattr__(self, name):
            return getattr(results.store, name)

        def read_versioned(self, _):
            found = pointers[0] if len(pointers) == 1 else pointers.pop(0)
            return found.model_dump_json(by_alias=True).encode(), "etag"

    found = tidy(Moving(), results.prefix, "u", Retention(versions=2), now=results.now)
    assert found.versions == ("v2",)
