"""Trainings on S3-compatible stores: those that ignore conditions, and those whose requests fail now and then."""

import collections
import threading

import pytest

from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.errors import BadConfiguration, StorageUnavailable
from modelmonitor_trainer.storage.open import open_store
from support.faulty import Fault, faulty_proxy
from support.s3_standin import IGNORE, standin_store
from unit.train.conftest import World

CONFLICT = Fault(refuse=(409, "ConditionalRequestConflict"))
BUSY = Fault(refuse=(503, "SlowDown"))


@pytest.fixture
def standin(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setattr("modelmonitor_trainer.storage.s3.random.uniform", lambda _low, _high: 0)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, _context: 0)
    with standin_store() as standin:
        yield standin


@pytest.fixture
def proxy(standin, monkeypatch):
    with faulty_proxy(standin.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


@pytest.fixture
def remote(proxy, tmp_path):
    """Eighteen days on the store, behind the proxy."""
    world = World(tmp_path, base="s3://bucket")
    world.land(1, 18)
    return world


def results(standin):
    return {path for path in standin.objects if path.startswith("/bucket/results/")}


@pytest.mark.parametrize("condition", ["if_none_match", "if_match"])
@pytest.mark.parametrize("treatment", [IGNORE, (501, "NotImplemented")], ids=["ignored", "not implemented"])
def test_nothing_is_trained_without_conditional_writes(remote, standin, capsys, condition, treatment):
    setattr(standin, condition, treatment)
    with pytest.raises(BadConfiguration, match="does not support conditional writes"):
        remote.train()
    assert results(standin) == set()
    for command in ("train", "rollback", "promote"):
        more = ("--version", "v1-00000000") if command == "promote" else ()
        assert main([command, "-f", remote.file(), *more]) == 2
        assert "champion.json" not in "".join(results(standin))
        assert capsys.readouterr().out == ""


def test_what_was_promoted_before_is_still_shown(remote, standin, capsys):
    assert remote.train().outcome == "Promoted"
    standin.if_match = IGNORE
    assert main(["versions", "-f", remote.file()]) == 0
    assert capsys.readouterr().out.startswith("* v1-")


def every(number, fault, method="PUT"):
    """Return a fault of every so manyth request of a method."""
    count = 0
    lock = threading.Lock()

    def chosen(request):
        nonlocal count
        if request.method != method:
            return None
        with lock:
            count += 1
            return fault if count % number == 0 else None

    return chosen


def first_of_each_object(number, fault):
    """Return a fault of the first so many writes of each object: no writer meets more, however they take turns."""
    counts: collections.Counter[str] = collections.Counter()
    lock = threading.Lock()

    def chosen(request):
        if request.method != "PUT":
            return None
        with lock:
            counts[request.path] += 1
            return fault if counts[request.path] <= number else None

    return chosen


@pytest.mark.parametrize(
    "fault",
    [every(3, CONFLICT), every(3, Fault(cut=True)), every(3, BUSY), every(4, Fault(cut=True), "GET")],
    ids=["conflicts", "lost responses", "overload", "truncated bodies"],
)
def test_a_training_on_a_store_whose_requests_fail_now_and_then(remote, standin, proxy, fault):
    proxy.fault = fault
    verdict = remote.train()
    assert verdict.outcome == "Promoted", verdict.message
    proxy.fault = lambda _: None
    assert [tenure.version for tenure in remote.champion().history] == [verdict.version]
    assert remote.train() == verdict
    assert [path for path in results(standin) if "/tenures/" in path] == [
        f"/bucket/results/ns/mon/tenures/000001-{verdict.version}.json"
    ]
    assert not [path for path in results(standin) if "/probes/" in path]


def test_a_store_that_is_always_in_conflict_is_unavailable(remote, standin, proxy):
    remote.train()
    pointer = standin.objects["/bucket/results/ns/mon/champion.json"]
    remote.land(19, 40, slope=-2.0)
    proxy.fault = lambda request: CONFLICT if request.method == "PUT" and "champion.json" in request.path else None
    with pytest.raises(StorageUnavailable, match=r"ConditionalRequestConflict for .*champion\.json"):
        remote.train(2)
    assert standin.objects["/bucket/results/ns/mon/champion.json"] == pointer
    proxy.fault = lambda _: None
    assert remote.train(2).outcome == "Promoted", "the next pod continues"


def test_two_approvals_that_race_on_a_store_with_conflicts(remote, standin, proxy):
    """Both versions were compared with no champion: one is promoted, the other learns that there is a champion."""
    remote.spec["promotion"]["mode"] = "Manual"
    versions = [remote.train(1).version]
    remote.land(19, 40, slope=-2.0)  # from the same data, there would be no second version
    versions.append(remote.train(2).version)
    proxy.fault = first_of_each_object(2, CONFLICT)
    outcomes, ready = [], threading.Barrier(2)

    def approve(version):
        racing = World(remote.folder, store=open_store(None), base=remote.base)
        ready.wait()
        outcomes.append(racing.promote(version, job=f"promote-{version}").outcome)

    threads = [threading.Thread(target=approve, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["Inconclusive", "Promoted"]
    assert len(remote.champion().history) == 1
