"""The ledger of decisions, and the owner of a results prefix."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from modelmonitor_api.messages import CheckRequest, MonitorRef
from modelmonitor_api.status import RecordedDecision
from modelmonitor_trainer.cli.pod import announce
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.ledger import read_ledger, write_decisions
from modelmonitor_trainer.registry.ownership import ABANDONED, claim
from modelmonitor_trainer.storage.open import open_store
from unit.policy.factories import spec

NOW = dt.datetime(2013, 4, 2, 6, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def monitor(uid="u-1", cluster="blue"):
    return MonitorRef(namespace="ml", name="churn", uid=uid, cluster=cluster)


def decision(hour, action="Held"):
    return RecordedDecision(time=NOW + dt.timedelta(hours=hour), action=action, reason="CoolingDown")


@pytest.fixture
def store():
    return open_store(None)


@pytest.fixture
def layout(tmp_path):
    return ResultsLayout.of(spec(storage={"resultsURI": f"{tmp_path.as_uri()}/"}), monitor())


def test_the_ledger_is_the_union_of_overlapping_files(store, layout):
    write_decisions(store, layout, monitor(), [decision(1), decision(0)])
    write_decisions(store, layout, monitor(), [decision(1), decision(0)])
    write_decisions(store, layout, monitor(), [decision(2), decision(1)])
    write_decisions(store, layout, monitor(), [])
    assert [entry.time.hour - 6 for entry in read_ledger(store, layout, "u-1")] == [0, 1, 2]
    assert len(list(store.list(f"{layout.root}ledger/"))) == 2
    assert read_ledger(store, layout, "u-2") == []


@pytest.mark.parametrize(
    ("other", "after", "refused"),
    [
        pytest.param(monitor(), DAY, False, id="the same monitor"),
        pytest.param(monitor("u-2"), DAY, False, id="created again"),
        pytest.param(monitor("u-1", "green"), DAY, False, id="the certificate authority was replaced"),
        pytest.param(monitor("u-2", "green"), DAY, True, id="another cluster"),
        pytest.param(monitor("u-2", "green"), ABANDONED, False, id="the other one is gone"),
        pytest.param(monitor("local", None), DAY, False, id="a command line"),
    ],
)
def test_who_may_write_below_a_prefix(store, layout, other, after, refused):
    claim(store, layout, monitor(), NOW)
    if refused:
        with pytest.raises(BadConfiguration, match="in another cluster, which last wrote on 2013-04-02"):
            claim(store, layout, other, NOW + after)
        assert json.loads(store.read(layout.owner))["cluster"] == "blue"
    else:
        claim(store, layout, other, NOW + after)
    claim(store, layout, monitor(other.uid, other.cluster) if not refused else monitor(), NOW + after)


def test_a_damaged_owner_is_replaced(store, layout):
    store.write(layout.owner, b"{")
    claim(store, layout, monitor(), NOW)
    assert json.loads(store.read(layout.owner))["uid"] == "u-1"


def test_a_pod_announces_itself_before_its_work(store, layout, tmp_path):
    declared = spec(storage={"resultsURI": f"{tmp_path.as_uri()}/"})
    announce(CheckRequest(monitor=monitor(), spec=declared, decisions=[decision(0)]))
    assert len(read_ledger(store, layout, "u-1")) == 1
    with pytest.raises(BadConfiguration):
        announce(CheckRequest(monitor=monitor("u-2", "green"), spec=declared))
