"""Replays of a small monitor with real checks, trainings and promotions."""

import dataclasses
import json
from typing import Any

import pytest

from modelmonitor_api.names import Role
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.replay import run as runs
from modelmonitor_trainer.replay.arrival import Arrival
from modelmonitor_trainer.replay.replay import replay
from modelmonitor_trainer.replay.result import describe_outcome
from unit.replay.conftest import CHANGE


@pytest.fixture(scope="module")
def result(past):
    return replay(past.request(processes=2))


def events(result):
    """Return what happened, without the locations of results."""
    return [
        (event.time, event.job.name, describe_outcome(event), event.answer.reason, event.answer.message)
        for event in result.own.events
    ]


def test_the_loop_is_lived(result):
    """Days of checks at 06:00, a first model at once, the next ones by the period and by the change."""
    checks = [event for event in result.own.events if event.job.role is Role.CHECK]
    trainings = [event for event in result.own.events if event.job.role is Role.TRAIN]
    assert [event.time.hour for event in checks[:3]] == [0, 6, 6]
    assert describe_outcome(trainings[0]) == "Promoted"
    assert trainings[0].time.date() == result.first
    assert result.own.counts.promoted >= 2
    assert result.own.counts.checks == len(checks) == 25 + 1


def test_the_model_that_serves_is_scored(result):
    """Before the change it is good, after it worse than chance, and a model that has learnt it is good again."""
    scores = dict(zip([start for start, _ in result.periods], result.own.served, strict=True))
    before = [score for day, score in scores.items() if day < CHANGE]
    assert min(before) > 0.6
    assert min(score for day, score in scores.items() if day >= CHANGE) < 0.5
    assert result.own.mean.low < result.own.mean.value < result.own.mean.high


def test_the_number_of_processes_does_not_matter(past, result):
    other = replay(past.request(name="alone", processes=1))
    assert events(other) == events(result)
    assert other.own.served == result.own.served


class Stop(Exception):
    pass


def test_an_interrupted_replay_goes_on(past, result, monkeypatch):
    """Wherever it stops, the rest is what an uninterrupted one does, and nothing is done twice."""
    done = []
    run_here = runs._Runner._run_here

    def recording(self, job, now):
        done.append(job.name)
        return run_here(self, job, now)

    monkeypatch.setattr(runs._Runner, "_run_here", recording)

    def stop(at):
        seen = []

        def on_progress(_name, event):
            seen.append(event)
            if len(seen) == at:
                raise Stop

        return on_progress

    for at in (1, 3, 12):
        with pytest.raises(Stop):
            replay(past.request(name="stopped", processes=1), stop(at))
    resumed = replay(past.request(name="stopped", processes=1))
    assert events(resumed) == events(result)
    assert resumed.own.served == result.own.served
    assert len(done) == len(set(done)), "each Job was run once"


def test_a_line_that_was_cut_is_done_again(past, result):
    request = past.request(name="cut", processes=1)
    replay(request)
    journal = next((request.folder / "settings").glob("*/*/journal.jsonl"))
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-40])
    assert events(replay(request)) == events(result)
    assert len(journal.read_bytes().splitlines()) == len(whole.splitlines())


def test_a_journal_of_something_else_is_refused(past):
    request = past.request(name="foreign", last=44, processes=1)
    replay(request)
    journal = next((request.folder / "settings").glob("*/*/journal.jsonl"))
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([lines[0], json.dumps(json.loads(lines[1]) | {"job": "other"}), *lines[2:]]) + "\n")
    with pytest.raises(BadData, match=r"records other at .* choose another folder with --results"):
        replay(request)
    journal.write_text("not JSON\n")
    with pytest.raises(BadData, match=r"journal.jsonl, line 1, is damaged"):
        replay(request)


def test_the_live_results_are_not_touched(past, result):
    assert not (past.folder / "results" / "default").exists()
    assert result.own.events


@pytest.mark.parametrize("change", ["first", "arrival"])
def test_a_replay_of_something_else_in_the_same_folder_starts_anew(past, change):
    """Neither the champion nor the journal of another range, or of other arrivals, is used."""
    changes: dict[str, Any] = {"first": {"first": 46}, "arrival": {"arrival": Arrival.PARTITION}}
    fields = changes[change]
    replay(past.request(name=f"shared {change}", last=54, processes=1))
    again = replay(past.request(name=f"shared {change}", last=54, processes=1, **fields))
    assert events(again) == events(replay(past.request(name=f"alone {change}", last=54, processes=1, **fields)))
    trainings = [event for event in again.own.events if event.job.role is Role.TRAIN]
    assert trainings[0].answer.reason == "FirstModel"


def test_a_range_can_be_extended(past, result):
    request = past.request(name="longer", last=54, processes=1)
    short = replay(request)
    longer = replay(dataclasses.replace(request, period=past.request().period))
    assert events(longer)[: len(events(short))] == events(short)
    assert events(longer) == events(result)
