"""The pods' own code as processes on a real S3 server: checks, trainings, races, and a store that refuses."""

from __future__ import annotations

import datetime as dt
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from modelmonitor_api.messages import CheckVerdict, Failure, RunVerdict
from modelmonitor_api.names import ExitCode, FailureReason, Role, requested_job_name, short_hash
from support.faulty import Fault, S3Request, faulty_proxy
from support.lake import Lake
from support.pods import UID, Pod, Request, check_request, promote_request, rollback_request, train_request
from support.processes import free_port, wait_until
from support.s3 import S3Server

StartPod = Callable[..., Pod]


@pytest.fixture
def lake(s3_server: S3Server, bucket: str) -> Lake:
    """Four weeks of flights."""
    created = Lake(s3_server, bucket)
    created.add_days(0, 28)
    return created


@pytest.fixture
def start(tmp_path: Path, s3_server: S3Server) -> Iterator[StartPod]:
    """Starts pods with the store's credentials, or with others."""
    pods: list[Pod] = []

    def started(request: Request, *, credentials: Mapping[str, str] | None = None, **options: Any) -> Pod:
        pods.append(Pod(request, tmp_path, credentials or s3_server.environment, **options))
        return pods[-1]

    yield started
    for pod in pods:
        pod.process.kill()


def checked(pod: Pod) -> CheckVerdict:
    answer = pod.wait()
    assert isinstance(answer, CheckVerdict), (answer, pod.output())
    assert pod.exit_code == ExitCode.OK
    return answer


def ran(pod: Pod) -> RunVerdict:
    answer = pod.wait()
    assert isinstance(answer, RunVerdict), (answer, pod.output())
    assert pod.exit_code == ExitCode.OK
    return answer


def failed(pod: Pod) -> Failure:
    answer = pod.wait()
    assert isinstance(answer, Failure), (answer, pod.output())
    return answer


def pointer(lake: Lake) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(lake.read("results/demo/flights/champion.json"))
    return content


def test_a_check_reports_and_stores_its_verdict_and_a_second_pod_repeats_it(lake: Lake, start: StartPod) -> None:
    verdict = checked(start(check_request(lake.monitor())))
    assert verdict.verdict == "NoDrift", verdict.message
    assert (verdict.rows.reference, verdict.rows.current) == (20 * 200, 7 * 200)
    assert verdict.champion is None
    assert verdict.time.isoformat() == "2025-02-19T21:20:00+00:00", "the minute in the Job's name"
    results = lake.etags()
    for uri in (verdict.result_uri, verdict.report_uri):
        assert uri is not None
        assert uri.removeprefix(f"s3://{lake.bucket}/") in results
    # A second pod of the same Job, as after an eviction, returns the same result and writes nothing.
    assert checked(start(check_request(lake.monitor()))) == verdict
    assert lake.etags() == results
    # The next day's check reads the one new day: the profiles of the others are there.
    lake.add_days(28, 1)
    profiles = {key: etag for key, etag in results.items() if "/profiles/" in key}
    assert profiles
    checked(start(check_request(lake.monitor()), job="flights-check-29001440"))
    after = lake.etags()
    assert {key: after[key] for key in profiles} == profiles


def test_a_requested_check_uses_the_current_time(lake: Lake, start: StartPod) -> None:
    token = next(token for token in map(str, count()) if short_hash(UID, token).isdigit())
    job = requested_job_name("flights", UID, Role.CHECK, token)
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    verdict = checked(start(check_request(lake.monitor()), job=job))
    assert before <= verdict.time <= dt.datetime.now(dt.UTC)


def test_drift_and_corrupted_data_are_verdicts(lake: Lake, start: StartPod) -> None:
    lake.add_days(28, 7, shift=20)
    drift = checked(start(check_request(lake.monitor()), job="one"))
    assert drift.verdict == "Drift", drift.message
    # The target depends on the temperature, and drifts with it.
    assert "temp" in {feature.name for feature in drift.top_features if feature.drifted}
    lake.put("features", 35, {"id": ["a", "b"], "temp": [50.0, 999.0], "carrier": ["AA", "AA"]})
    corrupted = checked(start(check_request(lake.monitor()), job="two"))
    assert corrupted.verdict == "Corrupted", corrupted.message
    assert "temp" in corrupted.message
    assert "2013-02-05" in corrupted.message
    lake.put_bytes("features", 35, b"PAR1 this is not Parquet")
    broken = start(check_request(lake.monitor()), job="three").wait()
    assert "2013-02-05" in broken.message
    assert not (isinstance(broken, CheckVerdict) and broken.verdict in {"Drift", "NoDrift"})


