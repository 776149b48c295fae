"""S3 and what speaks like it, with boto3: bounded in time, explained in sentences."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, cast

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from modelmonitor_trainer.failures import (
    BadConfiguration,
    CredentialsRefused,
    ModelMonitorError,
    NotFound,
    ObjectChanged,
    PreconditionFailed,
    StorageUnavailable,
)
from modelmonitor_trainer.storage.store import BINARY, ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef, PutObjectRequestTypeDef

#: Seconds to connect, and to wait for a part of an answer.
_CONNECT_TIMEOUT, _READ_TIMEOUT = 5, 20
#: Attempts in all; botocore's standard mode backs off up to 20 s between them.
_ATTEMPTS = 5
#: Objects up to this size come in one request; larger ones in blocks, some of them ahead.
_WHOLE_OBJECT = 16 * 1024 * 1024
_BLOCK = 4 * 1024 * 1024
_BLOCKS_AHEAD = 4

_REFUSED = {
    "ExpiredToken": "the credentials have expired; renew the Secret that credentialsSecretRef names",
    "TokenRefreshRequired": "the credentials have expired; renew the Secret that credentialsSecretRef names",
    "InvalidToken": "AWS_SESSION_TOKEN is not valid; renew the Secret that credentialsSecretRef names",
    "InvalidAccessKeyId": "the store does not know AWS_ACCESS_KEY_ID; correct the Secret",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY does not belong to the access key; correct the Secret",
    "AccessDenied": "these credentials may not do this; allow it in the store's policy, or use others",
    "AllAccessDisabled": "access to the bucket is disabled; enable it in the store",
    "RequestTimeTooSkewed": "the clock of this machine differs from the store's; set it",
    "AuthorizationHeaderMalformed": "the signature is for another region; correct spec.storage.region",
    "401": "the store asks for credentials; correct the Secret that credentialsSecretRef names",
    "403": "these credentials may not do this; allow it in the store's policy, or use others",
}
_MISSING = {"NoSuchKey", "NoSuchVersion", "404", "NotFound"}
_LOST_RACE = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_REDIRECTS = {"301", "302", "307", "308", "PermanentRedirect", "TemporaryRedirect", "Redirect"}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "RequestLimitExceeded"}


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


def explain(error: BotoCoreError | ClientError, uri: str, endpoint: str) -> ModelMonitorError:
    """Return our failure for what boto3 raised when it accessed `uri`."""
    if isinstance(error, ClientError):
        return _explain_answer(error, uri, endpoint)
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, TokenRetrievalError)):
        return CredentialsRefused(
            f"there are no usable credentials for {uri}; name a Secret with AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in spec.storage.credentialsSecretRef, or a service account with an identity"
        )
    if isinstance(error, (ParamValidationError, NoRegionError)):
        return BadConfiguration(f"{uri} is not a location that S3 can hold: {error}")
    if isinstance(
        error,
        (BotoConnectionError, HTTPClientError, ReadTimeoutError, ResponseStreamingError, IncompleteReadError),
    ):
        return StorageUnavailable(
            f"{endpoint} cannot be reached for {uri} ({type(error).__name__}); "
            "check spec.storage.endpoint, the network and the store"
        )
    return StorageUnavailable(f"{uri} cannot be accessed at {endpoint}: {error}")


def _explain_answer(error: ClientError, uri: str, endpoint: str) -> ModelMonitorError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"{endpoint} answered {code or status} for {uri}"
    failure: ModelMonitorError
    if code == "NoSuchBucket":
        failure = NotFound(f"the bucket of {uri} does not exist at {endpoint}; create it, or correct the URI")
    elif code in _MISSING:
        failure = NotFound(f"{uri} does not exist; check the URI")
    elif code in _LOST_RACE or status in {409, 412}:
        failure = PreconditionFailed(f"{uri} has been written by another process since it was read")
    elif code in _REFUSED or status in {401, 403}:
        failure = CredentialsRefused(f"{said}: {_REFUSED.get(code, _REFUSED['403'])}")
    elif code in _REDIRECTS or 300 <= status < 400:
        failure = BadConfiguration(
            f"{said}: it sends us elsewhere, which is not followed; correct spec.storage.endpoint and region"
        )
    elif code in _BUSY or status >= 500:
        failure = StorageUnavailable(f"{said}, {_ATTEMPTS} times; the store is overloaded or broken, try again later")
    else:
        text = str(error.response.get("Error", {}).get("Message", ""))[:200]
        failure = BadConfiguration(f"{said}: {text or 'it refuses the request'}; check the URI and the endpoint")
    return failure


class S3Store:
    """A :class:`~modelmonitor_trainer.storage.store.Store` on S3.

    Parameters
    ----------
    endpoint
        URL of an S3-compatible store; None is that of AWS_ENDPOINT_URL in the environment, or AWS.
    region
        Region; None is the environment's, or us-east-1.
    client
        A boto3 client to use instead of one made here, for tests.
    """

    def __init__(self, endpoint: str | None, region: str | None, client: S3Client | None = None) -> None:
        endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self._endpoint = endpoint or "Amazon S3"
        self._client: S3Client = client or boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=region or boto3.Session().region_name or "us-east-1",
            config=Config(
                signature_version="s3v4",
                connect_timeout=_CONNECT_TIMEOUT,
                read_timeout=_READ_TIMEOUT,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                max_pool_connections=16,
                # Compatible stores often know neither virtual hosts nor the newer checksums.
                s3={"addressing_style": "path" if endpoint else "auto"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    @contextlib.contextmanager
    def _explained(self, uri: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise explain(error, uri, self._endpoint) from error

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
        return self._get(uri, etag=etag)[0]

    def read_versioned(self, uri: str) -> tuple[bytes, str]:
        """Return the content of an object and its ETag."""
        return self._get(uri)

    def _get(self, uri: str, *, etag: str | None = None, span: tuple[int, int] | None = None) -> tuple[bytes, str]:
        """Return bytes `span` (first, one past the last) of an object, and its ETag."""
        bucket, key = parts_of(uri)
        request: GetObjectRequestTypeDef = {"Bucket": bucket, "Key": key}
        if etag is not None:
            request["IfMatch"] = f'"{etag}"'
        if span is not None:
            request["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        try:
            with self._explained(uri):
                for attempt in range(_ATTEMPTS):
                    answer = self._client.get_object(**request)
                    try:
                        data = answer["Body"].read()
                    except (HTTPClientError, BotoConnectionError, IncompleteReadError):
                        # botocore retries until the headers have come, not the body.
                        if attempt == _ATTEMPTS - 1:
                            raise
                        continue
                    return data, answer["ETag"].strip('"')
        except PreconditionFailed as error:
            raise ObjectChanged(
                f"{uri} has been replaced since it was listed; run again to use the new content"
            ) from error
        raise AssertionError("unreachable")

    def open(self, info: ObjectInfo) -> BinaryIO:
        """Return a file over an object, read in blocks that are pinned to its ETag."""
        if info.size <= _WHOLE_OBJECT:
            return io.BytesIO(self.read(info.uri, etag=info.etag))
        return cast(
            "BinaryIO",
            _BlockFile(info.size, lambda start, end: self._get(info.uri, etag=info.etag, span=(start, end))[0]),
        )

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
                answer = self._client.put_object(**request)
        except NotFound as error:
            if if_match is None:
                raise
            raise PreconditionFailed(f"{uri} has been removed by another process since it was read") from error
        return answer["ETag"].strip('"')

    def delete(self, uri: str) -> None:
        """Remove an object."""
        bucket, key = parts_of(uri)
        with self._explained(uri):
            self._client.delete_object(Bucket=bucket, Key=key)


class _BlockFile(io.RawIOBase):
    """A seekable file over ranged requests: blocks of equal size, a few read ahead, few kept.

    Column chunks lie one after the other, so reading row group by row group, column by column,
    is reading forwards.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size = size
        self._fetch = fetch
        self._position = 0
        self._pool = ThreadPoolExecutor(_BLOCKS_AHEAD, thread_name_prefix="s3")
        self._blocks: dict[int, Future[bytes]] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readall(self) -> bytes:
        return self.read(self._size - self._position)

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return self.readall()
        end = min(self._size, self._position + size)
        parts = []
        while self._position < end:
            number, offset = divmod(self._position, _BLOCK)
            part = self._block(number)[offset : offset + end - self._position]
            parts.append(part)
            self._position += len(part)
        return b"".join(parts)

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # any writable buffer
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._blocks.clear()
        super().close()

    def _block(self, number: int) -> bytes:
        """Return a block, and start fetching those that follow it."""
        last = (self._size - 1) // _BLOCK
        for wanted in range(number, min(last, number + _BLOCKS_AHEAD - 1) + 1):
            if wanted not in self._blocks:
                span = (wanted * _BLOCK, min(self._size, (wanted + 1) * _BLOCK))
                self._blocks[wanted] = self._pool.submit(self._fetch, *span)
        for old in [block for block in self._blocks if block < number - 1 or block >= number + _BLOCKS_AHEAD]:
            self._blocks.pop(old).cancel()
        return self._blocks[number].result()
