"""A real S3 server that stores its objects in a temporary folder."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from support.processes import Process, ProcessEnded, free_port, program, wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 3


class S3Server:
    """versitygw on the loopback interface, which verifies signatures and supports conditional writes.

    Parameters
    ----------
    folder
        Folder for objects, metadata and the log. Objects of an earlier server are served again.

    Attributes
    ----------
    endpoint : str
        URL that it listens on.
    access_key, secret_key, region : str
        Credentials and region that it accepts.
    """

    region = "us-east-1"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.access_key, self.secret_key = "tester", secrets.token_hex(16)
        objects, metadata = folder / "objects", folder / "metadata"
        objects.mkdir(exist_ok=True)
        metadata.mkdir(exist_ok=True)
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self._process = Process(
            # Metadata in a folder, because not every file system has extended attributes.
            # Keep-alive connections, as on S3.
            [
                *(program("versitygw"), "--port", f"127.0.0.1:{port}", "--quiet", "--keep-alive"),
                *("posix", "--sidecar", metadata, objects),
            ],
            log=folder / "versitygw.log",
            environment={"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key},
        )
        self.client: S3Client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        try:
            wait_until(self._is_ready, "ready S3 server", hint=f"see {folder}")
        except BaseException:  # never leave the server running
            self.stop()
            raise

    def _is_ready(self) -> bool:
        self._process.ensure_running()
        try:
            self.client.list_buckets()
        except (ClientError, BotoCoreError):
            return False
        return True

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment that a pod gets from its credentials Secret."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def storage(self, bucket: str) -> dict[str, Any]:
        """Return ``spec.storage`` of a monitor that uses this server."""
        return {"endpoint": self.endpoint, "region": self.region, "resultsURI": f"s3://{bucket}/results/"}

    def stop(self) -> None:
        """Stop the server."""
        self.client.close()
        self._process.kill()


def start_s3_server(folder: Path) -> S3Server:
    """Start an S3 server in a subfolder of `folder`; retry if another program took its port."""
    for attempt in range(1, _ATTEMPTS + 1):
        attempt_folder = folder / f"attempt-{attempt}"
        attempt_folder.mkdir()
        try:
            return S3Server(attempt_folder)
        except ProcessEnded as error:
            if attempt == _ATTEMPTS or "address already in use" not in str(error):
                raise
    raise AssertionError("the last attempt returns or raises")
