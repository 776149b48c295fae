"""S3 and what speaks like it, with boto3: bounded in time, explained in sentences."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from modelmonitor_trainer.errors import BadConfiguration, ModelMonitorError, NotFound, PreconditionFailed
from modelmonitor_trainer.storage.base import BINARY, ObjectInfo, changed, removed
from modelmonitor_trainer.storage.buffers import BufferPool, Content, needs_slab
from modelmonitor_trainer.storage.ranges import Span
from modelmonitor_trainer.storage.readahead import REQUESTS, ReadAhead
from modelmonitor_trainer.storage.s3_errors import translate_error

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, GetObjectRequestTypeDef, PutObjectRequestTypeDef

#: Connections that are kept: those of the background, and some for those who ask themselves.
_CONNECTIONS = 2 * REQUESTS
#: Bytes to take from a socket at a time: more of them would cost memory in every thread, fewer time.
_PART = 1024 * 1024
#: What is raised when an answer breaks off in its body, which botocore does not retry.
_BROKEN_OFF = (HTTPClientError, BotoConnectionError, IncompleteReadError)


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for a store: `attempts` times `read_seconds`, and some seconds between them.

    Attributes
    ----------
    connect_seconds, read_seconds
        To connect, and to wait for a part of an answer.
    attempts
        How often to ask in all. Between them is a random time of up to 1, 2, 4, … seconds.
    """

    connect_seconds: float = 5
    read_seconds: float = 15
    attempts: int = 4


#: A store that accepts requests and never answers is given up after about a minute.
PATIENCE = RetryPolicy()