@pytest.mark.parametrize(
    ("changes", "credentials", "reason", "code"),
    [
        pytest.param(
            {},
            {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "wrong"},
            FailureReason.CREDENTIALS_REFUSED,
            ExitCode.BAD_CONFIGURATION,
            id="wrong secret",
        ),
        pytest.param(
            {},
            {"AWS_EC2_METADATA_DISABLED": "true"},
            FailureReason.CREDENTIALS_REFUSED,
            ExitCode.BAD_CONFIGURATION,
            id="no credentials",
        ),
        pytest.param(
            {"data": {"live": {"uri": "s3://there-is-no-such-bucket/date=%Y-%m-%d/"}}},
            None,
            FailureReason.NOT_FOUND,
            ExitCode.BAD_CONFIGURATION,
            id="no bucket",
        ),
        pytest.param(
            {"model": {"features": [{"name": "humidity", "type": "Numeric"}]}},
            None,
            None,
            None,
            id="no such column",
        ),
    ],
)
def test_a_store_that_denies_access(
    lake: Lake,
    start: StartPod,
    changes: dict[str, Any],
    credentials: dict[str, str] | None,
    reason: FailureReason | None,
    code: int | None,
) -> None:
    pod = start(check_request(lake.monitor(**changes)), credentials=credentials)
    answer = pod.wait()
    if reason is None:
        # The contract of the features is broken, and that is a verdict about data.
        assert isinstance(answer, CheckVerdict)
        assert answer.verdict == "Corrupted"
        assert "humidity" in answer.message
        return
    assert isinstance(answer, Failure), answer
    assert (answer.reason, pod.exit_code) == (reason, code)
    assert answer.message.endswith((".", ")")) or len(answer.message) > 40, "a sentence that says what to change"


def test_an_unreachable_store_is_reported_as_unavailable(lake: Lake, start: StartPod) -> None:
    away = lake.monitor(storage={"endpoint": f"http://127.0.0.1:{free_port()}"})
    pod = start(check_request(away))
    failure = failed(pod)
    assert failure.reason is FailureReason.STORAGE_UNAVAILABLE
    assert pod.exit_code == ExitCode.UNAVAILABLE


@pytest.mark.parametrize("what", ["/profiles/", "report.html", "verdict.json"])
def test_a_store_that_rejects_writes_leaves_no_verdict(
    lake: Lake, s3_server: S3Server, start: StartPod, what: str
) -> None:
    """Whatever cannot be written, there is no verdict, and the next pod of the Job checks again."""
    with faulty_proxy(s3_server.endpoint) as proxy:
        proxy.fault = lambda request: Fault(refuse=(503, "SlowDown")) if writes(request, what) else None
        pod = start(check_request(lake.monitor(storage={"endpoint": proxy.endpoint})))
        failure = failed(pod)
        assert (failure.reason, pod.exit_code) == (FailureReason.STORAGE_UNAVAILABLE, ExitCode.UNAVAILABLE)
        assert "the object store is overloaded" in failure.message
        assert what in failure.message
        assert [key for key in lake.keys("results/") if key.endswith("verdict.json")] == []
        proxy.fault = lambda _: None
        verdict = checked(start(check_request(lake.monitor(storage={"endpoint": proxy.endpoint}))))
    assert verdict.verdict == "NoDrift"


def writes(request: S3Request, what: str) -> bool:
    """Whether a request writes an object with a certain name."""
    return request.method == "PUT" and what in request.path


def test_from_the_first_training_to_a_rollback(lake: Lake, start: StartPod) -> None:
    monitor = lake.monitor()
    first = ran(start(train_request(monitor, 1), job="train-1"))
    assert first.outcome == "Promoted", first.message
    assert pointer(lake)["version"] == first.version
    verdict = checked(start(check_request(monitor), job="check-1"))
    assert verdict.champion is not None
    assert verdict.champion.version == first.version
    assert verdict.verdict == "NoDrift", verdict.message
    # The world turns round: what was late is on time. The champion's score drops; a challenger learns better.
    lake.add_days(28, 25, slope=-0.15)
    dropped = checked(start(check_request(monitor), job="check-2"))
    assert dropped.performance_dropped, dropped.message
    second = ran(start(train_request(monitor, 2), job="train-2"))
    assert second.outcome == "Promoted", second.message
    assert second.comparison is not None
    assert second.comparison.champion is not None
    assert second.comparison.challenger > 0.7
    assert second.comparison.champion < 0.5
    assert pointer(lake)["version"] == second.version
    back = ran(start(rollback_request(monitor), job="rollback-1"))
    assert (back.outcome, back.version) == ("RolledBack", first.version)
    assert pointer(lake)["version"] == first.version
    # A second pod of the same Job must not step forth again.
    again = ran(start(rollback_request(monitor), job="rollback-1"))
    assert (again.outcome, again.version) == ("RolledBack", first.version)
    assert pointer(lake)["version"] == first.version
    assert [reign["action"] for reign in pointer(lake)["history"]] == ["RolledBack", "Promoted", "Promoted"]


def test_a_model_that_is_worse_is_not_promoted(lake: Lake, start: StartPod) -> None:
    monitor = lake.monitor()
    first = ran(start(train_request(monitor, 1), job="train-1"))
    # Two weeks of nonsense to learn from, and then the world as it was.
    lake.add_days(28, 14, slope=-0.15)
    lake.add_days(42, 5)
    second = ran(start(train_request(monitor, 2), job="train-2"))
    assert second.outcome == "Rejected", second.message
    assert pointer(lake)["version"] == first.version


