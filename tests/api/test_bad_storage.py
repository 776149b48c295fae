"""Stores that refuse, vanish or hang, each tried on the command line: one sentence, an exit code, bounded time."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.names import ExitCode
from support.processes import free_port
from support.s3 import S3Server

Check = Callable[..., "subprocess.CompletedProcess[str]"]


def parquet(seed: int) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"x": np.random.default_rng(seed).normal(size=2000)}), buffer)
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
            timeout=120,
            check=False,
        )

    return checked


def sentence(found: subprocess.CompletedProcess[str], code: ExitCode) -> str:
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
    started = time.monotonic()
    said = sentence(check(AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}"), ExitCode.UNAVAILABLE)
    assert "cannot be reached" in said
    assert time.monotonic() - started < 90


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
    assert "the clock of this machine differs from the store's; set it" in said


def test_an_object_that_is_not_what_its_name_says(check: Check, s3_server: S3Server, bucket: str) -> None:
    s3_server.client.put_object(Bucket=bucket, Key="current/1.parquet", Body=parquet(2)[:-100])
    found = check()
    assert found.returncode == 0
    assert found.stdout.startswith("Corrupted: ")
    assert f"s3://{bucket}/current/1.parquet cannot be read as Parquet" in found.stdout
