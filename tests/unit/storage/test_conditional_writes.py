"""Conditional writes on stores that ignore, refuse or interrupt them."""

import pytest

from modelmonitor_trainer.errors import BadConfiguration, PreconditionFailed, StorageUnavailable
from modelmonitor_trainer.storage.conditional_writes import ConditionIgnored, probe_conditional_writes
from modelmonitor_trainer.storage.local import LocalStore, uri_of
from modelmonitor_trainer.storage.s3 import RetryPolicy, S3Store
from support.faulty import Fault, faulty_proxy
from support.killed import Killed, KilledStore, count_calls
from support.processes import PATIENCE
from support.s3_standin import IGNORE, standin_store

PREFIX = "s3://bucket/results/ns/mon/probes/"
URI = "s3://bucket/object"


@pytest.fixture(autouse=True)
def fast_and_anonymous(monkeypatch):
    """Credentials, and no delays between attempts."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setattr("modelmonitor_trainer.storage.s3.random.uniform", lambda _low, _high: 0)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, _context: 0)


@pytest.fixture
def standin():
    with standin_store() as standin:
        yield standin


@pytest.fixture
def proxy(standin):
    with faulty_proxy(standin.endpoint) as proxy:
        yield proxy


def opened(endpoint):
    return S3Store(
        endpoint, "us-east-1", patience=RetryPolicy(connect_seconds=PATIENCE, read_seconds=PATIENCE, attempts=3)
    )


def test_a_store_that_fulfils_conditions_passes_and_keeps_nothing(standin):
    opened(standin.endpoint).require_conditional_writes(PREFIX)
    assert standin.objects == {}


def test_a_prefix_is_probed_once(proxy):
    store = opened(proxy.endpoint)
    store.require_conditional_writes(PREFIX)
    requests = len(proxy.requests)
    store.require_conditional_writes(PREFIX)
    assert len(proxy.requests) == requests
    store.require_conditional_writes("s3://bucket/other/probes/")
    assert len(proxy.requests) == 2 * requests


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"if_none_match": IGNORE}, r"If-None-Match: \* is ignored"),
        ({"if_match": IGNORE}, "If-Match is ignored"),
        ({"if_none_match": IGNORE, "if_match": IGNORE}, "is ignored"),
        ({"if_none_match": (501, "NotImplemented")}, r"rejected a write with If-None-Match: \* \(.* NotImplemented"),
        ({"if_match": (501, "NotImplemented")}, r"rejected a write with If-Match \(.* NotImplemented"),
        ({"if_match": (400, "InvalidArgument")}, r"rejected a write with If-Match \(.* InvalidArgument"),
        ({"if_none_match": (412, "PreconditionFailed")}, "refused to create"),
        ({"if_match": (412, "PreconditionFailed")}, "refused to replace"),
        ({"if_none_match": (404, "NoSuchKey")}, "refused to create"),
    ],
)
def test_a_store_that_does_not_support_conditions_is_refused(standin, changes, words):
    for name, treatment in changes.items():
        setattr(standin, name, treatment)
    messages = set()
    for _ in range(2):
        with pytest.raises(ConditionIgnored, match=words) as refused:
            opened(standin.endpoint).require_conditional_writes(PREFIX)
        messages.add(str(refused.value))
    (message,) = messages
    assert "docs/reference/object-stores.md" in message
    assert standin.objects == {}, "nothing is left behind"


def test_another_status_for_an_object_that_exists(standin):
    standin.exists = (304, "NotModified")
    opened(standin.endpoint).require_conditional_writes(PREFIX)


@pytest.mark.parametrize(
    "fault",
    [Fault(refuse=(409, "ConditionalRequestConflict")), Fault(refuse=(500, "InternalError")), Fault(cut=True)],
    ids=["conflict", "error", "lost response"],
)
def test_an_interrupted_write_is_repeated(proxy, standin, fault):
    """Each write fails at first: without effect, or with one whose response is lost."""

    def every_other(request):
        writes = sum(1 for each in proxy.requests if each.method == "PUT")
        return fault if request.method == "PUT" and writes % 2 else None

    proxy.fault = every_other
    opened(proxy.endpoint).require_conditional_writes(PREFIX)
    assert sum(1 for each in proxy.requests if each.method == "PUT") > 4
    assert standin.objects == {}


def test_a_conflict_is_repeated_until_it_is_decided(proxy, standin):
    store = opened(proxy.endpoint)
    conflicts = [Fault(refuse=(409, "ConditionalRequestConflict"))] * 2
    proxy.fault = lambda request: conflicts.pop() if conflicts and request.method == "PUT" else None
    etag = store.write(URI, b"1", if_absent=True)
    conflicts += [Fault(refuse=(409, "ConditionalRequestConflict"))]
    store.write(URI, b"2", if_match=etag)
    assert standin.objects["/bucket/object"][0] == b"2"
    conflicts += [Fault(refuse=(409, "ConditionalRequestConflict"))]
    with pytest.raises(PreconditionFailed):
        store.write(URI, b"3", if_match=etag)


def test_an_endless_conflict_is_no_lost_race(proxy):
    proxy.fault = lambda _: Fault(refuse=(409, "ConditionalRequestConflict"))
    with pytest.raises(StorageUnavailable, match="ConditionalRequestConflict"):
        opened(proxy.endpoint).write(URI, b"1", if_absent=True)
    assert len(proxy.requests) == 3


def test_a_store_that_lacks_a_feature_says_so(proxy):
    proxy.fault = lambda _: Fault(refuse=(501, "NotImplemented"))
    with pytest.raises(BadConfiguration, match="NotImplemented for s3://bucket/object: it does not support"):
        opened(proxy.endpoint).write(URI, b"1", if_absent=True)
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_probe_killed_at_any_call_does_not_disturb_the_next(standin, after):
    calls = count_calls(lambda store: probe_conditional_writes(store, PREFIX), opened(standin.endpoint))
    assert calls >= 6
    for number in range(1, calls + 1):
        with pytest.raises(Killed):
            probe_conditional_writes(KilledStore(opened(standin.endpoint), number, after=after), PREFIX)
        assert len(standin.objects) <= 1
        opened(standin.endpoint).require_conditional_writes(PREFIX)
        standin.objects.clear()


def test_local_files_need_no_probe(tmp_path):
    LocalStore().require_conditional_writes(f"{uri_of(tmp_path)}/probes/")
    assert list(tmp_path.iterdir()) == []
