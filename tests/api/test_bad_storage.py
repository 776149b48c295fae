"""Stores that refuse, vanish or hang, each tried on the command line: one sentence, an exit code, bounded time."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.names import ExitCode
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.errors import CredentialsRefused, PreconditionFailed
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.ownership import claim
from modelmonitor_trainer.storage import s3
from modelmonitor_trainer.storage.open import StoreConfig
from support.faulty import Fault, FaultyProxy, S3Request, faulty_proxy, silent_store
from support.processes import PATIENCE, Process, free_port, wait_until
from support.s3 import S3Server

#: Tries of a request in this process.
ATTEMPTS = 2

Check = Callable[..., "subprocess.CompletedProcess[str]"]


#: Rows of an object that comes in several blocks.
LARGE = 2_500_000


def parquet(seed: int, rows: int = 2000) -> bytes:
    buffer = io.BytesIO()
    table = pa.table({"x": np.random.default_rng(seed).normal(size=rows)})
    pq.write_table(table, buffer, compression="none", use_dictionary=False, row_group_size=500_000)
    return buffer.getvalue()


@pytest.fixture
def check(s3_server: S3Server, bucket: str, tmp_path: Path) -> Check:
    """Checks s3://bucket/current against s3://bucket/reference, as a user does."""
    for side, seed in (("reference", 0), ("current", 1)):
        s3_server.client.put_object(Bucket=bucket, Key=f"{side}/0.parquet", Body=parquet(seed))

    def checked(
        *more: str, current: str = f"s3://{bucket}/current/", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        own: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": str(tmp_path),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": s3_server.endpoint,
            "AWS_REGION": s3_server.region,
            **s3_server.environment,
        }
        program = [sys.executable, "-m", "modelmonitor_trainer.cli.main", "check"]
        sides = ["--reference", f"s3://{bucket}/reference/*.parquet", "--current", current]
        return subprocess.run(
            [*program, *sides, *more],
            env={name: value for name, value in ({**own, **environment}).items() if value},
            capture_output=True,
            text=True,
            check=False,
        )

    return checked


