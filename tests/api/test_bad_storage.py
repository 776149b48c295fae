"""Stores that refuse, vanish or hang, each tried on the command line: one sentence, an exit code, bounded time."""

from __future__ import annotations

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

from modelmonitor_api.names import ExitCode
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.errors import PreconditionFailed
from modelmonitor_trainer.storage import s3
from support.faulty import Fault, FaultyProxy, S3Request, faulty_proxy, silent_store
from support.processes import Process, free_port, wait_until
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


def sentence(found: subprocess.CompletedProcess[str], code: int) -> str:
    """Return the sentence of a failure, which is all that was said."""
    assert found.returncode == code, found.stderr
    assert found.stdout == ""
    assert found.stderr.startswith("modelmonitor: ")
    assert found.stderr.count("\n") == 1
    return found.stderr


def test_a_folder_and_a_pattern_on_s3(check: Check) -> None:
    found = check()
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("NoDrift: ")


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
        found = check(current=f"s3://{bucket}/{where}")
        assert (found.returncode, found.stderr) == (0, ""), where
        assert "4,000 rows against 2,000" in found.stdout, where
        assert f"s3://{bucket}/table/region=eu/removed.parquet. The log of the Delta table" in found.stdout, where


def test_credentials_that_are_wrong_or_not_there(check: Check, bucket: str) -> None:
    said = sentence(check(AWS_SECRET_ACCESS_KEY="wrong"), ExitCode.BAD_CONFIGURATION)
    assert "AWS_SECRET_ACCESS_KEY does not belong to the access key" in said
    assert f"s3://{bucket}/" in said
    said = sentence(check(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""), ExitCode.BAD_CONFIGURATION)
    assert "there are no usable credentials for s3://" in said


def test_a_bucket_that_does_not_exist(check: Check) -> None:
    said = sentence(check(current="s3://no-such-bucket-anywhere/x/"), ExitCode.BAD_CONFIGURATION)
    assert "no-such-bucket-anywhere" in said
    assert "does not exist" in said


