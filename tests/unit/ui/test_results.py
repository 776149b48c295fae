"""The stored results that a page shows: what is missing or damaged hides nothing else."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.status import RecordedDecision
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.cluster.report_page import layout_of
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.registry.ledger import write_decisions
from modelmonitor_trainer.storage.local import LocalStore
from modelmonitor_trainer.ui.monitor_view import events_of, lineage_of
from modelmonitor_trainer.ui.results import CHECKS, CheckCache, FeatureEffect, MonitorResults, read_results
from unit.cluster.observed import DAY, HOUR, NOW, UID, last_check, observed
from unit.ui.monitored import served, write_check


def monitor_in(folder: Path, **fields: Any) -> ObservedMonitor:
    return observed(spec={"storage": {"resultsURI": f"file://{folder}/"}}, **fields)


def read(monitor: ObservedMonitor, cache: CheckCache | None = None) -> MonitorResults:
    return read_results(LocalStore(), monitor, cache or CheckCache())


def test_a_monitor_without_results_has_an_empty_page(tmp_path: Path) -> None:
    assert read(monitor_in(tmp_path)) == MonitorResults()


def test_an_invalid_spec_has_no_results() -> None:
    with pytest.raises(BadConfiguration, match="resultsURI"):
        read(observed(spec={"storage": {"resultsURI": "nowhere"}}))


def test_checks_are_read_with_effects_and_scores(tmp_path: Path) -> None:
    effects = [("temp", 0.31, True), ("wind", 1.7, False), ("broken", float("nan"), False)]
    name = write_check(tmp_path, 1, "Drift", effects, served("0.7"))
    write_check(tmp_path, 2)
    (tmp_path / "ml" / "flights" / "checks" / UID / "20130401T000000Z-running").mkdir()
    [older, newer] = read(monitor_in(tmp_path)).checks
    assert (newer.folder, newer.due, newer.verdict) == (name, NOW - DAY, "Drift")
    assert newer.effects == {"temp": FeatureEffect(0.31, drifted=True), "wind": FeatureEffect(1.0, drifted=False)}
    assert newer.score is not None
    assert newer.score.score == "0.7"
    assert older.effects == {}


@pytest.mark.parametrize("document", ["no JSON", "[]", "{}", '{"answer": 7}', '{"answer": {}, "features": 3}'])
def test_a_damaged_check_is_left_out(tmp_path: Path, document: str) -> None:
    damaged = write_check(tmp_path, 1)
    (tmp_path / "ml" / "flights" / "checks" / UID / damaged / "verdict.json").write_text(document)
    write_check(tmp_path, 2)
    assert len(read(monitor_in(tmp_path)).checks) == 1


def test_the_newest_checks_are_read_once(tmp_path: Path) -> None:
    for day in range(CHECKS + 2):
        write_check(tmp_path, day)
    cache, monitor = CheckCache(), monitor_in(tmp_path)
    before = read(monitor, cache)
    for verdict in tmp_path.rglob("verdict.json"):
        verdict.write_text("gone")
    assert read(monitor, cache) == before
    assert len(before.checks) == CHECKS
    assert before.checks[-1].due == NOW
    assert read(monitor, CheckCache()).checks == ()


def test_the_cache_forgets_what_was_used_least_recently(tmp_path: Path) -> None:
    write_check(tmp_path, 1)
    [check] = read(monitor_in(tmp_path)).checks
    cache = CheckCache(2)
    for uri in ("a", "b", "a", "c"):
        cache.get(uri, lambda: check)
    reads = []

    def read_again() -> Any:
        reads.append(1)
        return check

    for uri in ("a", "c", "b"):
        cache.get(uri, read_again)
    assert len(reads) == 1, "only b was forgotten"


def test_a_damaged_pointer_is_a_problem_and_hides_no_check(tmp_path: Path) -> None:
    write_check(tmp_path, 1)
    (tmp_path / "ml" / "flights" / "champion.json").write_text("{")
    results = read(monitor_in(tmp_path))
    assert len(results.checks) == 1
    [problem] = results.problems
    assert problem.startswith("The champions cannot be read: ")


def tenure(number: int, version: str, since: dt.datetime) -> dict[str, Any]:
    return {
        "number": number,
        "version": version,
        "since": since.isoformat(),
        "action": "Promoted",
        "by": "job",
        "message": "Better",
        "metric": "ROCAUC",
        "score": 0.81234,
        "dataStart": "2013-01-01",
        "dataEnd": "2013-02-01",
        "trainRows": 12345,
    }


def test_champions_and_events_link_to_pages(tmp_path: Path) -> None:
    root = tmp_path / "ml" / "flights"
    name = write_check(tmp_path, 1, "Drift")
    (root / "runs" / UID / "2").mkdir(parents=True)
    (root / "runs" / UID / "2" / "report.html").write_text("x")
    history = [tenure(2, "v2-b", NOW - DAY), tenure(1, "v1-a", NOW - 9 * DAY)]
    (root / "champion.json").write_text(json.dumps({"schemaVersion": 1, **history[0], "history": history}))
    promoted = RecordedDecision(time=NOW - DAY, action="Promoted", reason="Better", version="v2-b", seconds=90)
    older = RecordedDecision(time=NOW - 9 * DAY, action="Promoted", message="First model.", version="v1-a")
    monitor = monitor_in(tmp_path, decisions=[promoted], last_check=last_check(job_name="newest"))
    ref = MonitorRef(namespace="ml", name="flights", uid=UID)
    write_decisions(LocalStore(), layout_of(monitor), ref, [older, promoted])
    results = read(monitor)
    events = events_of(monitor, results)
    assert [(event.what, event.page) for event in events] == [
        ("NoDrift", ""),
        ("Promoted (Better)", "trainings/2"),
        ("Drift", f"checks/{name}"),
        ("Promoted", ""),
    ]
    assert events[-1].text == "v1-a: First model."
    assert events[0].time == NOW - 3 * HOUR
    new, old = lineage_of(results)
    assert (new.version, new.until, new.page) == ("v2-b", None, "trainings/2")
    assert (old.version, old.until, old.page) == ("v1-a", NOW - DAY, "")
    assert (old.trained, old.score, old.how) == (
        "2013-01-01 to 2013-02-01, 12,345 rows",
        "ROCAUC 0.8123",
        "Promoted. Better.",
    )