def test_two_pods_of_one_training_create_one_version(lake: Lake, start: StartPod) -> None:
    request = train_request(lake.monitor())
    pods = [start(request, job="train-1") for _ in range(2)]
    verdicts = [ran(pod) for pod in pods]
    assert {verdict.outcome for verdict in verdicts} == {"Promoted"}
    assert len({verdict.version for verdict in verdicts}) == 1
    assert len(pointer(lake)["history"]) == 1
    versions = {key.split("/")[4] for key in lake.keys("results/demo/flights/versions/")}
    assert versions == {verdicts[0].version}


def test_two_trainings_that_race_promote_once(lake: Lake, start: StartPod) -> None:
    monitor = lake.monitor()
    pods = [start(train_request(monitor, number), job=f"train-{number}") for number in (1, 2)]
    verdicts = [ran(pod) for pod in pods]
    champion = pointer(lake)["version"]
    promoted = [verdict for verdict in verdicts if verdict.outcome == "Promoted"]
    # Where they did not meet, the second one compared itself with the first.
    assert len(pointer(lake)["history"]) == len(promoted)
    assert champion == promoted[-1].version or champion in {verdict.version for verdict in promoted}
    for verdict in verdicts:
        if verdict not in promoted:
            assert verdict.outcome in {"Inconclusive", "Rejected"}


def test_two_approvals_that_race_promote_once(lake: Lake, start: StartPod) -> None:
    """Both versions were compared with no champion: whichever is second meets one, and must not replace it unseen."""
    monitor = lake.monitor(promotion={"mode": "Manual"})
    trained = [start(train_request(monitor, number), job=f"train-{number}") for number in (1, 2)]
    versions = [verdict.version for pod in trained if (verdict := ran(pod)).outcome == "AwaitingApproval"]
    assert len(versions) == 2
    assert lake.keys("results/demo/flights/champion.json") == [], "nobody has approved of anything yet"
    unknown = start(promote_request(monitor, "v9-00000000"), job="promote-0")
    assert "v9-00000000" in failed(unknown).message
    assert unknown.exit_code == ExitCode.BAD_CONFIGURATION
    pods = [start(promote_request(monitor, str(version)), job=f"promote-{version}") for version in versions]
    verdicts = [ran(pod) for pod in pods]
    [promoted] = [verdict for verdict in verdicts if verdict.outcome == "Promoted"]
    [other] = [verdict for verdict in verdicts if verdict.outcome == "Inconclusive"]
    assert pointer(lake)["version"] == promoted.version
    assert len(pointer(lake)["history"]) == 1
    assert other.champion is not None
    assert other.champion.version == promoted.version


def kill_once_frozen(lake: Lake, pod: Pod) -> str:
    """Kill a training as soon as its data are frozen, and return the key of the manifest."""

    def frozen() -> str | None:
        manifests = [key for key in lake.keys("results/demo/flights/runs/") if key.endswith("manifest.json")]
        if not manifests:
            pod.process.ensure_running()
        return next(iter(manifests), None)

    key = wait_until(frozen, "manifest")
    pod.process.kill()
    assert lake.keys("results/demo/flights/champion.json") == [], "the training was over before it was killed"
    return key


def test_a_training_that_was_killed_continues_with_the_same_data(lake: Lake, start: StartPod) -> None:
    request = train_request(lake.monitor())
    key = kill_once_frozen(lake, start(request, job="train-1"))
    frozen = lake.read(key)
    lake.add_days(28, 3)  # the restarted training must not use newer data
    verdict = ran(start(request, job="train-1"))
    assert verdict.outcome == "Promoted", verdict.message
    assert lake.read(key) == frozen
    assert len(pointer(lake)["history"]) == 1


def test_an_object_that_is_replaced_under_a_training_is_named(lake: Lake, start: StartPod) -> None:
    request = train_request(lake.monitor())
    kill_once_frozen(lake, start(request, job="train-1"))
    lake.put("features", 20, {"id": ["20-0"], "temp": [1.0], "carrier": ["AA"]})
    failure = failed(start(request, job="train-1"))
    assert failure.reason is FailureReason.OBJECT_CHANGED
    assert "2013-01-21" in failure.message


def test_a_pod_that_is_stopped_reports_the_interruption(lake: Lake, start: StartPod) -> None:
    # A store that accepts connections and never responds keeps the pod busy until it is stopped.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        pod = start(check_request(lake.monitor(storage={"endpoint": f"http://127.0.0.1:{port}"})))
        with silent.accept()[0] as connection:
            assert connection.recv(1), "a request, for whose response the pod waits from now on"
            assert pod.process.stop() == ExitCode.INTERRUPTED
    failure = failed(pod)
    assert failure.reason is FailureReason.INTERRUPTED