def test_a_store_that_is_down(check: Check) -> None:
    said = sentence(check(AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}"), ExitCode.BAD_CONFIGURATION)
    assert "cannot be reached" in said


class _Skewed(BaseHTTPRequestHandler):
    """A store whose clock is another one: it refuses every signature."""

    def do_GET(self) -> None:
        answer = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too large</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@pytest.fixture
def skewed() -> Iterator[str]:
    """The address of a store that refuses for the sake of its clock."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Skewed) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_clock_that_is_wrong(check: Check, skewed: str) -> None:
    said = sentence(check(AWS_ENDPOINT_URL=skewed), ExitCode.BAD_CONFIGURATION)
    assert "the clock of this machine differs from that of the object store" in said


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    """The store of the tests, behind a proxy that fails as they want."""
    with faulty_proxy(s3_server.endpoint) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks in this process wait for five seconds, twice: long for a busy machine, short for a test."""
    monkeypatch.setattr(s3, "PATIENCE", s3.RetryPolicy(connect_seconds=5, read_seconds=5, attempts=ATTEMPTS))


@pytest.fixture
def check_here(
    s3_server: S3Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    impatient: None,
) -> Callable[[str], tuple[int, str, str]]:
    """Checks as the command line does, in this process: objects of three blocks, and of one."""
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
        said = capsys.readouterr()
        return code, said.out, said.err

    return checked


CheckHere = Callable[[str], tuple[int, str, str]]


def failed(found: tuple[int, str, str], code: int = ExitCode.BAD_CONFIGURATION) -> str:
    """Return the sentence of a failure, which is all that was said."""
    assert found[:2] == (code, ""), found
    assert found[2].count("\n") == 1
    return found[2]


def reads_data(request: S3Request, name: str = "current/0") -> bool:
    """Whether a request is for bytes of an object."""
    return request.method == "GET" and name in request.path and "list-type" not in request.path


def test_all_is_well_through_the_proxy(check_here: CheckHere, proxy: FaultyProxy) -> None:
    code, out, err = check_here(proxy.endpoint)
    assert (code, err) == (0, "")
    assert out.startswith("NoDrift: ")
    assert len({request.range for request in proxy.requests if reads_data(request)}) >= 3, "it comes in blocks"


def test_a_store_that_accepts_and_never_answers(check_here: CheckHere) -> None:
    with silent_store() as endpoint:
        said = failed(check_here(endpoint))
    assert f"{endpoint} did not respond for s3://" in said


@pytest.mark.parametrize("where", ["at once", "body"])
def test_a_store_that_stops_answering_while_data_are_read(
    check_here: CheckHere, proxy: FaultyProxy, where: str
) -> None:
    proxy.fault = lambda request: Fault(hang=where) if reads_data(request) else None
    said = failed(check_here(proxy.endpoint))
    assert "did not respond" in said
    assert "current/0.parquet" in said
    tries = Counter((request.path, request.range) for request in proxy.requests if reads_data(request))
    assert max(tries.values()) <= ATTEMPTS


def test_our_patience_ends_after_about_a_minute() -> None:
    patience = s3.RetryPolicy()
    # Between attempts botocore waits for up to 1, 2, 4, … seconds.
    assert patience.attempts * patience.read_seconds + 2 ** (patience.attempts - 1) - 1 <= 75


def test_an_answer_that_breaks_off_is_asked_for_again(check_here: CheckHere, proxy: FaultyProxy) -> None:
    seen: set[tuple[str, str]] = set()

    def once(request: S3Request) -> Fault | None:
        first = (request.path, request.range) not in seen
        seen.add((request.path, request.range))
        return Fault(cut=True) if first and request.method == "GET" else None

    proxy.fault = once
    code, out, err = check_here(proxy.endpoint)
    assert (code, err) == (0, "")
    assert out.startswith("NoDrift: ")


def test_answers_that_always_break_off(check_here: CheckHere, proxy: FaultyProxy) -> None:
    proxy.fault = lambda request: Fault(cut=True) if reads_data(request) else None
    said = failed(check_here(proxy.endpoint))
    assert "closed the connection mid-response" in said
    assert "current/0.parquet" in said


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
    said = failed(check_here(proxy.endpoint))
    assert "responded SlowDown for s3://" in said
    assert ", 2 times; the object store is overloaded" in said


def test_an_object_that_is_deleted_after_the_listing(
    check_here: CheckHere, proxy: FaultyProxy, s3_server: S3Server, bucket: str
) -> None:
    def gone(request: S3Request) -> Fault | None:
        if not reads_data(request, "current/1"):
            return None
        return Fault(before=lambda: s3_server.client.delete_object(Bucket=bucket, Key="current/1.parquet"))

    proxy.fault = gone
    said = failed(check_here(proxy.endpoint))
    assert f"s3://{bucket}/current/1.parquet has been removed since it was listed" in said
    code, out, _ = check_here(proxy.endpoint)
    assert code == 0, "the next try goes on without it"
    assert out.startswith("NoDrift: ")


def test_an_object_that_is_replaced_while_it_is_read(
    check_here: CheckHere, proxy: FaultyProxy, s3_server: S3Server, bucket: str
) -> None:
    other = parquet(9, LARGE)

    def replaced(request: S3Request) -> Fault | None:
        blocks = [one for one in list(proxy.requests) if reads_data(one)]
        if not reads_data(request) or len(blocks) != 3:
            return None
        return Fault(before=lambda: s3_server.client.put_object(Bucket=bucket, Key="current/0.parquet", Body=other))

    proxy.fault = replaced
    said = failed(check_here(proxy.endpoint))
    assert f"s3://{bucket}/current/0.parquet has been replaced since it was listed" in said


@pytest.mark.parametrize("kind", ["absent", "match"])
def test_a_write_whose_answer_is_lost_has_won(
    proxy: FaultyProxy, s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The second try of a conditional write meets what the first one has written."""
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
    # Whoever lost to somebody else has lost, however often it was tried.
    written = list(proxy.requests)
    with pytest.raises(PreconditionFailed):
        store.write(uri, b"3", if_match=before, if_absent=before is None)
    assert store.read(uri) == b"2"


def test_a_check_that_is_stopped_while_the_store_hangs_ends_at_once(
    check_here: CheckHere, proxy: FaultyProxy, s3_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    """Threads that wait for the store must not hold up the farewell."""

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
        # One that waited for the store first would end as unavailable.
        assert process.stop() == ExitCode.INTERRUPTED, process.output()
    finally:
        process.kill()


def test_an_object_that_is_not_what_its_name_says(check: Check, s3_server: S3Server, bucket: str) -> None:
    s3_server.client.put_object(Bucket=bucket, Key="current/1.parquet", Body=parquet(2)[:-100])
    found = check()
    assert found.returncode == 0
    assert found.stdout.startswith("Corrupted: ")
    assert f"s3://{bucket}/current/1.parquet cannot be read as Parquet" in found.stdout
