"""What can go wrong in a pod or on the command line: one exception a reason, each a sentence for a human.

A message says what happened, where, and what to change. ``reason`` and ``exit_code`` go to the
operator: exit 2 is not retried, exit 3 is.
"""

from __future__ import annotations

from typing import Any, ClassVar

from modelmonitor_api.names import ExitCode, FailureReason


class ModelMonitorError(Exception):
    """Something that we understand went wrong; its text is for the user.

    Attributes
    ----------
    reason : FailureReason
        One CamelCase word for conditions and events.
    exit_code : int
        How a process that stops because of it exits.
    """

    reason: ClassVar[FailureReason] = FailureReason.CRASHED
    exit_code: ClassVar[int] = ExitCode.CRASHED

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the message and the attributes: an exception calls its constructor with `args`, which may not fit."""
        return _restore, (type(self), self.args, vars(self))


def _restore(cls: type[ModelMonitorError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ModelMonitorError:
    error = cls.__new__(cls, *args)
    vars(error).update(attributes)
    return error


class BadConfiguration(ModelMonitorError):
    """What the user asked for cannot be done, and will not be possible by trying again."""

    reason = FailureReason.BAD_CONFIGURATION
    exit_code = ExitCode.BAD_CONFIGURATION


class BadData(ModelMonitorError):
    """An object cannot be read as what it should be, or lacks a column."""

    reason = FailureReason.BAD_DATA
    exit_code = ExitCode.BAD_CONFIGURATION


class CredentialsRefused(ModelMonitorError):
    """The store knows us not, or does not let us."""

    reason = FailureReason.CREDENTIALS_REFUSED
    exit_code = ExitCode.BAD_CONFIGURATION


class NotFound(ModelMonitorError):
    """An object, a bucket or a folder that must exist does not."""

    reason = FailureReason.NOT_FOUND
    exit_code = ExitCode.BAD_CONFIGURATION


class ObjectChanged(ModelMonitorError):
    """An object is no longer the one that was listed or recorded.

    Attributes
    ----------
    uri
        Which object; empty where it is not known.
    """

    reason = FailureReason.OBJECT_CHANGED
    exit_code = ExitCode.UNAVAILABLE

    def __init__(self, message: str, uri: str = "") -> None:
        super().__init__(message)
        self.uri = uri


class PreconditionFailed(ObjectChanged):
    """A conditional write lost: the object exists already, or is not the one we read."""


class StorageUnavailable(ModelMonitorError):
    """The store cannot be reached, or answers that it cannot answer now."""

    reason = FailureReason.STORAGE_UNAVAILABLE
    exit_code = ExitCode.UNAVAILABLE


class DiskFull(ModelMonitorError):
    """There is no space left where we write."""

    reason = FailureReason.DISK_FULL
    exit_code = ExitCode.UNAVAILABLE


class OutOfMemory(ModelMonitorError):
    """The process was refused memory (the kernel's OOM killer gives no such notice)."""

    reason = FailureReason.OUT_OF_MEMORY
    exit_code = ExitCode.CRASHED


class Interrupted(ModelMonitorError):
    """We were asked to stop."""

    reason = FailureReason.INTERRUPTED
    exit_code = ExitCode.INTERRUPTED
