"""Errors of requests to a cluster; the messages are for the user."""

from __future__ import annotations

from typing import ClassVar

from modelmonitor_api.names import ExitCode, FailureReason
from modelmonitor_trainer.errors import ModelMonitorError


class ClusterError(ModelMonitorError):
    """The API server, or kubectl, refused a request."""

    reason: ClassVar[FailureReason] = FailureReason.BAD_CONFIGURATION
    exit_code: ClassVar[int] = ExitCode.BAD_CONFIGURATION


class Missing(ClusterError):
    """There is no such object."""


class Denied(ClusterError):
    """The caller lacks a permission, or is not logged in."""


class Unreachable(ClusterError):
    """The API server did not respond."""

    exit_code: ClassVar[int] = ExitCode.UNAVAILABLE
