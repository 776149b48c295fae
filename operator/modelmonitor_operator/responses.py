"""What an API server, or a proxy in front of it, has responded: an object, an event of a watch, or an error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus

import urllib3

from modelmonitor_operator.gateway import (
    Change,
    Conflict,
    Expired,
    Forbidden,
    GatewayError,
    Invalid,
    NotFound,
    Object,
    Unavailable,
)

_ERRORS: Mapping[int, type[GatewayError]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Expired,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Invalid,
}


def parse_object(call: str, data: bytes) -> Object:
    """Return the object in a response; Unavailable if it is something else, such as the page of a proxy in between."""
    try:
        answer = json.loads(data)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise Unavailable(f"{call}: the response is not an object: {data[:200].decode(errors='replace')}")
    return answer


def parse_change(call: str, line: bytes) -> Change:
    """Return the event in a line of a watch; Unavailable if it is something else."""
    event = parse_object(call, line)
    kind, resource = event.get("type"), event.get("object")
    if not isinstance(kind, str) or not isinstance(resource, dict):
        raise Unavailable(f"{call}: the event has no type or no object: {line[:200].decode(errors='replace')}")
    metadata = resource.get("metadata")
    if kind != "ERROR" and not (
        isinstance(metadata, dict) and re.fullmatch(r"[0-9]{1,20}", str(metadata.get("resourceVersion")))
    ):
        raise Unavailable(f"{call}: the object of the event has no version: {line[:200].decode(errors='replace')}")
    return Change(kind, resource)


def error_of(call: str, response: urllib3.BaseHTTPResponse) -> GatewayError:
    """Return the error for an unsuccessful response."""
    try:
        details = str(json.loads(response.data).get("message", ""))
    except (ValueError, AttributeError):  # not from the API server, but a page of a proxy in between
        details = response.data[:200].decode(errors="replace")
    after = response.headers.get("Retry-After", "")
    return error_with(
        call,
        response.status,
        details or response.reason or "",
        float(after) if after.isascii() and after.isdigit() else None,
    )


def error_with(call: str, status: int, details: str, after: float | None = None) -> GatewayError:
    """Return the error for a status code; `after` are the seconds to wait, as requested by the server."""
    message = f"{call}: {status} {details}"
    kind = _ERRORS.get(status)
    return kind(message) if kind is not None else Unavailable(message, after)


def is_success(response: urllib3.BaseHTTPResponse) -> bool:
    """Whether the API server has done what was asked for."""
    return HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES
