"""S3 and compatible stores, through boto3: every call ends in bounded time, every error is translated."""

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

from modelmonitor_trainer.errors import (
    BadConfiguration,
    ModelMonitorError,
    NotFound,
    PreconditionFailed,
    StorageUnavailable,
)
from modelmonitor_trainer.storage.base import ObjectInfo, Span, Store, WriteRequest, changed, removed
from modelmonitor_trainer.storage.conditional_writes import probe_conditional_writes
from modelmonitor_trainer.storage.readahead.buffers import BufferPool, Content, needs_buffer
from modelmonitor_trainer.storage.readahead.pool import REQUESTS
from modelmonitor_trainer.storage.readahead.reader import ReadAhead
from modelmonitor_trainer.storage.s3_errors import translate_error

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, GetObjectRequestTypeDef, PutObjectRequestTypeDef

#: Connections in the pool: those of background requests, and some for direct requests.
_CONNECTIONS = 2 * REQUESTS
#: Bytes to read from a socket at once: more would cost memory in every thread, fewer would cost time.
_PART = 1024 * 1024
#: Status of a conditional write that another request for the same object interrupted.
_CONFLICT = 409
#: Errors of a response that ends in its body, which botocore does not retry.
_INCOMPLETE = (HTTPClientError, BotoConnectionError, IncompleteReadError)


@dataclass(frozen=True)
class RetryPolicy:
    """Time limits of a request: `attempts` times `read_seconds`, and some seconds between attempts.

    Attributes
    ----------
    connect_seconds, read_seconds
        Timeout of a connection, and of a read from it.
    attempts
        Number of attempts. Between them is a random delay of up to 1, 2, 4, … seconds.
    """

    connect_seconds: float = 5
    read_seconds: float = 15
    attempts: int = 4


#: A store that accepts requests and never responds fails after about a minute.
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
        raise BadConfiguration(f"{uri!r} names no bucket; use s3://bucket/prefix/")
    return bucket, key


