"""What boto3 raises, as one of our failures: each a sentence that says what to change."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from modelmonitor_trainer.errors import (
    BadConfiguration,
    CredentialsRefused,
    ModelMonitorError,
    NotFound,
    PreconditionFailed,
    StorageUnavailable,
)

_ENDPOINT = "its endpoint (spec.storage.endpoint, or AWS_ENDPOINT_URL)"
_REFUSED = {
    "ExpiredToken": "the credentials have expired; renew the Secret that credentialsSecretRef names",
    "TokenRefreshRequired": "the credentials have expired; renew the Secret that credentialsSecretRef names",
    "InvalidToken": "AWS_SESSION_TOKEN is not valid; renew the Secret that credentialsSecretRef names",
    "InvalidAccessKeyId": "the store does not know AWS_ACCESS_KEY_ID; correct the Secret",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY does not belong to the access key; correct the Secret",
    "AccessDenied": "these credentials may not do this; allow it in the store's policy, or use others",
    "AllAccessDisabled": "access to the bucket is disabled; enable it in the store",
    "RequestTimeTooSkewed": "the clock of this machine differs from the store's; set it",
    "AuthorizationHeaderMalformed": "the signature is for another region; correct spec.storage.region, or AWS_REGION",
    "401": "the store asks for credentials; correct the Secret that credentialsSecretRef names",
    "403": "these credentials may not do this; allow it in the store's policy, or use others",
}
_MISSING = {"NoSuchKey", "NoSuchVersion", "404", "NotFound"}
_LOST_RACE = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409", "InvalidRange", "416"}
_REDIRECTS = {"301", "302", "307", "308", "PermanentRedirect", "TemporaryRedirect", "Redirect"}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "RequestLimitExceeded"}


def translate_error(error: BotoCoreError | ClientError, uri: str, endpoint: str) -> ModelMonitorError:
    """Return our failure for what boto3 raised when it accessed `uri`."""
    if isinstance(error, ClientError):
        return _explain_answer(error, uri, endpoint)
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, TokenRetrievalError)):
        return CredentialsRefused(
            f"there are no usable credentials for {uri}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE; for pods name a Secret with them in spec.storage.credentialsSecretRef, or use a service "
            "account with an identity"
        )
    if isinstance(error, (ParamValidationError, NoRegionError)):
        return BadConfiguration(f"{uri} is not a location that S3 can hold: {_one_line(error)}")
    return StorageUnavailable(_no_answer(error, uri, endpoint))


def _no_answer(error: BotoCoreError, uri: str, endpoint: str) -> str:
    """Return the sentence for a request that has got no answer, or not all of it."""
    look = f"({type(error).__name__}); check the network, the store and {_ENDPOINT}"
    if isinstance(error, SSLError):
        return (
            f"{endpoint} cannot be trusted for {uri}: {_one_line(error)}; correct the endpoint or its certificate, or "
            "name the file of its authority in AWS_CA_BUNDLE"
        )
    if isinstance(error, (ReadTimeoutError, ConnectTimeoutError)):
        return f"{endpoint} does not answer for {uri}, however often it is asked {look}"
    if isinstance(error, (ConnectionClosedError, ResponseStreamingError, IncompleteReadError)):
        return f"{endpoint} breaks its answers off for {uri}, however often it is asked {look}"
    if isinstance(error, (BotoConnectionError, HTTPClientError)):
        return f"{endpoint} cannot be reached for {uri} {look}"
    return f"{uri} cannot be accessed at {endpoint}: {_one_line(error)}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _explain_answer(error: ClientError, uri: str, endpoint: str) -> ModelMonitorError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"{endpoint} answered {code or status} for {uri}"
    times = int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) + 1
    failure: ModelMonitorError
    if code == "NoSuchBucket":
        failure = NotFound(f"the bucket of {uri} does not exist at {endpoint}; create it, or correct the URI")
    elif code in _MISSING:
        failure = NotFound(f"{uri} does not exist; check the URI")
    elif code in _LOST_RACE or status in {409, 412, 416}:
        failure = PreconditionFailed(f"{uri} has been written by another process since it was read")
    elif code in _REFUSED or status in {401, 403}:
        failure = CredentialsRefused(f"{said}: {_REFUSED.get(code, _REFUSED['403'])}")
    elif code in _REDIRECTS or 300 <= status < 400:
        failure = BadConfiguration(
            f"{said}: it sends us elsewhere, which is not followed; correct {_ENDPOINT}, and the region"
        )
    elif code in _BUSY or status >= 500:
        failure = StorageUnavailable(f"{said}, {times} times; the store is overloaded or broken, try again later")
    else:
        text = str(error.response.get("Error", {}).get("Message", ""))[:200]
        failure = BadConfiguration(f"{said}: {text or 'it refuses the request'}; check the URI and the endpoint")
    return failure