def parts_of(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of an S3 URI.

    Raises
    ------
    BadConfiguration
        If it names no bucket.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise BadConfiguration(f"{uri!r} names no bucket; write s3://bucket/prefix/")
    return bucket, key


class S3Store:
    """A :class:`~modelmonitor_trainer.storage.base.Store` on S3.

    Parameters
    ----------
    endpoint
        URL of an S3-compatible store; None is that of AWS_ENDPOINT_URL in the environment, or AWS.
    region
        Region; None is the environment's, or us-east-1.
    client
        A boto3 client to use instead of one made here, for tests.
    patience
        How long to wait for the store.
    """

    def __init__(
        self,
        endpoint: str | None,
        region: str | None,
        client: S3Client | None = None,
        *,
        patience: RetryPolicy | None = None,
    ) -> None:
        self._patience = patience or PATIENCE
        endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self._endpoint = endpoint or "Amazon S3"
        self._client: S3Client = client or self._connected(endpoint, region)
        self._ahead = ReadAhead(self._fetch)

    def _connected(self, endpoint: str | None, region: str | None) -> S3Client:
        """Return a client, which has asked nobody yet.

        Raises
        ------
        BadConfiguration
            If the environment or the endpoint is nonsense.
        """
        try:
            return boto3.client(
                "s3",
                endpoint_url=endpoint,
                region_name=region or boto3.Session().region_name or "us-east-1",
                config=Config(
                    signature_version="s3v4",
                    connect_timeout=self._patience.connect_seconds,
                    read_timeout=self._patience.read_seconds,
                    retries={"mode": "standard", "total_max_attempts": self._patience.attempts},
                    max_pool_connections=_CONNECTIONS,
                    # Compatible stores often know neither virtual hosts nor the newer checksums.
                    s3={"addressing_style": "path" if endpoint else "auto"},
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise BadConfiguration(
                f"S3 at {self._endpoint} cannot be used: {error}; correct the endpoint, or AWS_PROFILE, AWS_REGION and "
                "AWS_ENDPOINT_URL in the environment"
            ) from error

    @contextlib.contextmanager
    def _explained(self, uri: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise translate_error(error, uri, self._endpoint) from error

    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        """Return every object below the prefix; markers of folders are not objects."""
        bucket, prefix = parts_of(prefix_uri)
        found: list[ObjectInfo] = []
        with self._explained(prefix_uri):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                found += [
                    ObjectInfo(f"s3://{bucket}/{o['Key']}", o["ETag"].strip('"'), o["Size"], o["LastModified"])
                    for o in page.get("Contents", [])
                    if not o["Key"].endswith("/")
                ]
        return sorted(found, key=lambda info: info.uri)

    def children(self, prefix_uri: str) -> builtins.list[str]:
        """Return the objects and folders one level below."""
        bucket, prefix = parts_of(prefix_uri)
        found: list[str] = []
        with self._explained(prefix_uri):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
            for page in pages:
                found += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
                found += [o["Key"] for o in page.get("Contents", []) if not o["Key"].endswith("/")]
        return sorted(f"s3://{bucket}/{key}" for key in found)

    def head(self, uri: str) -> ObjectInfo | None:
        """Return the object, or None."""
        bucket, key = parts_of(uri)
        try:
            with self._explained(uri):
                found = self._client.head_object(Bucket=bucket, Key=key)
        except NotFound:
            return None
        return ObjectInfo(uri, found["ETag"].strip('"'), found["ContentLength"], found["LastModified"])

    def read(self, uri: str, *, etag: str | None = None) -> bytes:
        """Return the content of an object."""
        early = self._ahead.early(uri, etag)
        return early if early is not None else self._ahead.awaited(lambda: self._read(uri, etag)[0])

    def read_versioned(self, uri: str) -> tuple[bytes, str]:
        """Return the content of an object and its ETag."""
        return self._get(uri)

    def open(self, info: ObjectInfo) -> BinaryIO:
        """Return a file over an object, read in blocks that are pinned to its ETag."""
        if not info.size:  # there is no block to notice that it is another one now
            return io.BytesIO(self.read(info.uri, etag=info.etag))
        return self._ahead.open(info)

    def ahead(self, objects: Sequence[ObjectInfo]) -> contextlib.AbstractContextManager[None]:
        """Read small objects before they are wanted, and write behind."""
        return self._ahead.session(objects)

    def write_behind(self, uri: str, data: bytes) -> None:
        """Write an object in the background."""
        self._ahead.write_behind(lambda: self.write(uri, data), len(data))

    def _fetch(self, info: ObjectInfo, span: Span, slabs: BufferPool) -> Content:
        """Return some bytes of an object as it was listed."""
        whole, size = span == (0, info.size), span[1] - span[0]
        if not needs_slab(size):
            return self._read(info.uri, info.etag, None if whole else span)[0]
        slab = slabs.take(size)
        self._read(info.uri, info.etag, span, into=memoryview(slab.memory)[:size])
        return slab

    def _read(
        self, uri: str, etag: str | None, span: Span | None = None, *, into: memoryview | None = None
    ) -> tuple[bytes, str]:
        """Return what an object was when it was listed, as :meth:`_get` does.

        Raises
        ------
        ObjectChanged
            If it is another one now, or is no more. Some stores do not obey If-Match, so their answer is compared.
        """
        if etag is None:
            return self._get(uri)
        try:
            data, found = self._get(uri, etag, span, into=into)
        except PreconditionFailed as error:
            raise changed(uri) from error
        except NotFound as error:
            if _answer(error).get("Error", {}).get("Code") == "NoSuchBucket":
                raise
            raise removed(uri) from error
        if found != etag:
            raise changed(uri)
        return data, found

    def _get(
        self, uri: str, etag: str | None = None, span: Span | None = None, *, into: memoryview | None = None
    ) -> tuple[bytes, str]:
        """Return an object or the bytes `span` of it, and its ETag; the bytes are written `into` memory if given."""
        bucket, key = parts_of(uri)
        request: GetObjectRequestTypeDef = {"Bucket": bucket, "Key": key}
        if etag is not None:
            request["IfMatch"] = f'"{etag}"'
        if span is not None:
            request["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        patience, started = self._patience, time.monotonic()
        with self._explained(uri):
            for attempt in count(1):
                answer = self._client.get_object(**request)
                if span is not None and answer["ContentLength"] != span[1] - span[0]:
                    answer["Body"].close()
                    raise _other_bytes(uri, self._endpoint, span, answer)
                try:
                    data = _body(answer["Body"], into)
                except _BROKEN_OFF:
                    # botocore retries until the headers have come, not the body.
                    waited = time.monotonic() - started
                    if attempt >= patience.attempts or waited > patience.attempts * patience.read_seconds:
                        raise
                    time.sleep(random.uniform(0, 2 ** (attempt - 1)))  # noqa: S311 - no secret
                    continue
                return data, etag_of(answer)
        raise AssertionError("unreachable")

    def write(
        self,
        uri: str,
        data: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = BINARY,
    ) -> str:
        """Write an object, conditionally if asked."""
        bucket, key = parts_of(uri)
        request: PutObjectRequestTypeDef = {"Bucket": bucket, "Key": key, "Body": data, "ContentType": content_type}
        if if_match is not None:
            request["IfMatch"] = f'"{if_match}"'
        if if_absent:
            request["IfNoneMatch"] = "*"
        try:
            with self._explained(uri):
                return etag_of(self._client.put_object(**request))
        except NotFound as error:
            if if_match is None:
                raise
            raise PreconditionFailed(f"{uri} has been removed by another process since it was read") from error
        except PreconditionFailed as error:
            # Where the answer to a write was lost, the next try met what the first one had written.
            mine = self._written_before(uri, data) if _answer(error)["ResponseMetadata"].get("RetryAttempts") else None
            if mine is None:
                raise
            return mine

    def _written_before(self, uri: str, data: bytes) -> str | None:
        """Return the ETag of an object if it is what we wanted to write."""
        with contextlib.suppress(NotFound):
            present, etag = self._get(uri)
            return etag if present == data else None
        return None

    def delete(self, uri: str) -> None:
        """Remove an object."""
        bucket, key = parts_of(uri)
        with self._explained(uri):
            self._client.delete_object(Bucket=bucket, Key=key)


def _body(body: StreamingBody, into: memoryview | None) -> bytes:
    if into is None:
        return body.read()
    position = 0
    while part := body.read(_PART):
        into[position : position + len(part)] = part
        position += len(part)
    return b""


def etag_of(answer: Mapping[str, Any]) -> str:
    """Return the ETag of an answer as a listing shows it; proxies that compress mark it as weak."""
    return str(answer["ETag"]).removeprefix("W/").strip('"')


def _answer(error: ModelMonitorError) -> Mapping[str, Any]:
    """Return the answer that a failure explains."""
    return error.__cause__.response if isinstance(error.__cause__, ClientError) else {}


def _other_bytes(uri: str, endpoint: str, span: Span, answer: GetObjectOutputTypeDef) -> ModelMonitorError:
    """Return the failure for an answer that is not of the bytes that were asked for."""
    if answer["ResponseMetadata"]["HTTPStatusCode"] == 206:
        return changed(uri)  # it is shorter now, and the store does not obey If-Match
    return BadConfiguration(
        f"{endpoint} answered with the whole of {uri} when asked for the bytes {span[0]} to {span[1] - 1}; "
        "it, or a proxy before it, must support ranged requests"
    )