class S3Store(Store):
    """A store on S3.

    Parameters
    ----------
    endpoint
        URL of an S3-compatible store; None is that of AWS_ENDPOINT_URL in the environment, or AWS.
    region
        Region; None is the environment's, or us-east-1.
    client
        A boto3 client to use instead of a new one, for tests.
    patience
        Time limits and retries.
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
        self._client: S3Client = client or self._connect(endpoint, region)
        self._ahead = ReadAhead(self._fetch)
        self._probed: set[str] = set()

    def _connect(self, endpoint: str | None, region: str | None) -> S3Client:
        """Return a client; nothing is requested yet.

        Raises
        ------
        BadConfiguration
            If the endpoint or the environment is invalid.
        """
        try:
            # boto3's default session would keep the credentials of the first store in this process.
            session = boto3.Session()
            return session.client(
                "s3",
                endpoint_url=endpoint,
                region_name=region or session.region_name or "us-east-1",
                config=Config(
                    signature_version="s3v4",
                    connect_timeout=self._patience.connect_seconds,
                    read_timeout=self._patience.read_seconds,
                    retries={"mode": "standard", "total_max_attempts": self._patience.attempts},
                    max_pool_connections=_CONNECTIONS,
                    # Compatible stores often support neither virtual hosts nor the newer checksums.
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
    def _translated_errors(self, uri: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise translate_error(error, uri, self._endpoint) from error

    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        """Return every object below the prefix, without folder markers."""
        bucket, prefix = parts_of(prefix_uri)
        infos: list[ObjectInfo] = []
        with self._translated_errors(prefix_uri):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                infos += [
                    ObjectInfo(f"s3://{bucket}/{o['Key']}", o["ETag"].strip('"'), o["Size"], o["LastModified"])
                    for o in page.get("Contents", [])
                    if not o["Key"].endswith("/")
                ]
        return sorted(infos, key=lambda info: info.uri)

    def children(self, prefix_uri: str) -> builtins.list[str]:
        """Return the objects and folders one level below."""
        bucket, prefix = parts_of(prefix_uri)
        keys: list[str] = []
        with self._translated_errors(prefix_uri):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
            for page in pages:
                keys += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
                keys += [o["Key"] for o in page.get("Contents", []) if not o["Key"].endswith("/")]
        return sorted(f"s3://{bucket}/{key}" for key in keys)

    def head(self, uri: str) -> ObjectInfo | None:
        """Return the object, or None."""
        bucket, key = parts_of(uri)
        try:
            with self._translated_errors(uri):
                response = self._client.head_object(Bucket=bucket, Key=key)
        except NotFound:
            return None
        return ObjectInfo(uri, response["ETag"].strip('"'), response["ContentLength"], response["LastModified"])

    def read(self, uri: str, *, etag: str | None = None) -> bytes:
        """Return the content of an object."""
        prefetched = self._ahead.read_prefetched(uri, etag)
        return prefetched if prefetched is not None else self._ahead.run(lambda: self._read(uri, etag)[0])

    def read_versioned(self, uri: str) -> tuple[bytes, str]:
        """Return the content of an object and its ETag."""
        return self._get(uri)

    def open(self, info: ObjectInfo) -> BinaryIO:
        """Return a file over an object; its requests are pinned to the ETag."""
        if not info.size:  # no request would notice that the object has changed
            return io.BytesIO(self.read(info.uri, etag=info.etag))
        return self._ahead.open(info)

    def ahead(self, objects: Sequence[ObjectInfo]) -> contextlib.AbstractContextManager[None]:
        """Fetch small objects before they are read, and write in the background."""
        return self._ahead.session(objects)

    def write_behind(self, uri: str, data: bytes) -> None:
        """Write an object in the background."""
        self._ahead.write_behind(lambda: self.write(uri, data), len(data))

    def _fetch(self, info: ObjectInfo, span: Span, buffers: BufferPool) -> Content:
        """Return a range of an object as it was listed."""
        whole, size = span == (0, info.size), span[1] - span[0]
        if not needs_buffer(size):
            return self._read(info.uri, info.etag, None if whole else span)[0]
        buffer = buffers.take(size)
        self._read(info.uri, info.etag, span, into=memoryview(buffer.memory)[:size])
        return buffer

    def _read(
        self, uri: str, etag: str | None, span: Span | None = None, *, into: memoryview | None = None
    ) -> tuple[bytes, str]:
        """Return an object as it was listed; see :meth:`_get`.

        Raises
        ------
        ObjectChanged
            If it has been replaced or removed. Some stores ignore If-Match, so the ETag of the response is compared.
        """
        if etag is None:
            return self._get(uri)
        try:
            data, present = self._get(uri, etag, span, into=into)
        except PreconditionFailed as error:
            raise changed(uri) from error
        except NotFound as error:
            if _code_of(error) == "NoSuchBucket":
                raise
            raise removed(uri) from error
        if present != etag:
            raise changed(uri)
        return data, present

    def _get(
        self, uri: str, etag: str | None = None, span: Span | None = None, *, into: memoryview | None = None
    ) -> tuple[bytes, str]:
        """Return an object, or the bytes `span` of it, and its ETag; the bytes are written `into` memory if given."""
        bucket, key = parts_of(uri)
        request: GetObjectRequestTypeDef = {"Bucket": bucket, "Key": key}
        if etag is not None:
            request["IfMatch"] = f'"{etag}"'
        if span is not None:
            request["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        patience, started = self._patience, time.monotonic()
        with self._translated_errors(uri):
            for attempt in count(1):
                response = self._client.get_object(**request)
                if span is not None and response["ContentLength"] != span[1] - span[0]:
                    response["Body"].close()
                    raise _wrong_range(uri, self._endpoint, span, response)
                try:
                    data = _read_body(response["Body"], into)
                except _INCOMPLETE:
                    # botocore retries a request until it has the headers, but not the body.
                    waited = time.monotonic() - started
                    if attempt >= patience.attempts or waited > patience.attempts * patience.read_seconds:
                        raise
                    _back_off(attempt)
                    continue
                return data, etag_of(response)
        raise AssertionError("unreachable")

    def put(self, request: WriteRequest) -> str:
        """Write an object, with the conditions of the request."""
        uri, data = request.uri, request.data
        bucket, key = parts_of(uri)
        parameters: PutObjectRequestTypeDef = {
            "Bucket": bucket,
            "Key": key,
            "Body": data,
            "ContentType": request.content_type,
        }
        if request.if_match is not None:
            parameters["IfMatch"] = f'"{request.if_match}"'
        if request.if_absent:
            parameters["IfNoneMatch"] = "*"
        for conflicts in count(1):
            try:
                return self._put(uri, parameters, repeated=conflicts > 1)
            except StorageUnavailable as error:
                # Another request for this object was in progress, and neither has won yet: the outcome is still open.
                if _status_of(error) != _CONFLICT or conflicts >= self._patience.attempts:
                    raise
                _back_off(conflicts)
        raise AssertionError("unreachable")

    def _put(self, uri: str, parameters: PutObjectRequestTypeDef, *, repeated: bool) -> str:
        """Write an object and return its ETag; `repeated` after an earlier attempt, which may have succeeded."""
        try:
            with self._translated_errors(uri):
                return etag_of(self._client.put_object(**parameters))
        except NotFound as error:
            if _code_of(error) == "NoSuchBucket" or not {"IfMatch", "IfNoneMatch"} & parameters.keys():
                raise
            raise PreconditionFailed(f"{uri} has been removed by another process since it was read") from error
        except PreconditionFailed as error:
            # If the response to a write was lost, the retry meets the object that the first attempt wrote.
            repeated = repeated or bool(_response_of(error)["ResponseMetadata"].get("RetryAttempts"))
            etag = self._etag_if_equal(uri, parameters["Body"]) if repeated else None
            if etag is None:
                raise
            return etag

    def _etag_if_equal(self, uri: str, data: object) -> str | None:
        """Return the ETag of an object if its content is `data`."""
        with contextlib.suppress(NotFound):
            present, etag = self._get(uri)
            return etag if present == data else None
        return None

    def delete(self, uri: str) -> None:
        """Remove an object."""
        bucket, key = parts_of(uri)
        with self._translated_errors(uri):
            self._client.delete_object(Bucket=bucket, Key=key)

    def require_conditional_writes(self, prefix_uri: str) -> None:
        """Probe the prefix, unless this store has done so before."""
        if prefix_uri not in self._probed:
            probe_conditional_writes(self, prefix_uri)
            self._probed.add(prefix_uri)


def _back_off(attempt: int) -> None:
    """Wait before another attempt: at most 1 s after the first, twice as long after each (full jitter)."""
    time.sleep(random.uniform(0, 2 ** (attempt - 1)))  # noqa: S311 - no secret


def _read_body(body: StreamingBody, into: memoryview | None) -> bytes:
    if into is None:
        return body.read()
    position = 0
    while part := body.read(_PART):
        into[position : position + len(part)] = part
        position += len(part)
    return b""


def etag_of(response: Mapping[str, Any]) -> str:
    """Return the ETag of a response as a listing shows it; proxies that compress mark it as weak."""
    return str(response["ETag"]).removeprefix("W/").strip('"')


def _response_of(error: ModelMonitorError) -> Mapping[str, Any]:
    """Return the response that an error was translated from."""
    return error.__cause__.response if isinstance(error.__cause__, ClientError) else {}


def _code_of(error: ModelMonitorError) -> str:
    """Return the S3 error code that an error was translated from, or an empty text."""
    return str(_response_of(error).get("Error", {}).get("Code", ""))


def _status_of(error: ModelMonitorError) -> int:
    """Return the HTTP status that an error was translated from, or 0."""
    return int(_response_of(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _wrong_range(uri: str, endpoint: str, span: Span, response: GetObjectOutputTypeDef) -> ModelMonitorError:
    """Return the error for a response that is not the requested range."""
    if response["ResponseMetadata"]["HTTPStatusCode"] == 206:
        return changed(uri)  # the object is shorter now, and the store ignores If-Match
    return BadConfiguration(
        f"{endpoint} returned the whole of {uri} for a request of the bytes {span[0]} to {span[1] - 1}; "
        "it, or a proxy in front of it, must support range requests"
    )