def sentence(result: subprocess.CompletedProcess[str], code: int) -> str:
    """Return the message of a failure, which must be all of the output."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("modelmonitor: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_folder_and_a_pattern_on_s3(check: Check) -> None:
    result = check()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("NoDrift: ")


def test_layouts_on_s3(check: Check, s3_server: S3Server, bucket: str) -> None:
    log = b'{"add": {"path": "region=eu/0.parquet"}}\n{"add": {"path": "region=eu/20260101_37_v74wa"}}'
    objects = {
        "region=eu/0.parquet": parquet(2),
        "region=eu/20260101_37_v74wa": parquet(3),
        "region=eu/removed.parquet": parquet(4),
        "region=eu/_temporary/0/part.parquet": parquet(5),
        "region=eu_$folder$": b"",
        "region=eu/_SUCCESS": b"",
        f"_delta_log/{0:020d}.json": log,
    }
    for name, body in objects.items():
        s3_server.client.put_object(Bucket=bucket, Key=f"table/{name}", Body=body)
    for where in ("table/", "table/region=eu/", "table/*/*", "table/**"):
        result = check(current=f"s3://{bucket}/{where}")
        assert (result.returncode, result.stderr) == (0, ""), where
        assert "4,000 rows against 2,000" in result.stdout, where
        assert f"s3://{bucket}/table/region=eu/removed.parquet. The log of the Delta table" in result.stdout, where


def test_wrong_or_missing_credentials(check: Check, bucket: str) -> None:
    message = sentence(check(AWS_SECRET_ACCESS_KEY="wrong"), ExitCode.BAD_CONFIGURATION)
    assert "AWS_SECRET_ACCESS_KEY does not belong to the access key" in message
    assert f"s3://{bucket}/" in message
    message = sentence(check(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""), ExitCode.BAD_CONFIGURATION)
    assert "there are no usable credentials for s3://" in message


def test_a_pod_whose_credentials_are_wrong_names_the_secret(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first request is for the owner of the prefix; the answer to a HEAD request has no reason."""
    environment = {**s3_server.environment, "AWS_SECRET_ACCESS_KEY": "of-last-year"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    store = StoreConfig(endpoint=s3_server.endpoint, region=s3_server.region).open()
    monitor = MonitorRef(namespace="ml", name="flights", uid="u-1", cluster="c-1")
    with pytest.raises(CredentialsRefused, match="correct the Secret"):
        claim(store, ResultsLayout(f"s3://{bucket}/results/ml/flights/"), monitor, dt.datetime.now(dt.UTC))


def test_a_bucket_that_does_not_exist(check: Check) -> None:
    message = sentence(check(current="s3://no-such-bucket-anywhere/x/"), ExitCode.BAD_CONFIGURATION)
    assert "no-such-bucket-anywhere" in message
    assert "does not exist" in message


def test_a_store_that_is_down(check: Check) -> None:
    message = sentence(check(AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}"), ExitCode.BAD_CONFIGURATION)
    assert "cannot be reached" in message


class _Skewed(BaseHTTPRequestHandler):
    """A store whose clock differs: it rejects every signature."""

    def do_GET(self) -> None:
        answer = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too large</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Log nothing."""


@pytest.fixture
def skewed() -> Iterator[str]:
    """The address of a store that rejects requests because its clock differs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Skewed) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_clock_that_differs_from_the_stores(check: Check, skewed: str) -> None:
    message = sentence(check(AWS_ENDPOINT_URL=skewed), ExitCode.BAD_CONFIGURATION)
    assert "the clock of this machine differs from that of the object store" in message


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    """A proxy in front of the S3 server, with the faults that a test sets."""
    with faulty_proxy(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def check_here(
    s3_server: S3Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[str], tuple[int, str, str]]:
    """Checks as the command line does, in this process: objects of three blocks, and of one."""
    policy = s3.RetryPolicy(connect_seconds=PATIENCE, read_seconds=PATIENCE, attempts=ATTEMPTS)
    monkeypatch.setattr(s3, "PATIENCE", policy)
    for side, seed in (("reference", 0), ("current", 1)):
        s3_server.client.put_object(Bucket=bucket, Key=f"{side}/0.parquet", Body=parquet(seed, LARGE))
        s3_server.client.put_object(Bucket=bucket, Key=f"{side}/1.parquet", Body=parquet(seed + 2))

    def checked(endpoint: str) -> tuple[int, str, str]:
        for name, value in {
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": s3_server.region,
            **s3_server.environment,
        }.items():
            monkeypatch.setenv(name, value)
        sides = [f"--{side}=s3://{bucket}/{side}/" for side in ("reference", "current")]
        code = main(["check", *sides])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return checked


@pytest.fixture
def impatient(check_here: CheckHere, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit each attempt to five seconds, for tests that wait for the limit; others must not meet it on any machine."""
    monkeypatch.setattr(s3, "PATIENCE", s3.RetryPolicy(connect_seconds=5, read_seconds=5, attempts=ATTEMPTS))


CheckHere = Callable[[str], tuple[int, str, str]]


def failed(result: tuple[int, str, str], code: int = ExitCode.BAD_CONFIGURATION) -> str:
    """Return the message of a failure, which must be all of the output."""
    assert result[:2] == (code, ""), result
    assert result[2].count("\n") == 1
    return result[2]


def reads_data(request: S3Request, name: str = "current/0") -> bool:
    """Whether a request is for bytes of an object."""
    return request.method == "GET" and name in request.path and "list-type" not in request.path


def test_a_check_succeeds_through_the_proxy(check_here: CheckHere, proxy: FaultyProxy) -> None:
    code, out, err = check_here(proxy.endpoint)
    assert (code, err) == (0, "")
    assert out.startswith("NoDrift: ")
    assert len({request.range for request in proxy.requests if reads_data(request)}) >= 3, "it comes in blocks"


@pytest.mark.usefixtures("impatient")
def test_a_store_that_accepts_connections_and_never_responds(check_here: CheckHere) -> None:
    with silent_store() as endpoint:
        message = failed(check_here(endpoint))
    assert f"{endpoint} did not respond for s3://" in message


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("where", ["at once", "body"])
def test_a_store_that_stops_responding_while_data_are_read(
    check_here: CheckHere, proxy: FaultyProxy, where: str
) -> None:
    proxy.fault = lambda request: Fault(hang=where) if reads_data(request) else None
    message = failed(check_here(proxy.endpoint))
    assert "did not respond" in message
    assert "current/0.parquet" in message
    tries = Counter((request.path, request.range) for request in proxy.requests if reads_data(request))
    assert max(tries.values()) <= ATTEMPTS


def test_a_request_is_given_up_after_about_a_minute() -> None:
    patience = s3.RetryPolicy()
    # Between attempts botocore waits for up to 1, 2, 4, … seconds.
    assert patience.attempts * patience.read_seconds + 2 ** (patience.attempts - 1) - 1 <= 75


def test_a_truncated_response_is_requested_again(check_here: CheckHere, proxy: FaultyProxy) -> None:
    seen: set[tuple[str, str]] = set()

    def once(request: S3Request) -> Fault | None:
        first = (request.path, request.range) not in seen
        seen.add((request.path, request.range))
        return Fault(cut=True) if first and request.method == "GET" else None

    proxy.fault = once
    code, out, err = check_here(proxy.endpoint)
    assert (code, err) == (0, "")
    assert out.startswith("NoDrift: ")


def test_responses_that_are_always_truncated(check_here: CheckHere, proxy: FaultyProxy) -> None:
    proxy.fault = lambda request: Fault(cut=True) if reads_data(request) else None
    message = failed(check_here(proxy.endpoint))
    assert "closed the connection mid-response" in message
    assert "current/0.parquet" in message


def test_a_store_that_is_overloaded_for_a_moment(check_here: CheckHere, proxy: FaultyProxy) -> None:
    refused: set[tuple[str, str]] = set()

    def some_once(request: S3Request) -> Fault | None:
        this = (request.path, request.range)
        if request.number % 3 or this in refused:
            return None
        refused.add(this)
        return Fault(refuse=(503, "SlowDown"))

    proxy.fault = some_once
    code, out, err = check_here(proxy.endpoint)
    assert (code, err) == (0, "")
    assert out.startswith("NoDrift: ")
    assert refused


def test_a_store_that_is_overloaded_for_long(check_here: CheckHere, proxy: FaultyProxy) -> None:
    proxy.fault = lambda request: Fault(refuse=(503, "SlowDown")) if reads_data(request) else None
    message = failed(check_here(proxy.endpoint))
    assert "responded SlowDown for s3://" in message
    assert ", 2 times; the object store is overloaded" in message


def test_an_object_that_is_deleted_after_the_listing(
    check_here: CheckHere, proxy: FaultyProxy, s3_server: S3Server, bucket: str
) -> None:
    def gone(request: S3Request) -> Fault | None:
        if not reads_data(request, "current/1"):
            return None
        return Fault(before=lambda: s3_server.client.delete_object(Bucket=bucket, Key="current/1.parquet"))

    proxy.fault = gone
    message = failed(check_here(proxy.endpoint))
    assert f"s3://{bucket}/current/1.parquet has been removed since it was listed" in message
    code, out, _ = check_here(proxy.endpoint)
    assert code == 0, "the next check runs without it"
    assert out.startswith("NoDrift: ")


def test_an_object_that_is_replaced_while_it_is_read(
    check_here: CheckHere, proxy: FaultyProxy, s3_server: S3Server, bucket: str
) -> None:
    other = parquet(9, LARGE)

    def replaced(request: S3Request) -> Fault | None:
        reads = [one for one in list(proxy.requests) if reads_data(one)]
        if not reads_data(request) or len(reads) != 3:
            return None
        return Fault(before=lambda: s3_server.client.put_object(Bucket=bucket, Key="current/0.parquet", Body=other))

    proxy.fault = replaced
    message = failed(check_here(proxy.endpoint))
    assert f"s3://{bucket}/current/0.parquet has been replaced since it was listed" in message


@pytest.mark.parametrize("kind", ["absent", "match"])
def test_a_conditional_write_whose_response_is_lost_has_succeeded(
    proxy: FaultyProxy, s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The second attempt of a conditional write finds what the first one has written."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    store, uri = s3.S3Store(proxy.endpoint, "us-east-1"), f"s3://{bucket}/champion.json"
    before = store.write(uri, b"1") if kind == "match" else None
    proxy.fault = lambda request: (
        Fault(cut=True) if request.method == "PUT" and request.number == len(written) else None
    )
    written = list(proxy.requests)
    etag = store.write(uri, b"2", if_match=before, if_absent=before is None)
    assert sum(request.method == "PUT" for request in proxy.requests) == len(written) + 2
    assert store.read_versioned(uri) == (b"2", etag)
    # A write whose condition does not hold fails on every attempt.
    written = list(proxy.requests)
    with pytest.raises(PreconditionFailed):
        store.write(uri, b"3", if_match=before, if_absent=before is None)
    assert store.read(uri) == b"2"


def race(store: s3.S3Store, uri: str, before: str | None) -> list[str]:
    """Write an object eight times at once under the same condition; return the ETags of the writes that succeeded."""
    outcomes: list[str] = []
    ready = threading.Barrier(8)

    def write(number: int) -> None:
        content = f"{before}-{number}".encode()
        ready.wait()
        with contextlib.suppress(PreconditionFailed):
            outcomes.append(store.write(uri, content, if_match=before, if_absent=before is None))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_the_server_of_the_tests_supports_conditional_writes(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe passes; and of requests at the same moment, which no probe can test, one succeeds."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    store = s3.S3Store(s3_server.endpoint, "us-east-1")
    store.require_conditional_writes(f"s3://{bucket}/probes/")
    assert store.list(f"s3://{bucket}/probes/") == []
    before: str | None = None
    for _ in range(5):
        (before,) = race(store, f"s3://{bucket}/object", before)


def test_a_check_that_is_stopped_does_not_wait_for_the_store(
    check_here: CheckHere, proxy: FaultyProxy, s3_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    """Threads that wait for the store must not delay the exit."""

    def reads_rows(request: S3Request) -> bool:
        return reads_data(request) and request.range.startswith(("bytes=0-", "bytes=4-"))

    proxy.fault = lambda request: Fault(hang="at once") if reads_rows(request) else None
    process = Process(
        [
            *(sys.executable, "-m", "modelmonitor_trainer.cli.main", "check"),
            *(f"--{side}=s3://{bucket}/{side}/" for side in ("reference", "current")),
        ],
        log=tmp_path / "log",
        environment={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "AWS_ENDPOINT_URL": proxy.endpoint,
            "AWS_REGION": s3_server.region,
            **s3_server.environment,
        },
    )
    try:
        wait_until(lambda: any(map(reads_rows, list(proxy.requests))), "request for the data", hint=process.output())
        # If it waited for the store first, it would exit as unavailable.
        assert process.stop() == ExitCode.INTERRUPTED, process.output()
    finally:
        process.kill()


def test_an_object_whose_content_is_not_of_its_format(check: Check, s3_server: S3Server, bucket: str) -> None:
    s3_server.client.put_object(Bucket=bucket, Key="current/1.parquet", Body=parquet(2)[:-100])
    result = check()
    assert result.returncode == 0
    assert result.stdout.startswith("Corrupted: ")
    assert f"s3://{bucket}/current/1.parquet cannot be read as Parquet" in result.stdout
