"""Errors of a pod or a command: one exception class for each failure reason.

A message states what happened, where, and what to change. ``reason`` and ``exit_code`` are reported to the operator,
which retries exit code 3 and not exit code 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from modelmonitor_api.names import ExitCode, FailureReason

if TYPE_CHECKING:
    from modelmonitor_api.messages import Failure


class ModelMonitorError(Exception):
    """Base of all expected errors; the text is for the user.

    Attributes
    ----------
    reason : FailureReason
        One CamelCase word for conditions and events.
    exit_code : int
        Exit code of a process that the error ends.
    """

    reason: ClassVar[FailureReason] = FailureReason.CRASHED
    exit_code: ClassVar[int] = ExitCode.CRASHED

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the message and the attributes: an exception calls its constructor with `args`, which may not fit."""
        return _restore, (type(self), self.args, vars(self))


def failure_of(error: ModelMonitorError) -> Failure:
    """Return an error as the answer of a pod to the operator."""
    from modelmonitor_api.messages import MAX_SENTENCE, Failure

    return Failure(reason=error.reason, message=str(error)[:MAX_SENTENCE])


def _restore(cls: type[ModelMonitorError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ModelMonitorError:
    error = cls.__new__(cls, *args)
    vars(error).update(attributes)
    return error


class BadConfiguration(ModelMonitorError):
    """The configuration is invalid; a retry will not help."""

    reason = FailureReason.BAD_CONFIGURATION
    exit_code = ExitCode.BAD_CONFIGURATION


class BadData(ModelMonitorError):
    """An object cannot be decoded, or lacks a column."""

    reason = FailureReason.BAD_DATA
    exit_code = ExitCode.BAD_CONFIGURATION


class UnusableModel(BadData):
    """A model cannot be loaded, or cannot score the given rows."""


class CredentialsRefused(ModelMonitorError):
    """The object store rejected the credentials or denied access."""

    reason = FailureReason.CREDENTIALS_REFUSED
    exit_code = ExitCode.BAD_CONFIGURATION


class NotFound(ModelMonitorError):
    """A required object, bucket or folder does not exist."""

    reason = FailureReason.NOT_FOUND
    exit_code = ExitCode.BAD_CONFIGURATION


class ObjectChanged(ModelMonitorError):
    """An object is no longer the one that was listed or recorded.

    Attributes
    ----------
    uri
        The object; empty if it is not known.
    """

    reason = FailureReason.OBJECT_CHANGED
    exit_code = ExitCode.UNAVAILABLE

    def __init__(self, message: str, uri: str = "") -> None:
        super().__init__(message)
        self.uri = uri


class PreconditionFailed(ObjectChanged):
    """A conditional write failed: the object already exists, or is not the one that was read."""


class StorageUnavailable(ModelMonitorError):
    """The object store cannot be reached, or responds that it is unavailable."""

    reason = FailureReason.STORAGE_UNAVAILABLE
    exit_code = ExitCode.UNAVAILABLE


class DiskFull(ModelMonitorError):
    """No space is left where the process writes."""

    reason = FailureReason.DISK_FULL
    exit_code = ExitCode.UNAVAILABLE


class OutOfMemory(ModelMonitorError):
    """An allocation failed (a kill by the kernel's OOM killer raises nothing)."""

    reason = FailureReason.OUT_OF_MEMORY
    exit_code = ExitCode.CRASHED


class Interrupted(ModelMonitorError):
    """The process was asked to stop."""

    reason = FailureReason.INTERRUPTED
    exit_code = ExitCode.INTERRUPTED
