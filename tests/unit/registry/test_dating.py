"""Who served when, by clocks that go back or lie: no gap, no overlap, and the truth where the object store knows it."""

import datetime as dt
import itertools
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.registry.dating import TOLERANCE, date_by_store, date_change, needs_store_clock
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.records import Tenure, pointer_of
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.storage.local import path_of, uri_of
from modelmonitor_trainer.storage.open import open_store
from unit.registry.registries import at, promoted, stored

HOUR = dt.timedelta(hours=1)


def pointer(*days):
    """Return a pointer whose tenures began on these days, the present one first."""
    count = len(days)
    return pointer_of(
        [
            Tenure(number=count - index, version=f"v{count - index}", since=at(day), action="Promoted", by="j")
            for index, day in enumerate(days)
        ]
    )


TIMES = st.lists(st.integers(-1000, 1000), min_size=1, max_size=8)


@given(days=TIMES, moment=st.integers(-1200, 1200))
def test_at_every_moment_one_version_serves(days, moment):
    """Whatever the clocks of earlier releases wrote."""
    history = pointer(*days)
    periods = history.all_periods()
    for one, following in itertools.pairwise(periods):
        assert one.until == following.since
    assert periods[-1].until is None
    served = history.serving_periods(at(moment), at(moment))
    assert len(served) == (at(moment) >= history.starts()[-1])


@given(days=TIMES, now=st.integers(-1000, 1000), store_now=st.integers(-1000, 1000), ago=st.integers(0, 100))
def test_a_change_never_begins_before_the_one_that_it_follows(days, now, store_now, ago):
    history = pointer(*days)
    if not needs_store_clock(history, at(now)):
        dated = date_change(history, at(now))
    else:
        dated = date_by_store(history, at(now), store_now=at(store_now), store_then=at(store_now - ago))
    assert dated.pointer is not None
    assert dated.since >= dated.pointer.starts()[0]
    assert [tenure.version for tenure in dated.pointer.history] == [tenure.version for tenure in history.history]
    assert dated.pointer.numbers() == history.numbers()


@pytest.mark.parametrize(
    ("since", "now", "store_now", "store_then", "begins", "previous"),
    [
        pytest.param(10, -5000, 20, 10, 20, 10, id="this machine is behind"),
        pytest.param(400, 20, 20, 10, 20, 10, id="the machine of the previous change was ahead"),
        pytest.param(400, 20, 5000, 4990, 5000, 400, id="this machine and the previous one disagree with the store"),
        pytest.param(400, 20, -900, -910, 400, 400, id="the store agrees with neither"),
    ],
)
def test_the_store_decides_which_clock_is_wrong(since, now, store_now, store_then, begins, previous):
    history = pointer(since, 1)
    assert needs_store_clock(history, at(now))
    dated = date_by_store(history, at(now), store_now=at(store_now), store_then=at(store_then))
    assert dated.pointer is not None
    assert (dated.since, dated.pointer.since) == (at(begins), at(previous))
    assert dated.corrected == (frozenset({2}) if previous != since else frozenset())


def test_clocks_that_differ_by_little_agree():
    history = pointer(10)
    assert not needs_store_clock(history, at(10) - TOLERANCE)
    assert date_change(history, at(10) - HOUR).since == at(10)
    assert date_change(None, at(10)).since == at(10)


@pytest.fixture
def registry(tmp_path):
    return ModelRegistry(open_store(None), ResultsLayout(f"{uri_of(tmp_path)}/results/ns/mon/"))


def test_a_promotion_by_a_clock_that_was_ahead_is_corrected_by_the_next_change(registry):
    """The champion of a machine whose clock was a year ahead served from when the object store wrote the pointer."""
    present = dt.datetime.now(dt.UTC).replace(microsecond=0)
    first, second = stored(registry, 1), stored(registry, 2)
    registry.promote(first, instead_of=None, by="train-1", now=present - dt.timedelta(days=30))
    registry.promote(second, instead_of=first.version, by="train-2", now=present + dt.timedelta(days=365))
    written = (present - dt.timedelta(days=10)).timestamp()
    os.utime(path_of(registry.layout.champion), (written, written))
    registry.rollback("previous", by="rollback-1", now=present)
    history = registry.champion()
    assert history is not None
    assert [period.since for period in history.all_periods()][:2] == [
        present - dt.timedelta(days=30),
        present - dt.timedelta(days=10),
    ]
    for days, version in ((-20, first.version), (-5, second.version), (1, first.version)):
        moment = present + dt.timedelta(days=days)
        assert [period.tenure.version for period in history.serving_periods(moment, moment)] == [version]
    copy = Tenure.model_validate_json(registry.store.read(registry.layout.tenure(2, second.version)))
    assert copy.since == present - dt.timedelta(days=10), "the copy is corrected, too"


def test_a_rollback_by_a_clock_that_is_behind_is_dated_by_the_store(registry):
    present = dt.datetime.now(dt.UTC)
    first, second = stored(registry, 1), stored(registry, 2)
    registry.promote(first, instead_of=None, by="train-1", now=present - dt.timedelta(days=30))
    registry.promote(second, instead_of=first.version, by="train-2", now=present - dt.timedelta(days=10))
    registry.rollback("previous", by="rollback-1", now=dt.datetime(1970, 1, 2, tzinfo=dt.UTC))
    history = registry.champion()
    assert history is not None
    assert abs(history.since - present) < HOUR
    assert history.history[1].since < history.since


def test_older_releases_did_not_number_the_changes(registry):
    promoted(registry, 1, 2)
    old = registry.champion().to_wire()
    for tenure in (old, *old["history"]):
        del tenure["number"]
    path_of(registry.layout.champion).write_text(json.dumps(old))
    for uri in registry.store.children(registry.layout.tenures):
        registry.store.delete(uri)
    registry.rollback("previous", by="r", now=at(3))
    assert registry.champion().numbers() == [3, 2, 1]
    assert [tenure.number for tenure in registry.champion().history] == [3, 2, 1]
    assert len(registry.store.children(registry.layout.tenures)) == 3
