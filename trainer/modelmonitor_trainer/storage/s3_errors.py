"""Translation of boto3 errors into errors of this package, each with a message that says what to change."""

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
from modelmonitor_trainer.storage.conditional_writes import REQUIREMENTS
from modelmonitor_trainer.text import one_line

_ENDPOINT = "its endpoint (spec.storage.endpoint, or AWS_ENDPOINT_URL)"
_REFUSED = {
    "ExpiredToken": "the credentials have expired; renew the Secret that credentialsSecretRef names",
    "TokenRefreshRequired": "the credentials have expired; renew the Secret that credentialsSecretRef names",
    "InvalidToken": "AWS_SESSION_TOKEN is not valid; renew the Secret that credentialsSecretRef names",
    "InvalidAccessKeyId": "the object store does not know AWS_ACCESS_KEY_ID; correct the Secret",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY does not belong to the access key; correct the Secret",
    "AccessDenied": "these credentials lack the permission; grant it in the store's policy, or use other credentials",
    "AllAccessDisabled": "access to the bucket is disabled; enable it in the store",
    "RequestTimeTooSkewed": "the clock of this machine differs from that of the object store; set it",
    "AuthorizationHeaderMalformed": "the signature is for another region; correct spec.storage.region, or AWS_REGION",
    "401": "the object store requires credentials; correct the Secret that credentialsSecretRef names",
    "403": "these credentials lack the permission; grant it in the store's policy, or use other credentials",
}
_MISSING = {"NoSuchKey", "NoSuchVersion", "404", "NotFound"}
_LOST_RACE = {"PreconditionFailed", "412", "InvalidRange", "416"}
_REDIRECTS = {"301", "302", "307", "308", "PermanentRedirect", "TemporaryRedirect", "Redirect"}
_NOT_IMPLEMENTED = {"NotImplemented", "501"}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "RequestLimitExceeded"}


def translate_error(error: BotoCoreError | ClientError, uri: str, endpoint: str) -> ModelMonitorError:
    """Return the error for what boto3 raised when it accessed `uri`."""
    if isinstance(error, ClientError):
        return _translate_response(error, uri, endpoint)
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, TokenRetrievalError)):
        return CredentialsRefused(
            f"there are no usable credentials for {uri}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE; for pods name a Secret with them in spec.storage.credentialsSecretRef, or use a service "
            "account with an identity"
        )
    if isinstance(error, (ParamValidationError, NoRegionError)):
        return BadConfiguration(f"{uri} is not a valid S3 location: {one_line(error)}")
    return StorageUnavailable(_connection_message(error, uri, endpoint))


def _connection_message(error: BotoCoreError, uri: str, endpoint: str) -> str:
    """Return the message for a request without a complete response."""
    hint = f"({type(error).__name__}); check the network, the object store and {_ENDPOINT}"
    if isinstance(error, SSLError):
        return (
            f"the certificate of {endpoint} is not trusted for {uri}: {one_line(error)}; correct the endpoint or its "
            "certificate, or set AWS_CA_BUNDLE to the file of its authority"
        )
    if isinstance(error, (ReadTimeoutError, ConnectTimeoutError)):
        return f"{endpoint} did not respond for {uri} on any attempt {hint}"
    if isinstance(error, (ConnectionClosedError, ResponseStreamingError, IncompleteReadError)):
        return f"{endpoint} closed the connection mid-response for {uri} on every attempt {hint}"
    if isinstance(error, (BotoConnectionError, HTTPClientError)):
        return f"{endpoint} cannot be reached for {uri} {hint}"
    return f"{uri} cannot be accessed at {endpoint}: {one_line(error)}"


def _translate_response(error: ClientError, uri: str, endpoint: str) -> ModelMonitorError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    response = f"{endpoint} responded {code or status} for {uri}"
    attempts = int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) + 1
    translated: ModelMonitorError
    if code == "NoSuchBucket":
        translated = NotFound(f"the bucket of {uri} does not exist at {endpoint}; create it, or correct the URI")
    elif code in _MISSING:
        translated = NotFound(f"{uri} does not exist; check the URI")
    elif code in _LOST_RACE or status in {304, 412, 416}:
        translated = PreconditionFailed(f"{uri} has been written by another process since it was read")
    elif code in _REFUSED or status in {401, 403}:
        translated = CredentialsRefused(f"{response}: {_REFUSED.get(code, _REFUSED['403'])}")
    elif code in _REDIRECTS or 300 <= status < 400:
        translated = BadConfiguration(
            f"{response}: it returned a redirect, which is not followed; correct {_ENDPOINT}, and the region"
        )
    elif code in _NOT_IMPLEMENTED or status == 501:
        translated = BadConfiguration(
            f"{response}: it does not support this request; {REQUIREMENTS} lists what an object store must do"
        )
    elif status == 409:
        translated = StorageUnavailable(
            f"{response}, {attempts} times: other requests for the same object were in progress; try again later"
        )
    elif code in _BUSY or status >= 500:
        translated = StorageUnavailable(
            f"{response}, {attempts} times; the object store is overloaded or failing, try again later"
        )
    else:
        text = str(error.response.get("Error", {}).get("Message", ""))[:200]
        translated = BadConfiguration(
            f"{response}: {text or 'it rejected the request'}; check the URI and the endpoint"
        )
    return translated
